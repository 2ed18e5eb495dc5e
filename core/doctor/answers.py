"""What the doctor says: the verdict, the mistakes by name, and why, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.diagnosis.comparison import PARALLEL, WRONG, Comparison, compare, layer_of, read_aloud
from core.doctor.remarks import Remark, remarks
from core.doctor.rounding import SINGLE
from core.doctor.search import is_plain
from core.faults import FAULTS
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.doctor.conventions import Convention
    from core.doctor.inquiry import Inquiry
    from core.doctor.search import Explanation, Search

SEEN = 1e-2  # relative errors above this are no precise agreement, even where rounding accounts for them
SHOWN_LAYERS = 2  # more are not written out one by one


@dataclass(frozen=True)
class Mistake:
    """One mistake by its name in the catalogue: in these layers, with the lines as they are and as they should be."""

    fault: str
    layers: tuple[int, ...]
    title: str
    wrong: str
    right: str

    def __str__(self):
        return f"{self.title}{_in_layers(self.layers)}."


@dataclass(frozen=True)
class Answer:
    """`verdict` is correct, faulty, not_reproduced (the forward pass is not that of the file) or unknown. `table` compares every gradient
    with the right one; `yours` and `right` hold both as arrays, by the names in the table, (units, inputs) and (units, 1). `also` names
    mistakes that would look the same here; `remarks` are what is no mistake."""

    verdict: str
    mistakes: tuple[Mistake, ...]
    layers: tuple[int, ...]
    table: tuple[Comparison, ...]
    explanation: str
    fix: str | None = None
    also: tuple[str, ...] = ()
    reading: str = ""
    yours: dict = field(default_factory=dict, repr=False, compare=False)
    right: dict = field(default_factory=dict, repr=False, compare=False)
    remarks: tuple[Remark, ...] = ()

    def with_lead(self, sentence: str) -> Answer:
        """The same, the explanation begun by a sentence."""
        return replace(self, explanation=f"{sentence} {self.explanation}")

    @property
    def fault(self) -> str | None:
        """The name of the first mistake, or None."""
        return self.mistakes[0].fault if self.mistakes else None

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape. `faults` lists all mistakes, of which `fault` and `layers` are the first."""
        return {
            "verdict": self.verdict,
            "fault": self.fault,
            "layers": list(self.layers),
            "table": [row.to_dict() for row in self.table],
            "remarks": [{"code": remark.code, "text": remark.text} for remark in self.remarks],
            "explanation": self.explanation,
            "fix": self.fix,
            "faults": [{"fault": mistake.fault, "layers": list(mistake.layers)} for mistake in self.mistakes],
            "also": list(self.also),
            "reading": self.reading,
        }

    def __str__(self):
        lines = [f"{'':6}  relative error      ratio     cosine"]
        for row in self.table:
            ratio, cosine = ("-" if value is None else f"{value:.4g}" for value in (row.ratio, row.cosine))
            lines.append(f"{row.tensor:6}  {row.relative_error:14.1e} {ratio:>10} {cosine:>10}")
        remarks = [f"Note: {remark.text}" for remark in self.remarks]
        fix = [f"Fix: {self.fix}"] if self.fix else []
        return "\n".join([self.verdict.replace("_", " ").capitalize(), "", *lines, "", self.explanation, *remarks, *fix])


def agreed(found: list[Answer]) -> Answer:
    """The one answer of several readings, or a question where they come to different ones."""
    if len({(answer.verdict, answer.mistakes) for answer in found}) == 1 or found[0].verdict == "correct":
        return found[0]
    ways = [f"({number}) {answer.reading}: {_named(answer)}" for number, answer in enumerate(found, 1)]
    question = (
        f"Your arrays can be read in {len(found)} ways, with different answers. {' '.join(ways)} Which one is yours? "
        "A batch with as many samples as no layer has units, or the loss value, would tell."
    )
    first = found[0]
    return Answer("unknown", (), (), first.table, question, reading=first.reading, yours=first.yours, right=first.right)


def _named(answer):
    if answer.mistakes:
        return " ".join(str(mistake) for mistake in answer.mistakes)
    return "right." if answer.verdict == "correct" else "wrong in a way that is not in the catalogue."


# The kinds of answers


