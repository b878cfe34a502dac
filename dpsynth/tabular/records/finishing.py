"""From fitted records to as many rows as asked for, block by block.

A fitted record table is one draw: its own pair tables carry the sampling noise of single records. So its records are
drawn equally often and then moved, in a few short sweeps, towards the expected tables of all pairs at once. That takes
the noise out, as systematic sampling would for one tree of pairs. Measured triples are held too, at what they are in
the fitted records: pairs alone would move the rows back to what pairs say.

Rows come in blocks of at most `BLOCK`, so that time is linear in rows and memory does not depend on them. A block alone
would round every cell to whole rows, and a cell worth a third of a row in each block would stay empty for ever. So a
block is moved towards what its lane (see `lanes`) owes by then: the expected rows of its blocks so far, less the rows
that they had.

Not guaranteed: independent rows. Inputs are released numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.progress import Progress, silent
from dpsynth.tabular.records.lanes import in_lanes
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Maps, Marginal, Residuals

BLOCK = 40_000
LANES = 2
STRENGTHS = (0.3, 1.0, 3.0)
"""Of the sweeps towards the expected tables, of unit variance. Without the rise, cells that should be empty keep a
record each: 5 % of the rows of two equal columns left the diagonal, 1 % do now."""


def block_sizes(rows: int) -> list[int]:
    """Rows of each block: as few blocks as `BLOCK` allows, of almost equal size."""
    blocks = max(-(-rows // BLOCK), 1)
    return [rows // blocks + (block < rows % blocks) for block in range(blocks)]


def finished_blocks(
    fitted: RecordTable,
    expected: PairTables,
    total: float,
    rows: int,
    rng: np.random.Generator,
    progress: Progress = silent,
    *,
    penalties: Mapping[Columns, NDArray[np.bool_]] = MappingProxyType({}),
    triples: Sequence[tuple[Columns, Maps]] = (),
) -> Iterator[NDArray[np.int16]]:
    """Records of `rows` rows in all, shape (rows of the block, columns) without the constant column.

    Args:
        fitted: the records to draw from.
        expected: tables of all pairs, for a table of `total` rows.
        total: see there.
        rows: how many rows, at least 0.
        rng: random numbers for post-processing; the result is a function of its state, not of the number of cores.
        progress: called block by block.
        penalties: columns -> cells that no record may be in, as in `Residuals`.
        triples: larger tables that are kept as they are in `fitted`.
    """
    sizes = block_sizes(rows)
    lanes = min(LANES, len(sizes))
    randoms = rng.spawn(lanes)
    owed = [PairTables(expected.sizes) for _ in range(lanes)] if len(sizes) > lanes else []
    larger = [table / len(fitted.records) for table in fitted.coarse_tables(triples)]
    owed_larger = [[np.zeros(table.shape) for table in larger] for _ in range(lanes)]

    def finish(lane: int, block: int) -> NDArray[np.int16]:
        drawn = RecordTable.resampled(fitted, sizes[block], randoms[lane])
        wanted = expected.scaled(sizes[block] / total)
        if owed:
            wanted.flat += owed[lane].flat
        targets = [Marginal(columns=pair, table=table, sigma=1.0) for pair, table in wanted.items()]
        cells = [sizes[block] * table + more for table, more in zip(larger, owed_larger[lane], strict=True)]
        targets += [
            Marginal(columns=columns, table=table, sigma=1.0, maps=maps)
            for (columns, maps), table in zip(triples, cells, strict=True)
        ]
        drawn.anneal(Residuals(drawn.sizes, targets, penalties), STRENGTHS, randoms[lane])
        if owed:
            made = PairTables(expected.sizes)
            made.add(drawn.records)
            np.subtract(wanted.flat, made.flat, out=owed[lane].flat)
            counted = drawn.coarse_tables(triples)
            owed_larger[lane] = [table - counts for table, counts in zip(cells, counted, strict=True)]
        return drawn.records[:, :-1]

    for block, records in enumerate(in_lanes(finish, steps=len(sizes), lanes=lanes)):
        progress("move rows", block + 1, len(sizes))
        yield records
