"""What a table is taken for, and the configuration that is proposed for it: the same on the command line and on the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import DataConfig, LayerConfig, RunConfig, suggested_output
from core.data.files import samples, understood
from core.limits import ConfigError
from core.nn.losses import suited_output

HIDDEN = {"units": 8, "activation": "tanh"}
# What a large weight costs, over the training rows: as in scikit-learn's Ridge (alpha 1) and LogisticRegression (C 1). Without it small
# tables are learned by heart: of 69 tables 19 stayed below 0.95 of scikit-learn's network, with it 10 (make bench-tables)
L2 = {"regression": 1.0, "classification": 0.5}
ROWS = 8  # of the table that a preview shows
CELL = 40  # letters of a cell


@dataclass(frozen=True)
class Description:
    """How a file is read, in plain values. `columns` are the contract's, each with a `histogram`; `data` are fields of the configuration
    that spell out what was decided, `output`, `loss` and `l2` (of the penalty) what suits it. `balance` [(class, rows)] is of a single
    target of classes. `problem` says why it cannot be trained on as it is, None where it can; `rows` are the file's, `first` its first rows
    as texts."""

    format: str
    rows: int
    columns: tuple[dict, ...]
    target: tuple[str, ...]
    task: str
    notes: tuple[str, ...]
    header: bool | None
    delimiter: str | None
    data: dict
    output: LayerConfig
    loss: str
    l2: float
    balance: tuple[tuple[str, int], ...] = ()
    first: tuple[tuple[str, ...], ...] = ()
    problem: ConfigError | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape."""
        target = self.target[0] if len(self.target) == 1 else list(self.target) or None
        columns = [{name: value for name, value in entry.items() if name != "histogram"} for entry in self.columns]
        notes = [*self.notes, *([f"Cannot be trained on yet: {self.problem.message}"] if self.problem else [])]
        return {"rows": self.rows, "columns": columns, "target": target, "task": self.task, "notes": notes}

    def __str__(self):
        told = self.to_dict()
        shapes = [
            f"{entry['name']:<24} {entry['type']:<9} {entry['use']:<9} {entry['missing']:>8,} {entry['distinct']:>9,}"
            for entry in self.columns
        ]
        head = f"{'column':<24} {'type':<9} {'use':<9} {'missing':>8} {'distinct':>9}"
        return "\n".join([f"{self.rows:,} rows", "", head, *shapes, "", *told["notes"]])


def describe(data: DataConfig, given: Collection[str] = frozenset()) -> Description:
    """The Description of a DataConfig's file. `given` are the fields of `data` that a person has set: all others are proposed. Raises
    ConfigError for a file that is no table."""
    found = understood(data, given)
    problem, balance, outputs, matrix, l2 = None, (), 1, None, 0.0
    try:
        made = samples(found, data)
        outputs = len(made.target_names)
        held_back = data.test_fraction if made.held_back is None else made.held_back.mean()
        rows = max(1, round(min(len(made.inputs), data.samples) * (1 - held_back)))
        l2 = float(f"{L2[found.task] / rows:.2g}")
        found.notes.append(f"Proposed for {rows:,} training rows: an L2 penalty of {l2:g}")
        if made.targets.ndim == 1:
            balance = tuple(zip(made.target_names, np.bincount(made.targets, minlength=outputs).tolist()))
        elif found.task == "classification":
            matrix = made.targets
    except ConfigError as error:
        problem = error
    if matrix is None:
        output, loss = suggested_output(data, outputs, found.task)
    else:
        activation, loss = suited_output("classification", exclusive=bool((matrix.sum(axis=1) == 1).all()))
        output = LayerConfig(outputs, activation)
    table = found.table
    return Description(
        table.format,
        table.rows,
        tuple(entry.to_dict() | {"histogram": entry.histogram} for entry in found.columns),
        tuple(found.targets),
        found.task,
        tuple(found.notes),
        table.header,
        table.delimiter,
        _spelled_out(data, found, given),
        output,
        loss,
        l2,
        balance,
        _first_rows(table.frame),
        problem,
    )


def _spelled_out(data, found, given):
    """The fields of the data that are proposed, {name: value}."""
    left_out = [entry.name for entry in found.columns if entry.use == "left out"]
    target = found.targets[0] if len(found.targets) == 1 else list(found.targets)
    proposed = {
        "task": found.task,
        "target": None if found.table.targets or not found.targets else target,
        "drop": left_out,
        "scaling": "standard",
        "target_scaling": "standard" if found.task == "regression" else "none",
    }
    return {name: value for name, value in proposed.items() if name not in given}


def _first_rows(frame):
    cells = frame.iloc[:ROWS, : CELL * 2].astype(object).map(lambda cell: "" if cell != cell or cell is None else str(cell)[:CELL])
    return tuple(map(tuple, cells.to_numpy().tolist()))


def configured(values: object) -> RunConfig:
    """The RunConfig of the contract's JSON shape. Where it names a file and no layers, what it leaves open is what the table proposes; each
    field given is kept. Raises ConfigError."""
    if not isinstance(values, dict) or not isinstance(values.get("data", {}), dict):
        return RunConfig.from_dict(values)
    data = dict(values.get("data", {}))
    if data.get("path") is not None:
        data.setdefault("source", "file")
    if data.get("source") != "file" or "layers" in values:
        return RunConfig.from_dict({**values, "data": data} if data else values)
    described = describe(DataConfig.from_dict(data, "data"), frozenset(data))
    if described.problem:
        raise described.problem
    layers = [HIDDEN, dataclasses.asdict(described.output)]
    proposed = {"loss": described.loss, "penalty": {"l2": described.l2}}
    return RunConfig.from_dict({**proposed, **values, "data": described.data | data, "layers": layers})
