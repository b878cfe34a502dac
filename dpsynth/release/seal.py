"""Drafts at rest: encrypted, content-addressed, read-only.

A draft's rows exist on disk as AES-256-GCM ciphertext only. The file's name and the `draft_digest` that
every report quotes are *commitments*: HMAC-SHA-256 under the vault's secret over the SHA-256 of the rows. A
plain digest of a small table would be an oracle (guess the table, compare), a keyed one is not; at release
the plain SHA-256 of the released file is published in the signed statement, where it is no secret any more.
Draft id and description are associated data of the encryption, so neither can be exchanged without the key.

Each draft has its own key: HKDF-SHA-256 (RFC 5869) of the vault secret with the draft's id, and a random 96-bit
nonce (NIST SP 800-38D, 8.2.2).

>>> import tempfile, pathlib
>>> vault = Vault.create(pathlib.Path(tempfile.mkdtemp()) / "keys")
>>> vault.seal("draft-1", b"rows", {"rows": 1}).size
4

Not guaranteed: protection from whoever can read the key file, such as an analyst on the same account.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dpsynth.core.errors import SealError
from dpsynth.release.documents import JSON, Refusal, canonical, parse_json, pretty

Purpose = Literal["draft", "source", "place", "version", "document", "seed", "secret"]

_DRAFT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_LIMIT: Final = 2**31 - 64
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFacts:
    """What may be said of a sealed draft without opening it.

    Attributes:
        draft: its id.
        draft_digest: keyed commitment of the rows, hexadecimal; documents are bound to it.
        size: bytes of the plaintext Parquet file.
        meta: the description that was sealed with it.
    """

    draft: str
    draft_digest: str
    size: int
    meta: Mapping[str, JSON]


@final
class Vault:
    """The secret of a workspace, and the drafts sealed under it.

    Args:
        keys_dir: folder with `vault.key` (32 bytes, hexadecimal, mode 0600).
        drafts_dir: where sealed drafts lie; default `drafts` beside `keys_dir`.

    Raises:
        SealError: the key is missing, malformed, or readable by others.
    """

    __slots__ = ("_secret", "drafts_dir")

    def __init__(self, keys_dir: Path, drafts_dir: Path | None = None) -> None:
        self._secret = _load_key(Path(keys_dir) / "vault.key")
        self.drafts_dir = drafts_dir or Path(keys_dir).parent / "drafts"

    def __repr__(self) -> str:
        return f"Vault(drafts_dir={str(self.drafts_dir)!r})"

    @classmethod
    def create(cls, keys_dir: Path, drafts_dir: Path | None = None) -> Vault:
        """Make a new secret from the operating system's entropy; never overwrites one."""
        keys_dir = Path(keys_dir)
        keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = keys_dir / "vault.key"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise SealError(
                "This workspace has a vault key; a second one would orphan every sealed draft.",
                "Open the workspace instead of creating it.",
            ) from None
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32).hex().encode())
        return cls(keys_dir, drafts_dir)

    def commit(self, content: bytes | Path, *, purpose: Purpose = "source") -> str:
        """Keyed commitment of bytes or of a file, 64 hexadecimal digits.

        The purpose enters the key: the commitment of one kind of thing never equals that of another.
        """
        hasher = hashlib.sha256()
        if isinstance(content, bytes):
            hasher.update(content)
        else:
            with Path(content).open("rb") as file:
                while block := file.read(_BLOCK):
                    hasher.update(block)
        return hmac.new(self._key(f"commit/{purpose}"), hasher.digest(), hashlib.sha256).hexdigest()

    def seal(self, draft_id: str, rows: bytes, meta: Mapping[str, JSON]) -> SealedFacts:
        """Encrypt `rows` (a Parquet file) and its public description.

        Raises:
            SealError: the id is malformed or taken, or the rows exceed 2 GiB.
        """
        description = self._description(draft_id)
        if len(rows) > _LIMIT:
            raise SealError("The draft is larger than the 2 GiB that one AES-GCM message may hold.",
                            "Synthesize fewer rows.")  # fmt: skip
        digest = self.commit(rows, purpose="draft")
        nonce = os.urandom(12)
        facts: dict[str, JSON] = {
            "schema": "dpsynth.sealed/1",
            "draft": draft_id,
            "draft_digest": digest,
            "size": len(rows),
            "meta": dict(meta),
        }
        secret = AESGCM(self._key(f"draft/{draft_id}")).encrypt(nonce, rows, canonical(facts))
        self.drafts_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = self._content(draft_id, digest)
        _write_once(content, nonce + secret)
        try:
            _write_once(description, pretty(facts))
        except SealError:
            content.unlink()
            raise
        return _facts(facts)

    def facts(self, draft_id: str) -> SealedFacts:
        """The description of a sealed draft; authentic only once `open` succeeded."""
        return _facts(self._read_description(draft_id))

    def holds(self, draft_id: str) -> bool:
        """Whether something is sealed under this id; `open` says whether it was altered."""
        return self._description(draft_id).exists() and any(self.drafts_dir.glob(f"{draft_id}.*.sealed"))

    def open(self, draft_id: str) -> bytes:
        """The rows of a draft, exactly as sealed.

        Raises:
            SealError: missing, altered, or sealed under another key.
        """
        facts = self._read_description(draft_id)
        digest = str(facts.get("draft_digest"))
        altered = SealError(
            f"Draft {draft_id} or its description was altered, or sealed under another vault key.",
            "Restore both files from a backup, or synthesize again.",
        )
        if facts.get("draft") != draft_id or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise altered
        raw = _read(self._content(draft_id, digest), draft_id)
        try:
            rows = AESGCM(self._key(f"draft/{draft_id}")).decrypt(raw[:12], raw[12:], canonical(facts))
        except (InvalidTag, ValueError):
            raise altered from None
        if not hmac.compare_digest(self.commit(rows, purpose="draft"), digest):
            raise altered
        return rows

    def _key(self, label: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"dpsynth/1/{label}".encode()).derive(self._secret)

    def _description(self, draft_id: str) -> Path:
        if not _DRAFT_ID.match(draft_id):
            raise SealError("A draft id consists of at most 63 lower-case letters, digits and hyphens.",
                            "Use the id that `synthesize` printed.")  # fmt: skip
        return self.drafts_dir / f"{draft_id}.json"

    def _content(self, draft_id: str, digest: str) -> Path:
        return self.drafts_dir / f"{draft_id}.{digest[:16]}.sealed"

    def _read_description(self, draft_id: str) -> dict[str, JSON]:
        raw = _read(self._description(draft_id), draft_id)
        try:
            return parse_json(raw, name=f"the description of draft {draft_id}")
        except Refusal as refusal:
            raise SealError(f"{refusal.message} The draft cannot be trusted.", "Synthesize again.") from None


