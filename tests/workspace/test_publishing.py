"""Quality is bought where nothing stands in the way of the release, and the purchase puts nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError, ReviewRefused
from dpsynth.workspace import governance
from dpsynth.workspace.figures.figure import sold
from tests.workspace.governed import Governed, copy_of, make_governed


@pytest.fixture(scope="module")
def reviewable(tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return make_governed(tmp_path_factory.mktemp("publishing"))


@pytest.fixture
def made(reviewable: Governed, tmp_path: Path) -> Governed:
    return copy_of(reviewable, tmp_path)


def test_nothing_is_bought_that_reviewers_have_not_seen_and_their_votes_stay(made: Governed, tmp_path: Path) -> None:
    """Votes are on a decision and on what the bundle publishes: neither is exchanged on the way out."""
    made.approved()
    with pytest.raises(ReviewRefused, match="no reviewer has seen") as refused:
        made.draft.release(tmp_path / "out", publish_quality="0.1")
    assert f"dpsynth evaluate {made.name} --publish-quality epsilon=0.1" in refused.value.remedy
    assert made.state == "approved" and sold(made.draft, "marginals") == ()
    made.draft.release(tmp_path / "out")
    assert made.state == "released"


def test_nothing_is_bought_for_rows_that_were_withdrawn_though_the_gate_ships_them(tmp_path: Path) -> None:
    """Without reviews the gate decides, and an owner may take rows back all the same."""
    made = make_governed(tmp_path, reviewers=0, tier=None)
    assert made.workspace.policy().review is None and made.draft.gate().decision == "ship"
    governance.withdraw(made.workspace, made.name, reason="wrong year")
    with pytest.raises(ReviewRefused, match="withdrawn"):
        made.draft.release(tmp_path / "out", publish_quality="0.1")
    assert sold(made.draft, "marginals") == ()


def test_what_ships_is_bought_once_and_stands_in_each_of_its_bundles(tmp_path: Path) -> None:
    made = make_governed(tmp_path, reviewers=0, tier=None)
    for name in ("out", "again"):
        released = made.draft.release(tmp_path / name, publish_quality="0.1")
        assert len(released.document("evidence.json")["figures"]) == len(sold(made.draft, "marginals")) == 1


def test_nothing_is_bought_where_the_release_would_be_refused_for_its_licence(made: Governed, tmp_path: Path) -> None:
    made.approved()
    with pytest.raises(ParameterError, match="licence"):
        made.draft.release(tmp_path / "out", licence="as you, like it", publish_quality="0.1")
    assert sold(made.draft, "marginals") == ()
