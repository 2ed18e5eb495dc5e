"""The charts: figures are strict JSON, small, honest about what is not finite, and speak one language of colour."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import RunConfig
from core.training.snapshot import Histogram
from core.training.snapshot_maker import SnapshotMaker
from core.training.telemetry import Event, NonFinite
from core.training.trainer import Trainer
from pages.charts import ViewOptions, panels
from pages.charts.images import enlarged, png
from pages.charts.options import HISTOGRAMS
from pages.charts.style import THEMES, held, log_axis, mixed, number, packed, plain, power_text, round_up
from tests.synthetic import curves, frames, snapshot

PANELS = ["network", "output", "loss", "gradients", "histograms", "ratio", "units"]
OUTPUTS = {
    "two_classes": (2, 8, 8, 1),
    "classes": (2, 8, 4),
    "surface": (2, 8, 1),
    "confusion": (8, 8, 10),
    "predictions": (8, 6, 1),
    "pictures": (8, 5, 8),
}
DTYPES = {"f4": "<f4", "f8": "<f8", "i4": "<i4", "u1": "u1"}


def unpacked(spec):
    array = np.frombuffer(base64.b64decode(spec["bdata"]), DTYPES[spec["dtype"]])
    return array.reshape([int(side) for side in spec["shape"].split(", ")]) if "shape" in spec else array


def decoded_png(uri):
    """Pixels, and the palette (n, 4) or None, of a PNG whose rows are filtered by difference to the row above."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height, _, color, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    pixels = rows[:, 1:].cumsum(axis=0, dtype=np.uint8).reshape((height, width, 3) if color == 2 else (height, width))
    if color == 2:
        return pixels, None
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return pixels, np.column_stack([palette, np.frombuffer(chunks[b"tRNS"], np.uint8)])


def lines(figure):
    return {trace["name"]: trace for trace in figure["data"] if trace.get("name") and trace.get("showlegend", True)}


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
    assert theme.trouble not in others and theme.warning not in others


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
    assert floor == pytest.approx(0.02)
    assert held([0.0, 0.03, np.nan], floor).tolist()[:2] == [floor, 0.03]
    assert np.isnan(held([np.nan], floor)).all()
    assert log_axis(THEMES["light"], "norm", [0.0, np.nan])[0]["range"] == [-1, 0]
    assert log_axis(THEMES["light"], "norm", [5e-324, 1.7e308])[1] > 0


@given(st.floats(1e-6, 1e12))
def test_round_up_moves_in_few_steps(value):
    end = round_up(value)
    assert value * (1 - 1e-9) <= end <= 1.5 * value * (1 + 1e-9) or end <= value * 1.5000001
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


# Network


def test_every_weight_is_an_edge_coloured_by_its_sign_and_as_wide_as_it_is_large():
    one = snapshot(sizes=(2, 3, 1))
    first, second = one.layers
    weights = np.array([[3.0, -3.0, 0.1], [-0.1, 1.5, 0.0]], np.float32)
    one = dataclasses.replace(
        one, layers=(dataclasses.replace(first, weights=weights), dataclasses.replace(second, weights=np.zeros((3, 1))))
    )
    theme = THEMES["light"]
    shapes = panels(one, ViewOptions())["network"]["layout"]["shapes"]
    count = {(shape["line"]["color"], shape["line"]["width"]): shape["path"].count("L") for shape in shapes}
    orange, blue = theme.signed[0], theme.signed[-1]
    widest = max(width for _, width in count)
    assert count[orange, widest] == count[blue, widest] == 1
    assert sum(count.values()) == 5  # a weight of zero is no edge


def test_units_can_be_told_apart_by_a_click_and_the_picked_one_is_outlined():
    one = snapshot()
    figure = panels(one, ViewOptions(picked=(2, 3)))["network"]
    markers = figure["data"][0]
    assert unpacked(markers["customdata"]).tolist() == [[0, 0], [0, 1], *([1, k] for k in range(8)), *([2, k] for k in range(8)), [3, 0]]
    assert markers["hovertext"][0] == "input x₁" and markers["hovertext"][2].startswith("<b>unit 1 of layer 1</b><br>bias ")
    plain_figure = panels(one, ViewOptions())["network"]
    sources = [[image["source"] for image in drawn["layout"]["images"]] for drawn in (figure, plain_figure)]
    assert [mine == other for mine, other in zip(*sources)] == [True, True, False, True]
    (pixels, palette), (unpicked, _) = decoded_png(sources[0][2]), decoded_png(sources[1][2])
    top = round(unpacked(markers["y"])[2 + 8 + 3])
    changed = np.flatnonzero((pixels != unpicked).any(axis=1))
    assert abs(changed.mean() - top) < 3
    assert bytes(palette[pixels[changed[0], 0]][:3]).hex() == THEMES["light"].ink[1:]


