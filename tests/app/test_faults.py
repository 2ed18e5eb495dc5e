"""Break the backprop: switches in the sidebar, and what they write into the configuration."""

import pytest

from core.config import RunConfig
from core.faults import FAULTS
from core.link import from_query

SQUARE = {"data.source": "circle", "layers": "4-tanh_4-tanh_1-sigmoid"}


@pytest.fixture
def page(open_page):
    return open_page(**SQUARE)


def switches(page):
    return {toggle.key.removeprefix("fault.") for toggle in page.toggle if toggle.key.startswith("fault.")}


def test_a_switch_for_each_mistake_that_can_be_made_here(page):
    assert {"missing_mean", "untransposed_weights", "reinitialized_weights", "naive_log_loss", "zero_weights"} <= switches(page)
    assert not switches(page) & {"naive_softmax", "sum_over_outputs", "naive_sigmoid:1"}
    assert all(not FAULTS[name].of for name in switches(page))
    assert all(page.toggle(key=f"fault.{name}").help for name in switches(page))


def test_a_switch_breaks_the_run_and_the_address_says_so(page):
    page.press("step").set("toggle", "fault.missing_mean", True)
    assert page.live_run.config.faults == ("missing_mean",) and page.step == 0
    assert from_query(page.query).faults == ("missing_mean",)
    assert f"On: {FAULTS['missing_mean'].title}" in page.words
    assert "delta[l].sum(axis=1) / m" in page.words and "learns m times as fast" in page.words
    page.set("segmented_control", "fault.missing_mean.layer", "2")
    assert page.live_run.config.faults == ("missing_mean:2",) and "dW2, db2 = delta2 @ a1.T" in page.words
    page.set("selectbox", "fault.missing_mean.way", "weights_not_averaged")
    assert page.live_run.config.faults == ("weights_not_averaged",)
    page.set("toggle", "fault.sign_flip", True)
    assert page.live_run.config.faults == ("weights_not_averaged", "sign_flip")
    page.set("toggle", "fault.missing_mean", False).set("toggle", "fault.sign_flip", False)
    assert page.live_run.config.faults == () and "On: " not in page.words


def test_every_switch_can_be_pressed(page):
    for name in sorted(switches(page)):
        page.set("toggle", f"fault.{name}", True)
        assert [FAULTS[entry].family for entry in page.live_run.config.faults] == [name]
        page.set("toggle", f"fault.{name}", False)
        assert page.live_run.config == RunConfig.from_dict({**page.live_run.config.to_dict(), "faults": []})


def test_a_link_with_faults_switches_them_on(open_page):
    page = open_page(**SQUARE, faults="missing_mean:1~missing_mean:2~inputs_in_pixels")
    assert page.toggle(key="fault.missing_mean").value and page.toggle(key="fault.inputs_in_pixels").value
    assert f"On: {FAULTS['missing_mean'].title}, {FAULTS['inputs_in_pixels'].title}" in page.words
    page.set("toggle", "fault.missing_mean", False)
    assert page.live_run.config.faults == ("inputs_in_pixels",)


def test_a_network_that_a_fault_no_longer_fits_is_refused_beside_the_switches(page):
    page.set("toggle", "fault.untransposed_weights", True).set("text_input", "layers.0.units", 5)
    assert "needs a layer as wide as the next" in page.words and page.session.config.layers[0].units == 4
    page.set("toggle", "fault.untransposed_weights", False)
    assert page.live_run.config.layers[0].units == 5 and page.session.draft.problem is None
