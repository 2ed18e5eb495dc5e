"""How often the gradient doctor is right: `make bench-doctor`, or `python -m benchmarks.doctor [--quick]`.

Programs are made at random and written independently of core/ (backprop.py): architectures, activations, losses, batch sizes,
orientations, precisions, conventions. Mutants have one or two mistakes in them; right programs include the awkward ones. A name counts as
right if that mistake gives the same arrays on that network. Part A served to find the doctor's own mistakes, part B was
made with other seeds and looked at when that was done.
"""

from __future__ import annotations

import argparse
import collections
import io
import itertools
import time

import numpy as np

from benchmarks.backprop import Program
from benchmarks.forms import FORMS
from core.doctor import check

BUGS = [
    *("missing_mean", "missing_mean/weights", "bias_not_averaged", "double_mean", "sign_flip", "sign_flip/delta"),
    *("bias_gradient_missing", "no_hidden_derivative", "no_output_derivative", "extra_output_derivative"),
    *("derivative_of_activation", "output_derivative_of_z", "derivative_before_weights", "wrong_layer_derivative"),
    *("untransposed_weights", "wrong_layer_input", "wrong_layer_input/z", "softmax_derivative_elementwise"),
    *("labels_broadcast", "update_before_backprop"),
    *("sign_flip/weights", "wrong_layer_input/before", "wrong_layer_derivative/own", "wrong_layer_derivative/before"),
    *("derivative_before_weights/transposed", "bias_gradient_summed_over_units", "bias_gradient_summed_over_units/spread"),
    *("weights_for_activations", "bias_slope_at_bias", "stray_factor", "output_derivative_not_sent_back"),
]
STATES = ("reinitialized_weights", "frozen_bias", "stale_gradients", "sign_flip/update")
MEANS = ("missing_mean", "bias_not_averaged", "double_mean", "stray_factor")  # two of them on one tensor are one, or none
FIRST = {"A": 0, "B": 50_000_000}  # seeds
SAME = 1e-3  # mutants that differ by less from the right gradients, or from each other, are the same


def _one_factor(right, wrong):
    """Whether all gradients are the right ones times one factor; one of another shape, as a bias' sum over the units, never is."""
    right, wrong = (np.concatenate([array.ravel() for array in flat(gradients).values()]) for gradients in (right, wrong))
    if right.size != wrong.size:
        return False
    factor = (right @ wrong) / (right @ right)
    return np.linalg.norm(wrong - factor * right) < SAME * np.linalg.norm(wrong)


def npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def flat(gradients):
    return {(kind, i): array.astype(float) for kind, part in zip("Wb", gradients) for i, array in part.items()}


def differ(one, other):
    """The largest relative difference of two programs' gradients, tensor by tensor."""
    one, other = flat(one), flat(other)
    norms = [(np.linalg.norm(one[key] - other[key]), max(np.linalg.norm(one[key]), np.linalg.norm(other[key]))) for key in one]
    return max(difference / size if size else 0.0 for difference, size in norms)


def finite(gradients):
    return all(np.isfinite(array).all() and np.abs(array).max() < 1e30 for array in flat(gradients).values())


def update(program, gradients, sign=-1):
    return tuple(
        {i: now[i] + sign * program.lr * gradient[i] for i in program.layers} for now, gradient in zip((program.W, program.b), gradients)
    )


def family(bug):
    return bug.partition("/")[0]


