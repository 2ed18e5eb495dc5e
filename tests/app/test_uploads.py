"""A person's own file: used when it is sound, refused with one sentence when not."""

import gc
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from core.limits import LIMITS, ConfigError
from core.presets import OPENING
from pages.training import uploads
from pages.training.table_preview import changed_columns
from pages.training.uploads import Uploads
from tests.app.files import CSV, HOSTILE, NUMBERS, PEOPLE, npz

MORE = b"\n".join(CSV.split(b"\n")[:3]) + b"\n"


@pytest.fixture
def page(open_page):
    return open_page().set("segmented_control", "data.source", "file")


def test_without_a_file_the_run_stays_and_the_page_says_what_is_missing(page):
    assert "No file yet" in page.info[0].value
    assert page.live_run.config == OPENING


def test_a_table_of_classes_is_used_at_once(page):
    page.upload("fruit.csv", CSV)
    config = page.live_run.config
    assert (config.data.task, config.layers[-1].units, config.layers[-1].activation) == ("classification", 1, "sigmoid")
    assert page.selectbox(key="data.target").value == "ripe"
    assert page.number("data.samples") == 40
    assert page.press("step").step == 1


def test_the_target_column_can_be_another_one(page):
    page.upload("fruit.csv", CSV).set("segmented_control", "data.task", "regression").set("multiselect", "data.target", ["width"])
    assert (page.live_run.config.data.target, page.live_run.config.loss) == ("width", "mse")  # the text is a category among the inputs
    page.upload("numbers.csv", NUMBERS).set("segmented_control", "data.task", "regression")
    page.set("multiselect", "data.target", ["a", "b"])
    config = page.live_run.config
    assert (config.data.target, config.layers[-1].units, config.loss) == (("a", "b"), 2, "mse")


def test_a_table_is_shown_and_all_that_was_decided_can_be_changed_and_taken_back(page):
    page.upload("people.csv", PEOPLE)
    draft = page.session.draft
    assert page.live_run.config.data.drop == ("id",) and {entry["name"]: entry["use"] for entry in draft.table.columns}["id"] == "left out"
    assert "Classes" in page.words and "only numbers or names the rows" in page.words
    edited = {"edited_rows": {0: {"use": "input"}, 1: {"type": "category"}, 2: {"use": "left out"}}}
    draft.change_table(changed_columns(draft.values, tuple(entry["name"] for entry in draft.table.columns), edited["edited_rows"]))
    page.run()
    config = page.live_run.config.data
    assert config.drop == ("size",) and dict(config.columns)["age"].type == "category"
    page.press("undo table")
    assert page.live_run.config.data.drop == ("id",) and not page.live_run.config.data.columns
    page.set("selectbox", "data.header", False)
    assert page.live_run.config.data.target == "column 4" and "must" not in page.words
    page.press("undo table")
    assert page.live_run.config.data.target == "kind"


def test_a_table_without_a_use_waits_for_a_change_and_can_be_mended(page):
    page.upload("odd.csv", b"a,b\n" + b"".join(b"%d,same\n" % (row * row % 7) for row in range(40)))
    page.set("segmented_control", "data.task", "classification").set("selectbox", "data.target", "b")
    assert page.can("play")  # one class trains, and is diagnosed
    page.set("selectbox", "data.target", "a")
    assert "must leave at least one column as input" in page.words and not page.can("play")
    page.press("undo table").press("undo table")
    page.upload("fruit.csv", CSV)
    assert page.press("step").step == 1


def test_new_rows_are_predicted(page):
    page.upload("people.csv", PEOPLE).press("step")
    assert "new row age" in {field.key for field in page.text_input} and "kind: **" in page.words
    page.upload("new.csv", b"age,size\n1,2\n", "new rows")
    assert "must" not in page.words
    page.set("text_input", "new row age", "not a number")
    assert "must" in page.words


def test_the_penalty_follows_the_table_unless_another_one_was_chosen(page):
    page.upload("fruit.csv", CSV)
    assert page.live_run.config.penalty.l2 == 0.025  # half of one over 20 training rows
    page.upload("people.csv", PEOPLE)
    proposed = page.live_run.config.penalty.l2
    assert proposed == page.session.draft.table.l2 != 0.025
    page.set("segmented_control", "data.source", "spiral")
    assert page.live_run.config.penalty.l2 == 0
    page.session.draft.edit("penalty.l2", 0.3)
    page.set("segmented_control", "data.source", "file").upload("fruit.csv", CSV)
    assert page.live_run.config.penalty.l2 == 0.3


