r"""Rows as codes, for models that are trained on rows: small integers stream out, in one order on every engine.

The engine encodes, numbers the units and sorts; what leaves it are codes and unit numbers, never a cell or an identity.
Units are numbered by the order of their identities (text by its bytes), rows are sorted by unit number and then by
their codes, so two rows that could change places are equal: engines, which have no order of rows, give one array.
Rows without a unit are units of their own and come last; after them rows in memory (canaries), in their own order.

**Why this order costs no privacy.** Adding a unit moves the numbers of units behind it up by one. A fit draws units by
independent coins of one probability (`sgd.poisson`), or gives each to a teacher by an independent word
(`tabular.gan.teachers`). Draws that are independent and alike have one law whatever numbers the units bear: couple
each unit's coin with itself, not with its number. So the law of a release is a function of the set of units, and the
guarantee of Poisson sampling (Zhu and Wang 2019) is about sets. A batch of consecutive numbers would not do.

>>> numbered(np.array([0, 0, 1, 2, 2]), units=2).tolist()         # the last two rows are nobody's
[0, 0, 1, 2, 3]

Memory: the final array, and one batch; the engine sorts, on its own disk if it must.

Not guaranteed: an order within a unit that means anything. Models of whole people in time need their rows in the order
of a column, and refuse these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, values_of
from dpsynth.data.engines.encoding import encoded, relation_of
from dpsynth.data.engines.protocol import Engine, Field
from dpsynth.data.recipe import Ticks
from dpsynth.data.table import Codec
from dpsynth.data.warning import shown

if TYPE_CHECKING:
    from dpsynth.data.engines.warehouse import EngineTable

BATCH = 1 << 16
ROWS = "dpsynth_rows"
UNIT = Field(cell="unit_number", kind="integer")
Codes = NDArray[np.unsignedinteger[Any]]


def row_codes(
    table: EngineTable, codecs: Mapping[str, Codec], unit: str | None = None
) -> tuple[Codes, NDArray[np.int64] | None]:
    """What `Table.codes` gives, in the order that the module describes.

    Args:
        table: the private rows.
        codecs: column -> codec, in the order of the result's columns.
        unit: the column that names each row's unit; None if every row is one.

    Raises:
        UnsupportedByEngine: a codec that the engine cannot run.
        DataError: no such column, or one that cannot name anybody; the source changed while it was read.
    """
    table.select([*codecs, *([] if unit is None else [unit])])  # refuses a column that is not there
    if unit is not None and table.types[unit] not in ("string", "integer"):
        raise DataError(
            f"The column {shown(unit)} is neither text nor integer, so engines order its cells differently.",
            "Name a column of text or integers.",
        )
    engine, extra = table.engine, table.extra
    widest = max((codec.size for codec in codecs.values()), default=0)
    rows = _count(engine, table.relation)
    coded = np.zeros((rows + (0 if extra is None else extra.unsafe_num_rows), len(codecs)), np.min_scalar_type(widest))
    own = None if unit is None else np.zeros(len(coded), dtype=np.int64)
    units = None if unit is None else _number(engine, table.relation, table.fields[unit])
    try:
        if rows and (codecs or units is not None):
            _fill(table, codecs, units, coded[:rows], None if own is None else own[:rows])
        if units is None or own is None or unit is None:
            if extra is not None:
                coded[rows:], _ = extra.codes(codecs)
            return coded, None
        own[:rows] = numbered(own[:rows], units.count)
        if extra is not None:
            coded[rows:], theirs = extra.codes(codecs, unit)
            known = _known(engine, units, extra.column(unit), table.fields[unit])
            own[rows:] = _with_new(known, int(own[:rows].max(initial=-1)) + 1)[theirs]
        return coded, own
    finally:
        if units is not None:
            engine.drop(units.relation)


def numbered(own: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    """Unit numbers where rows of number `units` and above, which come last, are nobody's: each a unit of its own."""
    first = int(np.searchsorted(own, units))
    return np.concatenate([own[:first], units + np.arange(len(own) - first)])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Units:
    """Where an engine keeps the number of each unit.

    Attributes:
        relation: its name; columns `who` and `number`, 0 … count-1.
        cell: the column of the raw cells that `who` is joined to.
        count: units, exactly (private).
    """

    relation: str
    cell: str
    count: int

    @property
    def size(self) -> int:
        """As a codec: numbers, missing not counted."""
        return max(self.count, 1)

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """As a codec: a number is its own code."""
        return values_of(values.fill_null(-1)).astype(np.int64)

    def recipe(self) -> Ticks:
        """The same, for an engine."""
        return Ticks(kind="integer", low=0, high=self.size - 1)


