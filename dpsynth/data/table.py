"""A private table in memory that hands out counts and batches.

Marginal mechanisms need joint histograms of encoded columns and nothing else, so that is what a `Table`
gives: another engine (a warehouse, a cluster) can give the same integers, and the mechanism on top does not
change. Cells live in Arrow with six canonical types; a missing cell is a null whatever the type.

Histograms follow one convention: a codec maps a column to codes 0 … size-1 and missing to -1, and the
histogram has `size + 1` cells a side, so that code -1 is the last cell, as in numpy indexing.

>>> table = Table.from_arrow(pa.table({"sex": ["f", "m", None, "f"]}))
>>> table.value_counts("sex").counts.tolist()
[2, 1]

Not guaranteed: privacy. Every figure here is exact and private; only mechanisms turn counts into something
that may be released. `unsafe_num_rows` and `to_arrow` exist for splitting, attacks and quality.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, Self, TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.arrow_numpy import array_of, literal, values_of
from dpsynth.data.arrow_types import KIND_OF, canonical
from dpsynth.data.bounding import first_of_each, keep_at_most
from dpsynth.data.frames import arrow_of
from dpsynth.data.warning import DataWarning, listed, shown

BLOCK = 1 << 20
MAX_CELLS = 1 << 27
FEW_CODES = 1 << 20
"""Codes that are counted in an array instead of being sorted."""


class Codec(Protocol):
    """Maps a column to integers; every domain of `dpsynth.schema.domain` is one."""

    @property
    def size(self) -> int:
        """Number of codes, missing not counted."""

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Codes 0 … size-1, missing -1; shape (rows,)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValueCounts:
    """Exact counts of the distinct values of one column (private).

    Attributes:
        values: the distinct values that occur, in ascending order (text by its UTF-8 bytes, as every engine can):
            Arrow values, or int64 codes if a codec was given.
        counts: how often each occurs, int64, same length.
        missing: how many cells are missing.
    """

    values: pa.Array | NDArray[np.int64]
    counts: NDArray[np.int64]
    missing: int

    def histogram(self, size: int) -> NDArray[np.int64]:
        """Of codes below `size`: how often each occurs, then missing; int64, shape (size + 1,)."""
        dense = np.zeros(size + 1, dtype=np.int64)
        dense[self.values] = self.counts
        dense[-1] += self.missing
        return dense


Asked: TypeAlias = tuple[str, Codec | None]
"""A column and a codec of it, or None for the values themselves."""


class CountTable(Protocol):
    """What a fit may ask: a `Table` in memory is one, a `dpsynth.data.engines` table in a warehouse another.

    The mechanism above never knows which. All integers are equal on every engine, and values come in one order, so
    that the same noise gives the same release.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names, in order."""

    @property
    def types(self) -> Mapping[str, str]:
        """Name -> "string" | "integer" | "float" | "boolean" | "date" | "datetime"."""

    @property
    def decimals(self) -> Mapping[str, int]:
        """Name -> decimal places that the column's own type declares."""

    def select(self, columns: Sequence[str]) -> CountTable:
        """The same rows with these columns, in this order."""

    def concat(self, other: Table) -> CountTable:
        """These rows, then those of `other`, which are in memory."""

    def value_counts(self, column: str, codec: Codec | None = None) -> ValueCounts:
        """Distinct values (codes) of a column, ascending, and their exact counts."""

    def value_counts_of(self, asked: Sequence[Asked]) -> tuple[ValueCounts, ...]:
        """The same of many columns, or of several codecs of one column, in one go: an engine reads its rows once."""

    def counts(self, codecs: Mapping[str, Codec], cliques: Sequence[Sequence[str]]) -> Iterator[NDArray[np.int64]]:
        """Joint histograms, one array for each clique; the last cell of a side counts missing."""

    def codes(
        self, codecs: Mapping[str, Codec], unit: str | None = None
    ) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64] | None]:
        """All rows as codes, and the number of each row's unit: see `Table.codes`."""


