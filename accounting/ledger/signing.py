"""Ed25519 keys: who wrote an entry, provable to anybody who holds 32 public bytes.

A private key lives in one PEM file (PKCS #8, mode 0600); a public key travels as raw bytes or PEM. `key_id`
is a fingerprint for people and indexes, never a substitute for the key: verification always starts from the
32 bytes that the verifier already trusts. Callers prefix what they sign with a context string, so that a
signature made for one purpose means nothing for another.

Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures" (2012); RFC 8032.

>>> signer = Signer.generate()
>>> len(signer.sign(b"example/1 text"))
64

Not guaranteed: that the holder of a key is who they say, or that a stolen key is noticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from accounting.ledger.errors import KeyRefused

_MAX_KEY_FILE = 16_384


def key_id(public_bytes: bytes) -> str:
    """Fingerprint of a raw public key: 32 hex digits of SHA-256 under its own context."""
    return hashlib.sha256(b"dpsynth.key/1" + public_bytes).hexdigest()[:32]


def verify(public_bytes: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) on `message` was made by the holder of `public_bytes` (32 bytes).

    Raises:
        KeyRefused: `public_bytes` is not an Ed25519 public key.
    """
    try:
        load_public_bytes(public_bytes).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def load_public_bytes(public_bytes: bytes) -> Ed25519PublicKey:
    """The key object for 32 raw bytes; keep it where many signatures are checked.

    Raises:
        KeyRefused: the bytes are not an Ed25519 public key.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(public_bytes)
    except (ValueError, TypeError) as error:
        raise KeyRefused(
            "Expected the 32 raw bytes of an Ed25519 public key.", "Pass the bytes or load the .pub file."
        ) from error


def load_public_key(path: str | Path) -> bytes:
    """The 32 raw bytes in a PEM public key file.

    Raises:
        KeyRefused: missing, unreadable, or another kind of key.
    """
    try:
        key = serialization.load_pem_public_key(_read(Path(path)))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefused(
            f"{Path(path).name} holds no PEM public key.", "Ask the releasing party for its .pub file."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyRefused(f"{Path(path).name} holds another kind of key than Ed25519.", "Use the ledger's .pub file.")
    return key.public_bytes_raw()


@final
class Signer:
    """A private key. Its repr shows the fingerprint only.

    Attributes:
        public_bytes: the raw public key, 32 bytes.
        key_id: its fingerprint.
    """

    __slots__ = ("_key", "key_id", "public_bytes")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_bytes = key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_bytes)

    def __repr__(self) -> str:
        return f"Signer(key_id={self.key_id!r})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("A Signer is not pickled: private keys stay in their file. Load it where it is needed.")

    @classmethod
    def generate(cls) -> Signer:
        """A new key from the operating system's entropy."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | Path) -> Signer:
        """Read the key file that `save` wrote.

        Raises:
            KeyRefused: missing, readable by other accounts, or not an Ed25519 private key.
        """
        path = Path(path)
        data = _read(path)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyRefused(
                f"Private key {path.name} can be read by other accounts, so its signatures prove nothing.",
                f"Run: chmod 600 {path.name}",
            )
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyRefused(
                f"{path.name} holds no unencrypted PEM private key.", "Restore the key file from its backup."
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyRefused(f"{path.name} holds another kind of key than Ed25519.", "Use the ledger's own key file.")
        return cls(key)

    def save(self, path: str | Path) -> None:
        """Write the private key as PEM, mode 0600, never over an existing file.

        Raises:
            KeyRefused: the file exists or its folder cannot be written.
        """
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_new(Path(path), pem, 0o600)

    def save_public(self, path: str | Path) -> None:
        """Write the public key as PEM, mode 0644, never over an existing file.

        Raises:
            KeyRefused: the file exists or its folder cannot be written.
        """
        public = self._key.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _write_new(Path(path), pem, 0o644)

    def sign(self, message: bytes) -> bytes:
        """64 bytes of signature; `message` starts with the caller's context string."""
        return self._key.sign(message)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyRefused(f"Key file {path.name} cannot be read ({error.strerror}).", "Check the path.") from error
    if len(data) > _MAX_KEY_FILE:
        raise KeyRefused(f"{path.name} is too large for a key file.", "Check the path.")
    return data


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyRefused(
            f"Key file {path.name} exists, and losing a key means losing the proof of every entry it signed.",
            "Choose another path.",
        ) from error
    except OSError as error:
        raise KeyRefused(f"Key file {path.name} cannot be written ({error.strerror}).", "Check the folder.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
