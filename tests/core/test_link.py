"""A link holds the whole configuration, says only what differs, and cannot do harm."""

import dataclasses
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.config import InitConfig, LayerConfig, RunConfig, suggested_output
from core.data.sources import FEATURES, SOURCES
from core.limits import ConfigError
from core.link import LAYER_SETTINGS, SETTINGS, flat, from_query, nested, to_query
from core.nn.activations import ACTIVATIONS


def values_of(spec):
    """Any value that the setting's own rule allows."""
    rule = spec.metadata
    kind = rule["kind"]
    if kind == "flag":
        return st.booleans()
    if kind == "choice":
        return st.sampled_from([*rule["options"], *[None] * rule["optional"]])
    if kind == "names":
        return st.lists(st.sampled_from(list(rule["options"])), min_size=1, unique=True)
    if kind == "text":
        return st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
    low, high = rule["low"], rule["high"]
    numbers = st.integers(int(low), int(high)) if kind == "whole" else st.floats(low, high, exclude_min=rule["above"])
    return st.none() | numbers if rule["optional"] else numbers


hidden_layer = st.fixed_dictionaries(
    {"units": st.integers(1, 64), "activation": st.sampled_from(list(ACTIVATIONS))},
    optional={
        **{name: values_of(spec) for name, spec in LAYER_SETTINGS.items() if "." not in name},
        "init": st.none() | st.fixed_dictionaries({}, optional={field.name: values_of(field) for field in dataclasses.fields(InitConfig)}),
    },
)
column = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@st.composite
def configurations(draw):
    """Valid configurations: some settings drawn from the whole table, the rest left alone."""
    ruled = {name: spec for name, spec in SETTINGS.items() if "kind" in spec.metadata}
    chosen = draw(st.lists(st.sampled_from(sorted(ruled)), unique=True, max_size=12))
    values = nested({name: draw(values_of(ruled[name])) for name in chosen})
    if draw(st.booleans()):
        values.setdefault("data", {})["target"] = draw(column | st.lists(column, min_size=1, max_size=3))
    try:
        output, _ = suggested_output(RunConfig.from_dict({"data": values.get("data", {})}).data)
        if draw(st.booleans()):
            activation = draw(st.sampled_from(sorted(ACTIVATIONS)))
            values["layers"] = [*draw(st.lists(hidden_layer, max_size=31)), {"units": output.units, "activation": activation}]
        return RunConfig.from_dict(values)
    except ConfigError:
        assume(False)


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(configurations())
def test_a_link_restores_every_configuration(config):
    address = urlencode(to_query(config))
    assert from_query(dict(parse_qsl(address, keep_blank_values=True, strict_parsing=True))) == config


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)) | st.text(max_size=20), st.text(max_size=60), max_size=6))
def test_any_query_gives_a_configuration_or_a_clear_refusal(query):
    try:
        config = from_query(query)
    except ConfigError as error:
        assert error.message and len(str(error)) < 2000
    else:
        assert from_query(to_query(config)) == config


def test_what_else_a_layer_has_stands_behind_it():
    init = {"weights": "uniform_0_1", "scale": 0.5}
    layers = [{"units": 8, "activation": "tanh", "dropout": 0.3, "bias": False, "init": init}, {"units": 1, "activation": "sigmoid"}]
    config = RunConfig.from_dict({"layers": layers})
    assert to_query(config)["layers"] == "8-tanh~dropout.0.3~bias.false~init.weights.uniform_0_1~init.scale.0.5_1-sigmoid"


def test_a_part_that_a_run_is_without_is_not_in_the_link():
    stopping = RunConfig.from_dict({"stop": {"patience": 5}})
    assert to_query(stopping)["stop.patience"] == "5" and "stop.min_delta" not in to_query(stopping)
    assert from_query({"stop.min_delta": "0.5"}).stop.patience == 10 and from_query({"stop.patience": "none"}).stop is None
    assert nested(flat(stopping) | {"stop.patience": None})["stop"] is None


