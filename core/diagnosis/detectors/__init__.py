"""The detectors: functions of the Evidence that yield what they find, each with its threshold and its gate, and the codes that they find.
Layers in findings count from 1.

`settings` looks at what was chosen and can be known before the first step; `code` at planted faults of backprop; `stability`, `signal` and
`progress` at what training shows; `data` at what is odd in the data. A wrong setting is a warning while it keeps the run from learning, or
before anybody can tell; all but `nonfinite` and the notes of `data` are silent on runs that learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.diagnosis.detectors import code, data, progress, settings, signal, stability


@dataclass(frozen=True)
class Detector:
    """A code, and how it is found: by `find`, functions of an Evidence that yield Findings, of this code for the most part.

    `together`: one run may well get it wrong with other such mistakes, and all of these are mended at once. `broken`: the run blew up, so
    that nobody needs to hear that it does not learn. `not_learning`: it says no more than that, or that the run does not learn well, and in
    one that is over it comes and goes with the noise. `blow`: a layer that leaves its range explains it. `slow`: a larger learning rate may
    mend it. `curve` is the layer metric that shows it; None: the loss.
    """

    find: tuple[Callable, ...]
    together: bool = False
    broken: bool = False
    not_learning: bool = False
    blow: bool = False
    slow: bool = False
    curve: str | None = None


# Upstream first: of two mistakes, or of two symptoms, the one that comes first is the root
DETECTORS = {
    "update_fault": Detector((code.update_fault,), together=True),
    "gradient_fault": Detector((code.gradient_fault,), together=True),
    "constant_labels": Detector((settings.constant_labels,)),
    "loss_output_mismatch": Detector((settings.loss_output_mismatch,), together=True),
    "unreachable_target": Detector((settings.unreachable_target,), together=True),
    "symmetric_init": Detector((settings.symmetric_init,), together=True),
    "unscaled_inputs": Detector((settings.unscaled_inputs,), together=True),
    "unscaled_targets": Detector((settings.unscaled_targets,), together=True),
    "bad_init_scale": Detector((settings.bad_init_scale,), together=True),
    "unstable_learning_rate": Detector((settings.unstable_learning_rate, settings.penalty_too_strong)),
    "imbalanced_labels": Detector((settings.imbalanced_labels,)),
    "nonfinite": Detector((stability.nonfinite,), broken=True, blow=True),
    "diverged": Detector((stability.diverged,), broken=True, blow=True),
    "exploding_gradients": Detector((stability.exploding_gradients,), blow=True, curve="gradient_norm"),
    "dead_units": Detector((signal.dead_units,), blow=True, curve="dead"),
    "vanishing_gradients": Detector((signal.vanishing_gradients,), curve="gradient_norm"),
    "saturated_units": Detector((signal.saturated_units,), not_learning=True, blow=True, curve="saturated"),
    "update_too_small": Detector((progress.update_too_small,), slow=True, curve="update_ratio"),
    "oscillation": Detector((stability.oscillation,), not_learning=True),
    "update_too_large": Detector((stability.update_too_large,), not_learning=True, curve="update_ratio"),
    "ignores_input": Detector((progress.ignores_input,), not_learning=True),
    "plateau": Detector((progress.plateau, settings.unforeseeable_labels), not_learning=True, slow=True),
    "overfitting": Detector((progress.overfitting,)),
    "underfitting": Detector((progress.underfitting, settings.too_straight), not_learning=True, slow=True),
    "slow_progress": Detector((progress.slow_progress,), slow=True),
    "class_in_one_part": Detector((data.class_in_one_part,)),
    "id_input": Detector((data.id_input,)),
    "sentinel_values": Detector((data.sentinel_values,)),
    "single_row_class": Detector((data.single_row_class,)),
    "leaking_input": Detector((data.leaking_input,)),
    "repeated_rows": Detector((data.repeated_rows,)),
    "tiny_test_part": Detector((data.tiny_test_part,)),
}
