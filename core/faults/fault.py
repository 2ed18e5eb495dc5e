"""What the catalogue knows of one mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.nn.formulas import Plan

KINDS = ("formula", "state", "numerics", "set-up")
BOTH = ("dW", "db")  # the gradients of a layer


@dataclass(frozen=True)
class Fault:
    """One mistake that people make.

    `wrong` and `right` are lines in features-first NumPy, with [l] for the layer, a[0] the inputs and m the samples of the batch.
    `applies(plan, layer)` says whether it can be made there, `needs` what that takes (as in "needs ..."). A fault that is `whole`
    concerns the run and no single layer. `edit(subject, layer)` works in place on what `edits` names: the `formulas` of a step or the
    `program` that replays them; `edit(parameters, layer, rng)` on the first `parameters`; for `inputs` and `batch_size` it takes the
    right ones and returns the wrong ones, and for `order` the training targets, to return the order of the samples. `edit(network, layer)`
    works on what the `network` is outside training.

    The pattern it leaves in a gradient check: `tensors` of its own layer are wrong, by the factor `ratio(m, k)` where it is always
    the same (m samples, k outputs); if it `spreads`, the layers before are wrong as well. `of` names the fault of which this is another
    way of writing.
    """

    name: str
    title: str
    kind: str
    edits: str
    edit: Callable
    wrong: str
    right: str
    origin: str
    watch: str
    applies: Callable = lambda plan, layer: True
    needs: str = ""
    whole: bool = False
    tensors: tuple[str, ...] = ()
    ratio: Callable | None = None
    spreads: bool = False
    of: str | None = None

    @property
    def family(self) -> str:
        """The name that this fault goes by, whichever way it is written."""
        return self.of or self.name

    @property
    def pattern(self) -> str:
        """What a gradient check shows, in words."""
        if not self.tensors:
            return "The gradient is right: only a look at the whole step, or at the run, shows it."
        tensors = " and ".join(f"{tensor}[l]" for tensor in self.tensors)
        wrong = f"{tensors} {'is' if len(self.tensors) == 1 else 'are'} wrong"
        if self.ratio:
            wrong += " by a fixed factor"
        return f"{wrong}, and so are the layers before." if self.spreads else f"{wrong}; everything else is right."

    def lines(self, layer: int | None = None, last: int | None = None) -> tuple[str, str]:
        """(wrong line, right line), for one layer if it is given: dW[l] becomes dW2, a[0] becomes X."""
        return _written(self.wrong, layer, last), _written(self.right, layer, last)


def _written(line, layer, last):
    if layer is None:
        return line
    line = re.sub(r"\[l([+-]\d)?\]", lambda found: str(layer + int(found[1] or 0)), line)
    line = line.replace("[L]", str(last or layer))
    return re.sub(r"\ba0\b", "X", line)


# Where a fault can be made: what several entries ask


def bent(plan: Plan, layer: int) -> bool:
    """Whether a layer's activation is not linear."""
    return plan.activations[layer - 1] != "linear"


def fits(plan: Plan, layer: int, other: int) -> bool:
    """Whether tensors of layer `other` can stand where those of `layer` belong: as many units, or one that broadcasts."""
    return 0 <= other <= plan.last and plan.sizes[other] in (plan.sizes[layer], 1)
