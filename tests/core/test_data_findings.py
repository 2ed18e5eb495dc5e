"""What is odd in the data is told before the first step, and sound data get no word."""

from pathlib import Path

import numpy as np
import pytest

from core.data.table.formats import packed
from core.diagnosis import diagnose
from core.proposal import configured
from core.training.trainer import Trainer

TABLES = Path(__file__).parents[1] / "files" / "tables"


def trained(path, steps=2000, **data):
    return Trainer(configured({"data": {"path": str(path), **data}})).advance(steps)


def findings(trainer):
    return {finding.code: finding for finding in diagnose(trainer)}


def test_ids_and_sentinels_among_the_inputs():
    found = findings(trained(TABLES / "id_column.csv", 0, drop=[]))
    assert found["id_input"].severity == "info" and found["id_input"].fix == {"data": {"drop": ["customer_id"]}}
    assert findings(trained(TABLES / "sentinel_minus_999.csv", 0))["sentinel_values"].evidence == {"value": -999.0, "rows": 10.0}
    assert not {"id_input", "sentinel_values"} & findings(trained(TABLES / "id_column.csv", 0)).keys()


def test_classes_parts_and_rows(tmp_path):
    path = tmp_path / "odd.csv"
    rows = [f"{i % 5},{i},{'early' if i < 60 else 'late'}" for i in range(79)] + ["1,1,single"]
    path.write_text("a,b,y\n" + "\n".join(rows) + "\n")
    found = findings(trained(path, 0, split="ordered", test_fraction=0.1, target="y"))
    assert {"class_in_one_part", "single_row_class", "tiny_test_part"} <= found.keys()
    assert found["class_in_one_part"].fix == {"data": {"split": "stratified"}}
    assert all(finding.severity == "info" for finding in found.values() if finding.code in ("single_row_class", "tiny_test_part"))
    both = tmp_path / "both.zip"
    both.write_bytes(packed(("a.csv", path.read_bytes()), ("b.csv", path.read_bytes().splitlines(keepends=True)[0] + b"1,1,late\n")))
    given = findings(trained(both, 0, split="random", target="y"))
    assert given["class_in_one_part"].fix is None and given["tiny_test_part"].fix is None
    assert "a file of more rows" in given["tiny_test_part"].advice
    fixed = trained(path, 0, split="stratified", test_fraction=0.3, target="y")
    assert not {"class_in_one_part", "tiny_test_part"} & findings(fixed).keys()


def test_an_input_that_tells_the_target_and_repeated_rows(tmp_path):
    path = tmp_path / "leak.csv"
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 100)
    path.write_text("a,paid,y\n" + "".join(f"{rng.integers(0, 3)},{c * 10 + rng.integers(0, 2)},{c}\n" for c in classes))
    found = findings(trained(path, 0))
    assert found["leaking_input"].fix == {"data": {"drop": ["paid"]}} and "repeated_rows" in found
    assert found["leaking_input"].cause == "data"


@pytest.mark.parametrize("source", ["iris", "moons", "blobs", "diabetes", "truth_table"])
def test_nothing_odd_is_found_in_sound_data(source):
    codes = {"id_input", "sentinel_values", "class_in_one_part", "single_row_class", "leaking_input", "repeated_rows", "tiny_test_part"}
    assert not codes & findings(Trainer(configured({"data": {"source": source}}))).keys()
