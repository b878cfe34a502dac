"""Keys over a workspace's life: change the ledger's, put a recovery key away, use it, add and revoke others.

The new ledger key is on disk (`keys/ledger.next.key`) before the ledger hears of it, and takes the old one's name
after: a crash in between loses nothing, and running the same command again ends what was begun. The old key goes to
`keys/retired/`. It signs nothing more that verifies, but a fork from before its end could be signed with it: destroy it
when the head is kept elsewhere.

Not guaranteed: that a stolen key was not used before it was rotated away; compare heads and checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from accounting.errors import AccountingError
from accounting.ledger import Ledger, Signer
from accounting.ledger.rotation import RECOVERY
from accounting.ledger.signing import key_id, load_public_key
from dpsynth.core.errors import ParameterError, WorkspaceError
from dpsynth.workspace.layout import MARKER

if TYPE_CHECKING:
    from accounting.ledger import Entry
    from dpsynth.workspace.layout import Layout
    from dpsynth.workspace.workspace import Workspace

GENERATE = "generate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A ledger key that took over.

    Attributes:
        public_key: the key in force now, raw.
        first: the first entry that it signs.
        retired: where the old private key was put; None if it was lost.
    """

    public_key: bytes
    first: int
    retired: Path | None


def rotate_ledger_key(workspace: Workspace, reason: str) -> Rotated:
    """Make a new ledger key, hand over to it, and put the old one away; ends a rotation that a crash broke off.

    Raises:
        EntryRefused: no reason was given.
        KeyRefused: the workspace's key is not in force: somebody else rotated it.
    """

    def hand_over(new: Signer) -> None:
        with workspace.ledger(write=True) as ledger:
            ledger.rotate(new, reason)

    return _replace(workspace, hand_over)


def recover_ledger_key(workspace: Workspace, recovery: Path, reason: str) -> Rotated:
    """The same when the ledger key is lost or stolen, with the recovery key's file.

    Raises:
        EntryRefused: no reason, or the file's key may not recover this ledger.
        KeyRefused: the file holds no private key.
    """
    helper = Signer.load(recovery)

    def hand_over(new: Signer) -> None:
        with Ledger.recover(workspace.layout.ledger, recovery=helper, new_signer=new, reason=reason):
            pass

    return _replace(workspace, hand_over)


def make_recovery_key(workspace: Workspace, output: Path) -> Entry:
    """Write a new recovery key to a file outside the workspace, and let the ledger know it.

    Raises:
        ParameterError: the file would lie in the workspace, where it would be lost with the key that it replaces.
        KeyRefused: the file exists or cannot be written.
    """
    if output.resolve().is_relative_to(workspace.layout.root):
        raise ParameterError(
            f"'{output}' is in the workspace: what loses the ledger key would lose its recovery key too.",
            "Write it to another disk, and keep it offline.",
        )
    made = Signer.generate()
    made.save(output)
    return add_key(workspace, made.public_bytes, RECOVERY)


def make_pair(output: Path) -> tuple[Signer, Path]:
    """Write a private key, and its public half beside it; no ledger hears of either.

    Returns:
        The key, and where its public half lies.

    Raises:
        ParameterError: the two would have one name, or the folder belongs to a workspace.
        KeyRefused: a file exists or cannot be written.
    """
    public = output.with_suffix(".pub")
    if public == output:
        raise ParameterError(f"'{output}' would hold the private key and its public half.", "Name it FILE.key.")
    if any((folder / MARKER).is_file() for folder in output.resolve().parents):
        raise ParameterError(
            f"'{output}' is in a workspace: a second person's key is none if its owner can use it.",
            "Write it where only its holder can read.",
        )
    if public.exists():
        raise ParameterError(f"'{public}' exists, and may be somebody's key.", "Choose another name.")
    made = Signer.generate()
    made.save(output)
    made.save_public(public)
    return made, public


