"""Categories that a schema leaves open: partition selection over the values that occur, level by level for codes.

The values stay in Arrow, counted by its hash table; only noise and counts are numpy arrays, and only released values
become Python text. So a million distinct values cost their own bytes and a few integers each.

Hierarchical codes (ICD-9 `250.83`, NAICS `522110`) have prefixes that mean something by themselves. Whole codes are
selected first; then, for each prefix length of the schema from the longest down, the rows whose code was not released
are counted by their prefix and the prefixes selected in the same way. A rare code thereby keeps its longest prefix that
enough rows share, as the outcome `250*`, instead of vanishing in `other`.

Each level is one event of its own: which rows are left over follows from what was released before, and each row has at
most one key a level, so its sensitivity is k in L2 and it touches at most k keys, for a unit of at most k rows under
add/remove (adaptive composition, `mechanisms.partition_selection`).

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> from dpsynth.data.table import Table
>>> codes = pa.table({"code": ["250.0"] * 500 + [f"250.{i}" for i in range(10, 90)] * 2 + ["V1", "E2"]})
>>> noise = DeriveNoise(sigma=Decimal(4), threshold=30)
>>> counted = lambda: Table.from_arrow(codes).value_counts("code")
>>> spec = ColumnSpec(kind="categorical", hierarchy=(3,))
>>> derive_categories(counted, "code", spec, noise, unsafe_SeededNoise(1))[0].group_labels
('250*',)

Not guaranteed: that a code held by few rows keeps a prefix; a rare prefix becomes `other`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from accounting.event import Event, PartitionSelection
from dpsynth.core.noise import NoiseSource
from dpsynth.data.arrow_numpy import array_of, values_of
from dpsynth.data.table import ValueCounts
from dpsynth.mechanisms.measured import once
from dpsynth.mechanisms.partition_selection import partition_selection
from dpsynth.schema.domain import CategoryDomain, open_domain
from dpsynth.schema.model import ColumnSpec


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveNoise:
    """Noise for every derived fact, fixed before any data is read.

    Attributes:
        sigma: scale of the discrete Gaussian noise on each count.
        threshold: smallest noisy count at which a category is released.
        max_records: k, the most rows of one unit; the L2 sensitivity of each histogram under add/remove.
    """

    sigma: Decimal
    threshold: int
    max_records: int = 1


def selection_levels(spec: ColumnSpec) -> int:
    """How many selections an open categorical column costs: whole values, and each prefix length."""
    return 1 + len(spec.hierarchy)


def selection_event(allotment: DeriveNoise) -> PartitionSelection:
    """The event of one selection."""
    return PartitionSelection(
        sigma=allotment.sigma,
        threshold=Decimal(allotment.threshold),
        l2_sensitivity=Decimal(allotment.max_records),
        max_keys=allotment.max_records,
    )


def derive_categories(
    counted: Callable[[], ValueCounts], name: str, spec: ColumnSpec, allotment: DeriveNoise, noise: NoiseSource
) -> tuple[CategoryDomain, list[Event]]:
    """The domain of an open categorical column, and one event for each of its `selection_levels`.

    Args:
        counted: gives the column's values in the private rows, at most `allotment.max_records` of each unit.
        name: the column.
        spec: public facts; its prefix lengths.
        allotment: noise and threshold of each level.
        noise: uniform words.
    """

    def measure() -> tuple[list[Any], list[str], list[Event]]:
        observed = counted()
        values = observed.values if isinstance(observed.values, pa.Array) else pa.array(observed.values)
        if not pa.types.is_string(values.type) and (spec.hierarchy or not pa.types.is_integer(values.type)):
            values = values.cast(pa.string())
        chosen, event = _select(observed.counts, allotment, noise)
        events: list[Event] = [event]
        groups: list[str] = []
        rest, left = _without(values, observed.counts, chosen)
        for length in reversed(spec.hierarchy):
            prefixes, counts, key_of = _prefixes(rest, left, length)
            found, event = _select(counts, allotment, noise)
            events.append(event)
            groups += _sorted(prefixes.take(array_of(found, pa.int64())))
            covered = np.append(np.isin(np.arange(len(counts)), found), False)[key_of]
            rest, left = _without(rest, left, np.flatnonzero(covered))
        return _sorted(values.take(array_of(chosen, pa.int64()))), groups, events

    keys, groups, events = once(noise, f"categories of {name}", measure)
    return open_domain(tuple(keys), tuple(groups), spec.hierarchy), events


def _select(
    counts: NDArray[np.int64], allotment: DeriveNoise, noise: NoiseSource
) -> tuple[NDArray[np.int64], PartitionSelection]:
    """Positions of the keys that are released; their order is the table's until the keys are sorted."""
    positions, _, event = partition_selection(
        np.arange(len(counts)),
        counts,
        sigma=allotment.sigma,
        threshold=allotment.threshold,
        noise=noise,
        l2_sensitivity=allotment.max_records,
        max_keys=allotment.max_records,
    )
    return np.array(positions, dtype=np.int64), event


def _without(
    values: pa.Array, counts: NDArray[np.int64], positions: NDArray[np.int64]
) -> tuple[pa.Array, NDArray[np.int64]]:
    keep = np.ones(len(counts), dtype=bool)
    keep[positions] = False
    return values.filter(array_of(keep, pa.bool_())), counts[keep]


def _prefixes(
    values: pa.Array, counts: NDArray[np.int64], length: int
) -> tuple[pa.Array, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct prefixes of exactly this length, rows of each, and the prefix of each value (-1 if it is shorter)."""
    long_enough = values_of(pc.greater_equal(pc.utf8_length(values), length))
    cut = pc.utf8_slice_codeunits(values.filter(array_of(long_enough, pa.bool_())), 0, length).dictionary_encode()
    key_of = np.full(len(values), -1, dtype=np.int64)
    key_of[long_enough] = values_of(cut.indices)
    rows = np.zeros(len(cut.dictionary), dtype=np.int64)
    np.add.at(rows, key_of[long_enough], counts[long_enough])
    return cut.dictionary, rows, key_of


def _sorted(keys: pa.Array) -> list[Any]:
    """Released keys in ascending order, so that the table's order is forgotten."""
    return sorted(keys.to_pylist())