@final
class Table:
    """Rows in Arrow columns of type string, integer, float, boolean, date or datetime.

    Attributes:
        columns: names, in order.
        types: name -> "string" | "integer" | "float" | "boolean" | "date" | "datetime".
        decimals: name -> decimal places that the file's own column type declares (Arrow decimals only).
        warnings: what the reader had to say.
        origin: path and SHA-256 of the file that was read whole; None once rows or columns were taken.
    """

    __slots__ = ("_arrow", "_codes", "columns", "decimals", "origin", "types", "warnings")

    def __init__(
        self,
        arrow: pa.Table,
        *,
        decimals: Mapping[str, int] = MappingProxyType({}),
        warnings: Sequence[DataWarning] = (),
        origin: tuple[str, str] | None = None,
    ) -> None:
        """Wrap columns that are canonical already; `from_arrow` converts any others."""
        self._arrow = arrow
        self._codes: dict[str, tuple[Codec, NDArray[np.unsignedinteger[Any]]]] = {}
        self.columns: tuple[str, ...] = tuple(arrow.column_names)
        self.types: Mapping[str, str] = MappingProxyType({f.name: KIND_OF[f.type] for f in arrow.schema})
        self.decimals: Mapping[str, int] = MappingProxyType(dict(decimals))
        self.warnings: tuple[DataWarning, ...] = tuple(warnings)
        self.origin = origin

    @classmethod
    def from_arrow(cls, arrow: pa.Table) -> Self:
        """A table of canonical types; raises `DataError` naming columns that hold lists, structs or bytes."""
        columns, decimals, warnings = canonical(arrow)
        return cls(columns, decimals=decimals, warnings=warnings)

    @classmethod
    def from_pandas(cls, frame: Any) -> Self:
        """A table from a pandas DataFrame; its index is left out."""
        names = [str(name) for name in frame.columns]
        if len(set(names)) != len(names):
            raise DataError("The DataFrame has two columns of one name.", "Rename one of them.")
        try:
            arrow = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            mixed = [str(n) for n in frame.columns if not _converts(frame[n])]
            raise DataError(
                f"Column {listed(mixed)} mixes kinds of value, so it has no type.",
                "Convert it to one type, for example with astype(str).",
            ) from None
        return cls.from_arrow(arrow.rename_columns(names).replace_schema_metadata(None))

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """A table from what hands over Arrow: a polars DataFrame or LazyFrame, a DuckDB relation, an ibis table, …"""
        return cls.from_arrow(arrow_of(frame))

    def to_arrow(self) -> pa.Table:
        """The rows as Arrow (private)."""
        return self._arrow

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame with nullable types, so that integers stay integers (private)."""
        import pandas as pd

        nullable = {
            pa.int64(): pd.Int64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
        }
        return self._arrow.to_pandas(types_mapper=nullable.get, date_as_object=False)

    @property
    def unsafe_num_rows(self) -> int:
        """Exact number of rows: private unless it was released. For splits, attacks and quality."""
        return int(self._arrow.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column (private)."""
        self._require((name,))
        return self._arrow.column(name)

    def select(self, columns: Sequence[str]) -> Table:
        """The same rows with these columns, in this order."""
        self._require(columns)
        return self._like(self._arrow.select(list(columns)))

    def take(self, row_index: NDArray[np.integer[Any]]) -> Table:
        """Rows by position, shape (n,), repeats allowed."""
        return self._like(self._arrow.take(array_of(row_index, pa.int64())))

    def concat(self, other: Table) -> Table:
        """These rows, then those of `other`, whose columns are matched by name."""
        if set(other.columns) != set(self.columns):
            odd = set(self.columns).symmetric_difference(other.columns)
            raise DataError(f"The tables differ in column {listed(sorted(odd))}.", "Give both the same columns.")
        differ = [n for n in self.columns if self.types[n] != other.types[n]]
        if differ:
            raise DataError(f"The tables differ in the type of column {listed(differ)}.", "Use one schema for both.")
        return self._like(pa.concat_tables([self._arrow, other.to_arrow().select(list(self.columns))]))

    def bounded(self, unit_column: str, max_records: int, key: bytes) -> Table:
        """At most `max_records` rows of each unit, chosen by keyed hash order.

        Which rows of a unit stay depends on that unit's own rows and on `key` alone, so adding or removing
        one unit changes at most `max_records` rows of the result; the order of the file does not matter.

        Args:
            unit_column: the column that names the person (or other unit); without missing cells.
            max_records: k >= 1.
            key: 16 to 64 secret bytes, one for each reservation: a retry gives the same rows.
        """
        if max_records < 1:
            raise ParameterError(f"Expected max_records={max_records} >= 1 (rows kept a unit).")
        units = self.column(unit_column)
        if units.null_count:
            raise DataError(
                f"The unit column {shown(unit_column)} has missing cells, so their rows belong to nobody.",
                "Remove those rows or give each a unit of its own.",
            )
        return self.take(keep_at_most(self._arrow, unit_column, max_records, key))

    def in_order(self, unit_column: str, order: str, max_records: int, key: bytes) -> Table:
        """The first `max_records` rows of each unit, units together, each unit's rows in their order.

        Ties are broken by keyed hash. As with `bounded`, adding or removing one unit changes that unit's rows alone.

        Args:
            unit_column: the column that names the person (or other unit); without missing cells.
            order: a column of numbers, dates or times; without missing cells.
            max_records: k >= 1.
            key: 16 to 64 secret bytes, one for each reservation.
        """
        if max_records < 1:
            raise ParameterError(f"Expected max_records={max_records} >= 1 (rows kept a unit).")
        for role, name in (("unit", unit_column), ("order", order)):
            if self.column(name).null_count:
                raise DataError(
                    f"The {role} column {shown(name)} has missing cells, so their rows have no place among a person's.",
                    "Remove those rows.",
                )
        if self.types[order] not in ("integer", "float", "date", "datetime"):
            raise DataError(
                f"The order column {shown(order)} holds {self.types[order]} cells.",
                "Order by numbers, dates or times; text would put 10 before 9.",
            )
        return self.take(first_of_each(self._arrow, unit_column, order, max_records, key))

    def value_counts(self, column: str, codec: Codec | None = None) -> ValueCounts:
        """Distinct values (or, with a codec, distinct codes) of a column and their exact counts."""
        values = self.column(column)
        if codec is None:
            present = values.drop_null()
            if pa.types.is_floating(present.type):
                present = pc.add(present, literal(0.0, pa.float64()))  # -0.0 and 0.0 are one value
            pairs = present.value_counts()
            found, counts = pairs.field("values"), values_of(pairs.field("counts"))
            order = values_of(pc.sort_indices(found)).astype(np.int64)
            ascending = found.take(array_of(order, pa.int64()))
            return ValueCounts(values=ascending, counts=counts[order], missing=int(values.null_count))
        codes = codec.encode(values)
        if codec.size <= FEW_CODES:
            times = np.bincount(codes + 1, minlength=codec.size + 1)
            distinct = np.flatnonzero(times[1:])
            return ValueCounts(values=distinct, counts=times[1:][distinct].astype(np.int64), missing=int(times[0]))
        distinct, times = np.unique(codes[codes >= 0], return_counts=True)
        return ValueCounts(values=distinct, counts=times.astype(np.int64), missing=int(np.sum(codes < 0)))

    def value_counts_of(self, asked: Sequence[Asked]) -> tuple[ValueCounts, ...]:
        """Distinct values or codes of many columns, one answer for each that is asked."""
        return tuple(self.value_counts(column, codec) for column, codec in asked)

    def counts(self, codecs: Mapping[str, Codec], cliques: Sequence[Sequence[str]]) -> Iterator[NDArray[np.int64]]:
        """Joint histograms, one array for each clique.

        Args:
            codecs: column -> codec; each column is encoded once and kept as the smallest unsigned integers.
            cliques: tuples of column names.

        Yields:
            int64, shape `(codecs[a].size + 1, codecs[b].size + 1, …)`; the last cell of a side counts
            missing.
        """
        for clique in cliques:
            shape = tuple(codecs[name].size + 1 for name in clique)
            cells = math.prod(shape)
            if cells > MAX_CELLS:
                raise ParameterError(
                    f"The histogram of {listed(clique)} has {cells:,} cells; the limit is {MAX_CELLS:,}.",
                    "Merge categories or bins, or leave the combination out.",
                )
            columns = [self._encoded(name, codecs[name]) for name in clique]
            total = np.zeros(cells, dtype=np.int64)
            for start in range(0, self._arrow.num_rows, BLOCK):
                flat = np.zeros(min(BLOCK, self._arrow.num_rows - start), dtype=np.int64)
                for codes, side in zip(columns, shape, strict=True):
                    flat *= side
                    flat += codes[start : start + BLOCK]
                total += np.bincount(flat, minlength=cells)
            yield total.reshape(shape)

    def codes(
        self, codecs: Mapping[str, Codec], unit: str | None = None
    ) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64] | None]:
        """All rows as codes, for models that are trained on rows (private).

        Args:
            codecs: column -> codec, in the order of the result's columns.
            unit: the column that names each row's unit; None if every row is one.

        Returns:
            Codes, missing `size`, in the smallest unsigned integers that hold all columns, shape (rows, columns); and
            the number of each row's unit, 0 … units-1, shape (rows,), or None. A row whose unit cell is null is a unit
            of its own: a canary, or a row of a table that `bounded` did not see.
        """
        rows = self._arrow.num_rows
        widest = max((codec.size for codec in codecs.values()), default=0)
        coded = np.zeros((rows, len(codecs)), dtype=np.min_scalar_type(widest))
        for at, (name, codec) in enumerate(codecs.items()):
            coded[:, at] = self._encoded(name, codec)
        if unit is None:
            return coded, None
        numbers = self.column(unit).combine_chunks().dictionary_encode()
        own = values_of(numbers.indices.fill_null(-1)).astype(np.int64)
        nobody = np.flatnonzero(own < 0)
        own[nobody] = len(numbers.dictionary) + np.arange(len(nobody))
        return coded, own

    def batches(self, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """The rows of these columns in order, `size` at a time (private)."""
        if size < 1:
            raise ParameterError(f"Expected size={size} >= 1 (rows a batch).")
        yield from self.select(columns).to_arrow().combine_chunks().to_batches(max_chunksize=size)

    def _encoded(self, name: str, codec: Codec) -> NDArray[np.unsignedinteger[Any]]:
        known = self._codes.get(name)
        if known is not None and known[0] is codec:
            return known[1]
        codes = codec.encode(self.column(name))
        narrow = np.where(codes < 0, codec.size, codes).astype(np.min_scalar_type(codec.size))
        self._codes[name] = (codec, narrow)
        return narrow

    def _like(self, arrow: pa.Table) -> Table:
        decimals = {n: d for n, d in self.decimals.items() if n in arrow.column_names}
        return Table(arrow, decimals=decimals, warnings=self.warnings)

    def _require(self, names: Sequence[str]) -> None:
        absent = [n for n in names if n not in self.types]
        if absent:
            raise DataError(f"The table has no column {listed(absent)}.", f"Its columns are {listed(self.columns)}.")

    def __len__(self) -> int:
        raise TypeError("a Table's length is private; use unsafe_num_rows if its number of rows was released")

    def __repr__(self) -> str:
        return f"Table({len(self.columns)} columns; rows are private)"


def _converts(series: Any) -> bool:
    try:
        pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return False
    return True
