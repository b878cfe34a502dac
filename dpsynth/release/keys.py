"""Reading a public key in the forms in which people send them: PEM, 64 hexadecimal digits, or 32 raw bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dpsynth.release.documents import Refusal

_LIMIT: Final = 4096


def read_public_key(key: str | Path | bytes) -> bytes:
    """The 32 raw bytes of an Ed25519 public key.

    Args:
        key: a path, or raw bytes (32), or the bytes of a PEM file.

    Raises:
        Refusal: `key_unreadable` or `key_unusable`.
    """
    raw = key if isinstance(key, bytes) else _read(Path(key))
    if len(raw) == 32:
        return _checked(raw)
    if re.fullmatch(rb"[0-9a-f]{64}\s*", raw):
        return _checked(bytes.fromhex(raw.decode()))
    if b"PRIVATE KEY" in raw:
        raise Refusal("key_unusable", "This is a private key; verification needs the public one.",
                      "Never send a private key; use the file that ends with .pub.")  # fmt: skip
    try:
        loaded = serialization.load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise Refusal("key_unusable", "The key is neither PEM, nor 64 hexadecimal digits, nor 32 bytes.",
                      "Ask the publisher for release.pub.") from None  # fmt: skip
    if not isinstance(loaded, Ed25519PublicKey):
        raise Refusal("key_unusable", "The key is of another kind than Ed25519.", "Ask the publisher for release.pub.")
    return loaded.public_bytes_raw()


def to_pem(public_key: bytes) -> bytes:
    """PEM of a raw public key."""
    return Ed25519PublicKey.from_public_bytes(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _checked(raw: bytes) -> bytes:
    try:
        return Ed25519PublicKey.from_public_bytes(raw).public_bytes_raw()
    except ValueError:
        raise Refusal("key_unusable", "These 32 bytes are no Ed25519 public key.") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT)
    except OSError as error:
        raise Refusal("key_unreadable", f"The key cannot be read: {error.strerror}.", "Check --key.") from None
