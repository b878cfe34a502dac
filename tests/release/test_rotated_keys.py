"""Bundles over a ledger's life: its key was rotated, a release key was revoked, its clock was set back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting.ledger import Signer, writer
from dpsynth.cli.app import call
from dpsynth.core.errors import VerificationError
from dpsynth.release.verify import verify
from tests.release.world import World, ready_world


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path, Path, Signer]:
    """A bundle of before a rotation, one of after it, and the key that took over."""
    world = ready_world(tmp_path_factory.mktemp("rotated"))
    decision = world.judge()
    before = world.release(world.home / "before", decision=decision).path
    new = Signer.generate()
    world.ledger.rotate(new, "the yearly change")
    after = world.release(world.home / "after", decision=decision).path
    return world, before, after, new


def test_a_bundle_of_after_the_rotation_verifies_under_every_key_of_the_chain(rotated) -> None:
    world, before, after, new = rotated
    for bundle in (before, after):
        assert verify(bundle, world.signer.public_bytes).ok
    for pinned in (world.ledger_signer, new):
        report = verify(after, world.signer.public_bytes, ledger_key=pinned.public_bytes)
        assert report.ok, str(report)


def test_a_bundle_without_the_rotation_is_foreign_to_whoever_pinned_the_new_key(rotated) -> None:
    world, before, _, new = rotated
    assert verify(before, world.signer.public_bytes, ledger_key=world.ledger_signer.public_bytes).ok
    failed = verify(before, world.signer.public_bytes, ledger_key=new.public_bytes).failure
    assert failed is not None and failed.code == "ledger_foreign_ledger"
    failed = verify(before, world.signer.public_bytes, ledger_key=b"no key").failure
    assert failed is not None and (failed.name, failed.code) == ("key", "key_unusable")


def test_the_command_line_takes_the_ledger_key_that_a_receiver_holds(rotated, tmp_path: Path, capsys) -> None:
    world, before, after, new = rotated
    world.signer.save_public(tmp_path / "release.pub")
    new.save_public(tmp_path / "ledger.pub")
    for bundle, code in ((after, 0), (before, 5)):
        words = ["verify", str(bundle), "--key", str(tmp_path / "release.pub")]
        assert call([*words, "--ledger-key", str(tmp_path / "ledger.pub"), "--json"]) == code
        assert json.loads(capsys.readouterr().out)["ok"] is (code == 0)


def test_a_release_by_a_revoked_key_is_refused_and_one_from_before_cannot_know(tmp_path: Path) -> None:
    world = ready_world(tmp_path / "world")
    decision = world.judge()
    before = world.release(tmp_path / "before", decision=decision).path
    world.ledger.append("key.revoke", {"key_id": world.signer.key_id, "reason": "laptop lost"})
    with pytest.raises(VerificationError, match="revoked"):
        world.release(tmp_path / "after", decision=decision)
    assert not (tmp_path / "after").exists()
    assert verify(before, world.signer.public_bytes).ok  # its slice ends before: the receiver has to be told
    world.signer = Signer.generate()  # the next key is vouched for at its first release
    assert verify(world.release(tmp_path / "next", decision=decision).path, world.signer.public_bytes).ok


def test_a_bundle_of_a_ledger_whose_clock_was_set_back_verifies_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ready_world(tmp_path / "world")
    decision = world.judge()
    true = writer.stamp
    monkeypatch.setattr(writer, "stamp", lambda *a: true(*a) | {"time": "2001-01-01T00:00:00Z"})
    report = verify(world.release(tmp_path / "bundle", decision=decision).path, world.signer.public_bytes)
    assert report.ok
    assert len(report.warnings) == 1 and "a clock was set back" in report.warnings[0]
