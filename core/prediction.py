"""What a trained network says of new rows and pictures, which go through the very preparation that its training rows went through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.dataset import signed_coding
from core.limits import LIMITS, ConfigError, shown
from core.nn.network import with_ones

if TYPE_CHECKING:
    import pandas as pd

    from core.training.trainer import Trainer

CERTAIN = ("softmax", "sigmoid")  # outputs that are probabilities
LARGEST = 1_000_000  # of what a picture that is drawn may hold


@dataclass(frozen=True)
class Prediction:
    """Of m rows: `names` of the outputs (k,), `outputs` (m, k) in the target's own units, or probabilities of the classes where the output
    gives such (`probable`); `classes` (m,) names of the classes that are said, None for values. `target` is the column that these are of,
    None for several; `notes` say what of the rows the network does not know."""

    names: tuple[str, ...]
    outputs: np.ndarray
    classes: tuple[str, ...] | None = None
    probable: bool = False
    target: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = {"target": self.target, "names": list(self.names), "outputs": self.outputs.tolist(), "notes": list(self.notes)}
        return told | ({"classes": list(self.classes)} if self.classes is not None else {})


def rows_in(raw: bytes, trainer: Trainer) -> pd.DataFrame:
    """The table of new rows in a file's bytes, as a DataFrame that `predict` takes. It may have other columns, too; one without a header
    must have just those of the inputs, in their order. Raises ConfigError."""
    from core.data.files import refusals
    from core.data.table.formats import opened

    wanted, delimiter = list(_preparation(trainer).types), trainer.config.data.delimiter
    try:
        with refusals():
            table = opened(raw, None, delimiter, single=True)
            if table.header is False and not set(wanted) <= set(table.frame.columns):
                named = opened(raw, True, delimiter, single=True)
                table = named if set(wanted) <= set(named.frame.columns) else table
    except ConfigError as error:
        raise ConfigError("file", error.message) from None
    if not table.header and table.frame.shape[1] == len(wanted) and not set(wanted) & set(table.frame.columns):
        table.frame.columns = wanted
    return table.frame


def predict(trainer: Trainer, frame: pd.DataFrame) -> Prediction:
    """The Prediction for a DataFrame of new rows; cells may be texts. Raises ConfigError for columns that are not there, or hold what the
    run was not trained on."""
    if not 0 < len(frame) <= LIMITS["samples"]:
        raise ConfigError("file", f"must have 1 to {LIMITS['samples']:,} rows; had {len(frame):,}")
    preparation = _preparation(trainer)
    typed = preparation.typed(frame)
    target = trainer.config.data.target
    known: Any = {"target": target if isinstance(target, str) else None, "notes": preparation.unseen(typed)}
    return _said(trainer, preparation.inputs(typed), **known)


def predict_picture(trainer: Trainer, values: tuple[float, ...]) -> Prediction:
    """The Prediction for one picture that was drawn: as many numbers as the data's pictures have, in their units, within ±LARGEST. Raises
    ConfigError."""
    data = trainer.dataset
    if data.image is None or data.preparation is not None:
        raise ConfigError("data.source", f"must be pictures, to predict what is drawn; was {trainer.config.data.source}")
    count = math.prod(data.image)
    if len(values) != count or not all(isinstance(value, (int, float)) and abs(value) <= LARGEST for value in values):
        raise ConfigError("picture", f"must be {count} numbers of at most {LARGEST:,}; was {shown(values)}")
    inputs = np.array([values], float)
    return _said(trainer, (inputs - data.input_offset) / data.input_factor)


def _said(trainer, inputs, **known):
    """The Prediction for inputs (m, n) as the network takes them, with what else is `known` of it."""
    with np.errstate(all="ignore"):
        outputs = trainer.network.forward(with_ones(inputs, trainer.network.dtype))[-1][1].T.astype(float)
    dataset, output = trainer.dataset, trainer.config.layers[-1].activation
    if dataset.task == "regression" or not dataset.labels:
        return Prediction(dataset.target_names, outputs * dataset.target_factor + dataset.target_offset, **known)
    signed = signed_coding(output, trainer.config.loss)
    if outputs.shape[1] == 1:
        said = (outputs[:, 0] > (0.0 if signed else 0.5)).astype(int)
        outputs = np.column_stack([1 - outputs, outputs]) if output in CERTAIN and not signed else outputs
    else:
        said = np.argmax(outputs, axis=1)
    names = dataset.target_names if outputs.shape[1] == len(dataset.target_names) else dataset.target_names[1:]
    classes = tuple(dataset.target_names[index] for index in said)
    return Prediction(names, outputs, classes, output in CERTAIN and not signed, **known)


def examples(trainer: Trainer) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """((column, its most typical value, values over its whole range), ...) of the inputs, as texts."""
    return _preparation(trainer).examples


def of_texts(rows: list[dict[str, str]]) -> pd.DataFrame:
    """The DataFrame of rows [{column: text}] that were typed; an empty text is a missing value."""
    import pandas as pd

    frame = pd.DataFrame(rows, dtype="str")
    return frame.mask(frame == "")


def _preparation(trainer):
    if trainer.dataset.preparation is None:
        raise ConfigError("data.source", f"must be a file, whose columns new rows can have; was {trainer.config.data.source}")
    return trainer.dataset.preparation
