"""A digit that is drawn, and what the network says of it."""

import pytest
from sklearn.datasets import load_digits

from pages.training.predict_menu import DRAWN


@pytest.fixture
def page(open_page):
    return open_page(**{"data.source": "digits", "data.scaling": "minmax", "layers": "10-softmax"}).press("step")


def draw(page, pixels):
    page.test.session_state[DRAWN] = pixels
    return page.run()


def test_what_is_drawn_is_told_with_the_weights_of_now(page):
    assert "Draw a digit" in page.words
    pixels = load_digits().data[0].tolist()
    said = page.live_run.predict(tuple(pixels))
    assert f'<div class="said"><dt>{said.classes[0]}</dt>' in draw(page, pixels).words
    assert all(f"</i>{chance:.0%}</dd>" in page.words for chance in said.outputs[0])
    before = said.outputs
    for _ in range(5):
        page.press("epoch")
    now = page.live_run.predict(tuple(pixels))
    assert (now.outputs != before).all() and all(f"</i>{chance:.0%}</dd>" in page.words for chance in now.outputs[0])
    assert "Draw a digit" in draw(page, [0] * 64).words


@pytest.mark.parametrize("pixels", [[1.0] * 63, ["1"] * 64, [[1]] * 64])
def test_what_no_pad_sends_is_refused(page, pixels):
    assert "must be 64 numbers of at most" in draw(page, pixels).words
