"""From a table's columns to a network's inputs: scikit-learn fills, encodes and scales them, fitted on the training part."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.table.columns import column
from core.data.table.values import date_parts, to_dates
from core.limits import ConfigError, listed, shown

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer

    from core.data.table.columns import Column

LEVELS = 32  # columns that a category becomes at the most; its rarest levels share one
RARE = 0.01  # share of the rows below which a level counts as rare
BLOCK = 4096  # rows that are prepared at a time: what is made on the way stays small
EXAMPLES = 25  # values of a column that a person may try out
MISSING, OTHER = "missing", "other"


@dataclass(frozen=True)
class Preparation:
    """How the columns of a table become network inputs: `types` {name: number | category | date} of the columns used. Once it is fitted,
    `fitted` is scikit-learn's ColumnTransformer, `parts` are the dates' parts that are used, [(column, part)], and `ranges` hold of each
    column its lowest, median and highest value, or its most frequent levels. `names` are those of the inputs that it makes."""

    types: dict[str, str]
    scaling: str
    fitted: Any = None
    parts: tuple[tuple[str, str], ...] = ()
    ranges: dict[str, tuple] = field(default_factory=dict)

    def fit(self, frame: pd.DataFrame, rows: np.ndarray) -> Preparation:
        """The same, fitted on these rows of a frame of typed columns (see `typed`)."""
        parts = []
        for name in self._of("date"):
            for part, values in date_parts(frame[name]).items():  # pyright: ignore[reportArgumentType]
                if values.nunique() > 1:
                    parts.append((name, part))
        filled = replace(self, parts=tuple(parts))
        plain = filled.plain(frame)
        transformer = filled.transformer().fit(plain.iloc[rows])
        return replace(filled, fitted=transformer, ranges=self._ranges(frame.iloc[rows]))

    def inputs(self, frame: pd.DataFrame) -> np.ndarray:
        """(m, inputs) float64 of a frame of typed columns, a block of rows at a time."""
        made = np.empty((len(frame), len(self.names)))
        for start in range(0, len(frame), BLOCK):
            rows = slice(start, start + BLOCK)
            made[rows] = self.fitted.transform(self.plain(frame.iloc[rows]))
        return made

    def _ranges(self, frame):
        numbers = frame[self._of("number")]
        found = {
            name: tuple(values) for name, values in zip(numbers, np.column_stack([numbers.min(), numbers.median(), numbers.max()]).tolist())
        }
        for name in self._of("date"):
            days = frame[name].dropna().sort_values()
            found[name] = tuple(days.iloc[at] for at in (0, len(days) // 2, -1)) if len(days) else ()
        return found | {name: tuple(frame[name].value_counts().index[:EXAMPLES]) for name in self._of("category")}

    @property
    def examples(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Values of each column as a person would type them: [(column, the most typical one, some over its whole range)]."""
        return tuple((name, *_examples(kind, self.ranges[name])) for name, kind in self.types.items())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs (inputs,)."""
        return tuple(map(str, self.fitted.get_feature_names_out()))

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns used of a table of new rows, as the types have it. Raises ConfigError for columns that are not there, or hold what
        cannot be read as they should."""
        import pandas as pd

        if absent := [name for name in self.types if name not in frame.columns]:
            held = f"it has no {listed(absent)}; its columns are {listed(frame.columns)}"
            raise ConfigError("file", f"must have the columns that the run was trained on; {held}")
        columns, odd = {}, []
        for name, kind in self.types.items():
            columns[name] = column(name, frame[name], kind).values  # pyright: ignore[reportArgumentType]
            if kind == "number" and columns[name].dtype.kind not in "iufb":
                odd.append(f"{name}: {next(iter(columns[name].dropna()), '')}")
            if kind == "date" and columns[name].dtype.kind != "M":
                columns[name] = to_dates(frame[name])  # pyright: ignore[reportArgumentType]
                odd += [f"{name}: {next(iter(frame[name].dropna()), '')}"] if columns[name] is None else []
        if odd:
            raise ConfigError("file", f"must hold numbers and dates where the run was trained on them; holds text in {listed(odd)}")
        return pd.DataFrame(columns)

    def unseen(self, frame: pd.DataFrame) -> tuple[str, ...]:
        """Sentences about levels of a frame of typed columns that no training row had."""
        names = self._of("category")
        known = self.fitted.named_transformers_["categories"].categories_ if names else ()
        new = {name: sorted(set(frame[name].dropna().astype(str)) - set(map(str, levels))) for name, levels in zip(names, known)}
        return tuple(
            f"No training row had {listed(levels)} in column {shown(name)}: the network cannot tell what that means"
            for name, levels in new.items()
            if levels
        )

    def _of(self, kind):
        return [name for name, found in self.types.items() if found == kind]

    @property
    def _numbers(self):
        return [*self._of("number"), *(f"{name} {part}" for name, part in self.parts)]

    def plain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Numbers, the parts of dates as numbers, and levels as texts."""
        import pandas as pd

        numbers, categories = self._of("number"), self._of("category")
        if not self.parts and not categories:
            return frame if len(frame.columns) == len(numbers) else frame[numbers]  # pyright: ignore[reportReturnType]
        columns = {name: frame[name] for name in numbers}
        columns |= {f"{name} {part}": date_parts(frame[name])[part] for name, part in self.parts}  # pyright: ignore[reportArgumentType]
        columns |= {name: frame[name].astype(object).where(frame[name].notna(), MISSING).astype(str) for name in categories}
        return pd.DataFrame(columns, index=frame.index)

    def transformer(self) -> ColumnTransformer:
        """scikit-learn's ColumnTransformer for these columns, not fitted."""
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

        scaler = {"none": "passthrough", "standard": StandardScaler(copy=False), "minmax": MinMaxScaler(copy=False)}[self.scaling]
        numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), scaler)
        encoder = OneHotEncoder(
            sparse_output=False, handle_unknown="infrequent_if_exist", min_frequency=RARE, max_categories=LEVELS,
            feature_name_combiner=_named,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        parts = [("numbers", numbers, self._numbers), ("categories", encoder, self._of("category"))]
        return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)

    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """(offset, factor) of each input where all columns are numbers: value = (x - offset) / factor."""
        return _offset_and_factor(self.scaling, self.fitted.named_transformers_["numbers"][1], len(self._numbers))

    def recipe(self) -> dict[str, list[tuple]]:
        """What the fitted transformer does, as plain values: {"numbers": [(column, part of a date or None, fill, offset, factor)],
        "categories": [(column, [levels in order of their inputs], level for all others or None)]}. value = (x - offset) / factor."""
        found = {"numbers": [], "categories": []}
        steps = self.fitted.named_transformers_
        if "numbers" in steps:
            imputer, scaler = steps["numbers"][0], steps["numbers"][1]
            offset, factor = _offset_and_factor(self.scaling, scaler, len(self._numbers))
            sources = [(name, None) for name in self._of("number")] + list(self.parts)
            found["numbers"] = [
                (name, part, float(fill), float(low), float(size))
                for (name, part), fill, low, size in zip(sources, imputer.statistics_, offset, factor)
            ]
        if "categories" in steps:
            encoder = steps["categories"]
            for name, levels, rare in zip(self._of("category"), encoder.categories_, encoder.infrequent_categories_):
                own = [str(level) for level in levels if rare is None or level not in set(rare)]
                found["categories"].append((name, own, None if rare is None else OTHER))
        return found


