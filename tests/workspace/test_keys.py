"""Keys change while a workspace lives: what is in force, what verifies, and what a crash leaves."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from accounting.ledger import Ledger, Signer
from accounting.ledger.errors import EntryRefused, KeyRefused
from dpsynth.cli.app import call
from dpsynth.core.errors import WorkspaceError
from dpsynth.workspace import Workspace
from dpsynth.workspace.keys import rotate_ledger_key


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "vault")


def run(capsys: pytest.CaptureFixture[str], ws: Workspace, *words: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = call(["keys", *map(str, words), "-w", str(ws.layout.root), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_rotated_key_takes_the_old_ones_place_and_the_old_one_writes_nothing(
    ws: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Signer.load(ws.layout.ledger_key)
    code, made = run(capsys, ws, "rotate", "--reason", "the yearly change")
    assert code == 0
    now = Signer.load(ws.layout.ledger_key)
    assert made["public_key"] == now.public_bytes.hex() != first.public_bytes.hex()
    assert not ws.layout.next_ledger_key.exists()
    retired = Path(made["retired"])
    for path, mode in ((ws.layout.ledger_key, 0o600), (retired, 0o600), (retired.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    with pytest.raises(KeyRefused, match="rotated away"):
        Ledger.open(ws.layout.ledger, signer=Signer.load(retired))
    with ws.ledger(write=True) as ledger:
        ledger.append("policy", {"digest": "0"})
        ledger.verify(all_signatures=True)
    _, shown = run(capsys, ws, "show")
    assert [key["in_force"] for key in shown["ledger"]] == [False, True]
    assert [key["role"] for key in shown["keys"]] == ["release"]


@pytest.mark.parametrize("after", ["before the entry", "after the entry", "before the rename"])
def test_a_rotation_that_broke_off_is_ended_by_running_it_again(ws: Workspace, after: str) -> None:
    new = Signer.generate()
    new.save(ws.layout.next_ledger_key)
    old = Signer.load(ws.layout.ledger_key)
    if after != "before the entry":
        with ws.ledger(write=True) as ledger:
            ledger.rotate(new, "change")
        if after == "before the rename":
            (ws.layout.keys / "retired").mkdir(mode=0o700)
            (ws.layout.keys / "retired" / f"ledger-{old.key_id}.key").hardlink_to(ws.layout.ledger_key)
        with pytest.raises(WorkspaceError, match="broke off"):
            ws.ledger(write=True)
    made = rotate_ledger_key(ws, "change")
    assert made.public_key == new.public_bytes == Signer.load(ws.layout.ledger_key).public_bytes
    with ws.ledger() as ledger:
        assert [key.public_key for key in ledger.ledger_keys()] == [old.public_bytes, new.public_bytes]


def test_a_lost_ledger_key_is_recovered_with_a_key_kept_elsewhere(
    ws: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spare = tmp_path / "elsewhere.key"
    assert run(capsys, ws, "recovery", "-o", ws.layout.keys / "here.key")[0] == 1
    assert run(capsys, ws, "recovery", "-o", spare)[0] == 0
    assert stat.S_IMODE(spare.stat().st_mode) == 0o600
    ws.layout.ledger_key.unlink()
    code, refused = run(capsys, ws, "recover", ws.layout.release_key, "--reason", "disk lost")
    assert (code, "may not recover" in refused["error"]["message"]) == (1, True)
    code, made = run(capsys, ws, "recover", spare, "--reason", "disk lost")
    assert (code, made["retired"]) == (0, None)
    with ws.ledger(write=True) as ledger:
        ledger.append("policy", {"digest": "0"})
        ledger.verify(all_signatures=True)


def test_a_revoked_release_key_is_replaced_and_never_comes_back(
    ws: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = Signer.load(ws.layout.release_key)
    assert run(capsys, ws, "revoke", old.key_id, "--reason", "laptop lost")[0] == 0
    new = Signer.load(ws.layout.release_key)
    with ws.ledger() as ledger:
        keys = ledger.keys()
    assert keys[old.key_id].revoked is not None and keys[new.key_id].revoked is None
    assert run(capsys, ws, "revoke", old.key_id, "--reason", "again")[0] == 1
    old.save_public(tmp_path / "old.pub")
    code, refused = run(capsys, ws, "add", tmp_path / "old.pub", "--role", "release")
    assert (code, "added twice" in refused["error"]["message"]) == (1, True)


def test_a_reviewers_and_a_budget_holders_key_are_added_and_no_other_role(
    ws: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for role, code in (("review", 0), ("budget", 0), ("root", 1)):
        path = tmp_path / f"{role}.pub"
        Signer.generate().save_public(path)
        assert run(capsys, ws, "add", path, "--role", role)[0] == code


def test_a_key_that_somebody_else_rotated_away_is_refused_with_the_way_on(ws: Workspace) -> None:
    with ws.ledger(write=True) as ledger:
        ledger.rotate(Signer.generate(), "by a colleague")
    for _ in range(2):  # nothing of the attempt is left, so the message stays the same
        with pytest.raises(KeyRefused, match="present key"):
            rotate_ledger_key(ws, "mine")
        assert not ws.layout.next_ledger_key.exists()
    with pytest.raises(EntryRefused, match="needs a reason"):
        rotate_ledger_key(Workspace.init(ws.layout.root.parent / "other"), " ")
