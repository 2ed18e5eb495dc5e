"""Detectors of what passes nothing on, at their thresholds."""

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis.detectors.signal import dead_units, saturated_units
from core.diagnosis.evidence import Evidence
from core.training.trainer import Trainer


@pytest.fixture(scope="module", params=["tanh", "relu"])
def standstill(request):
    """A run that learns nothing."""
    layers = [{"units": 8, "activation": request.param}, {"units": 8, "activation": request.param}, {"units": 1, "activation": "sigmoid"}]
    values = {"data": {"source": "circle"}, "layers": layers, "optimizer": {"learning_rate": 1e-9}, "batch_size": 32}
    return Trainer(RunConfig.from_dict(values)).run(1500)


def with_share(trainer, metric, shares):
    """Evidence of the run, had it recorded these shares of its second hidden layer: one for each half of the run."""
    column = trainer.telemetry.metric(metric)[:, 1]
    column[:] = np.repeat(shares, [len(column) // 2, len(column) - len(column) // 2])
    return Evidence(trainer)


@pytest.mark.parametrize("share, found", [(0.45, False), (0.5, False), (0.55, True), (0.8, True)])
def test_more_than_half_of_the_outputs_saturated_are_too_many(standstill, share, found):
    steps = standstill.telemetry.step
    findings = list(saturated_units(with_share(standstill, "saturated", (0.1, share))))
    assert [finding.code for finding in findings] == ["saturated_units"] * found
    for finding in findings:
        assert finding.layer == 2 and finding.evidence["saturated"] == pytest.approx(share)
        assert finding.step == steps[len(steps) // 2]  # since it was too many, not from the start


@pytest.mark.parametrize("share, severity", [(0.45, None), (0.5, None), (0.55, "warning"), (1.0, "critical")])
def test_more_than_half_of_the_units_dead_are_too_many(standstill, share, severity):
    can_die = standstill.config.layers[0].activation == "relu"
    findings = list(dead_units(with_share(standstill, "dead", (0.1, share))))
    assert [(finding.layer, finding.severity) for finding in findings] == ([(2, severity)] if severity and can_die else [])
