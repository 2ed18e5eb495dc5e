"""Sweeps: every point is the run that `core train` makes, is made once, and is not lost when the sweep is killed."""

import json
import sys

import pytest

from core.__main__ import main
from core.config import RunConfig
from core.experiments.sweep import STEPS, Sweep
from core.experiments.sweep_results import Results, best, report
from core.experiments.sweep_runs import sweep_runs
from core.limits import ConfigError
from core.store.store import Store

BASE = {"data": {"source": "circle", "samples": 60}, "layers": [{"units": 2, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]}


def sweep_of(steps=20, base=BASE, **values):
    return Sweep.from_dict({"base": base, "steps": steps, **values})


def made(sweep, results=None, **options):
    """(results as they come, the report) of a sweep in this process."""
    results = results or Results()
    found = list(sweep_runs(sweep, results, processes=1, **options))
    return found, report(sweep, results.known)


def test_points_are_the_grid_times_draws_times_seeds_and_the_same_ones_each_time():
    values = {
        "base": BASE,
        "grid": {"layers.0.units": [2, 3], "optimizer": [{"name": "adam"}, {"name": "sgd", "momentum": 0.5}]},
        "random": {
            "optimizer.learning_rate": {"low": 1e-4, "high": 1, "log": True},
            "batch_size": {"low": 3, "high": 4},
            "layers.0.dropout": {"low": 0, "high": 0.5},
        },
        "draws": 40,
        "seeds": [7, 8, 7],
    }
    sweep = Sweep.from_dict(values)
    assert len(sweep.points) == 2 * 2 * 40 * 2 and sweep.steps == STEPS
    configs = [point.config for point in sweep.points]
    assert {config.seed for config in configs} == {7, 8} and {config.batch_size for config in configs} == {3, 4}
    rates = [config.optimizer.learning_rate for config in configs]
    assert min(rates) >= 1e-4 and max(rates) <= 1
    assert 0.3 < sum(rate < 1e-2 for rate in rates) / len(rates) < 0.7  # even on the logarithmic axis
    assert all(config.optimizer.momentum == (0.5 if config.optimizer.name == "sgd" else 0.9) for config in configs)
    assert len({config.layers[0].dropout for config in configs}) == 40
    assert [point.key(9) for point in Sweep.from_dict(values).points] == [point.key(9) for point in sweep.points]
    assert len({point.key(9) for point in sweep.points}) == len(sweep.points)


def test_what_the_base_leaves_open_follows_the_data_and_parts_that_are_not_there_are_made():
    sweep = Sweep.from_dict({"grid": {"data.source": ["iris", "circle", "sine"]}})
    assert [point.config.layers[-1].units for point in sweep.points] == [3, 1, 1]
    assert sweep.points[2].config.loss == "mse"
    (point,) = Sweep.from_dict({"grid": {"stop.patience": [3], "layers.0.init.scale": [2.0], "layers.1.activation": ["sigmoid"]}}).points
    assert point.config.stop.patience == 3 and point.config.layers[0].init.scale == 2.0
    assert Sweep.from_dict({"base": {"seed": 5}, "seeds": 2}).points[1].seed == 6


@pytest.mark.parametrize(("values", "field", "said"), [
    ([], "sweep", "must be an object"),
    ({"grid": [1]}, "grid", "must be an object"),
    ({"gird": {}}, "gird", "is not a field of a sweep"),
    ({"grid": {"batch_size": []}}, "grid.batch_size", "at least one value"),
    ({"grid": {"batch_size": 3}}, "grid.batch_size", "at least one value"),
    ({"grid": {"": [1]}}, "grid", "1 to 100 characters"),
    ({"grid": {"a." * 9000: [1]}}, "grid", "1 to 100 characters"),
    ({"grid": {"seed": [1]}}, "grid.seed", "`seeds`"),
    ({"grid": {"optimizer.learning_rat": [1]}}, "optimizer.learning_rat", "is not a field here"),
    ({"grid": {"layers.2.units": [1]}}, "layers.2.units", "one of 2 layers"),
    ({"grid": {"loss.name": ["mse"]}}, "loss.name", "has no parts"),
    ({"grid": {"batch_size": [0, -1]}}, "batch_size", "no point of the sweep is valid"),
    ({"random": {"loss": {"low": 0, "high": 1}}}, "random.loss", "a setting that is a number"),
    ({"random": {"layers.0.activation": {"low": 0, "high": 1}}}, "random.layers.0.activation", "a setting that is a number"),
    ({"random": {"optimizer.learning_rate": [0, 1]}}, "random.optimizer.learning_rate", "low, high"),
    ({"random": {"optimizer.learning_rate": {"low": 0, "high": 1, "log": True}}}, "random.optimizer.learning_rate.low", "above 0"),
    ({"random": {"optimizer.learning_rate": {"low": 2, "high": 1}}}, "random.optimizer.learning_rate.high", "above low"),
    ({"random": {"optimizer.learning_rate": {"low": 0, "high": float("inf")}}}, "random.optimizer.learning_rate.high", "a number"),
    ({"random": {"batch_size": {"low": 1.5, "high": 3}}}, "random.batch_size.low", "whole number"),
    ({"random": {"batch_size": {"low": 1, "high": 3}}, "grid": {"batch_size": [1]}}, "random.batch_size", "in the grid, too"),
    ({"seeds": 0}, "seeds", "from 1"),
    ({"seeds": ["a"]}, "seeds[0]", "whole number"),
    ({"steps": 0}, "steps", "from 1"),
    ({"halving": 1}, "halving", "from 2"),
    ({"grid": {"batch_size": list(range(1, 400)), "layers.0.units": list(range(1, 400))}}, "sweep", "at most 100,000 runs"),
    ({"random": {"batch_size": {"low": 1, "high": 3}}, "draws": 10**9}, "draws", "from 1 to 100,000"),
    ({"base": {"loss": "msr"}}, "loss", "must be one of"),
])  # fmt: skip
def test_a_sweep_that_is_wrong_is_refused_in_a_sentence(values, field, said):
    with pytest.raises(ConfigError) as refused:
        Sweep.from_dict(values)
    assert refused.value.field == field and said in refused.value.message


def test_runs_are_those_of_core_train_and_a_bad_point_is_an_entry(tmp_path, capsys):
    sweep = sweep_of(grid={"optimizer.learning_rate": [0.1, 100], "layers.0.units": [2, -1]}, seeds=[3])
    found, answer = made(sweep)
    assert len(found) == len(answer["runs"]) == 4
    for run in answer["runs"]:
        if run["settings"]["layers.0.units"] == -1:
            assert run["status"] == "invalid" and run["metric"] is run["id"] is None
            assert run["error"]["field"] == "layers[0].units" and "was -1" in run["error"]["message"]
            continue
        config = RunConfig.from_dict(BASE | {"optimizer": {"learning_rate": run["settings"]["optimizer.learning_rate"]}, "seed": 3})
        (tmp_path / "run.json").write_text(json.dumps(config.to_dict()))
        assert main(["train", str(tmp_path / "run.json"), "--steps", "20"]) == 0
        trained = json.loads(capsys.readouterr().out)
        assert (run["status"], run["metric"], run["steps"]) == (trained["status"], trained["metric"]["test"], trained["steps"])
        assert (run["loss"], run["test_loss"]) == (trained["loss"]["final"], trained["loss"]["test"])


def test_the_best_settings_are_those_of_the_highest_mean_over_seeds():
    sweep = sweep_of(grid={"batch_size": [1, 2, 3]}, seeds=2)
    metrics = {1: (1.0, 0.2), 2: (0.7, 0.8), 3: (0.9, None)}
    known = {
        point.key(20): {"key": "", "settings": point.settings, "metric": metrics[point.config.batch_size][point.seed], "loss": 1.0}
        | {"test_loss": None, "seed": point.seed, "id": f"{point.config.batch_size} {point.seed}"}
        for point in sweep.points
    }
    top = best(sweep, known)
    assert (top["settings"], top["seed"], top["id"], top["seeds"]) == ({"batch_size": 2}, 1, "2 1", 2)
    assert top["mean"] == pytest.approx(0.75) and top["spread"] == pytest.approx(0.0707, abs=1e-4)
    assert best(sweep, {}) is None


def test_halving_trains_fewer_and_fewer_for_longer_and_longer():
    sweep = sweep_of(steps=90, grid={"optimizer.learning_rate": [0.001 * 2**k for k in range(9)]}, seeds=2, halving=3)
    assert sweep.rungs == [(9, 10), (3, 30), (1, 90)] and sweep.total == 26
    found, answer = made(sweep)
    assert sorted(result["steps"] for result in found) == [10] * 18 + [30] * 6 + [90] * 2
    assert sorted(run["steps"] for run in answer["runs"]) == [10] * 12 + [30] * 4 + [90] * 2
    assert answer["best"]["steps"] == 90 and len({run["id"] for run in answer["runs"]}) == 18
    rung = {r["settings"]["optimizer.learning_rate"]: [] for r in found if r["steps"] == 30}
    dropped = [r for r in found if r["steps"] == 10 and r["settings"]["optimizer.learning_rate"] not in rung]
    went_on = [r for r in found if r["steps"] == 10 and r["settings"]["optimizer.learning_rate"] in rung]
    assert sum(r["metric"] for r in went_on) / len(went_on) >= sum(r["metric"] for r in dropped) / len(dropped)


def test_a_sweep_goes_on_where_it_was_killed_and_its_runs_are_kept_once(tmp_path):
    store, path = Store(tmp_path / "store"), tmp_path / "out.jsonl"
    sweep = sweep_of(grid={"layers.0.units": [1, 2, 3]}, seeds=2)
    with Results(path, sweep.values) as results:
        coming = sweep_runs(sweep, results, store.save, processes=1)
        for _ in range(3):
            next(coming)
        with pytest.raises(ConfigError, match="another sweep"):
            Results(path, sweep.values)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:25])  # killed while it wrote the third, which is in the store already
    assert len(Results.read(path).known) == 2
    saved = []
    with Results(path, sweep.values) as results:
        _, answer = made(sweep, results, save=lambda record: saved.append(record.id) or store.save(record))
    assert len(saved) == 4 and len(path.read_text().splitlines()) == 7
    table = store.table()
    assert sorted(table["id"]) == sorted(run["id"] for run in answer["runs"])
    run = answer["runs"][0]
    stored = store.load(run["id"])
    assert stored.step == 20 and len(stored.history["frames"]) > 1 and stored.name == "Sweep: layers.0.units 1"
    assert stored.trainer().evaluator.metric("test") == run["metric"]