def add_key(workspace: Workspace, public_key: bytes | Path, role: str) -> Entry:
    """Let the ledger vouch for somebody's public key.

    Args:
        workspace: whose ledger.
        public_key: raw bytes, or the path of a PEM file.
        role: release, review, generate, budget or recovery.

    Raises:
        EntryRefused: the key is known already, or the role is not.
        KeyRefused: the file holds no Ed25519 public key.
    """
    raw = public_key if isinstance(public_key, bytes) else load_public_key(public_key)
    with workspace.ledger(write=True) as ledger:
        return ledger.append("key.add", {"key_id": key_id(raw), "public_key": raw.hex(), "role": role})


def generator_key(workspace: Workspace, ledger: Ledger) -> Signer:
    """The key that signs the records of drafts made here; made, and made known, on first use and after a revocation."""
    path, known = workspace.layout.generator_key, ledger.keys()
    if path.exists():
        signer = Signer.load(path)
        record = known.get(signer.key_id)
        if record is not None and record.revoked is None:
            return signer
        if record is not None:
            path.replace(_retired(workspace.layout, GENERATE, signer.key_id))
    if not path.exists():
        Signer.generate().save(path)
    signer = Signer.load(path)
    public = signer.public_bytes.hex()
    ledger.append("key.add", {"key_id": signer.key_id, "public_key": public, "role": GENERATE})
    return signer


def revoke_key(workspace: Workspace, name: str, reason: str) -> Entry:
    """Revoke a key; if it is the workspace's own release key, a new one takes its place.

    Args:
        workspace: whose ledger.
        name: the key's id.
        reason: kept for ever.

    Raises:
        ParameterError: no reason was given.
        EntryRefused: no such key is in use.
    """
    if not reason.strip():
        raise ParameterError("Revoking a key needs a reason: it is kept for ever.", "Say what happened.")
    layout = workspace.layout
    own = layout.release_key.exists() and Signer.load(layout.release_key).key_id == name
    with workspace.ledger(write=True) as ledger:
        entry = ledger.append("key.revoke", {"key_id": name, "reason": reason})
        if own:
            retired = _retired(layout, "release", name)
            layout.release_key.replace(retired)
            layout.release_public_key.replace(retired.with_suffix(".pub"))
            made = Signer.generate()
            made.save(layout.release_key)
            made.save_public(layout.release_public_key)
            public = made.public_bytes
            ledger.append("key.add", {"key_id": made.key_id, "public_key": public.hex(), "role": "release"})
    return entry


def _replace(workspace: Workspace, hand_over: Callable[[Signer], None]) -> Rotated:
    layout = workspace.layout
    following = layout.next_ledger_key
    if not following.exists():
        Signer.generate().save(following)
    new = Signer.load(following)
    if not _in_force(workspace, new):
        try:
            hand_over(new)
        except AccountingError:
            with workspace.ledger() as ledger:  # if that cannot be read either, the key stays
                if all(key.public_key != new.public_bytes for key in ledger.ledger_keys()):
                    following.unlink()
            raise
    retired = None
    if layout.ledger_key.exists():
        retired = _retired(layout, "ledger", Signer.load(layout.ledger_key).key_id)
        if not retired.exists():
            os.link(layout.ledger_key, retired)  # so that there is a ledger.key at every moment
    following.replace(layout.ledger_key)
    with workspace.ledger() as ledger:
        key = ledger.ledger_keys()[-1]
    if key.public_key != new.public_bytes:
        raise WorkspaceError("Somebody else rotated the ledger's key meanwhile.", "Ask for the key in force.")
    return Rotated(public_key=key.public_key, first=key.first, retired=retired)


def broke_off(workspace: Workspace) -> bool:
    """Whether a rotation was written and its key does not have its name yet."""
    path = workspace.layout.next_ledger_key
    return path.exists() and _in_force(workspace, Signer.load(path))


def _in_force(workspace: Workspace, signer: Signer) -> bool:
    with workspace.ledger() as ledger:
        return ledger.ledger_keys()[-1].public_key == signer.public_bytes


def _retired(layout: Layout, what: str, name: str) -> Path:
    folder = layout.keys / "retired"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{what}-{name}.key"
