"""Calendar parts: what the intervals of a wide date or datetime column forget.

An interval of the 1-way histogram is days or weeks wide. A uniform draw inside it has Sundays although no row has one,
spreads what stands on the 1st over the month, and loses the working hours. So the rows of the intervals are counted
once more by parts of the calendar, each a histogram whose outcomes are public:

    weekday   7          Monday first
    day       32         1-31, and 1 January by itself (dates of which only the year is known)
    month     12         where an interval is wider than two weeks
    clock     24 x 6     the hour, and how round the moment is: full hour, quarter, five minutes, minute, second, finer

Which parts are asked follows from the schema alone. Each row of an interval falls in one outcome of each part: the
sensitivity is k in L2 a part, for a unit of at most k rows under add/remove, and the event is one discrete Gaussian a
part. Spikes and missing cells are not counted. `moments` draws by these parts.

>>> from dpsynth.schema.model import ColumnSpec
>>> calendar_parts(ColumnSpec(kind="date"))
('weekday', 'day', 'month')
>>> calendar_parts(ColumnSpec(kind="date", min="2020-01-01", max="2020-12-31"))  # every day has its own cell
()

Not guaranteed: how parts go together, beyond hour and roundness: days are drawn as if weekday, day and month acted
independently of each other; and patterns that change with the years or with another column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpsynth.schema.domain import GridDomain, known_domain
from dpsynth.schema.model import ColumnSpec
from dpsynth.tabular.columns.cells import DAY, HOUR, MINUTE, even_layout, ticks_per_second
from dpsynth.tabular.columns.parts import ROUNDNESS, Part

FORTNIGHT = 14
_MINUTES = np.arange(60)
ROUND_MINUTES: tuple[NDArray[np.int64], ...] = (
    _MINUTES[:1],
    _MINUTES[15::15],
    _MINUTES[(_MINUTES % 5 == 0) & (_MINUTES % 15 != 0)],
    _MINUTES[_MINUTES % 5 != 0],
)
"""Minutes of the first four classes of roundness: full hour, quarter, five minutes, minute."""
CLASS_OF_MINUTE = np.select([np.isin(_MINUTES, held) for held in ROUND_MINUTES], [0, 1, 2, 3])


def calendar_parts(spec: ColumnSpec) -> tuple[Part, ...]:
    """The parts that are asked of a column, from public facts alone."""
    if spec.kind not in ("date", "datetime"):
        return ()
    days: tuple[Part, ...] = ("weekday", "day", "month")
    domain = known_domain(spec)
    if not isinstance(domain, GridDomain):
        return days if spec.kind == "date" else (*days, "clock")
    return parts_within(domain)


def parts_within(domain: GridDomain) -> tuple[Part, ...]:
    """The parts that the intervals of a known grid leave open."""
    width, _ = even_layout(domain)
    if domain.kind not in ("date", "datetime") or width == 1:
        return ()
    day = ticks_per_day(domain)
    clock: tuple[Part, ...] = ()
    if domain.kind == "datetime":
        second = ticks_per_second(domain)
        if not second or width < MINUTE * second:
            return ()
        clock = ("clock",)
    if width < day:
        return clock
    month: tuple[Part, ...] = ("month",) if width > FORTNIGHT * day else ()
    return ("weekday", "day", *month, *clock)


def ticks_per_day(domain: GridDomain) -> int:
    """Ticks of a date or datetime grid in a day."""
    return 1 if domain.kind == "date" else DAY * ticks_per_second(domain)


def outcome_of_days(part: Part, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weekday, day or month of days since 1970, shape (days,)."""
    if part == "weekday":
        return (days + 3) % 7
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12
    if part == "month":
        return month
    day = (dates - months.astype("datetime64[D]")).astype(np.int64)
    return np.where((day == 0) & (month == 0), 31, day)


def clock_of(ticks: NDArray[np.int64], second: int) -> NDArray[np.int64]:
    """Hour and roundness, `hour * ROUNDNESS + class`, of ticks since 1970; `second` ticks make a second."""
    of_day = ticks % (DAY * second)
    hour, rest = np.divmod(of_day, HOUR * second)
    minute = rest // (MINUTE * second)
    whole_second = rest % second == 0
    whole_minute = rest % (MINUTE * second) == 0
    roundness = np.where(whole_minute, CLASS_OF_MINUTE[minute], np.where(whole_second, 4, 5))
    return hour * ROUNDNESS + roundness


def uniform_roundness(second: int) -> NDArray[np.float64]:
    """Share of each class of roundness among all moments of an hour, shape (ROUNDNESS,)."""
    minutes = [len(held) for held in ROUND_MINUTES]
    return np.array([*minutes, HOUR - 60, HOUR * (second - 1)], dtype=np.float64) / (HOUR * second)
