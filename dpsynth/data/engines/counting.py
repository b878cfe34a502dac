"""Many histograms of encoded columns in few scans.

Codes are small integers and missing is one of them, so no cell of a relation of codes is NULL. One statement with
GROUPING SETS counts a batch of column sets in one scan, and NULL says which columns a row of the answer is not about.
An engine that groups by one number much faster than by sets of columns (`Engine.exploded`) is asked for that: the
codes of a set are the digits of a number, and ranges of numbers tell the sets apart. What leaves the engine are codes
and counts: integers.

>>> statement('"t"', [("a", "b"), ("a",)])
'SELECT "a", "b", COUNT(*) AS "n" FROM "t" GROUP BY GROUPING SETS (("a", "b"), ("a"))'
>>> numbered([("a", "b"), ("a",)], {"a": 4, "b": 9})
(['0 + CAST("a" AS BIGINT) * 10 + CAST("b" AS BIGINT)', '50 + CAST("a" AS BIGINT)'], [0, 50, 55])

Not guaranteed: that a histogram is small. Above `MAX_CELLS` cells it is refused, as a table in memory does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import array_of, missing_of, values_of
from dpsynth.data.engines.protocol import Engine
from dpsynth.data.recipe import Kind
from dpsynth.data.table import MAX_CELLS
from dpsynth.data.warning import listed

MOST_COLUMNS = 60
"""Columns of one statement: which of them a row is about is one bit each."""
ABOUT, COUNTED = "about", "n"
Columns = tuple[str, ...]


def histograms(
    engine: Engine, source: str, sizes: Mapping[str, int], cliques: Sequence[Columns]
) -> Iterator[NDArray[np.int64]]:
    """Dense histograms, in the order of the cliques.

    Args:
        engine: where the codes are.
        source: what stands after FROM: a relation of codes, whose names are our own.
        sizes: column of codes -> number of codes, missing not counted.
        cliques: distinct columns each.

    Yields:
        int64, shape `(sizes[a] + 1, sizes[b] + 1, …)`.
    """
    for clique in cliques:
        _require_small(clique, sizes)
    for batch in batches(cliques, engine.batch):
        sets = sorted({tuple(sorted(set(clique))) for clique in batch})
        numbers, ends = numbered(sets, sizes)
        packed = engine.exploded(source, numbers) if len(sets) > 1 else None
        if packed is None:
            found = _by_set(engine.fetch(statement(source, sets)), sets, sizes)
        else:
            found = _by_number(engine.fetch(packed), ends, sets, sizes)
        for clique in batch:
            own = tuple(sorted(set(clique)))
            yield np.ascontiguousarray(found[own].transpose([own.index(name) for name in clique]))


def single_columns(
    engine: Engine, source: str, columns: Mapping[str, Kind]
) -> list[tuple[pa.ChunkedArray, NDArray[np.int64]]]:
    """Distinct cells of each column, NULL among them, and how often each occurs; one statement.

    Args:
        engine: where the rows are.
        source: what stands after FROM; its names are our own.
        columns: name -> kind of its raw cells, in the order of the answers; codes are integers.
    """
    answer = engine.fetch(single_statement(source, columns))
    counts = values_of(answer.column(COUNTED)).astype(np.int64)
    if len(columns) == 1:
        return [(answer.column(0), counts)]
    about = values_of(answer.column(ABOUT)).astype(np.int64)
    order = np.argsort(about, kind="stable")
    ends = np.searchsorted(about[order], np.arange(len(columns) + 1))
    found = []
    for at, kind in enumerate(columns.values()):
        rows = order[ends[at] : ends[at + 1]]
        found.append((answer.column(_family(kind)).take(array_of(rows, pa.int64())), counts[rows]))
    return found


def single_statement(source: str, columns: Mapping[str, Kind]) -> str:
    """One scan that counts the cells of each column by itself; which column a row is about is said by its number."""
    if len(columns) == 1:
        (name,) = columns
        return f'SELECT "{name}", COUNT(*) AS "{COUNTED}" FROM {source} GROUP BY "{name}"'  # noqa: S608 - our own names
    families: dict[str, list[str]] = {}
    for name, kind in columns.items():
        families.setdefault(_family(kind), []).append(f'"{name}"')
    which = " ".join(f'WHEN GROUPING("{name}") = 0 THEN {at}' for at, name in enumerate(columns))
    shown = ", ".join(
        f'COALESCE({", ".join(names)}) AS "{family}"' if len(names) > 1 else f'{names[0]} AS "{family}"'
        for family, names in families.items()
    )
    groups = ", ".join(f'("{name}")' for name in columns)
    return (
        f'SELECT CASE {which} END AS "{ABOUT}", {shown}, COUNT(*) AS "{COUNTED}" FROM {source}'  # noqa: S608
        f" GROUP BY GROUPING SETS ({groups})"
    )


def _family(kind: Kind) -> str:
    """Kinds whose raw cells are of one type share a column of the answer."""
    return {"string": "text", "float": "number", "boolean": "truth"}.get(kind, "whole")


def statement(source: str, sets: Sequence[Columns]) -> str:
    """One scan that counts the rows of every combination of codes that occurs, for each set of columns."""
    names = sorted({name for columns in sets for name in columns})
    shown = ", ".join(f'"{name}"' for name in names)
    groups = ", ".join("(" + ", ".join(f'"{name}"' for name in columns) + ")" for columns in sets)
    return f'SELECT {shown}{", " * bool(names)}COUNT(*) AS "n" FROM {source} GROUP BY GROUPING SETS ({groups})'  # noqa: S608 - our own names


def numbered(sets: Sequence[Columns], sizes: Mapping[str, int]) -> tuple[list[str], list[int]]:
    """SQL of each set's number in a row, and where each set's numbers begin and the last's end.

    Args:
        sets: distinct columns each, of no more than `MAX_CELLS` cells.
        sizes: column of codes -> number of codes, missing not counted.
    """
    numbers, ends = [], [0]
    for columns in sets:
        sides = [sizes[name] + 1 for name in columns]
        digits = (
            f'CAST("{name}" AS BIGINT)' + (f" * {math.prod(sides[at + 1 :])}" if at + 1 < len(sides) else "")
            for at, name in enumerate(columns)
        )
        numbers.append(" + ".join([str(ends[-1]), *digits]))
        ends.append(ends[-1] + math.prod(sides))
    return numbers, ends


def batches(cliques: Iterable[Columns], most: int) -> Iterator[list[Columns]]:
    """What each statement asks for, in order; a cost plan counts them by this very function.

    Args:
        cliques: distinct columns each.
        most: `Engine.batch`.
    """
    batch: list[Columns] = []
    columns: set[str] = set()
    for clique in cliques:
        if batch and (len(batch) >= most or len(columns | set(clique)) > MOST_COLUMNS):
            yield batch
            batch, columns = [], set()
        batch.append(clique)
        columns |= set(clique)
    if batch:
        yield batch


def _by_set(answer: pa.Table, sets: Sequence[Columns], sizes: Mapping[str, int]) -> dict[Columns, NDArray[np.int64]]:
    names = answer.column_names[:-1]
    about = np.zeros(answer.num_rows, dtype=np.int64)
    codes = {}
    for at, name in enumerate(names):
        about |= (~missing_of(answer.column(name))).astype(np.int64) << at
        codes[name] = values_of(answer.column(name)).astype(np.int64)
    counts = values_of(answer.column(answer.num_columns - 1)).astype(np.int64)
    order = np.argsort(about, kind="stable")
    ordered = about[order]
    found = {}
    for columns in sets:
        pattern = sum(1 << names.index(name) for name in columns)
        rows = order[np.searchsorted(ordered, pattern) : np.searchsorted(ordered, pattern, side="right")]
        shape = tuple(sizes[name] + 1 for name in columns)
        flat = np.zeros(len(rows), dtype=np.int64)
        for name, side in zip(columns, shape, strict=True):
            flat = flat * side + codes[name][rows]
        dense = np.zeros(math.prod(shape), dtype=np.int64)
        dense[flat] = counts[rows]
        found[columns] = dense.reshape(shape)
    return found


def _by_number(
    answer: pa.Table, ends: Sequence[int], sets: Sequence[Columns], sizes: Mapping[str, int]
) -> dict[Columns, NDArray[np.int64]]:
    numbers, counts = (values_of(answer.column(at)).astype(np.int64) for at in (0, 1))
    order = np.argsort(numbers)
    numbers, counts = numbers[order], counts[order]
    cuts = np.searchsorted(numbers, np.array(ends))
    found = {}
    for at, columns in enumerate(sets):
        own = slice(cuts[at], cuts[at + 1])
        dense = np.zeros(ends[at + 1] - ends[at], dtype=np.int64)
        dense[numbers[own] - ends[at]] = counts[own]
        found[columns] = dense.reshape(tuple(sizes[name] + 1 for name in columns))
    return found


def _require_small(clique: Columns, sizes: Mapping[str, int]) -> None:
    cells = math.prod(sizes[name] + 1 for name in clique)
    if cells > MAX_CELLS:
        raise ParameterError(
            f"The histogram of {len(clique)} columns has {cells:,} cells; the limit is {MAX_CELLS:,}.",
            "Merge categories or bins, or leave the combination out.",
        )
    if len(set(clique)) != len(clique):
        raise ParameterError(f"The histogram of {listed(clique)} names a column twice.")
