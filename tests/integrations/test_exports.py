"""What is taken out of Descent, in the programs that it is for: `make test-integrations`."""

import importlib.util

import onnxruntime
import pytest

from core.config import RunConfig
from core.export import exported
from core.nn.activations import ACTIVATIONS
from core.training.trainer import Trainer
from tests.core.test_export import ALL, STEPS, agree, printed, script
from tests.core.test_export_model import of, outputs

SCRIPTS = ["default", "hidden gelu", "hidden leaky_relu", "mae of linear", "hinge of tanh", "adam, constant", "rmsprop, cosine"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnx_runtime_gives_what_the_network_gives(activation, dtype):
    """It has no kernels for some operators in float64, of which the model must make do without."""
    trainer = Trainer(RunConfig.from_dict(of(activation, dtype)))
    inputs = trainer.dataset.train.inputs
    (theirs,) = onnxruntime.InferenceSession(exported("onnx", trainer)).run(["outputs"], {"inputs": inputs.astype(dtype)})
    assert theirs.dtype == dtype
    assert theirs == pytest.approx(outputs(trainer, inputs), abs=1e-6 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize(("format", "library"), [("pytorch", "torch"), ("keras", "keras")])
def test_scripts_reach_the_same_losses(tmp_path, format, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    for index, name in enumerate(SCRIPTS):
        (tmp_path / f"{index}.py").write_bytes(script(format, ALL[name]))
    for name, lines in zip(SCRIPTS, printed([f"{index}.py" for index in range(len(SCRIPTS))], tmp_path)):
        assert agree(lines[-1], Trainer(RunConfig.from_dict(ALL[name])).run(STEPS), 1e-5), name
