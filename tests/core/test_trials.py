"""Remedies that are tried: candidates that can run, and a ranking by what they reached."""

import dataclasses
import itertools
import json
import math

import pytest

from core.__main__ import main
from core.config import RunConfig
from core.diagnosis import diagnose
from core.diagnosis.finding import Finding
from core.diagnosis.trials import AS_IT_IS, CANDIDATES, Trial, candidates, try_fixes
from core.presets import PRESETS
from core.training.trainer import Trainer


def network(source, units, hidden, output, rate, **values):
    layers = [*({"units": count, "activation": hidden} for count in units), {"units": 1, "activation": output}]
    return RunConfig.from_dict({"data": {"source": source}, "layers": layers, "optimizer": {"learning_rate": rate}, **values})


BROKEN = {
    "nonfinite": network("hills", (8, 8), "tanh", "linear", 1.0),
    "diverged": network("hills", (8, 8), "relu", "linear", 1.0),
    "vanishing_gradients": network("circle", (8,) * 7, "sigmoid", "sigmoid", 0.1),
}


def finding(fix, code="diverged"):
    return Finding(code, "critical", 10, None, "learning_rate", "", "", fix=fix)


def patched(config, found):
    return [config.patched(candidate.patch) for candidate in found]


@pytest.mark.parametrize("name", PRESETS)
def test_candidates_can_run_and_differ(name):
    config = PRESETS[name].config
    found = candidates(config, [])
    assert 3 <= len(found) <= CANDIDATES
    configs = [config, *patched(config, found)]
    assert all(ours != theirs for ours, theirs in itertools.combinations(configs, 2))
    titles = [candidate.title for candidate in found]
    assert len(set(titles)) == len(titles)


def test_the_findings_own_fixes_come_first_and_once():
    config = RunConfig.from_dict({"optimizer": {"learning_rate": 1.0}})
    fixes = [{"optimizer": {"learning_rate": 0.1}}, {"init": {"weights": "he_normal"}}, None, {"optimizer": {"learning_rate": 0.1}}]
    found = candidates(config, [finding(fix) for fix in fixes])
    assert [candidate.patch for candidate in found[:2]] == fixes[:2]
    assert [rate.optimizer.learning_rate for rate in patched(config, found)].count(0.1) == 1


def test_fixes_that_are_refused_or_do_nothing_are_left_out():
    config = RunConfig()
    found = candidates(config, [finding({"optimizer": {"learning_rate": -1}}), finding({"loss": config.loss}), finding({"nonsense": 1})])
    assert [candidate.patch for candidate in found] == [candidate.patch for candidate in candidates(config, [])]


def test_the_forecasts_limit_is_tried():
    @dataclasses.dataclass
    class Limit:
        largest_stable_rate: float

    config = RunConfig.from_dict({"optimizer": {"learning_rate": 1.0}})
    assert candidates(config, [], Limit(0.042))[0].title == "Learning rate 0.04"
    assert "Learning rate 2" not in [candidate.title for candidate in candidates(config, [], Limit(2.0))]


def test_a_pair_that_does_not_fit_gets_one_that_does():
    layers = [{"units": 8, "activation": "relu"}, {"units": 3, "activation": "linear"}]
    config = RunConfig.from_dict({"data": {"source": "blobs"}, "layers": layers, "loss": "mse"})
    found = [other for other in patched(config, candidates(config, [])) if other.loss != "mse"]
    assert [(other.layers[-1].activation, other.loss) for other in found] == [("softmax", "categorical_cross_entropy")]


def test_what_is_too_slow_is_also_tried_faster():
    config = RunConfig.from_dict({"optimizer": {"learning_rate": 1e-5}})
    assert candidates(config, [finding(None, "slow_progress")])[0].title == "Learning rate 0.0001"


@pytest.mark.parametrize("code", BROKEN)
def test_the_best_trial_mends_a_broken_run(code):
    config = BROKEN[code]
    findings = diagnose(Trainer(config).run(1500))
    assert code in [finding.code for finding in findings]
    trials = try_fixes(config, candidates(config, findings)[:5], 1500)
    best, worst = trials[0], next(trial for trial in trials if trial.title == AS_IT_IS.title)
    assert best.mended and best.status == "healthy" and not worst.mended
    again = Trainer(config.patched(best.patch)).run(1500)
    assert again.loss() == best.loss and again.evaluator.metric("test") == best.metric
    assert best.relative_loss < 0.9


