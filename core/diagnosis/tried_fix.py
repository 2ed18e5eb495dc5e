"""The fix of the root, tried before it is given: what mends the cause may need a learning rate of its own, or other steps altogether."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.config import merged
from core.data import load
from core.diagnosis.evidence import Evidence
from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.evidence.progress import LEARNED, WELL
from core.diagnosis.forecast import LIVE, forecast
from core.diagnosis.remedies import first_weights, rounded_down, usual_rate
from core.limits import ConfigError
from core.nn.activations import ACTIVATIONS
from core.nn.optimizers import OPTIMIZERS
from core.training.rehearsal import Rehearsal
from core.training.trainer import Trainer

# A hidden activation that does not die or fade, and units that are plenty for what is tried here
STEADY, ROOMY = "elu", 32
# What a learning rate was chosen for: where one of these changes, it has to be chosen anew
ANEW = {"data", "layers", "init", "loss"}
# Updates that a fix is tried for: as many as the run has made within these bounds
FEWEST, MOST = 512, 8192
# Microseconds, as estimated, that all forms of a fix may take together; of what is larger, or in a run that people look at, fewer are tried
COST = 2_000_000
ADAM = {"name": "adam", "learning_rate": OPTIMIZERS["adam"].usual_rate}


def tried_fix(evidence: Evidence, fix: dict, updates: int, cost: float = COST) -> dict:
    """The first of several forms of a fix (a patch of the configuration) with which the run learns well, or the best of them.

    It may keep what suited the broken network alone; so it is tried with a learning rate that suits the mended one, upwards too, then with
    Adam, then with safer first weights, activations and sizes, for so many `updates` each (0: it is only given a suitable rate). What would
    take more than `cost` microseconds in all is not tried.
    """
    if not updates:
        return with_suited_rate(evidence, fix)
    best, most = None, -np.inf
    for form in _forms(evidence, fix):
        try:
            trainer = _trainer(evidence, evidence.config.patched(form))
        except ConfigError:
            continue
        best = form if best is None else best
        cost -= Rehearsal(trainer).update_cost * updates
        if cost < 0:
            break
        won = Evidence(trainer.run(updates)).progress.share
        if won > most + LEARNED:
            best, most = form, won
        if won >= WELL:
            break
    return best or fix


def _forms(evidence: Evidence, fix: dict) -> Iterator[dict]:
    yield with_suited_rate(evidence, fix)
    yield fix
    if set(fix) == {"faults"}:
        return
    adam = merged(fix, {"optimizer": ADAM})
    yield with_suited_rate(evidence, adam)
    *hidden, output = evidence.config.patched(fix).to_dict()["layers"]
    for layers in (
        hidden,
        [layer | {"activation": STEADY} for layer in hidden],
        [{"units": ROOMY, "activation": STEADY}] * max(len(hidden), 2),
    ):
        init = ACTIVATIONS[layers[0]["activation"]].init if layers else "glorot_uniform"
        safer = {"layers": [*layers, output], **first_weights([*layers, output], init)}
        yield with_suited_rate(evidence, merged(adam, safer))


def with_suited_rate(evidence: Evidence, fix: dict) -> dict:
    """The fix with a learning rate that suits what it makes: the usual one where it changes the network or what that sees, in any case one
    that is stable. As it is where the learning rate is all that it changes."""
    if set(fix) == {"optimizer"} and "name" not in fix["optimizer"]:
        return fix
    try:
        patched = evidence.config.patched(fix)
        rate = usual_rate(patched) if set(fix) & ANEW or "name" in fix.get("optimizer", {}) else patched.optimizer.learning_rate
        trainer = _trainer(evidence, patched.patched({"optimizer": {"learning_rate": rate}}))
    except ConfigError:
        return fix
    seen = forecast(trainer, LIVE)
    if seen.verdict == "unstable" and 0 < seen.largest_stable_rate < rate:
        rate = rounded_down(seen.largest_stable_rate)
    return fix if rate == evidence.config.optimizer.learning_rate else merged(fix, {"optimizer": {"learning_rate": rate}})


def _trainer(evidence, config):
    """A Trainer at step 0. Data are loaded once for all forms of a fix, which may take seconds: not at all where the run has them, and for
    each anew where a planted fault changes them."""
    if config.faults or evidence.config.faults:
        return Trainer(config)
    if config.data == evidence.config.data:
        return Trainer(config, evidence.dataset)
    return Trainer(config, memoize_per_run(evidence.trainer, load, config.data, key=config.data))
