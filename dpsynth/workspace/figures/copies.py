"""`copies`: of how many people does the release hold a row? One cell a person, decided by that person and the release.

A person is `exact` if one of their rows equals a row of the release in every modelled column, `near` if one does in all
columns but one, else `neither`. Values are compared as codes of the domains that were released with the model, so
nothing else about the table is used: no scale, no frequency, no other person.

Theorem. Let R be a release and D its domains, and c(u; R, D) the class of unit u by its own rows. The histogram of
(part, class) over all units changes by one in one cell when a unit is added or removed, however many rows it has; when
one is replaced, by one in two cells. Proof: each unit adds one to one cell, and no term depends on another unit. R and
D are outputs of earlier mechanisms, which composition covers (they are fixed when the histogram is asked); the parts
are decided by coins under which neighbours are split alike (`dpsynth.workspace.private.split`), and the bound holds for
every outcome of the coins.

>>> table = np.array([[1, 2, 3], [4, 5, 6]])
>>> likeness(np.array([[1, 2, 3], [1, 9, 3], [7, 8, 6]]), table).tolist()
[2, 1, 0]

Rows are compared by 64-bit hashes with fixed public constants: a collision makes a wrong class, never a larger change.

Not guaranteed: that a copy in two changed columns is seen, or that `near` means much in a table of two columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import values_of
from dpsynth.data.engines.likeness import units_by_class
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.release.figures import CELLS, PARTS

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.schema.domain import Domain
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.figures.figure import Asked
    from dpsynth.workspace.private.split import Split

EXACT, NEAR, NEITHER = 2, 1, 0
_CONSTANTS_SEED = 64_064  # public and fixed: two machines must agree, and nothing here is secret


def histogram(
    parts: Mapping[str, Table] | Mapping[str, EngineTable],
    release: Table,
    domains: Mapping[str, Domain],
    *,
    unit: str | None,
) -> NDArray[np.int64]:
    """Counts of units in the cells of `copies`, shape (6,), int64; private until noise is added.

    Args:
        parts: private rows by part, `train` and `holdout`, in memory or in an engine, which counts them.
        release: the synthetic rows.
        domains: released with the model; their columns are compared.
        unit: column that says whose row it is; None if every row is its own.

    Sensitivity: L1, L2 and L-infinity 1 under add/remove one unit; L1 2 and L2 sqrt(2) under replace-one.
    """
    columns = compared(release, domains, unit)
    shown = codes(release, domains, columns)
    counts = []
    for part in PARTS:
        rows = parts[part]
        if isinstance(rows, EngineTable):
            found = units_by_class(rows, {name: domains[name] for name in columns}, shown, unit)
            counts += [int(found[kind]) for kind in (EXACT, NEAR, NEITHER)]
            continue
        best = likeness(codes(rows, domains, columns), shown)
        if unit is not None:
            best = best_of_unit(best, rows.column(unit))
        counts += [int((best == kind).sum()) for kind in (EXACT, NEAR, NEITHER)]
    return np.array(counts, dtype=np.int64)


def compared(release: Table, domains: Mapping[str, Domain], unit: str | None) -> list[str]:
    """The columns in which rows are compared."""
    return [name for name in domains if name in release.columns and name != unit]


def codes(table: Table, domains: Mapping[str, Domain], columns: Sequence[str]) -> NDArray[np.int64]:
    """Codes of the columns, shape (rows, columns); a row at a time, whatever the other rows are."""
    encoded = [np.asarray(domains[name].encode(table.column(name)), dtype=np.int64) for name in columns]
    return np.stack(encoded, axis=1) if encoded else np.zeros((table.unsafe_num_rows, 0), dtype=np.int64)


def likeness(rows: NDArray[np.int64], release: NDArray[np.int64]) -> NDArray[np.int64]:
    """2 for a row that the release holds, 1 for one it holds but for one column, else 0; shape (rows,)."""
    theirs, ours = _terms(release), _terms(rows)
    whole: NDArray[np.uint64] = theirs.sum(axis=1, dtype=np.uint64)
    own: NDArray[np.uint64] = ours.sum(axis=1, dtype=np.uint64)
    found = np.where(np.isin(own, whole), EXACT, NEITHER).astype(np.int64)
    for column in range(rows.shape[1] if rows.shape[1] > 1 else 0):
        left = np.flatnonzero(found == NEITHER)
        near = np.isin(own[left] - ours[left, column], whole - theirs[:, column])
        found[left[near]] = NEAR
    return found


def best_of_unit(best: NDArray[np.int64], units: pa.ChunkedArray) -> NDArray[np.int64]:
    """The best class of each unit's rows."""
    index: NDArray[np.int64] = values_of(units.combine_chunks().dictionary_encode().indices.fill_null(-1)).astype(
        np.int64
    )
    result: NDArray[np.int64] = np.full(int(index.max(initial=-1)) + 2, NEITHER, dtype=np.int64)
    np.maximum.at(result, index + 1, best)
    return result[1:] if not (index < 0).any() else result


def _terms(rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each cell that depends on its column, uint64 (rows, columns); sums of them identify rows."""
    rng = np.random.default_rng(_CONSTANTS_SEED)
    factor: NDArray[np.uint64] = rng.integers(0, 1 << 63, size=(1, rows.shape[1]), dtype=np.uint64)
    mixed: NDArray[np.uint64] = (rows.astype(np.uint64) + np.uint64(1)) * (factor * np.uint64(2) + np.uint64(1))
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def asked(draft: Draft) -> Asked:
    """What a figure of copies counts: each unit in one of six cells."""
    from dpsynth.data.table import Table
    from dpsynth.workspace.figures.figure import Asked
    from dpsynth.workspace.runs.resampling import model_of

    domains, release = model_of(draft).model.domains, Table.from_arrow(draft.rows())

    unit = draft.unit.column

    def count(parts: Split[Table] | Split[EngineTable], /) -> NDArray[np.int64]:
        sides: Any = {"train": parts.train, "holdout": parts.holdout}
        return histogram(sides, release, domains, unit=unit)

    codecs = {name: domains[name] for name in compared(release, domains, unit)}
    return Asked(change=1, facts={"cells": list(CELLS["copies"])}, count=count, codecs=codecs)