class Mutants:
    """Programs with one or two mistakes, as (expected mistakes {name: layers}, arrays, is the answer right)."""

    def __init__(self, first):
        self.first = first

    def singles(self, count):
        """Every kind of mistake in turn, in one layer or in all."""
        for number, bug in zip(range(count), itertools.cycle([*BUGS, *STATES])):
            for attempt in itertools.count():
                made = self._state(bug, number, attempt) if bug in STATES else self._formula([bug], number, attempt)
                if made:
                    yield made
                    break

    def pairs(self, count):
        """Two different mistakes."""
        rng = np.random.default_rng(self.first)
        for number in range(count):
            for attempt in itertools.count():
                bugs = list(rng.choice(BUGS, 2, replace=False))
                factors = sum(family(bug) in MEANS for bug in bugs)
                made = factors < 2 and family(bugs[0]) != family(bugs[1]) and self._formula(bugs, 1_000_000 + number, attempt)
                if made:
                    yield made
                    break

    def _formula(self, chosen, number, attempt):
        program = Program([self.first, number, attempt])
        rng, bugs = program.rng, {}
        for bug in chosen:
            fitting = [i for i in program.layers if program.possible(bug, i)]
            if not fitting:
                return None
            bugs[bug] = tuple(fitting) if rng.random() < 0.3 else (int(rng.choice(fitting)),)
        right, wrong = program.gradients(), program.gradients(bugs)
        if not (finite(right) and finite(wrong)) or any(differ(program.gradients({bug: bugs[bug]}), right) < SAME for bug in bugs):
            return None
        if len(bugs) > 1 and any(differ(program.gradients({bug: bugs[bug]}), wrong) < SAME for bug in bugs):
            return None  # one of them hides the other
        value = program.loss_value() if rng.random() < 0.3 else None
        if _one_factor(right, wrong):
            return None  # that may be a convention
        after = update(program, wrong) if "update_before_backprop" not in bugs and rng.random() < 0.3 else None
        arrays = program.arrays(*wrong, after, value, number)
        if "update_before_backprop" in bugs:
            arrays["learning_rate"] = np.array(program.lr)
        return bugs, arrays, lambda answer: self._names(program, answer, bugs, wrong, value)

    @staticmethod
    def _names(program, answer, bugs, wrong, value):
        """Whether the answer gives the mistakes, or others that come to the same arrays here."""
        if answer.verdict != "faulty":
            return False
        named = {mistake.fault: mistake.layers for mistake in answer.mistakes}
        expected = collections.defaultdict(set)
        for bug, layers in bugs.items():
            expected[family(bug)] |= set(range(1, layers[0] + 1)) if bug == "sign_flip/delta" and len(layers) == 1 else set(layers)
        if "sign_flip/delta" not in bugs and named == {name: tuple(sorted(layers)) for name, layers in expected.items()}:
            return True
        if "sign_flip/delta" in bugs and set(named) == set(expected):
            return True
        ways = [[bug for bug in BUGS if family(bug) == name] for name in named]
        for written in itertools.product(*ways):
            tried = {bug: named[family(bug)] for bug in written}
            if any(differ(gradients, wrong) < SAME for gradients in program.in_all_conventions(tried, value)):
                return True
        return False

    def _state(self, bug, number, attempt):
        program = Program([self.first, number, attempt])
        right = program.gradients()
        if not finite(right) or max(np.abs(array).max() for array in flat(right).values()) < 1e-3:
            return None
        layers, saved = tuple(program.layers), right
        if bug == "stale_gradients":
            made = self._stale(program)
            if made is None:
                return None
            saved, after = made
        elif bug == "frozen_bias":
            after = (update(program, right)[0], program.b)
            if any(not np.abs(array).max() > 1e-6 for array in right[1].values()):
                return None
        elif bug == "reinitialized_weights":
            if any(array.size < 12 for array in program.W.values()):
                return None
            drawn = {i: program.rng.normal(size=array.shape).astype(program.dtype) / np.sqrt(len(array)) for i, array in program.W.items()}
            after = ({i: array - program.lr * right[0][i] for i, array in drawn.items()}, update(program, right)[1])
        else:
            after = update(program, right, sign=1)
        arrays = program.arrays(*saved, after, None, number)
        moving = tuple(i for i in layers if right[0][i].any() or right[1][i].any())
        expected = family(bug), moving
        return {bug: layers}, arrays, lambda answer: (answer.fault, tuple(i for i in answer.layers if i in moving)) == expected

    @staticmethod
    def _stale(program):
        """Two to five updates on one batch whose gradients are added up; what is saved are the sums or the last gradients."""
        sums, updates = None, int(program.rng.integers(2, 6))
        for step in range(updates):
            fresh = program.gradients()
            if not finite(fresh):
                return None
            sums = fresh if sums is None else tuple({i: part[i] + new[i] for i in part} for part, new in zip(sums, fresh))
            after = update(program, sums)
            if step < updates - 1:
                program.W, program.b = after
        if differ(fresh, sums) < 0.05 or not finite(after):
            return None
        return (sums if program.rng.random() < 0.5 else fresh), after


AWKWARD = {
    "plain": {},
    "dead layers": {"hidden": "relu", "scale": 0.0},
    "saturated": {"scale": 30.0},
    "tiny": {"inputs": 1e-6, "scale": 0.01},
    "large inputs": {"inputs": 255.0},
    "deep": {"depth": 10},
    "one sample": {"m": 1},
    "wide": {"sizes": [300, 200, 1]},
    "kinks": {"hidden": "relu", "loss": "mse"},
    "leaky kinks": {"hidden": "leaky_relu", "loss": "mae"},
    "sum": {"summed": True},
    "zero weights": {"scale": 0.0},
    "epsilon in the logarithm": {"loss": "binary_cross_entropy", "output": "sigmoid", "guard": "add", "scale": 3.0},
    "clipped logarithm": {"loss": "categorical_cross_entropy", "output": "softmax", "guard": "clip", "scale": 10.0},
    "penalty": {"l2": 0.03},
}


