"""What earlier versions left on the disk still opens: run files, a store and a checkpoint, before and after a metric is added.

tests/files/version_1 was written by the last version whose histories did not name their columns: `circle` was changed on its way and
starred, `fork` goes on from its step 120, `exploded` has findings, `deleted` was deleted. checkpoint.npz is of `circle`.
"""

import dataclasses
import shutil
import sys

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.live import checkpoint
from core.snapshot.maker import SnapshotMaker
from core.store import archive
from core.store.comparison import history_table, parting
from core.store.store import Store
from core.training import layer_metrics, observer, telemetry
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer
from tests.core.stored_runs import FILES, restored, saved, trained

STEPS = {"circle": 240, "fork": 240, "exploded": 4, "deleted": 60}


@pytest.fixture(params=["as it is", "with another metric"])
def version(request, monkeypatch):
    """The names of the metrics of this version, and of one to come, which has another one in the middle of its table."""
    if request.param == "with another metric":
        names, rows = telemetry.LAYER_METRICS, list(layer_metrics.MEASURES.items())
        measures = dict([*rows[:2], ("twice_the_norm", lambda layer: 2 * layer.weight_norm), *rows[2:]])
        for module in list(sys.modules.values()):
            if getattr(module, "LAYER_METRICS", None) is names:
                monkeypatch.setattr(module, "LAYER_METRICS", tuple(measures))
        monkeypatch.setattr(observer, "MEASURES", measures)
    return telemetry.LAYER_METRICS


@pytest.fixture
def store(tmp_path):
    shutil.copy(FILES / "runs.db", tmp_path)
    return Store(tmp_path)


def goes_on(trainer, metrics):
    """Assert that it is measured on, and that what was measured before stayed in its place."""
    before, count = trainer.telemetry, len(trainer.telemetry.step)
    assert np.isfinite(before.metric("weight_norm")).all() and (before.metric("weight_norm") > 0).all()
    end = trainer.step + 40
    trainer.run(40)
    assert trainer.step == end and trainer.telemetry.frames("step")[-1] == end
    for name in metrics:
        rows = trainer.telemetry.metric(name)
        assert np.isfinite(rows[count:]).all() and len(rows) > count
        assert np.isnan(rows[:count]).all() == (name not in telemetry.UNNAMED["layer_metrics"]), name
    assert diagnose(trainer) == [] and SnapshotMaker(trainer, lambda trainer: None).make("paused", 0.0).frames.step[-1] == end


def test_a_store_opens_with_all_its_runs(store, version):
    assert store.warning is None and store.path.name == "runs.db"
    table = store.table().set_index("id")
    assert table["step"].to_dict() == {id: step for id, step in STEPS.items() if id != "deleted"}
    assert (table.loc["circle", "name"], table.loc["circle", "note"], bool(table.loc["circle", "starred"])) == ("Circle", "A note.", True)
    assert "unstable_learning_rate" in table.loc["exploded", "findings"]
    store.undelete(["deleted"])
    for id, step in STEPS.items():
        run = store.load(id)
        assert run.moments[-1].step == run.step == step and restored(run).step == step
    for id in ("circle", "fork", "deleted"):
        goes_on(restored(store.load(id)), version)


def test_a_stored_run_goes_on_and_is_stored_again(store, version):
    run = store.load("circle")
    trainer = restored(run)
    recorder = FlightRecorder(trainer, moments=run.moments, interventions=run.interventions)
    assert recorder.at(150).step == 120 and recorder.interventions[0].method == "change"
    saved(store, trainer.run(60), "circle", interventions=recorder.interventions)
    again = store.load("circle")
    assert again.step == 300 and len(again.moments) == len(run.moments) + 1
    assert tuple(again.history["layer_metrics"]) == version
    table, before = (history_table(found).set_index("step") for found in (again, run))
    before = before.loc[:239]  # the evaluation at the end was there until the next one
    assert table.loc[before.index].equals(before) and not table[f"layer_1_{version[2]}"].loc[241:].dropna().empty


def test_histories_of_two_versions_are_compared_by_what_both_know(store):
    run, other = (store.load(saved(store, trained(60, seed=seed))) for seed in (1, 2))
    history = run.history | {"layer_metrics": np.array([*run.history["layer_metrics"][:-1], "unheard of"])}
    earlier = dataclasses.replace(run, history=telemetry.in_present_columns(history))
    assert np.isnan(earlier.history["samples"]).any() and not np.isnan(run.history["samples"]).any()
    assert parting(run, earlier).step is None and parting(earlier, run).last > 50
    assert parting(earlier, other).step == parting(run, other).step == 1


@pytest.mark.parametrize("name", ["circle", "exploded"])
def test_a_run_file_comes_in(name, store, version):
    id = archive.import_run(store, archive.read((FILES / f"{name}.descent").read_bytes()))
    ours, stored = store.load(id), store.load(name)
    assert history_table(ours).equals(history_table(stored)) and parting(ours, stored).step is None
    assert (ours.step, ours.findings, ours.interventions) == (STEPS[name], stored.findings, stored.interventions)
    if name == "circle":
        goes_on(restored(ours), version)
    again = archive.read(archive.export(ours))
    assert history_table(again).equals(history_table(ours)) and tuple(again.history["layer_metrics"]) == version


def test_a_checkpoint_is_restored(store, version):
    trainer = Trainer(RunConfig.from_dict(store.load("circle").config))
    trainer.restore(checkpoint.load(FILES / "checkpoint.npz"))
    goes_on(trainer, version)


def test_a_metric_that_is_no_more_is_left_out(store):
    history = store.load("circle").history
    before = telemetry.Telemetry(2)
    before.load_arrays(history | {"layer_metrics": np.array([*history["layer_metrics"][:-1], "unheard of"])})
    assert np.isnan(before.metric("saturated")).all() and before.to_arrays()["samples"].shape == history["samples"].shape
    assert np.array_equal(before.metric("weight_norm").ravel(), history["samples"][:, [3, 10]].ravel())
