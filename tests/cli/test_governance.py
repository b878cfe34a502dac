"""Reviews by command: the whole way of a public draft, and refusals with their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dpsynth.cli.app import call
from dpsynth.workspace import Workspace
from tests.workspace.governed import Governed, copy_of, make_governed


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return make_governed(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def governed(prepared: Governed, tmp_path: Path) -> Governed:
    return copy_of(prepared, tmp_path)


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = call([*(str(word) for word in words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_public_draft_leaves_after_two_sealed_votes_and_comes_back_by_a_notice(
    governed: Governed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where, name = ("-w", governed.workspace.layout.root), governed.name
    bundle, notice = tmp_path / "bundle", tmp_path / "notice.json"

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        return _run(capsys, *words, *where)

    code, refused = run("release", name, "-o", bundle)
    assert code == 7
    assert refused["error"]["type"] == "ReviewRefused"
    for number in (0, 1):
        code, said = run("review", name, "--key", governed.keys[number], "--vote", "approve", "--reason", "limits hold")
        assert (code, said["state"]) == (0, "attacked")
    assert len(said["sealed"]) == 2
    assert run("approve", name)[0] == 7
    for number in (0, 1):
        code, said = run("review", "open", name, "--key", governed.keys[number])
    assert said["state"] == "reviewed"
    assert run("approve", name)[1]["state"] == "approved"
    code, shown = run("show")
    assert shown["drafts"][0]["state"] == "approved"
    assert run("release", name, "-o", bundle)[0] == 0
    key = governed.workspace.layout.release_public_key
    code, verified = _run(capsys, "verify", bundle, "--key", key)
    assert code == 0
    assert len(verified["governance"]["reviews"]) == 2
    assert "limits hold" not in json.dumps(verified["governance"])  # the reason of a vote is not put forward
    code, _ = run("recall", name, "--reason", "a source was wrong", "-o", notice)
    assert code == 0
    code, verified = _run(capsys, "verify", bundle, "--key", key, "--recalls", notice)
    assert (code, verified["checks"][-1]["code"]) == (5, "recalled")
    assert run("show")[1]["drafts"][0]["state"] == "recalled"


def test_a_reviewers_key_in_the_workspace_is_refused(governed: Governed, capsys: pytest.CaptureFixture[str]) -> None:
    inside = governed.workspace.layout.keys / "generate.key"
    words = ("--key", inside, "--vote", "approve", "--reason", "mine", "-w", governed.workspace.layout.root)
    code, said = _run(capsys, "review", governed.name, *words)
    assert code == 1
    assert "in the workspace" in said["error"]["message"]


def test_a_copy_of_the_generators_key_reviews_nothing(
    governed: Governed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    taken = tmp_path / "taken.key"
    taken.write_bytes((governed.workspace.layout.keys / "generate.key").read_bytes())
    taken.chmod(0o600)
    words = ("--key", taken, "--vote", "approve", "--reason", "mine", "-w", governed.workspace.layout.root)
    code, said = _run(capsys, "review", governed.name, *words)
    assert code == 1
    assert "generate key" in said["error"]["message"]


def test_a_withdrawn_draft_stays(governed: Governed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ("-w", governed.workspace.layout.root)
    code, said = _run(capsys, "withdraw", governed.name, "--reason", "not needed", *where)
    assert (code, said["state"]) == (0, "withdrawn")
    assert _run(capsys, "release", governed.name, "-o", tmp_path / "out", *where)[0] == 7


def test_an_appeal_names_a_rule_that_the_policy_lists(governed: Governed, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--rule", "attack_limits", "--owner", "C", "--reason", "please", "-w", governed.workspace.layout.root)
    code, said = _run(capsys, "appeal", governed.name, *words)
    assert code == 7
    assert "Privacy is never waived" in said["error"]["remedy"]


@pytest.mark.parametrize("tier", ["internal", "restricted", "public"])
def test_init_writes_the_policy_of_a_tier(capsys: pytest.CaptureFixture[str], tmp_path: Path, tier: str) -> None:
    assert _run(capsys, "init", tmp_path / tier, "--tier", tier)[0] == 0
    policy = Workspace.open(tmp_path / tier).policy()
    assert policy.recipient == tier
    assert policy.review is not None
    assert policy.review.approvals == (2 if tier == "public" else 1)
    assert policy.review.blinded == (tier == "public")


def test_an_unknown_tier_leaves_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said = _run(capsys, "init", tmp_path / "x", "--tier", "secret")
    assert code == 1
    assert "internal, restricted, public" in said["error"]["remedy"]
    assert not (tmp_path / "x").exists()


def test_a_run_file_takes_no_decision_anew_that_votes_rest_on(governed: Governed) -> None:
    from dpsynth.workspace.run import _decided

    governed.vote(0)
    before = governed.workspace.ledger().head()
    assert _decided(governed.draft) == "ship"
    assert governed.workspace.ledger().head() == before
    governed.evaluate()
    assert _decided(governed.draft) == "ship"
    assert governed.workspace.ledger().head().seq > before.seq + 1
