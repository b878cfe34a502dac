"""Dates and datetimes from text: ISO 8601, or one declared strptime format. No guess between day and month.

ISO here is `YYYY-MM-DD`, and `YYYY-MM-DD` + `T` or blank + `hh:mm[:ss[.ffffff]]` + optional `Z` or
`±hh:mm`. Every field is checked against the calendar (proleptic Gregorian, years 1 to 9999), so 2023-02-29
and 9999-99-99 are not dates. All work is on distinct values, vectorised.

>>> dates(pa.array(["1970-01-02", "2023-02-29"])).valid.tolist()
[True, False]

Not guaranteed: leap seconds (`:60` is not valid) and times before time zones; an offset is taken as written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import missing_of, text_of, values_of

DATE = r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
TIME = r"(?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?"
ZONE = r"(?P<z>Z|(?P<zs>[+-])(?P<zh>[0-9]{2}):?(?P<zm>[0-9]{2}))?"
DAY_MICROSECONDS = 86_400_000_000
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parsed:
    """What distinct texts mean.

    Attributes:
        whole: days, or microseconds in UTC, since 1970; int64; 0 where not valid.
        shaped: the text has the shape of a date or datetime.
        valid: it is one.
        zoned: it names an offset.
    """

    whole: NDArray[np.int64]
    shaped: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    zoned: NDArray[np.bool_]


def dates(texts: pa.StringArray) -> Parsed:
    """ISO dates as days."""
    parts = pc.extract_regex(texts, f"^{DATE}$")
    days, valid = _days(parts)
    none = np.zeros(len(texts), dtype=bool)
    return Parsed(whole=np.where(valid, days, 0), shaped=_shaped(parts), valid=valid, zoned=none)


def datetimes(texts: pa.StringArray) -> Parsed:
    """ISO datetimes as microseconds; those with an offset are moved to UTC."""
    parts = pc.extract_regex(texts, f"^{DATE}[T ]{TIME}{ZONE}$")
    days, valid = _days(parts)
    hour, minute, second = (_number(parts, name) for name in ("H", "M", "S"))
    padded = pc.utf8_rpad(parts.field("f"), 6, "0")
    micro = _integers(padded)
    zh, zm = _number(parts, "zh"), _number(parts, "zm")
    sign = np.where(_is(parts, "zs", "-"), -1, 1)
    valid &= (hour < 24) & (minute < 60) & (second < 60) & (zh < 24) & (zm < 60)
    seconds = hour * 3600 + minute * 60 + second - sign * (zh * 3600 + zm * 60)
    whole = days * DAY_MICROSECONDS + seconds * 10**6 + micro
    zoned = _shaped(parts) & ~_is(parts, "z", "")
    return Parsed(whole=np.where(valid, whole, 0), shaped=_shaped(parts), valid=valid, zoned=zoned)


def by_format(texts: pa.StringArray, layout: str, *, days: bool) -> Parsed:
    """Texts of one strptime format: days if `days`, else microseconds."""
    whole = np.zeros(len(texts), dtype=np.int64)
    valid = np.zeros(len(texts), dtype=bool)
    zoned = np.zeros(len(texts), dtype=bool)
    for place, text in enumerate(texts.to_pylist()):
        try:
            moment = datetime.strptime(text, layout)
        except ValueError:
            continue
        zoned[place] = moment.tzinfo is not None
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        since = moment - EPOCH
        whole[place] = (
            since.days if days else since.days * DAY_MICROSECONDS + since.seconds * 10**6 + since.microseconds
        )
        valid[place] = True
    return Parsed(whole=whole, shaped=valid, valid=valid, zoned=zoned)


def _days(parts: pa.StructArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    year, month, day = (_number(parts, name) for name in ("y", "m", "d"))
    valid = _shaped(parts) & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid &= day <= after - first
    return first + day - 1, valid


def _shaped(parts: pa.StructArray) -> NDArray[np.bool_]:
    return ~missing_of(parts)


def _is(parts: pa.StructArray, name: str, text: str) -> NDArray[np.bool_]:
    return values_of(pc.equal(pc.struct_field(parts, name), text_of([text])[0]))


def _number(parts: pa.StructArray, name: str) -> NDArray[np.int64]:
    return _integers(pc.struct_field(parts, name))


def _integers(texts: pa.Array) -> NDArray[np.int64]:
    """Digits as numbers; empty and null are 0."""
    empty, zero = text_of(["", "0"])
    return values_of(pc.if_else(pc.equal(texts, empty), zero, texts).cast(pa.int64()))
