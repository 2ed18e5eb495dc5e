"""The playground without a mouse, and for those who see or hear it differently."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_kept import paused
from tests.browser.test_playground import button, play, reading, ready, settled, status, wait_for_steps


def test_what_takes_a_buttons_place_takes_its_focus(open_tab):
    tab = ready(open_tab())
    button(tab, "Play").focus()
    for _ in range(2):
        tab.keyboard.press("p")
        expect(button(tab, "Pause")).to_be_focused()
        expect(status(tab)).to_have_text("Running")
        tab.keyboard.press("p")
        expect(button(tab, "Play")).to_be_focused()
        expect(status(tab)).to_have_text("Paused")


def test_arrow_keys_move_the_slider_and_it_names_its_step(open_tab):
    tab = ready(open_tab())
    play(tab)
    wait_for_steps(tab, 2000)
    stood, slider = paused(tab), tab.get_by_role("slider", name="Time")
    expect(slider).to_have_attribute("aria-valuetext", "now")
    slider.focus()
    seen = [stood]
    for _ in range(3):
        before = slider.get_attribute("aria-valuetext")
        tab.keyboard.press("ArrowLeft")
        expect(slider).not_to_have_attribute("aria-valuetext", before)
        named = slider.get_attribute("aria-valuetext")
        expect(status(tab)).to_have_text(f"◷ Step {named} of {stood:,}")
        seen.append(int(named.replace(",", "")))
    assert seen == sorted(set(seen), reverse=True)
    expect(slider).to_be_focused()
    tab.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0")
    expect(reading(tab, "Step")).to_have_text("0")
    tab.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "now")
    expect(reading(tab, "Step")).to_have_text(f"{stood:,}")


def test_a_letter_that_is_typed_presses_nothing(open_tab):
    tab = ready(open_tab())
    field = tab.get_by_label("Any learning rate", exact=True)
    field.click()
    tab.keyboard.type("pse0n")
    expect(field).to_have_value("0.03pse0n")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("must be a number such as 0.01 or 1e-3; was '0.03pse0n'")).to_be_visible()
    expect(reading(settled(tab), "Step")).to_have_text("0")
    expect(tab.get_by_label("Preset", exact=True)).to_have_value(PRESETS["spiral"].title)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shown", ["playing", "finding"])
def test_axe_finds_nothing_to_complain_about(open_tab, scheme, shown):
    tab = ready(open_tab(f"/?{PRESETS['spiral' if shown == 'playing' else 'explosion'].link}", color_scheme=scheme))
    button(tab, "Play").click()
    if shown == "playing":
        wait_for_steps(tab, 500)
    else:
        expect(tab.locator(".finding.critical")).to_be_visible()
    settled(tab)
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()
    assert {"color-contrast", "aria-valid-attr"} <= {passed["id"] for passed in results.response["passes"]}


SLIDER = """
async () => {
  const { Slider } = await import("/descent/scripts/slider.js")
  const slider = new Slider(document.body.appendChild(document.createElement("div"))), asked = [], shown = []
  slider.line = { send: (name, value) => asked.push(value) }
  const receive = (index, current) => slider.receive({ slider: { options: ["0", "10", "20", "now"], index, disabled: false }, current })
  const slide = (index, end) => {
    slider.input.value = index
    slider.input.dispatchEvent(new Event("input"))
    if (end) slider.input.dispatchEvent(new Event("change"))
  }
  const see = () => shown.push(slider.input.getAttribute("aria-valuetext"))
  receive(3, true), see()
  slide(2, true), see()
  receive(3, false), see()
  slide(1, true), receive(3, false), see()
  receive(2, true), see()
  receive(1, true), see()
  return [shown, asked]
}
"""


def test_a_picture_of_before_does_not_move_the_slider_back(open_tab):
    shown, asked = ready(open_tab()).evaluate(SLIDER)
    assert shown == ["now", "20", "20", "10", "20", "10"] and asked == ["20", "10"]
