"""A ledger in a file: SQLite with a write-ahead log.

`synchronous=FULL` (a returned append has been fsynced), `BEGIN IMMEDIATE` (one writer from balance to entry).
Rows are written in order, each seq once: a trigger refuses gaps, so `INSERT OR REPLACE` cannot overwrite one.

Not guaranteed: SQLite's locks on network file systems. Keep the file on a local disk, or use PostgreSQL.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine

from accounting.ledger.errors import (
    LedgerCorrupt,
    LedgerExists,
    LedgerFull,
    LedgerLocked,
    LedgerNotFound,
    LedgerReadOnly,
    LedgerUnavailable,
    NotALedger,
)
from accounting.ledger.store.database import Database, bound_to_process, said_by
from accounting.ledger.store.tables import ENTRIES, VERSION, VERSIONS

_TRIGGERS = (
    *(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in ("ledger_entries", "ledger_versions")
        for verb in ("UPDATE", "DELETE")
    ),
    "CREATE TRIGGER ledger_entries_in_order BEFORE INSERT ON ledger_entries "
    "WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), -1) + 1 FROM ledger_entries) "
    "BEGIN SELECT RAISE(ABORT, 'ledger_entries are written in order'); END",
)

# Primary result codes (https://www.sqlite.org/rescode.html) with what they mean for a ledger.
_ERRORS: dict[int, tuple[type[LedgerUnavailable], str, str]] = {
    sqlite3.SQLITE_BUSY: (
        LedgerLocked,
        "Another process holds the ledger's write lock.",
        "Wait for it, then retry.",
    ),
    sqlite3.SQLITE_LOCKED: (
        LedgerLocked,
        "Another connection holds the ledger's lock.",
        "Wait for it, then retry.",
    ),
    sqlite3.SQLITE_READONLY: (
        LedgerReadOnly,
        "The ledger's file cannot be written.",
        "Check its permissions.",
    ),
    sqlite3.SQLITE_PERM: (LedgerReadOnly, "The ledger's file cannot be accessed.", "Check its permissions."),
    sqlite3.SQLITE_CANTOPEN: (
        LedgerUnavailable,
        "The ledger's file cannot be opened.",
        "Check path and permissions.",
    ),
    sqlite3.SQLITE_FULL: (LedgerFull, "No space is left for another entry.", "Free disk space, then retry."),
    sqlite3.SQLITE_CORRUPT: (
        LedgerCorrupt,
        "The ledger's file is damaged.",
        "Restore a backup, compare its head.",
    ),
    sqlite3.SQLITE_NOTADB: (NotALedger, "The file is not a database.", "Check the path."),
    sqlite3.SQLITE_IOERR: (
        LedgerUnavailable,
        "Reading or writing the disk failed.",
        "Check the disk, then retry.",
    ),
}


@final
class SQLite(Database):
    """A ledger at a path of the local disk."""

    guards = _TRIGGERS

    def __init__(self, url: URL, *, timeout_s: float, immutable: bool = False) -> None:
        if url.database in (None, "", ":memory:") or url.query:
            raise LedgerUnavailable(
                "A ledger lives in a plain file: memory forgets.", "Use sqlite:///path/to/ledger.db."
            )
        self._url, self._timeout_s, self._immutable = url, timeout_s, immutable
        self._path = Path(str(url.database))
        self.label = self._path.name

    def engine(self, *, writable: bool) -> Engine:
        """Connections to the file."""
        url = self._url
        if not writable:
            options = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if self._immutable else {})
            url = URL.create("sqlite", database=self._path.absolute().as_uri(), query=options)
        engine = sa.create_engine(
            url, connect_args={"timeout": self._timeout_s, "check_same_thread": False}, hide_parameters=True
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # the driver must not begin transactions of its own
            for pragma in ("recursive_triggers=ON", "trusted_schema=OFF", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
            if writable:
                connection.execute("PRAGMA journal_mode=WAL")

        return bound_to_process(engine, ping=False)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """One view, or the file's write lock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def claim(self) -> None:
        """Make the file, which must not exist."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise LedgerExists(
                f"{self.label} exists, and overwriting a ledger would forget what was spent.",
                "Open it, or choose another path.",
            ) from error
        except OSError as error:
            raise LedgerUnavailable(
                f"{self.label} cannot be created ({error.strerror}).",
                "Create its folder or choose another path.",
            ) from error

    def unclaim(self) -> None:
        """Remove what `claim` made; it never held an entry."""
        for suffix in ("", "-wal", "-shm"):
            self._beside(suffix).unlink(missing_ok=True)

    def prepare(self, connection: Connection) -> None:
        """Nothing: the file is new."""

    def find(self) -> None:
        """The file must exist: SQLite would make an empty one."""
        if not self._path.exists():
            raise LedgerNotFound(f"No ledger at {self.label}.", "Create one: Ledger.create(path, signer=...).")

    def check(self, connection: Connection, *, writable: bool) -> None:
        """Both tables; and a write lock, which SQLite grants on a read-only file until something writes."""
        if not {ENTRIES.name, VERSIONS.name} <= set(sa.inspect(connection).get_table_names()):
            raise NotALedger(f"{self.label} is a database, but not a ledger.", "Check the path.")
        if writable:
            connection.execute(VERSIONS.update().where(sa.false()).values(version=VERSION))

    def for_reading_only(self) -> SQLite | None:
        """A ledger on a read-only medium: without a log beside it, the file alone is the whole truth."""
        log = self._beside("-wal")
        if log.exists() and log.stat().st_size:
            return None
        return SQLite(self._url, timeout_s=self._timeout_s, immutable=True)

    def translated(self, error: exc.DBAPIError) -> LedgerUnavailable:
        """By SQLite's result code."""
        known = _ERRORS.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
        if known is None:
            return LedgerUnavailable(f"The ledger's database refused ({said_by(error)}).", "Run: ledger verify.")
        cls, message, remedy = known
        return cls(message, remedy)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)
