"""Released rows, wherever they are: a frame in memory, or Parquet of any size that is read in blocks.

An attack never holds a large release. It asks questions that passes over its rows can answer (`attacks.passes`), and
what must learn from rows at leisure sees a random sample of `sample` rows. A release of no more rows than that is its
own sample. Results do not depend on `block`, nor on whether rows come from memory or from files.

>>> release = Released.of(pd.DataFrame({"age": [20, 30, 40]}), block=262_144)
>>> release.rows, [len(block) for block in release.blocks(("age",))]
(3, [3])

Not guaranteed: that files stay as they are; a release whose number of rows changes between two passes is refused.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.errors import AttackInputError, AttackParameterError
from attacks.search import SPAN

BLOCK = SPAN
SAMPLE = 200_000
"""Rows of a larger release that learning attacks see."""
_PANDAS_INDEX = re.compile(r"__index_level_\d+__$")
Rows: TypeAlias = "pd.DataFrame | str | Path | Sequence[str | Path] | Any"
"""A frame, a Parquet file, a folder or glob of them, a list of files, or a `pyarrow.dataset.Dataset`."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Released:
    """Rows that can be passed over again and again.

    Attributes:
        columns: their names.
        rows: how many.
        block: rows that are in memory at once, a multiple of 262,144.
        sample: most rows that are held to learn from.
        source: frame or dataset.
        shape: makes of an Arrow table of some rows of files what they mean; None if they are taken as they stand.
        heard: is told, block by block, how many rows a pass has seen.
    """

    columns: tuple[Hashable, ...]
    rows: int
    block: int
    sample: int
    source: Any
    shape: Callable[[Any], Any] | None = None
    heard: Callable[[int], None] | None = None

    def __len__(self) -> int:
        return self.rows

    @property
    def whole(self) -> bool:
        """Whether the sample is all of it."""
        return self.rows <= self.sample

    @classmethod
    def of(cls, rows: Rows, *, block: int = BLOCK, sample: int = SAMPLE, name: str = "release") -> Released:
        """The table in `rows`, which may be one of these already; errors call it by `name`.

        Raises:
            AttackInputError: files that cannot be read, or that differ in their columns.
            AttackParameterError: a block that is no multiple of 262,144 rows, or a sample of no row.
        """
        if isinstance(rows, cls):
            return rows
        if block < SPAN or block % SPAN or sample < 1:
            raise AttackParameterError(
                f"Expected blocks of a multiple of {SPAN} rows and a sample of one or more, got {block}, {sample}."
            )
        if isinstance(rows, pd.DataFrame):
            source, count = rows.reset_index(drop=True), len(rows)
            names: list[Any] = list(source.columns)
        else:
            source = _dataset(rows, name)
            names, count = [n for n in source.schema.names if not _PANDAS_INDEX.match(n)], source.count_rows()
        doubled = sorted({str(name) for name in names if names.count(name) > 1})
        if doubled:
            raise AttackInputError(f"The {name} table has two columns called {doubled[0]!r}.", "Rename one.")
        return cls(columns=tuple(names), rows=count, block=block, sample=sample, source=source)

    def read_as(self, columns: Sequence[str], shape: Callable[[Any], Any]) -> Released:
        """The rows of files with these columns, each block as `shape` makes it of an Arrow table: one of equal rows.

        Errors that `shape` raises reach whoever goes through the rows.
        """
        return replace(self, columns=tuple(columns), shape=shape)

    def blocks(self, columns: Sequence[Hashable]) -> Iterator[pd.DataFrame]:
        """The rows in their order, `block` at a time, with these columns.

        Raises:
            AttackInputError: the files changed since they were counted.
        """
        heard, seen = self.heard or (lambda _: None), 0
        if isinstance(self.source, pd.DataFrame):
            for at in range(0, self.rows, self.block):
                yield self.source.iloc[at : at + self.block][list(columns)]
                heard(min(at + self.block, self.rows))
            return
        tables = _blocks_of(self.source, list(columns), self.block)
        while (table := _next(tables)) is not None:
            seen += table.num_rows
            yield _frame(table if self.shape is None else self.shape(table))
            heard(min(seen, self.rows))
        if seen != self.rows:
            raise AttackInputError(
                "The files changed while they were attacked, so that passes saw different rows.",
                "Attack files that nobody writes to.",
            )

    def take(self, rows: NDArray[np.intp], columns: Sequence[Hashable]) -> pd.DataFrame:
        """These rows, given in ascending order."""
        found, start = [], 0
        for block in self.blocks(columns):
            first, last = np.searchsorted(rows, [start, start + len(block)])
            found.append(block.iloc[rows[first:last] - start])
            start += len(block)
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(columns))

    def drawn(self, rows: int, rng: np.random.Generator, columns: Sequence[Hashable]) -> pd.DataFrame:
        """So many random rows in their order, or all if there are no more; nothing is drawn then."""
        if self.rows <= rows:
            return pd.concat(self.blocks(columns), ignore_index=True) if self.rows else self.head(columns)
        return self.take(np.sort(rng.choice(self.rows, rows, replace=False, shuffle=False)), columns)

    def head(self, columns: Sequence[Hashable]) -> pd.DataFrame:
        """The first block."""
        if isinstance(self.source, pd.DataFrame):
            return self.source.iloc[: self.block][list(columns)]
        table = _next(_blocks_of(self.source, list(columns), self.block))
        if table is None:
            return pd.DataFrame(columns=list(columns))
        return _frame(table if self.shape is None else self.shape(table))