def test_unit_maps_lie_the_right_way_up():
    one = snapshot(sizes=(2, 2, 1))
    first = one.layers[0]
    bottom_blue = np.full((2, 16, 16), -127, np.int8)
    bottom_blue[:, :8] = 127  # rows begin at low x2
    one = dataclasses.replace(one, layers=(dataclasses.replace(first, maps=bottom_blue), one.layers[1]))
    pixels, palette = decoded_png(panels(one, ViewOptions())["network"]["layout"]["images"][1]["source"])
    tile = palette[pixels[np.flatnonzero(pixels.any(axis=1))[0] :][: pixels.shape[1]]]
    upper, lower = tile[5, 5], tile[-6, 5]
    assert lower[2] > lower[0] and upper[0] > upper[2]  # blue below, orange above


def test_hidden_units_are_counted():
    one = snapshot(output="confusion", sizes=(4, 8, 10))
    layers = (dataclasses.replace(one.layers[0], units=32), one.layers[1])
    figure = panels(dataclasses.replace(one, inputs=64, layers=layers), ViewOptions())["network"]
    assert {"+24 more", "+60 more"} < set(figure["data"][-1]["text"])
    assert "64 inputs" in figure["alt"] and "32 tanh" in figure["alt"]


# Output


def test_hard_edges_leave_two_values():
    one = snapshot()
    values = np.linspace(-1, 1, one.output.values.size).reshape(one.output.values.shape)
    one = dataclasses.replace(one, output=dataclasses.replace(one.output, values=values))
    z = unpacked(panels(one, ViewOptions(hard_edges=True))["output"]["data"][0]["z"])
    assert set(np.unique(z)) == {-1.0, 1.0} and ((z > 0) == (values > 0)).all()
    assert np.allclose(unpacked(panels(one, ViewOptions())["output"]["data"][0]["z"]), values)


def test_classes_show_the_winner_and_its_confidence():
    one = snapshot(output="classes", sizes=(2, 6, 3))
    heat = panels(one, ViewOptions())["output"]["data"][0]
    z, detail = unpacked(heat["z"]), unpacked(heat["customdata"])
    assert (np.floor(z) == one.output.winner).all() and (detail[..., 0] == one.output.winner).all()
    sure, unsure = one.output.values > 0.99, one.output.values < 0.5
    assert (z % 1)[sure].min() > (z % 1)[unsure].max()
    places = [place for place, _ in heat["colorscale"]]
    assert places == sorted(places) and places[0] == 0 and places[-1] == 1
    assert (unpacked(panels(one, ViewOptions(hard_edges=True))["output"]["data"][0]["z"]) % 1).min() > 0.99


def test_test_samples_are_drawn_when_asked_for_and_samples_stand_still():
    one, later = snapshot(step=100), snapshot(step=5000)
    without, with_test = (panels(one, ViewOptions(show_test=shown))["output"]["layout"] for shown in (False, True))
    assert without["images"] != with_test["images"]
    assert "test" in with_test["legend"]["title"]["text"] and "test" not in without["legend"]["title"]["text"]
    assert panels(later, ViewOptions(show_test=True))["output"]["layout"]["images"] == with_test["images"]


def test_a_sample_lies_where_it_is():
    one = snapshot(samples=1)
    output = dataclasses.replace(one.output, train=dataclasses.replace(one.output.train, xy=np.array([[3.0, 6.0]], np.float32)))
    picture, _ = decoded_png(panels(dataclasses.replace(one, output=output), ViewOptions())["output"]["layout"]["images"][0]["source"])
    y, x = np.nonzero(picture)
    assert abs(x.mean() / picture.shape[1] - 0.75) < 0.01 and y.max() < 0.03 * picture.shape[0]


def test_a_surface_is_shown_on_the_scale_of_its_targets():
    heat = panels(snapshot(output="surface", sizes=(2, 4, 1)), ViewOptions())["output"]["data"][0]
    assert (heat["zmin"], heat["zmax"]) == (-2.0, 2.0) and "colorbar" in heat


def test_confusion_counts():
    one = snapshot(output="confusion", sizes=(4, 6, 10))
    for shown, part in ((False, "train"), (True, "test")):
        figure = panels(one, ViewOptions(show_test=shown))["output"]
        assert figure["data"][0]["text"] == getattr(one.output, part).tolist() and part in figure["layout"]["title"]["text"]
        assert np.allclose(unpacked(figure["data"][0]["z"]).sum(axis=1), 1)
    never = dataclasses.replace(one.output, test=0 * one.output.test)
    assert "train" in panels(dataclasses.replace(one, output=never), ViewOptions(show_test=True))["output"]["layout"]["title"]["text"]


