"""The live run's past: looking back at it, and going on from there. Everything here runs real processes."""

import dataclasses

import numpy as np
import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.presets import PRESETS
from core.training.trainer import Trainer
from tests.core import live_runs
from tests.core.live_runs import ADAM, MODEST, blown_up, restored, same_bits, stand, until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)


def differences(ours, theirs, path=""):
    """Where two snapshots, or parts of them, are not the same to the bit."""
    if dataclasses.is_dataclass(ours) and dataclasses.is_dataclass(theirs):
        for field in dataclasses.fields(ours):
            yield from differences(getattr(ours, field.name), getattr(theirs, field.name), f"{path}.{field.name}")
    elif isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, tuple) and isinstance(theirs, tuple) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{path}[{index}]")
    elif not (np.array_equal(ours, theirs, equal_nan=True) if isinstance(ours, np.ndarray) else ours == theirs or ours != ours):
        yield path


# What belongs to the whole run, what only a look back has, and what depends on when the run was looked at
WHOLE = (".curves", ".frames", ".events", ".histograms", ".kept_steps", ".healthy_step", ".moment", ".influence", ".forecast")


@pytest.mark.parametrize("config", [RunConfig(), ADAM, MODEST], ids=["default", "adam", "regression"])
def test_a_moment_is_seen_as_it_was(start, config):
    run = start(config)
    seen = {0: run.snapshot((1, 2))}
    for step in (1, 40, 700, 1111):
        stand(run, step)
        seen[step] = run.snapshot((1, 2))
    stand(run, 3000)
    now = run.snapshot()
    for step, then in reversed(seen.items()):
        past = run.snapshot((1, 2), at=step)
        assert past.moment == past.step == step
        assert not [path for path in differences(past, then) if not path.startswith(WHOLE)]
        assert not [path for path in differences(past.histograms["gradients"], then.histograms["gradients"]) if ".counts" in path]
        assert [path for path in differences(past, now)]
        assert not list(differences(past.curves, now.curves))
        for kind, layers in now.histograms.items():
            for ours, theirs, old in zip(past.histograms[kind], layers, then.histograms[kind]):
                assert np.array_equal(ours.over_time, theirs.over_time)
                assert ours.counts.sum() == old.counts.sum()
    assert run.snapshot(at=3000).moment is None


def test_a_look_back_shows_a_changed_run_as_it_was(start):
    run = start()
    stand(run, 50)
    run.change({"batch_size": 33})
    run.edit(1, 0, 0, 2.0)
    edited = run.snapshot()
    stand(run, 500)
    assert run.snapshot(at=49).config["batch_size"] == 10
    past = run.snapshot(at=50)
    assert past.config["batch_size"] == 33
    assert past.layers[0].weights[0, 0] == edited.layers[0].weights[0, 0] == 2.0
    assert len(past.events) == 2


def test_looking_back_leaves_the_run_alone(start, settings):
    run = start(ADAM)
    stand(run, 300)
    for at in (0, 17, 299, 120):
        assert run.snapshot(at=at).step == at
        assert run.snapshot().step == 300
    stand(run, 400)
    same_bits(restored(settings, ADAM, 400).parameters(), Trainer(ADAM).run(400).parameters())


FORKS = [
    {},
    {"optimizer": {"name": "adam", "schedule": {"name": "warmup", "steps": 200}}, "batch_size": 33},
    {"optimizer": {"name": "momentum", "schedule": {"name": "cosine", "steps": 300}}, "dtype": "float32"},
    {"optimizer": {"name": "rmsprop", "learning_rate": 0.001}, "penalty": {"l1": 1e-4}, "dtype": "float32", "batch_size": 7},
    {"optimizer": {"name": "adagrad", "schedule": {"name": "exponential", "steps": 100}}, "clip_norm": 0.5},
    {"optimizer": {"name": "nesterov"}, "batch_size": None},
]


@pytest.mark.parametrize("values", FORKS)
def test_a_fork_with_nothing_changed_is_the_run_again(start, settings, values):
    config = RunConfig.from_dict(values)
    run = start(config)
    stand(run, 400)
    assert run.fork(137) == config
    forked = run.snapshot()
    assert (forked.step, forked.status) == (137, "paused")
    assert forked.curves.step[-1] <= 137 and forked.frames.step[-1] <= 137 and max(forked.kept_steps) <= 137
    stand(run, 450)
    same_bits(restored(settings, config, 450).parameters(), Trainer(config).run(450).parameters())


def test_a_fork_goes_on_with_changed_settings(start, settings):
    run = start()
    stand(run, 400)
    config = run.fork(100, {"optimizer": {"learning_rate": 0.3}, "batch_size": 40})
    assert config == run.config and config.optimizer.learning_rate == 0.3
    assert {event.step for event in run.snapshot().events} == {100}
    stand(run, 200)
    alone = Trainer(RunConfig()).run(100)
    alone.change({"optimizer": {"learning_rate": 0.3}, "batch_size": 40})
    same_bits(restored(settings, RunConfig(), 200).parameters(), alone.run(100).parameters())
    past = run.snapshot(at=150)
    assert past.step == 150 and past.config == config.to_dict()


