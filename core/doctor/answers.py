"""What the doctor says: the verdict, the mistakes by name, and why, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from core.diagnosis.comparison import WRONG, Comparison, compare, read_aloud
from core.doctor.rounding import SINGLE
from core.faults import FAULTS
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES

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
    """`verdict` is correct, faulty or unknown. `table` compares every gradient with the right one; `yours` and `right` hold both as
    arrays, by the names in the table, (units, inputs) and (units, 1). `also` names mistakes that would look the same here."""

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

    @property
    def fault(self):
        """The name of the first mistake, or None."""
        return self.mistakes[0].fault if self.mistakes else None

    def to_dict(self):
        """The contract's JSON shape. `faults` lists all mistakes, of which `fault` and `layers` are the first."""
        return {
            "verdict": self.verdict,
            "fault": self.fault,
            "layers": list(self.layers),
            "table": [row.to_dict() for row in self.table],
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
        return "\n".join([self.verdict.capitalize(), "", *lines, "", self.explanation, *([f"Fix: {self.fix}"] if self.fix else [])])


def agreed(found):
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


# The three kinds of answers


def explained(inquiry, search, explanations):
    """The gradients are right, or mistakes in the catalogue give them."""
    best = explanations[0]
    gradient_mistakes = [*_by_shape(inquiry), *(_entry(*written, inquiry) for written in best.mistakes)]
    mistakes, remarks = _with_step(inquiry, search, best, gradient_mistakes)
    rows, yours, right = _table(inquiry, search, best.convention)
    told = [_told(inquiry, best, rows, mistakes, gradient_mistakes)]
    also = _also(best, explanations) if gradient_mistakes else ()
    if also and mistakes:
        told.append(f"On this network it looks the same as {_joined(also, 'or')}.")
    unknown_step = inquiry.step is not None and inquiry.step.fault == "unknown"
    verdict = "faulty" if mistakes else "unknown" if unknown_step else "correct"
    layers = mistakes[0].layers if mistakes else inquiry.step.layers if unknown_step else ()
    notes = [*remarks, *_notes(inquiry, best.convention)]
    return Answer(
        verdict,
        tuple(mistakes),
        tuple(layers),
        rows,
        " ".join(filter(None, [*told, *notes])),
        "; ".join(_fix(mistake) for mistake in mistakes) or None,
        also,
        str(inquiry.reading),
        yours,
        right,
    )


def stale(inquiry, search, convention, updates):
    """The gradients, or what the update took for them, are those of several updates added up."""
    rows, yours, right = _table(inquiry, search, convention)
    mistake = _entry("stale_gradients", tuple(range(1, inquiry.reading.plan.last + 1)), inquiry)
    text = f"{mistake} They are the sum of the last {updates} updates' gradients: {FAULTS['stale_gradients'].origin}"
    explanation = " ".join([text, *_notes(inquiry, convention)])
    return Answer("faulty", (mistake,), mistake.layers, rows, explanation, _fix(mistake), (), str(inquiry.reading), yours, right)


def unknown(inquiry, search):
    """Nothing in the catalogue gives these gradients."""
    convention, layer = _nearest(inquiry, search)
    rows, yours, right = _table(inquiry, search, convention)
    if not all(np.isfinite(array).all() for array in right.values()):
        text = "The right gradients are not finite here: the outputs are where the loss has none. Take an earlier step."
    else:
        wrong = [row.tensor for row in rows if row.relative_error > WRONG]
        text = f"Wrong in a way that is not in the catalogue, first wrong in layer {layer}, seen from the output. {read_aloud(rows, wrong)}"
        text += _definitions(inquiry.reading.plan)
    certain = _by_shape(inquiry)
    explanation = " ".join([*map(str, certain), text, *_notes(inquiry, convention)])
    verdict, layers, fix = ("faulty", certain[0].layers, _fix(certain[0])) if certain else ("unknown", (layer,), None)
    return Answer(verdict, tuple(certain), layers, rows, explanation, fix, (), str(inquiry.reading), yours, right)


def _definitions(plan):
    entries = [ACTIVATIONS[name] for name in dict.fromkeys(plan.activations)] + [LOSSES[plan.loss]]
    taken = [entry.definition for entry in entries if entry.definition]
    return f" Taken here: {_joined(taken, 'and')}." if taken else ""


def _nearest(inquiry, search):
    """The convention under which most layers are right, counted from the output, and the first layer that is not."""
    last, yours = inquiry.reading.plan.last, _yours(inquiry)
    nearest = None
    for convention in inquiry.conventions:
        if convention.negated:
            continue
        right = search.right(convention)
        errors = [
            max(compare("", yours[name, layer], right[name, layer]).relative_error for name in ("dW", "db")) for layer in range(last, 0, -1)
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
    """The file's gradients; one number for several biases is spread over them, as NumPy does in the update."""
    reading = inquiry.reading
    spread = {("db", at): np.full_like(reading.given["b", at], reading.yours["db", at].item()) for at in reading.summed}
    return reading.yours | spread


# Mistakes


def _by_shape(inquiry):
    """The mistake that shapes alone show: one number as the gradient of several biases."""
    return [_entry("bias_gradient_summed_over_units", inquiry.reading.summed, inquiry)] if inquiry.reading.summed else []


def _entry(name, layers, inquiry, family=None):
    fault, last = FAULTS[name], inquiry.reading.plan.last
    wrong, right = fault.lines(layers[0], last) if len(layers) == 1 else fault.lines()
    return Mistake(family or fault.family, tuple(layers), fault.title, wrong, right)


def _with_step(inquiry, search, best, mistakes):
    """(all mistakes, remarks) once the update has been looked at: it may undo what the gradients do, or add a mistake of its own."""
    step, remarks = inquiry.step, []
    if step is None:
        if any(mistake.fault == "sign_flip" and _everywhere(inquiry, mistake) for mistake in mistakes):
            remarks.append("If your update adds them instead of subtracting, all is well.")
        return mistakes, remarks
    mistakes = list(mistakes)
    if step.fault == "unknown":
        remarks.append(_unknown_step(step))
    elif step.fault == "sign_flip":
        mistakes.append(_entry("added_update", step.layers, inquiry))
    elif step.fault:
        mistakes.append(_entry(step.fault, step.layers, inquiry))
    if not step.fault or step.fault == "frozen_bias":
        mistakes = _undone(inquiry, search, best, mistakes, remarks)
    return mistakes, remarks


def _everywhere(inquiry, mistake):
    """Whether a mistake is in all layers that have any gradient."""
    return {layer for (_, layer), array in inquiry.reading.yours.items() if array.any()} <= set(mistake.layers)


def _undone(inquiry, search, best, mistakes, remarks):
    """Sign and mean may be taken care of in the update instead of the gradient."""
    step, layers = inquiry.step, tuple(range(1, inquiry.reading.plan.last + 1))
    if best.convention.negated:
        remarks.append("They are those of minus the loss, and your update adds them: that comes to the same.")
    elif step.sign == 1 and not search.accepts(replace(best, convention=best.convention.turned())):  # rounding has no sign
        mistakes = [*mistakes, _entry("added_update", layers, inquiry)]
    if step.share < 1:
        summed = [mistake for mistake in mistakes if mistake.fault == "missing_mean" and _everywhere(inquiry, mistake)]
        if summed or best.convention.summed:
            mistakes = [mistake for mistake in mistakes if mistake not in summed]
            remarks.append("Your update divides them by m.")
        else:
            mistakes = [*mistakes, _entry("double_mean", layers, inquiry)]
    elif step.share > 1:
        mistakes = [*mistakes, _entry("missing_mean", layers, inquiry)]
    return mistakes


def _unknown_step(step):
    where = _in_layers(step.layers)
    return (
        f"The update{where} is not W - learning_rate * dW, nor a mistake that I know. With momentum, Adam or a schedule "
        "that is as it should be: leave the arrays *_next out."
    )


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
    if inquiry.reproduced is False:
        notes.append(f"The loss value {inquiry.run.loss_value:.6g} is not that of these arrays under any convention, and was left aside.")
    if inquiry.run.l2 and not convention.decay:
        notes.append("There is no penalty in your gradients, although l2 is given.")
    return [*notes, f"Read as: {inquiry.reading}."]


def _fix(mistake):
    where = _in_layers(mistake.layers).removeprefix(" in l")
    return f"L{where}: {mistake.right}" if where else mistake.right


def _in_layers(layers):
    return f" in layer{'s' if len(layers) > 1 else ''} {_joined(map(str, layers), 'and')}" if layers else ""


def _joined(words, last):
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
