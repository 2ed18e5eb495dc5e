"""Where trouble began: the first layer that left its range."""

import dataclasses

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.diagnosis.finding import Finding
from core.diagnosis.onset import first_crossing
from core.training.telemetry import LAYER_METRICS, NonFinite, Telemetry
from core.training.trainer import Trainer

DIVERGED = Finding("diverged", "critical", 100, None, "learning_rate", "", "")


def telling(gradient, activation=None, every=4):
    """Telemetry of two layers with these sizes (n, 2), sampled every so many steps."""
    gradient = np.asarray(gradient, float)
    telemetry = Telemetry(2)
    for row, sizes in enumerate(gradient):
        metrics = np.ones((2, len(LAYER_METRICS)))
        metrics[:, LAYER_METRICS.index("gradient_norm")] = sizes
        if activation is not None:
            metrics[:, LAYER_METRICS.index("activation_deviation")] = activation[row]
        telemetry.add_sample(every * row, 1.0, metrics)
    return telemetry


def noisy(rows=30, seed=0):
    return np.exp(np.random.default_rng(seed).normal(0, 0.5, (rows, 2)))


def test_the_layer_that_rose_first_is_named():
    sizes = noisy()
    sizes[23:, 1] *= 1000
    sizes[24:, 0] *= 1e6
    assert first_crossing(telling(sizes), [DIVERGED]) == (4 * 23, 2, "gradient_norm")


def test_activations_count_as_well():
    gradient, activation = noisy(), noisy(seed=1)
    gradient[25:] *= 1e4
    activation[22:, 0] *= 100
    assert first_crossing(telling(gradient, activation), [DIVERGED]) == (4 * 22, 1, "activation")


def test_a_spike_that_passed_is_not_the_cause():
    sizes = noisy()
    sizes[10:12, 0] *= 1e4
    assert first_crossing(telling(sizes), [DIVERGED]) is None
    sizes[24:, 1] *= 1e4
    assert first_crossing(telling(sizes), [DIVERGED]) == (4 * 24, 2, "gradient_norm")


def test_the_rise_must_be_under_way_when_the_trouble_sets_in():
    sizes = noisy()
    sizes[27:] *= 1e4
    assert first_crossing(telling(sizes), [DIVERGED]) is None


@pytest.mark.parametrize(
    "finding", [dataclasses.replace(DIVERGED, code="overfitting"), dataclasses.replace(DIVERGED, severity="info"), None]
)
def test_what_blows_do_not_explain_has_no_crossing(finding):
    sizes = noisy()
    sizes[24:] *= 1e4
    assert first_crossing(telling(sizes), [finding] if finding else []) is None


def test_a_range_that_is_not_known_cannot_be_left():
    sizes = np.ones((30, 2))
    sizes[1:] *= 1e4
    assert first_crossing(telling(sizes), [dataclasses.replace(DIVERGED, step=4)]) is None
    assert first_crossing(telling(np.zeros((30, 2))), [DIVERGED]) is None


def test_without_a_rise_the_first_value_that_is_not_finite_counts():
    telemetry = telling(noisy())
    finding = dataclasses.replace(DIVERGED, code="nonfinite", step=130)
    for tensor, name in (("activation", "activation"), ("delta", "gradient_norm")):
        telemetry.nonfinite = NonFinite(130, 2, tensor)
        assert first_crossing(telemetry, [finding]) == (130, 2, name)
    telemetry.nonfinite = NonFinite(130, 0, "loss")
    assert first_crossing(telemetry, [finding]) is None


@pytest.mark.parametrize("source", ["hills", "plane"])
def test_a_run_that_is_blown_up_later_crosses_between_the_deed_and_the_end(source):
    layers = [{"units": 8, "activation": "relu"}, {"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}]
    trainer = Trainer(RunConfig.from_dict({"data": {"source": source}, "layers": layers, "optimizer": {"learning_rate": 0.01}}))
    trainer.run(2000)
    trainer.change({"optimizer": {"learning_rate": 50.0}})
    trainer.run(500)
    findings = diagnose(trainer)
    assert findings and findings[0].severity == "critical"
    step, layer, _ = first_crossing(trainer.telemetry, findings)
    assert 2000 < step <= trainer.step + 1 and 1 <= layer <= 3
