"""Still fewer codes, for tables of three columns or of two halves: codes are merged by their released counts.

Neighbours of a grid are merged into about equal masses; of a list all but the largest become one code. Halves are
neighbours in either case: lists are often declared in an order that means something, and else any cut will do.

>>> coarser(np.array([50.0, 3.0, 40.0, 5.0, 2.0]), ordered=False, most=3).tolist()
[0, 2, 1, 2, 2]
>>> coarser(np.array([5.0, 5.0, 5.0, 5.0, 20.0]), ordered=True, most=2).tolist()
[0, 0, 0, 0, 1]
>>> halves(np.array([90.0, 5.0, -3.0, 5.0])).tolist()
[0, 1, 1, 1]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.recipe import Lookup, Steps, renumbered
from dpsynth.schema.domain import CategoryDomain
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.forests.tree import Vector

CODES = 10
"""Most codes of a column in a triple, missing not counted."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseCodec:
    """A binning with merged codes.

    Attributes:
        fine: the binning.
        merged: coarse code of each of its codes, missing not counted.
    """

    fine: Binning
    merged: NDArray[np.int64]

    @classmethod
    def of(cls, fine: Binning) -> CoarseCodec:
        """The codec of at most `CODES` codes."""
        ordered = not isinstance(fine.oneway.cells.domain, CategoryDomain)
        return cls(fine=fine, merged=coarser(fine.counts[:-1], ordered=ordered, most=CODES))

    @classmethod
    def halved(cls, fine: Binning) -> CoarseCodec:
        """The codec of two codes, or one where there is only one."""
        return cls(fine=fine, merged=halves(fine.counts[:-1]))

    @property
    def size(self) -> int:
        """Number of codes, missing not counted."""
        return int(self.merged.max()) + 1

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Code of each row, shape (rows,), missing -1."""
        return np.append(self.merged, -1)[self.fine.encode(values)]

    def recipe(self) -> Lookup | Steps:
        """For engines: the binning's recipe, with these codes."""
        return renumbered(self.fine.recipe(), self.merged)

    def map(self, codes: int) -> NDArray[np.int64]:
        """Code -> coarse code, shape (codes,): with missing, if that is one of the codes."""
        return np.append(self.merged, self.size)[:codes]


def coarser(counts: Vector, *, ordered: bool, most: int) -> NDArray[np.int64]:
    """Code -> one of at most `most` coarse codes: neighbours of about equal mass, or all but the largest in one."""
    size = len(counts)
    if size <= most:
        return np.arange(size)
    if not ordered:
        keep = np.zeros(size, dtype=bool)
        keep[np.argsort(-counts, kind="stable")[: most - 1]] = True
        return np.where(keep, np.cumsum(keep) - 1, most - 1)
    mass = np.maximum(counts, 0.0) + 1e-9
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.unique((middle * most).astype(np.int64), return_inverse=True)[1]


def halves(counts: Vector) -> NDArray[np.int64]:
    """Code -> 0 or 1, neighbours together, cut where the masses on both sides are most equal."""
    below = np.cumsum(np.maximum(counts, 0.0))
    cut = int(np.argmin(np.abs(below[:-1] - below[-1] / 2))) if len(counts) > 1 else 0
    return (np.arange(len(counts)) > cut).astype(np.int64)
