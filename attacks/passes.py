"""What a pass over the rows of a release can answer, in memory that does not grow with the release.

    matched     which of these people stand in it, equal in every column?           8 bytes a row of a block
    nearest     how far is each from its nearest row, and which one is that?         two tiles of 64 MiB
    distinct    a sample of the distinct rows, and how many there are               `most` rows
    votes       which secrets go with these combinations of the other columns?      one number a combination and secret

The sample of `distinct` is the rows with the smallest hashes (Bar-Yossef et al. 2002; Cohen and Kaplan 2007): a
function of the set of rows, whatever their order, repetitions and blocks; the k-th smallest of them says how many there
are within 1 / sqrt(k). Everything else is exact: blocks are cut at the borders of the spans that distances are
computed in, so that the results are the same to the byte as for a table in one piece.

>>> rng = np.random.default_rng(0)
>>> _share(4, np.array([2**62], dtype=np.uint64))     # three quarters of the range are below the largest of four
12.0

Not guaranteed: two different rows have one hash by a chance of about 5e-20 a pair.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.blocks import Block
from attacks.encoding import Coding, Encoded, Layout, joined
from attacks.errors import AttackInputError
from attacks.released import Released
from attacks.search import Search
from attacks.statistics import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Passes:
    """The blocks of a release, read and encoded anew each time that they are gone through."""

    source: Released
    coding: Coding
    columns: tuple[Hashable, ...]

    def __iter__(self) -> Iterator[Block]:
        return (Block(self.coding, block) for block in self.source.blocks(self.columns))

    def __len__(self) -> int:
        return self.source.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """Some distinct rows in the order of their hashes, and how many there are in all; exactly, if these are all."""

    rows: Encoded
    total: float

    @property
    def share(self) -> float:
        """Share of the distinct rows that are here."""
        return len(self.rows) / self.total if self.total else 1.0


def matched(targets: Encoded, blocks: Iterable[Encoded | Block]) -> NDArray[np.bool_]:
    """Whether each target stands in the release."""
    ordered = np.unique(targets.ids)
    seen = np.zeros(len(ordered), dtype=bool)
    for block in blocks:
        place = np.minimum(np.searchsorted(ordered, block.ids), max(len(ordered) - 1, 0))
        if len(ordered):
            seen[place[ordered[place] == block.ids]] = True
    return np.asarray(seen[np.searchsorted(ordered, targets.ids)])


def nearest_of(
    targets: Encoded,
    blocks: Iterable[Encoded | Block],
    layout: Layout,
    dims: NDArray[np.intp] | None = None,
    *,
    without: int | None = None,
) -> tuple[FloatArray, NDArray[np.uint64]]:
    """Distance of each target to its nearest row over some dimensions, and that row's id without a column."""
    chosen = np.arange(layout.dims[-1].stop) if dims is None else dims
    column = np.repeat(np.arange(len(layout.dims)), [part.stop - part.start for part in layout.dims])[chosen]
    categories = ~np.array(layout.numeric)[column]
    kinds, columns = np.unique(column[categories]), np.unique(column)
    search = Search(targets.points[:, chosen], categories)
    ids = np.zeros(len(targets), dtype=np.uint64)
    for block in blocks:
        groups, same = (block.cells[:, part].sum(axis=1, dtype=np.uint64) for part in (kinds, columns))
        rows = _Chosen(block=block, dims=chosen, numbers_of=chosen[~categories])
        who, row = search.add(rows, groups, same)
        ids[who] = block.ids[row] if without is None else block.ids_without(without)[row]
    return search.distances, ids


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Dimensions of a block for a search, made where they are looked at."""

    block: Encoded | Block
    dims: NDArray[np.intp]
    numbers_of: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.block)

    def at(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """These rows."""
        return self.block.points_of(rows, self.dims)

    def numbers(self, first: int, stop: int) -> NDArray[np.float32]:
        """The dimensions of numbers."""
        return self.block.points_of(slice(first, stop), self.numbers_of)


def distinct(blocks: Iterable[Encoded | Block], most: int) -> Distinct:
    """At most `most` of the distinct rows: those with the smallest hashes."""
    kept: Encoded | None = None
    for block in blocks:
        first = np.unique(block.ids, return_index=True)[1]
        if kept is None:
            kept = block.take(first[: most + 1])
            continue
        if len(kept) > most:
            first = first[block.ids[first] < kept.ids[-1]]
        both = joined(kept, block.take(first))
        kept = both.take(np.unique(both.ids, return_index=True)[1][: most + 1])
    if kept is None:
        raise AttackInputError("The release table has no rows, so there is nothing to compare.", "Pass its rows.")
    if len(kept) <= most:
        return Distinct(rows=kept, total=float(len(kept)))
    rows = kept.take(np.arange(most))
    return Distinct(rows=rows, total=_share(most, rows.ids))


def _share(count: int, ids: NDArray[np.uint64]) -> float:
    """How many distinct hashes there are if the largest of the `count` smallest is the last of these."""
    return (count - 1) * 2.0**64 / (float(ids[-1]) + 1.0)


def votes(
    wanted: NDArray[np.uint64], blocks: Iterable[Encoded | Block], column: int
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int64]]:
    """How often each code of a column stands beside each of these combinations of the others.

    Args:
        wanted: distinct ids without the column, ascending.
        blocks: the release.
        column: the column.

    Returns:
        Numbers of combinations, codes and counts, ascending by combination and code.
    """
    held = np.zeros((0, 2), dtype=np.int64)
    counts = np.zeros(0, dtype=np.int64)
    for block in blocks:
        ids = block.ids_without(column)
        place = np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)
        there = np.flatnonzero(wanted[place] == ids)
        new = np.stack([place[there], block.codes_of(column)[there].astype(np.int64)], axis=1)
        pairs = np.concatenate([held, new])
        held, group = np.unique(pairs, axis=0, return_inverse=True)
        weights = np.concatenate([counts, np.ones(len(new), dtype=np.int64)])
        counts = np.bincount(group.ravel(), weights=weights, minlength=len(held)).astype(np.int64)
    return held[:, 0].astype(np.intp), held[:, 1].astype(np.int32), counts
