"""One entry in one place: a row that is added to one table works in every part of the house, or is refused in a sentence."""

import contextlib
import io
import json
import re
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

from core import doctor
from core.__main__ import main
from core.config import RunConfig
from core.data import planar
from core.data.sources import SOURCES, Source
from core.diagnosis import diagnose, first_forecast
from core.diagnosis.detectors import DETECTORS, Detector
from core.diagnosis.finding import Finding
from core.diagnosis.onset import first_crossing
from core.diagnosis.trials import foreseen_candidates, try_fixes
from core.doctor.examples import example
from core.export import EXPORTS, Export, exported, imported
from core.faults import FAULTS
from core.faults.fault import Fault
from core.limits import ConfigError
from core.link import from_query, to_query
from core.nn.activations import ACTIVATIONS, Activation, add, const, div, mul, sub
from core.nn.buffers import aligned_like
from core.nn.code import ActivationCode, LossCode, OptimizerCode
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS, Initializer
from core.nn.losses import LOSSES, Loss
from core.nn.optimizers import OPTIMIZERS, Optimizer
from core.nn.schedules import SCHEDULES, Schedule
from core.training.trainer import Trainer

SCRIPT_STEPS = 30


def softsign(z, a):
    t = aligned_like(z)
    return [(np.absolute, (z, t)), (add, (t, const(z, 1), t)), (div, (z, t, a))]


def softsign_slope(z, a, s):
    return [(np.absolute, (a, s)), (sub, (const(a, 1), s, s)), (mul, (s, s, s))]


def softsign_curvature(z, a):
    return -2 * np.sign(a) * (1 - np.abs(a)) ** 3


SOFTSIGN = partial(Activation, softsign, softsign_slope, -1, 1, steepest=1.0, curvature=softsign_curvature)


def log_cosh(a, y):
    return np.logaddexp(a - y, y - a) - np.log(2)


def log_cosh_gradient(a, y, d):
    return [(sub, (a, y, d)), (np.tanh, (d, d))]


LOG_COSH = partial(Loss, log_cosh, log_cosh_gradient, ("linear",), curvature=lambda a, y: 1 - np.tanh(a - y) ** 2)


def signs(p, g, slots, scratch, c):
    return [(np.sign, (g, g)), (mul, (g, c["rate"], g)), (sub, (p, g, p))]


SIGNS = partial(Optimizer, signs, lambda h, rate, t: {"rate": rate}, lambda h: 2.0, usual_rate=0.01)


def stripes(samples, noise, rng):
    points = rng.uniform(-5, 5, (samples, 2))
    return points, (points[:, 0] % 4 < 2).astype(int)


def talkative(evidence):
    yield Finding("talkative", "warning", evidence.step, 1, "layers", "It talks.", "Let it.", fix={"batch_size": 20})


def squashed(formulas, layer):
    right = formulas["db", layer]
    formulas["db", layer] = lambda v: np.tanh(5 * right(v))


class Entry(NamedTuple):
    """A row by its name in a table, and a configuration that uses it; `scripts` are the formats that can write it."""

    table: dict
    name: str
    row: object
    config: dict = MappingProxyType({})
    scripts: tuple = ("numpy", "pytorch", "keras", "onnx")


def _layers(*layers):
    return [{"units": units, "activation": name} for units, name in layers]


HIDDEN = {"layers": _layers((6, "added"), (5, "added"), (1, "sigmoid")), "data": {"source": "moons", "samples": 60}}
WAVE = {"data": {"source": "sine", "samples": 60}, "loss": "added", "layers": _layers((6, "tanh"), (1, "linear"))}
ENTRIES = {
    "activation": Entry(
        ACTIVATIONS,
        "added",
        SOFTSIGN(
            word="softsign",
            code=ActivationCode(
                "return z / (1 + np.abs(z))",
                "return (1 - np.abs(a)) ** 2",
                pytorch="nn.Softsign()",
                keras='"softsign"',
                onnx=("y = Softsign(x)",),
                onnx_float64=("t = Abs(x)", "n = Add(t, one)", "y = Div(x, n)"),
                onnx_numbers={"one": 1.0},
            ),
        ),
        HIDDEN,
    ),
    "bare activation": Entry(ACTIVATIONS, "added", SOFTSIGN(), HIDDEN, ()),
    "output activation": Entry(ACTIVATIONS, "added", SOFTSIGN(), {"layers": _layers((6, "tanh"), (1, "added")), "loss": "mse"}, ()),
    "loss": Entry(
        LOSSES,
        "added",
        LOG_COSH(
            code=LossCode(
                "return np.mean(np.logaddexp(a - y, y - a) - np.log(2))",
                "return np.tanh(a - y) / y.size",
                pytorch="return (a - y).cosh().log().mean()",
                keras="keras.losses.LogCosh()",
            )
        ),
        WAVE,
    ),
    "bare loss": Entry(LOSSES, "added", LOG_COSH(), WAVE, ("onnx",)),
    "optimizer": Entry(
        OPTIMIZERS, "added", SIGNS(code=OptimizerCode(("p[name] -= {rate} * np.sign(g[name])",))),
        {"optimizer": {"name": "added", "learning_rate": 0.003}}, ("numpy", "onnx"),
    ),
    "weight initializer": Entry(
        WEIGHT_INITIALIZERS, "added",
        Initializer(
            lambda rng, fan_in, fan_out, scale: scale * rng.triangular(-1, 0, 1, (fan_in, fan_out)),
            "rng.triangular(-1, 0, 1, (fan_in, fan_out))",
        ),
        {"init": {"weights": "added"}},
    ),
    "bare bias initializer": Entry(
        BIAS_INITIALIZERS, "added", Initializer(lambda rng, units, scale: scale * rng.triangular(-1, 0, 1, units)),
        {"init": {"bias": "added", "bias_scale": 0.1}}, ("onnx",),
    ),
    "schedule": Entry(
        SCHEDULES, "added",
        Schedule(
            lambda t, steps, factor: (1 + t / steps) ** -factor,
            "LEARNING_RATE * (1 + (step - 1) / SCHEDULE_STEPS) ** -SCHEDULE_FACTOR",
        ),
        {"optimizer": {"schedule": {"name": "added", "steps": 20}}},
    ),
    "source": Entry(
        SOURCES, "added",
        Source("Stripes", "planar", "classification", None, 2, 200, "They stand.", partial(planar.planar, stripes, 2, "classification")),
        {"data": {"source": "added"}},
    ),
    "detector": Entry(DETECTORS, "talkative", Detector((talkative,))),
    "export": Entry(
        EXPORTS, "added", Export("Note", "A line.", "note.txt", "text/plain", lambda *run: b"it went well"), scripts=(*EXPORTS, "added")
    ),
    "fault": Entry(
        FAULTS, "added",
        Fault(
            "added", "Squashed db", "formula", "formulas", squashed, "db[l] = tanh(5 d)", "db[l] = d", "Fear.", "Biases.",
            tensors=("db",),
        ),
        {"faults": ["added"]}, ("onnx",),
    ),
}  # fmt: skip


