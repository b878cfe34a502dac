"""Drafts at rest: unreadable without the key, unalterable with any tool, silent about their content."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dpsynth.core.errors import SealError
from dpsynth.release.documents import canonical
from dpsynth.release.seal import Vault
from tests.flushed import watched

ROWS = b"PAR1" + bytes(range(256)) * 8 + b"PAR1"


@pytest.fixture
def vault(tmp_path):
    return Vault.create(tmp_path / "keys")


def files(vault):
    return {path.suffix: path for path in vault.drafts_dir.iterdir()}


def rewrite(path, raw):
    path.chmod(0o600)
    path.write_bytes(raw)


def test_open_returns_the_very_bytes(vault):
    facts = vault.seal("draft-1", ROWS, {"generator": "mst"})
    assert vault.open("draft-1") == ROWS
    assert vault.facts("draft-1") == facts
    assert facts.size == len(ROWS)


def test_neither_rows_nor_their_digest_stand_on_disk(vault):
    vault.seal("draft-1", ROWS, {})
    on_disk = b"".join(path.read_bytes() for path in vault.drafts_dir.iterdir())
    names = " ".join(path.name for path in vault.drafts_dir.iterdir())
    assert ROWS[:64] not in on_disk
    digest = hashlib.sha256(ROWS).hexdigest()
    assert digest.encode() not in on_disk
    assert digest[:16] not in names


def test_files_are_read_only_and_the_key_is_private(vault, tmp_path):
    vault.seal("draft-1", ROWS, {})
    for path in vault.drafts_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE((tmp_path / "keys" / "vault.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("suffix", [".sealed", ".json"])
def test_any_altered_byte_is_noticed(vault, suffix):
    vault.seal("draft-1", ROWS, {"rows": 3})
    path = files(vault)[suffix]
    raw = path.read_bytes()
    for at in range(len(raw)):
        spoilt = bytearray(raw)
        spoilt[at] ^= 0xFF
        rewrite(path, bytes(spoilt))
        with pytest.raises(SealError):
            vault.open("draft-1")
    rewrite(path, raw)
    assert vault.open("draft-1") == ROWS


def test_description_cannot_be_edited(vault):
    vault.seal("draft-1", ROWS, {"epsilon": "1"})
    path = files(vault)[".json"]
    body = json.loads(path.read_bytes())
    body["meta"]["epsilon"] = "0.1"
    rewrite(path, json.dumps(body).encode())
    with pytest.raises(SealError, match="altered"):
        vault.open("draft-1")


def test_one_draft_cannot_be_passed_off_as_another(vault):
    vault.seal("draft-1", ROWS, {})
    for path in list(vault.drafts_dir.iterdir()):
        os.link(path, path.with_name(path.name.replace("draft-1", "draft-2")))
    with pytest.raises(SealError, match="altered"):
        vault.open("draft-2")


def test_another_vault_cannot_open(vault, tmp_path):
    vault.seal("draft-1", ROWS, {})
    other = Vault.create(tmp_path / "other", vault.drafts_dir)
    with pytest.raises(SealError, match="another vault key"):
        other.open("draft-1")


def test_drafts_are_never_replaced(vault):
    vault.seal("draft-1", ROWS, {})
    with pytest.raises(SealError, match="never replaced"):
        vault.seal("draft-1", b"other rows", {})
    assert vault.open("draft-1") == ROWS
    assert len(list(vault.drafts_dir.iterdir())) == 2


def test_an_existing_key_is_never_replaced(vault, tmp_path):
    with pytest.raises(SealError, match="would orphan"):
        Vault.create(tmp_path / "keys")


@pytest.mark.parametrize("name", ["../draft", "", "A", "draft 1", "-x", "x" * 64, "draft\n", "a/b"])
def test_ids_that_are_paths_are_refused(vault, name):
    with pytest.raises(SealError, match="draft id"):
        vault.seal(name, ROWS, {})
    with pytest.raises(SealError, match="draft id"):
        vault.open(name)


def test_key_that_others_can_read_is_refused(vault, tmp_path):
    (tmp_path / "keys" / "vault.key").chmod(0o644)
    with pytest.raises(SealError, match="other accounts"):
        Vault(tmp_path / "keys")


@pytest.mark.parametrize("content", [b"", b"short", b"z" * 64, b"0" * 66])
def test_malformed_key_is_refused(tmp_path, content):
    (tmp_path / "vault.key").write_bytes(content)
    (tmp_path / "vault.key").chmod(0o600)
    with pytest.raises(SealError, match="malformed"):
        Vault(tmp_path)


def test_missing_key_and_missing_draft_say_so(vault, tmp_path):
    with pytest.raises(SealError, match="vault key is missing"):
        Vault(tmp_path / "nowhere")
    with pytest.raises(SealError, match="not in this workspace"):
        vault.open("draft-9")


def test_commitments_are_keyed_and_separated_by_purpose(vault, tmp_path):
    (tmp_path / "table.csv").write_bytes(b"a,b\n1,2\n")
    commitment = vault.commit(tmp_path / "table.csv")
    assert commitment == vault.commit(b"a,b\n1,2\n")
    assert commitment != hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    assert commitment != Vault.create(tmp_path / "other").commit(b"a,b\n1,2\n")
    purposes = {vault.commit(b"x", purpose=purpose) for purpose in ("draft", "source", "document", "seed")}
    assert len(purposes) == 4


def test_guessing_the_table_confirms_nothing(vault):
    """The attack that a plain digest loses to: try all tables of one bit, compare digests."""
    secret = b"patient,hiv\n7,1\n"
    published = vault.commit(secret)
    guesses = [hashlib.sha256(guess).hexdigest() for guess in (secret, b"patient,hiv\n7,0\n")]
    assert published not in guesses


def test_same_rows_sealed_twice_look_unrelated(vault):
    vault.seal("draft-1", ROWS, {})
    vault.seal("draft-2", ROWS, {})
    first, second = (p.read_bytes() for p in sorted(vault.drafts_dir.glob("*.sealed")))
    assert first[12:] != second[12:]
    assert vault.facts("draft-1").draft_digest == vault.facts("draft-2").draft_digest


def test_repr_shows_no_secret(vault, tmp_path):
    assert (tmp_path / "keys" / "vault.key").read_text() not in repr(vault)
    assert not hasattr(vault, "__dict__")


def test_a_vault_holds_what_was_sealed_whole(vault):
    assert not vault.holds("draft-1")
    vault.seal("draft-1", ROWS, {})
    vault.seal("draft-10", ROWS, {})
    assert vault.holds("draft-1") and not vault.holds("draft-2")
    for path in vault.drafts_dir.glob("draft-1.*.sealed"):
        path.unlink()
    assert not vault.holds("draft-1") and vault.holds("draft-10")
    (vault.drafts_dir / "draft-10.json").unlink()
    assert not vault.holds("draft-10")


def test_rows_are_on_disk_whole_before_they_have_a_name(vault, monkeypatch):
    told = watched(monkeypatch)
    vault.seal("draft-1", ROWS, {"generator": "mst"})
    sealed, described = (path.stat().st_size for path in (files(vault)[".sealed"], files(vault)[".json"]))
    assert [size for _, size in told if size in (sealed, described)] == [sealed, described]
    assert all(".sealing-" in path.name for path, size in told if size in (sealed, described))
    assert {path.suffix for path in vault.drafts_dir.iterdir()} == {".sealed", ".json"}, "no scratch is left"
    assert json.loads(files(vault)[".json"].read_text()) == {
        "schema": "dpsynth.sealed/1", "draft": "draft-1", "draft_digest": vault.facts("draft-1").draft_digest,
        "size": len(ROWS), "meta": {"generator": "mst"},
    }  # fmt: skip
    assert sealed == 12 + len(ROWS) + 16, "nonce, rows, tag"


def test_keys_for_each_purpose_are_derived_as_documented(vault, tmp_path):
    """RFC 5869 with SHA-256, no salt, and the purpose as info; a commitment is HMAC over the digest."""
    secret = bytes.fromhex((tmp_path / "keys" / "vault.key").read_text())

    def derived(label):
        extracted = hmac.digest(bytes(32), secret, "sha256")
        return hmac.digest(extracted, f"dpsynth/1/{label}".encode() + b"\x01", "sha256")

    digest = hashlib.sha256(ROWS).digest()
    for purpose in ("source", "document", "draft"):
        assert vault.commit(ROWS, purpose=purpose) == hmac.digest(derived(f"commit/{purpose}"), digest, "sha256").hex()
    assert vault.commit(ROWS) == vault.commit(ROWS, purpose="source")
    vault.seal("draft-1", ROWS, {})
    raw, facts = files(vault)[".sealed"].read_bytes(), json.loads(files(vault)[".json"].read_text())
    assert AESGCM(derived("draft/draft-1")).decrypt(raw[:12], raw[12:], canonical(facts)) == ROWS
