"""Every source of the catalogue but a person's own file: what any source must do, then what each kind must."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import ConfigError, DataConfig
from core.data import load
from core.data.dataset import spread
from core.data.drawn import EXAMPLE
from core.data.photos import PATCH, strip_width
from core.data.sources import FEATURES, SCALINGS, SOURCES

BUILT_IN = [name for name, source in SOURCES.items() if source.kind != "file"]
KIND = {kind: [name for name in BUILT_IN if SOURCES[name].kind == kind] for kind in ("planar", "table", "image")}
CLASSES = [name for name in BUILT_IN if SOURCES[name].task == "classification"]
REGRESSION = [name for name in BUILT_IN if SOURCES[name].task == "regression"]


def loaded(source, **fields):
    return load(DataConfig(source=source, **fields))


def arrays(dataset):
    both = (dataset.train, dataset.test)
    return [array for part in both for array in (part.inputs, part.targets, part.points) if array is not None]


def rows_of(part):
    return {row.tobytes() for row in part.inputs}


@pytest.mark.parametrize("source", BUILT_IN)
class TestEverySource:
    def test_keeps_what_its_entry_promises(self, source):
        entry, dataset = SOURCES[source], loaded(source)
        assert len(dataset.train) + len(dataset.test) == (len(EXAMPLE) if entry.given else entry.samples)
        assert dataset.task == (entry.task or "classification")
        assert dataset.inputs == len(dataset.input_names) == (entry.inputs or 2)
        assert dataset.outputs == entry.outputs_of(DataConfig(source=source))
        assert dataset.labels == (dataset.task == "classification")
        assert all(isinstance(name, str) for name in dataset.input_names + dataset.target_names)

    def test_same_configuration_same_bits(self, source):
        data = DataConfig(source=source, samples=60, scaling="standard", seed=5)
        for first, second in zip(arrays(load(data)), arrays(load(data)), strict=True):
            assert first.tobytes() == second.tobytes()

    def test_another_seed_another_split(self, source):
        first, second = (loaded(source, samples=60, seed=seed) for seed in (1, 2))
        assert rows_of(first.train) != rows_of(second.train)

    def test_arrays_are_finite_contiguous_and_of_the_promised_types(self, source):
        dataset = loaded(source, samples=40)
        for part in (dataset.train, dataset.test):
            assert part.inputs.dtype == float and part.inputs.shape == (len(part), dataset.inputs)
            if dataset.labels:
                assert part.targets.dtype.kind == "i" and part.targets.shape == (len(part),)
                assert set(part.targets.tolist()) <= set(range(dataset.outputs))
            else:
                assert part.targets.dtype == float and part.targets.shape == (len(part), dataset.outputs)
        for array in arrays(dataset):
            assert array.flags.c_contiguous and np.isfinite(array).all()

    def test_nothing_held_back(self, source):
        dataset = loaded(source, samples=20, test_fraction=0)
        assert len(dataset.train) == 20
        assert dataset.test.inputs.shape == (0, dataset.inputs)
        assert dataset.test.targets.shape == ((0,) if dataset.labels else (0, dataset.outputs))

    @pytest.mark.parametrize(("samples", "training"), [(1, 1), (2, 1), (3, 1)])
    def test_a_row_is_always_left_for_training(self, source, samples, training):
        dataset = loaded(source, samples=samples, test_fraction=0.95)
        assert (len(dataset.train), len(dataset.test)) == (training, samples - training)

    def test_scaling_is_fitted_on_the_training_part_alone(self, source):
        raw = loaded(source, samples=50)
        low, span, mean, deviation = (f(raw.train.inputs, axis=0) for f in (np.min, np.ptp, np.mean, np.std))
        span, deviation = (np.where(spread_of > 0, spread_of, 1) for spread_of in (span, deviation))
        standard, minmax = (loaded(source, samples=50, scaling=name) for name in ("standard", "minmax"))
        for name in ("train", "test"):
            inputs = getattr(raw, name).inputs
            assert np.allclose(getattr(standard, name).inputs, (inputs - mean) / deviation)
            assert np.allclose(getattr(minmax, name).inputs, (inputs - low) / span)

    def test_survives_a_pickle(self, source):
        dataset = loaded(source, samples=4)
        again = pickle.loads(pickle.dumps(dataset))
        assert again.train.inputs.tobytes() == dataset.train.inputs.tobytes()


def test_every_entry_has_a_maker_and_a_text():
    for entry in SOURCES.values():
        assert callable(entry.make) and entry.title and entry.about.endswith(".")


@pytest.mark.parametrize("source", [name for name in CLASSES if SOURCES[name].kind != "image"])
def test_both_parts_hold_each_class_in_its_share(source):
    dataset = loaded(source, samples=120, test_fraction=0.25)
    train, test = (np.bincount(part.targets, minlength=dataset.outputs) for part in (dataset.train, dataset.test))
    assert np.abs(test - 0.25 * (train + test)).max() <= 1.0


@pytest.mark.parametrize("source", [name for name in KIND["planar"] if name in CLASSES])
def test_toy_classes_are_balanced(source):
    counts = np.bincount(loaded(source, samples=301, test_fraction=0).train.targets)
    assert np.ptp(counts) <= 1


@pytest.mark.parametrize("source", CLASSES)
def test_training_rows_are_not_sorted_by_class(source):
    targets = loaded(source, samples=200, test_fraction=0).train.targets
    changes = np.count_nonzero(np.diff(targets))
    assert changes > len(targets) / 4


@pytest.mark.parametrize("source", CLASSES)
def test_class_labels_have_no_target_scaling(source):
    with pytest.raises(ConfigError) as caught:
        loaded(source, samples=10, target_scaling="standard")
    assert caught.value.field == "data.target_scaling"


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("source", REGRESSION)
def test_target_scaling_can_be_undone(source, scaling):
    raw, scaled = (loaded(source, samples=40, target_scaling=name) for name in ("none", scaling))
    for name in ("train", "test"):
        values = getattr(scaled, name).targets * scaled.target_factor + scaled.target_offset
        assert np.allclose(values, getattr(raw, name).targets)
    if scaling == "standard":
        assert np.allclose(scaled.train.targets.mean(axis=0), 0)


@given(st.integers(1, 400), st.floats(0, 0.99), st.integers(1, 12), st.integers(0, 99))
def test_a_spread_takes_its_share_of_every_class(rows, share, classes, seed):
    labels = np.random.default_rng(seed).integers(0, classes, rows)
    chosen = spread(rows, share, np.random.default_rng(seed), labels)
    assert len(chosen) == len(set(chosen.tolist())) == min(round(rows * share), rows - 1)
    taken, all_of = (np.bincount(part, minlength=classes) for part in (labels[chosen], labels))
    assert np.abs(taken - all_of * len(chosen) / rows).max() <= 1


class TestPlane:
    @pytest.mark.parametrize("source", KIND["planar"])
    def test_points_lie_in_the_square(self, source):
        dataset = loaded(source, samples=2000)
        points = np.vstack([dataset.train.points, dataset.test.points])
        half = 2 if source == "truth_table" else 6
        assert dataset.extent == (-half, half)
        assert half / 2 < np.abs(points).max() <= half

    @pytest.mark.parametrize("source", KIND["planar"])
    def test_the_square_grows_with_the_noise(self, source):
        dataset = loaded(source, noise=5)
        assert dataset.extent[1] >= np.abs(np.vstack([dataset.train.points, dataset.test.points])).max()

    @pytest.mark.parametrize("source", [name for name in KIND["planar"] if not SOURCES[name].given])
    def test_noise_moves_points_by_its_size(self, source):
        clean, noisy = (loaded(source, samples=3000, noise=noise, test_fraction=0) for noise in (0, 0.2))
        assert (clean.train.targets == noisy.train.targets).all()
        if source not in ("flower", "gaussian", "blobs"):  # their noise is of angle and radius, or widens the clouds
            assert (noisy.train.points - clean.train.points).std() == pytest.approx(0.2, rel=0.1)

    def test_clouds_widen_with_the_noise(self):
        for source in ("gaussian", "blobs"):
            train = loaded(source, samples=6000, noise=1.0, test_fraction=0).train
            assert train.points[train.targets == 0].std(axis=0) == pytest.approx(np.hypot(0.7, 1.0), rel=0.05)

    def test_grid_is_encoded_as_the_samples_are(self):
        for scaling in SCALINGS:
            dataset = loaded("spiral", features=tuple(FEATURES), scaling=scaling)
            assert (dataset.encode(dataset.test.points) == dataset.test.inputs).all()

    @pytest.mark.parametrize(
        ("feature", "formula"),
        [
            ("x1", lambda p: p[:, 0]),
            ("x2", lambda p: p[:, 1]),
            ("x1^2", lambda p: p[:, 0] ** 2),
            ("x2^2", lambda p: p[:, 1] ** 2),
            ("x1*x2", lambda p: p.prod(axis=1)),
            ("sin(x1)", lambda p: np.sin(p[:, 0])),
            ("sin(x2)", lambda p: np.sin(p[:, 1])),
        ],
    )
    def test_features(self, feature, formula):
        dataset = loaded("xor", features=("x2", feature) if feature != "x2" else ("x2",))
        assert np.allclose(dataset.train.inputs[:, -1], formula(dataset.train.points))

    def test_features_come_in_the_order_chosen(self):
        dataset = loaded("circle", features=("x1*x2", "x1"))
        assert dataset.input_names == ("x1*x2", "x1")
        assert (dataset.train.inputs[:, 1] == dataset.train.points[:, 0]).all()

    def test_other_kinds_are_not_planar(self):
        for source in KIND["table"] + KIND["image"]:
            dataset = loaded(source, samples=10)
            assert dataset.encode is dataset.extent is dataset.train.points is None


def clean(source):
    train = loaded(source, noise=0, test_fraction=0, samples=600).train
    return *train.points.T, train.targets if train.targets.ndim == 1 else train.targets[:, 0]


class TestFormulas:
    def test_circle(self):
        x1, x2, labels = clean("circle")
        radius = np.hypot(x1, x2)
        assert (radius[labels == 1] <= 2.5).all() and (radius[labels == 0] >= 3.5).all()

    def test_truth_table(self):
        x1, x2, labels = clean("truth_table")
        assert sorted(set(zip(x1, x2, labels))) == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]

    def test_xor(self):
        x1, x2, labels = clean("xor")
        assert ((x1 * x2 > 0) == labels).all()

    def test_gaussian(self):
        x1, x2, labels = clean("gaussian")
        assert ((x1 + x2 > 0) == labels).mean() > 0.99

    def test_spiral(self):
        x1, x2, labels = clean("spiral")
        radius = np.hypot(x1, x2)
        angle = 2 * np.pi * 1.75 * radius / 5 + np.pi * (labels == 0)
        assert np.allclose(x1, radius * np.sin(angle)) and np.allclose(x2, radius * np.cos(angle))

    def test_moons_are_two_half_circles(self):
        x1, x2, labels = clean("moons")
        centre = np.where(labels == 0, -0.5, 0.5) / 1.5 * 5, np.where(labels == 0, -0.25, 0.25) / 1.5 * 5
        assert np.allclose(np.hypot(x1 - centre[0], x2 - centre[1]), 5 / 1.5)

    def test_flower(self):
        x1, x2, _ = clean("flower")
        angle = np.arctan2(x1, x2)
        assert np.allclose(np.hypot(x1, x2), 4 * np.abs(np.sin(4 * angle)))

    def test_flower_noise_is_of_the_radius_too(self):
        dataset = loaded("flower", noise=0.2, test_fraction=0)
        assert 4 < np.hypot(*dataset.train.points.T).max() < 5

    def test_blobs(self):
        x1, x2, labels = clean("blobs")
        centres = np.array([(x1[labels == k].mean(), x2[labels == k].mean()) for k in range(3)])
        apart = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
        assert (apart > 5).all()

    def test_plane(self):
        x1, x2, values = clean("plane")
        assert np.allclose(values, (x1 + x2) / 10)

    def test_sine(self):
        x1, x2, values = clean("sine")
        assert np.allclose(values, np.sin((x1 + x2) / np.sqrt(2)))

    def test_hills(self):
        x1, x2, values = clean("hills")
        assert (values[np.hypot(x1 + 4, x2 + 2.5) < 0.5] > 0.8).all()
        assert (values[np.hypot(x1 - 0, x2 + 2.5) < 0.5] < -0.8).all()
        assert np.abs(values).max() <= 1


class TestTables:
    @pytest.mark.parametrize("source", KIND["table"])
    def test_rows_are_scikit_learns(self, source):
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{source}")()
        dataset = loaded(source, test_fraction=0)
        theirs = np.column_stack([bunch.data, bunch.target])
        ours = np.column_stack([dataset.train.inputs, dataset.train.targets])
        assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))

    def test_a_subsample_keeps_the_classes(self):
        dataset = loaded("iris", samples=30, test_fraction=0)
        assert np.bincount(dataset.train.targets).tolist() == [10, 10, 10]

    def test_more_than_there_are(self):
        assert len(loaded("iris", samples=5000, test_fraction=0).train) == 150

    @pytest.mark.parametrize("source", KIND["table"])
    def test_noise_is_for_toys(self, source):
        first, second = (loaded(source, noise=noise).train.inputs for noise in (0, 3))
        assert (first == second).all()


@pytest.fixture(scope="module")
def pictures():
    from sklearn.datasets import load_sample_images

    return load_sample_images().images


class TestPhotos:
    def places(self, pictures, patches):
        """(photo, top, left) of each patch (64, 64, 3), found by its first row of pixels."""
        found = []
        for patch in np.rint(np.asarray(patches).reshape(-1, PATCH, PATCH, 3) * 255).astype(np.uint8):
            for photo, picture in enumerate(pictures):
                tops, lefts = np.nonzero((picture[: -PATCH + 1, : -PATCH + 1] == patch[0, 0]).all(axis=2))
                match = [(photo, t, x) for t, x in zip(tops, lefts) if (picture[t : t + PATCH, x : x + PATCH] == patch).all()]
                found += match[:1]
        assert len(found) == len(patches)
        return found

    @pytest.mark.parametrize("test_fraction", [0.05, 0.3, 0.5, 0.95])
    def test_no_test_patch_overlaps_a_training_patch(self, pictures, test_fraction):
        dataset = loaded("photo_upscale", samples=60, test_fraction=test_fraction)
        border = 640 - strip_width(640, test_fraction)
        assert all(left + PATCH <= border for _, _, left in self.places(pictures, dataset.train.targets))
        assert all(left >= border for _, _, left in self.places(pictures, dataset.test.targets))

    def test_inputs_are_block_means_of_the_targets(self):
        dataset = loaded("photo_upscale", samples=6)
        assert (dataset.image, dataset.target_image) == ((16, 16, 3), (64, 64, 3))
        small, large = dataset.train.inputs[0].reshape(16, 16, 3), dataset.train.targets[0].reshape(64, 64, 3)
        for row, column in ((0, 0), (3, 11), (15, 15)):
            block = large[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert np.allclose(small[row, column], block.mean(axis=(0, 1)))

    def test_the_class_of_ten_patches_is_their_photograph(self, pictures):
        dataset = loaded("photo_ten", test_fraction=0)
        assert dataset.image == (64, 64, 3) and dataset.target_names == ("china", "flower")
        assert [place[0] for place in self.places(pictures, dataset.train.inputs)] == dataset.train.targets.tolist()
        assert np.bincount(dataset.train.targets).tolist() == [5, 5]

    def test_values_are_pixels_over_255(self):
        for part in (loaded("photo_ten").train.inputs, loaded("photo_upscale", samples=9).train.targets):
            assert 0 <= part.min() < 0.2 and 0.8 < part.max() <= 1
            assert np.allclose(np.rint(part * 255), part * 255)

    def test_too_many_patches_are_refused_before_they_are_made(self):
        with pytest.raises(ConfigError, match="memory") as caught:
            loaded("photo_upscale", samples=100_000)
        assert caught.value.field == "data.samples"


@settings(max_examples=60)
@given(
    source=st.sampled_from(KIND["planar"] + KIND["table"]),
    samples=st.integers(1, 80),
    noise=st.floats(0, 5),
    test_fraction=st.floats(0, 0.95),
    scaling=st.sampled_from(SCALINGS),
    features=st.lists(st.sampled_from(sorted(FEATURES)), min_size=1, unique=True),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_valid_configuration_loads(source, **fields):
    dataset = loaded(source, **fields)
    assert len(dataset.train) >= 1
    assert all(np.isfinite(array).all() for array in arrays(dataset))


def test_a_dataset_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded("spiral").task = "regression"
