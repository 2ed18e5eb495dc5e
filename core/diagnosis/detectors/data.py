"""Odd data, as can be seen before the first step: notes on a run that learns, warnings on one that does not. What a file's columns hold is
looked at when it is read (core/data/files.py); the rest is read off the two parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.finding import Finding, figures
from core.limits import listed, shown

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.diagnosis.evidence import Evidence

TINY, WORTH = 20, 40  # test rows below which a share says little (standard error above 0.1), of so many rows in all
ALIKE = 0.05  # share of the test rows that are training rows, too, from which the test says more of memory than of learning
TELLING = 0.9999  # |correlation| of one input with the target
ENOUGH = 20  # rows that a leak must hold in


def _finding(code, title, advice, evidence, *, cause="data", fix=None, spoils=False, **measured):
    """A note; a warning where it `spoils` a run that has had its chance and does not do well."""
    progress = evidence.progress
    severity = "warning" if spoils and progress.judged and not progress.well else "info"
    return Finding(code, severity, 0, None, cause, title, advice, figures(**measured), fix)


def _without(evidence, columns):
    """The patch that leaves these columns out, too; None where nothing would be left."""
    left = set(evidence.dataset.preparation.types) - set(columns)
    return {"data": {"drop": [*evidence.config.data.drop, *columns]}} if left else None


def id_input(evidence: Evidence) -> Iterator[Finding]:
    """An input only numbers the rows: what is learned of it holds for no other row."""
    columns = [remark.column for remark in evidence.dataset.remarks if remark.code == "id_input"]
    if columns:
        title = f"Input {listed(columns)} only numbers the rows: what is learned of it holds for no new row."
        advice = "Leave it out: it has nothing to do with the target, or gives it away by the order of the rows."
        yield _finding("id_input", title, advice, evidence, fix=_without(evidence, columns), spoils=True, columns=len(columns))


def sentinel_values(evidence: Evidence) -> Iterator[Finding]:
    """A value stands far apart from all others and recurs: most likely it stands for a missing one."""
    for remark in evidence.dataset.remarks:
        if remark.code == "sentinel_values":
            title = (
                f"{remark.value:g} in {shown(remark.column)} ({remark.times:,} rows) lies far from all other values: likely a missing one."
            )
            advice = "Empty these cells in the file, so that they are filled as missing values are, or leave the column out."
            measured = {"value": remark.value, "rows": remark.times}
            yield _finding("sentinel_values", title, advice, evidence, fix=_without(evidence, [remark.column]), spoils=True, **measured)


def class_in_one_part(evidence: Evidence) -> Iterator[Finding]:
    """A class is in the training part or in the test part alone."""
    counts = memoize_per_run(evidence.trainer, _class_counts, evidence.dataset)
    if counts is None or not len(evidence.dataset.test):
        return
    for part, other, alone in (
        ("test", "training", (counts[0] == 0) & (counts[1] > 0)),
        ("training", "test", (counts[0] > 1) & (counts[1] == 0)),
    ):
        if alone.any():
            names = listed(np.array(evidence.dataset.target_names, object)[alone])
            title = f"Class {names} is in the {part} part alone: " + (
                "it cannot be learned." if part == "test" else "whether it was learned cannot be seen."
            )
            split = evidence.config.data.split
            fix = {"data": {"split": "stratified"}} if split != "stratified" and not evidence.dataset.given_tests else None
            advice = "Split so that each class is in both parts (stratified)." if fix else f"Add rows of this class to the {other} part."
            yield _finding("class_in_one_part", title, advice, evidence, fix=fix, spoils=part == "test", classes=alone.sum())


def single_row_class(evidence: Evidence) -> Iterator[Finding]:
    """A class has one row: it is learned by heart, or not at all."""
    counts = memoize_per_run(evidence.trainer, _class_counts, evidence.dataset)
    if counts is not None and (single := counts.sum(axis=0) == 1).any():
        names = listed(np.array(evidence.dataset.target_names, object)[single])
        title = f"Class {names} has a single row: nothing can be learned of it that holds for others."
        advice = "Add rows of this class, put rare classes together, or correct the label: it may be a typing error."
        yield _finding("single_row_class", title, advice, evidence, cause="labels", classes=single.sum())


def leaking_input(evidence: Evidence) -> Iterator[Finding]:
    """One input alone tells the target."""
    if evidence.dataset.preparation is None or evidence.dataset.inputs < 2:
        return
    at = memoize_per_run(evidence.trainer, _leak, evidence.dataset)
    if at is not None:
        name = evidence.dataset.input_names[at]
        title = f"Input {shown(name)} alone tells the target."
        advice = "If it is only known once the target is (a copy, a total, a date of the outcome), leave it out."
        column = next(
            (column for column in evidence.dataset.preparation.types if name == column or name.startswith((f"{column}=", f"{column} "))),
            name,
        )
        yield _finding("leaking_input", title, advice, evidence, fix=_without(evidence, [column]), input=at + 1)


def repeated_rows(evidence: Evidence) -> Iterator[Finding]:
    """Rows of the test part are in the training part, too."""
    if evidence.dataset.preparation is None or not len(evidence.dataset.test):
        return
    repeated = memoize_per_run(evidence.trainer, rows_in_both, evidence.dataset)
    share = repeated / len(evidence.dataset.test)
    if repeated > 1 and share > ALIKE:
        title = f"{share:.0%} of the test rows are in the training part, too: the test measures memory."
        advice = "Remove repeated rows from the file, unless they are different cases that happen to be equal."
        yield _finding("repeated_rows", title, advice, evidence, share=share, rows=repeated)


def tiny_test_part(evidence: Evidence) -> Iterator[Finding]:
    """So few rows are held back that the test metric is a matter of luck."""
    rows, test = evidence.dataset.rows, len(evidence.dataset.test)
    if 0 < test < TINY and rows >= WORTH:
        title = f"The test part has {test} rows: its metric is a matter of luck."
        given = evidence.dataset.given_tests
        advice = "Test on a file of more rows." if given else "Hold back a larger share of the rows."
        fix = None if given else {"data": {"test_fraction": 0.3}}
        yield _finding("tiny_test_part", title, advice, evidence, fix=fix, rows=test)


def _class_counts(dataset):
    """Rows of each class (2, classes) in the training and in the test part; None where there are no classes."""
    if not dataset.labels:
        return None
    return np.array([np.bincount(part.targets, minlength=dataset.outputs) for part in (dataset.train, dataset.test)])


def _leak(dataset):
    """The input that alone tells the training targets (index from 0), or None."""
    X, y = dataset.train.inputs, dataset.train.targets
    if len(X) < ENOUGH:
        return None
    if not dataset.labels:
        if y.shape[1] != 1 or y.std() == 0:
            return None
        centred, target = X - X.mean(axis=0), (y - y.mean())[:, 0]
        norms = np.sqrt((centred**2).sum(axis=0) * (target**2).sum())
        with np.errstate(all="ignore"):
            correlations = np.abs(centred.T @ target) / norms
        return int(np.argmax(correlations)) if np.nanmax(correlations, initial=0) > TELLING else None
    if len(np.unique(y)) < 2:
        return None
    return next((index for index, column in enumerate(X.T) if _separates(column, y)), None)


def _separates(column, y):
    """Whether the classes lie in intervals of their own along an input."""
    classes = np.unique(y)
    low = np.array([column[y == value].min() for value in classes])
    high = np.array([column[y == value].max() for value in classes])
    order = np.argsort(low)
    return bool((low[order][1:] > high[order][:-1]).all())


def rows_in_both(dataset: Dataset) -> int:
    """How many test rows are training rows, inputs and target."""
    train, test = (np.column_stack([part.inputs, part.targets]) for part in (dataset.train, dataset.test))
    known = set(map(bytes, np.ascontiguousarray(train)))
    return sum(map(known.__contains__, map(bytes, np.ascontiguousarray(test))))
