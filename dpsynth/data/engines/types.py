"""From an engine's column types to the six of a table, by ibis' names for them; what `data.arrow_types` says for Arrow.

Decimals with places become doubles (the places are kept as a hint), decimals without and integers of every width become
64-bit integers, times with a zone become UTC. Lists, structs, maps, bytes, times of day, intervals and all others are
refused by name.

>>> import ibis
>>> kind_of("price", ibis.dtype("decimal(10, 2)"))
('float', 2)

Not guaranteed: that a number fits; what is beyond 64 bits, or not finite, is refused when the rows are read.
"""

from __future__ import annotations

from typing import Any

from dpsynth.data.arrow_types import EXACT_DIGITS
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.recipe import Kind
from dpsynth.data.warning import DataWarning, shown


def dtype_of(dialect: str, name: str, words: str) -> Any:
    """Ibis' type for what an engine calls one.

    Raises:
        UnsupportedByEngine: words that ibis does not know.
    """
    from ibis.backends.sql.datatypes import get_type_mapper

    if words == "money":  # no engine casts it to a double
        raise _unknown(name)
    try:
        return get_type_mapper(dialect).from_string(words.strip('"') if words == '"NULL"' else words)
    except (ValueError, TypeError, KeyError, NotImplementedError):
        raise _unknown(name) from None


def kind_of(name: str, dtype: Any) -> tuple[Kind, int]:
    """What a column is to a table, and the decimal places that its type declares.

    Args:
        name: the column, for the message.
        dtype: an `ibis.expr.datatypes.DataType`.

    Raises:
        UnsupportedByEngine: a type that no table has.
    """
    if dtype.is_decimal():
        whole = dtype.scale == 0
        return ("integer", 0) if whole else ("float", dtype.scale or 0)
    kinds: tuple[tuple[bool, Kind], ...] = (
        (dtype.is_boolean(), "boolean"),
        (dtype.is_integer(), "integer"),
        (dtype.is_floating(), "float"),
        (dtype.is_date(), "date"),
        (dtype.is_timestamp(), "datetime"),
        ((dtype.is_string() and not dtype.is_json()) or dtype.is_null(), "string"),
    )
    for holds, kind in kinds:
        if holds:
            return kind, 0
    raise _unknown(name)


def warning_of(name: str, dtype: Any) -> DataWarning | None:
    """What memory's reader would say of a column of this type."""
    if dtype.is_null():
        text = f"Column {shown(name)} has no type and no value; it is kept as all missing, or can be dropped."
        return DataWarning(code="no_values", column=name, message=text)
    if dtype.is_timestamp() and dtype.timezone is not None:
        text = f"Column {shown(name)} has a time zone; its times are read as UTC and written without a zone."
        return DataWarning(code="read_as_utc", column=name, message=text)
    if dtype.is_decimal() and (dtype.precision or 0) > EXACT_DIGITS:
        text = f"Column {shown(name)} has decimals of {dtype.precision} digits; {EXACT_DIGITS} are kept."
        return DataWarning(code="decimal_digits", column=name, message=text)
    return None


def _unknown(name: str) -> UnsupportedByEngine:
    return UnsupportedByEngine(
        f"Column {shown(name)} holds lists, structs, maps, bytes, times of day or another type that no table has.",
        "Leave it out, or cast it to a plain type in a view.",
    )