def _number(engine: Engine, relation: str, identity: Field) -> _Units:
    who = f'SELECT DISTINCT "{identity.cell}" AS "who" FROM "{relation}" WHERE "{identity.cell}" IS NOT NULL'  # noqa: S608 - our own names
    place = 'ROW_NUMBER() OVER (ORDER BY "who") - 1 AS BIGINT'
    stored = engine.store(f'SELECT "who", CAST({place}) AS "number" FROM ({who}) AS "t"')  # noqa: S608
    return _Units(relation=stored, cell=identity.cell, count=_count(engine, stored))


def _fill(
    table: EngineTable,
    codecs: Mapping[str, Codec],
    units: _Units | None,
    coded: Codes,
    own: NDArray[np.int64] | None,
) -> None:
    """Write codes and unit numbers of an engine's rows, in order, batch by batch."""
    fields = list(table.fields.values())
    asked: list[tuple[str, str, Field, Codec]] = []
    cells = ", ".join(f'r."{field.cell}"' for field in fields)
    source = f'SELECT {cells} FROM "{table.relation}" AS r'  # noqa: S608 - our own names
    if units is not None:
        fields.append(UNIT)
        asked.append(("u", "unit", UNIT, units))
        source = (
            f'SELECT {cells}, n."number" AS "{UNIT.cell}" FROM "{table.relation}" AS r'  # noqa: S608
            f' LEFT JOIN "{units.relation}" AS n ON r."{units.cell}" = n."who"'
        )
    aliases = [f"e{at}" for at in range(len(codecs))]
    asked += [
        (alias, name, table.fields[name], codec) for alias, (name, codec) in zip(aliases, codecs.items(), strict=True)
    ]
    query, uploads = encoded(table.engine, relation_of(ROWS, fields), asked)
    order = ", ".join(f'"{alias}"' for alias, *_ in asked)
    start = 0
    try:
        for batch in table.engine.stream(
            f'WITH "{ROWS}" AS ({source}) SELECT {order} FROM ({query}) AS "t" ORDER BY {order}',  # noqa: S608
            BATCH,
        ):
            stop = start + batch.num_rows
            if stop > len(coded):
                raise _changed()
            for at, alias in enumerate(aliases):
                coded[start:stop, at] = values_of(batch.column(alias))
            if own is not None:
                own[start:stop] = values_of(batch.column("u"))
            start = stop
    finally:
        for upload in uploads:
            table.engine.drop(upload)
    if start != len(coded):
        raise _changed()


def _known(engine: Engine, units: _Units, identities: pa.ChunkedArray, field: Field) -> NDArray[np.int64]:
    """The engine's number of each unit of rows in memory, in the order of `Table.codes`; -1 if it has none."""
    found = identities.combine_chunks().dictionary_encode()
    distinct, nobody = found.dictionary, identities.null_count
    kind = pa.string() if field.kind == "string" else pa.int64()
    place = array_of(np.arange(len(distinct)), pa.int64())
    upload = engine.upload(pa.table({"own": distinct.cast(kind), "place": place}))
    try:
        answer = engine.fetch(
            f'SELECT x."place", n."number" FROM "{upload}" AS x JOIN "{units.relation}" AS n ON x."own" = n."who"'  # noqa: S608
        )
    finally:
        engine.drop(upload)
    known = np.full(len(distinct) + nobody, -1, dtype=np.int64)
    known[values_of(answer.column("place"))] = values_of(answer.column("number"))
    return known


def _with_new(known: NDArray[np.int64], free: int) -> NDArray[np.int64]:
    """The engine's numbers, and for units that it has none of those from `free` on."""
    new = known < 0
    return np.where(new, free + np.cumsum(new) - 1, known)


def _count(engine: Engine, relation: str) -> int:
    return int(values_of(engine.fetch(f'SELECT COUNT(*) AS "n" FROM "{relation}"').column(0))[0])  # noqa: S608


def _changed() -> DataError:
    return DataError(
        "The source changed while it was read, so its rows are those of no moment.",
        "Read a copy, or run again while nobody writes to it.",
    )
