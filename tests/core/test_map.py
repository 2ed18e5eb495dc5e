"""The map of divergence: its cells are the Trainer's runs, its line is the forecast's limit, and bad questions get one sentence."""

import json
import math

import numpy as np
import pytest

from core.__main__ import main
from core.config import RunConfig
from core.diagnosis import first_forecast
from core.experiments.map import OUTCOMES, SAMPLES, Axis, Cells, Map, MapPlan, divergence_map, judged
from core.limits import ConfigError
from core.training.trainer import Trainer

CONFIG = {
    "data": {"source": "circle", "samples": 2 * SAMPLES}, "batch_size": 16,  # so that the samples that are looked at are all
    "layers": [{"units": 4, "activation": "tanh"}, {"units": 2, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
}  # fmt: skip
CALM = "optimizer.learning_rate=0.001:0.3:9:log"  # where nothing is chaotic
RATE, SCALE = "optimizer.learning_rate=0.001:100:9:log", "init.scale=0.2:8:9:log"


def made(x, y, steps=60, config=CONFIG, **settings):
    plan = MapPlan(RunConfig.from_dict(config), Axis.parsed(x), Axis.parsed(y), steps)
    found = Map(plan)
    parts = list(divergence_map(plan, **settings))
    for part in parts:
        found.take(part)
    return found, parts


@pytest.mark.parametrize(
    ("x", "y"), [(SCALE, CALM), (CALM, "batch_size=4:64:3"), ("width=2:4:3", "depth=1:3:3"), (CALM, "data.noise=0:1:2")]
)
def test_every_cell_is_the_run_of_its_settings(x, y):
    found, parts = made(x, y)
    seen = np.zeros(found.plan.shape, int)
    for part in parts:
        if isinstance(part, Cells):
            np.add.at(seen, (part.rows, part.columns), 1)
    assert (seen == 1).all() and (found.outcomes >= 0).all()
    cells = [part for part in parts if isinstance(part, Cells)]
    for part in cells[:: max(1, len(cells) // 3)]:
        trainer = Trainer(found.plan.cell(part.rows[-1], part.columns[-1]))
        for look, step in enumerate([0, *found.plan.looks.tolist()]):
            loss = trainer.advance(step - trainer.step).loss()
            assert part.losses[-1, look] == pytest.approx(loss, rel=1e-5)
    assert made(x, y, threads=2)[0].to_dict() == found.to_dict()


def test_a_run_that_explodes_learns_or_stands_still_is_called_that():
    found, _ = made("init.scale=1:2:2", "optimizer.learning_rate=0.000001:1000000:13:log", steps=300)
    words = [OUTCOMES[number] for number in found.outcomes[:, 0]]
    assert words[0] == "plateau" and "learns" in words and words[-1] == "diverged"
    assert words.index("learns") < words.index("diverged")
    assert np.isnan(found.diverged_at[0, 0]) and 1 <= found.diverged_at[-1, 0] < 300


def test_outcomes_are_read_off_the_losses():
    steps, chance = np.arange(0, 25), 1.0
    runs = {
        "learns": np.linspace(1, 0.2, 25), "slow": np.linspace(1, 0.97, 25), "plateau": np.full(25, 1.0),
        "oscillates": np.where(steps % 2, 0.5, 1.1), "diverged": np.where(steps < 10, 0.9, 20.0),
        "nonfinite": np.where(steps < 7, 1.0, math.nan),
    }  # fmt: skip
    outcomes, at = judged(steps, np.array(list(runs.values())), chance)
    assert [OUTCOMES[number] for number in outcomes] == list(runs) == list(OUTCOMES)
    assert np.isnan(at[:4]).all() and at[4:].tolist() == [10, 7]


def test_the_line_is_where_the_learning_rate_meets_its_limit():
    found, _ = made(SCALE, RATE, steps=1)
    for column in (0, 4, 8):
        assert found.limit[column] == pytest.approx(first_forecast(Trainer(found.plan.cell(0, column))).stability_limit, rel=1e-9)
    turned, _ = made(RATE, SCALE, steps=1)
    for rate, scale in zip(turned.plan.x.values, turned.limit):
        if not math.isnan(scale):
            on_the_line = RunConfig.from_dict(CONFIG).patched({"init": {"scale": scale}})
            assert first_forecast(Trainer(on_the_line)).stability_limit == pytest.approx(rate, rel=0.3)
    assert np.isfinite(turned.limit).any()


def test_one_that_has_settings_out_of_the_engines_reach_trains_one_by_one():
    layers = [{"units": 4, "activation": "tanh", "dropout": 0.2}, {"units": 1, "activation": "sigmoid"}]
    found, _ = made("optimizer.learning_rate=0.01:1000000:3:log", "layers.0.dropout=0:0.5:2", config=CONFIG | {"layers": layers})
    assert (found.outcomes >= 0).all() and OUTCOMES[found.outcomes[0, -1]] in ("diverged", "nonfinite")
    stopping, _ = made(RATE, "stop.patience=1:2:2", config=CONFIG | {"stop": {"patience": 1}})
    assert (stopping.outcomes >= 0).all()


def test_it_ends_where_it_is_told_to():
    def between():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        made(SCALE, RATE, between=between)


def test_the_command_answers_in_the_contracts_shape(tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps(CONFIG))
    assert (
        main(["map", str(tmp_path / "run.json"), "--x", SCALE, "--y", "optimizer.learning_rate=0.01:1000:4:log", "--steps", "20", "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["x", "y", "outcome", "diverged_at", "limit"]
    assert told["x"]["field"] == "init.scale" and len(told["x"]["values"]) == len(told["limit"]) == 9
    assert [len(row) for row in told["outcome"]] == [len(row) for row in told["diverged_at"]] == [9] * 4
    assert {word for row in told["outcome"] for word in row} <= set(OUTCOMES)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ("loss=1:2:3", RATE, "field: must be a setting that is a number"),
        ("optimizer.rate=1:2:3", RATE, "field: must be a setting"),
        ("init.scale=-1:2:3", RATE, "init.scale: must be a number from 0"),
        ("init.scale=0:2:3:log", RATE, "init.scale: must be above 0 on a logarithmic axis"),
        ("init.scale=2:1:3", RATE, "init.scale: must go from a number to a larger one"),
        ("init.scale=1:2:99999", RATE, "init.scale: must have 2 to 1024 values"),
        ("init.scale=1:two:3", RATE, "init.scale: must be a number such as"),
        ("init.scale", RATE, "axis: must read like"),
        ("layers.7.units=1:4:3", RATE, "layers.7.units: must be of one of 3 layers"),
        ("layers.2.units=1:4:3", RATE, "layers[2].units: must be 1"),
        ("width=1:9999:3", RATE, "layers[0].units: must be at most"),
        ("depth=1:99:5", RATE, "layers: must have 1 to 32 layers"),
        (RATE, RATE, "y: must be another field than x"),
    ],
)
def test_a_bad_field_or_range_is_one_sentence(x, y, told):
    with pytest.raises(ConfigError) as refused:
        made(x, y)
    assert told in str(refused.value) and "\n" not in str(refused.value)