def test_a_run_that_breaks_is_never_ranked_above_one_that_does_not():
    good = Trial("", {}, 100, 0.5, 0.9, 0.5, "warning", ("plateau",), False)
    order = [
        dataclasses.replace(good, metric=0.904, status="healthy", findings=(), relative_loss=0.3),
        dataclasses.replace(good, metric=0.901, status="healthy", findings=(), relative_loss=0.4),
        dataclasses.replace(good, metric=0.904, relative_loss=0.1),
        good,
        dataclasses.replace(good, relative_loss=math.nan),
        dataclasses.replace(good, metric=math.nan),
        dataclasses.replace(good, metric=1.0, status="diverged"),
        dataclasses.replace(good, metric=math.nan, relative_loss=math.inf, status="nonfinite"),
    ]
    assert sorted(reversed(order), key=lambda trial: trial.rank) == order


def test_losses_of_different_kinds_are_compared_by_what_a_constant_reaches():
    base = {"data": {"source": "circle"}, "optimizer": {"learning_rate": 1e-6}}
    for loss, activation in (("mse", "sigmoid"), ("mse", "tanh"), ("binary_cross_entropy", "sigmoid"), ("hinge", "linear")):
        layers = [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": activation}]
        values = {**base, "layers": layers, "loss": loss, "init": {"weights": "zeros"}, "penalty": {"l2": 0.0}}
        (trial,) = try_fixes(RunConfig.from_dict(values), [], 5)
        assert trial.relative_loss == pytest.approx(1, abs=0.02), (loss, activation)


def test_a_candidate_that_does_not_fit_the_data_is_left_out():
    found = candidates(RunConfig(), [finding({"batch_size": 5}), finding({"data": {"source": "file", "path": "/nowhere.csv"}})])[:2]
    assert len(found) == 2
    assert {trial.title for trial in try_fixes(RunConfig(), found, 50)} == {"As it is", "Batches of 5"}


def test_progress_rises_to_one_and_cancelling_leaves_what_there_is():
    found = candidates(RunConfig(), [])[:3]
    told = []
    trials = try_fixes(RunConfig(), found, 600, progress=lambda share, trials: told.append((share, len(trials))))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == 1 and len(told) > 8
    assert told[-1][1] == len(trials) == 4
    assert all(trial.steps == 600 for trial in trials)
    some = try_fixes(RunConfig(), found, 600, progress=lambda share, trials: told.append((share, trials)), cancelled=lambda: told[-1][1])
    assert len(some) < 4


def test_each_trial_is_bounded_in_time():
    trials = try_fixes(RunConfig(), candidates(RunConfig(), [])[:2], 10**8, seconds=0.05)
    assert len(trials) == 3 and all(0 < trial.steps < 10**8 for trial in trials)


def test_live_changes_begin_at_the_last_healthy_state_and_others_at_step_0():
    config = RunConfig()
    healthy = Trainer(config).run(400)
    start = healthy.checkpoint()
    too_fast = config.patched({"optimizer": {"learning_rate": 3.0}, "batch_size": 20})
    found = candidates(too_fast, [finding({"optimizer": {"learning_rate": 0.03}}), finding({"init": {"weights": "he_normal"}})])[:2]
    trials = {trial.title: trial for trial in try_fixes(too_fast, found, 700, start=start)}

    alone = Trainer(config).run(400)
    alone.change({"batch_size": 20})
    alone.run(300)
    assert trials["Learning rate 0.03"].loss == alone.loss() and trials["Learning rate 0.03"].steps == 700
    anew = Trainer(too_fast.patched({"init": {"weights": "he_normal"}})).run(700)
    assert trials["He normal weights to begin with"].loss == anew.loss()


def test_the_report_has_the_trials_in_strict_json(capfd, tmp_path):
    file = tmp_path / "run.json"
    reports = {}
    for name, config in (("broken", BROKEN["nonfinite"]), ("healthy", RunConfig())):
        file.write_text(json.dumps(config.to_dict()))
        assert main(["train", str(file), "--steps", "300", "--try-fixes"]) == 0
        reports[name] = json.loads(capfd.readouterr().out, parse_constant=lambda text: pytest.fail(text))
    trials = reports["broken"]["trials"]
    assert all(set(trial) == {"title", "patch", "loss", "metric", "status", "mended"} for trial in trials)
    unchanged = next(trial for trial in trials if trial["title"] == "As it is")
    assert trials[0]["mended"] and not unchanged["mended"]
    assert (unchanged["patch"], unchanged["loss"], unchanged["metric"], unchanged["status"]) == ({}, None, None, "nonfinite")
    assert reports["healthy"]["trials"] == []
