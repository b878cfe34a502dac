"""The type of a text column, found strictly or declared, and the column in that type.

A column is boolean, integer, float, date or datetime only if every cell that is not missing is one;
otherwise it stays text, and if most of it looked like something better, a warning says how many cells did
not and where the first is.

    boolean   true/false in one spelling        integer   digits without leading zero, within 64 bits
    date      YYYY-MM-DD on the calendar        float     decimal or exponent notation, finite
    datetime  ISO 8601, all with or all without an offset
    missing   the empty cell; other words only if declared

A declared type overrides all of this, and then a cell that is not of it is an error. Distinct values are
inspected, not cells. Counts and line numbers in messages are diagnostics for whoever holds the file; no
cell is shown.

>>> typed("n", pa.chunked_array([["1", "", "3"]]), ColumnOptions()).column.to_pylist()
[1, None, 3]

Not guaranteed: that a column of digits is a quantity; `zip: {kind: categorical}` in a schema says that it
is a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, text_of
from dpsynth.data.declared import convert_declared
from dpsynth.data.distinct import DECIMAL_COMMA, FLOAT, INTEGER, Distinct, no_lines
from dpsynth.data.options import ColumnOptions
from dpsynth.data.temporal import Parsed, dates, datetimes
from dpsynth.data.warning import DataWarning, shown

CODE = "^-?0[0-9]+$"
INFINITE = "^(?i)[+-]?inf(inity)?$"
LONG_DIGITS = "[0-9.]{19}"
SPELLINGS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
MISSING_WORDS = frozenset(
    [
        "na",
        "n/a",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "?",
        "-",
        "--",
        ".",
        "missing",
        "unknown",
        "undefined",
        "9999-99-99",
    ]
)
DATE_LIKE = "|".join(
    (
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "^[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}",
        "^[0-9]{1,2} [A-Za-z]{3,9} [0-9]{2,4}",
    )
)
MOSTLY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Typed:
    """A column in its type, and what there is to say about it."""

    column: pa.ChunkedArray
    warnings: tuple[DataWarning, ...] = ()


def typed(
    name: str,
    texts: pa.ChunkedArray,
    options: ColumnOptions,
    *,
    decimal: str = ".",
    line_of: Callable[[int], int | None] = no_lines,
) -> Typed:
    """The column in its declared or inferred type.

    Args:
        name: for messages.
        texts: cells as written, utf8; "" is missing.
        options: declared type, format and words for missing.
        decimal: the decimal mark of floats.
        line_of: row position -> line in the file, or None where there are no lines.

    Raises:
        DataError: a cell is not of the declared type, is an integer beyond 64 bits or is not finite.
    """
    cells = Distinct.of(name, texts, options.missing, line_of)
    if options.type is not None:
        kind = "string" if options.type == "category" else options.type
        return Typed(column=convert_declared(cells, kind, options.format, decimal))
    if not cells.present.any():
        text = f"Column {shown(name)} has no value; it is kept as all missing. Drop it in the schema."
        return Typed(column=cells.texts(), warnings=(DataWarning(code="no_values", column=name, message=text),))
    found = _boolean(cells) or _number(cells, decimal) or _date(cells) or _datetime(cells)
    return found or Typed(column=cells.texts(), warnings=tuple(_text_warnings(cells)))


def _boolean(cells: Distinct) -> Typed | None:
    found = set(cells.shown_values(limit=3))
    for yes, no in SPELLINGS:
        if found <= {yes, no}:
            return Typed(column=cells.spread(pc.equal(cells.values, text_of([yes])[0])))
    return None


def _number(cells: Distinct, decimal: str) -> Typed | None:
    whole = cells.matches(INTEGER)
    if cells.all(whole):
        return Typed(column=cells.integers())
    values = cells if decimal == "." else cells.rewritten(",", ".")
    infinite = cells.matches(INFINITE)
    number = values.matches(FLOAT)
    if not cells.any(number) or not cells.all(number | infinite) or cells.any(cells.matches(CODE)):
        return None
    bad = infinite | values.overflowed()
    if cells.any(bad):
        raise DataError(
            f"Column {shown(cells.name)} holds {cells.count(bad)} numbers that are not finite"
            f"{cells.first_line(bad)}; no bound can hold them.",
            "Replace them by empty cells or by a public bound.",
        )
    column = values.floats()
    long = cells.matches(LONG_DIGITS)
    if not cells.any(long):
        return Typed(column=column)
    text = f"Column {shown(cells.name)} holds numbers of more digits than a float keeps; they are rounded."
    return Typed(column=column, warnings=(DataWarning(code="float_digits", column=cells.name, message=text),))


def _date(cells: Distinct) -> Typed | None:
    parsed = dates(cells.values)
    if not cells.all(parsed.valid):
        return None
    return Typed(column=cells.spread(array_of(parsed.whole, pa.date32())))


def _datetime(cells: Distinct) -> Typed | None:
    parsed = datetimes(cells.values)
    if not cells.all(parsed.valid):
        return None
    zoned = cells.any(parsed.zoned)
    if zoned and not cells.all(parsed.zoned):
        return None
    column = cells.spread(array_of(parsed.whole, pa.timestamp("us")))
    if not zoned:
        return Typed(column=column)
    text = f"Column {shown(cells.name)} has time zones; its times are read as UTC and written without a zone."
    return Typed(column=column, warnings=(DataWarning(code="read_as_utc", column=cells.name, message=text),))


def _text_warnings(cells: Distinct) -> list[DataWarning]:
    """Why a text column may have been meant as something else."""
    name = shown(cells.name)
    number = cells.matches(FLOAT)
    dated = cells.matches(DATE_LIKE)
    comma = cells.matches(DECIMAL_COMMA)
    words = cells.among(MISSING_WORDS)
    total = cells.count(cells.present)
    found: list[tuple[str, str]] = []
    if cells.count(number) >= MOSTLY * total and not cells.any(cells.matches(CODE)):
        odd = cells.present & ~number
        found.append(
            (
                "mixed_numbers",
                f"Column {name} looks numeric, but {cells.count(odd)} cells are not numbers"
                f"{cells.first_line(odd)}; the whole column is read as text. Correct them, declare `missing` "
                "words, or declare its kind in the schema.",
            )
        )
    elif cells.count(comma) >= MOSTLY * total:
        found.append(
            (
                "decimal_comma",
                f"Column {name} looks like numbers with a decimal comma, but is read as text. "
                'Set ReadOptions(decimal=",") or export with decimal points.',
            )
        )
    elif cells.count(dated) >= MOSTLY * total:
        found.append(("mixed_dates", _about_dates(cells, dates(cells.values), datetimes(cells.values))))
    if cells.any(words):
        found.append(
            (
                "missing_words",
                f"Column {name} holds words that often mean missing (such as NA, null, None or ?), in "
                f"{cells.count(words)} cells; they are kept as text. Declare them as `missing` "
                "if they are not categories.",
            )
        )
    return [DataWarning(code=code, column=cells.name, message=text) for code, text in found]


def _about_dates(cells: Distinct, day: Parsed, moment: Parsed) -> str:
    name = shown(cells.name)
    impossible = (day.shaped & ~day.valid) | (moment.shaped & ~moment.valid)
    valid = day.valid | moment.valid
    start = f"Column {name} looks like dates, but is read as text: "
    if cells.all(valid):
        return (
            f"{start}dates and times, or time zones and none, are mixed (not one rule for all cells). "
            "Write all cells the same way."
        )
    if cells.any(impossible) and cells.all(valid | impossible):
        return (
            f"{start}{cells.count(impossible)} cells are not on the calendar{cells.first_line(impossible)}. "
            "Correct them, or declare the words that mean missing."
        )
    odd = cells.present & ~valid
    return (
        f"{start}{cells.count(odd)} cells are not ISO 8601 (YYYY-MM-DD){cells.first_line(odd)}; day and "
        "month are not guessed. Declare `kind: date` and its `format` in the schema, or write ISO dates."
    )
