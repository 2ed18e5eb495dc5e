"""The charts of kept runs: every run has its number and colour everywhere, and whatever a run holds can be drawn."""

import json

import numpy as np
import pytest

from core.store.comparison import AXES, learned, positions
from core.store.store import Store
from pages.charts.runs import COLORS, MOST, Line, parallel, run_panels
from pages.charts.style import THEMES
from tests.core.stored_runs import saved, trained
from tests.figures import unpacked

TABLE = {"data": {"source": "iris"}, "layers": [{"units": 3, "activation": "softmax"}], "loss": "categorical_cross_entropy"}
SURFACE = {"data": {"source": "hills"}, "layers": [{"units": 3}, {"units": 1, "activation": "linear"}], "loss": "mse"}


@pytest.fixture
def lines(tmp_path):
    store = Store(tmp_path)

    def drawn(*trainers, axis="step"):
        runs = [store.load(saved(store, trainer)) for trainer in trainers]
        return [
            Line(f"Run <b>{run.step}</b>", run.history["samples"], run.history["frames"], *_at(run, axis), learned(run)) for run in runs
        ]

    return drawn


def _at(run, axis):
    return [positions(run, run.history[name][:, 0], axis) for name in ("samples", "frames")]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_runs_of_all_kinds_are_drawn_over_one_another(lines, axis, theme, logarithmic):
    trainers = trained(200), trained(50, **TABLE), trained(80, **SURFACE)
    panels = run_panels(lines(*trainers, axis=axis), axis, logarithmic, theme)
    json.dumps(panels, allow_nan=False)
    assert list(panels) == ["half_losses", "half_norms", "unit_learned_1", "unit_learned_2", "unit_learned_3"]
    for name, panel in panels.items():
        assert panel["alt"] and panel["layout"]["title"]["text"], name
        assert not any("Run <b>" in trace.get("hovertemplate", "") for trace in panel["data"]), name
    for name in ("half_losses", "half_norms"):
        layout = panels[name]["layout"]
        assert layout["xaxis"]["title"]["text"].startswith(("step", "epoch", "time in training (s)")) and layout["yaxis"]["type"] == "log"
        assert layout["xaxis"].get("type", "linear") == ("log" if logarithmic else "linear")
        for place, color in zip(range(3), COLORS[theme]):
            *own, end = [trace for trace in panels[name]["data"] if trace["name"].startswith(f"{place + 1} ")]
            assert end["textfont"]["color"] == color
            assert {trace["line"]["color"] for trace in own} == {color}
            assert [trace["line"]["dash"] for trace in own] == (["solid", "dash"] if name == "half_losses" else ["solid"])
        assert [trace["text"] for trace in panels[name]["data"] if trace["mode"] == "text"] == [[f"<b>{n}</b>"] for n in (1, 2, 3)]


def test_the_curves_are_the_histories(lines):
    trainer = trained(300)
    panels = run_panels(lines(trainer, axis="epoch"), "epoch", False, "light")
    train, test = (trace for trace in panels["half_losses"]["data"] if trace["mode"] == "lines")
    assert np.allclose(unpacked(train["x"]), trainer.telemetry.frames("step") / len(trainer.batches))
    assert np.allclose(unpacked(train["y"]), trainer.telemetry.frames("train_loss")) and len(unpacked(test["y"])) > 5
    (norms,) = (trace for trace in panels["half_norms"]["data"] if trace["mode"] == "lines")
    whole = np.linalg.norm(trainer.telemetry.metric("gradient_norm"), axis=1)
    assert unpacked(norms["y"]).max() == pytest.approx(whole.max(), rel=1e-6) and unpacked(norms["y"])[-1] == pytest.approx(whole[-1])


def test_runs_that_broke_or_have_no_history_are_drawn(lines):
    broken = trained(0, **SURFACE | {"optimizer": {"learning_rate": 90.0}}).advance(300)
    broken.telemetry._frames.drop_after(0)  # nothing was evaluated before it broke, as of a run of an older version
    empty = Line("Figures only", np.empty((0, 9)), np.empty((0, 5)), np.empty(0), np.empty(0))
    panels = run_panels([*lines(broken), empty], "step", True, "dark")
    json.dumps(panels, allow_nan=False)
    assert "unit_learned_2" not in panels
    drawn = [trace for trace in panels["half_losses"]["data"] if trace["mode"] == "lines"]
    assert len(unpacked(drawn[0]["y"])) > 3 and "batch" in drawn[0]["hovertemplate"]
    nothing = run_panels([empty], "time", False, "light")
    assert nothing["half_losses"]["layout"]["annotations"][0]["text"].startswith("Nothing was recorded")


def test_a_run_that_blew_up_leaves_room_for_the_others(lines):
    broken = trained(0, **SURFACE | {"optimizer": {"learning_rate": 90.0}}).advance(300)
    panel = run_panels(lines(broken, trained(200)), "step", False, "light")["half_losses"]
    low, high = panel["layout"]["yaxis"]["range"]
    assert high - low < 8 and max(unpacked(panel["data"][0]["y"])) > 1e50
    assert all(10.0**low <= trace["y"][0] <= 10.0**high for trace in panel["data"] if trace["mode"] == "text")


@pytest.mark.parametrize("theme", THEMES)
def test_parallel_coordinates_show_every_run(theme):
    rates, names = [0.001, 0.1, 10.0], ["Adam", "SGD", "Adam"]
    results = {"final loss": np.array([0.5, 0.01, np.nan]), "accuracy": np.array([0.5, 1.0, 0.6])}
    panel = parallel({"Learning rate": rates, "Optimizer": names, "Seed": [1, 2, 3]}, results, theme)
    json.dumps(panel, allow_nan=False)
    (lines,) = panel["data"]
    dimensions = {dimension["label"]: dimension for dimension in lines["dimensions"]}
    assert unpacked(dimensions["Learning rate"]["values"]).tolist() == [-3, -1, 1]
    assert dimensions["Learning rate"]["ticktext"][0] == "10⁻³"
    assert dimensions["Optimizer"]["values"] == [0, 1, 0] and dimensions["Optimizer"]["ticktext"] == ["Adam", "SGD"]
    assert unpacked(dimensions["Seed"]["values"]).tolist() == [1, 2, 3] and dimensions["Seed"]["range"] == [1, 3]
    loss = dimensions["final loss"]
    assert unpacked(loss["values"])[2] == loss["range"][1] > unpacked(loss["values"])[:2].max() and loss["ticktext"][-1] == "none"
    assert "Learning rate 0.1" in panel["alt"]
    assert [color for _, color in lines["line"]["colorscale"]][::2] == list(COLORS[theme][:3])


def test_many_runs_are_coloured_by_their_loss():
    many = MOST + 10
    losses = np.linspace(1, 2, many)
    panel = parallel({"Units": [str(n) for n in range(many)]}, {"final loss": losses, "R²": np.full(many, np.nan)}, "light")
    json.dumps(panel, allow_nan=False)
    assert np.allclose(unpacked(panel["data"][0]["line"]["color"]), losses, rtol=1e-6)
