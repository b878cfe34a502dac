"""Pair tables measured after training, and targets for raking: the model's own rows say which pairs matter.

Choosing pairs by their dependence among the model's rows is post-processing; so is shrinking what is then measured. The
scales of noise and the number of tables were fixed before anything was read.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.finishing.raking import RakedTable
from dpsynth.tabular.finishing.shrinking import shrunk

Codes = NDArray[np.unsignedinteger[Any]]
Pair = tuple[int, int]
LOOKED_AT = 50_000
"""Rows of the pool by which pairs are chosen."""


def dependent_pairs(pool: Codes, sizes: tuple[int, ...], count: int) -> tuple[Pair, ...]:
    """The pairs of columns whose table is farthest from independence among the model's rows."""
    seen = pool[:LOOKED_AT]
    distances = {}
    oneways = [np.bincount(seen[:, at], minlength=size) for at, size in enumerate(sizes)]
    for left, right in itertools.combinations(range(len(sizes)), 2):
        table = pair_counts(seen, sizes, (left, right))
        distances[left, right] = np.abs(table - np.outer(oneways[left], oneways[right]) / max(len(seen), 1)).sum()
    return tuple(sorted(distances, key=lambda pair: -distances[pair])[:count])


def pair_counts(codes: Codes, sizes: tuple[int, ...], pair: Pair) -> NDArray[np.int64]:
    """How many rows each cell of a pair has."""
    left, right = pair
    flat = codes[:, left].astype(np.int64) * sizes[right] + codes[:, right]
    return np.bincount(flat, minlength=sizes[left] * sizes[right]).reshape(sizes[left], sizes[right])


def measured_pairs(
    table: Table,
    binnings: Mapping[str, Binning],
    order: tuple[str, ...],
    sizes: tuple[int, ...],
    pairs: tuple[Pair, ...],
    scales: TableNoise,
    max_records: int,
    noise: NoiseSource,
) -> tuple[dict[Pair, NDArray[np.float64]], Event]:
    """Noisy tables of pairs, and the event of all of them; sensitivity k each, add/remove one unit."""
    cliques = [(order[left], order[right]) for left, right in pairs]
    exact = [
        counts[: sizes[left], : sizes[right]]
        for (left, right), counts in zip(pairs, table.counts(binnings, cliques), strict=True)
    ]
    noisy, event = discrete_gaussian(
        np.concatenate([counts.ravel() for counts in exact]),
        sigma=scales.sigma,
        noise=noise,
        l2_sensitivity=max_records,
        count=scales.count,
    )
    parts = np.split(noisy.astype(np.float64), np.cumsum([counts.size for counts in exact])[:-1])
    return {pair: part.reshape(counts.shape) for pair, part, counts in zip(pairs, parts, exact, strict=True)}, event


def targets(
    pool: Codes,
    sizes: tuple[int, ...],
    binnings: Mapping[str, Binning],
    order: tuple[str, ...],
    tables: Mapping[Pair, NDArray[np.float64]],
    sigma: float,
    total: float,
) -> tuple[RakedTable, ...]:
    """All 1-ways and the measured pairs, shrunk towards the pool, as shares; nothing raked yet."""
    scale = total / max(len(pool), 1)
    made = []
    for at, (name, size) in enumerate(zip(order, sizes, strict=True)):
        binning = binnings[name]
        expected = scale * np.bincount(pool[:, at], minlength=size).astype(np.float64)
        made.append(_table((at,), shrunk(expected, binning.counts[:size], binning.variance[:size])))
    for pair, noisy in tables.items():
        expected = scale * pair_counts(pool, sizes, pair).astype(np.float64)
        made.append(_table(pair, shrunk(expected, noisy, np.array(sigma**2))))
    return tuple(made)


def _table(columns: tuple[int, ...], counts: NDArray[np.float64]) -> RakedTable:
    whole = counts.sum()
    shares = counts / whole if whole > 0 else np.full(counts.shape, 1 / counts.size)
    return RakedTable(columns=columns, shares=shares, factors=np.ones(counts.shape))
