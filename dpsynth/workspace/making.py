"""How a workspace is made: fresh keys and a ledger of its own, or a place at a team's table.

A team shares three things: the ledger, in PostgreSQL; the ledger key, which signs its entries; and the vault key, under
which data is committed to, so that one file is one data set, with one budget, whoever registers it. Who joins brings
a copy of the two keys, and gets a release key of their own, which the ledger then vouches for.

Either everything is made or nothing: a server that cannot be reached leaves no half workspace.

Not guaranteed: anything against a member of the team, who holds the ledger key as the others do.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from accounting.ledger import Ledger, Signer
from accounting.ledger.signing import key_id
from dpsynth.core.errors import WorkspaceError
from dpsynth.release.policy import default_policy_text, tier_text
from dpsynth.release.seal import Vault
from dpsynth.report.statement import statement_text
from dpsynth.workspace.layout import FORMAT, Layout

_SHARED_KEYS = ("ledger.key", "vault.key")


def make(
    folder: str | Path, *, ledger: str | None = None, keys: str | Path | None = None, tier: str | None = None
) -> Layout:
    """Make a workspace.

    Args:
        folder: where; must not be a workspace yet.
        ledger: `postgresql://` URL of a ledger that a team shares; None for a file in the folder.
        keys: folder with the team's `ledger.key` and `vault.key`, to join its ledger; None to create one.
        tier: internal, restricted or public: whose policy file it gets; None for the default one, which asks nobody.

    Raises:
        PolicyError: there is no such tier.
        WorkspaceError: the folder is a workspace, a file is in the way, or the URL may not be written down.
        LedgerUnavailable: the ledger cannot be made or opened.
        KeyRefused: `keys` are those of another ledger.
    """
    layout = Layout(Path(folder).resolve(), ledger_url=ledger)
    if layout.marker.exists():
        raise WorkspaceError(f"'{folder}' is a workspace already.", "Open it, or choose another folder.")
    if layout.root.exists() and not layout.root.is_dir():
        raise WorkspaceError(f"'{folder}' is a file.", "Choose another name.")
    _check_url(ledger, joining=keys is not None)
    policy = default_policy_text() if tier is None else tier_text(tier)
    new = [path for path in _made_by(layout) if not path.exists()]
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.keys.mkdir(mode=0o700, exist_ok=True)
    layout.drafts.mkdir(mode=0o700, exist_ok=True)
    try:
        _fill(layout, Path(keys) if keys is not None else None, policy)
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise
    return layout


def _made_by(layout: Layout) -> list[Path]:
    """Everything that making a workspace puts there, folders last."""
    keys = (layout.ledger_key, layout.release_key, layout.release_public_key, layout.keys / "vault.key")
    database = [layout.root / f"ledger.db{suffix}" for suffix in ("", "-wal", "-shm")]
    return [*keys, *database, layout.policy, layout.statement, layout.marker, layout.keys, layout.drafts, layout.root]


def _fill(layout: Layout, shared: Path | None, policy: str) -> None:
    release = Signer.generate()
    if shared is None:
        Vault.create(layout.keys, layout.drafts)
        signer = Signer.generate()
        signer.save(layout.ledger_key)
        opened = Ledger.create(layout.ledger, signer=signer)
    else:
        _copy_keys(shared, layout.keys)
        Vault(layout.keys, layout.drafts)
        opened = Ledger.open(layout.ledger, signer=Signer.load(layout.ledger_key))
    with opened as ledger:
        public = release.public_bytes
        ledger.append("key.add", {"key_id": key_id(public), "public_key": public.hex(), "role": "release"})
    release.save(layout.release_key)
    release.save_public(layout.release_public_key)
    layout.policy.write_text(policy, "utf-8")
    layout.statement.write_text(statement_text(), "utf-8")
    head = {"version": FORMAT} | ({} if layout.ledger_url is None else {"ledger": layout.ledger_url})
    text = "# A dpsynth workspace. Commands find it by this file.\n" + yaml.safe_dump(head, sort_keys=False)
    layout.marker.write_text(text, "utf-8")


def _check_url(ledger: str | None, *, joining: bool) -> None:
    if ledger is None:
        if joining:
            raise WorkspaceError(
                "Keys without a ledger: there is nothing to join.", "Add --ledger postgresql://host/database."
            )
        return
    try:
        parts = urlsplit(ledger)
        secret = parts.password
    except ValueError:
        raise WorkspaceError("The ledger's URL cannot be read.", "Write postgresql://host/database.") from None
    if not parts.scheme.startswith("postgresql"):
        raise WorkspaceError(
            "A ledger that is shared lives in PostgreSQL: locks on files are not safe across machines.",
            "Write --ledger postgresql://host/database?schema=name, or leave it out for a file of your own.",
        )
    if secret is not None:
        raise WorkspaceError(
            "The URL holds a password, and it would be written into dpsynth.yaml.",
            "Leave it out; put it in ~/.pgpass or PGPASSWORD.",
        )


def _copy_keys(shared: Path, keys: Path) -> None:
    for name in _SHARED_KEYS:
        source, target = shared / name, keys / name
        if target.exists():
            raise WorkspaceError(f"'{target}' exists, and a key is never overwritten.", "Choose another folder.")
        try:
            content = source.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"'{source}' cannot be read ({error.strerror}).", "Ask a colleague for ledger.key and vault.key."
            ) from error
        target.touch(mode=0o600)
        target.write_bytes(content)
