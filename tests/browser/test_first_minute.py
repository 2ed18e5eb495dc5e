"""What a first visitor sees after Play."""

from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_playground import button, expect_true, play, reading, ready, settled, step

# Every warning that is ever on the page from now on, if only for a moment
NETWORK = "document.querySelector('[data-name=network]').getBoundingClientRect().top"
WIDTHS = "[document.documentElement.scrollWidth, document.querySelector('.stMain').scrollWidth]"
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