def test_a_link_says_only_what_differs():
    assert to_query(RunConfig()) == {"data.source": "spiral"}
    config = RunConfig().patched({"data": {"source": "circle"}, "optimizer": {"learning_rate": 0.1}})
    assert to_query(config) == {"data.source": "circle", "optimizer.learning_rate": "0.1"}
    deeper = config.patched({"layers": [{"units": 4, "activation": "leaky_relu"}, {"units": 1, "activation": "sigmoid"}]})
    assert to_query(deeper)["layers"] == "4-leaky_relu_1-sigmoid"


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "file"])
def test_what_follows_the_source_is_left_out(source):
    assert to_query(RunConfig.from_dict({"data": {"source": source}})) == {"data.source": source}


def test_names_can_be_told_apart_in_a_link():
    assert not any("~" in name for name in FEATURES)
    assert all(name.isidentifier() and not name[0].isdigit() for name in ACTIVATIONS)


def test_thirty_two_layers_fit_in_a_link():
    config = RunConfig(layers=(*(LayerConfig(3, "relu"),) * 31, LayerConfig(1, "sigmoid")))
    assert from_query(to_query(config)) == config


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"seeds": "1"}, "seeds"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"optimizer.learning_rate": "fast"}, "optimizer.learning_rate"),
        ({"optimizer.learning_rate": "nan"}, "optimizer.learning_rate"),
        ({"optimizer.learning_rate": "1e999"}, "optimizer.learning_rate"),
        ({"seed": "9" * 5000}, "seed"),
        ({"layers": "8-tanh_1"}, "layers"),
        ({"layers": "8-tanh_" * 40}, "layers"),
        ({"layers": "8-tanh~dropout.much_1-sigmoid"}, "layers"),
        ({"layers": "8-tanh~dropouts.0.1_1-sigmoid"}, "layers"),
        ({"layers": "8-tanh~dropout.1.5_1-sigmoid"}, "layers[0].dropout"),
        ({"layers": "8-tanh~bias.no_1-sigmoid"}, "layers[0].bias"),
        ({"layers": "8-tanh~init.weights.tiny_1-sigmoid"}, "layers[0].init.weights"),
        ({"layers": "8-tanh_1-softmaxx"}, "layers[1].activation"),
        ({"data.features": ""}, "data.features"),
        ({"data.features": "x1~x1"}, "data.features"),
        ({"data.target": "[" * 100_000}, "data.target"),
        ({"data.target": '{"a": 1'}, ""),
        ({"data.source": "file"}, "data.path"),
        ({"batch_size": "None"}, "batch_size"),
        ({"faults": "made_up"}, "faults"),
    ],
)
def test_a_broken_link_is_refused_by_name(query, names):
    if names:
        with pytest.raises(ConfigError, match=names.replace("[", r"\[")):
            from_query(query)
    else:
        assert from_query(query).data.target == '{"a": 1'


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("optimizer.learning_rate", "0,01", 0.01),
        ("optimizer.learning_rate", ".5", 0.5),
        ("seed", "1e3", 1000),
        ("batch_size", "none", None),
    ],
)
def test_a_number_in_a_link_is_read_as_one_that_is_typed(name, text, value):
    assert flat(from_query({name: text}))[name] == value


@pytest.mark.parametrize("text", ["1_0", " 1 ", "1 ", "nan", "inf", "\u0661", "\uff11", "1/10", "1,000", "0x10", "", "1" * 41])
@pytest.mark.parametrize("name", ["optimizer.learning_rate", "batch_size"])
def test_a_number_in_a_link_is_not_guessed_at(name, text):
    with pytest.raises(ConfigError, match=f"^{name}: must be .*; was ") as refused:
        from_query({name: text})
    assert refused.value.field == name


@pytest.mark.parametrize("text", ["1.000", "64.0", "64,0"])
def test_a_whole_number_in_a_link_has_no_point(text):
    with pytest.raises(ConfigError, match="batch_size: must be a whole number without point or comma"):
        from_query({"batch_size": text})


def test_flat_and_nested_undo_each_other():
    config = RunConfig().patched({"data": {"features": ["x1", "sin(x2)"]}, "batch_size": None})
    assert RunConfig.from_dict(nested(flat(config))) == config


def test_json_as_deep_as_python_goes_is_refused():
    for depth in range(900, 1000):  # from some depth on it can be read and not be shown, then not be read
        with pytest.raises(ConfigError):
            from_query({"data.columns": "[" * depth + "]" * depth})