@pytest.mark.parametrize(("text", "said"), [
    (b"my notes", "something else"),
    (b"my notes\n", "something else"),
    (b"[1]\n", "something else"),
    (b'{"descent_sweep": 2, "token": "a"}\n', "something else"),
    (b'{"descent_sweep": 1, "token": "a"}\n{"key": 1}\n', "line 2"),
    (b'{"descent_sweep": 1, "token": "a"}\n\xff\n', "line 2"),
    (b'{"descent_sweep": 1, "token": "a"}\n' + b"[" * 9000 + b"\n", "line 2"),
])  # fmt: skip
def test_a_file_of_something_else_is_left_alone(tmp_path, text, said):
    path = tmp_path / "out.jsonl"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=said):
        Results(path)
    assert path.read_bytes() == text


def test_a_run_that_cannot_be_made_is_an_entry_and_is_tried_again(tmp_path):
    data = {"source": "file", "path": str(tmp_path / "data.csv"), "target": "y"}
    sweep = sweep_of(base=BASE | {"data": data})
    with Results(tmp_path / "out.jsonl", sweep.values) as results:
        _, answer = made(sweep, results)
    assert answer["runs"][0]["status"] == "error" and answer["runs"][0]["error"]["field"] == "data.path" and answer["best"] is None
    (tmp_path / "data.csv").write_text("x1,x2,y\n" + "1,0,a\n0,1,b\n" * 20)
    store = Store(tmp_path / "store")
    with Results(tmp_path / "out.jsonl", sweep.values) as results:
        _, answer = made(
            sweep, results, save=store.save, upload=lambda path: store.keep_upload("data.csv", (tmp_path / "data.csv").read_bytes())
        )
    assert answer["runs"][0]["status"] != "error" and answer["best"]["spread"] is None
    assert store.load(answer["best"]["id"]).file[0] == "data.csv"


def test_the_command_trains_in_processes_keeps_the_runs_and_prints_strict_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "store"))
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"base": BASE, "grid": {"layers.0.units": [1, 2]}, "steps": 20}))
    assert main(["sweep", str(path), "--json", "--keep"]) == 0
    answer = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert set(answer) == {"runs", "best"} and set(answer["runs"][0]) >= {"settings", "seed", "status", "metric", "id"}
    assert sorted(Store(tmp_path / "store").table()["id"]) == sorted(run["id"] for run in answer["runs"])
    _, here = made(sweep_of(grid={"layers.0.units": [1, 2]}))
    assert [run | {"id": None} for run in answer["runs"]] == [run | {"id": None} for run in here["runs"]]


def test_the_command_refuses_in_a_sentence(tmp_path, capsys, monkeypatch):
    path = tmp_path / "sweep.json"
    path.write_text('{"grid": {"batch_size": [0]}}')
    assert main(["sweep", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "batch_size"
    path.write_text('{"steps": 1}')
    assert main(["sweep", str(path), "--out", str(tmp_path / "missing" / "out.jsonl")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["sweep", str(path), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "requirements-scale.txt" in capsys.readouterr().err
