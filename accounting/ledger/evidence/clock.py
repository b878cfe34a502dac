"""Claimed times that run backwards: shown, never refused.

Order is by position; `time` is what the writing machine said. A clock that was set back changes nothing that is
proved, but a reader should hear of it, since times are what people remember. Two machines with synchronised clocks may
differ by a second, which is not reported.

>>> [(step.seq, step.time) for step in set_back([(0, "2026-01-02T00:00:00Z"), (1, "2026-01-01T00:00:00Z")])]
[(1, '2026-01-01T00:00:00Z')]

Not guaranteed: that times are true where they run forwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from accounting.ledger.entry import Entry

SKEW = timedelta(seconds=1)
_FORM = "%Y-%m-%dT%H:%M:%SZ"


class ClockStep(NamedTuple):
    """An entry that claims an earlier time than one before it, or none that can be read."""

    seq: int
    time: str
    latest: str

    def sentence(self) -> str:
        """For people."""
        if not self.latest:
            return f"Entry {self.seq} claims a time that cannot be read."
        return f"Entry {self.seq} claims {self.time}, after an entry that claims {self.latest}: a clock was set back."


def times_of(entries: Iterable[Entry]) -> list[tuple[int, object]]:
    """Place and claimed time of each entry."""
    return [(entry.seq, entry.body.get("time")) for entry in entries]


def set_back(times: Iterable[tuple[int, object]]) -> list[ClockStep]:
    """Each entry that claims to be older than the latest time claimed before it; of a row of them the first.

    Args:
        times: place and claimed time, in order; of a slice, of what it discloses.
    """
    found: list[ClockStep] = []
    latest, behind = None, False
    for seq, claimed in times:
        try:
            time = datetime.strptime(claimed, _FORM) if isinstance(claimed, str) else None
        except ValueError:
            time = None
        if time is None:
            found.append(ClockStep(seq, str(claimed)[:40], ""))
            continue
        if latest is not None and time < latest - SKEW:
            if not behind:
                found.append(ClockStep(seq, time.strftime(_FORM), latest.strftime(_FORM)))
            behind = True
            continue
        latest, behind = time if latest is None else max(time, latest), False
    return found