@pytest.fixture(params=ENTRIES)
def entry(request, monkeypatch):
    entry = ENTRIES[request.param]
    monkeypatch.setitem(entry.table, entry.name, entry.row)
    return entry


def configured(entry, **more):
    return RunConfig.from_dict({**entry.config, **more})


def blown_up(entry):
    """Its run at a learning rate that no network bears."""
    optimizer = {**entry.config.get("optimizer", {}), "learning_rate": 1e5}
    return Trainer(configured(entry, optimizer=optimizer)).run(200)


def test_it_is_valid_and_has_a_link(entry):
    config = configured(entry)
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert from_query(to_query(config)) == config


def test_without_it_the_same_is_refused(entry, monkeypatch):
    if entry.config:
        config = configured(entry)
        monkeypatch.delitem(entry.table, entry.name)
        with pytest.raises(ConfigError, match="must be"):
            RunConfig.from_dict(config.to_dict())


def test_it_trains_on_the_command_line(entry, tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(configured(entry).to_dict()))
    assert main(["train", str(path), "--steps", "100"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == 100 and report["loss"]["final"] < report["loss"]["initial"]


def test_it_is_forecast(entry):
    trainer = Trainer(configured(entry))
    seen = first_forecast(trainer)
    assert seen.verdict in ("stable", "edge") and seen.stability_limit > 0
    assert first_forecast(blown_up(entry)).ratio > 1


def test_it_is_diagnosed_whether_it_learns_or_blows_up(entry):
    for trainer in (Trainer(configured(entry)).run(600), blown_up(entry)):
        findings = diagnose(trainer)
        assert [finding for finding in findings if finding.severity != "info"] or trainer.loss() < trainer.telemetry.frames("train_loss")[0]
        assert (entry.name == "talkative") <= ("talkative" in {finding.code for finding in findings})
        first_crossing(trainer.telemetry, findings)
    assert findings[0].root and findings[0].fix


def test_its_remedies_are_tried(entry):
    trainer = blown_up(entry)
    tried = try_fixes(trainer.config, foreseen_candidates(trainer.config, diagnose(trainer))[:3], 100)
    assert len(tried) > 1 and np.isfinite(tried[0].loss)


def test_the_doctor_checks_code_that_uses_it(entry):
    config, fault = configured(entry, faults=[]), *entry.config.get("faults", ["sign_flip"])
    assert doctor.check(example(config=config)).verdict == "correct"
    answer = doctor.check(example([f"{fault}:1"], config))
    assert (answer.fault, answer.layers) == (fault, (1,))


@pytest.mark.parametrize("format", [*EXPORTS, "added"])
def test_it_is_exported_or_refused_in_a_sentence(entry, format, tmp_path, capfdbinary):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(configured(entry).to_dict()))
    status = main(["export", str(path), "--as", format, "--steps", str(SCRIPT_STEPS)])
    out, said = capfdbinary.readouterr()
    if (format in ("weights", "data") or format in entry.scripts) and format in EXPORTS:
        assert (status, said) == (0, b"") and out
    else:
        assert status == 2 and out == b"" and re.fullmatch(rb"[\w.\[\]]+: must be .*\n", said)


def test_the_script_from_scratch_reaches_the_same_loss(entry):
    if "numpy" in entry.scripts:
        config, printed = configured(entry), io.StringIO()
        trainer = Trainer(config)
        with contextlib.redirect_stdout(printed):
            exec(compile(exported("numpy", trainer, SCRIPT_STEPS), "script", "exec"), {"__name__": "__main__"})
        loss = float(re.findall(r"training loss (\S+)", printed.getvalue())[-1])
        assert loss == pytest.approx(trainer.run(SCRIPT_STEPS).loss(), rel=1e-6)


@pytest.mark.parametrize("format", ["weights", "onnx"])
def test_its_weights_come_back(entry, format):
    if format == "weights" or "onnx" in entry.scripts:
        trainer = Trainer(configured(entry))
        found = imported.read(exported(format, trainer))
        assert found.activations == tuple(layer.activation for layer in trainer.config.layers)
