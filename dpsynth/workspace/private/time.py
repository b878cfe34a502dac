"""Which rows are of the later time: those whose cell in a column lies at or behind a public moment.

A person names the column and the moment. It is never computed from the rows: a quantile of private dates would be a
private number, and whoever was added could move others across it. Each row's answer depends on its own cell alone.

Dates and datetimes are read as ISO 8601, as `dpsynth.data` does; columns of numbers (years, days) are cut at a number.
A row without a time counts as past.

>>> later_rows(pa.chunked_array([["2024-01-31", None, "2024-02-01"]]), TimeFacts(column="day", since="2024-02-01"))
array([False, False,  True])

Not guaranteed: that the column says when a row became known.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.arrow_numpy import text_of, values_of
from dpsynth.data.engines.keyed import cut as cut_at
from dpsynth.data.temporal import DAY_MICROSECONDS, dates, datetimes
from dpsynth.release.evidence import TimeFacts
from dpsynth.workspace.private.split import Split

if TYPE_CHECKING:
    from dpsynth.data.engines.warehouse import EngineTable

FEWEST = 100
"""Rows before the moment, and from it on, as of any table: below, nothing can be shown."""


def cut(column: str | None, since: object) -> TimeFacts | None:
    """What a person asked for: a column and a public moment; None for neither.

    Raises:
        ParameterError: one without the other, or a moment that is neither an ISO date nor a number.
    """
    if column is None and since is None:
        return None
    if column is None or since is None:
        raise ParameterError(
            "Rows of a later time are set aside by a column and by a public date; one of the two is missing.",
            "Give both: --time COLUMN --since 2024-07-01. The date is yours to choose: computed from the rows it would "
            "be private.",
        )
    facts = TimeFacts(column=column, since=since.isoformat() if hasattr(since, "isoformat") else str(since).strip())
    if _number(facts.since) is None and _moment(facts.since) is None:
        raise ParameterError(
            "The moment from which rows are later is neither a date nor a number.",
            "Write --since as 2024-07-01, or 2024-07-01T12:00, or as a number for a column of numbers.",
        )
    return facts


def later_rows(cells: pa.ChunkedArray, asked: TimeFacts) -> NDArray[np.bool_]:
    """Which rows are later; shape (rows,).

    Args:
        cells: the column of time, of a canonical type.
        asked: column and moment.

    Raises:
        DataError: a cell is there and is no date; the message names the column alone.
        ParameterError: the moment is not of the column's kind.
    """
    kind = cells.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    since = _since(asked, numeric=numeric)
    if pa.types.is_boolean(kind):
        raise _no_date(asked.column)
    if numeric:
        reached = pc.greater_equal(cells.cast(pa.float64()), since)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        reached = pc.greater_equal(cells.cast(pa.timestamp("us")).cast(pa.int64()), since)
    else:
        return _texts(cells, asked.column, int(since))
    return values_of(pc.fill_null(reached, fill_value=False))


def cut_in_engine(table: EngineTable, asked: TimeFacts) -> tuple[EngineTable, EngineTable]:
    """(earlier, later) rows of a table in an engine, by the same rule.

    Raises:
        DataError: the column holds text or truth values, which engines would read as dates in their own ways.
        ParameterError: the moment is not of the column's kind.
    """
    kind = table.types[asked.column]
    if kind in ("string", "boolean"):
        raise DataError(
            f"The time column {asked.column!r} holds {kind} cells, and engines differ in what they read as a date.",
            "Cast it to a date in a view, or name another column.",
        )
    since = _since(asked, numeric=kind in ("integer", "float"))
    if kind == "date":  # whole days: on or after a moment is on or after the day that follows what it cuts
        since = -(-since // DAY_MICROSECONDS)
    return cut_at(table, asked.column, since)


def check_parts(parts: Split[Any], asked: TimeFacts) -> None:
    """Refuse a cutoff that leaves too little on one side; how much there is is not said.

    Raises:
        DataError: training, or the later part, has fewer than `FEWEST` rows.
    """
    for part, where in ((parts.train, "before"), (parts.later, "on or after")):
        if part is not None and part.unsafe_num_rows < FEWEST:
            raise DataError(
                f"Fewer than {FEWEST} rows to use have a {asked.column!r} {where} {asked.since}, which shows nothing.",
                "Choose another public date with --since.",
            )


def _since(asked: TimeFacts, *, numeric: bool) -> float:
    since = _number(asked.since) if numeric else _moment(asked.since)
    if since is None:
        wanted = "numbers" if numeric else "dates"
        raise ParameterError(
            f"The column {asked.column!r} holds {wanted}, and the moment to cut it at is none of them.",
            f"Give --since as one of the {wanted} of that column.",
        )
    return since


def _texts(cells: pa.ChunkedArray, column: str, since: int) -> NDArray[np.bool_]:
    coded = cells.combine_chunks().dictionary_encode()
    words = text_of(coded.dictionary.to_pylist())
    days, moments = dates(words), datetimes(words)
    if not (days.valid | moments.valid).all():
        raise _no_date(column)
    when = np.where(days.valid, days.whole * DAY_MICROSECONDS, moments.whole)
    late = np.append(when >= since, False)  # the last one is for missing cells
    reached: NDArray[np.bool_] = late[values_of(pc.fill_null(coded.indices, len(when)))]
    return reached


def _no_date(column: str) -> DataError:
    return DataError(
        f"The time column {column!r} holds something that is no date, so it cannot be said which rows are later.",
        "Write dates as 2024-05-31, declare the column's `kind: date` and `format` in the schema, or name another one.",
    )


def _moment(text: str) -> float | None:
    """Microseconds since 1970 of an ISO date or datetime."""
    word = text_of([text])
    day, moment = dates(word), datetimes(word)
    if day.valid[0]:
        return float(day.whole[0] * DAY_MICROSECONDS)
    return float(moment.whole[0]) if moment.valid[0] else None


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None
