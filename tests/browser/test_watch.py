"""A script starts, and the page that waits for it shows it; numbers overflow, and the page names the tensor."""

import numpy as np
from playwright.sync_api import expect

from tests.watched import descent_probe, perceptron


def test_a_script_is_shown_as_it_runs_and_its_trouble_is_named(server, open_tab, tmp_path):
    tab = open_tab("/watch")
    expect(tab.get_by_text("Waiting for the first step")).to_be_visible()
    expect(tab.get_by_text("probe.step(loss=loss").first).to_be_visible()
    probe = descent_probe.Probe("<b>my network", url=server.url)
    probe._beside = tmp_path / "fallback.probe"
    perceptron(probe, steps=100, bug="no_slope")
    expect(tab.get_by_text("<b>my network").first).to_be_visible()
    expect(tab.locator(".descent-panel").first).to_be_visible()
    expect(tab.locator("article.finding h4").first).to_contain_text("W1 parts from a right copy at step 1")
    expect(tab.get_by_text("Hidden slope left out").first).to_be_visible()
    for _ in range(3):
        params = {"W1": np.full((2, 8), np.nan), "b1": np.zeros((1, 8)), "W2": np.zeros((8, 1)), "b2": np.zeros((1, 1))}
        probe.step(loss=float("nan"), params=params, grads={f"d{name}": array for name, array in params.items()})
    expect(tab.get_by_text("Numbers overflowed at step 101: W1 is no longer finite")).to_be_visible()
    probe.close()
    expect(tab.get_by_text("stands still")).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
