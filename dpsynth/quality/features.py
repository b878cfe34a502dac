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
        found = {
            name: frame[name].astype(object).value_counts().index[:TOP]
            for name, kind in kinds.items()
            if kind == "categorical"
        }
        return cls(kinds=kinds, categories=found)

    def encode(self, frame: pd.DataFrame, *, table: str) -> Floats:
        """Shape (rows, columns); missing is NaN, categories outside the training table's top share a code."""
        parts = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                values = frame[name].astype(object)
                code = self.categories[name].get_indexer(values).astype(np.float64)
                code[code < 0] = len(self.categories[name])
                code[values.isna().to_numpy()] = np.nan
                parts.append(code)
            else:
                parts.append(as_float(frame[name], kind, table=table))
        return np.stack(parts, axis=1)

    def mask(self) -> list[bool]:
        """Which columns are categorical."""
        return [kind == "categorical" for kind in self.kinds.values()]
