"""Noisy counts that show how far the released rows are from the rows that were fitted; bought like any figure.

`marginals` counts the bounded training rows in the cells of `dpsynth.quality.published`: every column and some pairs,
by public rule. The commit's facts hold names, sizes, the released rows' own counts and the noisy ones; distances and
their bounds are post-processing, so whoever holds the facts computes them again, as `verify` does.

    distance     total variation of the counted rows to the released ones, mean over columns, and over pairs
    unseen       share of rows whose value (or number, beyond the range) the release never shows, mean over columns

>>> bought = MarginalsFigure(statistic="marginals", version="1", draft="d-1", draft_digest="00" * 32,
...     marginals=(("a",),), sizes=(4,), unseen=(2,), released=(50, 50, 0, 0), counts=(5003, 4988, 1, -4),
...     scale="10", epsilon="0.1", commit="00" * 32)
>>> {name: said["ci_high"] for name, said in bought.shown().items()}
{'columns': 0.012785, 'unseen': 0.006836}

Not guaranteed: that rows which nobody was fitted to are as near. A floor says what two samples of the released
distribution itself would show; with several rows of one unit real samples differ by more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dpsynth.quality.published.bounds import Interval, noisy_distance, noisy_share
from dpsynth.release.documents import JSON
from dpsynth.release.fields import Closed, Hex64, Name

MAX_MARGINALS: Final = 128
MAX_CELLS: Final = 2**14
MAX_COUNT: Final = 2**53
MAX_SCALE: Final = Decimal("1e9")
Column = str


class MarginalsFigure(Closed):
    """Noisy counts of the fitted rows in public cells, and what they cost.

    `scale` is that of the discrete Laplace on every count; `epsilon` the price that the ledger charged, in its relation
    and unit; `commit` the entry that spent it.
    """

    statistic: Literal["marginals"]
    version: Name
    draft: Name
    draft_digest: Hex64
    marginals: tuple[tuple[Column, ...], ...] = Field(min_length=1, max_length=MAX_MARGINALS)
    sizes: tuple[int, ...]
    unseen: tuple[int, ...]
    released: tuple[int, ...] = Field(max_length=MAX_CELLS)
    counts: tuple[int, ...] = Field(max_length=MAX_CELLS)
    scale: Decimal = Field(gt=0, le=MAX_SCALE)
    epsilon: Decimal = Field(gt=0)
    commit: Hex64

    @model_validator(mode="after")
    def _cells_fit(self) -> MarginalsFigure:
        singles = sum(len(names) == 1 for names in self.marginals)
        fits = (
            len(self.sizes) == len(self.marginals)
            and len(self.unseen) == singles
            and all(len(names) == (1 if at < singles else 2) for at, names in enumerate(self.marginals))
            and all(size > 0 for size in self.sizes)
            and all(0 <= cell < size for cell, size in zip(self.unseen, self.sizes, strict=False))
            and len(self.counts) == len(self.released) == sum(self.sizes)
        )
        if not fits or singles == 0:
            raise ValueError("not the cells of marginals")
        if any(abs(count) > MAX_COUNT for count in (*self.counts, *self.released)) or min(self.released) < 0:
            raise ValueError("counts are those of no table")
        if len(set(_sums(self.released, self.sizes))) != 1:
            raise ValueError("released counts are those of no table")
        return self

    def to_json(self) -> dict[str, JSON]:
        """As `evidence.json` shows it: the counts, and what follows from them."""
        body: dict[str, JSON] = self.model_dump(mode="json")
        return body | {"quality": self.shown(), "each": self.each()}

    def shown(self) -> dict[str, dict[str, float]]:
        """The mean distance of columns and of pairs, and the mean share unseen, with bounds."""
        singles = len(self.unseen)
        found = {"columns": self._distance(range(singles))}
        if singles < len(self.sizes):
            found["pairs"] = self._distance(range(singles, len(self.sizes)))
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        cells = [int(starts[at]) + cell for at, cell in enumerate(self.unseen)]
        found["unseen"] = noisy_share(self._counts, scale=float(self.scale), sizes=self.sizes, cells=cells)
        return {name: _rounded(one) for name, one in found.items()}

    def each(self) -> list[JSON]:
        """The distance of each column and pair, in the public order; wider bounds, each at its own level."""
        return [{"columns": list(names), **_rounded(self._distance([at]))} for at, names in enumerate(self.marginals)]

    @property
    def _counts(self) -> NDArray[np.int64]:
        return np.array(self.counts, dtype=np.int64)

    def _distance(self, chosen: range | list[int]) -> Interval:
        return noisy_distance(
            self._counts,
            np.array(self.released, dtype=np.int64),
            scale=float(self.scale),
            sizes=self.sizes,
            chosen=list(chosen),
        )[0]


def _rounded(one: Interval) -> dict[str, float]:
    said = {"noisy": one.noisy, "ci_low": one.low, "ci_high": one.high}
    if one.floor is not None:
        said |= {"bias_at_most": one.bias, "floor": one.floor}
    return {name: round(value, 6) for name, value in said.items()}


def _sums(counts: tuple[int, ...], sizes: tuple[int, ...]) -> list[int]:
    ends = np.cumsum(sizes).tolist()
    return [sum(counts[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
