"""What votes come to, cell by cell."""

from __future__ import annotations

import pytest

from accounting.ledger.review import Vote
from dpsynth.release.reviews import outcome

# Rows: approving votes 0 to 3; columns: returning votes 0 to 3. a: approve, r: return, -: more are needed.
COMES_TO = {
    1: ("-rrr", "a-rr", "aarr", "aarr"),
    2: ("--rr", "--rr", "aarr", "aarr"),
    3: ("--rr", "--rr", "--rr", "aarr"),
}


@pytest.mark.parametrize("approvals", COMES_TO)
def test_two_who_return_it_outweigh_approvals_and_one_is_outvoted_by_two(approvals: int) -> None:
    words = {"a": Vote.APPROVE, "r": Vote.RETURN, "-": None}
    for for_, row in enumerate(COMES_TO[approvals]):
        for against, cell in enumerate(row):
            votes = {Vote.APPROVE: for_, Vote.RETURN: against}
            assert outcome(approvals, votes) is words[cell], (for_, against)
            assert outcome(approvals, {**votes, Vote.REJECT: 1}) is Vote.REJECT, (for_, against)
    assert outcome(approvals, {}) is None
