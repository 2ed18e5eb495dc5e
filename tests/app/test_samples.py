"""The menu of the samples with the largest loss, and what it marks on the map."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.config import DataConfig
from pages.training import samples_menu
from pages.training.own_plane import as_points

MENU = "samples menu"


@pytest.fixture
def page(open_page):
    page = open_page(**{"data.source": "circle", "layers": "4-tanh_1-sigmoid"})
    page.test.session_state[MENU] = True
    return page.press("step").press("step")


def listed(page):
    (frame,) = page.test.dataframe
    return frame.value


def choose(page, row, monkeypatch):
    """Choose this row of the list, as its browser's part does; None: none."""
    worst = page.live_run.worst_samples("train")
    state = {"list": SimpleNamespace(selection=SimpleNamespace(rows=[] if row is None else [row]))}
    with monkeypatch.context() as patch:
        state |= {name: page.test.session_state[name] for name in ("tab", "session")}
        patch.setattr("streamlit.session_state", state)
        samples_menu._choose("list", worst)
    for name in (samples_menu.OF, "view.marked"):
        if name in state:
            page.test.session_state[name] = state[name]
        elif name in page.test.session_state:
            del page.test.session_state[name]
    page.run()
    return worst


def marks(page):
    return [(trace["x"][0], trace["y"][0]) for trace in page.figures["output"]["data"] if trace.get("mode") == "markers"]


def test_the_list_is_of_the_moment_and_the_part_that_are_shown(page):
    worst = page.live_run.worst_samples("train")
    assert list(listed(page)) == ["Sample", "x₁", "x₂", "True", "Predicted", "Loss"]
    assert listed(page)["Sample"].tolist() == (worst.rows + 1).tolist() and "at step 2." in page.words
    page.set("segmented_control", "samples part", "test")
    assert listed(page)["Sample"].tolist() == (page.live_run.worst_samples("test").rows + 1).tolist()
    page.press("look", "0")
    assert "at step 0." in page.words
    assert np.allclose(listed(page)["x₁"], page.live_run.worst_samples("test", 0).xy[:, 0])


def test_a_chosen_sample_is_marked_until_it_is_unmarked_or_the_data_are_others(page, monkeypatch):
    worst = choose(page, 1, monkeypatch)
    assert set(marks(page)) == {tuple(worst.xy[1].tolist())}
    page.press("step")
    assert marks(page)
    page.press("unmark")
    assert not marks(page)
    choose(page, 0, monkeypatch)
    assert marks(page)
    choose(page, None, monkeypatch)
    assert not marks(page)
    choose(page, 0, monkeypatch)
    page.set("text_input", "data.samples", 200)
    assert not marks(page)


def test_samples_that_are_pictures_are_shown(open_page):
    page = open_page(**{"data.source": "digits", "layers": "4-relu_10-softmax"})
    page.test.session_state[MENU] = True
    page.press("step").press("step")
    table = listed(page)
    assert table["Picture"].str.startswith("data:image/png;base64,").all() and {"True", "Predicted", "Loss"} < set(table)
    assert page.figures["output"]["layout"]["title"]["text"] == "Predictions, test samples"
    page.set("toggle", "view.confusion", True)
    assert page.figures["output"]["layout"]["title"]["text"] == "Confusion, train samples"


@pytest.mark.parametrize(("pressed", "left"), [("make class {}", 500), ("leave out", 499)])
def test_a_marked_sample_is_given_another_class_or_left_out(page, monkeypatch, pressed, left):
    before = as_points(page.session.config.data)
    worst = choose(page, 2, monkeypatch)
    row = worst.rows[2]
    assert np.allclose(before[row][:2], worst.xy[2], atol=0.006) and str(before[row][2]) == worst.true[2]
    page.press(pressed.format(1 - before[row][2]))
    data = page.live_run.config.data
    points = as_points(data)
    assert (data.source, data.test_fraction, len(points)) == ("drawn", 0.5, left) and not marks(page)
    assert points[:row] == before[:row] and points[len(points) - len(before) + row + 1 :] == before[row + 1 :]
    assert left == 499 or points[row] == [*before[row][:2], 1 - before[row][2]]
    choose(page.press("step").press("step"), 0, monkeypatch)
    page.press("leave out")
    assert len(page.live_run.config.data.points) == left - 1


def test_only_classes_on_the_plane_become_points():
    for source, many in (("blobs", 90), ("xor", 501), ("sine", 90)):
        points = as_points(DataConfig(source=source, samples=many))
        assert (points is None) == (source != "blobs")
    assert len(as_points(DataConfig(source="formula", task="classification", samples=500))) == 500
