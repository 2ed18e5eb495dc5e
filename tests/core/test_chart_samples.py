"""Samples in the output panel: pictures with what is said of them, the confusion matrix in their place, and a mark on the plane."""

import dataclasses

import numpy as np
import pytest

from core.snapshot.snapshot import Confusion, Gallery
from pages.charts import ViewOptions, panels
from pages.charts.style import THEMES
from tests.figures import decoded_png
from tests.synthetic import snapshot


def with_gallery(pictures, true, predicted, wrong):
    one = snapshot(output="confusion", sizes=(64, 8, 10))
    return dataclasses.replace(one, confusion=one.output, gallery=Gallery("test", pictures, true, predicted, wrong))


def drawings():
    pictures = np.zeros((3, 8, 8, 1), np.uint8)
    pictures[:, 2, 3] = 255
    return with_gallery(pictures, ("1", "<b>2", "a long name of a class"), ("1", "7", "2"), np.array([False, True, True]))


def test_a_wrong_prediction_is_marked_by_more_than_its_colour():
    figure = panels(drawings(), ViewOptions())["output"]
    (captions,) = figure["data"]
    right, wrong, long = captions["text"]
    assert right == "1" and wrong == "<b>× 7</b><br>is &lt;b&gt;2" and long.endswith("is a long n…")
    assert captions["textfont"]["color"] == [THEMES["light"].muted, THEMES["light"].trouble, THEMES["light"].trouble]
    assert "1 are predicted right" in figure["alt"] and "3 test samples" in figure["alt"]
    assert len(figure["layout"]["images"]) == 3


@pytest.mark.parametrize("theme", THEMES)
def test_drawings_are_ink_on_the_pages_ground_and_photographs_stay_as_they_are(theme):
    def first(one):
        pixels, palette = decoded_png(panels(one, ViewOptions(theme=theme))["output"]["layout"]["images"][0]["source"])
        return pixels if palette is None else np.asarray(palette)[pixels][..., :3]

    colors = first(drawings())
    assert bytes(colors[0, 0].tolist()).hex() == THEMES[theme].surface[1:] and bytes(colors[2, 3].tolist()).hex() == THEMES[theme].ink[1:]
    grey = np.full((1, 4, 4, 1), 200, np.uint8)
    assert (first(with_gallery(grey, ("a",), ("a",), np.array([False]))) == 200).all()
    colour = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    assert (first(with_gallery(colour, ("a",), ("a",), np.array([False]))) == colour[0]).all()


def test_values_have_no_right_and_wrong():
    figure = panels(with_gallery(np.zeros((1, 4, 4, 1), np.uint8), ("3.5",), ("2",), None), ViewOptions())["output"]
    assert figure["data"][0]["text"] == ["2<br>true 3.5"] and "right" not in figure["alt"]


def test_the_confusion_matrix_takes_the_place_of_pictures_and_of_the_plane():
    counts = np.array([[8, 2], [1, 9]])
    plane = dataclasses.replace(snapshot(), confusion=Confusion(("0", "1"), counts, counts + 1))
    for one in (plane, drawings()):
        without, shown = (panels(one, ViewOptions(confusion=chosen))["output"]["layout"]["title"]["text"] for chosen in (False, True))
        assert "Confusion" in shown and "Confusion" not in without
    figure = panels(plane, ViewOptions(confusion=True, show_test=True))["output"]
    assert figure["data"][0]["text"] == (counts + 1).tolist()
    assert figure["layout"]["yaxis"]["scaleanchor"] == "x"
    assert panels(snapshot(output="surface", sizes=(2, 4, 1)), ViewOptions(confusion=True))["output"]["layout"]["title"]["text"] == "Output"


def test_a_chosen_sample_is_marked_where_it_lies():
    plain, marked = (panels(snapshot(), ViewOptions(marked=place))["output"] for place in (None, (1.5, -2.0)))
    added = marked["data"][len(plain["data"]) :]
    assert added and all((trace["x"], trace["y"]) == ([1.5], [-2.0]) for trace in added) and "marked" in marked["alt"]
    assert panels(snapshot(output="predictions", sizes=(4, 4, 1)), ViewOptions(marked=(1.5, -2.0)))["output"]["data"]
