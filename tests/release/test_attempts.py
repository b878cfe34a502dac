"""Rule 6: every attempt is counted, also those that cost no budget."""

from __future__ import annotations

from accounting.ledger.entry import Entry
from dpsynth.release.entries import attempts


def entry(seq: int, kind: str, **body: object) -> Entry:
    """One entry; of its place in the chain nothing is read."""
    return Entry(seq=seq, prev_hash="", body={"kind": kind, **body}, hash="", signature="", key_id="")


def story(*steps: tuple[str, str, str]) -> list[Entry]:
    """Entries of (kind, draft, reservation)."""
    return [
        entry(seq, kind, draft=draft, draft_digest=draft, reservation_id=run)
        for seq, (kind, draft, run) in enumerate(steps)
    ]


FIRST = [("commit", "", "r1"), ("attempt", "d1", "r1"), ("attack", "d1", "r1"), ("release", "d1", "r1")]


def test_pieces_of_one_model_are_attempts_of_one_model() -> None:
    """Rows of one half, released, then of the other: the second release is not a first attempt."""
    steps = [*FIRST, ("attempt", "d2", "r1"), ("attack", "d2", "r1"), ("release", "d2", "r1"), ("attempt", "d3", "r1")]
    assert attempts(story(*steps), "d3") == (3, 2)


def test_another_run_starts_anew_after_a_release() -> None:
    steps = [*FIRST, ("commit", "", "r2"), ("attempt", "d2", "r2"), ("attack", "d2", "r2")]
    assert attempts(story(*steps), "d2") == (1, 1)
    assert attempts(story(*FIRST), "d1") == (1, 1)
