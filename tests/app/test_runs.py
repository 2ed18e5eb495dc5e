"""The page of kept runs: the list, what can be done with it, and what it says when something is wrong."""

import dataclasses
import html
import json

import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.experiments import archive
from core.experiments.record import record_of
from core.experiments.store import NoSuchRun, Store, StoreError
from core.training.trainer import Trainer
from pages.widgets import keeping
from tests.core.stored_runs import SMALL, saved, trained

HOSTILE_NAME = "<img src=x onerror=alert(1)> $x^2$ [a](javascript:b)"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "data"))
    keeping.store.clear()
    yield Store(tmp_path / "data")
    keeping.store.clear()


@pytest.fixture
def open_runs(store, open_page):
    def opened(chosen=(), **state):
        page = open_page()
        page.test.switch_page("pages/runs.py")
        for name, value in {"runs.chosen": list(chosen), **state}.items():
            page.test.session_state[name] = value
        return page.run()

    return opened


def listed(page):
    """The list as the browser gets it."""
    return page.dataframe[0].value


def labels(page):
    return [button.label for button in page.button]


def test_a_newcomer_is_told_where_runs_come_from(open_runs):
    page = open_runs()
    assert "No runs yet" in page.words and not page.dataframe
    assert "Train one in the playground" in [link.proto.label for link in page.test.get("page_link")]


def test_the_list_tells_the_runs_apart(store, open_runs):
    slow, fast = trained(200), trained(300, optimizer={"learning_rate": 5.0})
    first, second = saved(store, slow), saved(store, fast, findings=diagnose(fast))
    store.rename(first, HOSTILE_NAME)
    rows = listed(open_runs())
    assert rows["name"].tolist() == ["Circle 3-1", HOSTILE_NAME]
    assert rows["differs"].tolist() == ["learning rate 5", "learning rate 0.03"]
    assert rows["final"].tolist() == [fast.loss(), slow.loss()] and rows["step"].tolist() == [300, 200]
    assert rows["found"][1] == "✓ nothing" and len(rows["spark"][0]) > 5
    store.delete([second])
    assert listed(open_runs())["differs"].tolist() == [""]


def test_the_filter_finds_names_notes_findings_and_settings(store, open_runs):
    adam, broken = trained(50, optimizer={"name": "adam"}), trained(300, optimizer={"learning_rate": 900.0})
    ids = [saved(store, adam), saved(store, broken, findings=diagnose(broken)), saved(store, trained(1, data={"source": "moons"}))]
    store.rename(ids[2], "The last one")
    store.star(ids[0], True)
    for words, found in (("ADAM", [ids[0]]), ("learning rate,", [ids[1]]), ("last moons", [ids[2]]), ("[.*", [])):
        page = open_runs(**{"runs.filter": words})
        assert ([len(page.dataframe), len(listed(page))] if found else [len(page.dataframe)]) == ([1, len(found)] if found else [0])
        assert found or "No run has all" in page.words
    assert listed(open_runs(**{"runs.starred": True}))["starred"].tolist() == ["★"]


def test_of_many_runs_one_page_is_sent(store, open_runs):
    record = record_of(trained(3), "", status="paused", seconds=1.0)
    for number in range(250):
        store.save(dataclasses.replace(record, id=f"run{number}"))
    page = open_runs()
    assert len(listed(page)) == 100 and "1 to 100 of 250 runs" in page.words
    page.press("runs.older").press("runs.older")
    assert len(listed(page)) == 50 and "201 to 250 of 250" in page.words and page.button(key="runs.older").disabled
    page.set("text_input", "runs.filter", "circle")
    assert "1 to 100" in page.words


def test_names_and_notes_are_kept(store, open_runs):
    id = saved(store, trained(9))
    page = open_runs([id])
    page.set("text_input", f"runs.name {id}", HOSTILE_NAME).set("text_area", f"runs.note {id}", "two\nlines")
    assert (store.load(id).name, store.load(id).note) == (HOSTILE_NAME, "two\nlines")
    assert listed(page)["name"].tolist() == [HOSTILE_NAME]
    page.press("runs.star")
    assert store.load(id).starred and "Unstar" in labels(page)
    page.press("runs.star")
    assert not store.load(id).starred


def test_deleted_runs_can_be_had_back(store, open_runs):
    ids = [saved(store, trained(steps)) for steps in (1, 2, 3)]
    page = open_runs(ids[:2])
    assert "Delete 2" in labels(page)
    page.press("runs.delete")
    assert listed(page)["step"].tolist() == [3] and "2 runs deleted" in page.words and "Delete 2" not in labels(page)
    with pytest.raises(NoSuchRun):
        store.load(ids[0])
    page.press("runs.undo")
    assert listed(page)["step"].tolist() == [3, 2, 1] and "deleted" not in page.words and "Delete 2" in labels(page)


def test_one_run_opens_in_the_playground_by_its_id(store, open_runs):
    ids = [saved(store, trained(steps)) for steps in (1, 2)]
    links = lambda page: [link.proto.query_string for link in page.test.get("page_link")]  # noqa: E731
    assert links(open_runs(ids[:1])) == [f"run={ids[0]}"] and links(open_runs(ids)) == []


