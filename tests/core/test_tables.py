"""Tables as people have them: what is read, decided, proposed, trained and predicted."""

import contextlib
import gzip
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.__main__ import main
from core.config import ConfigError, DataConfig, RunConfig
from core.data import load
from core.data.table.formats import packed
from core.data.table.values import to_numbers
from core.limits import LIMITS
from core.live.table_reader import describe as describe_apart
from core.proposal import configured, describe
from core.training.trainer import Trainer

TABLES = Path(__file__).parents[1] / "files" / "tables"


def told(path, **fields):
    return describe(DataConfig(source="file", path=str(path), **fields), {"source", "path", *fields})


def trained(path, steps=2000, **data):
    return Trainer(configured({"data": {"path": str(path), **data}})).advance(steps)


def types(description):
    return {entry["name"]: (entry["type"], entry["use"]) for entry in description.columns}


# file: (rows, target, task, inputs, what is said)
READ = {
    "categories.csv": (160, "bought", "classification", 4, ()),
    "constant_column.csv": (80, "y", "regression", 2, ("the same value fills column 'year'",)),
    "id_column.csv": (90, "kind", "classification", 2, ("'customer_id' only numbers",)),
    "row_numbers.csv": (90, "kind", "classification", 2, ("no name", "only numbers")),
    "missing_numbers.csv": (160, "bought", "classification", 3, ("18 missing values in column 'income' are filled with the median",)),
    "sentinel_minus_999.csv": (80, "y", "regression", 2, ("-999 in column 'x1' (10 times)", "likely a missing value")),
    "percent_currency_thousands.csv": (80, "y", "regression", 2, ("without %", "without $ and thousands separators")),
    "semicolon_decimal_comma.csv": (80, "y", "regression", 2, ("decimal commas",)),
    "tabs.tsv": (80, "y", "regression", 2, ()),
    "spaces.dat": (80, "y", "regression", 2, ()),
    "utf16_tabs_data.tsv": (80, "y", "regression", 2, ("UTF-16",)),
    "no_header.csv": (90, "column 3", "classification", 2, ("No header",)),
    "year_headers.csv": (4, "1962", "regression", 2, ("'country'",)),
    "preamble.csv": (80, "y", "regression", 2, ("2 lines before the table",)),
    "label_first_text_last.csv": (90, "kind", "classification", 3, ()),
    "table.csv.gz": (80, "y", "regression", 2, ("gzip",)),
    "table.json": (80, "y", "regression", 2, ()),
    "table.parquet": (80, "y", "regression", 2, ()),
    "table.xlsx": (80, "y", "regression", 2, ()),
    "single.npy": (60, "x65", "classification", 64, ()),
    "keras_layout.npz": (60, "y", "classification", 64, ("20 rows of 'x_test'", "8 x 8")),
    "images_3d.npz": (60, "y", "classification", 64, ("8 x 8",)),
    "data_target.npz": (60, "y", "classification", 64, ("'data'", "'target'")),
    "three_classes.csv": (90, "kind", "classification", 2, ()),
    "unscaled_default.csv": (200, "price", "regression", 2, ()),
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_for_what_it_is(name):
    rows, target, task, inputs, notes = READ[name]
    description = told(TABLES / name)
    said = description.to_dict()
    assert (said["rows"], said["target"], said["task"], description.problem) == (rows, target, task, None)
    assert sum(entry["use"] == "input" for entry in said["columns"]) == inputs
    for words in notes:
        assert words in "\n".join(said["notes"])


@pytest.mark.parametrize(("content", "target", "kinds"), [
    # the last year is empty as yet
    (b"country,code,1960,1961,1962\n" + b"".join(b"land %d,c%d,%d,%d.5,\n" % (row, row, row % 5, row % 7) for row in range(40)), "1961",
     {"country": "text", "1962": "constant"}),
    # the outcome is not when or where a row was measured
    (b"sales,site_lat,Year\n" + b"".join(b"%d.5,%d,%d\n" % (row % 9, row % 7, 1990 + row % 10) for row in range(40)), "sales",
     {"Year": "number"}),
    (b"day,y\n" + b"".join(b"Jan-%d-1995,%d.5\n" % (1 + row % 28, row % 9) for row in range(40)), "y", {"day": "date"}),
], ids=["empty year", "outcome", "date"])  # fmt: skip
def test_a_table_of_years_places_or_dates_has_a_sensible_target(tmp_path, content, target, kinds):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    description = told(path)
    assert description.target == (target,) and description.problem is None
    assert kinds.items() <= {name: kind for name, (kind, _) in types(description).items()}.items()


@pytest.mark.parametrize(("name", "metric"), [
    ("categories.csv", 0.9), ("unscaled_default.csv", 0.9), ("three_classes.csv", 0.8), ("missing_numbers.csv", 0.8),
    ("percent_currency_thousands.csv", 0.9), ("semicolon_decimal_comma.csv", 0.9), ("keras_layout.npz", 0.7),
])  # fmt: skip
def test_a_path_alone_trains_well(name, metric):
    trainer = trained(TABLES / name)
    assert trainer.evaluator.metric("test") > metric
    assert trainer.config.data.scaling == "standard"


def test_the_proposal_is_written_out_and_each_field_given_is_kept():
    config = configured({"data": {"path": str(TABLES / "three_classes.csv"), "scaling": "minmax"}, "batch_size": 5})
    assert (config.layers[-1].units, config.layers[-1].activation, config.loss) == (3, "softmax", "categorical_cross_entropy")
    assert (config.data.source, config.data.target, config.data.scaling, config.batch_size) == ("file", "kind", "minmax", 5)
    assert RunConfig.from_dict(config.to_dict()) == config


def test_large_weights_cost_the_more_the_fewer_rows_there_are():
    classes, values, keras = (TABLES / name for name in ("three_classes.csv", "unscaled_default.csv", "keras_layout.npz"))
    assert configured({"data": {"path": str(classes), "samples": 50}}).penalty.l2 == 0.02  # half of one over 25 training rows
    assert configured({"data": {"path": str(values), "test_fraction": 0.2}}).penalty.l2 == 0.0063  # one over 159
    assert configured({"data": {"path": str(keras)}}).penalty.l2 == 0.013  # 20 of 60 rows are the file's own tests
    assert configured({"data": {"path": str(values)}, "penalty": {"l2": 0.5}}).penalty.l2 == 0.5
    assert configured({"data": {"path": str(values)}, "layers": [{"units": 1}]}).penalty.l2 == 0


def test_with_layers_all_that_is_missing_is_as_before():
    layers = [{"units": 3, "activation": "softmax"}]
    config = configured({"data": {"path": str(TABLES / "id_column.csv")}, "layers": layers})
    assert (config.data.scaling, config.data.target, config.data.drop) == ("none", None, ())
    assert load(config.data).input_names == ("customer_id", "a", "b")


def test_levels_become_inputs_under_their_names_and_rare_ones_share_one(tmp_path):
    path = tmp_path / "levels.csv"
    levels = ["north", "south"] * 200 + ["rare1", "rare2", "", "north"]
    path.write_text("place,y\n" + "\n".join(f"{level},{index % 2}" for index, level in enumerate(levels)) + "\n")
    data = load(DataConfig(source="file", path=str(path), test_fraction=0.0))
    assert data.input_names == ("place=north", "place=south", "place=other")
    assert (data.train.inputs.sum(axis=1) == 1).all() and data.train.inputs[:, 2].sum() == 3


def test_dates_become_their_parts(tmp_path):
    path = tmp_path / "dates.csv"
    days = pd.date_range("2021-01-30", periods=60, freq="D")
    path.write_text("when,y\n" + "\n".join(f"{day.day}.{day.month}.{day.year},{day.day_of_week % 2}" for day in days) + "\n")
    data = load(DataConfig(source="file", path=str(path), test_fraction=0.0))
    assert data.input_names == ("when month", "when day", "when weekday")
    assert sorted(map(tuple, data.train.inputs)) == sorted((day.month, day.day, day.day_of_week) for day in days)


def test_what_is_filled_and_scaled_is_fitted_on_the_training_part():
    config = DataConfig(source="file", path=str(TABLES / "missing_numbers.csv"), scaling="standard")
    data = load(config)
    assert np.allclose(data.train.inputs.mean(axis=0), 0) and np.allclose(data.train.inputs.std(axis=0), 1)
    assert not np.allclose(data.test.inputs.mean(axis=0), 0, atol=1e-3)
    recipe = {name: (fill, low, size) for name, _, fill, low, size in data.preparation.recipe()["numbers"]}
    fill, low, size = recipe["income"]
    filled = np.isclose(data.train.inputs[:, 1] * size + low, fill)
    assert filled.sum() + np.isclose(data.test.inputs[:, 1] * size + low, fill).sum() >= 18


def test_rows_with_missing_values_can_be_left_out():
    kept = load(DataConfig(source="file", path=str(TABLES / "missing_numbers.csv"), missing="drop"))
    assert kept.rows == 160 - 18


def test_what_was_decided_of_a_column_can_be_overruled():
    path = TABLES / "id_column.csv"
    wanted = RunConfig.from_dict(
        {"data": {"columns": {"customer_id": {"use": "input"}, "a": {"type": "category"}, "b": {"use": "left out"}}}}
    )
    assert types(told(path, columns=wanted.data.columns)) == {
        "customer_id": ("id", "input"),
        "a": ("category", "input"),
        "b": ("number", "left out"),
        "kind": ("category", "target"),
    }
    assert told(TABLES / "no_header.csv", header=True).rows == 89
    assert told(TABLES / "year_headers.csv", header=False).rows == 5
    with pytest.raises(ConfigError, match=r"data\.delimiter|two columns"):
        told(TABLES / "tabs.tsv", delimiter="|")


@pytest.mark.parametrize(("field", "value", "words"), [
    ("drop", ["nowhere"], "columns of the file"), ("drop", "a", "list of column names"), ("delimiter", ";;", "one character"),
    ("columns", {"a": {"type": "colour"}}, "one of number"), ("columns", [1], "object of column names"),
    ("columns", {"nowhere": {"use": "input"}}, "columns of the file"), ("header", 1, "true, false or null"),
    ("split", "even", "one of stratified"), ("missing", None, "one of fill"),
])  # fmt: skip
def test_settings_of_a_table_are_checked(field, value, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load(RunConfig.from_dict({"data": {"source": "file", "path": str(TABLES / "id_column.csv"), field: value}}).data)
    assert caught.value.field.startswith(f"data.{field}")


def test_all_problems_are_told_at_once(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("a,b,y\n" + "".join(f"{'inf' if i == 3 else i},{'1e200' if i == 4 else i * i},{i + 0.5}\n" for i in range(30)))
    with pytest.raises(ConfigError) as caught:
        load(DataConfig(source="file", path=str(path)))
    assert all(words in caught.value.message for words in ("'a' holds infinite", "'b' holds numbers beyond", "must be classes that recur"))


def test_the_split_can_be_in_order_or_a_file_of_its_own(tmp_path):
    path, apart = tmp_path / "series.csv", tmp_path / "apart.csv"
    path.write_text("t,y\n" + "".join(f"{i / 2},{i % 2}\n" for i in range(40)))
    apart.write_text("t,y\n100.5,1\n101.5,0\n")
    data = load(DataConfig(source="file", path=str(path), split="ordered", test_fraction=0.25))
    assert data.train.inputs.max() < data.test.inputs.min() and len(data.test) == 10
    data = load(DataConfig(source="file", path=str(path), test_path=str(apart)))
    assert sorted(data.test.inputs.ravel()) == [100.5, 101.5] and len(data.train) == 40
    both = tmp_path / "both.zip"
    both.write_bytes(packed(("series.csv", path.read_bytes()), ("apart.csv", apart.read_bytes())))
    zipped = load(DataConfig(source="file", path=str(both)))
    assert zipped.test.inputs.tolist() == data.test.inputs.tolist() and zipped.train.inputs.tolist() == data.train.inputs.tolist()
    assert "'apart.csv', of 2 rows" in "\n".join(told(both).notes)
    for content, words in ((b"t,z\n1,1\n2,1\n", "columns of the training file"), (b"\n\n", "blanks only")):
        apart.write_bytes(content)
        both.write_bytes(packed(("series.csv", path.read_bytes()), ("apart.csv", content)))
        for fields in ({"path": str(path), "test_path": str(apart)}, {"path": str(both)}):
            with pytest.raises(ConfigError, match=words) as caught:
                load(DataConfig(source="file", **fields))
            assert caught.value.field == "data.test_path"


@pytest.mark.parametrize(("names", "training"), [
    (("test.csv", "train.csv"), "train.csv"), (("my data/training.csv", "my data/tests.csv"), "my data/training.csv"),
    (("adult-test.csv", "adult_train.csv"), "adult_train.csv"), (("a.csv", "b.csv"), None), (("train.csv", "retest.csv"), None),
    (("train1.csv", "train2.csv"), None), (("train.csv", "test.csv", "more.csv"), None),
])  # fmt: skip
def test_a_zip_of_two_tables_has_its_tests_in_the_one_that_says_so(tmp_path, names, training):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x,y\n" + b"".join(b"%d,%d\n" % (row, row % 2) for row in range(30 if name == training else 10)))
    if training is None:
        with pytest.raises(ConfigError, match="whose names begin with train and test"):
            told(path)
    else:
        data = load(DataConfig(source="file", path=str(path)))
        assert (len(data.train), len(data.test)) == (30, 10)


def test_a_zip_in_a_zip_of_two_tables_is_one_table(tmp_path):
    pair = packed(("a.csv", b"x,y\n1,2\n"), ("b.csv", b"x,y\n1,2\n"))
    path = tmp_path / "deep.zip"
    path.write_bytes(packed(("a.zip", pair), ("b.csv", b"x,y\n1,2\n")))
    with pytest.raises(ConfigError, match="must be a zip archive of one table"):
        told(path)


@pytest.mark.parametrize(("values", "kept"), [([0, 255], "int16"), ([-128, 127], "int8"), ([0, 1 << 40], "int64"), ([], "int8")])
def test_whole_numbers_take_as_few_bytes_as_they_need(values, kept):
    numbers = to_numbers(pd.Series(values, dtype="int64"))[0]
    assert numbers.dtype == kept and numbers.tolist() == values


def test_more_rows_than_may_be_are_a_stated_sample(tmp_path):
    path = tmp_path / "long.csv"
    rows = np.arange(LIMITS["samples"] + 1)
    path.write_bytes(b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (row * 7 % 1000, row, row % 2) for row in rows))
    description = told(path)
    assert description.rows == 100_001 and "100,000 of the 100,001 rows" in "\n".join(description.notes)
    assert load(configured({"data": {"path": str(path)}}).data).rows == 100_000


def test_a_file_of_newlines_costs_less_than_a_second(tmp_path):
    path = tmp_path / "newlines.csv.gz"
    path.write_bytes(gzip.compress(b"\n" * (64 << 20)))
    began = time.process_time()
    with pytest.raises(ConfigError, match="blanks only"):
        told(path)
    assert time.process_time() - began < 5  # a bound against hanging; benchmarks/tables.py measures


@pytest.mark.parametrize("content", [
    gzip.compress(b"\0" * ((64 << 20) + 1)), gzip.compress(b"a,b\n1,2\n")[:-9], b"PAR1" + bytes(64) + b"PAR1", b"[" * 100_000, b'{"a": 1}',
    b"[1, 2]", b"\xd0\xcf\x11\xe0" + bytes(600), b"PK\3\4" + b"[Content_Types].xml" + bytes(50), b"\x93NUMPY\1\0\4\0{}  ",
], ids=range(9))  # fmt: skip
def test_hostile_files_of_every_kind_get_one_sentence(tmp_path, content):
    path = tmp_path / "hostile"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        told(path)
    assert caught.value.field == "data.path" and "\n" not in caught.value.message


def test_a_zip_of_one_table_and_a_workbook_with_a_title(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["Report of May"], [], ["size", "kind", "when"], *([i % 7, "ab"[i % 2], f"2024-05-{i % 28 + 1:02}"] for i in range(30))):
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    assert types(told(tmp_path / "book.xlsx")) == {"size": ("number", "input"), "kind": ("category", "target"), "when": ("date", "input")}
    with zipfile.ZipFile(tmp_path / "table.zip", "w") as archive:
        archive.write(TABLES / "tabs.tsv", "in/tabs.tsv")
    assert told(tmp_path / "table.zip").rows == 80


def test_the_reader_has_a_process_of_its_own_that_may_not_take_too_much(monkeypatch):
    data = DataConfig(source="file", path=str(TABLES / "categories.csv"))
    assert describe_apart(data, {"source", "path"}).to_dict() == told(TABLES / "categories.csv").to_dict()
    with pytest.raises(ConfigError, match="columns of the file"):
        describe_apart(DataConfig(source="file", path=str(TABLES / "categories.csv"), drop=["z"]))
    with pytest.raises(ConfigError, match=r"within 0\.05 s"):
        describe_apart(data, seconds=0.05)


def test_the_command_says_how_a_table_is_read():
    done = subprocess.run(
        [sys.executable, "-m", "core", "table", str(TABLES / "categories.csv"), "--json"], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert set(said) == {"rows", "columns", "target", "task", "notes"} and said["columns"][2] == {
        "name": "region", "type": "category", "use": "input", "missing": 0, "distinct": 3,
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["table", str(TABLES / "no_such.csv"), "--json"]) == 2
    assert json.loads(out.getvalue())["error"]["field"] == "data.path"


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_numbers_of_many_digits_are_described_or_refused_in_plain_words(tmp_path, digits):
    number = "9" * digits
    rows = [(number, row % 7, row % 2) for row in range(20)]
    records = ",".join(f'{{"a": {a}, "b": {b}, "y": {y}}}' for a, b, y in rows)
    lines = "\n".join(["a,b,y", *(f"{a},{b},{y}" for a, b, y in rows)])
    for name, text in {"rows.json": f"[{records}]", "rows.csv": lines}.items():
        path = tmp_path / name
        path.write_text(text)
        assert told(path).rows == 20
