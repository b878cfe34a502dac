"""From the many Arrow types to the six that a table has.

    string    string, large_string, string_view, dictionary of those, null (all missing, warned) integer
    every width; uint64 only up to 2^63 - 1; time and duration as microseconds (warned) float     half,
    single, double; decimal with places (the places are kept as a hint); decimal without: integer boolean
    bool date      date32, date64 datetime  timestamp of any unit as naive microseconds; with a zone
    converted to UTC (warned)

Lists, structs, maps, bytes and extension types are refused by name. The dictionary of a dictionary column
is data, so only values that rows use are kept; key-value metadata (pandas' and anybody's) is dropped.

>>> canonical(pa.table({"a": pa.array([1, 2], pa.int8())}))[0].schema.field("a").type
DataType(int64)

Not guaranteed: nanoseconds. They are cut to microseconds, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, missing_of, values_of
from dpsynth.data.warning import DataWarning, listed, shown

KIND_OF: Mapping[pa.DataType, str] = MappingProxyType(
    {
        pa.string(): "string",
        pa.int64(): "integer",
        pa.float64(): "float",
        pa.bool_(): "boolean",
        pa.date32(): "date",
        pa.timestamp("us"): "datetime",
    }
)
ARROW_OF: Mapping[str, pa.DataType] = MappingProxyType({kind: arrow for arrow, kind in KIND_OF.items()})
EXACT_DIGITS = 15


def canonical(table: pa.Table) -> tuple[pa.Table, dict[str, int], list[DataWarning]]:
    """The table with canonical types and without metadata.

    Returns:
        The table, decimal places declared by decimal types (name -> places), and warnings.

    Raises:
        DataError: two columns of one name; a nested, binary or unknown type; an unsigned integer above 2^63
            - 1; a number that is not finite.
    """
    names = table.column_names
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) != len(names) else []
    if twice:
        raise DataError(f"Two columns are called {listed(twice)}.", "Rename one of them.")
    require_flat(table.schema)
    columns, decimals, warnings = [], {}, []
    for field in table.schema:
        column, note = _convert(field.name, table.column(field.name))
        columns.append(column)
        if note is not None:
            warnings.append(note)
        if pa.types.is_decimal(field.type) and field.type.scale > 0:
            decimals[field.name] = field.type.scale
    return pa.table(columns, names=names), decimals, warnings


def require_flat(schema: pa.Schema) -> None:
    """Refuse, by name, columns whose type a table cannot hold."""
    refused = [f.name for f in schema if _canonical_type(f.type) is None]
    if refused:
        raise DataError(
            f"Column {listed(refused)} holds lists, structs, maps, bytes or another type that no table has.",
            "Flatten it into plain columns or leave it out.",
        )


def too_wide(names: Sequence[str]) -> DataError:
    """The refusal of columns of integers that 64 bits do not hold."""
    return DataError(
        f"Column {listed(names)} holds integers beyond 64 bits; they would wrap around or be rounded.",
        "Write the column as text if it is a code, or as float if rounding is meant.",
    )


def _canonical_type(kind: pa.DataType) -> pa.DataType | None:
    t = pa.types
    if t.is_dictionary(kind):
        return _canonical_type(kind.value_type)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) or t.is_null(kind):
        return pa.string()
    if t.is_integer(kind) or t.is_time(kind) or t.is_duration(kind):
        return pa.int64()
    if t.is_decimal(kind):
        return pa.float64() if kind.scale > 0 else pa.int64()
    if t.is_floating(kind):
        return pa.float64()
    if t.is_boolean(kind):
        return pa.bool_()
    if t.is_date(kind):
        return pa.date32()
    return pa.timestamp("us") if t.is_timestamp(kind) else None


def _convert(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, DataWarning | None]:
    source, target = column.type, _canonical_type(column.type)
    t = pa.types
    note: DataWarning | None = None
    if t.is_dictionary(source):
        return _convert(name, _decoded(column))
    if t.is_null(source):
        text = f"Column {shown(name)} has no type and no value; it is kept as all missing, or can be dropped."
        note = DataWarning(code="no_values", column=name, message=text)
    elif t.is_time(source) or t.is_duration(source):
        note = _as_microseconds(name, "time of day" if t.is_time(source) else "duration")
        column = column.cast(pa.time64("us") if t.is_time(source) else pa.duration("us"), safe=False)
    elif t.is_timestamp(source):
        column, note = _naive_utc(name, column)
    elif t.is_decimal(source) and source.precision > EXACT_DIGITS:
        text = f"Column {shown(name)} has decimals of {source.precision} digits; 15 are kept."
        note = DataWarning(code="decimal_digits", column=name, message=text)
    if pa.types.is_decimal(source) and pa.types.is_floating(target):
        column = column.cast(pa.string())  # Arrow's own cast gives a neighbour of the nearest double for one in ten
        source = column.type
    try:
        column = column.cast(target, safe=not t.is_decimal(source))
    except pa.ArrowInvalid:
        raise too_wide([name]) from None
    if t.is_floating(column.type):
        column = _finite(name, column)
    return column, note


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A dictionary column as its values; Arrow has no cast of its own from dictionaries of string views."""
    kind = column.type.value_type
    if not pa.types.is_string_view(kind):
        return column.cast(kind)
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.string())).cast(pa.string())
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.string())


def _as_microseconds(name: str, what: str) -> DataWarning:
    text = f"Column {shown(name)} is a {what}; it is read as an integer number of microseconds."
    return DataWarning(code="read_as_integer", column=name, message=text)


def _naive_utc(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, DataWarning | None]:
    zone = column.type.tz
    micro = column.cast(pa.timestamp("us", tz=zone), safe=False)
    if zone is not None:
        text = f"Column {shown(name)} has a time zone; its times are read as UTC and written without a zone."
        return micro.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us")), DataWarning(
            code="read_as_utc", column=name, message=text
        )
    if column.type.unit == "ns" and not pc.all(pc.equal(micro.cast(column.type), column)).as_py():
        text = f"Column {shown(name)} holds nanoseconds; they are cut to microseconds."
        return micro, DataWarning(code="nanoseconds_cut", column=name, message=text)
    return micro, None


def _finite(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN becomes missing, as pandas means it; infinity is refused."""
    values = values_of(column)
    nan = np.isnan(values)
    if nan.any():
        column = pa.chunked_array([array_of(values, pa.float64(), missing=nan | missing_of(column))])
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise DataError(
            f"Column {shown(name)} holds {infinite} numbers that are not finite; no bound can hold them.",
            "Replace them by missing cells or by a public bound.",
        )
    return column
