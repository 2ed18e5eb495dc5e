"""The page of kept runs: the list, what can be done with it, and what it says when something is wrong."""

import dataclasses
import html
import io
import json
import zipfile

import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.store import archive
from core.store.record import record_of
from core.store.store import NoSuchRun, Store, StoreError
from core.training.trainer import Trainer
from core.watch.watched_runs import WatchedRuns
from pages.charts.runs import MOST
from pages.shell import identity
from pages.watching import keeping
from tests.core.live_runs import until
from tests.core.stored_runs import SMALL, saved, trained
from tests.watched import perceptron, watched

HOSTILE_NAME = "<img src=x onerror=alert(1)> $x^2$ [a](javascript:b)"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "data"))
    identity.store.clear()
    yield Store(tmp_path / "data")
    identity.store.clear()


@pytest.fixture
def open_runs(store, open_page):
    def opened(chosen=(), **state):
        page = open_page()
        page.test.switch_page("runs.py")
        for name, value in {"runs.chosen": list(chosen), **state}.items():
            page.test.session_state[name] = value
        return page.run()

    return opened


def listed(page):
    """The list as the browser gets it."""
    return page.dataframe[0].value


def with_texts(raw, **values):
    """An exported run with these values in its run.json."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, json.dumps(json.loads(content) | values) if name == "run.json" else content)
    return packed.getvalue()


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
    for words, found in (("ADAM", [ids[0]]), ("learning rate 900", [ids[1]]), ("last moons", [ids[2]]), ("[.*", [])):
        page = open_runs(**{"runs.filter": words})
        assert ([len(page.dataframe), len(listed(page))] if found else [len(page.dataframe)]) == ([1, len(found)] if found else [0])
        assert found or "No run has all" in page.words
    assert listed(open_runs(**{"runs.starred": True}))["starred"].tolist() == ["★"]


def test_what_the_filter_hides_is_not_chosen(store, open_runs):
    ids = [saved(store, trained(steps)) for steps in (1, 2)]
    store.rename(ids[0], "first")
    assert "Delete 2" in labels(open_runs(ids)) and "Delete" in labels(open_runs(ids, **{"runs.filter": "first"}))
    page = open_runs(ids, **{"runs.filter": "nothing like this"})
    assert not [label for label in labels(page) if "Delete" in label] and "No run has all" in page.words and not page.dataframe


def test_when_and_how_long_a_run_trained_is_told(store, open_runs):
    id = saved(store, trained(5))
    with store._database.writing() as connection:
        connection.execute("UPDATE runs SET seconds = 125.4, created = 1700000000 WHERE id = ?", (id,))
    row = listed(open_runs()).iloc[0]
    assert row["seconds"] == "2 min 5 s" and str(row["created"]).startswith("2023-11-14 22:13:20")


def test_of_a_short_list_the_newest_run_is_shown(store, open_runs):
    ids = [saved(store, trained(steps)) for steps in (1, 2)]
    page = open_runs()
    assert "The newest run:" in page.words and "Delete" not in labels(page)
    assert "The newest run:" not in open_runs(ids[:1]).words


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
    page = open_runs([saved(store, trained(steps, seed=steps)) for steps in range(MOST + 2)])
    assert MOST >= 12 and f"The first {MOST} of {MOST + 2} are drawn" in page.words and not page.error


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


FINDING = {"code": "x", "severity": "critical", "step": 1, "layer": 1, "title": "\ud800", "cause": "c"}
REFUSED = {"name": {"name": "\ud800"}, "title": {"findings": [FINDING]}, "note": {"note": "\0"}, "figure": {"seconds": 10**400}}


def test_a_run_that_is_refused_is_told_in_a_sentence_and_the_list_is_as_it_was(store, open_runs):
    raw = archive.export(store.load(saved(store, trained(77))))
    page = open_runs()
    before = listed(page)
    for number, (what, values) in enumerate(REFUSED.items()):
        page.test.file_uploader(key=f"runs.file {number}").set_value(("one.descent", with_texts(raw, **values), "application/zip"))
        page.run()
        (error,) = page.error
        assert error.value.startswith("one\\.descent cannot be used\\. File must be") and error.value.isprintable(), what
        assert listed(page).equals(before)
        assert not page.run().error


BAD = {
    "a surrogate in a finding": ("findings", json.dumps([FINDING])),
    "findings that are no JSON": ("findings", "{"),
    "findings of another kind": ("findings", "[7]"),
    "a configuration that is no JSON": ("config", "{"),
    "a configuration of another kind": ("config", "[]"),
    "a source that does not exist": ("config", json.dumps({"data": {"source": "nowhere"}})),
    "a surrogate in a setting": ("config", json.dumps({"data": {"target": "\ud800"}})),
    "a figure that is text": ("final", "low"),
    "a metric that is none": ("metric", b"\x80"),
    "an unknown status": ("status", "unheard of"),
    "a spark of odd length": ("spark", b"123"),
    "a step that is text": ("step", "many"),
    "a time without end": ("updated", 1e300),
    "a name of another type": ("name", b"\x80"),
    "a name that is too long": ("name", "x" * 500),
    "a note of another type": ("note", b"\x80"),
    "a fork from nowhere": ("parent", "gone"),
}


@pytest.fixture
def with_bad_rows(store):
    """The ids of a good run and, by what is the matter with it, of each bad one."""
    ids = {what: saved(store, trained(2)) for what in [*BAD, "a surrogate in its name"]}
    with store._database.writing() as connection:
        for what, (column, value) in BAD.items():
            connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, ids[what]))
        connection.execute("UPDATE runs SET name = CAST(x'61EDA080' AS TEXT) WHERE id = ?", (ids["a surrogate in its name"],))
    return saved(store, trained(3)), ids


def test_bad_rows_hide_no_others(store, open_runs, with_bad_rows):
    _, bad = with_bad_rows
    page = open_runs()
    rows = listed(page).iloc[::-1].reset_index(drop=True)  # as they were made
    assert not page.error and len(rows) == len(bad) + 1 and rows["name"].iloc[-1] == "Circle 3-1"
    rows.index = [*bad, "good"]
    for what in (
        "findings that are no JSON",
        "a configuration that is no JSON",
        "a source that does not exist",
        "a surrogate in a setting",
    ):
        assert rows.loc[what, "found"] == "cannot be read"
    assert rows.loc["a configuration of another kind", "name"].startswith("Run ")
    assert (rows.loc["a spark of odd length", ["name", "found"]] == ["Circle 3-1", "✓ nothing"]).all()
    assert rows.loc["a surrogate in a finding", "found"] == "✕ \ufffd" and rows.loc["a surrogate in its name", "name"].startswith("a\ufffd")
    assert rows.loc["an unknown status", "status"] == "cannot be read" and rows.loc["a figure that is text", "step"] == 2
    for words, found in (("circle", len(bad) - 3), ("xxxx", 1), ("unheard of", 1)):
        assert len(listed(page.set("text_input", "runs.filter", words))) == found and not page.error
    assert "No run has" in page.set("toggle", "runs.starred", True).words


def test_bad_rows_are_told_one_by_one_and_deleted(store, open_runs, with_bad_rows):
    good, bad = with_bad_rows
    page, told = open_runs(), set()
    for what, id in bad.items():
        page.test.session_state["runs.chosen"] = [id]
        page.run()
        assert "Delete" in labels(page) and len(page.error) <= 1
        for error in page.error:
            assert "cannot be used" in error.value and error.value.isprintable()
            told.add(what)
    assert bad.keys() - told == {"a spark of odd length", "a time without end", "a name that is too long", "a surrogate in its name"}
    page = open_runs([good, *list(bad.values())[:5]])
    assert len(page.error) == 5 and "Loss" not in page.words and "Delete 6" in labels(page)
    page = open_runs([good, *bad.values()])
    page.press("runs.star").press("runs.delete")
    assert f"{len(bad) + 1} runs deleted" in page.words and not page.dataframe
    assert len(listed(page.press("runs.undo"))) == len(bad) + 1


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
    monkeypatch.setattr(identity, "owner", lambda: "browser:me")
    page = open_runs([nobodys])
    assert "No runs yet" in page.words and not page.dataframe


def test_a_store_in_trouble_is_told(tmp_path, monkeypatch, open_page):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "runs.db").write_bytes(b"something else")
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path / "data"))
    identity.store.clear()
    page = open_page()
    page.test.switch_page("runs.py")
    page.run()
    identity.store.clear()
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


@pytest.fixture
def told(store, tmp_path, monkeypatch):
    """The Entry of a watched program with a mistake in it, as the door makes it."""
    monkeypatch.setattr(keeping, "AFTER", 0.01)
    runs = WatchedRuns()
    watched(perceptron, tmp_path / "run.probe", name="my loop", bug="no_slope", steps=60)
    return runs.take((tmp_path / "run.probe").read_bytes())


def test_a_watched_program_stands_beside_the_others(store, told, open_runs):
    mine = saved(store, trained(120))
    keeping.keep_soon(told)
    until(lambda: len(store.table()) == 2)
    page = open_runs([mine, told.run.run_id])
    rows = listed(page).set_index("name")
    assert rows.loc["my loop", ["status", "step", "differs", "metric"]].tolist() == ["■ ended", 60, "", ""]
    assert rows.loc["my loop", "found"].startswith("✕ Hidden slope left out") and rows.loc["my loop", "final"] > 0
    assert len(rows.loc["my loop", "spark"]) > 5 and not page.error


def test_it_is_opened_where_it_was_watched_and_handed_on_as_it_was_told(store, told, open_runs):
    keeping.keep(told)
    page = open_runs([told.run.run_id])
    assert "a probe watched" in page.words and not page.error
    link = page.test.get("page_link")[0].proto
    assert (link.label, link.page) == ("Open in Watch", "watch") and told.run.run_id in link.query_string
    assert [button.label for button in page.test.get("download_button")][:1] == ["What the probe told"]


def test_after_a_restart_the_page_watch_has_it_from_the_store(store, told, open_page, monkeypatch):
    keeping.keep(told)
    runs = WatchedRuns()
    monkeypatch.setattr("pages.watching.door.runs", runs)
    monkeypatch.setattr("pages.watching.view.runs", runs)
    page = open_page()
    page.test.switch_page("watch.py")
    page.test.query_params["run"] = told.run.run_id
    page.run().run()
    assert "Hidden slope left out" in page.words and [entry.run.steps for entry in runs.of(None)] == [60]
