"""Files to try the doctor with: what a small network of Descent's own has at one step, right or broken."""

from __future__ import annotations

import io

import numpy as np

from core.config import RunConfig
from core.faults import edit, placed
from core.nn.formulas import Formulas, Plan, Values, parameters_given
from core.training.trainer import Trainer

CONFIG = RunConfig.from_dict(
    {
        "data": {"source": "circle"},
        "layers": [{"units": 6, "activation": "tanh"}, {"units": 4, "activation": "sigmoid"}, {"units": 1, "activation": "sigmoid"}],
        "init": {"bias": "uniform", "bias_scale": 0.1},
        "optimizer": {"learning_rate": 0.5},
        "batch_size": 12,
    }
)
# What is wrong in each
EXAMPLES = {"Right code": (), "1/m left out": ("missing_mean:1",), "Hidden slope left out": ("no_hidden_derivative:2",)}


def example(faults: tuple[str, ...] = (), config: RunConfig = CONFIG) -> bytes:
    """The bytes of a RUN.npz, features-first, of a configuration's first step with these faults."""
    trainer = Trainer(config)
    x, y = trainer.batches[0]
    plan = Plan.of(config, trainer.dataset.inputs)
    formulas = Formulas(plan)
    edit(formulas, "formulas", placed(faults, plan))
    given = parameters_given(trainer.network.matrices)
    values = Values(formulas, {**given, ("activation", 0): x[:-1], ("labels", plan.last): y})
    rate = config.optimizer.learning_rate
    arrays = {"X": x[:-1], "Y": y, "loss": config.loss, "learning_rate": rate, "activations": list(plan.activations)}
    arrays["loss_value"] = values["loss", plan.last].mean()
    for name, layer in given:
        gradient = values[f"d{name}", layer]
        arrays |= {
            f"{name}{layer}": given[name, layer],
            f"d{name}{layer}": gradient,
            f"{name}{layer}_next": given[name, layer] - rate * gradient,
        }
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()