def test_a_fork_that_needs_a_new_run_is_one(start):
    run = start()
    stand(run, 100)
    run.change({"optimizer": {"learning_rate": 0.3}})
    stand(run, 200)
    patch = {"layers": [{"units": 4, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}]}
    config = run.fork(99, patch)
    assert config == run.config == RunConfig().patched(patch)
    now = run.snapshot()
    assert (now.step, now.status, now.config) == (0, "paused", config.to_dict())


def test_a_refused_fork_leaves_the_run_alone(start):
    run = start()
    stand(run, 100)
    for patch in ({"optimizer": {"learning_rate": -1}}, {"data": {"source": "file", "path": "/nowhere.csv"}}, {"units": 3}):
        with pytest.raises(ConfigError):
            run.fork(50, patch)
        assert run.snapshot().step == 100 and run.config == RunConfig()


def test_a_run_that_broke_is_taken_back_to_health(start):
    run = start(MODEST)
    broken = blown_up(run)
    step, layer, _ = broken.first_crossing
    assert 2000 < step <= broken.nonfinite.step and 1 <= layer <= 3
    assert broken.healthy_step in broken.kept_steps and broken.healthy_step < step
    assert broken.influence.batch == len(broken.influence.samples) == 10

    healthy = run.snapshot(at=broken.healthy_step)
    assert healthy.moment == broken.healthy_step
    assert not [finding for finding in healthy.findings if finding.severity == "critical"]
    assert healthy.train_loss < 0.5 * run.snapshot(at=0).train_loss
    assert (healthy.nonfinite, healthy.first_crossing, healthy.healthy_step) == (
        broken.nonfinite,
        broken.first_crossing,
        broken.healthy_step,
    )

    run.fork(broken.healthy_step, {"optimizer": {"learning_rate": 0.005}})
    now = run.snapshot()
    assert (now.status, now.nonfinite, now.healthy_step, now.influence) == ("paused", None, None, None)
    stand(run, 3000)
    assert run.snapshot().train_loss < 0.5 * run.snapshot(at=0).train_loss


@pytest.mark.parametrize("name", ["explosion", "divergence", "dying"])
def test_the_last_healthy_step_is_no_worse_than_the_start(start, name):
    run = start(PRESETS[name].config)
    run.play()
    until(lambda: (now := run.snapshot()).healthy_step is not None and (now.status == "nonfinite" or now.step > 3000))
    run.pause()
    broken = run.snapshot()
    begun, healthy = run.snapshot(at=0), run.snapshot(at=broken.healthy_step)
    assert healthy.step == broken.healthy_step and healthy.train_loss <= 1.05 * begun.train_loss
    assert max(broken.kept_steps) <= broken.step  # nothing is kept from behind the first number that was not finite


def test_of_a_run_that_had_learned_the_last_healthy_step_is_near_its_best(start):
    run = start(MODEST)
    broken = blown_up(run)
    lowest = broken.frames.train_loss[broken.frames.step <= broken.healthy_step].min()
    assert broken.healthy_step > 1000 and run.snapshot(at=broken.healthy_step).train_loss <= 2 * lowest
    run.fork(broken.healthy_step)
    assert run.snapshot().step == broken.healthy_step


def test_a_broken_run_forked_where_it_stands_breaks_again(start):
    run = start(MODEST)
    broken = blown_up(run)
    run.fork(broken.step)
    assert run.snapshot().status == "paused"
    run.play()
    again = until(lambda: (now := run.snapshot()).status == "nonfinite" and now)
    assert again.nonfinite == broken.nonfinite


def test_the_last_healthy_state_stays_while_the_run_goes_on(start):
    run = start(MODEST)
    stand(run, 1500)
    run.change({"optimizer": {"learning_rate": 1.0}})
    run.play()
    troubled = until(lambda: (now := run.snapshot()).findings and now.findings[0].severity == "critical" and now)
    until(lambda: run.snapshot().step > 3 * troubled.step or run.snapshot().status == "nonfinite")
    assert run.snapshot().healthy_step is not None
    assert troubled.healthy_step in run.snapshot().kept_steps


def test_a_healthy_run_has_nothing_to_go_back_for(start):
    run = start()
    stand(run, 500)
    now = run.snapshot()
    assert (now.healthy_step, now.moment, now.influence, now.first_crossing) == (None, None, None, None)
    assert now.kept_steps[0] == 0


def test_a_reset_or_another_run_has_no_past(start):
    run = start()
    for begin_anew in (run.reset, run.new_seed):
        stand(run, 200)
        begin_anew()
        assert run.snapshot().kept_steps == (0,)
        assert run.snapshot(at=100).step == 0
