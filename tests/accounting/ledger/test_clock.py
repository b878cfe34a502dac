"""A clock that was set back is shown where it was, once each time; a second is no step. And two copies, in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.ledger.evidence.clock import SKEW, ClockStep, set_back
from accounting.ledger.evidence.compare import Comparison, Relationship

START = datetime(2026, 11, 23)


def _told(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@given(st.lists(st.integers(0, 9), max_size=12))
def test_each_time_that_a_clock_fell_behind_is_shown_at_its_first_entry(seconds: list[int]) -> None:
    behind = [any(now < before - 1 for before in seconds[:at]) for at, now in enumerate(seconds)]
    first = [at for at, late in enumerate(behind) if late and not (at and behind[at - 1])]
    found = set_back((10 + at, _told(now)) for at, now in enumerate(seconds))
    assert [step.seq for step in found] == [10 + at for at in first]
    for step, at in zip(found, first, strict=True):
        latest = max(now for now, late in zip(seconds[:at], behind, strict=False) if not late)
        assert (step.time, step.latest) == (_told(seconds[at]), _told(latest))
        assert f"Entry {step.seq} claims {step.time}, after" in step.sentence() and step.latest in step.sentence()
    assert timedelta(seconds=1) == SKEW


@pytest.mark.parametrize("claimed", [None, 5, "", "yesterday", "2026-11-23T00:00:00", "2026-11-23T00:00:00+00:00"])
def test_a_time_that_cannot_be_read_is_shown_and_moves_no_clock(claimed: Any) -> None:
    found = set_back([(0, _told(5)), (1, claimed), (2, _told(5)), (3, claimed)])
    assert found == [ClockStep(1, str(claimed)[:40], ""), ClockStep(3, str(claimed)[:40], "")]
    assert "cannot be read" in found[0].sentence() and found[0].sentence().startswith("Entry 1 ")
    assert set_back([(0, "x" * 100)])[0].time == "x" * 40


def test_two_copies_are_told_apart_in_words() -> None:
    told = {one: Comparison(relationship=one, shared=37).sentence() for one in Relationship}
    assert len(set(told.values())) == 4 and all("37" in sentence for sentence in told.values())
    assert told[Relationship.SAME].startswith("Both") and told[Relationship.FORK].startswith("FORK")
    assert told[Relationship.FIRST_OLDER].startswith("The first ends")
    assert told[Relationship.SECOND_OLDER].startswith("The second ends")
    words = {"same", "first_older", "second_older", "fork"}
    assert {one.value for one in Relationship} == words
