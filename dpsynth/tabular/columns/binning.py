"""From released cells to the few codes that a joint model can afford.

Fine cells are right for one column and too many for pairs: a pair table's noise grows with its cells. So cells are
merged, by their noisy counts alone (post-processing):

- categories whose noisy count is below two sigma become one code, and so do those beyond the largest `codes`;
  hierarchical codes are first merged with those of their prefix (`hierarchy`);
- small grids (up to 32 ticks) are merged, neighbours with neighbours, until each code holds one sigma;
- larger grids are merged into about `codes` neighbouring groups of equal mass, of at least four sigma each;
- a spike stays a code of its own, and so does missing, where its count stands out of the noise (two sigma) and the
  schema does not rule it out: else a column without gaps would get some, as often as noise is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.recipe import Lookup, Steps, renumbered
from dpsynth.schema.domain import CategoryDomain
from dpsynth.tabular.columns.hierarchy import merge_rare_codes, prefix_texts
from dpsynth.tabular.columns.oneway import OneWay

SMALL_GRID = 32
HELD = 1.0
"""Noisy rows, in sigmas of a cell, from which neighbours of a small grid are a code. At 2, merging alone left an error
of 0.022 in the 1-ways of CoIL at epsilon 1 (0.036 in all), at 1 one of 0.015; NIST and Fair at 0.3 and Adult at 0.1
came out alike."""
MAX_CODES = 128
SIGNIFICANT = 2.0
"""Missing gets a code from this many sigma: by chance alone in one column of 44."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binning:
    """A column's codes: a codec, with the noisy count of each code.

    Attributes:
        oneway: the released cells.
        code_of: code of each cell, int64, shape (cells,), values 0..size-1.
        size: number of codes, missing not counted.
        counts: noisy rows per code, then missing, float64, shape (size + 1,).
        variance: noise variance of each entry, same shape.
    """

    oneway: OneWay
    code_of: NDArray[np.int64]
    size: int
    counts: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def has_missing(self) -> bool:
        """Whether missing is an outcome that models give rows to."""
        return bool(self.counts[-1] >= SIGNIFICANT * np.sqrt(self.variance[-1]))

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Code of each row, shape (rows,), missing -1."""
        return np.append(self.code_of, -1)[self.oneway.cells.encode(values)]

    def recipe(self) -> Lookup | Steps:
        """For engines: the cells' recipe, with these codes."""
        return renumbered(self.oneway.cells.recipe(), self.code_of)


def bin_cells(oneway: OneWay, *, codes: int, nullable: bool = True) -> Binning:
    """Merge cells into about `codes` codes; a column that is publicly not `nullable` has no missing cells."""
    cells = oneway.cells
    noisy, sigma = oneway.counts[:-1], np.sqrt(oneway.variance[:-1])
    if isinstance(cells.domain, CategoryDomain) and cells.domain.hierarchy:
        texts = prefix_texts(cells.domain)
        code_of = merge_rare_codes(noisy, oneway.variance[:-1], texts, cells.domain.hierarchy, most=MAX_CODES)
    elif isinstance(cells.domain, CategoryDomain):
        code_of = _merge_rare(noisy, 2.0 * sigma)
    else:
        own = noisy[: cells.intervals]
        level = float(sigma[0])
        target = HELD * level if len(own) <= SMALL_GRID else max(float(own.sum()) / codes, 4 * level)
        code_of = _merge_neighbours(own, target)
        spikes = np.arange(len(cells.spikes)) + (code_of[-1] + 1)
        code_of = np.concatenate([code_of, spikes])
    size = int(code_of.max()) + 1
    index = np.append(code_of, size)
    counts = np.bincount(index, weights=oneway.counts, minlength=size + 1).astype(np.float64)
    if not nullable:
        counts[-1] = 0.0
    return Binning(
        oneway=oneway,
        code_of=code_of,
        size=size,
        counts=counts,
        variance=np.bincount(index, weights=oneway.variance, minlength=size + 1).astype(np.float64),
    )


def _merge_rare(noisy: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.int64]:
    """Codes that keep frequent categories apart and put all others, if two or more, into the last code."""
    keep = noisy >= floor
    keep[np.argsort(-noisy, kind="stable")[MAX_CODES - 1 :]] = False
    if np.sum(~keep) < 2:
        return np.arange(len(noisy))
    return np.where(keep, np.cumsum(keep) - 1, keep.sum()).astype(np.int64)


def _merge_neighbours(noisy: NDArray[np.float64], target: float) -> NDArray[np.int64]:
    """Greedy groups of neighbours, each of at least `target` rows; a short last group joins the one before."""
    code_of = np.zeros(len(noisy), dtype=np.int64)
    code, mass, start = 0, 0.0, 0
    for at, count in enumerate(noisy.tolist()):
        code_of[at] = code
        mass += count
        if mass >= target:
            code, mass, start = code + 1, 0.0, at + 1
    if start < len(noisy) and code > 0 and mass < target / 2:
        code_of[start:] = code - 1
    return code_of