def explained(inquiry: Inquiry, search: Search, explanations: list[Explanation]) -> Answer:
    """The gradients are right, or mistakes in the catalogue give them."""
    best = explanations[0]
    rows, yours, right = _table(inquiry, search, best.convention)
    certain = _by_shape(inquiry, right)
    gradient_mistakes = [*certain, *(_entry(*written, inquiry) for written in best.mistakes)]
    mistakes, asides = _with_step(inquiry, search, best, gradient_mistakes)
    if inquiry.step is None:  # a sign turned everywhere may be made up for by the update, so it is told last
        mistakes = sorted(mistakes, key=lambda mistake: mistake.fault == "sign_flip" and _everywhere(inquiry, mistake))
    told = [_told(inquiry, best, rows, mistakes, gradient_mistakes)]
    also = _also(best, explanations) if best.placed else ()
    if also and mistakes:
        told.append(f"On this network it looks the same as {_joined(also, 'or')}.")
    found = remarks(inquiry, best.convention, right=not best.placed)
    return Answer(
        "faulty" if mistakes else "correct",
        tuple(mistakes),
        tuple(mistakes[0].layers if mistakes else ()),
        rows,
        " ".join(filter(None, [*told, *asides, *_notes(inquiry, best.convention)])),
        "; ".join(_fix(mistake) for mistake in mistakes) or None,
        also,
        str(inquiry.reading),
        yours,
        right,
        found,
    )


def stale(inquiry: Inquiry, search: Search, convention: Convention, updates: int | None = None) -> Answer:
    """The gradients, or what the update took for them, are those of several updates added up: of so many, or of both steps in the file."""
    mistake = _entry("stale_gradients", tuple(range(1, inquiry.reading.plan.last + 1)), inquiry)
    whose = f"the sum of the last {updates} updates' gradients" if updates else "in the second step its own and the first step's together"
    return _faulty(inquiry, search, convention, [mistake], f"{mistake} They are {whose}: {FAULTS['stale_gradients'].origin}")


def scaled(inquiry: Inquiry, search: Search, convention: Convention, factors: dict[tuple[str, int], float]) -> Answer:
    """Each gradient is the right one but for a factor of its own."""
    m, off = inquiry.reading.samples, {key: factor for key, factor in factors.items() if abs(factor - 1) > WRONG}
    if not off:
        return unknown(inquiry, search)
    layers = tuple(sorted({layer for _, layer in off}))
    counts = {round(m / factor) for factor in off.values() if factor > 0 and abs(m / factor - round(m / factor)) < WRONG * m / factor}
    others = set(inquiry.reading.plan.sizes) & counts
    divided = (len(counts) == 1 and all(not is_plain(factor) for factor in off.values())) or (len(counts) == 1 and others)
    mistake = _entry("wrong_batch_size" if divided else "stray_factor", layers, inquiry)
    told = [f"{name}{layer} is {_times(factor)}." for (name, layer), factor in sorted(off.items(), key=lambda pair: pair[0][::-1])]
    if divided:
        told.append(f"It comes out as divided by {counts.pop():,}, and there are {m:,} samples.")
    return _faulty(inquiry, search, convention, [mistake], " ".join([str(mistake), *told, FAULTS[mistake.fault].origin]))


def _faulty(inquiry, search, convention, mistakes, text):
    rows, yours, right = _table(inquiry, search, convention)
    found = remarks(inquiry, convention, right=False)
    fix = "; ".join(_fix(mistake) for mistake in mistakes)
    text = " ".join([text, *_notes(inquiry, convention)])
    return Answer("faulty", tuple(mistakes), mistakes[0].layers, rows, text, fix, (), str(inquiry.reading), yours, right, found)


def unknown(inquiry: Inquiry, search: Search) -> Answer:
    """Nothing in the catalogue gives these gradients: they are wrong, or of another network than the file describes."""
    convention, layer = _nearest(inquiry, search)
    rows, yours, right = _table(inquiry, search, convention)
    found, certain, plan = remarks(inquiry, convention, right=False), _by_shape(inquiry, right), inquiry.reading.plan
    wrong = [row.tensor for row in rows if row.relative_error > WRONG]
    finite = all(np.isfinite(array).all() for array in right.values())
    verdict = "unknown"
    if not finite:
        text = "The right gradients are not finite here: the outputs are where the loss has none. Take an earlier step."
    elif not certain and _not_reproduced(inquiry, rows):
        verdict, text = "not_reproduced", _other_network(inquiry) + _definitions(plan)
    else:
        text = f"Wrong in a way that is not in the catalogue, first wrong in layer {layer}, seen from the output. "
        text += read_aloud(rows, wrong, inquiry.reading.samples) + _definitions(plan)
        if inquiry.step is not None and not inquiry.run.second:
            text += (
                " Gradients summed over several batches and never reset would look like this: a second step (X_2, dW1_2, ...) would tell."
            )
    explanation = " ".join([*map(str, certain), text, *_notes(inquiry, convention)])
    layers, fix = ((), None) if verdict == "not_reproduced" else ((layer,), None)
    if certain:
        verdict, layers, fix = "faulty", certain[0].layers, "; ".join(map(_fix, certain))
    return Answer(verdict, tuple(certain), layers, rows, explanation, fix, (), str(inquiry.reading), yours, right, found)


