"""Single samples: those with the largest loss, and pictures with what is said of them."""

import dataclasses

import numpy as np
import pytest

from core.config import DataConfig, RunConfig
from core.data import load
from core.snapshot.maker import SnapshotMaker
from core.snapshot.samples import SIDE, WORST, small_pictures, worst_samples
from core.training.trainer import Trainer
from tests.app.files import npz
from tests.core import live_runs
from tests.core.live_runs import stand

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)
CIRCLE = {"data": {"source": "circle", "samples": 90, "noise": 0.4}, "layers": [{"units": 5}, {"units": 1, "activation": "sigmoid"}]}
DIGITS = {
    "data": {"source": "digits", "scaling": "standard"},
    "layers": [{"units": 16}, {"units": 10, "activation": "softmax"}],
    "loss": "categorical_cross_entropy",
}


def trained(values, steps=30):
    return Trainer(RunConfig.from_dict(values)).advance(steps)


def saved(tmp_path, name, raw):
    path = tmp_path / name
    path.write_bytes(raw)
    return str(path)


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_worst_are_those_whose_own_loss_is_largest(part):
    trainer = trained(CIRCLE)
    data = getattr(trainer.dataset, part)
    said = trainer.network.forward(np.vstack([data.inputs.T, np.ones(len(data))]))[-1][1][0]
    losses = -np.log(np.where(data.targets == 1, said, 1 - said))
    order = np.argsort(-losses)[:WORST]
    worst = worst_samples(trainer, part)
    assert (worst.step, worst.samples) == (30, len(data))
    assert np.allclose(worst.loss, losses[order]) and worst.share == pytest.approx(losses[order].sum() / losses.sum())
    assert np.allclose(worst.xy, data.points[order]) and worst.true == tuple(str(target) for target in data.targets[order])
    assert worst.predicted == tuple(str(int(value > 0.5)) for value in said[order]) and worst.pictures is None


def test_a_sample_is_told_by_its_row_in_its_source_and_by_its_picture_before_scaling():
    from sklearn.datasets import load_digits

    digits, worst = load_digits(), worst_samples(trained(DIGITS), "test")
    assert worst.true == tuple(str(digits.target[row]) for row in worst.rows)
    assert worst.pictures.shape == (WORST, 8, 8, 1)
    assert np.abs(worst.pictures[..., 0] / 255 * 16 - digits.images[worst.rows]).max() < 0.04


def test_rows_of_a_file_are_the_files_own(tmp_path):
    lines = [f"{index},{'' if index % 7 == 3 else index * 37 % 100 / 9},{'ab'[index % 2]}" for index in range(80)]
    path = saved(tmp_path, "gaps.csv", "\n".join(["row,value,kind", *lines]).encode())
    data = load(DataConfig(source="file", path=path, target="kind", missing="drop"))
    for part in (data.train, data.test):
        assert len(part) and (part.inputs[:, 0] == part.rows).all() and not (part.rows % 7 == 3).any()


def test_what_is_not_finite_is_worst_and_is_said_to_be():
    trainer = trained(CIRCLE)
    trainer.network.vector[:] = np.nan
    worst = worst_samples(trainer, "train")
    assert np.isinf(worst.loss).all() and worst.share == 1 and set(worst.predicted) == {"not finite"}


def test_values_are_told_in_the_targets_own_units():
    data = {"source": "diabetes", "target_scaling": "standard"}
    worst = worst_samples(trained({"data": data, "layers": [{"units": 1}], "loss": "mse"}), "test")
    assert all(25 <= float(true) <= 346 for true in worst.true) and np.ptp([float(true) for true in worst.true]) > 50


def test_several_labels_of_a_sample_are_all_told(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    path = saved(tmp_path, "labels.npz", npz(X=X, y=np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X.sum(axis=1) > 9]).astype(float)))
    data = {"source": "file", "path": path, "task": "classification"}
    worst = worst_samples(trained({"data": data, "layers": [{"units": 3, "activation": "sigmoid"}]}), "train")
    assert {"none", "y1", "y2", "y1, y2"} >= set(worst.true) and "y1, y2" in worst.true


