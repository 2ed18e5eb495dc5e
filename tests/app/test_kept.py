"""Runs that last, from the page: a link brings one back, one tab drives it, and on a shared server it is its owner's."""

import threading

import pytest

from core.export import EXPORTS
from core.limits import ConfigError
from core.live.client import LiveRun
from core.live.pacing import GROWING
from core.presets import OPENING, PRESETS
from core.store.store import Store, StoreError
from pages.shell import identity, tab
from pages.training import launch, session, tab_run
from tests.core.live_runs import until

CSV = b"a,b,c\n" + b"".join(b"%d,%d,%d\n" % (i % 7, i % 5, i % 2) for i in range(60))
FOREIGN = "browser:somebody else's"


@pytest.fixture
def store(monkeypatch, tmp_path):
    """A store of the test's own."""
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path))
    identity.store.clear()
    yield identity.store()
    identity.store.clear()


def trained(page, steps=300):
    """The id of the page's run after so many updates, once it is kept."""
    page.live_run.step(steps)
    id = until(lambda: page.live_run.snapshot().run_id)
    until(lambda: identity.store().load(id).step == steps)
    return id


def signed_in(monkeypatch, person):
    """Have this person's runs be theirs: see identity.owner."""
    for module in (session, tab_run):
        monkeypatch.setattr(module, "owner", lambda: person)


def test_a_link_brings_a_run_back_with_its_settings(store, open_page):
    first = open_page(**{"data.source": "circle", "layers": "4-relu_1-sigmoid"})
    id = trained(first)
    first.close()
    again = open_page(run=id)
    assert again.step == 300 and again.session.config == first.session.config
    assert again.moments[0][0] == "0"
    again.press("step")
    assert again.step == 301


def test_a_tab_that_is_opened_again_finds_its_run_standing(store, open_page, monkeypatch):
    first = open_page()
    id = trained(first)
    first.press("play")
    monkeypatch.setattr(tab, "GRACE", 0)  # its browser is gone
    again = open_page(run=id)
    assert again.live_run is first.live_run and again.live_run.snapshot().status == "paused" and again.step >= 300
    assert again.can("step")


def test_a_second_tab_looks_until_it_drives(store, open_page, monkeypatch):
    first = open_page()
    id = trained(first)
    second = open_page(run=id)
    assert "another tab drives" in second.words and not second.has("play")
    second.set("selectbox", "loss", "mse")
    assert second.session.config == first.session.config and "only looked at" in second.words
    second.press("drive here")
    assert second.has("play") and not first.run().has("play")
    second.press("step")
    assert second.step == 301


@pytest.mark.parametrize("grace", [1e9, 0])
def test_settings_that_the_store_has_yet_to_hear_of_are_shown(store, open_page, monkeypatch, grace):
    first = open_page()
    id = trained(first)
    first.session.draft.edit("optimizer.learning_rate", 0.25)
    monkeypatch.setattr(Store, "settings_of", lambda *_: (OPENING.to_dict(), None))
    monkeypatch.setattr(tab, "GRACE", grace)  # whether the first tab is still there
    assert open_page(run=id).number("optimizer.learning_rate") == 0.25


def test_who_looks_sees_what_the_driver_changes(store, open_page, monkeypatch):
    first = open_page()
    id = trained(first)
    second = open_page(run=id)
    first.session.draft.edit("optimizer.learning_rate", 0.25)
    assert second.run().number("optimizer.learning_rate") == 0.25
    first.session.draft.upload("two classes.csv", CSV)
    assert first.session.draft.problem is None
    second.run().press("drive here").press("step")
    assert second.step == 1 and second.live_run.config.data.source == "file"
    assert second.segmented_control(key="data.source").value == "file" and second.session.config == first.session.config


def test_an_address_that_is_behind_does_not_bring_the_last_run_back(store, open_page):
    page = open_page()
    id = trained(page)
    page.run()
    with page.lagging():
        page.press("reset")
        page.test.query_params["run"] = id
        assert page.run().step == 0
    assert "run" not in page.query
    page.test.switch_page("runs.py").run()
    page.test.switch_page("playground.py")
    page.test.query_params["run"] = id  # as the list of runs links to it
    assert page.run().step == 300


def test_the_list_of_runs_leads_back_to_the_very_run(store, open_page):
    page = open_page(**{"data.source": "circle"})
    id = trained(page)
    page.run()
    page.test.switch_page("runs.py").run()
    page.test.switch_page("playground.py")
    page.test.query_params.clear()
    page.test.query_params["run"] = id
    page.run()
    assert (page.step, page.session.config.data.source, page.session.run.run_id) == (300, "circle", id)


