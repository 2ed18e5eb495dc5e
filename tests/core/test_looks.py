"""What is found depends on the steps alone, not on who looked when; and no warning goes by itself."""

import gc
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cases import CASES
from core.config import RunConfig
from core.data.sources import SOURCES
from core.diagnosis import diagnose
from core.diagnosis.evidence import Evidence
from core.presets import PRESETS
from core.training.cost_model import FEWEST, EvaluationSchedule
from core.training.evaluation import LOOKED_AT
from core.training.trainer import Trainer

SLOW = ("photo", "photo_upscale", "photo_ten", "upscale", "ten_images")  # milliseconds an update, and more a look
RUNS = {f"preset {name}": preset.config for name, preset in PRESETS.items()}
DEFAULTS = {f"source {name}": RunConfig.from_dict({"data": {"source": name}}) for name in SOURCES if name != "file"}
OF_CASES = {f"case {case.name} {name}": case.variant(name).config for case in CASES.values() for name in ("as_posted", "mended")}


def slow(name):
    return any(word in name for word in SLOW)


def findings(name, trainer):
    """What is found; without a forecast where that takes seconds."""
    return diagnose(trainer, (lambda trainer: None) if slow(name) else None)


def looked_at(name, looks, last):
    """{step: findings} at each of the steps `last` that is reached; on the way looked at after each of `looks` updates, in turn."""
    trainer, found = Trainer((RUNS | OF_CASES)[name]), {}
    for looks_after in itertools.cycle(looks):
        due = min(last, key=lambda step: (step <= trainer.step, step))
        trainer.advance(min(looks_after, due - trainer.step)).frame()
        said = [finding.to_dict() for finding in findings(name, trainer)]
        if trainer.nonfinite or trainer.step == due:
            found[trainer.step] = said
        if trainer.nonfinite or trainer.step == max(last):
            return found


@pytest.mark.parametrize("name", RUNS | OF_CASES)
def test_findings_depend_on_the_steps_alone(name):
    last = (10, 30) if slow(name) else (300, 1000, 3000)
    once = looked_at(name, [max(last)], last)
    often = looked_at(name, [5 if slow(name) else 10], last)
    at_random = looked_at(name, np.random.default_rng(0).integers(1, max(last) // 3, 100).tolist(), last)
    np.testing.assert_equal(often, once)  # NaN equals NaN here
    np.testing.assert_equal(at_random, once)


@pytest.mark.parametrize("name", RUNS | DEFAULTS)
def test_no_warning_goes_by_itself(name):
    trainer, shown = Trainer((RUNS | DEFAULTS)[name]), []
    last = 60 if slow(name) else 40_000
    while trainer.step < last and not trainer.nonfinite:
        trainer.advance(max(1, trainer.step // 40, last // (20 if slow(name) else 400))).frame()
        shown.append({finding.code for finding in findings(name, trainer) if finding.severity != "info"})
    gone = [before - now for before, now in itertools.pairwise(shown) if before - now]
    assert gone == [] or (trainer.nonfinite and gone == [{"diverged"}])  # to which the first number that is not finite succeeds


@pytest.mark.parametrize("seed", range(5))
def test_the_opening_run_is_never_warned_of(seed):
    trainer = Trainer(PRESETS["spiral"].config.patched({"seed": seed}))
    while trainer.step < 40_000:
        trainer.advance(100 + trainer.step // 50).frame()
        assert [finding.title for finding in diagnose(trainer) if finding.severity != "info"] == []


@settings(max_examples=15)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_the_histories_hold_the_same_whatever_the_looks(chunks):
    trainer, unseen = Trainer(PRESETS["spiral"].config), Trainer(PRESETS["spiral"].config)
    for chunk in chunks:
        trainer.advance(chunk).frame()
    unseen.advance(sum(chunks)).frame()
    for name, rows in unseen.telemetry.to_arrays().items():
        np.testing.assert_array_equal(trainer.telemetry.to_arrays()[name], rows)


def test_a_run_from_the_store_forgets_its_last_look_as_the_run_itself_does():
    live = Trainer(PRESETS["spiral"].config).run(1001)
    again = Trainer(live.config)
    again.restore(live.checkpoint())
    for trainer in (live, again):
        trainer.advance(500).frame()
    np.testing.assert_array_equal(live.telemetry.frames("step"), again.telemetry.frames("step"))
    assert 1001 not in live.telemetry.frames("step") and live.telemetry.frames("step")[-1] == 1501


def test_what_is_not_known_is_no_alarm():
    trainer = Trainer(PRESETS["spiral"].config).advance(2000)
    trainer.telemetry._frames.rows = trainer.telemetry._frames.rows[:: len(trainer.telemetry._frames.rows) - 1].copy()  # two are left
    evidence = Evidence(trainer)
    assert evidence.progress.creeping and evidence.progress.lately_better and not evidence.progress.poor
    assert {finding.severity for finding in diagnose(trainer)} <= {"info"}


@given(st.integers(1, 5000), st.integers(0, 16), st.integers(1, FEWEST), st.integers(0, 10**7))
def test_the_schedule_is_dense_enough_to_judge_by_and_ends_evenly(cost, exponent, begin, step):
    schedule = EvaluationSchedule(cost, 2**exponent, begin)
    due = schedule.first_from(step)
    following = schedule.first_from(due + 1)
    assert due >= step and schedule.first_from(due) == due
    assert 1 <= following - due <= min(2**exponent, max(begin, due // FEWEST))
    if due >= 16 * 2**exponent:
        assert following - due == 2**exponent


def test_large_data_is_looked_at_in_part_and_evaluated_whole():
    config = RunConfig.from_dict({"data": {"source": "circle", "samples": 3 * LOOKED_AT, "test_fraction": 0.0}})
    trainer = Trainer(config).run(1)
    seen = trainer.telemetry.frames("train_loss")[-1], trainer.telemetry.frames("train_metric")[-1]
    assert seen == trainer.evaluator.evaluate(most=LOOKED_AT) != trainer.evaluator.evaluate()
    np.testing.assert_allclose(seen, trainer.evaluator.evaluate(), rtol=0.05)
    hills = Trainer(RunConfig.from_dict({"data": {"source": "hills", "samples": 2 * LOOKED_AT, "test_fraction": 0.5}})).run(200)
    assert hills.telemetry.frames("train_metric")[-1] == hills.evaluator.metric()  # each part is looked at whole


def test_looking_leaves_nothing_behind():
    trainer = Trainer(PRESETS["spiral"].config).run(300)
    for _ in range(3):
        diagnose(trainer)
    gc.collect()
    assert not [held for held in gc.get_objects() if isinstance(held, Evidence)]