def test_the_list_of_a_past_moment_is_what_it_was_then(start):
    run = start(RunConfig.from_dict(CIRCLE))
    stand(run, 60)
    then = run.worst_samples("test")
    stand(run, 200)
    now, past = run.worst_samples("test"), run.worst_samples("test", 60)
    assert (then.step, past.step, now.step) == (60, 60, 200)
    assert np.array_equal(past.loss, then.loss) and past.true == then.true and not np.array_equal(now.loss, then.loss)


# Pictures


def test_a_gallery_shows_what_is_predicted_right_and_wrong():
    trainer = trained(DIGITS, 300)
    snapshot = SnapshotMaker(trainer, lambda trainer: None).make("paused", 0.0)
    shown, test = snapshot.gallery, trainer.dataset.test
    assert shown.part == "test" and shown.pictures.shape == (24, 8, 8, 1)
    assert shown.true == tuple(str(target) for target in test.targets[:24])
    said = trainer.evaluator.predicted_classes("test")[:24]
    assert shown.predicted == tuple(map(str, said)) and (shown.wrong == (said != test.targets[:24])).all()
    assert snapshot.confusion is snapshot.output and snapshot.confusion.test.sum() == len(test)


def test_classes_of_the_plane_are_counted_and_values_are_not():
    def made(values):
        return SnapshotMaker(trained(values), lambda trainer: None).make("paused", 0.0)

    circle = made(CIRCLE)
    assert circle.confusion.train.sum() == 45 and np.trace(circle.confusion.train) / 45 == pytest.approx(circle.train_metric)
    hills = made({"data": {"source": "hills"}, "layers": [{"units": 1}], "loss": "mse"})
    assert hills.confusion is None and hills.gallery is None


def test_large_pictures_are_made_small():
    data = load(DataConfig(source="photo_ten", samples=4, scaling="minmax"))
    small = small_pictures(data, data.train.inputs)
    plain = load(DataConfig(source="photo_ten", samples=4))
    assert small.shape == (2, SIDE, SIDE, 3)
    assert np.array_equal(small, np.rint(255 * plain.train.inputs.reshape(2, 64, 64, 3)[:, ::2, ::2]).astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "image"),
    [
        (lambda rng: rng.integers(0, 256, (40, 64)), (8, 8, 1)),
        (lambda rng: rng.random((40, 81)).round(3), (9, 9, 1)),
        (lambda rng: rng.random((40, 64)).round(3) * 30, None),
        (lambda rng: rng.integers(-5, 200, (40, 64)), None),
        (lambda rng: rng.integers(0, 256, (40, 65)), None),
        (lambda rng: rng.integers(0, 256, (40, 25)), None),
    ],
)
def test_columns_that_are_pixels_of_a_square_are_a_picture(tmp_path, values, image):
    values = values(np.random.default_rng(1))
    rows = [",".join(["ab"[index % 2], *map(str, row)]) for index, row in enumerate(values.tolist())]
    header = ",".join(["label", *(f"pixel{index}" for index in range(values.shape[1]))])
    path = saved(tmp_path, "pixels.csv", "\n".join([header, *rows]).encode())
    config = DataConfig(source="file", path=path, target="label", scaling="standard")
    data = load(config)
    assert data.image == image
    if image:
        assert load(dataclasses.replace(config, drop=("pixel3",))).image is None
        shown, rows = small_pictures(data, data.train.inputs).astype(float), values[data.train.rows]
        brightest = rows.max() if rows.max() > 1 else 1
        assert np.abs(shown - 255 * rows.reshape(-1, *image) / brightest).max() < 1


def test_pictures_of_ones_own_come_back_from_an_npz(tmp_path):
    rng = np.random.default_rng(2)
    X = rng.integers(0, 256, (30, 3, 10, 12)).astype(np.uint8)  # channels first
    data = load(DataConfig(source="file", path=saved(tmp_path, "own.npz", npz(X=X, y=np.arange(30) % 3)), scaling="minmax"))
    assert data.image == (10, 12, 3)
    shown = small_pictures(data, data.train.inputs).astype(float)
    assert np.abs(shown - X.transpose(0, 2, 3, 1)[data.train.rows]).max() <= 1
