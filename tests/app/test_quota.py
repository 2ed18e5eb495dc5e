"""What a visitor of a shared server sees when a limit is reached: one sentence, and the way on."""

import time

import pytest

from core.live.registry import put_away
from pages.shell import identity
from pages.training import session, tab_run
from tests.app.files import CSV
from tests.core.live_runs import until


@pytest.fixture
def page(monkeypatch, tmp_path, open_page):
    """A visitor's page, on a shared server with a store of the test's own."""
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("DESCENT_SHARED", "1")
    for module in (session, tab_run, identity):
        monkeypatch.setattr(module, "owner", lambda: "browser:ann")
    identity.store.clear()
    yield open_page()
    identity.store.clear()


def test_a_run_that_gave_way_goes_on_where_it_was(page):
    page.press("step").press("step")
    until(lambda: page.live_run.snapshot().run_id)
    page.run()
    page.live_run.pressed_at = time.monotonic() - 1000
    assert put_away(lambda driver: True, 100, "browser:ann")
    assert "closed to make room for others" in page.run().test.error[0].value
    page.press("open again")
    assert page.step == 2 and page.can("step") and not page.test.error
    page.press("step")
    assert page.step == 3


def test_limits_are_told_in_one_sentence(page, monkeypatch):
    monkeypatch.setenv("DESCENT_VISITOR_UPLOAD_BYTES", "100")
    page.set("segmented_control", "data.source", "file").upload("table.csv", CSV)
    assert "the limit for each visitor" in page.session.draft.problem.message and page.session.config.data.source != "file"
    monkeypatch.setenv("DESCENT_VISITOR_UPLOAD_BYTES", str(2 * len(CSV) - 1))
    page.upload("table.csv", CSV)
    assert page.session.config.data.source == "file"
    page.upload("more.csv", CSV, "tests")
    assert page.session.draft.problem.field == "data.test_path" and not page.session.draft.has_tests
    page.upload("new.csv", CSV, "new rows")
    assert "the limit for each visitor" in page.words
    monkeypatch.setenv("DESCENT_VISITOR_UPLOAD_BYTES", str(2 * len(CSV)))
    page.upload("newer.csv", CSV, "new rows").run()
    assert "new rows" not in page.words  # counted once, however often the page is drawn
    page.set("segmented_control", "data.source", "moons")  # a file that is waited for keeps the run still
    told = "You have used the 30 minutes of processor time"
    monkeypatch.setattr("core.live.quota.taken", lambda person, what: 1800.0)
    page.press("step")
    assert page.session.notice.startswith(told) and page.step == 0
    assert any(warning.value.startswith(told) for warning in page.run().test.warning)
    page.press("preflight")
    assert page.session.notice.startswith(told) and page.session.run.experiment.look().kind is None
