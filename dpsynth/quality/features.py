"""A table as numbers for one model: categories are those of the model's own training table, missing is NaN.

Gradient boosting reads the result as it stands (native categories). What the training table does not have must not be
known to the model, so each training table has an encoding of its own.

>>> train = pd.DataFrame({"c": ["a", "a", "b"]})
>>> Features.of(train, {"c": "categorical"}).encode(train.assign(c=["b", "z", None]), table="test")[:, 0].tolist()
[1.0, 2.0, nan]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.quality.coding import Kind, as_float

TOP = 250
"""Categories of a column that a model tells apart; HistGradientBoosting takes no more than 255."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Features:
    """Encodes a table for one model; categories are those of the model's own training table."""

    kinds: Mapping[str, Kind]
    categories: Mapping[str, pd.Index]

    @classmethod
    def of(cls, frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> Features:
        """Keep the 250 most frequent categories of each categorical column of the training table."""
        found = {name: _frequent(frame[name])[:TOP] for name, kind in kinds.items() if kind == "categorical"}
        return cls(kinds=kinds, categories=found)

    def encode(self, frame: pd.DataFrame, *, table: str) -> Floats:
        """Shape (rows, columns); missing is NaN, categories outside the training table's top share a code."""
        parts = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                parts.append(_codes(frame[name], self.categories[name]))
            else:
                parts.append(as_float(frame[name], kind, table=table))
        return np.stack(parts, axis=1) if parts else np.empty((len(frame), 0))

    def mask(self) -> list[bool]:
        """Which columns are categorical."""
        return [kind == "categorical" for kind in self.kinds.values()]


def _frequent(column: pd.Series) -> pd.Index:
    """Categories that occur, the most frequent first."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(object).value_counts().index
    codes = column.cat.codes.to_numpy()
    counts = np.bincount(codes[codes >= 0], minlength=len(column.cat.categories))
    order = np.argsort(-counts, kind="stable")
    return pd.Index(column.cat.categories.astype(object)[order[: int((counts > 0).sum())]])


def _codes(column: pd.Series, categories: pd.Index) -> Floats:
    """Place among the categories, one place further for any other, NaN for missing; shape (rows,)."""
    if isinstance(column.dtype, pd.CategoricalDtype):  # a category is looked up once, not once a row
        place: Floats = np.append(categories.get_indexer(column.cat.categories.astype(object)), 0).astype(np.float64)
        code: Floats = place[column.cat.codes.to_numpy()]
        missing = (column.cat.codes < 0).to_numpy()
    else:
        values = column.astype(object)
        code, missing = categories.get_indexer(values).astype(np.float64), values.isna().to_numpy()
    code[code < 0] = len(categories)
    code[missing] = np.nan
    return code
