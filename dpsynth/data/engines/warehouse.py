"""The table that a fit sees when the rows stay in an engine.

Encode once, count many: the first call of `counts` with several cliques writes the codes of their columns into one
relation inside the engine, and later calls with the same codecs only group and count that. Single columns are counted
straight from the raw cells. Rows in memory (canaries) are added by `concat`: both are counted, and counts are added.

    import dpsynth.data.engines.duckdb as engine
    table = engine.open_parquet("folder/*.parquet")      # an EngineTable; no row has left

Not guaranteed: privacy; every figure is exact and private, as with `Table`. Nor an order of rows, which engines have
none of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, literal, missing_of, values_of
from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.engines.counting import histograms, single_columns
from dpsynth.data.engines.encoding import encoded, relation_of
from dpsynth.data.engines.protocol import Engine, Field
from dpsynth.data.engines.row_codes import row_codes
from dpsynth.data.recipe import Coarsening, Kind, OnCodes
from dpsynth.data.table import Asked, Codec, Table, ValueCounts
from dpsynth.data.warning import listed

KEPT = 3
"""Relations of codes that a table keeps, the newest; a generator has at most two sets of codecs."""


@final
class EngineTable:
    """Rows in an engine, and perhaps a few in memory.

    Attributes:
        columns: names, in order.
        types: name -> "string" | "integer" | "float" | "boolean" | "date" | "datetime".
        decimals: name -> decimal places that the engine's own type declares.
    """

    __slots__ = ("_engine", "_extra", "_fields", "_relation", "_row", "_stored", "columns", "decimals", "types")

    def __init__(
        self,
        engine: Engine,
        relation: str,
        fields: Mapping[str, Field],
        *,
        extra: Table | None = None,
        row: Field | None = None,
    ) -> None:
        """Wrap a relation of raw cells; an engine's `open` makes one."""
        self._engine, self._relation, self._extra, self._row = engine, relation, extra, row
        self._fields: Mapping[str, Field] = MappingProxyType(dict(fields))
        self._stored: list[tuple[Mapping[str, Codec], Mapping[str, str], str]] = []
        self.columns: tuple[str, ...] = tuple(fields)
        self.types: Mapping[str, str] = MappingProxyType({name: field.kind for name, field in fields.items()})
        self.decimals: Mapping[str, int] = MappingProxyType(
            {name: field.decimals for name, field in fields.items() if field.decimals}
        )

    @property
    def engine(self) -> Engine:
        """Where the rows are."""
        return self._engine

    @property
    def relation(self) -> str:
        """Name of the relation of raw cells inside the engine."""
        return self._relation

    @property
    def fields(self) -> Mapping[str, Field]:
        """Name -> where the column is in the relation."""
        return self._fields

    @property
    def row(self) -> Field | None:
        """Where the identity of a row of files is in the relation (`ROW`): no column, and in no answer."""
        return self._row

    @property
    def extra(self) -> Table | None:
        """Rows in memory that were added, if any."""
        return self._extra

    @property
    def unsafe_num_rows(self) -> int:
        """Exact number of rows: private unless it was released."""
        answer = self._engine.fetch(f'SELECT COUNT(*) AS "n" FROM "{self._relation}"')  # noqa: S608 - our own names
        return int(values_of(answer.column(0))[0]) + (0 if self._extra is None else self._extra.unsafe_num_rows)

    def select(self, columns: Sequence[str]) -> EngineTable:
        """The same rows with these columns, in this order."""
        self._require(columns)
        extra = None if self._extra is None else self._extra.select(columns)
        return self._like({name: self._fields[name] for name in columns}, extra)

    def concat(self, other: Table) -> EngineTable:
        """These rows, then those of `other`, whose columns are matched by name and stay in memory."""
        if set(other.columns) != set(self.columns):
            odd = set(self.columns).symmetric_difference(other.columns)
            raise DataError(f"The tables differ in column {listed(sorted(odd))}.", "Give both the same columns.")
        differ = [name for name in self.columns if self.types[name] != other.types[name]]
        if differ:
            raise DataError(f"The tables differ in the type of column {listed(differ)}.", "Use one schema for both.")
        other = other.select(self.columns)
        return self._like(self._fields, other if self._extra is None else self._extra.concat(other))

    def value_counts(self, column: str, codec: Codec | None = None) -> ValueCounts:
        """Distinct values (or, with a codec, distinct codes) of a column, ascending, and their exact counts."""
        return self.value_counts_of([(column, codec)])[0]

    def value_counts_of(self, asked: Sequence[Asked]) -> tuple[ValueCounts, ...]:
        """The same of many columns; one scan for as many as the engine counts in a statement."""
        self._require([column for column, _ in asked])
        most = self._engine.singles
        here = [own for at in range(0, len(asked), most) for own in self._counted(asked[at : at + most])]
        if self._extra is None:
            return tuple(here)
        return tuple(_added(mine, more) for mine, more in zip(here, self._extra.value_counts_of(asked), strict=True))

    def _counted(self, asked: Sequence[Asked]) -> list[ValueCounts]:
        """What one statement answers, rows in memory left out."""
        wanted = [(f"a{at}", name, self._fields[name], codec) for at, (name, codec) in enumerate(asked)]
        kinds: dict[str, Kind] = {alias: "integer" if codec else where.kind for alias, _, where, codec in wanted}
        query, uploads = encoded(self._engine, relation_of(self._relation, self._fields.values()), wanted)
        try:
            answers = single_columns(self._engine, f'({query}) AS "t"', kinds)
        finally:
            self._drop(uploads)
        found = []
        for (cells, counts), (_, _, where, codec) in zip(answers, wanted, strict=True):
            if codec is None:
                values = _typed(cells, where.kind)
            else:
                codes = values_of(cells).astype(np.int64)
                values = pa.chunked_array([array_of(codes, pa.int64(), missing=codes == codec.size)])
            missing = missing_of(values)
            present, own = _ascending(values.filter(pc.is_valid(values)), counts[~missing])
            absent = int(counts[missing].sum())
            found.append(
                ValueCounts(values=present if codec is None else values_of(present), counts=own, missing=absent)
            )
        return found

    def counts(self, codecs: Mapping[str, Codec], cliques: Sequence[Sequence[str]]) -> Iterator[NDArray[np.int64]]:
        """Joint histograms as `Table.counts` gives them, one array for each clique."""
        self._require([name for clique in cliques for name in clique])
        used = {name: codec for name, codec in codecs.items() if any(name in clique for clique in cliques)}
        uploads: tuple[str, ...] = ()
        aliases: Mapping[str, str]
        if len(cliques) == 1:
            aliases = {name: f"e{at}" for at, name in enumerate(used)}
            query, uploads = self._codes_query(used, aliases)
            source = f'({query}) AS "t"'
        else:
            relation, aliases = self._codes_relation(used)
            source = f'"{relation}"'
        sizes = {aliases[name]: codec.size for name, codec in used.items()}
        try:
            here = histograms(self._engine, source, sizes, [tuple(aliases[n] for n in clique) for clique in cliques])
            if self._extra is None:
                yield from here
            else:
                for counted, more in zip(here, self._extra.counts(codecs, cliques), strict=True):
                    yield counted + more
        finally:
            self._drop(uploads)

    def check(self, codecs: Mapping[str, Codec]) -> None:
        """Refuse codecs that the engine cannot run, and columns that are not there, before any row is read.

        Raises:
            UnsupportedByEngine, DataError: by name.
        """
        self._require(list(codecs))
        self._drop(self._codes_query(codecs, {name: f"e{at}" for at, name in enumerate(codecs)})[1])

    def codes(
        self, codecs: Mapping[str, Codec], unit: str | None = None
    ) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64] | None]:
        """All rows as codes, for models that are trained on rows (private): see `Table.codes` and `row_codes`.

        Rows are sorted by unit number and codes, so that every engine gives one array. That order costs no privacy: the
        models draw units by independent coins of one probability (Poisson sampling), whatever numbers they bear.
        """
        return row_codes(self, codecs, unit)

    def _codes_query(self, codecs: Mapping[str, Codec], aliases: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        for stored, own, relation in self._stored:
            merged = {n: OnCodes(size=c.size, merged=c.merged) for n, c in codecs.items() if isinstance(c, Coarsening)}
            if len(merged) == len(codecs) and all(stored.get(n) is c.fine for n, c in codecs.items()):  # type: ignore[attr-defined]
                fields = {name: Field(cell=own[name], kind="integer") for name in codecs}
                finer = [(aliases[name], name, fields[name], merged[name]) for name in codecs]
                return encoded(self._engine, relation_of(relation, fields.values()), finer)
        asked = [(aliases[name], name, self._fields[name], codec) for name, codec in codecs.items()]
        return encoded(self._engine, relation_of(self._relation, self._fields.values()), asked)

    def _codes_relation(self, codecs: Mapping[str, Codec]) -> tuple[str, Mapping[str, str]]:
        """The relation that holds these codes, written now unless one does already; and the column of each name.

        Merged codes are written from the codes that they merge, where those are kept.
        """
        for stored, aliases, relation in self._stored:
            if all(stored.get(name) is codec for name, codec in codecs.items()):
                return relation, aliases
        written = {name: f"e{at}" for at, name in enumerate(codecs)}
        query, uploads = self._codes_query(codecs, written)
        relation = self._engine.store(query)
        self._drop(uploads)
        self._stored.append((dict(codecs), written, relation))
        if len(self._stored) > KEPT:
            self._drop([self._stored.pop(0)[2]])
        return relation, written

    def _drop(self, relations: Sequence[str]) -> None:
        for relation in relations:
            self._engine.drop(relation)

    def _like(self, fields: Mapping[str, Field], extra: Table | None) -> EngineTable:
        return EngineTable(self._engine, self._relation, fields, extra=extra, row=self._row)

    def _require(self, names: Sequence[str]) -> None:
        absent = [name for name in names if name not in self.types]
        if absent:
            raise DataError(f"The table has no column {listed(absent)}.", f"Its columns are {listed(self.columns)}.")

    def __len__(self) -> int:
        raise TypeError("a table's length is private; use unsafe_num_rows if its number of rows was released")

    def __repr__(self) -> str:
        return f"EngineTable({self._engine.name}, {len(self.columns)} columns; rows are private)"


def _typed(raw: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Raw cells as the Arrow type of their kind: days and microseconds become dates and times."""
    if kind == "date":
        return raw.cast(pa.int32()).cast(pa.date32())
    if kind == "float":
        return pc.add(raw.cast(pa.float64()), literal(0.0, pa.float64()))  # -0.0 and 0.0 are one value
    return raw.cast(pa.int64()).cast(pa.timestamp("us")) if kind == "datetime" else raw.cast(ARROW_OF[kind])


def _ascending(values: pa.ChunkedArray, counts: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    order = values_of(pc.sort_indices(values)).astype(np.int64)
    return _whole(values).take(array_of(order, pa.int64())), counts[order]


def _added(mine: ValueCounts, more: ValueCounts) -> ValueCounts:
    """The counts of two tables, ascending."""
    both = [own if isinstance(own, pa.Array) else array_of(own, pa.int64()) for own in (mine.values, more.values)]
    encoded_values = pc.dictionary_encode(pa.chunked_array(both)).combine_chunks()
    total = np.zeros(len(encoded_values.dictionary), dtype=np.int64)
    np.add.at(total, values_of(encoded_values.indices), np.concatenate([mine.counts, more.counts]))
    values, counts = _ascending(pa.chunked_array([encoded_values.dictionary]), total)
    own_type = isinstance(mine.values, pa.Array)
    return ValueCounts(
        values=values if own_type else values_of(values), counts=counts, missing=mine.missing + more.missing
    )


def _whole(values: pa.ChunkedArray) -> pa.Array:
    joined = values.combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