def test_chosen_runs_are_compared(store, open_runs):
    trainer = trained(40)
    fork = Trainer(trainer.config)
    fork.restore(trainer.checkpoint())
    fork.change({"optimizer": {"learning_rate": 1.0}})
    other = trained(5, data={"source": "iris"}, layers=[{"units": 3, "activation": "softmax"}], loss="categorical_cross_entropy")
    origin = saved(store, trainer.run(60))
    ids = [origin, saved(store, fork.run(60), parent=origin, forked_at=40), saved(store, other)]
    page = open_runs(ids)
    assert "2 and 3 are forks of one run and part at step 41" in page.words and "1 and" not in page.words  # the newest is the first
    differing = page.dataframe[1].value
    assert {"Data source", "Learning rate", "Units", "Loss"} <= set(differing["Setting"])
    page.set("segmented_control", "runs.along", "epoch").set("toggle", "runs.log", True)
    page = open_runs([origin, saved(store, Trainer(trainer.config).run(100))])
    assert "do the same up to step" in page.words and "their settings are the same" in page.words


def test_a_single_run_is_told_in_full(store, open_runs):
    trainer = trained(300, optimizer={"learning_rate": 900.0})
    findings = diagnose(trainer)
    origin = saved(store, trained(5))
    fork = saved(store, trainer, findings=findings, parent=origin, forked_at=5)
    store.annotate(fork, "<script>look</script>")
    store.rename(origin, "<i>origin</i>")
    page = open_runs([fork])
    assert len(findings) > 1 and all(html.escape(finding.title) in page.words for finding in findings)
    assert "Forked from &lt;i&gt;origin&lt;/i&gt; at step 5." in page.words and "&lt;script&gt;look" in page.words
    assert "Forked" not in open_runs([origin]).words
    store.delete([origin])
    assert "a run that is no longer here" in page.run().words


def test_many_chosen_runs_are_drawn_in_part(store, open_runs):
    page = open_runs([saved(store, trained(steps, seed=steps)) for steps in range(8)])
    assert "The first 6 of 8 are drawn" in page.words and not page.error


def test_a_run_that_is_damaged_is_told_and_the_others_are_drawn(store, open_runs):
    ids = [saved(store, trained(steps)) for steps in (1, 2, 3)]
    with store._database.writing() as connection:
        connection.execute("UPDATE histories SET arrays = x'00' WHERE run = (SELECT number FROM runs WHERE id = ?)", (ids[1],))
    page = open_runs(ids)
    assert len(page.error) == 1 and "cannot be used" in page.error[0].value
    assert "1 and 2 begin with the same weights" in page.words


def test_a_run_comes_in_from_a_file(store, open_runs):
    raw = archive.export(store.load(saved(store, trained(77))))
    page = open_runs()
    page.test.file_uploader(key="runs.file 0").set_value(("one.descent", raw, "application/zip"))
    page.run()
    assert listed(page)["step"].tolist() == [77, 77] and not page.error
    page.test.file_uploader(key="runs.file 1").set_value(("<b>bad</b>.descent", b"no run", "application/zip"))
    page.run()
    assert "cannot be used" in page.error[0].value and "<b>" not in page.error[0].value and len(listed(page)) == 2
    assert not page.run().error


def test_a_run_of_which_only_figures_are_left_is_shown(store, open_runs):
    id = saved(store, trained(20))
    with store._database.writing() as connection:
        connection.execute("DELETE FROM histories")
        connection.execute("DELETE FROM checkpoints")
    page = open_runs([id, saved(store, trained(30))])
    assert not page.error and "What differs" in page.words and "begin with" not in page.words


def test_on_a_shared_server_each_sees_their_own(store, open_runs, monkeypatch):
    saved(store, trained(1), owner="browser:somebody")
    nobodys = saved(store, trained(2))
    assert listed(open_runs())["step"].tolist() == [2]
    monkeypatch.setattr(keeping, "owner", lambda: "browser:me")
    page = open_runs([nobodys])
    assert "No runs yet" in page.words and not page.dataframe


def test_a_store_in_trouble_is_told(tmp_path, monkeypatch, open_page):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "runs.db").write_bytes(b"something else")
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "data"))
    keeping.store.clear()
    page = open_page()
    page.test.switch_page("pages/runs.py")
    page.run()
    keeping.store.clear()
    assert "damaged" in page.warning[0].value and "No runs yet" in page.words


def test_a_locked_store_is_told_and_the_page_stands(store, open_runs, monkeypatch):
    def busy(*_):
        raise StoreError("Runs cannot be kept now: another program has held the store for 5 seconds.")

    id = saved(store, trained(1))
    page = open_runs([id])
    monkeypatch.setattr(Store, "star", busy)
    page.press("runs.star")
    assert "another program" in page.error[0].value and len(listed(page)) == 1
    monkeypatch.setattr(Store, "table", busy)
    page.run()
    assert "another program" in page.error[0].value


def test_configurations_in_the_list_are_whole(store):
    id = saved(store, trained(1))
    assert RunConfig.from_dict(json.loads(store.table()["config"][0])) == RunConfig.from_dict(SMALL) and store.load(id).step == 1