def _dataset(rows: Any, table: str) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as ds

    paths = [rows] if isinstance(rows, (str, Path)) else rows
    listed = isinstance(paths, Sequence) and all(isinstance(path, (str, Path)) for path in paths)
    if not isinstance(rows, ds.Dataset) and not listed:
        raise AttackInputError(
            f"The {table} table is a {type(rows).__name__}.", "Pass a pandas DataFrame, or paths of Parquet files."
        )
    try:
        found = rows if isinstance(rows, ds.Dataset) else ds.dataset(_sources(paths), format="parquet")
        fragments = list(found.get_fragments())
        for fragment in fragments:
            for name in sorted({*found.schema.names, *fragment.physical_schema.names}):
                _check_alike(table, name, found.schema, fragment.physical_schema)
    except (OSError, pa.ArrowException) as error:
        why = f"The {table} table cannot be read as Parquet: {type(error).__name__}."
        raise AttackInputError(why, "Name a Parquet file or a folder of them.") from error
    if not fragments:
        raise AttackInputError(f"The {table} table is a folder or pattern without a Parquet file.", "Name the files.")
    return found


def _sources(paths: Sequence[str | Path]) -> Any:
    """What pyarrow opens: one file or folder, or a list of files."""
    found: list[str] = []
    for path in map(str, paths):
        found += sorted(glob.glob(path)) if glob.has_magic(path) else [path]  # noqa: PTH207  # may be absolute
    return found[0] if len(found) == 1 else found


def _check_alike(table: str, name: str, first: Any, other: Any) -> None:
    if _PANDAS_INDEX.match(name):
        return
    if name not in first.names or name not in other.names or first.field(name).type != other.field(name).type:
        raise AttackInputError(
            f"The files of the {table} table differ in column {name!r}: one lacks it or holds another type.",
            "Write all files with the same columns and types.",
        )


def _next(tables: Iterator[Any]) -> Any:
    """The next table, None after the last one."""
    import pyarrow as pa

    try:
        return next(tables, None)
    except (OSError, pa.ArrowException) as error:
        raise AttackInputError(
            f"A file cannot be read any more: {type(error).__name__}.", "Attack files that nobody writes to."
        ) from error


def _blocks_of(dataset: Any, columns: list[Hashable], block: int) -> Iterator[Any]:
    """Arrow tables of `block` rows, the last one of what is left, in the order of files and rows."""
    import pyarrow as pa

    held, rows = [], 0
    for batch in _batches_of(dataset, columns, block // 4):
        while batch.num_rows:
            part = batch.slice(0, block - rows)
            held.append(part)
            rows += part.num_rows
            batch = batch.slice(part.num_rows)
            if rows == block:
                yield pa.Table.from_batches(held)
                held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)


def _batches_of(dataset: Any, columns: list[Hashable], rows: int) -> Iterator[Any]:
    """Batches in their order. A scanner reads files ahead, which would be in memory besides the block."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    for fragment in dataset.get_fragments():
        if isinstance(fragment, ds.ParquetFileFragment):
            with fragment.open() as file:
                yield from pq.ParquetFile(file).iter_batches(rows, columns=columns, use_threads=False)
        else:
            yield from fragment.scanner(columns=columns, batch_size=rows).to_batches()


def _frame(table: Any) -> pd.DataFrame:
    """As pandas, texts as categories, so that a value is one Python object a block and not one a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(at, field.name, pc.dictionary_encode(column.combine_chunks()))
        elif pa.types.is_decimal(field.type):
            table = table.set_column(at, field.name, column.cast(pa.float64()))
    return table.to_pandas(
        types_mapper={pa.bool_(): pd.BooleanDtype()}.get,
        date_as_object=False,
        coerce_temporal_nanoseconds=False,
        ignore_metadata=True,
    )
