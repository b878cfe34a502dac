"""Where things lie in a workspace, and how one is found.

    dpsynth.yaml            marks the folder; names the format's version, and the ledger's URL if a team shares it
    policy.yaml             what a release must show (a person edits it; its digest enters every reservation)
    statement.yaml          what a person states on every report: purpose, legal basis, whom to write to (public)
    ledger.db               the budget ledger, if it is this folder's own
    keys/                   ledger and release signing keys, vault key (mode 0600); *.pub may be given away
    datasets.json           registered data sets: path, keyed commitment, unit, schema file; never a row
    drafts/ID/              one folder a draft: sealed rows and one JSON document a step
    releases/               bundles that the console wrote

A command finds its workspace by `--workspace`, then $DPSYNTH_WORKSPACE, then the nearest `dpsynth.yaml` upwards.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dpsynth.core.errors import WorkspaceError

FORMAT = 1
MARKER = "dpsynth.yaml"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one workspace, and the URL of its ledger if that is not a file here."""

    root: Path
    ledger_url: str | None = None

    @property
    def marker(self) -> Path:
        """The file that makes a folder a workspace."""
        return self.root / MARKER

    @property
    def policy(self) -> Path:
        """What a release must show."""
        return self.root / "policy.yaml"

    @property
    def statement(self) -> Path:
        """What a person states about the releases; public."""
        return self.root / "statement.yaml"

    @property
    def ledger(self) -> Path | str:
        """The budget ledger's database: a file, or the URL that the workspace file names."""
        return self.root / "ledger.db" if self.ledger_url is None else self.ledger_url

    @property
    def keys(self) -> Path:
        """Signing and sealing keys."""
        return self.root / "keys"

    @property
    def ledger_key(self) -> Path:
        """Private key that signs ledger entries."""
        return self.keys / "ledger.key"

    @property
    def next_ledger_key(self) -> Path:
        """Its successor, while a rotation is under way."""
        return self.keys / "ledger.next.key"

    @property
    def release_key(self) -> Path:
        """Private key that signs releases."""
        return self.keys / "release.key"

    @property
    def release_public_key(self) -> Path:
        """The key that receivers verify with."""
        return self.keys / "release.pub"

    @property
    def generator_key(self) -> Path:
        """Private key that signs the record of each draft made here."""
        return self.keys / "generate.key"

    @property
    def releases(self) -> Path:
        """Where the console writes bundles; the command line is told where."""
        return self.root / "releases"

    @property
    def datasets(self) -> Path:
        """The registry of data sets."""
        return self.root / "datasets.json"

    @property
    def drafts(self) -> Path:
        """One folder a draft."""
        return self.root / "drafts"

    @property
    def runs(self) -> Path:
        """What `dpsynth run` remembers in order to resume."""
        return self.root / "runs"


def find(explicit: Path | None = None) -> Layout:
    """The workspace that a command means.

    Raises:
        WorkspaceError: if there is none, with the command that makes one, or if it is of a newer format.
    """
    named = explicit or (Path(os.environ["DPSYNTH_WORKSPACE"]) if os.environ.get("DPSYNTH_WORKSPACE") else None)
    if named is not None:
        if not (named / MARKER).is_file():
            raise WorkspaceError(f"'{named}' is not a workspace.", f"Make one with: dpsynth init {named}")
        return _checked(Layout(named.resolve()))
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return _checked(Layout(folder))
    raise WorkspaceError(
        "No workspace here or above: there is no dpsynth.yaml.",
        "Make one with: dpsynth init vault, then pass --workspace vault.",
    )


def _checked(layout: Layout) -> Layout:
    try:
        head = yaml.safe_load(layout.marker.read_text("utf-8"))
        version, ledger = head["version"], head.get("ledger")
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            f"'{layout.marker}' cannot be read as a workspace file.", "Restore it, or make a new workspace."
        ) from error
    if version != FORMAT:
        raise WorkspaceError(
            f"The workspace has format {version}, this dpsynth reads format {FORMAT}.",
            "Use the dpsynth that made it.",
        )
    if ledger is not None and not isinstance(ledger, str):
        raise WorkspaceError(f"The ledger named in '{layout.marker}' is not text.", "Write its postgresql:// URL.")
    return replace(layout, ledger_url=ledger)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write one step's document so that a crash leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=2, sort_keys=True, allow_nan=False)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a document that `write_json` wrote.

    Raises:
        WorkspaceError: if it is missing or not a JSON object.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise WorkspaceError(f"'{path.name}' is missing in {path.parent}.", "Run the step that writes it.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"'{path}' is not JSON.", "Restore it from a backup, or run the step again.") from error
    if not isinstance(document, dict):
        raise WorkspaceError(f"'{path}' is not a JSON object.", "Restore it from a backup, or run the step again.")
    return document
