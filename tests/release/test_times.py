"""Entries are as old as the latest time claimed before them, whatever a clock did; times are read in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.ledger.entry import Entry
from dpsynth.release.standing import EARLIEST, read_time, stamp, times

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda one: one.replace(microsecond=0))


def _entry(seq: int, time: object) -> Entry:
    return Entry(seq=seq, prev_hash="", body={"kind": "policy", "time": time}, hash="", signature="", key_id="")


@given(st.lists(MOMENTS, max_size=8))
def test_no_entry_is_younger_than_one_after_it(claimed: list[datetime]) -> None:
    written = [one.replace(tzinfo=UTC) for one in claimed]
    clock = times([_entry(3 + place, stamp(one)) for place, one in enumerate(written)])
    assert clock == {3 + place: max(written[: place + 1]) for place in range(len(written))}


@given(MOMENTS, st.integers(-12, 12))
def test_a_time_is_read_back_as_it_was_written(moment: datetime, hours: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert read_time(stamp(there)) == there
    assert stamp(there).endswith("Z") and read_time(stamp(there)).utcoffset() == timedelta(0)
    assert read_time(moment.isoformat()) == moment.replace(tzinfo=UTC), "without a zone it is UTC"
    assert read_time(there.isoformat()) == there


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2026-13-01T00:00:00Z", "Z", b"2026-01-01"])
def test_what_is_no_time_is_the_epoch(text: object) -> None:
    assert read_time(text) == EARLIEST == datetime(1970, 1, 1, tzinfo=UTC)
    assert times([_entry(0, text)]) == {0: EARLIEST}
