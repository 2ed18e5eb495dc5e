"""Every road from a link to what a run is made of, on the page of somebody who only looks; and the owner's switch."""

import pytest

from core.export import EXPORTS
from core.limits import ConfigError
from pages.shell import identity
from pages.training import session, tab_run
from tests.app.files import CSV
from tests.core.live_runs import until

OWNER, LOOKER = "browser:owner", "browser:looker"
VALUES = {"speed": "10 steps/s", "look": "0", "pick": [1, 0]}  # what the live line's commands come with


@pytest.fixture
def store(monkeypatch, tmp_path):
    """A store of the test's own, on a shared server."""
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("DESCENT_SHARED", "1")
    identity.store.clear()
    yield identity.store()
    identity.store.clear()


@pytest.fixture
def be(monkeypatch):
    """Has the pages that are opened from now on be this person's."""

    def signed_in(person):
        for module in (session, tab_run):
            monkeypatch.setattr(module, "owner", lambda: person)

    return signed_in


@pytest.fixture
def owners(store, be, open_page):
    """The owner's page, whose run trained on a file of theirs and is kept, and the run's id."""
    be(OWNER)
    page = open_page().set("segmented_control", "data.source", "file")
    page.upload("secret.csv", CSV)
    page.live_run.step(50)
    id = until(lambda: page.live_run.snapshot().run_id)
    until(lambda: store.load(id).step == 50)
    return page.run().run(), id  # what the menu says of sharing stands in it once the id is known


def downloads(page):
    return {button.key.removeprefix("export ") for button in page.test.get("download_button")}


def test_no_road_leads_to_what_is_its_owners(owners, store, be, open_page):
    _, id = owners
    be(LOOKER)
    page = open_page(run=id).run()
    for name in page.view.commands:
        page.send(name, VALUES.get(name))
    page.run()
    assert page.step == 50 and not page.session.playing and page.live_run.kept is False
    assert downloads(page) == {"charts", "replay"} and f"share {id}" not in [toggle.key for toggle in page.test.toggle]
    assert not [uploader for uploader in page.test.file_uploader if uploader.label in ("Open weights", "Or a table of new rows")]
    for words in ("are its owner's", "only its owner can have it predict", "its weights are its owner's", "not to be seen here"):
        assert words in page.words, words
    assert "width" not in [box.label for box in page.test.selectbox] and "Target column" not in [box.label for box in page.test.selectbox]
    token = page.session.config.data.path
    for taking in (
        lambda: page.session.draft.uploads.describe(token, {}),
        lambda: page.session.draft.uploads.resolved(page.session.config),
        lambda: page.live_run.export("numpy"),
        lambda: page.session.begin_anew(page.session.config),
    ):
        with pytest.raises(ConfigError):
            taking()
    here = page.session
    for action, arguments in (
        ("export", ["data"]),
        ("examples", []),
        ("predict", [[]]),
        ("fork", [0]),
        ("try_fixes", [None]),
        ("reset", []),
    ):
        here.notice = None
        assert here.act(action, *arguments) is None and "only looked at" in here.notice, action
    page.press("preflight")
    assert page.session.run.experiment.look().kind is None
    page.test.switch_page("runs.py").run()
    assert store.table(LOOKER).empty and downloads(page) == set()


def test_what_its_owner_shares_others_can_take_and_train(owners, store, be, open_page):
    mine, id = owners
    mine.test.toggle(key=f"share {id}").set_value(True)
    assert mine.run().session.notice is None and store.access(id).shared
    be(LOOKER)
    page = open_page(run=id).run()
    assert downloads(page) == {*(f"{name}" for name in EXPORTS), "charts", "replay"} and not page.has("play")
    assert page.session.act("export", "numpy") == mine.session.act("export", "numpy")
    page.press("own run").press("step")
    own = until(lambda: page.live_run.snapshot().run_id)
    assert store.access(own).owner == LOOKER and until(lambda: store.load(own).file) == ("secret.csv", CSV)
    assert not store.access(own).shared
    be(OWNER)
    mine.test.toggle(key=f"share {id}").set_value(False)
    mine.run()
    be(LOOKER)
    assert downloads(open_page(run=id).run()) == {"charts", "replay"}


def test_the_switch_is_there_where_it_means_something(owners, monkeypatch):
    page, id = owners
    assert page.test.toggle(key=f"share {id}").value is False
    page.press("reset").run()  # another run, which is not kept yet
    assert not [toggle for toggle in page.test.toggle if toggle.label.startswith("Share data")]
    page.press("step")
    until(lambda: page.live_run.snapshot().run_id)
    assert [toggle for toggle in page.run().test.toggle if toggle.label.startswith("Share data")]
    monkeypatch.setenv("DESCENT_SHARED", "0")
    assert not [toggle for toggle in page.run().test.toggle if toggle.label.startswith("Share data")]
