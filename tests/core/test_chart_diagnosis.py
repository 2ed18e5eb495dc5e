"""The panels that look ahead and back: the map of layers over time, the gauge, and what carries the gradient."""

import dataclasses

import numpy as np
import pytest

from core.diagnosis.forecast import Forecast
from core.snapshot.snapshot import GaugeHistory, Influence
from pages.charts import ViewOptions, panels
from pages.charts.output import influence_text
from pages.charts.style import THEMES
from tests.figures import unpacked
from tests.synthetic import curves, snapshot

TOLD = Forecast(4.0, 0.0, 100, None, 0.2, 0.5, "stable", 256, 0.5)
SGD = {"optimizer": {"name": "sgd"}, "layers": [{"units": 8, "activation": "tanh"}, {"units": 1, "activation": "linear"}]}


def drawn(name, options=None, **changes):
    return panels(snapshot(**changes), options or ViewOptions())[name]


# Layers over time


def test_the_map_shows_each_layers_peaks_where_they_were():
    recorded = curves(1000, 3)
    recorded.gradient_norm[:] = 1.0
    spike = int(np.searchsorted(recorded.step, 500))
    recorded.gradient_norm[spike, 1] = 1e4
    heat = drawn("cause", step=1000, curves=recorded)["data"][0]
    z = unpacked(heat["z"])
    assert z.shape[0] == 3 and np.nanmax(z) == 4.0
    layer, column = np.unravel_index(np.nanargmax(z), z.shape)
    assert layer == 1 and abs(heat["x0"] + column * heat["dx"] - recorded.step[spike]) <= heat["dx"]
    assert np.isnan(z[:, int(1000 / heat["dx"]) + 1 :]).all()  # nothing is known of the future


def test_the_map_switches_to_activations():
    recorded = curves(1000, 3)
    recorded.activation_deviation[:, 2] = 100.0
    figure = drawn("cause", ViewOptions(cause="activations"), step=1000, curves=recorded)
    assert np.nanmax(unpacked(figure["data"][0]["z"])[2]) == 2.0 and "activations" in figure["layout"]["title"]["text"]


def test_what_overflowed_is_as_dark_as_can_be_and_what_is_dead_as_pale():
    recorded = curves(1000, 3)
    recorded.gradient_norm[400:, 0], recorded.gradient_norm[400:, 1] = np.inf, 0.0
    heat = drawn("cause", step=1000, curves=recorded)["data"][0]
    z = unpacked(heat["z"])
    known = np.flatnonzero(np.isfinite(z[2]))[-1]
    assert z[0, known] >= heat["zmax"] and z[1, known] <= heat["zmin"]


@pytest.mark.parametrize("layer", [1, 3])
def test_the_first_crossing_is_marked_in_the_colour_of_trouble_and_told(layer):
    figure = drawn("cause", step=1000, first_crossing=(420, layer, "gradient_norm"))
    (mark,) = figure["layout"]["annotations"]
    assert (mark["x"], mark["y"]) == (420, layer) and mark["font"]["color"] == THEMES["light"].trouble
    assert "step 420: its gradient left the range" in figure["alt"] and ("output" in mark["text"]) == (layer == 3)
    assert "No layer left its range" in drawn("cause")["alt"]


def test_a_run_that_has_not_begun_has_an_empty_map():
    figure = drawn("cause", step=0, curves=curves(0, 3))
    assert not figure["data"] and "Press Play" in figure["layout"]["annotations"][0]["text"]


# Gauge


def test_the_gauge_is_drawn_against_the_edge_with_the_band_of_its_activation():
    history = GaugeHistory(np.array([0.0, 100, 200]), np.array([0.4, 1.2, 0.9]))
    figure = drawn("gauge", forecast=TOLD, forecast_history=history, config=SGD)
    assert np.allclose(unpacked(figure["data"][0]["y"]), history.ratio)
    band, edge = figure["layout"]["shapes"]
    assert (band["y0"], band["y1"]) == (1, 1.5) and "tanh" in band["label"]["text"] and edge["y0"] == 1
    assert "Cohen" in figure["help"] and "now 0.4: stable" in figure["alt"]
    low, high = (10.0**end for end in figure["layout"]["yaxis"]["range"])
    assert low < 0.4 and high > 1.5


@pytest.mark.parametrize(
    "config",
    [
        SGD | {"optimizer": {"name": "adam"}},
        SGD | {"layers": [{"units": 8, "activation": "gelu"}, SGD["layers"][1]]},
        SGD | {"layers": [SGD["layers"][0], {"units": 8, "activation": "relu"}, SGD["layers"][1]]},
        SGD | {"layers": SGD["layers"][1:]},
    ],
    ids=["adam", "unmeasured", "mixed", "no hidden layer"],
)
def test_no_band_where_none_was_measured(config):
    assert len(drawn("gauge", forecast=TOLD, config=config)["layout"]["shapes"]) == 1


def test_without_a_forecast_the_gauge_says_so():
    figure = drawn("gauge", forecast_history=None)
    assert figure["layout"]["annotations"] and "no forecast yet" in figure["alt"]


# The moment that is shown, and who carried the gradient


def test_the_moment_is_a_line_in_every_chart_over_steps():
    figures = panels(snapshot(moment=700), ViewOptions())
    for name in ("loss", "gradients", "cause", "gauge", "ratio", "units"):
        (line,) = [trace for trace in figures[name]["data"] if trace.get("name") == "shown"]
        assert line["x"] == [700, 700], name
    assert not [trace for figure in panels(snapshot(), ViewOptions()).values() for trace in figure["data"] if trace.get("name") == "shown"]


def carried(*share, batch=None):
    share = np.array(share, np.float32)
    return Influence(np.arange(len(share)), share, np.zeros((len(share), 2), np.float32), batch or len(share))


def test_rings_grow_with_the_share_of_the_gradient():
    figure = drawn("output", influence=carried(0.8, 0.2, 0.0))
    ring = figure["data"][-1]
    sizes = unpacked(ring["marker"]["size"])
    assert sizes[0] > sizes[1] > sizes[2] > 0 and np.allclose(unpacked(ring["customdata"]), [80, 20, 0])
    assert "carries the gradient" in figure["layout"]["legend"]["title"]["text"]
    assert drawn("output")["data"][-1]["type"] == "heatmap"


@pytest.mark.parametrize(
    ("influence", "said"),
    [
        (carried(*[0.3, 0.3], *[0.4 / 18] * 18), "2 of the 20 samples"),
        (carried(*[0.1] * 10), "spread over all of the next mini-batch (10 samples)"),
        (carried(1.0), "a single sample"),
        (carried(*[0.001] * 200, batch=5000), "200 of the 5,000"),
        (carried(0.0, 0.0), "No sample"),
    ],
)
def test_what_carried_the_gradient_is_said_in_one_sentence(influence, said):
    assert said in influence_text(influence)


def test_nothing_breaks_a_panel_without_samples_on_a_plane():
    one = snapshot(output="confusion", sizes=(4, 6, 10), influence=dataclasses.replace(carried(1.0), xy=None))
    assert panels(one, ViewOptions())["output"]["alt"]