def _not_reproduced(inquiry, rows):
    """Whether the forward pass is not that of the file: it gives neither outputs nor loss value; or, where the file has neither, all
    gradients of the output layer point elsewhere."""
    if inquiry.reproduced is not None:
        return not inquiry.reproduced
    if inquiry.step is not None:  # its update is known: then they may be sums over several batches as well
        return False
    last = inquiry.reading.plan.last
    return all(row.relative_error > WRONG and not abs(row.cosine or 0) > PARALLEL for row in rows if layer_of(row.tensor) == last)


def _other_network(inquiry):
    shown = "gradients of the output layer" if inquiry.reproduced is None else "loss value"
    if inquiry.reading.outputs_given is not None:
        shown = "outputs"
    asked = (
        "" if inquiry.reproduced is False else " Save loss_value and outputs as well: they tell whether forward or backward pass differs."
    )
    return (
        f"The forward pass, as the file describes it, does not give the {shown} in it, so the gradients cannot be judged. Your program may "
        "have dropout, batch normalization, another slope of its activation, another loss, or another kind of network, such as a recurrent "
        "one; or the arrays are of different steps. A numerical check works with any network: core.check_gradients compares your gradients "
        f"with central differences of your own loss.{asked}"
    )


def _definitions(plan):
    entries = [ACTIVATIONS[name] for name in dict.fromkeys(plan.activations)] + [LOSSES[plan.loss]]
    taken = [entry.definition for entry in entries if entry.definition]
    return f" Taken here: {_joined(taken, 'and')}." if taken else ""


def _nearest(inquiry, search):
    """The convention under which most layers are right, counted from the output, and the first layer that is not."""
    last, yours = inquiry.reading.plan.last, _yours(inquiry)
    nearest: Any = None
    for convention in inquiry.conventions:
        if convention.negated:
            continue
        right = search.right(convention)
        errors = [
            max(compare("", yours[key], right[key]).relative_error for key in yours if key[1] == layer) for layer in range(last, 0, -1)
        ]
        fine = next((at for at, error in enumerate(errors) if not error <= WRONG), last)
        if nearest is None or fine > nearest[0]:
            nearest = fine, convention
    fine, convention = nearest
    return convention, last - min(fine, last - 1)


def _table(inquiry, search, convention):
    """(rows of the table, the file's gradients, the right ones), under a convention."""
    yours, right = _yours(inquiry), search.right(convention)
    rows = tuple(compare(f"{name}{layer}", array, right[name, layer]) for (name, layer), array in yours.items())
    return rows, *({f"{name}{layer}": array for (name, layer), array in arrays.items()} for arrays in (yours, right))


def _yours(inquiry):
    """The file's gradients; one number for several is spread over them, as NumPy does in the update."""
    return {key: np.array(array) for key, array in inquiry.reading.spread().items()}


# Mistakes


def _by_shape(inquiry, right):
    """The mistakes that shapes alone show: one number as the gradient of many; and weights that an update left as they were."""
    reading = inquiry.reading
    still = [layer for layer in reading.unmoved if right[f"dW{layer}"].any()]
    found = {"inner_product_gradient": reading.numbered, "bias_gradient_summed_over_units": reading.summed, "weights_not_updated": still}
    return [_entry(name, layers, inquiry) for name, layers in found.items() if layers]


def _entry(name, layers, inquiry, family=None):
    fault, last = FAULTS[name], inquiry.reading.plan.last
    wrong, right = fault.lines(layers[0], last) if len(layers) == 1 else fault.lines()
    return Mistake(family or fault.family, tuple(layers), fault.title, wrong, right)


def _with_step(inquiry, search, best, mistakes):
    """(all mistakes, asides) once the update has been looked at: it may undo what the gradients do, or add a mistake of its own."""
    step, asides = inquiry.step, []
    if step is None:
        if any(mistake.fault == "sign_flip" and _everywhere(inquiry, mistake) for mistake in mistakes):
            if inquiry.run.from_update:  # then what it did to the parameters is all that is known of its sign
                return mistakes, asides
            asides.append("If your update adds them instead of subtracting, all is well.")
        return mistakes, asides
    mistakes = list(mistakes)
    if step.fault == "sign_flip":
        mistakes.append(_entry("added_update", step.layers, inquiry))
    elif step.fault and step.fault != "unknown":
        mistakes.append(_entry(step.fault, step.layers, inquiry))
    if not step.fault or step.fault in ("frozen_bias", "weights_not_updated"):
        mistakes = _undone(inquiry, search, best, mistakes, asides)
    return mistakes, asides


