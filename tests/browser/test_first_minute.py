"""What a first visitor sees after Play."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_playground import button, expect_true, play, reading, ready, settled, step

# Every warning that is ever on the page from now on, if only for a moment
NETWORK = "document.querySelector('[data-name=network]').getBoundingClientRect().top"
WIDTHS = "[document.documentElement.scrollWidth, document.querySelector('.stMain').scrollWidth]"
TOUR = """['.descent-tour', '.descent-ring'].map(part => {
    const box = document.querySelector(part).getBoundingClientRect()
    return [box.left, box.top, box.right, box.bottom]
})"""
WATCH = """window.warnings = [];
new MutationObserver(() => document.querySelectorAll('.finding.warning, .finding.critical, .consequences .warning')
    .forEach(card => window.warnings.push(card.innerText)))
    .observe(document.body, {subtree: true, childList: true, characterData: true})"""


def test_a_page_whose_scripts_are_on_their_way_says_so(browser, server):
    with browser.new_context() as context:
        tab = context.new_page()
        tab.route("**/static/js/**", lambda route: route.abort())
        tab.goto(server.url)
        expect(tab.get_by_text("Loading the page…")).to_be_visible()
        assert tab.title() == "Descent"
        tab.unroute("**/static/js/**")
        tab.reload()
        ready(tab)
        expect(tab.get_by_text("Loading the page…")).to_be_hidden()


def test_no_warning_greets_the_first_visitor(open_tab):
    tab = ready(open_tab(f"/?{PRESETS['spiral'].link}"))
    tab.evaluate(WATCH)
    for seed in range(5):
        if seed:
            button(tab, "New seed").click()
            expect(reading(tab, "Step")).to_have_text("0")
        settled(tab)
        play(tab)
        expect_true(lambda: step(tab) > 20_000)
        assert tab.evaluate("window.warnings") == []
        button(tab, "Pause").click()
        expect(button(tab, "Play")).to_be_visible()
    assert "seed=4" in tab.url


def test_nothing_jumps_when_a_card_comes_and_the_network_is_in_view_on_every_screen(open_tab):
    tab = ready(open_tab(f"/?{PRESETS['explosion'].link}", viewport={"width": 1440, "height": 900}))
    foot = tab.get_by_text("Inject a bug", exact=True).bounding_box()
    assert foot["y"] + foot["height"] < 900  # all of the sidebar is there without scrolling

    def tops():
        found = {}
        for width, height in ((1440, 900), (1024, 768), (960, 600), (390, 844)):
            tab.set_viewport_size({"width": width, "height": height})
            tab.wait_for_function(f"Math.max(...{WIDTHS}) <= {width}")
            found[width] = tab.evaluate(NETWORK)
            assert found[width] < 0.45 * height
        return found

    before = tops()
    tab.set_viewport_size({"width": 1440, "height": 900})
    play(tab)
    expect(tab.locator(".finding.critical")).to_be_visible()
    settled(tab)
    assert tops() == before
    tab.locator(".finding.critical").focus()  # where there is little room, that opens the card
    expect(button(tab, "Apply")).to_be_in_viewport()
    assert tab.evaluate(NETWORK) == before[390]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_tour_comes_once_and_covers_nothing_that_it_explains(open_tab, width, scheme):
    tab = open_tab(first_visit=True, viewport={"width": width, "height": 844}, color_scheme=scheme)
    card = tab.get_by_role("dialog", name="Tour")
    for number, title in enumerate(("Data", "Network", "Play", "What is found"), 1):
        expect(card).to_contain_text(f"{number} of 4: {title}")
        ready(tab)
        (left, top, right, bottom), ring = tab.evaluate(TOUR)
        assert right <= ring[0] or ring[2] <= left or bottom <= ring[1] or ring[3] <= top
        assert left >= 0 and top >= 0 and right <= width and bottom <= 844
        results = Axe().run(tab)
        assert results.violations_count == 0, results.generate_report()
        card.get_by_role("button", name="Done" if number == 4 else "Next").click()
    expect(card).to_have_count(0)
    ready(tab.reload() and tab)
    if width == 390:
        tab.get_by_test_id("stExpandSidebarButton").click()
    button(tab, "Tour").click()
    expect(card).to_contain_text("1 of 4")
    tab.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(button(tab, "Tour")).to_be_focused()


def test_who_would_rather_go_on_alone_is_not_held_up(open_tab):
    tab = open_tab(first_visit=True)
    card = tab.get_by_role("dialog", name="Tour")
    expect(card).to_contain_text("1 of 4: Data")
    ready(tab).keyboard.press("p")
    expect(button(tab, "Pause")).to_be_visible()
    expect(card).to_be_visible()
    button(tab, "Pause").click()
    expect(card).to_have_count(0)


@pytest.mark.parametrize(("link", "offered"), [("layers=4-relu_1-sigmoid", 1), ("embed=true", 0), ("text=Look", 0)])
def test_a_link_that_asks_for_something_is_not_interrupted(open_tab, link, offered):
    tab = ready(open_tab(f"/?{link}", first_visit=True))
    expect(button(tab, "Tour")).to_have_count(offered)
    expect(tab.get_by_role("dialog")).to_have_count(0)