def _examples(kind, values) -> tuple[str, tuple[str, ...]]:
    """(the most typical of a column's values, values over its whole range), as texts."""
    if kind == "category":
        return (str(values[0]) if values else ""), tuple(map(str, values))
    if not values or values[0] != values[0]:
        return "", ()
    low, middle, high = values
    if kind == "date":
        days = (low + (high - low) * share for share in np.linspace(0, 1, EXAMPLES))
        return middle.date().isoformat(), tuple(dict.fromkeys(day.date().isoformat() for day in days))
    return f"{middle:.6g}", tuple(f"{value:.6g}" for value in np.linspace(low, high, EXAMPLES))


def _named(name, level):
    return f"{name}={OTHER if level == 'infrequent_sklearn' else level}"


def _offset_and_factor(scaling, scaler, columns):
    if scaling == "standard":
        return scaler.mean_, scaler.scale_
    if scaling == "minmax":
        return scaler.data_min_, 1 / scaler.scale_
    return np.zeros(columns), np.ones(columns)


def check_numbers(entry: Column, largest: float) -> str | None:
    """What is wrong with a column of numbers, in one clause; None when nothing is."""
    values = entry.values.to_numpy(float)
    size = np.abs(values[~np.isnan(values)]).max(initial=0)
    if np.isinf(size):
        return f"column {shown(entry.name)} holds infinite values"
    return f"column {shown(entry.name)} holds numbers beyond {largest:g}" if size > largest else None
