"""The catalogue of faults: without one the plain step is the compiled one; with one it differs as the entry says."""

import itertools

import numpy as np
import pytest

from core.config import ConfigError, RunConfig
from core.faults import FAULTS, KINDS, placed
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import Formulas, Plan, Values, parameters_given, scales_given
from core.nn.losses import LOSSES
from core.nn.network import Network
from core.nn.optimizers import OPTIMIZERS
from core.training.trainer import Trainer

FORMULA = [name for name, fault in FAULTS.items() if fault.tensors]
SAMPLES = 9


def network(outputs="linear", loss="mse", hidden=("sigmoid", "tanh", "softplus"), units=3, last=None):
    """Square hidden layers, so that every fault can be made somewhere."""
    layers = [{"units": units, "activation": name} for name in hidden] + [{"units": last or units, "activation": outputs}]
    data = {"source": "hills"} if (last or units) == 1 else {"source": "blobs"}
    init = {"weights": "glorot_normal", "scale": 2.0, "bias": "uniform"}
    return RunConfig.from_dict({"data": data, "layers": layers, "loss": loss, "init": init, "seed": 2})


# Networks of which each fault finds one where it can be made
NETWORKS = [
    network(),
    network("softmax", "categorical_cross_entropy"),
    network("sigmoid", "binary_cross_entropy"),
    network("softmax", "mse"),
    network("tanh", "mse", last=1),
    network().patched({"layers": [{"units": 3, "activation": name, "normalization": "batch"} for name in ("tanh", "sigmoid", "linear")]}),
]


def gradients(config, faults=(), inputs=3):
    """{"dW1": ..., "db1": ...} of random data from the formulas with faults in them, (units, inputs) and (units,)."""
    plan, rng = Plan.of(config, inputs), np.random.default_rng(0)
    formulas = Formulas(plan)
    for fault, layer in placed(faults, plan):
        fault.edit(formulas, layer)
    network = Network(config, inputs)
    given = parameters_given(network.matrices) | scales_given(network.scales)
    given["activation", 0] = rng.normal(size=(inputs, SAMPLES))
    given["labels", plan.last] = rng.uniform(size=(plan.sizes[-1], SAMPLES))
    values = Values(formulas, given)
    return {f"{name}{layer}": np.squeeze(values[name, layer]) for layer in range(1, plan.last + 1) for name in ("dW", "db")}


def first_fitting(name, inputs=3):
    """(configuration, layers) of the first network in which the fault can be made."""
    for config in NETWORKS:
        plan = Plan.of(config, inputs)
        layers = [layer for layer in range(1, plan.last + 1) if FAULTS[name].applies(plan, layer)]
        if layers:
            return config, layers
    raise AssertionError(f"{name} fits none of the networks")


