"""Data on the plane that people make themselves: points that they place, and a formula that is read and never run."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import DataConfig, RunConfig
from core.data import load
from core.data.drawn import CLASSES, EXAMPLE, FARTHEST, MOST
from core.data.formula import DEPTH, EXAMPLES, FUNCTIONS, LENGTH, evaluated
from core.data.planar import RADIUS
from core.export import exported
from core.limits import ConfigError
from core.link import from_query, to_query
from core.training.trainer import Trainer

X1, X2 = np.array([1.0, -2.0, 3.0, 0.25]), np.array([0.5, 4.0, -1.0, -0.25])


def drawn(points, **fields):
    return RunConfig.from_dict({"data": {"source": "drawn", "points": points, **fields}})


def by_formula(text, task="classification", **fields):
    return RunConfig.from_dict({"data": {"source": "formula", "formula": text, "task": task, **fields}})


class TestDrawn:
    def test_points_stay_where_they_were_placed(self):
        points = [[1, 2, 0], [-3.25, 0.5, 1], [4, -4, 0], [0, 0, 1]]
        dataset = load(drawn(points, noise=3.0, test_fraction=0.5, split="ordered").data)
        rows = [
            [*place, label] for part in (dataset.train, dataset.test) for place, label in zip(part.points.tolist(), part.targets.tolist())
        ]
        assert sorted(rows) == sorted(points) and len(dataset.test) == 2

    @pytest.mark.parametrize(("labels", "outputs"), [((0, 1), 1), ((0, 0), 1), ((0, 2), 3), ((9, 0), 10)])
    def test_the_output_has_room_for_every_class(self, labels, outputs):
        config = drawn([[place, 1.0, label] for place, label in enumerate(labels)])
        assert config.layers[-1].units == outputs and Trainer(config).run(5).step == 5

    def test_without_points_there_is_an_example(self):
        config = RunConfig.from_dict({"data": {"source": "drawn"}})
        assert load(config.data).rows == len(EXAMPLE) and to_query(config) == {"data.source": "drawn"}

    def test_as_many_as_there_may_be_have_a_link_and_a_script(self):
        rng = np.random.default_rng(0)
        config = drawn([[*rng.uniform(-6, 6, 2).round(2).tolist(), place % CLASSES] for place in range(MOST)])
        query = to_query(config)
        assert from_query(query) == config == RunConfig.from_dict(json.loads(json.dumps(config.to_dict())))
        assert len(query["data.points"]) < 20 * MOST
        assert load(config.data).rows == MOST
        assert b"drawing" in exported("numpy", Trainer(drawn([[0, 1, 0], [1, 0, 1]])))

    @pytest.mark.parametrize(
        ("points", "says"),
        [
            ([], "1 to 500 points; there are none"),
            ([[0, 0, 0]] * (MOST + 1), "1 to 500 points; had 501"),
            ("[[1, 2, 0]]", "a list of [x1, x2, class]; was '[[1, 2, 0]]'"),
            ({"x1": 3}, "a list of [x1, x2, class]"),
            ([[1, 2, 0], [1, 2]], "three numbers each; point 2 was [1, 2]"),
            ([[1, "2", 0]], "three numbers each; point 1 was [1, '2', 0]"),
            ([[True, 2, 0]], "three numbers each; point 1 was [True, 2, 0]"),
            ([[1, None, 0]], "three numbers each"),
            ([[float("nan"), 2, 0]], f"between -{FARTHEST:g} and {FARTHEST:g}"),
            ([[1, float("-inf"), 0]], f"between -{FARTHEST:g} and {FARTHEST:g}"),
            ([[10**400, 0, 0]], f"between -{FARTHEST:g} and {FARTHEST:g}"),
            ([[1, 2, CLASSES]], f"a class from 0 to {CLASSES - 1}, a whole number; that of point 1 was {CLASSES}"),
            ([[1, 2, -1]], "a class from 0"),
            ([[1, 2, 0.5]], "a class from 0"),
            ([[1, 2, float("nan")]], "a class from 0"),
        ],
    )
    def test_what_is_no_point_is_refused(self, points, says):
        with pytest.raises(ConfigError, match=re.escape(says)) as refused:
            drawn(points)
        assert refused.value.field == "data.points" and refused.value.message.startswith("must ")


class TestFormula:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("-x1^2", -(X1**2)),
            ("2^-x2", 2.0**-X2),
            ("2^3^2", 512),
            ("1-2-3", -4),
            ("8/4/2", 1),
            ("2*x1+3*x2", 2 * X1 + 3 * X2),
            ("2*(x1+3)*x2", 2 * (X1 + 3) * X2),
            ("SIN( X1 )", np.sin(X1)),
            ("x1**2 - +x2", X1**2 - X2),
            ("1e2 + .5 + 2.", 102.5),
            ("--x1*-x2", -X1 * X2),
            ("max(x1, x2) - min(1, x1)*pi + e", np.maximum(X1, X2) - np.minimum(1, X1) * np.pi + np.e),
            ("sqrt(abs(floor(x1)))", np.sqrt(np.abs(np.floor(X1)))),
            ("1/(x1 - x1)", np.inf),
        ],
    )
    def test_a_formula_is_worked_out_as_it_is_read(self, text, value):
        assert evaluated(text, X1, X2) == pytest.approx(np.broadcast_to(value, 4))

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_every_function_is_numpys(self, name):
        function, count = FUNCTIONS[name]
        values = (np.abs(X1), X2)[:count]
        assert evaluated(f"{name}({', '.join(('abs(x1)', 'x2')[:count])})", X1, X2) == pytest.approx(function(*values))

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "missing at the end"),
            ("x1 +", "missing at the end"),
            ("x1 * / x2", "missing at character 6"),
            ("2x1", "an operator such as + or * is missing before x1 at character 2"),
            ("x1 x2", "missing before x2 at character 4"),
            ("(x1", "never closed that opens at character 1"),
            ("x1)", "a closing parenthesis has no opening one at character 3"),
            ("sin x1", "as in sin(x1) at character 1"),
            ("max(x1)", "max takes 2 values and has 1 at character 4"),
            ("sin(x1, x2)", "sin takes 1 value and has 2 at character 4"),
            ("0,5*x1", "comma (decimals have a point), and there is one at character 2"),
            ("x1 $ 2", "no use for '$' at character 4"),
            ("y > 0", "and not 'y' at character 1"),
            ("1e999", "a number is too large at character 1"),
            ("__import__('os').system('true')", "and not '__import__' at character 1"),
            ("x1.__class__", "no use for '.' at character 3"),
            ("(" * (DEPTH + 1) + "x1" + ")" * (DEPTH + 1), f"nested more than {DEPTH} deep"),
            ("^".join(["x1"] * (DEPTH + 2)), f"nested more than {DEPTH} deep"),
            ("x1" + " " * LENGTH, f"at most {LENGTH} characters long"),
            ("x1\n+ x2", "one line of plain text"),
            (None, "plain text"),
            (3, "plain text"),
        ],
    )
    def test_what_is_wrong_is_said_with_its_place(self, text, says):
        with pytest.raises(ConfigError, match=re.escape(says)) as refused:
            by_formula(text)
        assert refused.value.field == "data.formula" and refused.value.message.startswith("must be ")

    @settings(max_examples=300)
    @given(st.text(st.sampled_from("x12 sincoepimax.,()+-*/^e"), max_size=LENGTH) | st.text(max_size=LENGTH))
    def test_any_text_is_read_or_refused(self, text):
        try:
            config = by_formula(text)
        except ConfigError as error:
            assert error.field == "data.formula"
        else:
            assert from_query(to_query(config)) == config

    @pytest.mark.parametrize("text", EXAMPLES)
    def test_a_class_is_its_sign_and_a_target_its_value(self, text):
        classes, values = (
            load(by_formula(text, task, noise=0.0, test_fraction=0.0).data).train for task in ("classification", "regression")
        )
        assert (classes.targets == (evaluated(text, *classes.points.T) > 0)).all()
        assert values.targets[:, 0] == pytest.approx(evaluated(text, *values.points.T))
        assert np.abs(values.points).max() <= RADIUS and len(values) == 500

    def test_there_are_no_samples_where_it_has_no_value(self):
        dataset = load(by_formula("1/log(x1)", "regression", noise=0.0).data)
        assert dataset.rows == 500 and dataset.train.points[:, 0].min() > 0 and np.isfinite(dataset.train.targets).all()
        for text in ("sqrt(x1 - 9)", "exp(exp(9 + x1))"):
            with pytest.raises(ConfigError, match=r"data\.formula: must have a value on most of the square from -5 to 5"):
                load(by_formula(text).data)

    def test_the_output_follows_the_task(self):
        outputs = [(config.layers[-1].activation, config.loss) for config in (by_formula("x1*x2"), by_formula("x1*x2", "regression"))]
        assert outputs == [("sigmoid", "binary_cross_entropy"), ("linear", "mse")]
        with pytest.raises(ConfigError, match=r"data\.target_scaling"):
            load(by_formula("x1*x2", target_scaling="standard").data)

    def test_a_link_holds_it_as_it_is_written(self):
        config = by_formula("x1^2 + x2^2 - 9")
        assert to_query(config) == {"data.source": "formula", "data.formula": "x1^2 + x2^2 - 9"}
        assert DataConfig().formula and "data.formula" not in to_query(RunConfig())
