"""Acts of people at their seams: whose votes count, where sealed votes are kept, what a name calls back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting import Signer
from dpsynth.core.errors import GateRefused, ParameterError, ReviewRefused, WorkspaceError
from dpsynth.workspace import Workspace, governance
from tests.workspace.governed import Governed, copy_of, make_governed


@pytest.fixture(scope="module")
def reviewable(tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return make_governed(tmp_path_factory.mktemp("governance"))


@pytest.fixture
def made(reviewable: Governed, tmp_path: Path) -> Governed:
    return copy_of(reviewable, tmp_path)


def test_only_named_reviewers_vote_or_let_a_vote_be_opened(tmp_path: Path) -> None:
    """An owner's third key, which the policy does not name, would else show the first vote to the second reviewer."""
    made = make_governed(tmp_path, named=(0, 1))
    with pytest.raises(ReviewRefused, match="names the reviewers"):
        made.vote(2)
    assert not governance.standing(made.workspace, made.name).sealed
    with made.workspace.ledger(write=True) as ledger:
        place = (made.draft.document.budget_id, made.name)
        ledger.seal_vote(*place, vote="approve", reason="r", of=2, reviewer=Signer.load(made.keys[2]))
    made.vote(0)
    with pytest.raises(ReviewRefused, match=r"Expected 2 sealed votes by reviewers.* 1 "):
        made.open(0)
    made.vote(1)
    assert len(made.open(0).votes) == 1


def test_keys_of_one_name_beside_each_other_keep_their_own_votes(made: Governed) -> None:
    """`office.ada` and `office.bob` would share `office.votes`, and one would lose a vote."""
    for number, name in enumerate(("office.ada", "office.bob")):
        made.keys[number] = made.keys[number].rename(made.people / name)
    made.approved()
    assert made.state == "approved"


def test_a_vote_that_could_not_be_kept_is_not_sealed(made: Governed) -> None:
    made.keys[0].with_name(f"{made.keys[0].name}.votes").write_text("in the way")
    before = len(_entries(made))
    with pytest.raises(WorkspaceError, match="nothing can be written"):
        made.vote(0)
    assert len(_entries(made)) == before


def test_a_key_in_the_workspace_reviews_nothing_by_whatever_way_it_is_reached(made: Governed, tmp_path: Path) -> None:
    inside = made.workspace.layout.root / "reviewer.key"
    inside.write_bytes(made.keys[0].read_bytes())
    link, alias = tmp_path / "link.key", tmp_path / "alias"
    link.symlink_to(inside)
    alias.symlink_to(made.workspace.layout.root)
    for workspace, key in (
        (made.workspace, inside),
        (made.workspace, link),
        (Workspace.open(alias), inside),
        (Workspace.open(alias), alias / "reviewer.key"),
    ):
        with pytest.raises(ParameterError, match="in the workspace"):
            governance.review(workspace, made.name, key=key, vote="approve", reason="mine")


# --- what leaves before people have agreed, and what is called back ---


def test_the_public_report_waits_for_the_reviews(made: Governed, tmp_path: Path) -> None:
    with pytest.raises((ReviewRefused, GateRefused)):
        made.draft.report(tmp_path / "early.html", public=True)
    made.approved()
    made.draft.report(tmp_path / "approved.html", public=True)
    governance.withdraw(made.workspace, made.name, reason="wrong year")
    with pytest.raises((ReviewRefused, GateRefused), match="withdrawn"):
        made.draft.report(tmp_path / "withdrawn.html", public=True)
    assert [path.name for path in tmp_path.glob("*.html")] == ["approved.html"]


def test_a_draft_is_called_back_once_and_says_so(made: Governed, tmp_path: Path) -> None:
    made.approved()
    made.draft.release(tmp_path / "out")
    governance.recall(made.workspace, made.name, reason="wrong year")
    assert made.draft.status == "recalled"
    with pytest.raises(ReviewRefused, match="called back already"):
        governance.recall(made.workspace, made.name, reason="again")
    with pytest.raises((ReviewRefused, GateRefused), match="recalled"):
        made.draft.report(tmp_path / "recalled.html", public=True)


def test_a_withdrawn_draft_says_so(made: Governed) -> None:
    governance.withdraw(made.workspace, made.name, reason="wrong year")
    assert made.draft.status == "withdrawn"


def test_figures_are_bought_before_reviewers_look(made: Governed, tmp_path: Path) -> None:
    """What a bundle publishes is what they have seen."""
    from dpsynth.workspace.figures.figure import sold
    from dpsynth.workspace.figures.publishing import buy_quality

    made.vote(0)
    with pytest.raises(ReviewRefused, match="votes"):
        buy_quality(made.draft, "0.1")
    with pytest.raises(ReviewRefused, match="votes"):
        made.draft.buy_figure("marginals", epsilon="0.1")
    assert sold(made.draft, "marginals") == ()
    made.draft.gate()
    bought = buy_quality(made.draft, "0.1")
    assert buy_quality(made.draft, "0.1") == bought
    made.approved()
    made.draft.release(tmp_path / "out", publish_quality="0.1")
    assert made.state == "released" and len(sold(made.draft, "marginals")) == 1


def _entries(made: Governed) -> list[object]:
    with made.workspace.ledger() as ledger:
        return list(ledger.entries())


def test_the_command_buys_before_the_votes_and_is_refused_after(
    made: Governed, capsys: pytest.CaptureFixture[str]
) -> None:
    from dpsynth.cli.app import call

    home = str(made.workspace.layout.root)
    asked = ["evaluate", made.name, "--publish-quality", "epsilon=0.1", "-w", home, "--json"]
    made.vote(0)
    assert call(asked) == 7
    assert "dpsynth gate" in capsys.readouterr().err
    made.draft.gate()
    assert call(asked) == 0
    bought = json.loads(capsys.readouterr().out)
    assert float(bought["published_quality"]["epsilon"]) == pytest.approx(0.1, abs=1e-4)
    made.approved()
    assert made.state == "approved"
    assert call(["evaluate", "--publish-quality", "epsilon=0.1", "-w", home]) == 2


def test_a_run_file_buys_before_anybody_votes_and_not_after(made: Governed) -> None:
    from dpsynth.workspace.figures.figure import sold
    from dpsynth.workspace.run import _buy_before_reviews

    made.vote(0)
    _buy_before_reviews(made.draft, "0.1")
    assert sold(made.draft, "marginals") == ()
    made.draft.gate()
    _buy_before_reviews(made.draft, "0.1")
    assert len(sold(made.draft, "marginals")) == 1
