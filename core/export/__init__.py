"""Taking a run out of Descent: one entry of EXPORTS makes the page's button, the command and the tests of a format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.export import data_npz, keras_script, numpy_script, onnx_model, pytorch_script, weights_npz
from core.limits import ConfigError, shown
from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.training.trainer import Trainer

STEPS = 2000  # updates of a script where no other number is asked for, such as that of the run itself


@dataclass(frozen=True)
class Export:
    """One format. `make(config, dataset, parameters, steps)` gives the file's bytes: `parameters` are a Trainer's, `steps` the updates
    that a script makes. A script trains by itself (`trains`), the others hold what is there. `language` names the field of core/nn/code.py
    that it writes activations with, and a script the rest of a run."""

    title: str
    about: str
    file_name: str
    mime: str
    make: Callable
    trains: bool = False
    language: str | None = None

    def refusal(self, config: RunConfig) -> ConfigError | None:
        """The ConfigError that says why a run of this configuration cannot be had like this; None when it can."""
        if self.trains and config.faults:
            return ConfigError("faults", f"must be empty for {self.title}, which is right code only; was {', '.join(config.faults)}")
        for setting, name, code in _written(config, self.language, self.trains):
            if code is None:
                return ConfigError(setting, f"must be what can be written as {self.title}; {name} cannot")
        return None


def _written(config, language, trains):
    """(setting, name of its entry, what is known of how to write it) of all that a format in this language writes."""
    if language is None:
        return
    for index, layer in enumerate(config.layers):
        yield f"layers[{index}].activation", layer.activation, getattr(ACTIVATIONS[layer.activation].code, language)
    if trains:
        optimizer = config.optimizer
        yield "loss", config.loss, getattr(LOSSES[config.loss].code, language)
        yield "optimizer.name", optimizer.name, getattr(OPTIMIZERS[optimizer.name].code, language)
        yield "optimizer.schedule.name", optimizer.schedule.name, SCHEDULES[optimizer.schedule.name].code
        inits = {f"layers[{index}].init": layer.init for index, layer in enumerate(config.layers) if layer.init}
        for where, init in {"init": config.init, **inits}.items():
            yield f"{where}.weights", init.weights, WEIGHT_INITIALIZERS[init.weights].code
            yield f"{where}.bias", init.bias, BIAS_INITIALIZERS[init.bias].code


EXPORTS = {
    "numpy": Export(
        "NumPy script",
        "This run written out by hand: data, forward, backward and update in NumPy alone, from the same first weights to the same losses.",
        "descent_run.py",
        "text/x-python",
        numpy_script.make,
        trains=True,
        language="numpy",
    ),
    "pytorch": Export(
        "PyTorch script",
        "This run in PyTorch, with the same data, first weights and batches.",
        "descent_run_pytorch.py",
        "text/x-python",
        pytorch_script.make,
        trains=True,
        language="pytorch",
    ),
    "keras": Export(
        "Keras script",
        "This run in Keras 3, with the same data, first weights and batches.",
        "descent_run_keras.py",
        "text/x-python",
        keras_script.make,
        trains=True,
        language="keras",
    ),
    "onnx": Export(
        "ONNX model",
        "The network as it is now, for ONNX Runtime and other programs. It is fed inputs as the network is: features chosen, scaled.",
        "descent.onnx",
        "application/octet-stream",
        onnx_model.make,
        language="onnx",
    ),
    "weights": Export(
        "Weights (NPZ)",
        "Weights and biases as they are now, for NumPy: W1 (inputs, units), b1 (units,), and so on.",
        "descent_weights.npz",
        "application/octet-stream",
        weights_npz.make,
    ),
    "data": Export(
        "Data (NPZ)",
        "The samples as the network is fed them. A script whose data are too long for a text reads this file beside it.",
        "descent_data.npz",
        "application/octet-stream",
        data_npz.make,
    ),
}


def check(name: str, config: RunConfig) -> None:
    """Raise ConfigError unless runs of this configuration can be had in the format `name` of EXPORTS."""
    if name not in EXPORTS:
        raise ConfigError("format", f"must be one of {', '.join(EXPORTS)}; was {shown(name)}")
    if refusal := EXPORTS[name].refusal(config):
        raise refusal


def exported(name: str, trainer: Trainer, steps: int | None = None) -> bytes:
    """The bytes of a Trainer's run in the format `name` of EXPORTS; a script makes `steps` updates, STEPS by default. Raises as `check`."""
    check(name, trainer.config)
    return EXPORTS[name].make(trainer.config, trainer.dataset, trainer.parameters(), STEPS if steps is None else steps)
