"""Take home: a download for each format, and weights that are opened."""

import numpy as np
import pytest
import streamlit as st

from core.config import RunConfig
from core.export import EXPORTS, exported
from core.link import from_query
from core.training.trainer import Trainer
from tests.app.files import npz

FAULT = "missing_mean"


@pytest.fixture
def page(open_page):
    return open_page(**{"data.source": "moons", "layers": "4-tanh_1-sigmoid"}).run()  # a menu is opened once there is a run


def open_weights(page, name, raw):
    """Choose a file, as the uploader hands it over."""
    (uploader,) = [widget for widget in page.file_uploader if widget.label == "Open weights"]
    uploader.set_value((name, raw, "application/octet-stream"))
    return page.run()


def weights(**config):
    return exported("weights", Trainer(RunConfig.from_dict({"data": {"source": "moons"}} | config)))


def test_every_format_has_a_button_that_says_what_it_is(page):
    buttons = {button.key.removeprefix("export "): button for button in page.get("download_button")}
    assert list(buttons) == [*EXPORTS, "charts", "replay"]
    assert all((buttons[name].label, buttons[name].help) == (export.title, export.about) for name, export in EXPORTS.items())
    assert not any(button.disabled for button in buttons.values())


def test_each_format_holds_the_run_as_it_stands(page):
    page.press("step").press("step")
    same = Trainer(page.live_run.config).run(2)
    for name in EXPORTS:
        assert page.session.act("export", name) == exported(name, same, steps=2)


def test_the_charts_are_one_page_as_they_stand(page, monkeypatch):
    offered = {}
    monkeypatch.setattr(st, "download_button", lambda *arguments, key, **settings: offered.update({key: arguments[1]}))
    page.press("step").press("look", "0")
    made = offered["charts"]().decode()
    assert "<html" in made and all(figure["layout"]["title"]["text"] in made for figure in page.figures.values())


def test_a_broken_backprop_is_not_written_as_a_script(page):
    page.set("toggle", f"fault.{FAULT}", True)
    disabled = {button.key.removeprefix("export ") for button in page.get("download_button") if button.disabled}
    assert disabled == {name for name, export in EXPORTS.items() if export.trains}


def test_what_a_script_leaves_out_is_said_once_there_is_something(page):
    page.press("step")
    assert "what was changed on the way" not in page.words
    page.set("text_input", "optimizer.learning_rate", 0.1).run()
    assert "what was changed on the way" in page.words


def test_weights_of_the_same_layers_begin_a_run(page):
    page.press("step")
    other = Trainer(RunConfig.from_dict({"data": {"source": "moons"}, "layers": page.session.config.to_dict()["layers"], "seed": 5})).run(
        300
    )
    open_weights(page, "mine.npz", exported("weights", other))
    assert "The run began with the weights in mine\\.npz" in page.words
    assert page.step == 0 and page.live_run.snapshot().train_loss == pytest.approx(other.loss())
    events = page.live_run.snapshot().events
    assert [(event.step, event.text) for event in events] == [(0, "Weights opened from a file")]
    page.press("step")
    assert page.step == 1 and page.live_run.snapshot(at=0).train_loss == pytest.approx(other.loss())


def test_the_network_takes_the_shape_of_the_weights(page):
    raw = weights(layers=[{"units": 5, "activation": "relu"}, {"units": 3, "activation": "selu"}, {"units": 2, "activation": "softmax"}])
    open_weights(page, "mine.npz", raw)
    assert [(layer.units, layer.activation) for layer in page.live_run.config.layers] == [(5, "relu"), (3, "selu"), (2, "softmax")]
    assert from_query(page.query) == page.session.config
    assert np.allclose(page.live_run.snapshot().layers[0].weights, Trainer(page.session.config).parameters()["W1"])


WRONG = [
    b"",
    b"noise" * 100,
    npz(X=np.ones(3)),
    npz(W1=np.ones((3, 1)), b1=np.ones(1)),
    npz(W1=np.ones((2, 5)), b1=np.ones(5)),
    npz(W1=np.full((2, 1), np.nan), b1=np.ones(1)),
]


def test_what_does_not_fit_is_refused_in_one_sentence(page):
    before = page.press("step").live_run.config
    for raw in WRONG:
        open_weights(page, "<script>.npz", raw)
        assert ":red[" in page.words and "<script>" not in page.words and "The run began" not in page.words
        assert page.live_run.config == before and page.step == 1
    open_weights(page, "good.npz", weights(layers=[{"units": 1, "activation": "sigmoid"}]))
    assert ":red[" not in page.words and len(page.live_run.config.layers) == 1
