"""The first detectors: found where it is true, silent where the network learns, and every fix helps."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.config import RunConfig
from core.data import load
from core.diagnosis import diagnose
from core.diagnosis.baseline import baseline
from core.diagnosis.evidence import Evidence
from core.diagnosis.finding import SEVERITIES, Finding, status
from core.report import report
from core.training.telemetry import LAYER_METRICS
from core.training.trainer import Trainer

STEPS = 1500
STANDARD = {"scaling": "standard"}
CAUSES = {"learning_rate", "init", "activation", "data_scaling", "target_scaling"}


def config(source="circle", hidden=(8, 8), activation="tanh", output=None, rate=0.03, optimizer="sgd", **more):
    """A configuration in a few words; the output layer follows the data unless its activation is named."""
    data = {"source": source, **more.pop("data", {})}
    last = RunConfig.from_dict({"data": data}).to_dict()["layers"][-1]
    layers = [{"units": units, "activation": activation} for units in hidden]
    layers.append({**last, "activation": output or last["activation"]})
    values = {"data": data, "layers": layers, "optimizer": {"name": optimizer, "learning_rate": rate}, "batch_size": 32}
    return RunConfig.from_dict({**values, **more})


def he(scale=1.0):
    return {"weights": "he_normal", "scale": scale}


def normal(scale):
    return {"weights": "normal", "scale": scale}


def warnings(trainer):
    """Findings but for notes."""
    return [finding for finding in diagnose(trainer) if finding.severity != "info"]


def codes(trainer):
    return {finding.code for finding in warnings(trainer)}


def first_of(trainer, code):
    return next(found for found in diagnose(trainer) if found.code == code)


TROUBLE = {
    "nonfinite": [
        config("diabetes", (16,), "relu", rate=0.1, data=STANDARD),
        config("hills", (8, 8), "leaky_relu", rate=5.0, optimizer="momentum"),
        config("plane", (32,) * 8, "relu", rate=0.01, init=normal(3)),
        config("sine", (16,), "elu", rate=10.0, batch_size=1),
    ],
    "diverged": [
        config("circle", (8, 8, 8), rate=100.0),
        config("xor", (8,), "silu", rate=30.0, optimizer="rmsprop"),
        config("blobs", (16, 16), rate=3.0, optimizer="adam", batch_size=1),
        config("moons", (16,), output="tanh", loss="mse", rate=100.0),
        config("circle", (16,), "sigmoid", loss="mse", rate=50.0, optimizer="adam"),
        config("xor", (16,), "relu", output="tanh", loss="hinge", rate=10.0, optimizer="adam"),  # behind a flat loss
    ],
    "exploding_gradients": [
        config("plane", (32,) * 8, "relu", rate=0.01, init=normal(3)),
        config("hills", (16,) * 6, rate=0.001, optimizer="adam", init=normal(5)),
        config("diabetes", (16,), "relu", rate=0.1, data=STANDARD),
        config("wine", (16,) * 10, "leaky_relu", rate=0.01, data=STANDARD, init=normal(2)),
    ],
    "vanishing_gradients": [
        config("spiral", (16,) * 8, "sigmoid", rate=0.1),
        config("iris", (8,) * 12, "sigmoid", rate=0.05, data=STANDARD, batch_size=10),
        config("hills", (16,) * 10, init={"scale": 0.05}),
        config("digits", (16,) * 8, "sigmoid", rate=0.01, optimizer="momentum", data={"scaling": "minmax"}),
        config("xor", (16,) * 10, init=normal(0.01), batch_size=None),  # no gradient in any layer
        config("moons", (16,) * 8, "sigmoid", rate=0.1, penalty={"l2": 1e-3}),  # the penalty's own gradient does not vanish
    ],
    "dead_units": [
        config("digits", (32,), "relu", rate=3.0, data={"scaling": "minmax"}, init=he()),
        config("hills", (16,), "relu", rate=1.0, optimizer="adam", data=STANDARD, init=he()),
        config("wine", (16,), "relu", rate=0.05, init=he()),
        config("flower", (16, 16), "relu", rate=0.5, optimizer="rmsprop", init=he()),
        config("sine", (16, 16), "gelu", rate=1.0, optimizer="adam", init=he()),
    ],
}


@pytest.mark.parametrize(("code", "troubled"), [(code, entry) for code, entries in TROUBLE.items() for entry in entries])
def test_trouble_is_found_and_its_fix_helps(code, troubled):
    trainer = Trainer(troubled).run(STEPS)
    found = next(finding for finding in diagnose(trainer) if finding.code == code)
    assert 1 <= found.step < STEPS
    assert found.cause in CAUSES
    assert found.severity in ("critical", "warning")
    assert found.layer is None or 1 <= found.layer <= len(troubled.layers)

    mended = Trainer(troubled.patched(found.fix)).run(STEPS)
    assert code not in codes(mended)
    assert Evidence(mended).progress.learned
    assert mended.nonfinite is None
    assert trainer.nonfinite or mended.loss() < trainer.loss()


HEALTHY = [
    config(),
    config("spiral", (16, 16), "relu", rate=0.01, optimizer="adam", init=he()),
    config("xor", (4,), rate=0.1, batch_size=1),
    config("gaussian", (1,), "linear", batch_size=None),
    config("moons", (8,) * 6, "relu", rate=0.003, optimizer="adam", init=he()),
    config("blobs", (8,), "elu", batch_size=10),
    config("plane", (8,), "sigmoid", rate=0.01, batch_size=1),
    config("hills", (16,), "gelu", rate=0.01, optimizer="adam", init=he()),
    config("sine", (16, 16), "silu", rate=0.003, optimizer="rmsprop"),
    config("iris", (8,), "softplus", data=STANDARD),
    config("iris", (), data=STANDARD, rate=0.1),
    config("wine", (16,), "selu", data=STANDARD, batch_size=10, penalty={"l2": 0.01}),
    config("breast_cancer", (16,), "leaky_relu", output="tanh", loss="hinge", data=STANDARD, rate=0.01, batch_size=1),
    config("digits", (32, 32), "relu", rate=0.01, optimizer="nesterov", data={"scaling": "minmax"}, init=he()),
    config("diabetes", (8,), "relu", data={"scaling": "standard", "target_scaling": "standard"}, penalty={"l1": 1e-3}, init=he()),
    config("circle", (8,) * 15, rate=0.003, optimizer="adam", init={"weights": "orthogonal"}),
    config("xor", (8,), loss="mse", rate=0.5),
    config("circle", (8,), "relu", rate=0.05, optimizer="adagrad", data={"noise": 1.0}),
    config("hills", (16,), loss="mae", rate=0.01, optimizer="momentum", dtype="float32", clip_norm=1.0),
]


@pytest.mark.parametrize("healthy", HEALTHY)
def test_learning_is_never_warned_of_from_the_first_step_on(healthy):
    trainer = Trainer(healthy)
    while trainer.step < STEPS:
        trainer.advance(1 + trainer.step // 10).frame()
        assert warnings(trainer) == []
    assert Evidence(trainer).progress.learned
    assert report(trainer)["status"] == "healthy"


def test_dead_units_that_do_no_harm_are_not_reported():
    trainer = Trainer(config("photo_ten", (64,), "relu", rate=0.1, init=he(), batch_size=None)).run(100)
    assert trainer.telemetry.metric("dead")[-1, 0] > 0.5
    assert trainer.evaluator.metric() == 1.0
    assert diagnose(trainer) == []


def test_units_that_die_are_dated_and_placed():
    trainer = Trainer(config("photo_ten", (64,), "relu", rate=1.0, init=he(), batch_size=None)).run(100)
    first = first_of(trainer, "dead_units")
    dead = trainer.telemetry.metric("dead")[:, 0]
    assert (first.layer, first.severity) == (1, "critical")
    assert first.evidence["dead_fraction"] == dead[-1] == 1.0
    assert first.step == trainer.telemetry.step[np.argmax(dead > 0.5)] > 1
    assert first.title == f"Layer 1 stopped learning at step {first.step}: 100% of its units are dead."


def test_nonfinite_is_reported_where_it_appeared():
    trainer = Trainer(config("sine", (16,), "elu", rate=10.0, batch_size=1)).run(STEPS)
    first = first_of(trainer, "nonfinite")
    assert first.severity == "critical"
    assert (first.step, first.layer) == (trainer.nonfinite.step, trainer.nonfinite.layer)
    assert trainer.nonfinite.tensor.replace("pre_", "pre-") in first.title


def test_a_value_that_breaks_in_the_first_step_is_blamed_on_the_first_weights():
    trainer = Trainer(config("plane", (64,) * 15, "relu", init=normal(1e6), dtype="float32")).run(10)
    found = first_of(trainer, "nonfinite")
    assert (found.step, found.cause) == (1, "init")
    assert diagnose(trainer)[0].code == "bad_init_scale"


def test_vanishing_gradients_name_the_layer_they_do_not_reach():
    trainer = Trainer(config("spiral", (16,) * 8, "sigmoid", rate=0.1)).run(STEPS)
    found = diagnose(trainer)[0]
    assert (found.code, found.layer, found.cause) == ("vanishing_gradients", 1, "activation")
    assert found.evidence["gradient_norm"] < 1e-3 * trainer.telemetry.metric("gradient_norm")[0, -1]


def test_a_learned_network_that_is_then_driven_off_has_diverged_since_then():
    trainer = Trainer(config("circle", rate=0.1)).run(2000)
    assert diagnose(trainer) == []
    trainer.change({"optimizer": {"learning_rate": 300.0}})
    trainer.run(2000)
    found = first_of(trainer, "diverged")
    assert 2000 < found.step < 2200
    assert found.evidence["best_loss"] < found.evidence["loss"]


def test_a_learning_rate_raised_within_reason_is_no_divergence():
    trainer = Trainer(config("circle", rate=0.1)).run(1000)
    for rate in (0.4, 0.1, 0.4):
        trainer.change({"optimizer": {"learning_rate": rate}})
        trainer.run(500)
        assert diagnose(trainer) == []


def test_nothing_is_said_before_the_first_step():
    for entry in [*HEALTHY[:3], TROUBLE["vanishing_gradients"][0]]:
        assert diagnose(Trainer(entry)) == []


def test_findings_come_worst_first_and_in_order_of_time():
    found = diagnose(Trainer(TROUBLE["dead_units"][4]).run(STEPS))
    severities = [list(SEVERITIES).index(entry.severity) for entry in found]
    steps = [entry.step for entry in found[1:]]
    assert len(found) > 2
    assert [entry.root for entry in found] == [True] + [False] * (len(found) - 1)
    assert severities == sorted(severities)
    assert [pair for pair in sorted(zip(severities[1:], steps))] == list(zip(severities[1:], steps))


def test_a_run_that_nobody_looks_at_is_judged_like_any_other():
    for values in ({"rate": 100.0}, {}):
        unseen, seen = (Trainer(config("circle", (8, 8, 8), **values)) for _ in range(2))
        unseen.advance(STEPS)
        for _ in range(STEPS // 100):
            seen.run(100)
        assert codes(unseen) == codes(seen) and ("diverged" in codes(unseen)) == bool(values)


def test_a_run_of_which_only_batches_are_known_is_judged_by_these():
    trainer = Trainer(config("circle", (8, 8, 8), rate=100.0)).advance(STEPS)
    trainer.telemetry._frames.drop_after(0)
    assert "diverged" in codes(trainer)
    trainer = Trainer(config()).advance(STEPS)
    trainer.telemetry._frames.drop_after(0)
    assert codes(trainer) == set()


def test_long_histories_are_judged_like_short_ones():
    trainer = Trainer(TROUBLE["vanishing_gradients"][0]).run(STEPS)
    last = trainer.telemetry.metric("gradient_norm")[-1]
    metrics = np.zeros((len(last), len(LAYER_METRICS)))
    metrics[:, LAYER_METRICS.index("gradient_norm")] = last
    metrics[:, LAYER_METRICS.index("weight_norm")] = trainer.telemetry.metric("weight_norm")[-1]
    for step in range(STEPS + 100, 1_000_000, 100):
        trainer.telemetry.add_sample(step, trainer.telemetry.loss[-1], metrics)
    trainer.step = step
    trainer.telemetry.add_frame(step, trainer.loss(), np.nan, trainer.evaluator.metric(), np.nan)
    found = diagnose(trainer)[0]
    assert (found.code, found.layer) == ("vanishing_gradients", 1)


@pytest.mark.parametrize(
    ("entry", "loss"),
    [
        (config("breast_cancer"), lambda y: -np.mean(y) * np.log(np.mean(y)) - np.mean(1 - y) * np.log(np.mean(1 - y))),
        (config("iris"), lambda y: np.log(3)),
        (config("diabetes"), np.var),
        (config("diabetes", loss="mae"), lambda y: np.mean(np.abs(y - np.median(y)))),
        (config("breast_cancer", output="tanh", loss="hinge"), lambda y: 2 * min(np.mean(y), np.mean(1 - y))),
    ],
)
def test_the_baseline_is_the_best_constant_output(entry, loss):
    dataset = load(entry.data)
    assert baseline(entry, dataset).loss == pytest.approx(loss(dataset.train.targets), rel=1e-6)


def test_the_baseline_metric_is_what_ignoring_the_inputs_gets():
    dataset = load(config("breast_cancer").data)
    share = np.mean(dataset.train.targets)
    assert baseline(config("breast_cancer"), dataset).metric == max(share, 1 - share)
    assert baseline(config("diabetes"), load(config("diabetes").data)).metric == 0.0


def finding(code="plateau", severity="warning"):
    return Finding(code, severity, 1, None, "init", "Title.", "Advice.")


def test_the_worst_finding_decides_the_status():
    assert status([]) == "healthy"
    assert status([finding(severity="info")]) == "healthy"
    assert status([finding()]) == "warning"
    assert status([finding(), finding("diverged", "critical")]) == "diverged"
    assert status([finding("diverged", "critical"), finding("nonfinite", "critical")]) == "nonfinite"


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (HEALTHY[0], "healthy"),
        (TROUBLE["vanishing_gradients"][0], "warning"),
        (TROUBLE["diverged"][0], "diverged"),
        (TROUBLE["nonfinite"][0], "nonfinite"),
    ],
)
def test_the_report_is_the_contract_and_strict_json(entry, word):
    trainer = Trainer(entry).run(STEPS)
    made = json.loads(json.dumps(report(trainer, steps_per_second=1000.0), allow_nan=False))
    assert list(made) == ["status", "steps", "steps_per_second", "loss", "metric", "forecast", "findings"]
    assert (made["status"], made["steps"], made["steps_per_second"]) == (word, trainer.step, 1000.0)
    assert list(made["loss"]) == ["initial", "final", "best", "test"]
    assert made["loss"]["best"] <= made["loss"]["initial"]
    assert made["metric"]["name"] == ("r2" if entry.data.source == "diabetes" else "accuracy")
    fields = ["code", "severity", "step", "layer", "cause", "title", "advice", "evidence", "fix"]
    assert all(list(entry) == fields for entry in made["findings"])


def test_a_report_without_a_test_part_says_so():
    entry = HEALTHY[0]
    made = report(Trainer(replace(entry, data=replace(entry.data, test_fraction=0.0))).run(10))
    assert made["loss"]["test"] is None
    assert made["metric"]["test"] is None
    assert made["metric"]["train"] is not None
