"""Columns in the type that a schema declares: text is parsed, other types are converted where that is exact.

A cell that is not of the declared type is an error that names the column, how many there are and the first
line.

>>> cells = Distinct.of("x", pa.chunked_array([["yes", "0", ""]]))
>>> convert_declared(cells, "boolean", None, ".").to_pylist()
[True, False, None]

Not guaranteed: that a conversion is meant; a declared type is taken at its word.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, missing_of, text_of, values_of
from dpsynth.data.arrow_types import ARROW_OF, KIND_OF
from dpsynth.data.distinct import Distinct, Mask
from dpsynth.data.options import ColumnOptions
from dpsynth.data.temporal import by_format, dates, datetimes
from dpsynth.data.warning import shown

YES = frozenset({"true", "t", "yes", "y", "1"})
NO = frozenset({"false", "f", "no", "n", "0"})
WORDS = {"boolean": "true/false, yes/no or 1/0", "integer": "an integer", "float": "a finite number"}
WHOLE = r"^[+-]?[0-9]+(?:\.0*)?$"
LOOSE_FLOAT = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def convert_declared(cells: Distinct, kind: str, layout: str | None, decimal: str) -> pa.ChunkedArray:
    """Text cells in the declared type.

    Args:
        cells: distinct texts.
        kind: string, integer, float, boolean, date or datetime.
        layout: strptime format of dates and datetimes; None is ISO 8601.
        decimal: decimal mark of floats.
    """
    if kind == "string":
        return cells.texts()
    if kind == "boolean":
        yes, no = cells.among(YES), cells.among(NO)
        _require(cells, yes | no, WORDS["boolean"])
        return cells.spread(array_of(yes, pa.bool_()))
    if kind == "integer":
        _require(cells, cells.matches(WHOLE), WORDS["integer"])
        return cells.rewritten(r"^\+|\.0*$", "").integers()
    if kind == "float":
        point = cells if decimal == "." else cells.rewritten(",", ".")
        _require(cells, point.matches(LOOSE_FLOAT) & ~point.overflowed(), WORDS["float"])
        return point.rewritten(r"^\+", "").floats()
    days = kind == "date"
    parsed = by_format(cells.values, layout, days=days) if layout else (dates if days else datetimes)(cells.values)
    mixed = cells.any(parsed.zoned) and not cells.all(parsed.zoned)
    _require(cells, parsed.valid & ~(parsed.zoned if mixed else np.zeros_like(parsed.zoned)), what_of(kind, layout))
    return cells.spread(array_of(parsed.whole, ARROW_OF[kind]))


def conform(name: str, column: pa.ChunkedArray, options: ColumnOptions) -> pa.ChunkedArray:
    """A column that has a type already (Parquet, pandas) in its declared type.

    Raises:
        DataError: the conversion would lose something.
    """
    have = KIND_OF[column.type]
    want = options.type
    if want == "category":
        want = "integer" if have in ("integer", "float") else "string"
    if have == "string":
        cells = Distinct.of(name, column, options.missing)
        return convert_declared(cells, want or have, options.format, ".")
    if want is None or want == have:
        return column
    try:
        if want == "string" and have == "boolean":
            return pc.if_else(column, *text_of(["true", "false"]))
        if want == "boolean" and have == "integer":
            values = values_of(column)
            if ((values == 0) | (values == 1)).all():
                return pa.chunked_array([array_of(values, pa.bool_(), missing=missing_of(column))])
        if want in ("string", "integer", "float", "date", "datetime") and (have, want) not in SENSELESS:
            return column.cast(ARROW_OF[want], safe=(have, want) != ("integer", "float"))
    except pa.ArrowInvalid:
        pass
    raise unreadable(name, have, want)


SENSELESS = frozenset(
    {(a, b) for a in ("integer", "float", "boolean") for b in ("date", "datetime")}
    | {(a, b) for a in ("date", "datetime") for b in ("integer", "float")}
)


def what_of(kind: str, layout: str | None) -> str:
    """What cells of a declared date or datetime are."""
    rule = "of the declared format" if layout else "in ISO 8601, on the calendar, all with or all without an offset"
    return f"a {kind} {rule}"


def unreadable(name: str, have: str, want: str | None) -> DataError:
    """The refusal of a column that has a type and cannot be converted whole."""
    return DataError(
        f"Column {shown(name)} is {have} in the file, and not all of it can be read as {want}.",
        "Correct the kind in the schema, or convert the column first.",
    )


def not_of(name: str, cells: int, what: str, where: str = "") -> DataError:
    """The refusal of a column of text of which some cells are not what was declared."""
    return DataError(
        f"Column {shown(name)} holds {cells} cells that are not {what}{where}.",
        "Correct them, declare the words that mean missing, or change the kind in the schema.",
    )


def _require(cells: Distinct, fits: Mask, what: str) -> None:
    odd = cells.present & ~fits
    if cells.any(odd):
        raise not_of(cells.name, cells.count(odd), what, cells.first_line(odd))
