"""New rows go through the very preparation that the training rows went through: in predictions, on the command line, in the script."""

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from core.__main__ import main
from core.config import ConfigError, RunConfig
from core.export import exported
from core.link import from_query
from core.prediction import of_texts, predict, predict_picture, rows_in
from core.proposal import configured
from core.snapshot.outputs import outputs_of
from core.store import archive
from core.store.store import Store
from core.training.trainer import Trainer
from tests.core.stored_runs import saved
from tests.core.stored_runs import trained as trained_run

TABLES = Path(__file__).parents[1] / "files" / "tables"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def trained(path, steps=2000, **data):
    return Trainer(configured({"data": {"path": str(path), **data}})).advance(steps)


def test_new_rows_go_through_the_same_preparation():
    trainer = trained(TABLES / "categories.csv", 500)
    raw = (TABLES / "categories.csv").read_bytes()
    said = predict(trainer, rows_in(raw, trainer))
    right = np.array(said.classes) == pd.read_csv(io.BytesIO(raw)).bought.astype(str).to_numpy()
    both = trainer.evaluator.metric("train") * len(trainer.dataset.train) + trainer.evaluator.metric("test") * len(trainer.dataset.test)
    assert right.sum() == round(both) and said.names == ("0", "1") and np.allclose(said.outputs.sum(axis=1), 1)


def test_values_come_in_the_units_of_the_target():
    trainer = trained(TABLES / "unscaled_default.csv", 2000)
    said = predict(trainer, of_texts([{"area": "100", "rooms": "3"}, {"area": "", "rooms": "3"}]))
    assert said.names == ("price",) and said.outputs.min() > 100_000 and said.outputs.max() < 500_000 and said.classes is None


def test_rows_that_do_not_fit_are_refused():
    trainer = trained(TABLES / "unscaled_default.csv", 1)
    refused = {
        "no 'rooms'; its columns are 'area'": [{"area": "1"}],
        "'area: big'": [{"area": "big", "rooms": "1"}],
        "1 to 100,000 rows": [],
    }
    for words, rows in refused.items():
        with pytest.raises(ConfigError, match=words):
            predict(trainer, of_texts(rows))


def test_what_no_training_row_had_is_told():
    trainer = trained(TABLES / "categories.csv", 1)
    row = {name: usual for name, usual, _ in trainer.dataset.preparation.examples}
    name = next(name for name, kind in trainer.dataset.preparation.types.items() if kind == "category")
    assert predict(trainer, of_texts([row, row | {name: ""}])).notes == ()
    said = predict(trainer, of_texts([row, row | {name: "never seen"}]))
    assert said.target == "bought" and len(said.notes) == 1 and f"'never seen' in column '{name}'" in said.notes[0]


@pytest.mark.parametrize("scaling", ["none", "minmax", "standard"])
def test_a_picture_that_is_drawn_is_scaled_as_the_pictures_of_the_data(scaling):
    config = from_query({"data.source": "digits", "data.scaling": scaling, "layers": "10-softmax", "loss": "categorical_cross_entropy"})
    trainer = Trainer(config).advance(200)
    test, pictures = trainer.dataset.test, load_digits().data
    outputs = outputs_of(trainer.network, test.inputs[:20])
    for place, row in enumerate(test.rows[:20]):
        said = predict_picture(trainer, tuple(pictures[row].tolist()))
        assert np.allclose(said.outputs, outputs[place]) and said.classes == (str(np.argmax(outputs[place])),) and said.probable
    for values in ((), (0.0,) * 63, (math.nan,) * 64, (10**400,) * 64, ("0",) * 64):
        with pytest.raises(ConfigError, match="must be 64 numbers of at most 1,000,000"):
            predict_picture(trainer, values)
    with pytest.raises(ConfigError, match="must be pictures"):
        predict_picture(Trainer(RunConfig()), (0.0, 0.0))


def test_the_command_takes_a_configuration_and_a_table(tmp_path, capsys):
    config, new = tmp_path / "run.json", tmp_path / "new.csv"
    config.write_text(json.dumps({"data": {"path": str(TABLES / "three_classes.csv")}}))
    new.write_text("b,a\n0.13,0.26\n5,5\n")
    assert main(["predict", str(config), str(new), "--steps", "300"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["names"] == ["p", "q", "r"] and len(told["outputs"]) == len(told["classes"]) == 2
    new.write_text("b\n1\n")
    assert main(["predict", str(config), str(new), "--steps", "1"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "file"
    assert main(["predict", str(new), str(new)]) == 2
    assert "must be a run file, or a configuration" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize("name", ["categories.csv", "missing_numbers.csv", "unscaled_default.csv"])
def test_the_numpy_script_prepares_new_rows_in_the_same_way(tmp_path, name):
    trainer = trained(TABLES / name, 0)
    frame = pd.read_csv(TABLES / name)
    script = {}
    exec(exported("numpy", trainer, 10).decode(), script)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    mine = trainer.dataset.preparation
    assert np.allclose(script["prepare"](rows), mine.inputs(mine.typed(frame)))
    assert np.allclose(script["predict"](trainer.parameters(), rows)[:, -1], predict(trainer, frame).outputs[:, -1])


def test_a_run_file_predicts_what_its_run_did(store, tmp_path, capsys):
    path, new = TABLES / "categories.csv", str(TABLES / "categories.csv")
    trainer, digest = trained(path, 300), store.keep_upload(path.name, path.read_bytes())
    (tmp_path / "run.descent").write_bytes(archive.export(store.load(saved(store, trainer, upload=digest))))
    assert main(["predict", str(tmp_path / "run.descent"), new]) == 0
    told = json.loads(capsys.readouterr().out)
    assert np.allclose(told["outputs"], predict(trainer, rows_in(path.read_bytes(), trainer)).outputs)


def test_a_run_goes_on_as_it_stood_and_one_without_weights_cannot(store):
    trainer = trained_run(40)
    run = store.load(saved(store, trainer))
    np.testing.assert_array_equal(run.trainer().run(20).network.vector, trainer.run(20).network.vector)
    with pytest.raises(ConfigError, match="only the figures"):
        dataclasses.replace(run, moments=()).trainer()
