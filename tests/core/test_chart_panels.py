"""The playground's panels: each shows what the snapshot holds."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from core.snapshot.snapshot import Histogram
from pages.charts import ViewOptions, panels
from pages.charts.style import THEMES
from tests.figures import decoded_png, unpacked
from tests.synthetic import snapshot

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
    assert ends == [100, 100, 1000, 1500, 1500, 100_000]


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