def relative_error(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


class TestTheRightStep:
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("output", ACTIVATIONS)
    def test_formulas_are_the_compiled_step(self, output, loss):
        self.assert_same({"layers": [(4, "tanh"), (4, "relu"), (3, output)], "loss": loss, "data": {"source": "blobs"}})

    @pytest.mark.parametrize("hidden", ACTIVATIONS)
    def test_every_hidden_activation(self, hidden):
        self.assert_same({"layers": [(4, hidden), (3, hidden), (1, "linear")], "loss": "mse", "data": {"source": "hills"}})

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_every_optimizer_with_penalty_clipping_and_schedule(self, optimizer):
        rule = {"name": optimizer, "learning_rate": 1e-2, "schedule": {"name": "cosine", "steps": 40}}
        settings = {"penalty": {"l1": 1e-3, "l2": 1e-2}, "clip_norm": 0.3, "optimizer": rule}
        self.assert_same({"layers": [(4, "sigmoid"), (1, "sigmoid")], "data": {"source": "xor"}, **settings})

    def test_tall_layers(self):
        self.assert_same({"layers": [(5, "relu"), (1, "sigmoid")], "data": {"source": "breast_cancer", "scaling": "standard"}})

    @staticmethod
    def assert_same(values):
        """A few updates, plainly and compiled."""
        layers = [{"units": units, "activation": name} for units, name in values["layers"]]
        values = {"optimizer": {"learning_rate": 1e-3}, **values, "layers": layers, "batch_size": 7}
        compiled = Trainer(RunConfig.from_dict(values))
        plain = Trainer(RunConfig.from_dict({**values, "faults": ["zero_weights"]}))  # the step itself is right
        plain.load_parameters(compiled.parameters())
        compiled.advance(5), plain.advance(5)
        for name, array in compiled.parameters().items():
            np.testing.assert_allclose(plain.parameters()[name], array, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(plain.telemetry.metric("gradient_norm"), compiled.telemetry.metric("gradient_norm"), rtol=1e-8)
        np.testing.assert_allclose(plain.telemetry.loss, compiled.telemetry.loss, rtol=1e-8)


class TestEntries:
    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    def test_says_what_people_need(self, fault):
        assert fault.kind in KINDS
        assert fault.title and fault.origin and fault.watch and fault.pattern
        assert fault.wrong != fault.right
        assert fault.family in FAULTS
        assert bool(fault.tensors) == (fault.edits == "formulas" and fault.kind != "numerics")

    def test_the_catalogue_is_complete(self):
        named = """missing_mean double_mean sign_flip output_derivative_of_z derivative_of_activation no_hidden_derivative
            no_output_derivative extra_output_derivative derivative_before_weights wrong_layer_derivative untransposed_weights
            wrong_layer_input bias_not_averaged bias_gradient_missing softmax_derivative_elementwise sum_over_outputs
            reinitialized_weights stale_gradients update_before_backprop frozen_bias batches_along_features
            naive_sigmoid naive_log_loss naive_softmax softmax_twice dropout_in_testing batch_statistics_in_testing
            batch_norm_constant_statistics unshuffled_classes"""
        assert set(named.split()) <= set(FAULTS)

    def test_lines_are_written_for_a_layer(self):
        assert FAULTS["missing_mean"].lines(1)[0] == "dW1, db1 = delta1 @ X.T, delta1.sum(axis=1)"
        assert FAULTS["no_hidden_derivative"].lines(2)[1] == "delta2 = W3.T @ delta3 * f'(z2)"
        assert FAULTS["extra_output_derivative"].lines(3, 3)[1] == "delta3 = a3 - y"


class TestPatterns:
    @pytest.mark.parametrize("name", FORMULA)
    def test_differs_as_the_entry_says(self, name):
        fault, (config, layers) = FAULTS[name], first_fitting(name)
        right = gradients(config)
        for layer in layers:
            broken = gradients(config, [f"{name}:{layer}"])
            own = {f"{tensor}{layer}" for tensor in fault.tensors}
            for tensor, array in broken.items():
                index, error = int(tensor[2:]), relative_error(array, right[tensor])
                if tensor in own or (fault.spreads and index < layer):
                    assert error > 1e-2, tensor
                else:
                    assert error < 1e-12, tensor
            if fault.ratio:
                ratio = fault.ratio(SAMPLES, config.layers[-1].units)
                for tensor in own:
                    np.testing.assert_allclose(broken[tensor], ratio * right[tensor], rtol=1e-12)

    @pytest.mark.parametrize("name", FORMULA)
    def test_without_a_layer_it_is_on_all(self, name):
        config, layers = first_fitting(name)
        one_by_one = gradients(config, [f"{name}:{layer}" for layer in layers])
        for tensor, array in gradients(config, [name]).items():
            np.testing.assert_array_equal(array, one_by_one[tensor])

    def test_two_combine(self):
        config = network()
        right, both = gradients(config), gradients(config, ["missing_mean:2", "sign_flip"])
        np.testing.assert_allclose(both["dW2"], -SAMPLES * right["dW2"])
        np.testing.assert_allclose(both["dW1"], -right["dW1"])
        mixed = gradients(config, ["no_hidden_derivative:3", "bias_not_averaged:1"])
        alone = gradients(config, ["no_hidden_derivative:3"])
        np.testing.assert_array_equal(mixed["dW1"], alone["dW1"])
        np.testing.assert_allclose(mixed["db1"], SAMPLES * alone["db1"])

    def test_labels_that_broadcast_pull_to_the_mean_label(self):
        """Against the m x m comparison itself."""
        config = network("tanh", "mse", last=1)
        plan, rng = Plan.of(config, 3), np.random.default_rng(1)
        formulas = Formulas(plan)
        FAULTS["labels_broadcast"].edit(formulas, plan.last)
        given = parameters_given(Network(config, 3).matrices)
        given["activation", 0], given["labels", plan.last] = rng.normal(size=(3, SAMPLES)), rng.normal(size=(1, SAMPLES))
        values = Values(formulas, given)
        a, y = values["activation", plan.last].reshape(-1, 1), given["labels", plan.last].ravel()
        assert np.mean((a - y) ** 2) == pytest.approx(values["loss", plan.last].mean())
        delta = np.mean(2 * (a - y), axis=1) * (1 - a.ravel() ** 2)
        np.testing.assert_allclose(values["delta", plan.last].ravel(), delta)


class TestRuns:
    def test_missing_mean_multiplies_that_layers_gradient(self):
        right, broken = Trainer(RunConfig()).advance(1), Trainer(RunConfig.from_dict({"faults": ["missing_mean:1"]})).advance(1)
        (first, second), (broken_first, broken_second) = (
            [norms.reshape(-1) for norms in run.network.flat_layers(run.last_gradient())] for run in (right, broken)
        )
        np.testing.assert_allclose(broken_first, 10 * first, rtol=1e-10)
        np.testing.assert_allclose(broken_second, second, rtol=1e-10)

    @pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.kind != "numerics"])
    def test_every_fault_runs_changes_the_run_and_goes_on_from_a_checkpoint(self, name):
        values = self.fitting_run(name)
        right, broken = Trainer(RunConfig.from_dict(values)).advance(3), Trainer(RunConfig.from_dict({**values, "faults": [name]}))
        whole, parts = broken.advance(23), Trainer(broken.config)
        parts.advance(7)
        resumed = Trainer(parts.config)
        resumed.restore(parts.checkpoint())
        for updates in (1, 10, 5):
            resumed.advance(updates)
        assert whole.network.vector.tobytes() == resumed.network.vector.tobytes()
        fresh = Trainer(broken.config).advance(3)
        if FAULTS[name].edits == "network":
            assert fresh.loss() != pytest.approx(right.loss(), rel=1e-3)
        else:
            assert relative_error(fresh.network.vector, right.network.vector) > 1e-5

    @staticmethod
    def fitting_run(name):
        layers = [{"units": 3, "activation": hidden} for hidden in ("sigmoid", "tanh")]
        values = {"data": {"source": "blobs", "samples": 60}, "batch_size": 10, "init": {"bias": "uniform"}}
        outputs = [
            ("categorical_cross_entropy", {"units": 3, "activation": "softmax"}),
            ("mse", {"units": 3, "activation": "softmax"}),
        ]
        optional = [{**layer, "normalization": "batch", "dropout": 0.3} for layer in layers]
        for (loss, output), hidden in itertools.product(outputs, (layers, optional)):
            config = {**values, "layers": [*hidden, output], "loss": loss}
            try:
                RunConfig.from_dict({**config, "faults": [name]})
            except ConfigError:
                continue
            return config
        return {"data": {"source": "xor"}, "batch_size": 10}

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("naive_sigmoid", {"layers": [{"units": 4, "activation": "sigmoid"}, {"units": 1, "activation": "sigmoid"}]}),
            ("naive_softmax", {"data": {"source": "blobs"}}),
            ("naive_log_loss", {}),
        ],
    )
    def test_naive_formulas_are_right_until_they_overflow(self, name, values):
        values = {"data": {"source": "circle"}, **values, "optimizer": {"learning_rate": 0.3}}
        right, naive = Trainer(RunConfig.from_dict(values)), Trainer(RunConfig.from_dict({**values, "faults": [name]}))
        right.advance(50), naive.advance(50)
        np.testing.assert_allclose(naive.network.vector, right.network.vector, rtol=1e-8)
        for run in (right, naive):
            run.load_parameters({key: 4000 * array for key, array in run.parameters().items()})
            run.advance(5)
        assert naive.nonfinite and not right.nonfinite
        assert naive.step == 50
        assert np.isfinite(naive.network.vector).all()

    def test_new_weights_at_every_step_have_nothing_to_build_on(self):
        run = Trainer(RunConfig.from_dict({"faults": ["reinitialized_weights"], "data": {"source": "circle"}}))
        seen = [run.advance(1).parameters()["W1"] for _ in range(4)]
        assert all(abs(np.corrcoef(seen[i].ravel(), seen[i + 1].ravel())[0, 1]) < 0.9 for i in range(3))

    def test_stale_gradients_add_up(self):
        values = {"batch_size": None, "optimizer": {"learning_rate": 1e-9}}
        right, stale = Trainer(RunConfig.from_dict(values)), Trainer(RunConfig.from_dict({**values, "faults": ["stale_gradients"]}))
        start = right.network.vector.copy()
        right.advance(3), stale.advance(3)
        np.testing.assert_allclose(stale.network.vector - start, 2 * (right.network.vector - start), rtol=1e-5)  # (1 + 2 + 3) / 3

    def test_update_before_backprop_sends_the_error_through_new_weights(self):
        values = {"data": {"source": "hills", "samples": 20, "test_fraction": 0}, "batch_size": None, "optimizer": {"learning_rate": 0.5}}
        right, early = Trainer(RunConfig.from_dict(values)), Trainer(RunConfig.from_dict({**values, "faults": ["update_before_backprop"]}))
        x, y, before = right.dataset.train.inputs, right.dataset.train.targets, right.parameters()
        right.advance(1), early.advance(1)
        hidden = np.tanh(x @ before["W1"] + before["b1"])
        delta = 2 * (hidden @ before["W2"] + before["b2"] - y) / len(x)
        np.testing.assert_allclose(early.parameters()["W2"], right.parameters()["W2"])
        back = delta @ right.parameters()["W2"].T * (1 - hidden**2)
        np.testing.assert_allclose(early.parameters()["W1"], before["W1"] - 0.5 * x.T @ back)

    def test_frozen_and_added_updates(self):
        frozen = Trainer(RunConfig.from_dict({"faults": ["frozen_bias:2"], "init": {"bias": "uniform"}}))
        before = frozen.parameters()
        after = frozen.advance(5).parameters()
        assert after["b2"] == before["b2"] and (after["b1"] != before["b1"]).all()
        right, added = Trainer(RunConfig()), Trainer(RunConfig.from_dict({"faults": ["added_update"]}))
        start = right.network.vector.copy()
        np.testing.assert_allclose(added.advance(1).network.vector - start, start - right.advance(1).network.vector, rtol=1e-9)

    def test_batches_along_features_are_full_batches(self):
        broken = Trainer(RunConfig.from_dict({"faults": ["batches_along_features"], "batch_size": 10}))
        full = Trainer(RunConfig.from_dict({"faults": ["zero_weights"], "batch_size": None}))
        full.load_parameters(broken.parameters())
        assert len(broken.batches) == 1
        assert broken.advance(5).network.vector.tobytes() == full.advance(5).network.vector.tobytes()
        with pytest.raises(ConfigError, match="shape error"):
            RunConfig.from_dict({"data": {"source": "digits"}, "faults": ["batches_along_features"], "batch_size": 10})

    def test_faults_of_testing_leave_training_alone(self):
        layers = [{"units": 6, "activation": "tanh", "normalization": "batch", "dropout": 0.5}, {"units": 1, "activation": "sigmoid"}]
        right = Trainer(RunConfig.from_dict({"layers": layers, "seed": 1})).advance(300)
        x = right.batches[0][0]
        for name in ("dropout_in_testing", "batch_statistics_in_testing"):
            broken = Trainer(right.config.patched({"faults": [name]})).advance(300)
            np.testing.assert_allclose(broken.network.vector, right.network.vector, rtol=1e-6, atol=1e-12)
            ours, theirs = (run.network.forward(x)[0][1] for run in (right, broken))
            if name == "dropout_in_testing":
                assert 0.3 < (theirs == 0).mean() < 0.7 and np.array_equal(theirs, broken.network.forward(x)[0][1])
            else:
                z = np.arctanh(theirs) - right.network.scales[0][1][:, None]
                assert np.abs(z.mean(axis=1)).max() < 1e-9 < np.abs(np.arctanh(ours).mean(axis=1)).max()
            assert broken.loss() != right.loss()

    def test_softmax_twice_keeps_the_training_loss_up(self):
        """Its gradient is that of the loss which such a program computes; that cannot fall below the one of shares 0 and 1."""
        values = {"data": {"source": "blobs"}, "optimizer": {"name": "adam", "learning_rate": 0.05}}
        twice = Trainer(RunConfig.from_dict({**values, "faults": ["softmax_twice"]})).advance(1500)
        assert twice.telemetry.loss[-20:].min() > np.log(1 + 2 / np.e) - 1e-3 and twice.evaluator.metric() > 0.9

    def test_sorted_classes_come_one_after_the_other(self):
        run = Trainer(RunConfig.from_dict({"data": {"source": "blobs"}, "faults": ["unshuffled_classes"]}))
        assert (np.diff(run.dataset.train.targets) >= 0).all() and run.batches.order(0, 3) == [0, 1, 2]
        inputs = Trainer(run.config.patched({"faults": []})).dataset.train.inputs
        np.testing.assert_array_equal(np.sort(inputs, axis=0), np.sort(run.dataset.train.inputs, axis=0))
        with pytest.raises(ConfigError, match="needs a batch size"):
            run.config.patched({"batch_size": None})

    def test_set_up_faults(self):
        def start(*faults, **values):
            return Trainer(RunConfig.from_dict({"data": {"source": "photo_ten"}, "faults": faults, **values}))

        plain, pixels = start(), start("inputs_in_pixels")
        np.testing.assert_array_equal(pixels.dataset.train.inputs, 255 * plain.dataset.train.inputs)
        assert pixels.dataset.train.inputs.max() > 200
        assert np.std(start("unit_normal_weights:1").parameters()["W1"]) == pytest.approx(1, rel=0.02)
        assert not start("zero_weights").parameters()["W2"].any()
        biases = start("scalar_bias:1").parameters()["b1"]
        assert 1 < biases[0] < 8 and (biases == biases[0]).all()
        grid = Trainer(RunConfig.from_dict({"faults": ["inputs_in_pixels"]})).dataset.encode(np.ones((1, 2)))
        np.testing.assert_array_equal(grid, [[255, 255]])

    def test_reset_brings_the_broken_start_back(self):
        run = Trainer(RunConfig.from_dict({"faults": ["unit_normal_weights", "inputs_in_pixels", "reinitialized_weights"]}))
        first, inputs = run.network.vector.copy(), run.dataset.train.inputs.copy()
        after = run.advance(20).network.vector.copy()
        run.reset()
        np.testing.assert_array_equal(run.network.vector, first)
        np.testing.assert_array_equal(run.dataset.train.inputs, inputs)
        np.testing.assert_array_equal(run.advance(20).network.vector, after)


