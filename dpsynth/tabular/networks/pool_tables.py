"""Pair tables measured after training, and targets for raking: the model's own rows say which pairs matter.

Choosing pairs by their dependence among the model's rows is post-processing; so is shrinking what is then measured. The
scales of noise and the number of tables were fixed before anything was read.

On Adult at epsilon 1 (the same three trained networks, 32 codes, moved rows): tables of the most dependent pairs left
1-ways wrong by 0.0104 and pairs by 0.0333, no tables by 0.0068 and 0.0332 (and 0.0037 of all pairs invented, against
0.0020), tables worth their noise by 0.0080 and 0.0316. Made to agree with the 1-ways these leave 0.0066 and 0.0304, and
with 1-ways averaged with margins 0.0059 and 0.0300. `MISSED` of 0.15 was worse (0.0307), a triple weight on pairs of
the target no better for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import CountTable
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.finishing.raking import RakedTable
from dpsynth.tabular.finishing.shrinking import shrunk
from dpsynth.tabular.forests.tree import combine
from dpsynth.tabular.histograms import noisy_histograms
from dpsynth.tabular.selection import Clique, assign_slots

Codes = NDArray[np.unsignedinteger[Any]]
Pair = tuple[int, int]
LOOKED_AT = 50_000
"""Rows of the pool by which pairs are chosen."""
MISSED = 0.3
AGREEING = 20
"""Turns that make a table agree with two 1-ways."""


def worth_measuring(pool: Codes, sizes: tuple[int, ...], total: float, scales: TableNoise) -> dict[Pair, int]:
    """How many of the planned tables each pair takes, by the model's own rows (`selection.assign_slots`).

    A model's error in a pair is taken as `MISSED` of how far its own table is from independence; what a measurement
    would leave of that depends on the table's cells. So small tables of dependent columns come first, and may be
    measured several times, and a large one whose noise would drown it is left to the network.
    """
    seen = pool[:LOOKED_AT]
    scale = total / max(len(seen), 1)
    oneways = [np.bincount(seen[:, at], minlength=size) for at, size in enumerate(sizes)]
    tables: dict[Clique, NDArray[Any]] = {}
    errors: dict[Clique, float] = {}
    for left, right in itertools.combinations(range(len(sizes)), 2):
        counts = pair_counts(seen, sizes, (left, right))
        apart = np.abs(counts - np.outer(oneways[left], oneways[right]) / max(len(seen), 1)).sum()
        pair = str(left), str(right)
        tables[pair], errors[pair] = scale * counts, MISSED * scale * float(apart)
    slots = assign_slots(errors, tables, sigma=float(scales.sigma), slots=scales.count)
    return {(int(pair[0]), int(pair[1])): taken for pair, taken in slots.items()}


def pair_counts(codes: Codes, sizes: tuple[int, ...], pair: Pair) -> NDArray[np.int64]:
    """How many rows each cell of a pair has."""
    left, right = pair
    flat = codes[:, left].astype(np.int64) * sizes[right] + codes[:, right]
    return np.bincount(flat, minlength=sizes[left] * sizes[right]).reshape(sizes[left], sizes[right])


def measured_pairs(
    table: CountTable,
    binnings: Mapping[str, Binning],
    order: tuple[str, ...],
    sizes: tuple[int, ...],
    slots: Mapping[Pair, int],
    scales: TableNoise,
    max_records: int,
    noise: NoiseSource,
) -> tuple[dict[Pair, NDArray[np.float64]], Event]:
    """Noisy tables of pairs, each the mean of as many as it has slots, and the event of all of them.

    Sensitivity k each, add/remove one unit.
    """
    cliques = [(order[left], order[right]) for left, right in slots]
    pairs = tuple(slots)
    noisy, event = noisy_histograms(
        table,
        binnings,
        cliques,
        name="measure pairs",
        sigma=scales.sigma,
        max_records=max_records,
        noise=noise,
        times=tuple(slots.values()),
        asked=lambda at, exact: exact[: sizes[pairs[at][0]], : sizes[pairs[at][1]]],
    )
    return {pair: counts.astype(np.float64).mean(axis=0) for pair, counts in zip(pairs, noisy, strict=True)}, event


def targets(
    pool: Codes,
    sizes: tuple[int, ...],
    binnings: Mapping[str, Binning],
    order: tuple[str, ...],
    tables: Mapping[Pair, NDArray[np.float64]],
    sigmas: Mapping[Pair, float],
    total: float,
) -> tuple[RakedTable, ...]:
    """All 1-ways and the measured pairs, shrunk towards the pool, as shares that agree with each other; nothing raked.

    1-ways are averaged with the margins of pairs by precision. Each pair's table is then raked to its two 1-ways, which
    are known better than its margins: tables that contradict each other would carry the noise of the last one visited
    into all of its columns.
    """
    scale = total / max(len(pool), 1)
    made = []
    named = {pair: (order[pair[0]], order[pair[1]]) for pair in tables}
    counts, variances = combine(
        {name: binnings[name].counts[:size] for name, size in zip(order, sizes, strict=True)},
        {name: binnings[name].variance[:size] for name, size in zip(order, sizes, strict=True)},
        {named[pair]: noisy for pair, noisy in tables.items()},
        {named[pair]: sigmas[pair] for pair in tables},
        total,
    )
    for at, (name, size) in enumerate(zip(order, sizes, strict=True)):
        expected = scale * np.bincount(pool[:, at], minlength=size).astype(np.float64)
        made.append(_table((at,), shrunk(expected, counts[name], variances[name])))
    oneways = [column.shares for column in made]
    for pair, noisy in tables.items():
        expected = scale * pair_counts(pool, sizes, pair).astype(np.float64)
        believed = shrunk(expected, noisy, np.array(sigmas[pair] ** 2))
        made.append(_table(pair, agreeing(believed, oneways[pair[0]], oneways[pair[1]])))
    return tuple(made)


def agreeing(counts: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table with these margins (shares, shape of its sides) that is nearest in odds ratios; rakes a copy."""
    shares = counts.copy()
    for _ in range(AGREEING):
        shares *= (left / np.maximum(shares.sum(axis=1), 1e-300))[:, None]
        shares *= right / np.maximum(shares.sum(axis=0), 1e-300)
    return shares


def _table(columns: tuple[int, ...], counts: NDArray[np.float64]) -> RakedTable:
    whole = counts.sum()
    shares = counts / whole if whole > 0 else np.full(counts.shape, 1 / counts.size)
    return RakedTable(columns=columns, shares=shares, factors=np.ones(counts.shape))
