"""Many networks trained at once are the Trainer's own: same first weights, same batches, the same after 50 updates."""

import itertools

import numpy as np
import pytest

from core.config import RunConfig
from core.experiments.nets_last import PER_NET, Nets, nets_at_once, reaches
from core.link import SETTINGS, nested
from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.training.trainer import Trainer

STEPS = 50


def config(**changes):
    values = {
        "data": {"source": "circle", "samples": 90, "scaling": "standard"}, "batch_size": 16, "optimizer": {"learning_rate": 0.05},
        "layers": [{"units": 4, "activation": "tanh"}, {"units": 3, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
    }  # fmt: skip
    return RunConfig.from_dict(values | changes)


def nets_of(config, values):
    trainer = Trainer(config)
    assert reaches(trainer)
    return Nets(trainer, values, trainer.dataset.train.inputs, trainer.evaluator.targets)


def assert_trainers_own(config, values, steps=STEPS):
    """Each network is what a Trainer with its settings makes: parameters before and after, and the loss."""
    nets = nets_of(config, values)
    cells = [config.patched(nested({name: float(numbers[net]) for name, numbers in values.items()})) for net in range(nets.nets)]
    trainers = [Trainer(cell) for cell in cells]
    for end in (0, steps):
        nets.advance(end)
        losses = nets.losses()
        for net, trainer in enumerate(trainers):
            trainer.advance(end)
            for name, own in trainer.parameters().items():
                np.testing.assert_allclose(nets.parameters(net)[name], own, rtol=1e-7, atol=1e-9, err_msg=f"{name} of net {net}")
            assert losses[net] == pytest.approx(trainer.loss(), rel=1e-7)
    return nets


RATES = {"optimizer.learning_rate": np.array([0.002, 0.03, 0.2])}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    layers = [{"units": 4, "activation": activation}, {"units": 3, "activation": activation, "bias": False}]
    assert_trainers_own(config(layers=[*layers, {"units": 1, "activation": "sigmoid"}]), RATES | {"init.scale": np.array([0.5, 1.0, 0.2])})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_as_it_is_and_with_the_output_that_belongs_to_it(loss):
    data = {"source": "blobs", "samples": 90}
    hidden = {"units": 4, "activation": "tanh"}
    for output in {"sigmoid", LOSSES[loss].matches[0]}:
        units = RunConfig.from_dict({"data": data}).layers[-1].units
        assert_trainers_own(config(data=data, loss=loss, layers=[hidden, {"units": units, "activation": output}]), RATES)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_numbers_of_each_networks_own(optimizer):
    values = RATES | {f"optimizer.{name}": np.array([0.3, 0.5, 0.8]) for name in OPTIMIZERS[optimizer].hyperparameters}
    values |= {"optimizer.epsilon": np.array([1e-3, 1e-4, 1e-5])} if "optimizer.epsilon" in values else {}
    assert_trainers_own(config(optimizer={"name": optimizer}), values)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(schedule):
    changed = config(optimizer={"schedule": {"name": schedule, "steps": 20}})
    assert_trainers_own(changed, RATES | {"optimizer.schedule.factor": np.array([0.3, 0.5, 0.9])})


@pytest.mark.parametrize(("weights", "bias"), zip(WEIGHT_INITIALIZERS, itertools.cycle(BIAS_INITIALIZERS)))
def test_first_weights_are_multiples_of_those_with_scale_1(weights, bias):
    values = RATES | {"init.scale": np.array([0.3, 1.0, 2.5]), "init.bias_scale": np.array([0.0, 0.1, 2.0])}
    own = [{"units": 2, "activation": "tanh", "init": {"weights": "uniform", "scale": 0.7}}, {"units": 1, "activation": "sigmoid"}]
    assert_trainers_own(config(init={"weights": weights, "bias": bias}, layers=own), values, steps=2)


def test_penalties_clipping_and_batches_in_order():
    values = RATES | {"penalty.l1": np.array([0.0, 0.01, 0.1]), "penalty.l2": np.array([0.02, 0.0, 0.1])}
    assert_trainers_own(config(shuffle=False, batch_size=None), values | {"clip_norm": np.array([0.01, 0.1, 10.0])})


def test_what_each_network_may_have_of_its_own_is_a_number_of_the_configuration():
    assert {SETTINGS[name].metadata["kind"] for name in PER_NET} == {"number"}


def test_networks_that_are_broken_are_told_and_left_out():
    values = {"optimizer.learning_rate": np.array([0.05, 1e6, 0.1, 1e6])}
    layers = [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": "linear"}]
    changed = config(loss="mse", layers=layers)
    nets = nets_of(changed, values).advance(60)
    sound = np.isfinite(nets.losses())
    assert sound.tolist() == [True, False, True, False]
    nets.keep(sound)
    nets.advance(20)
    for net, rate in enumerate((0.05, 0.1)):
        trainer = Trainer(changed.patched({"optimizer": {"learning_rate": rate}})).advance(80)
        np.testing.assert_allclose(nets.parameters(net)["W1"], trainer.parameters()["W1"], rtol=1e-7)


def test_what_it_does_not_reach_it_says():
    assert nets_at_once(Trainer(config())) >= 64
    for changes in (
        {"stop": {"patience": 3}}, {"faults": ["missing_mean"]}, {"class_weight": "balanced"},
        {"layers": [{"units": 4, "dropout": 0.1}, {"units": 1, "activation": "sigmoid"}]},
        {"layers": [{"units": 4, "normalization": "layer"}, {"units": 1, "activation": "sigmoid"}]},
        {"layers": [{"units": 256}, {"units": 256}, {"units": 1, "activation": "sigmoid"}]},
    ):  # fmt: skip
        assert not reaches(Trainer(config(**changes))), changes