REFUSED = {
    "unknown": (["mising_mean"], "must be names out of the catalogue"),
    "no such layer": (["missing_mean:3"], "from 1 to 2; was missing_mean:3"),
    "layer zero": (["missing_mean:0"], "for a layer from 1"),
    "not a layer": (["missing_mean:x"], "for a layer from 1"),
    "empty layer": (["missing_mean:"], "for a layer from 1"),
    "huge layer": (["missing_mean:" + "9" * 5000], "for a layer from 1"),
    "not square": (["untransposed_weights"], "a layer as wide as the next"),
    "no softmax": (["softmax_derivative_elementwise"], "a softmax output"),
    "output only": (["no_output_derivative:1"], "in layer 1 needs an output"),
    "layer of a whole run": (["inputs_in_pixels:1"], "whole run alone"),
    "not a list": ("missing_mean", "must be a list of fault names"),
    "not names": ([1], "must be a list of fault names"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    faults, words = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict({"faults": faults})
    assert caught.value.field == "faults"
    assert words in caught.value.message


def test_early_updates_and_clipping_exclude_each_other():
    run = Trainer(RunConfig.from_dict({"faults": ["update_before_backprop"]}))
    with pytest.raises(ConfigError, match="clipping"):
        run.change({"clip_norm": 1.0})
