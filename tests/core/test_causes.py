"""Every code of the catalogue: found where it is true, with the setting to blame; mended by its fix; silent where it is not true."""

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.diagnosis.detectors import DETECTORS
from core.diagnosis.finding import Finding, status
from core.diagnosis.ranking import ranked
from core.diagnosis.reference_models import attainable
from core.report import report
from core.training.trainer import Trainer

STEPS = 1500


def config(source="circle", hidden=(12,), activation="tanh", output=None, rate=0.1, optimizer="sgd", data=(), **more):
    """A configuration in a few words; output and loss follow the data unless they are named."""
    data = {"source": source, **dict(data)}
    base = RunConfig.from_dict({"data": data}).to_dict()
    last = {**base["layers"][-1], **({"activation": output} if output else {})}
    layers = [*({"units": units, "activation": activation} for units in hidden), last]
    values = {"data": data, "layers": layers, "loss": base["loss"], "optimizer": {"name": optimizer, "learning_rate": rate}}
    return RunConfig.from_dict({**values, "batch_size": 32, **more})


STANDARD = {"scaling": "standard"}
SCALED = {"scaling": "standard", "target_scaling": "standard"}

# code -> runs in which it is the root, each with the causes that may be named; None: no setting mends it
ROOTS = {
    "unstable_learning_rate": [
        (config("circle", rate=50.0), {"learning_rate"}),
        (config("hills", (16,), rate=3.0, data=SCALED), {"learning_rate"}),
    ],
    "loss_output_mismatch": [
        (config("moons", output="softmax", loss="binary_cross_entropy"), {"output_activation"}),
        (config("iris", output="sigmoid", loss="categorical_cross_entropy", data=STANDARD), {"output_activation"}),
        (config("xor", output="linear", loss="binary_cross_entropy"), {"output_activation"}),
        (config("plane", output="sigmoid", loss="binary_cross_entropy", data={"target_scaling": "standard"}), {"loss"}),
    ],
    "unreachable_target": [
        (config("sine", (24,), output="relu", rate=0.2, data=SCALED), {"output_activation"}),
        (config("plane", output="sigmoid", data={"target_scaling": "standard"}), {"output_activation"}),
    ],
    "symmetric_init": [
        (config("circle", init={"weights": "zeros"}), {"init"}),
        (config("digits", (16,), "relu", init={"weights": "constant", "scale": 0.1}, data={"scaling": "minmax"}), {"init"}),
    ],
    "unscaled_inputs": [(config("wine", (16,), "relu"), {"data_scaling"}), (config("breast_cancer", (8,)), {"data_scaling"})],
    "unscaled_targets": [(config("diabetes", (16,), "relu", data=STANDARD), {"target_scaling"})],
    "bad_init_scale": [
        (config("digits", (32, 32), rate=0.05, data=STANDARD, init={"weights": "normal", "scale": 5.0}), {"init"}),
        (config("circle", (8,) * 5, init={"weights": "normal", "scale": 1e-3}), {"init"}),
    ],
    "vanishing_gradients": [(config("spiral", (16,) * 8, "sigmoid"), {"activation"})],
    "update_too_small": [(config("circle", rate=1e-5), {"learning_rate"}), (config("wine", rate=3e-6, data=STANDARD), {"learning_rate"})],
    "underfitting": [
        (config("xor", (8,), "linear"), {"capacity"}),
        (config("circle", penalty={"l2": 0.5}), {"penalty"}),
        (config("moons", penalty={"l1": 0.3}), {"penalty"}),
    ],
    "gradient_fault": [(config("circle", faults=["sign_flip"]), {"gradient_code"})],
    "update_fault": [(config("circle", faults=["reinitialized_weights"]), {"update_code"})],
}
CASES = [(code, *case) for code, cases in ROOTS.items() for case in cases]


def warnings(trainer):
    return [finding for finding in diagnose(trainer) if finding.severity != "info"]


@pytest.mark.parametrize(("code", "run", "causes"), CASES)
def test_the_root_is_named_and_its_fix_mends_the_run(code, run, causes):
    trainer = Trainer(run).run(STEPS)
    root = diagnose(trainer)[0]
    assert (root.code, root.root) == (code, True)
    assert root.cause in causes
    mended = Trainer(run.patched(root.fix)).run(2 * STEPS)
    assert status(diagnose(mended)) == "healthy"
    assert mended.evaluator.metric() > trainer.evaluator.metric() + 0.1 or mended.evaluator.metric() > 0.9


def save(tmp_path, inputs, targets, task="classification", **data):
    np.savez(tmp_path / "data.npz", X=inputs, y=targets)
    return {"path": str(tmp_path / "data.npz"), "task": task, "samples": len(inputs), "test_fraction": 0.3, **data}