def test_a_test_file_of_its_own_is_used_changed_and_left_out(page):
    page.upload("fruit.csv", CSV).set("segmented_control", "data.task", "regression").set("multiselect", "data.target", ["width"])
    alone = page.live_run.config.data
    page.upload("../more tests.csv", MORE, "tests")
    config = page.live_run.config.data
    assert (config.target, config.test_path) == ("width", None) and "of 2 rows" in page.words
    assert page.press("step").step == 1
    page.upload("twice.csv", MORE + MORE.split(b"\n", 1)[1], "tests")
    assert "of 4 rows" in page.words
    page.upload("other.csv", NUMBERS, "tests")
    assert "The test file must have the columns of the training file; it has" in page.words.replace("\\", "") and "of 4 rows" in page.words
    page.test.file_uploader(key="tests").set_value(None)
    assert page.run().live_run.config.data == alone
    page.upload("more.csv", MORE, "tests").press("drop tests")
    assert page.live_run.config.data == alone and len(list(Path(alone.path).parents[1].iterdir())) <= 2


def test_a_file_taken_out_of_the_list_stays_in_use(page):
    page.upload("fruit.csv", CSV)
    page.test.file_uploader(key="file").set_value(None)
    page.run()
    assert not page.session.draft.pending and page.session.config.data.source == "file" and "In use: fruit" in page.words.replace("\\", "")
    assert page.press("step").step == 1


def test_a_measure_is_taken_as_a_regression(page):
    page.upload("numbers.csv", NUMBERS)
    assert page.live_run.config.data.task == "regression" and page.live_run.config.loss == "mse"


@pytest.mark.parametrize(("y", "units", "activation"), [
    (np.arange(40) % 3, 3, "softmax"),
    (np.eye(3)[np.arange(40) % 3], 3, "softmax"),
    (np.array([[0, 1, 1, 0], [1, 1, 0, 0]])[np.arange(40) % 2][:, :3].astype(float), 3, "sigmoid"),
])  # fmt: skip
def test_an_npz_brings_labels_or_columns(page, y, units, activation):
    page.upload("mine.npz", npz(X=np.random.default_rng(0).random((40, 5)), y=y))
    output = page.live_run.config.layers[-1]
    assert (output.units, output.activation) == (units, activation)


def test_a_wide_file_of_few_rows_fits(page):
    page.upload("pixels.npz", npz(X=np.random.default_rng(0).random((50, 2000)), y=np.arange(50) % 2))
    assert page.live_run.config.data.samples == 50


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(page, name):
    page.upload(name, HOSTILE[name])
    assert ":red[" in page.words and "Traceback" not in page.words and "<script>" not in page.words
    assert page.live_run.config == OPENING
    assert not any(page.can(name) for name in ("play", "step", "epoch", "new_seed"))
    assert "The run stays with: <b>Spiral</b>" in page.words and "Ready: press Play" not in page.words
    page.press("take back").press("step")
    assert page.segmented_control(key="data.source").value == "spiral" and page.step == 1


def test_the_real_path_is_never_shown(page):
    page.upload("fruit.csv", CSV)
    path = page.live_run.config.data.path
    assert path not in page.words and path not in page.query.values()


def test_a_file_goes_with_its_successor(page):
    page.upload("fruit.csv", CSV)
    first = Path(page.live_run.config.data.path)
    page.upload("numbers.csv", NUMBERS).upload("more.csv", CSV)
    second = Path(page.live_run.config.data.path)
    assert not first.exists() and second.read_bytes() == CSV
    assert len(list(second.parents[1].iterdir())) == 2  # the one before may still be in use by the run


def test_files_go_when_their_session_goes():
    uploads = Uploads()
    path = uploads[uploads.add("fruit.csv", CSV)].path
    assert path.exists()
    del uploads
    gc.collect()
    assert not path.parents[1].exists()


def test_a_file_name_cannot_lead_out_of_the_folder():
    uploads = Uploads()
    paths = [uploads[uploads.add(name, CSV)].path for name in ("../../../etc/cron.d/evil\n.csv", "", ".", "..")]
    assert [path.name for path in paths] == ["_.._.._.._etc_cron.d_evil_.csv", "_", "_.", "_.."]
    assert len({path.parents[1] for path in paths}) == 1 and paths[0].parents[1].name.startswith("descent-upload-")


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setitem(LIMITS, "file_bytes", 100)
    with pytest.raises(ConfigError, match="at most"):
        Uploads().add("fruit.csv", CSV)


def test_what_a_killed_server_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    names = [
        f"{uploads.FOLDER}{gone.pid}-abc",
        f"{uploads.FOLDER}{os.getpid()}-abc",
        f"{uploads.FOLDER}1-abc",
        f"{uploads.FOLDER}{9**99}-abc",
        "other-2",
    ]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "private.csv").touch()
    uploads._tidy_up.cache_clear()
    Uploads()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
