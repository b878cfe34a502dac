"""Columns as bounded numbers for models with differential privacy, without a look at the real table.

Bounds are the schema's, where it declares some; else those of rows that are released already (the synthetic table).
Categories likewise. Real cells outside are clamped, real categories that nobody knows become none of the known.

    narrow   a number in [0, 1] for each column; categories in the order of the target's rate among released rows
    wide     a coordinate for each category and for "missing"; the L2 norm of a row is at most 1, by division by the
             square root of the number of columns plus one, and the last coordinate is constant (an intercept)

>>> import pandas as pd
>>> known = Encoding.of(pd.DataFrame({"x": [0.0, 4.0], "y": ["n", "y"]}), {"x": "number"}, target="y", bounds={})
>>> known.narrow(pd.DataFrame({"x": [1.0, 9.0]})).ravel().tolist()
[0.25, 1.0]

Not guaranteed: that released bounds are wide enough; values beyond them are clamped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.quality.coding import Kind, as_float

MAX_CATEGORIES = 50
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Encoding:
    """How columns become numbers: public facts only.

    Attributes:
        kinds: column -> how it is read, target left out.
        ranges: numeric column -> lower and upper bound.
        categories: categorical column -> known values, lowest rate of the target's rarest class first.
    """

    kinds: Mapping[str, Kind]
    ranges: Mapping[str, tuple[float, float]]
    categories: Mapping[str, pd.Index]

    @classmethod
    def of(
        cls,
        released: pd.DataFrame,
        kinds: Mapping[str, Kind],
        *,
        target: str,
        bounds: Mapping[str, tuple[float, float]],
    ) -> Encoding:
        """From released rows and declared bounds.

        Raises:
            DataError: a numeric column has neither declared bounds nor a released value.
        """
        ranges, categories = {}, {}
        labels = released[target].astype(object)
        rare = labels == labels.value_counts().index[-1]
        for name, kind in kinds.items():
            if kind == "categorical":
                values = released[name].astype(object)
                rate = rare.groupby(values).agg(["mean", "size"]).nlargest(MAX_CATEGORIES, "size")
                categories[name] = rate.sort_values("mean", kind="stable").index
                continue
            if name in bounds:
                ranges[name] = bounds[name]
                continue
            numbers = as_float(released[name], kind, table="synthetic")
            if not np.isfinite(numbers).any():
                raise DataError(
                    f"Column {name!r} has no declared bounds and no released value, so nothing bounds it.",
                    "Declare min and max in the schema.",
                )
            ranges[name] = (float(np.nanmin(numbers)), float(np.nanmax(numbers)))
        return cls(kinds=kinds, ranges=ranges, categories=categories)

    def narrow(self, frame: pd.DataFrame) -> Floats:
        """Shape (rows, columns), in [0, 1]; unknown and missing are one half."""
        return np.stack([np.where(np.isnan(x), 0.5, x) for x in self._scaled(frame)], axis=1)

    def wide(self, frame: pd.DataFrame) -> Floats:
        """Shape (rows, coordinates), L2 norm at most 1; the last coordinate is constant."""
        parts = []
        for name, scaled in zip(self.kinds, self._scaled(frame), strict=True):
            absent = np.isnan(scaled)
            if name in self.categories:
                codes = self.categories[name].get_indexer(frame[name].astype(object))
                parts.append((codes[:, None] == np.arange(len(self.categories[name]))).astype(np.float64))
            else:
                parts.append(np.where(absent, 0.0, scaled)[:, None])
            parts.append(absent[:, None].astype(np.float64))
        parts.append(np.ones((len(frame), 1)))
        together: Floats = np.hstack(parts) / np.sqrt(len(self.kinds) + 1)
        return together

    def _scaled(self, frame: pd.DataFrame) -> list[Floats]:
        out = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                known = self.categories[name]
                codes = known.get_indexer(frame[name].astype(object)).astype(np.float64)
                out.append(np.where(codes < 0, np.nan, codes / max(len(known) - 1, 1)))
            else:
                low, high = self.ranges[name]
                numbers = as_float(frame[name], kind, table="real")
                out.append(np.clip((numbers - low) / (high - low if high > low else 1.0), 0.0, 1.0))
        return out