def _everywhere(inquiry, mistake):
    """Whether a mistake is in all layers that have any gradient."""
    return {layer for (_, layer), array in inquiry.reading.yours.items() if array.any()} <= set(mistake.layers)


def _undone(inquiry, search, best, mistakes, asides):
    """Sign and mean may be taken care of in the update instead of the gradient."""
    step, layers = inquiry.step, tuple(range(1, inquiry.reading.plan.last + 1))
    if (
        not best.convention.negated and step.sign == 1 and not search.accepts(replace(best, convention=best.convention.turned()))
    ):  # rounding has no sign
        mistakes = [*mistakes, _entry("added_update", layers, inquiry)]
    if step.share < 1:
        summed = [mistake for mistake in mistakes if mistake.fault == "missing_mean" and _everywhere(inquiry, mistake)]
        if summed or best.convention.summed:
            mistakes = [mistake for mistake in mistakes if mistake not in summed]
            asides.append("Your update divides them by m.")
        else:
            mistakes = [*mistakes, _entry("double_mean", layers, inquiry)]
    elif step.share > 1:
        mistakes = [*mistakes, _entry("missing_mean", layers, inquiry)]
    return mistakes


def _also(best, explanations):
    """Names of other mistakes that explain the file as simply."""
    names = {tuple(other.families) for other in explanations} - {tuple(best.families), ()}
    return tuple(sorted(" with ".join(families) for families in names))


# Sentences


def _told(inquiry, best, rows, mistakes, gradient_mistakes):
    if not mistakes:
        unsaid = gradient_mistakes and "Your gradients are right but for what the update makes up for."
        return unsaid or _right(inquiry, rows)
    sentences = []
    for mistake in mistakes:
        own = [fault for fault, _ in best.placed if fault.family == mistake.fault and fault.ratio]
        figures = _figures(inquiry, rows, mistake) if own and len(gradient_mistakes) == 1 and mistake in gradient_mistakes else ""
        origin = next(fault.origin for fault in FAULTS.values() if fault.title == mistake.title)
        sentences += [
            str(mistake),
            figures,
            f"It comes out as if your code said: {mistake.wrong}.",
            origin,
            _one_slip(inquiry, mistake, bool(own)),
        ]
    if not gradient_mistakes:
        sentences.insert(0, "The gradients are right, the update is not.")
    return " ".join(filter(None, sentences))


def _right(inquiry, rows):
    worst = max(rows, key=lambda row: row.relative_error)
    if inquiry.nearly:
        return f"Your gradients are right to {worst.relative_error:.0e} ({worst.tensor}), as with an epsilon in a logarithm."
    if not any(row.ratio for row in rows):
        return "Your gradients are right: they are all zero, as they should be here, so there is little to check."
    if not worst.relative_error:
        return "Your gradients are right, to the last digit."
    precise = "float32" if inquiry.eps > SINGLE else "float64"
    if worst.relative_error > SEEN:
        return f"Your gradients are right as far as {precise} rounding lets one see: {worst.tensor} is mostly rounding, or at a kink."
    return f"Your gradients are right: the largest relative error, {worst.relative_error:.0e} in {worst.tensor}, is {precise} rounding."


def _figures(inquiry, rows, mistake):
    wrong = [row.tensor for row in rows if row.relative_error > WRONG]
    if len(mistake.layers) > SHOWN_LAYERS:
        return ""
    return read_aloud(rows, wrong, inquiry.reading.samples)


def _one_slip(inquiry, mistake, by_a_factor):
    """Where a factor in several gradients may come from one delta."""
    layers = mistake.layers
    goes_on = by_a_factor and 1 < len(layers) < inquiry.reading.plan.last and layers == tuple(range(1, len(layers) + 1))
    return f"A single slip in delta{len(layers)} would do that." if goes_on else ""


def _notes(inquiry, convention):
    notes = [f"Your loss: {convention.words}."]
    if convention.summed:
        notes.append("A sum is a convention, and you keep to it everywhere; the learning rate has to be that much smaller.")
    return [*notes, f"Read as: {inquiry.reading}."]


def _fix(mistake):
    where = _in_layers(mistake.layers).removeprefix(" in l")
    return f"L{where}: {mistake.right}" if where else mistake.right


def _in_layers(layers):
    return f" in layer{'s' if len(layers) > 1 else ''} {_joined(map(str, layers), 'and')}" if layers else ""


def _joined(words, last):
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _times(factor):
    return f"{factor:.4g} times the right one" if abs(factor) >= 1 else f"the right one divided by {1 / factor:.4g}"
