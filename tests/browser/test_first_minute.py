"""What a first visitor sees after Play."""

from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_playground import button, expect_true, play, reading, ready, settled, step

# Every warning that is ever on the page from now on, if only for a moment
WATCH = """window.warnings = [];
new MutationObserver(() => document.querySelectorAll('.finding.warning, .finding.critical, .consequences .warning')
    .forEach(card => window.warnings.push(card.innerText)))
    .observe(document.body, {subtree: true, childList: true, characterData: true})"""


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
