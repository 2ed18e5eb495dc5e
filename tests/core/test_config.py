"""Every field of a configuration keeps its own bounds, and says what it must be and what it was."""

import dataclasses

import pytest

from core.config import Checked, ConfigError, RunConfig, differences, merged
from core.limits import LIMITS


def numbers(cls, path=()):
    """(path, rule) of each number in a configuration's dataclasses, nested ones included."""
    for spec in dataclasses.fields(cls):
        nested = spec.metadata.get("optional_part") or (spec.default_factory if "nested" in spec.metadata else None)
        if isinstance(nested, type) and issubclass(nested, Checked):
            yield from numbers(nested, (*path, spec.name))
        elif spec.metadata.get("kind") in ("number", "whole"):
            yield pytest.param((*path, spec.name), spec.metadata, id=".".join((*path, spec.name)))


def with_value(path, value):
    """The configuration's JSON shape with this one field set."""
    for name in reversed(path):
        value = {name: value}
    return value


def refusal(path, value):
    """What is said when a field is set to this value."""
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(with_value(path, value))
    assert caught.value.field == ".".join(path)
    return caught.value.message


@pytest.mark.parametrize("path, rule", list(numbers(RunConfig)))
def test_a_number_keeps_its_bounds(path, rule):
    low, high, whole = rule["low"], rule["high"], rule["kind"] == "whole"
    beyond = 1 if whole else max(abs(high), 1) * 1e-9
    assert f"{high:g}" in refusal(path, high + beyond)
    assert "must be" in refusal(path, low - (1 if whole else 1e-9))
    for wrong in ("1", True, [1], float("nan"), float("inf"), *([low + 0.5] if whole else [])):
        assert "must be a whole number" in refusal(path, wrong) if whole else "must be a number" in refusal(path, wrong)
    if rule["above"]:
        assert f"above {low:g}" in refusal(path, low)
    if rule["optional"]:
        RunConfig.from_dict(with_value(path, None))
    else:
        assert "null" not in refusal(path, None).partition(";")[0]


@pytest.mark.parametrize("path", [("optimizer", "learning_rate"), ("optimizer", "epsilon"), ("clip_norm",)], ids=".".join)
def test_what_divides_or_moves_is_above_zero(path):
    """Written out: a bound that is dropped from the table must not go unnoticed."""
    assert "must be a number above 0" in refusal(path, 0)
    RunConfig.from_dict(with_value(path, 1e-12))


@pytest.mark.parametrize(
    "path, lowest, highest",
    [
        (("optimizer", "learning_rate"), 1e-300, 1e6),
        (("optimizer", "momentum"), 0, 0.9999),
        (("optimizer", "beta1"), 0, 0.999999),
        (("data", "test_fraction"), 0, 0.95),
        (("data", "noise"), 0, 5),
        (("init", "scale"), 0, 1e6),
        (("penalty", "l2"), 0, 1e6),
        (("batch_size",), 1, LIMITS["samples"]),
        (("stop", "patience"), 1, 1_000_000),
        (("seed",), 0, 2**31 - 1),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_the_bounds_themselves_are_taken(path, lowest, highest):
    for value in (lowest, highest):
        read = RunConfig.from_dict(with_value(path, value)).to_dict()
        for name in path:
            read = read[name]
        assert read == value
    refusal(path, highest * 1.001 + 1)
    refusal(path, -1)


def test_dropout_belongs_to_hidden_layers():
    layers = [{"units": 4, "activation": "relu", "dropout": 0.95}, {"units": 1, "activation": "sigmoid"}]
    assert RunConfig.from_dict({"layers": layers}).layers[0].dropout == 0.95
    layers[1]["dropout"] = 0.1
    with pytest.raises(ConfigError, match=r"^layers\[1\]\.dropout: must be 0 in the output layer"):
        RunConfig.from_dict({"layers": layers})


def test_hidden_layers_have_fewer_units_than_output_layers_may_have():
    def run(units):
        return RunConfig.from_dict({"layers": [{"units": units, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}]})

    assert run(LIMITS["units"]).layers[0].units == LIMITS["units"]
    with pytest.raises(ConfigError, match=r"^layers\[0\]\.units: must be at most"):
        run(LIMITS["units"] + 1)


def test_the_number_of_layers_is_bounded():
    def run(count):
        return RunConfig.from_dict({"layers": [{"units": 1, "activation": "sigmoid"}] * count})

    assert len(run(LIMITS["layers"]).layers) == LIMITS["layers"]
    for count in (0, LIMITS["layers"] + 1):
        with pytest.raises(ConfigError, match=f"^layers: must have 1 to {LIMITS['layers']} layers; had {count}"):
            run(count)


def test_unknown_fields_are_named_with_their_path():
    with pytest.raises(ConfigError, match=r"^optimizer\.speed: is not a field here; the fields are name, learning_rate"):
        RunConfig.from_dict({"optimizer": {"speed": 1}})
    with pytest.raises(ConfigError, match=r"^optimizer: must be an object; was 3"):
        RunConfig.from_dict({"optimizer": 3})


def test_names_are_some_and_distinct():
    assert RunConfig.from_dict({"data": {"features": ["x2", "x1"]}}).data.features == ("x2", "x1")
    for wrong, said in ([], "at least one"), ("x1", "at least one"), (["x1", "x1"], "once"), (["x3"], "one of"):
        assert said in refusal(("data", "features"), wrong)


def test_missing_layers_and_loss_follow_the_task():
    for data, activation, loss in (
        ({"source": "moons"}, "sigmoid", "binary_cross_entropy"),
        ({"source": "blobs"}, "softmax", "categorical_cross_entropy"),
        ({"source": "hills"}, "linear", "mse"),
    ):
        config = RunConfig.from_dict({"data": data})
        assert (config.layers[-1].activation, config.loss) == (activation, loss)
    tanh = {"layers": [{"units": 1, "activation": "tanh"}]}
    assert RunConfig.from_dict(tanh).loss in ("hinge", "mse")  # the one that goes with the output that was given


def test_a_patch_merges_objects_and_replaces_all_else():
    config = RunConfig.from_dict({"optimizer": {"name": "adam", "learning_rate": 0.01}})
    patched = config.patched({"optimizer": {"learning_rate": 0.1}, "layers": [{"units": 1, "activation": "sigmoid"}]})
    assert (patched.optimizer.name, patched.optimizer.learning_rate, len(patched.layers)) == ("adam", 0.1, 1)
    assert RunConfig.from_dict(patched.to_dict()) == patched
    assert merged({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"c": 3}, "d": [4]}) == {"a": {"b": 1, "c": 3}, "d": [4]}


def test_differences_name_what_changed_and_nothing_else():
    old = RunConfig.from_dict({})
    new = old.patched({"optimizer": {"learning_rate": 0.3}, "batch_size": None})
    assert list(differences(old.to_dict(), new.to_dict())) == ["learning rate 0.03 \u2192 0.3", "batch size 10 \u2192 none"]