def right_programs(first, count):
    """(kind, arrays) of programs without a mistake, the awkward ones in turn."""
    for number, kind in zip(range(count), itertools.cycle(AWKWARD)):
        for attempt in itertools.count():
            fixed = dict(AWKWARD[kind])
            if kind == "wide" and np.random.default_rng(number).random() < 0.5:
                fixed = {**fixed, "loss": "binary_cross_entropy", "output": "sigmoid"}
            elif kind == "wide":
                fixed = {**fixed, "loss": "mse", "output": "linear"}
            elif "logarithm" in kind:
                fixed["epsilon"] = 10.0 ** -(5 + number % 9)
            program = Program([first, 2_000_000 + number, attempt], **fixed)
            if kind == "dead layers":
                for i in program.layers[:-1]:
                    program.b[i] -= 3
            if "kinks" in kind:  # whole numbers meet zero exactly
                program.X, program.Y = np.round(program.X), np.round(program.Y)
                program.W = {i: np.round(2 * array).astype(program.dtype) for i, array in program.W.items()}
                program.b = {i: 0 * array for i, array in program.b.items()}
                program.above_kink = number % 2 == 0
            gradients = program.gradients()
            if finite(gradients):
                break
        sign = int(program.rng.choice([-1, -1, -1, 1]))  # y - a, and added
        gradients = tuple({i: -sign * array for i, array in part.items()} for part in gradients) if sign == 1 else gradients
        after = update(program, gradients, sign) if sign == 1 or number % 3 == 0 else None
        value = program.loss_value() if number % 4 == 0 else None
        yield kind, program.arrays(*gradients, after, value if value is not None and np.isfinite(value) else None, number)


def in_every_form(first, count):
    """(form, arrays) of programs without a mistake, as people save them."""
    for number, form in zip(range(count), itertools.cycle(FORMS)):
        for attempt in itertools.count():
            program = Program([first, 3_000_000 + number, attempt], summed=False)
            if finite(program.gradients()) and np.isfinite(program.loss_value()):
                break
        yield form.__name__, form(program, number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--part", choices=[*FIRST], help="this part alone")
    parser.add_argument("--show", action="store_true", help="print every wrong answer")
    chosen = parser.parse_args()
    share = 10 if chosen.quick else 1
    for part in [chosen.part] if chosen.part else FIRST:
        measure(part, 1000 // share, 200 // share, 600 // share, chosen.show)


def measure(part, singles, pairs, rights, show):
    """Print one part's table."""
    mutants = Mutants(FIRST[part])
    for title, made in (("one mistake", mutants.singles(singles)), ("two mistakes", mutants.pairs(pairs))):
        began, found, missed = time.perf_counter(), 0, collections.Counter()
        count = 0
        for bugs, arrays, is_right in made:
            answer = check(npz(arrays))
            count += 1
            if is_right(answer):
                found += 1
            else:
                missed[" + ".join(bugs)] += 1
                if show:
                    print(bugs, "->", answer.verdict, [(m.fault, m.layers) for m in answer.mistakes], answer.also, answer.explanation[:300])
        seconds = time.perf_counter() - began
        share, each = 100 * found / count, 1000 * seconds / count
        print(f"Part {part}, {title}: {found} of {count} named rightly ({share:.1f}%), {each:.0f} ms each")
        print("  missed:", dict(missed.most_common(12)) or "none", flush=True)
    verdicts, accused = collections.Counter(), collections.Counter()
    for kind, arrays in itertools.chain(right_programs(FIRST[part], rights), in_every_form(FIRST[part], rights)):
        answer = check(npz(arrays))
        verdicts[answer.verdict] += 1
        if answer.verdict != "correct":
            accused[kind, answer.verdict] += 1
            if show:
                print(kind, "->", answer.verdict, [(m.fault, m.layers) for m in answer.mistakes], answer.explanation[:400])
    print(f"Part {part}, right programs: {verdicts['faulty']} of {verdicts.total()} accused, {verdicts['unknown']} not known", flush=True)
    print("  which:", dict(accused) or "none", flush=True)


if __name__ == "__main__":
    main()
