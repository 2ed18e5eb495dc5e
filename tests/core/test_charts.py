"""The charts: figures are strict JSON, small, honest about what is not finite, and speak one language of colour."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import RunConfig
from core.snapshot.maker import SnapshotMaker
from core.snapshot.snapshot import Histogram
from core.training.telemetry import Event, NonFinite
from core.training.trainer import Trainer
from pages import wording
from pages.charts import ViewOptions, panels
from pages.charts.images import enlarged, png
from pages.charts.options import HISTOGRAMS
from pages.charts.style import THEMES, held, log_axis, mixed, number, packed, plain, power_text, round_up
from tests.figures import decoded_png, lines, unpacked
from tests.synthetic import curves, frames, snapshot

PANELS = ["network", "output", "loss", "gradients", "cause", "gauge", "histograms", "ratio", "units"]
OUTPUTS = {
    "two_classes": (2, 8, 8, 1),
    "classes": (2, 8, 4),
    "surface": (2, 8, 1),
    "confusion": (8, 8, 10),
    "predictions": (8, 6, 1),
    "pictures": (8, 5, 8),
}


def broken(**changes):
    """A run that went non-finite: NaN or infinity wherever a snapshot can hold one."""
    whole = snapshot(sizes=(2, 4, 1), unit=(1, 1))
    nan, bad = np.nan, np.array([np.inf, np.nan, -np.inf, 1.0])
    layers = tuple(
        dataclasses.replace(layer, weights=layer.weights * nan, biases=layer.biases * np.inf, mean=layer.mean * nan, map_scale=nan)
        for layer in whole.layers
    )
    recorded = dataclasses.replace(
        curves(4, 2),
        **{field.name: np.tile(bad[:, None], (1, 2)) for field in dataclasses.fields(whole.curves) if field.name not in ("step", "loss")},
        loss=bad,
        step=np.arange(1, 5),
    )
    empty = Histogram(0.0, 0.0, np.zeros(40), np.zeros((40, 0), np.uint8), np.zeros(0))
    fields = {
        "train_loss": nan,
        "test_loss": np.inf,
        "train_metric": nan,
        "curves": recorded,
        "frames": dataclasses.replace(frames(4), train_loss=np.full(5, nan), test_loss=np.full(5, np.inf)),
        "nonfinite": NonFinite(3, 1, "pre_activation"),
        "layers": layers,
        "histograms": {kind: (empty, empty) for kind in HISTOGRAMS},
        "output": dataclasses.replace(whole.output, values=whole.output.values * nan),
        "unit": dataclasses.replace(whole.unit, weights=whole.unit.weights * nan, map=whole.unit.map * nan, bias=nan, low=0.0, high=0.0),
        "step": 3,
    }
    return dataclasses.replace(whole, **fields | changes)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_panel_is_a_complete_strict_figure(kind, theme):
    options = ViewOptions(theme=theme, show_test=True, picked=(1, 1))
    figures = panels(snapshot(sizes=OUTPUTS[kind], output=kind, unit=(1, 1)), options)
    unit = [name for name in ("unit_map", "unit_weights", "unit_activations") if name != "unit_map" or kind in list(OUTPUTS)[:3]]
    assert list(figures) == [*PANELS[:2], *unit, *PANELS[2:]]
    for figure in figures.values():
        json.dumps(figure, allow_nan=False)
        layout = figure["layout"]
        assert layout["title"]["text"] and layout["height"] > 100
        assert figure["alt"].endswith(".") and len(figure["alt"]) > 25
        axes = [axis for name, axis in layout.items() if name[1:5] == "axis"]
        assert all(axis.get("title", {}).get("text") is not None for axis in axes if axis.get("visible", True))
        for trace in figure["data"]:
            assert "hovertemplate" in trace or trace["hoverinfo"] == "skip"
            assert trace["type"] != "scattergl"


def test_the_last_finite_output_stays_dimmed_in_place_of_one_that_is_not():
    trainer = Trainer(RunConfig())
    maker = SnapshotMaker(trainer)
    before = panels(maker.make("running", 0.0), ViewOptions())["output"]
    trainer.advance(1)
    trainer.network.vector[:] = np.nan
    after = panels(maker.make("nonfinite", 0.0), ViewOptions())["output"]
    assert after["data"][0]["z"] == before["data"][0]["z"]
    assert after["data"][0]["opacity"] < before["data"][0]["opacity"] == 1
    assert "Dimmed: step 0" in after["layout"]["annotations"][0]["text"] and "not finite any more" in after["alt"]


def test_numbers_are_written_in_one_style():
    values = {0.0312: "0.0312", 3930: "3,930", -1.46e201: "−1.46·10²⁰¹", 1e-5: "1·10⁻⁵", 5.73e21: "5.73·10²¹"}
    assert [wording.number(value) for value in values] == list(values.values())
    assert [wording.measured(value) for value in (1.0, 250, 0.25, None)] == ["1", "250", "0.2500", "–"]
    assert number(5.73e21) == "5.73·10²¹"
    assert wording.powers("the loss is 2.97e+22, and it began at 0.208") == "the loss is 2.97·10²², and it began at 0.208"
    assert wording.powers("5.2e+03 times its limit, 1e+05 before") == "5,200 times its limit, 1·10⁵ before"


def test_no_unit_panels_while_no_unit_is_picked():
    assert list(panels(snapshot(), ViewOptions())) == PANELS


@pytest.mark.parametrize("sizes", [(2, 8, 8, 1), (7, *[8] * 8, 1), (2, *[8] * 15, 1)])
def test_a_message_stays_small(sizes):
    figures = panels(snapshot(step=20_000, sizes=sizes, unit=(1, 1)), ViewOptions(show_test=True))
    assert sum(len(json.dumps(figure)) for figure in figures.values()) <= 300_000


@pytest.mark.parametrize("kind", HISTOGRAMS)
def test_what_is_not_finite_breaks_nothing(kind):
    figures = panels(broken(), ViewOptions(histogram=kind, picked=(1, 1)))
    for figure in figures.values():
        json.dumps(figure, allow_nan=False)
        for name, axis in figure["layout"].items():
            if name[1:5] == "axis" and "range" in axis:
                assert axis["range"][0] != axis["range"][1]
    assert "not finite" in figures["loss"]["alt"] and "not finite" in figures["output"]["alt"]
    assert figures["network"]["layout"]["shapes"][0]["path"] == "M0,0"  # no weight is left to draw


def test_the_step_of_the_first_nonfinite_value_is_marked_in_the_colour_of_trouble():
    theme = THEMES["light"]
    mark = lines(panels(broken(), ViewOptions())["loss"])["not finite"]
    assert mark["x"] == [3, 3] and mark["line"]["color"] == theme.trouble
    assert mark["text"][0] == "pre activation not finite"
    others = json.dumps(panels(snapshot(), ViewOptions()))
    assert theme.trouble not in others


def test_loss_has_gaps_where_it_was_not_finite():
    recorded = curves(100, 3)
    recorded.loss[20:30] = np.inf
    batch = lines(panels(snapshot(step=100, curves=recorded), ViewOptions())["loss"])["batch"]
    assert np.isnan(unpacked(batch["y"])[20:30]).all() and np.isfinite(unpacked(batch["y"])[30:]).all()
    assert "connectgaps" not in batch


def test_changes_are_marked_with_their_text():
    figure = panels(snapshot(events=(Event(40, "batch size 10 → 32"), Event(90, "<b>l2</b> 0 → 0.1"))), ViewOptions())["loss"]
    mark = lines(figure)["change"]
    assert mark["x"] == [40, 40, None, 90, 90, None] and mark["line"]["dash"] == "dot"
    assert mark["text"][:2] == ["batch size 10 → 32"] * 2 and "<b>" not in mark["text"][3]


def test_charts_say_what_to_press_until_there_is_something_to_see():
    before, after = panels(snapshot(step=0), ViewOptions(histogram="weights")), panels(snapshot(step=500), ViewOptions())
    for name in ("loss", "gradients", "ratio", "units"):
        assert "Press Play" in before[name]["layout"]["annotations"][0]["text"]
        assert not after[name]["layout"]["annotations"]


def test_each_layer_has_one_colour_in_all_charts():
    figures = panels(snapshot(sizes=(2, 8, 8, 8, 1)), ViewOptions())
    wanted = {name: trace["line"]["color"] for name, trace in lines(figures["gradients"]).items()}
    assert list(wanted) == ["1", "2", "3", "Output"] and len(set(wanted.values())) == 4
    for panel in ("ratio", "units"):
        assert {name: trace["line"]["color"] for name, trace in lines(figures[panel]).items()} == wanted
    ridges = [trace["line"]["color"] for trace in figures["histograms"]["data"] if trace["type"] == "scatter"]
    assert ridges == list(wanted.values())


def lightness(color):
    channels = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_colours_hold_without_colour_vision(theme):
    layers = [lightness(mixed(theme.layers, place)) for place in np.linspace(0, 1, 16)]
    assert all(later > earlier for earlier, later in itertools.pairwise(layers))  # ordered by lightness alone
    to_background = [abs(lightness(color) - lightness(theme.surface)) for color in theme.signed]
    assert to_background[0] > to_background[1] > to_background[2] < to_background[3] < to_background[4]
    for text in (theme.ink, theme.muted):
        light, dark = sorted((lightness(text), lightness(theme.surface)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, contrast of text


def test_mixed_reaches_its_stops():
    assert mixed(("#000000", "#ff0000", "#ffffff"), 0) == "#000000"
    assert mixed(("#000000", "#ff0000", "#ffffff"), 0.5) == "#ff0000"
    assert mixed(("#000000", "#ff0000", "#ffffff"), 1.5) == "#ffffff"
    assert mixed(("#000000", "#ffffff"), 0.25) == "#404040"


def test_packed_keeps_values_and_leaves_gaps():
    array = unpacked(packed([[1.5, np.nan], [np.inf, -np.inf]]))
    assert array.shape == (2, 2) and array[0, 0] == 1.5 and np.isnan(array.ravel()[1:]).all()
    assert unpacked(packed([1e300, -1e300])).tolist() == [np.finfo("f4").max, np.finfo("f4").min]
    assert unpacked(packed([1e300], "f8")) == 1e300
    assert unpacked(packed([3, 70_000], "i4")).tolist() == [3, 70_000]


@given(st.lists(st.floats(1e-290, 1e290), min_size=1, max_size=20))
def test_a_log_axis_holds_its_values_between_round_ends(values):
    axis, floor = log_axis(THEMES["light"], "loss", values)
    low, high = axis["range"]
    assert high >= np.log10(max(values)) - 1e-6 and high - low >= 1 - 1e-9
    inside = [value for value in values if value > 1e-20]
    assert floor <= min(inside, default=1e-20) * (1 + 1e-6)
    assert 2 <= len(axis["tickvals"]) <= 7 and len(axis["ticktext"]) == len(axis["tickvals"])
    assert all(any(abs(end - round(end - part) - part) < 1e-6 for part in np.log10([1, 2, 5])) for end in (low, high))


def test_log_axes_hold_zeros_on_their_lower_end():
    _, floor = log_axis(THEMES["light"], "norm", [0.0, 0.03, 4.0, np.nan, np.inf])
    assert floor == pytest.approx(0.01)
    assert held([0.0, 0.03, np.nan], floor).tolist()[:2] == [floor, 0.03]
    assert np.isnan(held([np.nan], floor)).all()
    assert log_axis(THEMES["light"], "norm", [0.0, np.nan])[0]["range"] == [-1, 0]
    assert log_axis(THEMES["light"], "norm", [5e-324, 1.7e308])[1] > 0


@given(st.floats(1e-6, 1e12))
def test_round_up_moves_in_few_steps(value):
    end = round_up(value)
    assert value * (1 - 1e-9) <= end <= 1.67 * value
    assert round_up(end) == pytest.approx(end)


@pytest.mark.parametrize(
    ("exponent", "text"), [(-8, "10⁻⁸"), (-2, "0.01"), (0, "1"), (3, "1000"), (12, "10¹²"), (np.log10(2e-5), "2·10⁻⁵")]
)
def test_power_text(exponent, text):
    assert power_text(exponent) == text


def test_names_from_files_are_shown_as_text():
    assert plain("<a href='x'>go</a>") == "&lt;a href='x'&gt;go&lt;/a&gt;"
    assert plain("x" * 80, 10) == "x" * 9 + "…"
    hostile = snapshot(output="confusion", sizes=(2, 3, 10), input_names=("<b>a</b>", "a & b"))
    assert "<b>a" not in json.dumps(panels(hostile, ViewOptions()))


def test_number_says_when_there_is_none():
    assert number(0.123456) == "0.1235" and number(np.nan) == number(np.inf) == number(None) == "not finite"


# Pictures


def test_png_gives_back_its_pixels():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (decoded_png(png(colors))[0] == colors).all()
    pixels, palette = decoded_png(png(colors[..., 0] % 4, [[9, 8, 7, 0], [1, 2, 3, 255], [0, 0, 0, 255], [255, 255, 255, 255]], level=6))
    assert (pixels == colors[..., 0] % 4).all() and palette[0].tolist() == [9, 8, 7, 0]


def test_enlarged_maps_stay_true():
    ramp = np.broadcast_to(np.arange(8.0), (1, 8, 8))
    large = enlarged(ramp, 40)
    assert large.shape == (1, 40, 40) and large.min() == 0 and large.max() == pytest.approx(7)
    assert (np.diff(large[0, 0]) >= -1e-5).all() and np.allclose(large[0], large[0, 0])
    assert np.allclose(enlarged(np.full((2, 1, 1), 3.0), 5), 3)


# With real runs

REAL = [
    {},
    {"data": {"source": "plane"}, "layers": [{"units": 20, "activation": "relu"}, {"units": 1, "activation": "linear"}]},
    {"data": {"source": "blobs"}},
    {"data": {"source": "iris", "scaling": "standard"}},
    {"data": {"source": "diabetes", "scaling": "standard"}},
    {"data": {"source": "photo_upscale", "samples": 20}},
    {"data": {"source": "spiral", "test_fraction": 0.0}},
]
EXPLODING = {"data": {"source": "plane"}, "layers": [{"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}]}


@pytest.mark.parametrize("config", REAL, ids=lambda config: config.get("data", {}).get("source", "default"))
def test_real_snapshots_are_drawn(config):
    trainer = Trainer(RunConfig.from_dict(config))
    maker = SnapshotMaker(trainer)
    for steps in (0, 1, 40):
        with np.errstate(all="ignore"):
            trainer.run(steps)
        one = maker.make("paused", 0.0, (1, 0))
        for kind in HISTOGRAMS:
            figures = panels(one, ViewOptions(histogram=kind, show_test=True, picked=(1, 0)))
            texts = [json.dumps(figure, allow_nan=False) for figure in figures.values()]
            assert set(PANELS) < set(figures) and sum(map(len, texts)) <= 300_000


def test_a_real_run_that_blows_up_is_drawn():
    trainer = Trainer(RunConfig.from_dict(EXPLODING | {"optimizer": {"learning_rate": 1e4}}))
    maker = SnapshotMaker(trainer)
    for _ in range(2):
        trainer.run(200)
        figures = panels(maker.make("nonfinite", 0.0, (1, 0)), ViewOptions(picked=(1, 0)))
        assert json.dumps(figures, allow_nan=False)
    assert lines(figures["loss"])["not finite"]["x"][0] == trainer.nonfinite.step
