"""What must not be lost is on disk, whole, when the call returns: keys, and checkpoints of the ledger's head."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from accounting import Ledger, Signer
from accounting.ledger.evidence.checkpoint import append, read
from accounting.ledger.signing import load_public_key
from tests.flushed import watched


def test_a_key_is_on_disk_before_anything_is_signed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, signer = watched(monkeypatch), Signer.generate()
    signer.save(tmp_path / "key.pem")
    signer.save_public(tmp_path / "key.pub")
    assert told == [(path.resolve(), path.stat().st_size) for path in (tmp_path / "key.pem", tmp_path / "key.pub")]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("key.pem", "key.pub")] == [0o600, 0o644]
    assert Signer.load(tmp_path / "key.pem").public_bytes == signer.public_bytes
    assert load_public_key(tmp_path / "key.pub") == signer.public_bytes


def test_a_checkpoint_is_on_disk_line_by_line(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [ledger.checkpoint() for _ in range(2)]
    told, path = watched(monkeypatch), tmp_path / "checkpoints"
    sizes = []
    for one in kept:
        append(path, one)
        sizes.append(path.stat().st_size)
    assert told == [(path.resolve(), size) for size in sizes] and sizes[1] == 2 * sizes[0]
    assert read(path) == kept
