"""A link restores a run; a broken or hostile one gives a clear message and the default, and names no file of the server."""

import pytest

from core.config import RunConfig
from core.link import from_query, to_query
from core.presets import OPENING, PRESETS
from tests.app.files import CSV


def told(page):
    return page.words.replace("\\", "")


def test_a_link_restores_the_controls_and_the_run(open_page):
    config = RunConfig.from_dict(
        {
            "data": {"source": "moons", "noise": 0.25, "features": ["x1", "sin(x2)"]},
            "layers": [{"units": 3, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}],
            "optimizer": {"name": "adam", "beta1": 0.8},
            "batch_size": None,
        }
    )
    page = open_page(**to_query(config))
    assert page.live_run.config == config
    assert page.slider(key="data.noise").value == 0.25
    assert page.selectbox(key="layers.0.activation").value == "relu"
    assert page.number("optimizer.beta1") == 0.8
    assert page.pills(key="data.features").value == ["x1", "sin(x2)"]
    assert page.number("batch_size") is None


def test_values_beyond_the_sliders_come_by_link(open_page):
    page = open_page(**{"data.source": "hills", "data.noise": "4", "optimizer.learning_rate": "2e-9", "init.bias": "normal"})
    assert page.slider(key="data.noise").value == 4
    assert page.select_slider(key="learning rate slider").value == 1e-5
    assert page.live_run.config.optimizer.learning_rate == 2e-9


def test_a_copied_address_opens_the_same_run(open_page):
    first = open_page().set("selectbox", "optimizer.name", "rmsprop").set("slider", "data.noise", 0.4)
    assert open_page(**first.query).live_run.config == first.live_run.config


def test_many_layers_come_by_link_though_the_page_adds_only_eight(open_page):
    page = open_page(**{"data.source": "circle", "layers": "_".join(["3-tanh"] * 15 + ["1-sigmoid"])})
    assert len(page.live_run.config.layers) == 16
    assert page.button(key="add layer").disabled
    page.set("text_input", "layers.14.units", 4)
    assert page.live_run.config.layers[14].units == 4


@pytest.mark.parametrize(
    "query",
    [
        {"data.source": "moon"},
        {"learning_rate": "1"},
        {"optimizer.learning_rate": "nan"},
        {"layers": "999999999-tanh_1-sigmoid"},
        {"layers": "<script>alert(1)</script>"},
        {"data.samples": "100001"},
        {"seed": "9" * 4000},
        {"data.source": "circle", "data.target_scaling": "standard"},
    ],
)
def test_a_broken_link_says_so_and_shows_the_default(open_page, query):
    page = open_page(**query)
    assert len(page.warning) == 1 and "so you see the default" in page.warning[0].value
    assert page.live_run.config == OPENING
    page.press("dismiss")
    assert not page.warning


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "app.py", "\0", "", "none"])
def test_a_link_cannot_name_a_file(open_page, path, tmp_path):
    page = open_page(**{"data.source": "file", "data.path": path})
    assert "could not be opened" in told(page)
    assert "root:" not in told(page)
    assert page.live_run.config == OPENING


def test_a_link_cannot_name_an_existing_data_file(open_page, tmp_path):
    file = tmp_path / "table.csv"
    file.write_bytes(CSV)
    page = open_page(**{"data.source": "file", "data.path": str(file)})
    assert "uploaded in this session" in told(page) and page.live_run.config == OPENING


def test_a_file_of_another_session_stays_there(open_page):
    first = open_page().set("segmented_control", "data.source", "file")
    first.upload("table.csv", CSV)
    assert first.live_run.config.data.source == "file"
    second = open_page(**first.query)
    assert "uploaded in this session" in told(second) and second.live_run.config == OPENING


def test_another_link_in_the_same_tab_is_followed(open_page):
    page = open_page().set("slider", "data.noise", 0.4)
    page.navigate(to_query(PRESETS["dying"].config))
    assert page.live_run.config == PRESETS["dying"].config == from_query(page.query)


def test_an_empty_address_is_the_opening_run_again(open_page):
    page = open_page().set("slider", "data.noise", 0.4)
    assert page.navigate({}).live_run.config == OPENING and page.query == {}


def test_the_back_button_is_heard_before_the_browser_shows_the_last_drawing(open_page):
    page = open_page()
    with page.lagging():
        page.set("slider", "data.noise", 0.4).send("back")
        assert page.navigate({}).live_run.config == OPENING and page.query == {}
        page.test.query_params["data.source"] = "circle"  # that was once
        assert page.run().live_run.config == OPENING


def test_an_address_that_is_behind_is_put_right(open_page):
    page = open_page()
    with page.lagging():
        config = page.set("slider", "data.noise", 0.4).session.config
        page.test.query_params.clear()
        assert page.run().session.config == page.live_run.config == config == from_query(page.query)
