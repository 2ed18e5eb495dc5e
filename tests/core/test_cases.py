"""Every case, every way: the failure is real, the mending mends, and the lines that are shown are the lines that run."""

import json
import re

import numpy as np
import pytest

from core.cases import CASES, upscaling, variant, walkthrough
from core.config import ConfigError
from core.data import load
from core.link import from_query, to_query
from core.nn.initializers import layer_parameters
from core.nn.network import with_ones
from core.report import report, strict
from core.training.trainer import Trainer

VARIANTS = {f"{case.name}/{entry.name}": entry for case in CASES.values() for entry in case.variants}
# Enough to show what is expected of all of them, in less time
STEPS = {"upscale_16_to_64/mended": 1000, "upscale_16_to_64/widened": 150, "upscale_16_to_64/averaged": 12, "upscale_16_to_64/in_place": 12}


def trained(name):
    entry = VARIANTS[name]
    return Trainer(entry.config).run(STEPS.get(name, entry.steps))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("upscale_16_to_64/widened", "upscale_16_to_64/mended")])
def test_comes_to_what_is_expected(name):
    assert VARIANTS[name].expects.failures(report(trained(name))) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_says_what_people_need(case):
    names = [entry.name for entry in case.variants]
    assert names[0] == "as_posted" and "mended" in names and len(set(names)) == len(names)
    assert case.title and case.complaint and case.slips and case.source.endswith(".txt")
    assert len(re.findall(r"[.!?](?= [A-Z]|$)", case.answer)) == 2 and len(case.why) >= 3
    assert not any(slip.mistake for slip in case.slips if slip.effect.startswith("No mistake"))
    runs = [entry.config for entry in case.distinct]
    assert all(runs.count(config) == 1 for config in runs) and case.opening[0].config != case.opening[1].config
    assert not case.variant("mended").config.faults
    listed = strict(case.to_dict())
    assert {"name", "title", "source", "config", "expects"} <= set(listed)
    assert set(listed["expects"]) == set(names)
    json.dumps(listed, allow_nan=False)
    for entry in case.variants:
        assert from_query(to_query(entry.config)) == entry.config  # "Open in the playground" opens just this


def test_names_lead_to_variants():
    assert variant("xor_answer") is CASES["xor_answer"].variants[0]
    assert variant("xor_answer/mended") is CASES["xor_answer"].variant("mended")
    for name in ("xor", "xor_answer/mendet", "", "/mended"):
        with pytest.raises(ConfigError, match="must"):
            variant(name)


