"""Quality is bought where nothing stands in the way of the release, and the purchase puts nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError, ReviewRefused
from dpsynth.workspace import governance
from dpsynth.workspace.figures import sold
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


@pytest.mark.parametrize("way", ["nobody voted", "withdrawn", "attacked anew"])
def test_nothing_is_bought_for_a_draft_that_people_have_not_let_go(made: Governed, tmp_path: Path, way: str) -> None:
    if way != "nobody voted":
        made.approved()
    if way == "withdrawn":
        governance.withdraw(made.workspace, made.name, reason="wrong year")
    if way == "attacked anew":
        made.attack()
        made.draft.gate()
    with pytest.raises(ReviewRefused):
        made.draft.release(tmp_path / "out", publish_quality="0.1")
    assert sold(made.draft, "marginals") == ()


def test_nothing_is_bought_where_the_release_would_be_refused_for_its_licence(made: Governed, tmp_path: Path) -> None:
    made.approved()
    with pytest.raises(ParameterError, match="licence"):
        made.draft.release(tmp_path / "out", licence="as you, like it", publish_quality="0.1")
    assert sold(made.draft, "marginals") == ()
