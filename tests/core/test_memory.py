"""What a run is expected to take is an upper bound: held against the peak of worker processes that do all there is to do."""

import random
from pathlib import Path

import pytest

from core.config import RunConfig
from core.fit import memory_estimate, parameter_count
from core.limits import LIMITS
from core.live.memory import expected_bytes, peak_bytes
from core.live.process import IDLE_BYTES
from core.nn.optimizers import OPTIMIZERS
from core.settings import Settings
from tests.core import live_runs
from tests.core.live_runs import until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)
pid = pytest.fixture(live_runs.pid)


OUTPUTS = {  # units, activation and loss of a source's output
    "moons": (1, "sigmoid", "binary_cross_entropy"),
    "digits": (10, "softmax", "categorical_cross_entropy"),
    "hills": (1, "linear", "mse"),
}


def drawn(seed):
    """A configuration of up to a million parameters, drawn at random."""
    rng = random.Random(seed)
    layers = [{"units": rng.randint(100, 700), "activation": rng.choice(["relu", "tanh", "gelu"])} for _ in range(rng.randint(1, 3))]
    layers[0]["normalization"] = rng.choice(["none", "batch"])
    source = rng.choice(list(OUTPUTS))
    units, activation, loss = OUTPUTS[source]
    return RunConfig.from_dict(
        {
            "data": {"source": source, "samples": rng.randint(200, 1500)},
            "layers": [*layers, {"units": units, "activation": activation}],
            "loss": loss,
            "optimizer": {"name": rng.choice(list(OPTIMIZERS)), "learning_rate": 1e-4},
            "batch_size": rng.choice([None, 32]),
            "dtype": rng.choice(["float32", "float64"]),
            "stop": rng.choice([None, {"patience": 5, "min_delta": 0.0}]),
        }
    )


def peak(worker):
    """Bytes of memory that a process has held at the most (Linux: VmHWM)."""
    status = Path(f"/proc/{worker}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_is_above_the_peak(start, pid, seed):
    config = drawn(seed)
    run = start(config)
    worker = pid()
    run.step(2)
    now = until(lambda: (seen := run.snapshot()).status == "paused" and not seen.forecast_due and seen)
    run.step(1)
    assert run.snapshot(at=0).moment == 0
    run.export("weights")
    until(lambda: not run.snapshot().forecast_due)
    measured, expected = peak(worker), IDLE_BYTES + peak_bytes(config, now.inputs, config.data.samples)
    assert measured < expected, (measured >> 20, expected >> 20, config)


def test_of_a_configuration_the_same_is_known_before_its_data_is_loaded():
    config = RunConfig.from_dict({"data": {"source": "moons", "features": ["x1", "x2", "x1^2"]}})
    assert expected_bytes(config) == peak_bytes(config, 3, config.data.samples)
    assert expected_bytes(RunConfig.from_dict({"data": {"source": "file", "path": "x"}})) == LIMITS["memory_bytes"]


def test_the_largest_networks_still_run():
    layers = [{"units": 4096, "activation": "relu"}, {"units": 4000, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}]
    config = RunConfig.from_dict({"data": {"source": "moons"}, "layers": layers})
    assert 2274 << 20 < memory_estimate(config, 2, 500) < LIMITS["run_bytes"]  # the peak that was measured, forecast included
    upscaling = {"data": {"source": "photo_upscale"}, "loss": "mse", "optimizer": {"name": "adam"}, "dtype": "float32"}
    wide = RunConfig.from_dict(upscaling | {"layers": [{"units": 1500, "activation": "relu"}, {"units": 12288, "activation": "linear"}]})
    assert memory_estimate(wide, 768, 400) < LIMITS["run_bytes"] < Settings().worker_memory_bytes


def sized(hidden, optimizer="sgd", dtype="float64", **more):
    """A run whose parameters outweigh all else it holds."""
    layers = [{"units": hidden, "activation": "relu"}, {"units": hidden, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}]
    values = {"data": {"source": "moons", "samples": 100}, "layers": layers, "optimizer": {"name": optimizer}, "dtype": dtype}
    return RunConfig.from_dict(values | more)


# What a Trainer holds (parameters, a copy to go back to, the gradient, five arrays of an observed update), 4 states kept and 5 on the way
# into the store, each with the optimizer's slots, and 4 arrays for pictures
@pytest.mark.parametrize(
    "run, copies",
    [({}, 21), ({"optimizer": "momentum"}, 32), ({"optimizer": "adam"}, 43), ({"stop": {"patience": 5, "min_delta": 0.0}}, 22)],
)
@pytest.mark.parametrize("dtype, width", [("float64", 8), ("float32", 4)])
def test_every_copy_of_the_parameters_counts(run, copies, dtype, width):
    small, large = (sized(hidden, dtype=dtype, **run) for hidden in (800, 1600))
    more = parameter_count(large, 2) - parameter_count(small, 2)
    grown = memory_estimate(large, 2, 100) - memory_estimate(small, 2, 100)
    assert grown / width / more == pytest.approx(copies, rel=0.01)
    assert 1 < (peak_bytes(large, 2, 100) - peak_bytes(small, 2, 100)) / grown < 4  # with what looks ahead and back