def clouds(samples=300):
    """Two classes that a line tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 2
    return rng.standard_normal((samples, 2)) + 3 * labels[:, None], labels


def test_shuffled_labels_are_told_from_a_network_that_does_not_learn(tmp_path):
    inputs, labels = clouds()
    layers = [{"units": 16, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]
    shuffled = np.random.default_rng(1).permutation(labels)
    for targets, found in ((labels, None), (shuffled, "labels")):
        run = {"data": {"source": "file", **save(tmp_path, inputs, targets)}, "layers": layers, "optimizer": {"learning_rate": 0.1}}
        root = next(iter(warnings(Trainer(RunConfig.from_dict(run)).run(STEPS))), None)
        assert (root and root.cause) == found


def test_a_class_that_is_hardly_there_is_told(tmp_path):
    rng = np.random.default_rng(0)
    labels = (np.arange(400) % 25 == 0).astype(int)
    run = {"data": {"source": "file", **save(tmp_path, rng.standard_normal((400, 2)), labels)}, "optimizer": {"learning_rate": 0.03}}
    run["layers"] = [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]
    root = diagnose(Trainer(RunConfig.from_dict(run)).run(STEPS))[0]
    assert (root.code, root.cause, root.fix) == ("imbalanced_labels", "labels", None)


def test_mistakes_are_told_before_the_first_step():
    for code in (
        "loss_output_mismatch",
        "unreachable_target",
        "symmetric_init",
        "unscaled_inputs",
        "unscaled_targets",
        "unstable_learning_rate",
    ):
        run, _ = ROOTS[code][0]
        assert code in [finding.code for finding in diagnose(Trainer(run))]


def test_a_run_learned_by_heart_is_told_and_one_that_is_not_is_left_alone():
    noisy = {"samples": 120, "noise": 0.35, "test_fraction": 0.5}
    run = config("moons", (64, 64), "relu", rate=0.01, optimizer="adam", data=noisy, init={"weights": "he_normal"})
    found = {finding.code for finding in diagnose(Trainer(run).run(4000))}
    assert found <= {"overfitting"}
    clean = config("moons", (16,), rate=0.3)
    assert "overfitting" not in {finding.code for finding in diagnose(Trainer(clean).run(4000))}


def test_not_finished_is_a_note_and_no_warning():
    trainer = Trainer(config("spiral", (16, 16), rate=0.01)).run(1000)
    (note,) = diagnose(trainer)
    assert (note.code, note.severity) == ("slow_progress", "info")
    assert "at its pace" in note.title and Trainer(trainer.config.patched(note.fix)).run(1000).loss() < 0.5 * trainer.loss()
    assert report(trainer)["status"] == "healthy"


def test_two_mistakes_are_mended_by_one_fix():
    run = config("wine", (16,), "relu", init={"weights": "zeros"})
    findings = diagnose(Trainer(run).run(STEPS))
    assert {"symmetric_init", "unscaled_inputs"} <= {finding.code for finding in findings}
    assert Trainer(run.patched(findings[0].fix)).run(STEPS).evaluator.metric() > 0.95


def test_every_finding_of_every_detector_has_a_place_in_the_order():
    found = {finding.code for _, run, _ in CASES for finding in diagnose(Trainer(run).run(300))}
    assert found <= set(DETECTORS)


def finding(code, **more):
    values = {"severity": "warning", "step": 1, "layer": None, "cause": "learning_rate", "title": "T.", "advice": "A.", "fix": {"seed": 1}}
    return Finding(code, **{**values, **more})


def test_a_mistake_explains_the_symptoms_and_takes_the_severity_of_the_worst():
    mistake = finding("unscaled_inputs", cause="data_scaling", mistake=True, fix={"data": {"scaling": "standard"}})
    root, symptom, note = ranked([finding("nonfinite", severity="critical"), finding("slow_progress", severity="info"), mistake])
    assert (root.code, root.root, root.severity) == ("unscaled_inputs", True, "critical")
    assert (symptom.code, symptom.root, symptom.cause, symptom.fix) == ("nonfinite", False, "data_scaling", root.fix)
    assert note.code == "slow_progress"
    assert "root" not in root.to_dict() and "mistake" not in root.to_dict()


def test_notes_alone_have_no_root():
    assert [entry.root for entry in ranked([finding("slow_progress", severity="info")])] == [False]
    assert ranked([]) == []


def test_others_reach_what_there_is_to_reach():
    for source, neighbours, linear in (("xor", 0.9, 0.6), ("gaussian", 0.95, 1.01), ("hills", 0.8, 0.2)):
        seen = attainable(Trainer(config(source)).dataset)
        assert seen.neighbours > neighbours
        assert seen.linear < linear
    rng = np.random.default_rng(0)
    trainer = Trainer(config("circle"))
    object.__setattr__(trainer.dataset.train, "targets", rng.permutation(trainer.dataset.train.targets))
    assert attainable(trainer.dataset).best < 0.62


def test_a_linear_model_leaves_one_out_as_fitting_without_it_does():
    from sklearn.linear_model import Ridge

    from core.diagnosis.reference_models import RIDGE, _ridge

    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((30, 4))
    inputs -= inputs.mean(axis=0)
    targets = rng.standard_normal((30, 2))
    left_out = _ridge(inputs @ inputs.T, targets)
    for row in (0, 7, 29):
        others = np.delete(np.arange(30), row)
        mean = inputs[others].mean(axis=0)
        model = Ridge(RIDGE).fit(inputs[others] - mean, targets[others])
        assert left_out[row] == pytest.approx(model.predict(inputs[[row]] - mean)[0], rel=1e-9)
