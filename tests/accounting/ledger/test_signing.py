"""Keys: one file, one owner, no overwriting, no leaking."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accounting.ledger.errors import KeyRefused
from accounting.ledger.signing import Signer, key_id, load_public_key, verify


def test_a_saved_key_signs_the_same_and_is_private_to_its_owner(tmp_path: Path) -> None:
    signer = Signer.generate()
    signer.save(tmp_path / "k")
    signer.save_public(tmp_path / "k.pub")
    again = Signer.load(tmp_path / "k")
    assert again.sign(b"ctx m") == signer.sign(b"ctx m")
    assert load_public_key(tmp_path / "k.pub") == signer.public_bytes
    assert again.key_id == key_id(signer.public_bytes)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_a_signature_is_for_one_message_and_one_key() -> None:
    signer = Signer.generate()
    signature = signer.sign(b"ctx m")
    assert verify(signer.public_bytes, signature, b"ctx m")
    assert not verify(signer.public_bytes, signature, b"ctx n")
    assert not verify(Signer.generate().public_bytes, signature, b"ctx m")
    assert not verify(signer.public_bytes, b"\0" * 64, b"ctx m")
    assert not verify(signer.public_bytes, b"", b"ctx m")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    Signer.generate().save(tmp_path / "k")
    with pytest.raises(KeyRefused, match="exists"):
        Signer.generate().save(tmp_path / "k")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Signer.generate().save(tmp_path / "k")
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(KeyRefused, match="chmod 600"):
        Signer.load(tmp_path / "k")


@pytest.mark.parametrize("content", [b"", b"not pem", b"\0" * 20_000])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(KeyRefused):
        Signer.load(tmp_path / "k")
    with pytest.raises(KeyRefused):
        load_public_key(tmp_path / "k")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "k").write_bytes(pem)
    (tmp_path / "k").chmod(0o600)
    (tmp_path / "k.pub").write_bytes(public)
    with pytest.raises(KeyRefused, match="another kind of key"):
        Signer.load(tmp_path / "k")
    with pytest.raises(KeyRefused, match="another kind of key"):
        load_public_key(tmp_path / "k.pub")


def test_missing_files_and_wrong_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="cannot be read"):
        Signer.load(tmp_path / "absent")
    with pytest.raises(KeyRefused, match="cannot be written"):
        Signer.generate().save(tmp_path / "absent" / "k")
    with pytest.raises(KeyRefused, match="32 raw bytes"):
        verify(b"short", b"\0" * 64, b"m")


def test_a_private_key_shows_up_in_no_repr_and_no_pickle() -> None:
    signer = Signer.generate()
    secret = signer._key.private_bytes_raw()
    assert secret.hex() not in repr(signer)
    assert str(secret) not in repr(signer)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_umask_does_not_widen_a_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Signer.generate().save(tmp_path / "k")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
