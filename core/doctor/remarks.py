"""What the doctor remarks on beside its verdict: conventions and habits that make no gradient wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.doctor.conventions import gives_loss

if TYPE_CHECKING:
    from core.doctor.conventions import Convention
    from core.doctor.inquiry import Inquiry

SAME = 1e-3  # a penalty's strength is the declared one within this


@dataclass(frozen=True)
class Remark:
    """Something about the file that makes no gradient wrong: `code` is one of the contract's, `text` a sentence or two."""

    code: str
    text: str


def remarks(inquiry: Inquiry, convention: Convention, right: bool) -> tuple[Remark, ...]:
    """All Remarks on a file whose gradients follow this convention. `right`: they are right."""
    run, reading, step = inquiry.run, inquiry.reading, inquiry.step
    found = {}
    if len(reading.biased) < reading.plan.last:
        zero = all(biases is not None for biases in run.biases)
        found["no_bias"] = (
            "All biases and their gradients are zero: read as a network without biases. If it should have them, db is missing."
            if zero
            else "Read as a network without biases, or with none in some layers."
        )
    if run.from_update:
        found["gradients_from_update"] = "There are no gradients in the file: they are the update's, (W - W_next) / learning_rate."
    if right and convention.negated and step and step.sign == 1:
        found["ascent_convention"] = "Your gradients are those of minus the loss, and your update adds them: that comes to the same."
    if right and convention.other:
        found["scaled_gradients"] = _scaled(inquiry, convention)
    found |= _penalty(inquiry, convention, right)
    if reading.updated:
        found["saved_after_update"] = (
            "W and b were saved after an update in place: the gradients are those of what they were before. Save copies, before it."
        )
    if inquiry.unmoved:
        found["next_equals_current"] = (
            "W_next and b_next are equal to W and b: the same arrays saved twice, or the update changes nothing. Save copies before it."
        )
    found |= _loss(inquiry, convention, right)
    if step and step.fault == "unknown":
        found["update_not_plain_sgd"] = (
            "The update is not W - learning_rate * dW. With momentum, Adam, RMSprop, clipping or a schedule that is as it should be."
        )
    return tuple(Remark(code, text) for code, text in found.items())


def _scaled(inquiry, convention):
    shown = inquiry.conventions[0].scale if inquiry.loss_reproduced else 1.0
    factor = convention.scale / shown
    times = f"{factor:.4g} times" if factor >= 1 else f"1/{1 / factor:.4g} of"
    whose = "the loss value's" if inquiry.loss_reproduced else "those of the mean loss"
    m = inquiry.reading.samples
    counted = (
        f", and {m} is the number of samples: a sum in one place and a mean in the other" if m > 1 and abs(factor - m) < SAME * m else ""
    )
    return f"All gradients are {times} {whose}{counted}. The factor is the same everywhere, so it only changes the learning rate."


def _penalty(inquiry, convention, right):
    run = inquiry.run
    if convention.undeclared:
        also = " (and on the biases)" if convention.bias_decay else ""
        text = f"dW has {convention.decay:.4g} * W added: an L2 penalty on the weights{also}"
        if run.l2:
            return {"penalty_differs": f"{text}, while l2 is {run.l2:.4g}."}
        return {"undeclared_l2": f"{text} of which the file says nothing. Save it as l2 to have it checked."}
    if run.l2 and right and not convention.decay:
        return {"penalty_differs": f"There is no penalty in your gradients, although l2 is {run.l2:.4g}."}
    return {}


def _loss(inquiry, convention, right):
    value = inquiry.run.loss_value
    if value is None or inquiry.loss_reproduced:
        return {}
    if not np.isfinite(value):
        text = (
            "The loss value is not finite, the gradients are: somewhere log(0) is taken. Keep probabilities from 0 and 1 in the loss line."
        )
        return {"loss_not_finite": text}
    penalized = convention.undeclared and any(gives_loss(inquiry.reading, other, value, convention.decay) for other in inquiry.conventions)
    if not right or penalized:
        return {}
    text = f"The loss value, {value:.6g}, is not that of these arrays under any usual convention, though the gradients are right"
    return {"loss_line_wrong": f"{text}: look at the line that works out the loss, or at what batch and step it is of."}