def test_a_new_run_and_one_that_is_opened_again_play_at_the_speed_for_eyes(store, open_page, monkeypatch):
    monkeypatch.setattr(tab, "GRACE", 0)
    monkeypatch.setattr("pages.training.session.SPEED", GROWING)
    page = open_page()
    assert (page.head["buttons"]["speed"]["value"], page.live_run.speed) == ("Slow, then faster", GROWING)
    id = trained(page)
    again = open_page(run=id)
    assert (again.head["buttons"]["speed"]["value"], again.live_run.speed) == ("Slow, then faster", GROWING)


def test_what_was_looked_at_and_the_speed_do_not_go_over_to_another_run(store, open_page, monkeypatch):
    monkeypatch.setattr(tab, "GRACE", 0)
    first = open_page(layers="8-tanh_1-sigmoid")
    small = trained(first)
    first.run()
    page = open_page(layers="8-tanh_8-tanh_8-tanh_1-sigmoid")
    page.press("pick", [3, 7]).press("speed", "10 steps/s")
    assert page.session.picked == (3, 7)
    page.navigate({"run": small})
    assert page.step == 300 and page.session.picked is None
    assert page.head["buttons"]["speed"]["value"] == "Full speed"


def test_the_speed_of_a_run_that_goes_on_is_shown(store, open_page, monkeypatch):
    monkeypatch.setattr(tab, "GRACE", 0)
    first = open_page()
    id = trained(first)
    first.run().press("speed", "10 steps/s")
    assert open_page(run=id).head["buttons"]["speed"]["value"] == "10 steps/s"


def test_the_address_names_the_run_while_it_is_the_same(store, open_page):
    page = open_page(**{"data.source": "circle"})
    id = trained(page)
    page.run().set("text_input", "optimizer.learning_rate", 0.007)
    assert (page.test.query_params["run"], page.test.query_params["optimizer.learning_rate"]) == (id, "0.007")
    page.set("selectbox", "loss", "mse")  # that is another run
    assert "run" not in page.test.query_params and page.step == 0


def test_the_address_of_a_run_that_went_on_otherwise_is_put_right(store, open_page):
    page = open_page(**{"data.source": "circle"})
    id = trained(page)
    page.run().set("text_input", "optimizer.learning_rate", 0.007)
    page.press("step")
    page.session.run.close()
    again = open_page(**{"data.source": "circle", "run": id})  # the server was killed before the browser heard of the change
    assert again.query["optimizer.learning_rate"] == "0.007" and again.query["run"] == id
    plain = open_page(run=id)
    assert plain.query == {"run": id}
    plain.set("text_input", "optimizer.learning_rate", 0.009)
    assert plain.navigate({"run": id}).session.config.optimizer.learning_rate == 0.007  # what the run had when it was opened


@pytest.mark.parametrize("patience", [0.1, 20.0])
def test_a_run_that_another_server_trains_is_looked_at_or_waited_for(store, open_page, monkeypatch, patience):
    theirs = LiveRun(OPENING, kept=True)
    theirs.step(50)
    id = until(lambda: theirs.snapshot().run_id)
    monkeypatch.setattr(launch, "living", lambda id: None)
    monkeypatch.setattr(launch, "ENDING", patience)
    ending = threading.Timer(1.0, theirs.close)
    ending.start()
    page = open_page(run=id)
    assert page.session.run.foreign == (patience < 1) and page.step == 50
    ending.join()


def test_a_run_that_somebody_else_was_quicker_to_take_is_looked_at(store, open_page, monkeypatch):
    theirs = LiveRun(OPENING, kept=True)
    theirs.step(50)
    id = until(lambda: theirs.snapshot().run_id)
    until(lambda: store.load(id).step == 50)
    monkeypatch.setattr(launch, "living", lambda id: None)
    monkeypatch.setattr(launch, "_free", lambda id: True)  # as it was a moment ago
    page = open_page(run=id)
    assert page.session.run.foreign and page.step == 50 and "only looked at" not in page.words
    theirs.close()


@pytest.mark.parametrize("query", [{"run": "nonsense"}, {"run": "<b>'; DROP TABLE runs; --"}, {"run": "../../etc/passwd"}])
def test_a_link_to_a_run_that_is_not_there_says_so(store, open_page, monkeypatch, query):
    starts = []
    monkeypatch.setattr(tab_run, "started", lambda *arguments: starts.append(arguments) or launch.started(*arguments))
    page = open_page(**query)
    assert "no such run" in page.words and page.session.config == OPENING and page.step == 0
    assert len(starts) == 1 and "run" not in page.query
    page = open_page(**query, **{"data.source": "circle"})
    assert "at step 0" in page.words and page.session.config.data.source == "circle"


