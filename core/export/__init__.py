"""Taking a run out of Descent: one entry of EXPORTS for each format, from which the page, the command line and the tests are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.export import data_npz, keras_script, numpy_script, onnx_model, pytorch_script, weights_npz
from core.limits import ConfigError, shown

STEPS = 2000  # updates of a script where no other number is asked for, such as that of the run itself


@dataclass(frozen=True)
class Export:
    """One format. `make(config, dataset, parameters, steps)` gives the file's bytes: `parameters` are a Trainer's, `steps` the updates
    that a script makes. A script trains by itself (`trains`), the others hold what is there."""

    title: str
    about: str
    file_name: str
    mime: str
    make: Callable
    trains: bool = False

    def refusal(self, config):
        """Why a run of this configuration cannot be had like this, in one sentence; None when it can."""
        if self.trains and config.faults:
            return f"must be empty for {self.title}, which is right code only; was {', '.join(config.faults)}"
        return None


EXPORTS = {
    "numpy": Export(
        "NumPy script",
        "This run written out by hand: data, forward, backward and update in NumPy alone, from the same first weights to the same losses.",
        "descent_run.py",
        "text/x-python",
        numpy_script.make,
        trains=True,
    ),
    "pytorch": Export(
        "PyTorch script",
        "This run in PyTorch, with the same data, first weights and batches.",
        "descent_run_pytorch.py",
        "text/x-python",
        pytorch_script.make,
        trains=True,
    ),
    "keras": Export(
        "Keras script",
        "This run in Keras 3, with the same data, first weights and batches.",
        "descent_run_keras.py",
        "text/x-python",
        keras_script.make,
        trains=True,
    ),
    "onnx": Export(
        "ONNX model",
        "The network as it is now, for ONNX Runtime and other programs. It is fed inputs as the network is: features chosen, scaled.",
        "descent.onnx",
        "application/octet-stream",
        onnx_model.make,
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


def check(name, config):
    """Raise ConfigError unless runs of this configuration can be had in the format `name` of EXPORTS."""
    if name not in EXPORTS:
        raise ConfigError("format", f"must be one of {', '.join(EXPORTS)}; was {shown(name)}")
    if refusal := EXPORTS[name].refusal(config):
        raise ConfigError("faults", refusal)


def exported(name, trainer, steps=None):
    """The bytes of a Trainer's run in the format `name` of EXPORTS; a script makes `steps` updates, STEPS by default. Raises as `check`."""
    check(name, trainer.config)
    return EXPORTS[name].make(trainer.config, trainer.dataset, trainer.parameters(), STEPS if steps is None else steps)