def namespace(run):
    """What the lines of a step find: this run's next batch, features first, and its parameters."""
    x, y = run.batches[run.batches.order(run.step, 1)[0]]
    names = {name: getattr(np, name) for name in ("exp", "log", "log1p", "tanh", "maximum", "abs")}
    names |= {"X": x[:-1].copy(), "y": y.copy(), "m": y.shape[1], "learning_rate": run.config.optimizer.learning_rate}
    for name, array in run.parameters().items():
        names[name] = array.T.copy() if name[0] == "W" else array[:, None].copy()
    z1 = names["W1"] @ names["X"] + names["b1"]
    names |= {"z1": z1, "a1": np.maximum(z1, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    return names | {"a2": names["W2"] @ names["a1"] + names["b2"], "randn": draws(run.config)}


def draws(config):
    """A `randn` that gives what the engine draws in its first step."""
    made = [array for layer, fan_in in ((1, 768), (2, 5)) for array in layer_parameters(config, layer, fan_in, 1)] if config.faults else []
    return lambda *shape: made.pop(0).T.reshape(shape)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", ["posted", "mended"])
def test_the_lines_shown_are_the_step_that_runs(name, way):
    case = CASES[name]
    run = Trainer(case.variant({"posted": "as_posted", "mended": "mended"}[way]).config)
    names = namespace(run)
    if (name, way) == ("flower_boundary", "posted"):
        with pytest.raises(NameError, match="logprobs"):
            exec(case.posted, names)
        return
    with np.errstate(all="ignore"):
        exec(getattr(case, way), names)
    run.advance(1)
    for tensor, array in run.parameters().items():
        shown = names[tensor].T if tensor[0] == "W" else names[tensor][:, 0]
        np.testing.assert_allclose(array, shown, rtol=1e-7, atol=1e-9, err_msg=tensor)


class TestOverfitting:
    def test_the_loss_jumps_comes_back_and_stays_as_its_author_saw_it(self):
        run = trained("overfit_ten_images/as_posted")
        losses = run.telemetry.loss
        assert losses[0] == pytest.approx(np.log(2), abs=0.01)
        assert losses[:20].max() > 5
        np.testing.assert_allclose(run.telemetry.frames("train_loss")[-1], np.log(2), atol=1e-4)
        assert run.telemetry.metric("dead")[-1, 0] == 1

    def test_the_right_gradient_alone_leaves_the_units_dead(self):
        assert trained("overfit_ten_images/mean_restored").telemetry.metric("dead")[-1, 0] > 0.9


class TestUpscaling:
    def test_each_change_does_what_is_said(self):
        posted, kept = trained("upscale_16_to_64/as_posted"), trained("upscale_16_to_64/weights_kept")
        for run in (posted, kept):
            assert run.telemetry.metric("weight_norm")[2, 1] > 1e12 and run.nonfinite.step <= 5
        averaged = trained("upscale_16_to_64/averaged")
        assert averaged.nonfinite is None and averaged.telemetry.metric("dead")[-1, 0] == 1

    def test_mended_it_beats_the_mean_picture_within_its_five_dimensions(self):
        run = trained("upscale_16_to_64/mended")
        entry = CASES["upscale_16_to_64"].variant("mended")
        assert run.telemetry.metric("dead")[-1, 0] < 1 and run.loss() < 0.03 and entry.expects.statuses == ("healthy",)
        dataset = run.dataset
        ratios = {name: upscaling.psnr(pictures, dataset.test.targets) for name, pictures in upscaling.enlargements(dataset).items()}
        mine, limit = -10 * np.log10(run.loss("test")), upscaling.psnr(upscaling.limit(dataset, 5), dataset.test.targets)
        assert ratios["mean image"] + 5 < mine < limit + 0.5
        assert limit < ratios["nearest neighbour"] < ratios["bicubic"]

    def test_mended_takes_the_very_step_of_the_summed_error(self):
        """Half the sum of squares at 0.001 is the mean at 6.144, but for rounding."""
        mended = CASES["upscale_16_to_64"].variant("mended").config
        summed = mended.patched({"faults": ["sum_over_outputs", "half_of_the_square"], "optimizer": {"learning_rate": 0.001}})
        one, other = Trainer(mended).advance(5), Trainer(summed).advance(5)
        np.testing.assert_allclose(one.network.vector, other.network.vector, rtol=1e-8, atol=1e-10)

    def test_widened_it_comes_nearer_to_the_interpolations(self):
        name = "upscale_16_to_64/widened"
        run = trained(name)
        assert VARIANTS[name].expects.failures(report(run)) == []
        dataset = run.dataset
        ratios = {name: upscaling.psnr(pictures, dataset.test.targets) for name, pictures in upscaling.enlargements(dataset).items()}
        assert ratios["mean image"] + 9 < -10 * np.log10(run.loss("test")) < ratios["nearest neighbour"]

    def test_ratios_are_those_of_the_formula(self):
        assert upscaling.psnr(np.full((2, 3), 0.6), np.full((2, 3), 0.5)) == pytest.approx(20)
        dataset = load(CASES["upscale_16_to_64"].variants[0].config.data)
        nearest = upscaling.enlargements(dataset)["nearest neighbour"].reshape(-1, 64, 64, 3)
        np.testing.assert_allclose(nearest[:, ::4, ::4].reshape(len(nearest), -1), dataset.test.inputs)


def test_the_lines_that_crash_crash_as_is_said():
    names = {"np": np, "Error_Output": np.ones((12288, 2)), "Weights_Output": np.ones((5, 12288)), "da_dz": np.ones((5, 2)), "alpha": 0.001}
    names |= {"a_2": np.ones((768, 2)), "Weights": np.ones((768, 5)), "A2": np.full((1, 2), 0.5), "Y": np.ones((1, 2)), "m": 2}
    for case, error in (("upscale_16_to_64", ValueError), ("flower_boundary", NameError)):
        lines, said = CASES[case].crash.split("\n\n")
        with pytest.raises(error) as crashed:
            exec(lines, names)
        assert f"{error.__name__}: {crashed.value}".strip() == said


def test_ten_images_end_at_ln_2_because_both_outputs_are_one_half():
    run = trained("overfit_ten_images/as_posted")
    outputs = run.evaluator.predicted_classes("train")
    assert run.loss() == pytest.approx(np.log(2), abs=1e-4) and len(set(outputs.tolist())) == 1
    np.testing.assert_allclose(run.network.forward(with_ones(run.dataset.train.inputs, run.network.dtype))[-1][1], 0.5, atol=0.01)


def test_a_follower_keeps_the_costs_that_it_came_by():
    config = CASES["flower_boundary"].variants[0].config
    follower = walkthrough.Follower(config)
    follower.at(1200)
    run = Trainer(config).advance(1000)
    assert follower.costs == {0: Trainer(config).loss(), 1000: run.loss()}
    np.testing.assert_array_equal(follower.at(1000).network.vector, run.network.vector)


def test_four_equations_batches_are_the_full_batch():
    posted, sliced = (Trainer(VARIANTS[f"four_equations/{name}"].config) for name in ("as_posted", "samples_sliced"))
    assert (len(posted.batches), len(sliced.batches)) == (1, 25)


def test_mended_exclusive_or_leaves_its_plateau_sooner():
    posted, mended = (trained(f"xor_answer/{name}") for name in ("as_posted", "mended"))

    def reached(run):
        return run.telemetry.frames("step")[np.argmax(run.telemetry.frames("train_loss") < 0.1)]

    assert 0 < reached(mended) < 50_000 and 0 < reached(posted) < 50_000
    assert np.abs(posted.dataset.train.targets).max() == 1 and len(posted.dataset.train) == 4


class TestClosely:
    def test_four_equations_are_those_of_the_paper(self):
        config = CASES["four_equations"].variant("mended").config
        trainer = walkthrough.Follower(config).at(30)
        weights, x = trainer.parameters(), trainer.dataset.train.inputs[4]
        y = trainer.dataset.train.targets[4]
        a1 = 1 / (1 + np.exp(-(x @ weights["W1"] + weights["b1"])))
        a2 = 1 / (1 + np.exp(-(a1 @ weights["W2"] + weights["b2"])))
        delta2 = 2 * (a2 - y) * a2 * (1 - a2)
        back = weights["W2"] @ delta2
        delta1 = back * a1 * (1 - a1)
        wanted = {
            2: [2 * (a2 - y), a2 * (1 - a2), delta2, delta2, np.outer(delta2, a1)],
            1: [back, a1 * (1 - a1), delta1, delta1, np.outer(delta1, x)],
        }
        for layer, arrays in wanted.items():
            for term, array in zip(walkthrough.four_equations(trainer, layer, 4), arrays, strict=True):
                np.testing.assert_allclose(np.ravel(term.numbers), np.ravel(array), rtol=1e-9, err_msg=term.equation)

    def test_a_follower_is_where_the_run_is_forwards_and_back(self):
        config = CASES["four_equations"].variants[0].config
        follower = walkthrough.Follower(config)
        for step in (7, 20, 3):
            np.testing.assert_array_equal(follower.at(step).network.vector, Trainer(config).advance(step).network.vector)

    def test_every_step_of_the_tour_shows_the_run_as_it_stands(self):
        trainer = walkthrough.Follower(CASES["flower_boundary"].variants[0].config)
        first = trainer.trainer.parameters()
        run = trainer.at(500)
        shown = {
            step: {term.symbol: term.numbers for term in walkthrough.tour(run, first, step)} for step in range(1, len(walkthrough.TOUR) + 1)
        }
        assert len(shown) == 7
        np.testing.assert_array_equal(shown[1]["X"].T, run.dataset.train.inputs)
        assert [array.shape for array in shown[2].values()] == [(4, 2), (4, 1), (1, 4), (1, 1)]
        np.testing.assert_allclose(shown[3]["W^1"].T, first["W1"])
        assert shown[5]["C"].item() == pytest.approx(run.loss())
        assert shown[7][r"\text{accuracy}"].item() == pytest.approx(run.evaluator.metric())
        run.advance(1)
        np.testing.assert_allclose(shown[6]["W^1"].T, run.parameters()["W1"], rtol=1e-9)
