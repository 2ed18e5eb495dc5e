"""Runs beside each other: what varies, where they part, and on which axis."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from core.config import RunConfig
from core.snapshot.maker import SnapshotMaker
from core.store import comparison
from core.store.comparison import history_csv, learned, parting, positions, start_alike, varying
from core.store.store import Store
from core.training.trainer import Trainer
from tests.core.stored_runs import SMALL, saved, trained


@pytest.fixture
def kept(tmp_path):
    store = Store(tmp_path)
    return lambda trainer, **details: store.load(saved(store, trainer, **details))


def test_only_settings_that_differ_vary():
    configs = [
        RunConfig.from_dict(SMALL | {"optimizer": {"learning_rate": rate}, "seed": seed}).to_dict() for rate, seed in ((1, 0), (2, 0))
    ]
    assert varying(configs) == {"optimizer.learning_rate": [1.0, 2.0]} and varying(configs[:1]) == {}
    configs[1]["layers"][0]["units"] = 9
    configs[1]["seed"] = 5
    third = configs[0] | {"seed": 6, "loss": "mse", "layers": [configs[0]["layers"][1]]}
    assert list(varying([*configs, third])) == ["units", "loss", "optimizer.learning_rate", "activations", "seed"]
    configs[1]["seed"] = 0
    assert varying(configs) == {"optimizer.learning_rate": [1.0, 2.0], "units": ["3-1", "9-1"]} and varying([]) == {}


def test_a_fork_parts_from_its_origin_at_the_first_sampled_update_that_it_makes_otherwise(kept):
    trainer = trained(40)
    origin = Trainer(trainer.config)
    origin.restore(trainer.checkpoint())
    trainer.change({"optimizer": {"learning_rate": 0.031}})
    fork, origin = kept(trainer.run(60), forked_at=40), kept(origin.run(60))
    sampled = fork.history["samples"][:, 0]
    found = parting(fork, origin)
    assert found.step == sampled[sampled > 40][0] and found.last == sampled[-1]
    assert parting(origin, origin).step is None


def test_a_different_seed_parts_at_once(kept):
    one, other = kept(trained(50)), kept(trained(50, seed=1))
    assert not start_alike(one.config, other.config) and parting(one, other).step == 1
    assert start_alike(one.config, kept(trained(1, loss="mse")).config)


def test_runs_that_break_alike_do_not_part(kept):
    values = {"data": {"source": "hills"}, "layers": [{"units": 3}, {"units": 1, "activation": "linear"}], "loss": "mse"}
    values["optimizer"] = {"learning_rate": 90.0}
    one, other = (kept(trained(300, **values), status="nonfinite") for _ in range(2))
    assert np.isnan(one.history["samples"]).any() and parting(one, other).step is None


def test_epochs_are_exact_where_batches_were_cut_anew(kept):
    trainer = trained(30)  # 3 batches an epoch
    trainer.change({"batch_size": 5})  # 6 from now on
    run = kept(trainer.run(60))
    assert positions(run, [0, 15, 30, 60, 90], "epoch").tolist() == [0, 5, 10, 15, 20] == [0, 5, 10, 15, trainer.epoch]
    assert positions(run, [0, 45, 90], "time").tolist() == [0, 0.5, 1.0] and positions(run, [7], "step").tolist() == [7]


def test_what_a_small_network_has_learned_is_looked_at_and_a_large_one_is_not(kept, monkeypatch):
    trainer = trained(50)
    shown = SnapshotMaker(trainer).make("paused", 0.0).output
    assert np.array_equal(learned(kept(trainer)).values, shown.values)
    table = trained(5, data={"source": "iris"}, layers=[{"units": 3, "activation": "softmax"}], loss="categorical_cross_entropy")
    assert learned(kept(table)).train.sum() == len(table.dataset.train)
    monkeypatch.setattr(comparison, "LARGEST", 10)
    assert learned(kept(trainer)) is None


def test_the_history_as_csv_is_the_telemetry(kept):
    trainer = trained(200)
    table = pd.read_csv(io.StringIO(history_csv(kept(trainer)))).set_index("step")
    assert table.index.is_monotonic_increasing and {"test_accuracy", "layer_2_gradient_norm"} <= set(table.columns)
    sampled = table.loc[trainer.telemetry.step.astype(int)]
    assert np.allclose(sampled["batch_loss"], trainer.telemetry.loss, rtol=1e-15)
    assert np.allclose(sampled[["layer_1_dead", "layer_2_dead"]], trainer.telemetry.metric("dead"), rtol=1e-15)
    assert table["train_loss"].dropna().iloc[-1] == pytest.approx(trainer.loss(), rel=1e-15)


def test_a_run_without_a_history_has_an_empty_table(kept):
    run = dataclasses.replace(kept(trained(5)), history={}, moments=())
    text = history_csv(run)
    assert text.startswith("step,train_loss") and text.count("\n") == 1 and "layer_2_dead" in text
    assert learned(run) is None
