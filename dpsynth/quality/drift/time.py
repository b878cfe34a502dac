"""Past and later rows, by a column that says when.

The holdout is cut in two: rows before `since` stay the holdout, rows from then on are the *later* rows. Of the real
training rows those from then on are left out, so that "real" is the past. A synthesizer that was trained on them has
seen the future that it is tested on; nobody but who trained it can rule that out, so it is said as a warning.

>>> table = pd.DataFrame({"day": ["2024-01-01", "2024-02-01", "2024-03-01"], "x": [1, 2, 3]})
>>> split_by_time(table[:2], table, column="day", since="2024-02-15").later["x"].tolist()
[3]

Not guaranteed: that the column holds the time at which a row became known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError, SchemaError

LATER_SHARE = 0.25
"""Of the holdout, where no date is given."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TimeSplit:
    """Real training rows and holdout of the past, later rows of the holdout, and what the reader must know."""

    real: pd.DataFrame
    holdout: pd.DataFrame
    later: pd.DataFrame
    warnings: tuple[str, ...]


def split_by_time(
    real: pd.DataFrame, holdout: pd.DataFrame, *, column: str, since: str | float | None = None
) -> TimeSplit:
    """Cut by a column of dates, times or numbers; rows without a time count as past.

    Args:
        real: training rows.
        holdout: rows that no synthesizer saw.
        column: says when.
        since: the first moment that is later, a date or number; without it the last quarter of the holdout.

    Raises:
        SchemaError: no such column.
        DataError: the column holds something that is no date and no number, or one of the parts would be empty.
        ParameterError: `since` is not of the column's kind.
    """
    for name, frame in (("real", real), ("holdout", holdout)):
        if column not in frame.columns:
            raise SchemaError(f"The {name} table has no time column {column!r}.", "Name a column of dates or numbers.")
    numeric = pd.api.types.is_numeric_dtype(real[column]) and not pd.api.types.is_bool_dtype(real[column])
    moments = {
        name: moments_of(frame[column], numeric=numeric, table=name)
        for name, frame in (("real", real), ("holdout", holdout))
    }
    cut = _cut(moments["holdout"], since, column=column, numeric=numeric)
    late = {name: values >= cut for name, values in moments.items()}  # NaN is not later
    parts = {"past real": ~late["real"], "past holdout": ~late["holdout"], "later holdout": late["holdout"]}
    for name, mask in parts.items():
        if not mask.any():
            raise DataError(f"Cut by {column!r}, there are no {name} rows.", "Choose another moment with --since.")
    warnings = []
    if late["real"].any():
        warnings.append(
            f"Training rows reach into the later time of {column!r}: a synthesizer that was trained on them has seen "
            "the time that it is tested on, so its later figures are too good, and fidelity is held against the past "
            "alone. Hold later rows out of training."
        )
    return TimeSplit(
        real=real.loc[~late["real"]],
        holdout=holdout.loc[~late["holdout"]],
        later=holdout.loc[late["holdout"]],
        warnings=tuple(warnings),
    )


def moments_of(cells: pd.Series, *, numeric: bool, table: str) -> NDArray[np.float64]:
    """Moments as numbers (dates: seconds since 1970), NaN where missing; shape (rows,).

    Raises:
        DataError: a cell is neither missing nor a date (a number); the message names the column alone.
    """
    try:
        if numeric:
            numbers: NDArray[np.float64] = pd.to_numeric(cells, errors="raise").to_numpy(np.float64, na_value=np.nan)
            return numbers
        if not pd.api.types.is_datetime64_any_dtype(cells):
            cells = pd.to_datetime(cells.astype(object), errors="raise", format="mixed", utc=True)
        if isinstance(cells.dtype, pd.DatetimeTZDtype):
            cells = cells.dt.tz_convert(None)
        stamps = cells.to_numpy().astype("datetime64[us]")
    except (ValueError, TypeError, OverflowError):
        wanted = "a number" if numeric else "a date"
        raise DataError(
            f"The time column {cells.name!r} of the {table} table holds something that is not {wanted}.",
            "Write it as ISO dates (2024-05-31) or as numbers, or name another column.",
        ) from None  # pandas names the cell
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)


def _cut(moments: NDArray[np.float64], since: Any, *, column: str, numeric: bool) -> float:
    if since is None:
        seen = moments[~np.isnan(moments)]
        if not seen.size:
            raise DataError(f"The time column {column!r} is missing in every row of the holdout.", "Name another one.")
        return float(np.quantile(seen, 1 - LATER_SHARE))
    try:
        if numeric:
            return float(since)
        return float(moments_of(pd.Series([since], name=column), numeric=False, table="holdout")[0])
    except (ValueError, DataError) as error:
        wanted = "a number" if numeric else "a date"
        raise ParameterError(f"The moment to cut {column!r} at is not {wanted}, as the column is.") from error