def sha256(content: bytes) -> str:
    """Plain SHA-256, hexadecimal; for what is being published, never for a private table."""
    return hashlib.sha256(content).hexdigest()


def _facts(facts: Mapping[str, JSON]) -> SealedFacts:
    draft, digest, size, meta = (facts.get(key) for key in ("draft", "draft_digest", "size", "meta"))
    if not (isinstance(draft, str) and isinstance(digest, str) and isinstance(size, int) and isinstance(meta, Mapping)):
        raise SealError("The description of a sealed draft lacks a field.", "Synthesize again.")
    return SealedFacts(draft=draft, draft_digest=digest, size=size, meta=meta)


def _load_key(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise SealError("The vault key is missing: sealed drafts cannot be read or written.",
                        "Run `dpsynth init DIR`, or restore keys/vault.key.") from None  # fmt: skip
    with os.fdopen(handle, "rb") as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise SealError("The vault key can be read by other accounts.", f"Run `chmod 600 {path.name}`.")
        text = file.read(200)
    if not re.fullmatch(rb"[0-9a-f]{64}\n?", text):
        raise SealError("The vault key is malformed.", "Restore keys/vault.key from a backup.")
    return bytes.fromhex(text.decode())


def _read(path: Path, draft_id: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise SealError(f"Draft {draft_id} is not in this workspace.", "List drafts with `dpsynth show`.") from None
    with os.fdopen(handle, "rb") as file:
        return file.read()


def _write_once(path: Path, content: bytes) -> None:
    """Write a new read-only file completely or not at all; an existing name is never replaced."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".sealing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
            os.fchmod(handle, 0o400)
        os.link(scratch, path)
    except FileExistsError:
        raise SealError("A draft of this id exists; sealed drafts are never replaced.", "Choose a new id.") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(scratch).unlink()