def test_predictions_lie_about_a_diagonal():
    one = snapshot(output="predictions", sizes=(4, 6, 1))
    diagonal, train, test = panels(one, ViewOptions(show_test=True))["output"]["data"]
    assert diagonal["x"] == diagonal["y"]
    assert np.allclose(unpacked(train["x"]), one.output.train_true) and np.allclose(unpacked(test["y"]), one.output.test_predicted)
    assert diagonal["x"][0] < min(unpacked(train["x"]).min(), unpacked(train["y"]).min())


def test_pictures_are_shown_as_they_are():
    one = snapshot(output="pictures", sizes=(8, 5, 8))
    images = panels(one, ViewOptions())["output"]["layout"]["images"]
    shown = [decoded_png(image["source"])[0] for image in images]
    assert all((mine == real).all() for mine, real in zip(shown, itertools.chain(*one.output.rows), strict=True))
    assert [image["x"] for image in images[:3]] == [0.5, 1.5, 2.5] and images[0]["y"] < images[3]["y"]


# Curves and histograms


def test_ratio_names_its_healthy_band():
    band, aim = panels(snapshot(), ViewOptions())["ratio"]["layout"]["shapes"]
    assert (band["y0"], band["y1"], aim["y0"]) == (1e-4, 1e-1, 1e-3) and band["label"]["text"] == "healthy 10⁻⁴ to 0.1"
    low, high = panels(snapshot(step=0), ViewOptions())["ratio"]["layout"]["yaxis"]["range"]
    assert low <= -4 and high >= -1


def test_dead_is_solid_saturated_dotted_in_percent():
    one = snapshot(step=20_000, sizes=(2, 4, 1))
    figure = panels(one, ViewOptions())["units"]
    dead, saturated = ([trace for trace in figure["data"] if (trace["line"].get("dash") == "dot") is dotted] for dotted in (False, True))
    assert unpacked(dead[1]["y"])[-1] == pytest.approx(100 * one.curves.dead[-1, 1])
    assert unpacked(saturated[0]["y"])[-1] == pytest.approx(100 * one.curves.saturated[-1, 0])
    assert [trace["name"] for trace in saturated] == [trace["name"] for trace in dead]  # one switch for both
    assert figure["keys"] == [("dead", "solid"), ("saturated", "dot")]
    assert "100% are dead" in figure["alt"] and "70% saturated" in figure["alt"]


def test_step_axes_only_grow():
    ends = [panels(snapshot(step=step), ViewOptions())["loss"]["layout"]["xaxis"]["range"][1] for step in (0, 90, 1000, 1001, 1400, 70_000)]
    assert ends == [100, 100, 1000, 1500, 1500, 80_000]


def test_layers_lie_one_above_the_other_each_as_high_as_its_fullest_bin():
    one = snapshot(sizes=(2, 4, 4, 1))
    figure = panels(one, ViewOptions())["histograms"]
    for place, trace in zip((2, 1, 0), figure["data"]):
        y = unpacked(trace["y"])
        assert y.min() == place and place + 0.8 < y.max() < place + 1
    counts = unpacked(figure["data"][0]["customdata"])
    assert counts.max() == one.histograms["weights"][0].counts.max()
    assert figure["layout"]["yaxis"]["ticktext"] == ["Output", "2", "1"]


def test_history_shows_the_last_picture_recorded_by_each_step():
    columns = np.array([[10, 200], [250, 30]], np.uint8)
    history = Histogram(-1.0, 1.0, np.array([1, 2]), columns, np.array([0, 600]))
    one = snapshot(step=1000, sizes=(2, 4, 1))
    one = dataclasses.replace(one, histograms=one.histograms | {"weights": (one.histograms["weights"][0], history)})
    figure = panels(one, ViewOptions(histogram_layer=2))["histograms"]
    heat = figure["data"][-1]
    z = unpacked(heat["z"])
    steps = heat["x0"] + heat["dx"] * np.arange(z.shape[1])
    assert figure["layout"]["xaxis2"]["range"] == [0, 600]
    assert (z[:, steps < 590] == columns[:, :1]).all() and (z[:, -1] == columns[:, 1]).all()


def test_the_layer_over_time_is_one_there_is():
    figure = panels(snapshot(sizes=(2, 4, 1)), ViewOptions(histogram_layer=9))["histograms"]
    assert "layer 2" in figure["alt"]


def test_a_unit_shows_its_largest_weights_and_its_bias():
    one = snapshot(output="confusion", sizes=(40, 6, 3), unit=(1, 2))
    bars = panels(one, ViewOptions())["unit_weights"]["data"][0]
    shown = unpacked(bars["x"])
    assert len(shown) == 13 and bars["text"][-1] == "bias" and shown[-1] == pytest.approx(one.unit.bias)
    assert (np.diff(np.abs(shown[:-1])) <= 0).all() and np.abs(shown[0]) == pytest.approx(np.abs(one.unit.weights).max())


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