def test_a_run_with_damaged_settings_says_so(store, open_page):
    page = open_page()
    id = trained(page)
    page.close()
    with store._database.writing() as connection:
        connection.execute("UPDATE runs SET config = '{\"data\": 3}'")
    page = open_page(run=id)
    assert "cannot be used" in page.words and page.session.config == OPENING


def test_on_a_shared_server_a_link_shows_the_runs_of_others_and_no_more(store, open_page, monkeypatch):
    signed_in(monkeypatch, "browser:mine")
    theirs = LiveRun(PRESETS["explosion"].config, kept=True, owner=FOREIGN)
    theirs.step(20)
    id = until(lambda: theirs.snapshot().run_id)
    page = open_page(run=id)
    assert "somebody else" in page.words and not page.has("play") and page.step == 20
    with pytest.raises(ConfigError, match="somebody else"):
        page.live_run.step(5)
    assert store.load(id).step == 20
    page.press("own run")
    assert page.step == 0 and page.session.config == PRESETS["explosion"].config
    mine = trained(page, 4)
    assert store.access(mine).owner == "browser:mine" and set(store.table(FOREIGN)["id"]) == {id}
    theirs.close()


def test_who_looks_at_a_run_gets_pictures_and_not_its_owners_file(store, open_page, monkeypatch):
    owner = open_page().set("segmented_control", "data.source", "file")
    owner.upload("secret.csv", CSV)
    id = trained(owner)
    signed_in(monkeypatch, "browser:mine")
    page = open_page(run=id).run()
    assert page.step == 300 and "somebody else" in page.words and page.session.config.data.source == "file"
    token = page.session.config.data.path
    downloads = {button.proto.label for button in page.test.get("download_button")}
    assert downloads == {"Charts", "Run with its time slider"} and "are its owner's" in page.words
    assert all(page.session.act("export", name) is None for name in EXPORTS)
    assert page.test.button(key="own run").disabled
    with pytest.raises(ConfigError, match="owner"):
        page.session.start()
    with pytest.raises(ConfigError):
        page.session.begin_anew(page.session.config)
    page.session.run.refusal = "no room"  # then a change begins a run at once
    page.session.draft.edit("seed", 5)
    assert "owner" in page.session.draft.problem.message and page.session.run.run_id == id
    page.session.run.refusal = None
    other = open_page(**{"data.source": "file", "data.path": token})
    assert "could not be opened" in other.words and other.session.config == OPENING
    page.navigate({"data.source": "file", "data.path": token})
    assert page.session.config.data.source != "file" or page.session.run.foreign
    signed_in(monkeypatch, None)
    assert {button.proto.label for button in open_page(run=id).run().test.get("download_button")} > downloads


def test_the_fate_of_a_file_is_told_as_it_is(open_page, monkeypatch):
    page = open_page().set("segmented_control", "data.source", "file")
    assert "can open and export these runs" in page.test.file_uploader(key="file").help
    monkeypatch.setenv("DESCENT_SHARED", "1")
    assert "only where you share them" in page.run().test.file_uploader(key="file").help


def test_a_run_comes_back_with_its_file(store, open_page):
    first = open_page().set("segmented_control", "data.source", "file")
    first.upload("mine.csv", CSV)
    assert first.session.config.data.source == "file"
    id = trained(first)
    first.close()
    again = open_page(run=id)
    assert again.step == 300 and again.session.config.data.source == "file"
    again.set("text_input", "seed", 5)
    assert again.session.draft.problem is None and again.step == 0


def test_what_cannot_be_kept_is_told_and_trains_on(open_page, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "file" / "folder"))
    identity.store.clear()
    page = open_page()
    page.live_run.step(10)
    until(lambda: page.live_run.snapshot().store_error)
    assert page.run().step == 10 and "kept" in " ".join(warning.value for warning in page.warning)
    identity.store.clear()


def test_a_run_is_named_where_it_trains(open_page, store, monkeypatch):
    page = open_page(**{"data.source": "circle"})
    page.test.session_state["name menu"] = True
    assert "named once it has trained" in page.run().words
    id = trained(page, 20)
    page.run().run()  # what is drawn first of a page hears of it only then
    key = f"run name {id}"
    page.set("text_input", key, "  the  first ")
    assert identity.store().load(id).name == "the first" and page.live_run.snapshot().step == 20

    def refuse(*_):
        raise StoreError("Runs cannot be kept now")

    monkeypatch.setattr(Store, "rename", refuse)
    assert "cannot be kept" in page.set("text_input", key, "another").words
