"""Durable rows: the only file that knows which database lies below.

One table of entries and one of versions, both append-only by trigger. A write is one transaction that holds
the database's write lock from before the balance is read until the entry is on disk, so that check and append
are one step for all processes; a naive read-then-write counter, measured with 4 processes, granted 240 of
100.

SQLite: write-ahead log, `synchronous=FULL` (a returned append has been fsynced), `BEGIN IMMEDIATE`. Rows are
written in order, each seq once: a trigger refuses gaps, so `INSERT OR REPLACE` cannot overwrite one.

Not guaranteed: anything against the owner of the file, who can drop triggers; the chain is what shows that.
Nor SQLite's locks on network file systems: keep the file on a local disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from accounting.ledger.entry import Row
from accounting.ledger.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerExists,
    LedgerFull,
    LedgerLocked,
    LedgerNewer,
    LedgerNotFound,
    LedgerReadOnly,
    LedgerUnavailable,
    NotALedger,
)

VERSION = 1

_METADATA = sa.MetaData()
_ENTRIES = sa.Table(
    "ledger_entries",
    _METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("prev_hash", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("signature", sa.String(128), nullable=False),
    sa.Column("key_id", sa.String(32), nullable=False),
)
_VERSIONS = sa.Table("ledger_versions", _METADATA, sa.Column("version", sa.Integer, primary_key=True))

_SQLITE_TRIGGERS = (
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

# Primary SQLite result codes (https://www.sqlite.org/rescode.html) with what they mean for a ledger.
_SQLITE_ERRORS: dict[int, tuple[type[LedgerUnavailable], str, str]] = {
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
class Store:
    """Rows of one ledger; every method raises `LedgerUnavailable` or a subclass when the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def create(cls, location: str | Path, first: Row, *, timeout_s: float) -> Store:
        """A new store that holds `first`, all in one transaction: with its first entry or not at all.

        Raises:
            LedgerExists: something is at this path.
        """
        url = _sqlite_url(location)
        path = Path(str(url.database))
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise LedgerExists(
                f"{path.name} exists, and overwriting a ledger would forget what was spent.",
                "Open it, or choose another path.",
            ) from error
        except OSError as error:
            raise LedgerUnavailable(
                f"{path.name} cannot be created ({error.strerror}).",
                "Create its folder or choose another path.",
            ) from error
        store = cls(_engine(url, timeout_s=timeout_s, writable=True))
        try:
            with store.writing() as transaction:
                _METADATA.create_all(transaction.connection, checkfirst=False)
                for statement in _SQLITE_TRIGGERS:
                    transaction.connection.exec_driver_sql(statement)
                transaction.connection.execute(_VERSIONS.insert(), {"version": VERSION})
                transaction.append(first)
        except LedgerError:
            store.close()
            for suffix in ("", "-wal", "-shm"):  # created by this call and never held an entry
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            raise
        return store

    @classmethod
    def open(cls, location: str | Path, *, timeout_s: float, writable: bool) -> Store:
        """An existing store. `writable` is tried at once, before any private data could be read in vain.

        Raises:
            LedgerNotFound, NotALedger, LedgerNewer, LedgerReadOnly, LedgerLocked, LedgerCorrupt.
        """
        url = _sqlite_url(location)
        path = Path(str(url.database))
        if not path.exists():
            raise LedgerNotFound(f"No ledger at {path.name}.", "Create one: Ledger.create(path, signer=...).")
        store = cls(_engine(url, timeout_s=timeout_s, writable=writable))
        try:
            store._check_version(path, writable=writable)
        except LedgerError as error:
            store.close()
            wal = path.with_name(path.name + "-wal")
            blocked = type(error) in (LedgerUnavailable, LedgerReadOnly)
            if writable or not blocked or (wal.exists() and wal.stat().st_size):
                raise
            # A ledger on a read-only medium: without a log beside it, the file alone is the whole truth.
            store = cls(_engine(url, timeout_s=timeout_s, writable=False, immutable=True))
            store._check_version(path, writable=False)
        return store

    def close(self) -> None:
        """Release the file; the store can be used again and then reopens it."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view of the rows."""
        with self._transaction(write=False) as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The write lock; on leaving, what was appended is on disk, and after an error nothing is."""
        with self._transaction(write=True) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(ledger_write=write)
                with connection.begin():
                    yield Transaction(connection)
        except exc.DBAPIError as error:
            raise _translated(error) from error

    def _check_version(self, path: Path, *, writable: bool) -> None:
        with self._transaction(write=writable) as transaction:
            tables = set(sa.inspect(transaction.connection).get_table_names())
            if not {_ENTRIES.name, _VERSIONS.name} <= tables:
                raise NotALedger(f"{path.name} is a database, but not a ledger.", "Check the path.")
            version = transaction.connection.execute(sa.select(sa.func.max(_VERSIONS.c.version))).scalar()
            if version is None:
                raise NotALedger(f"{path.name} does not say which version it is.", "Check the path.")
            if version > VERSION:
                raise LedgerNewer(
                    f"{path.name} is a ledger of version {version}; this release knows {VERSION} and could break it.",
                    "Upgrade dpsynth-release.",
                )
            if writable:
                # SQLite takes no write lock on a file that it may only read, until something writes.
                transaction.connection.execute(_VERSIONS.update().where(sa.false()).values(version=VERSION))


@final
class Transaction:
    """What can be done while a view or the write lock is held."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, first_seq: int = 0) -> Iterator[Row]:
        """Rows from `first_seq` on, in order."""
        statement = sa.select(_ENTRIES).where(_ENTRIES.c.seq >= first_seq).order_by(_ENTRIES.c.seq)
        result = self.connection.execution_options(yield_per=1000).execute(statement)
        yield from map(Row._make, result)

    def append(self, row: Row) -> None:
        """Add one row; its seq must be the next."""
        self.connection.execute(_ENTRIES.insert(), row._asdict())


def _sqlite_url(location: str | Path) -> URL:
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=os.fspath(location))
    try:
        url = make_url(location)
    except exc.ArgumentError as error:
        raise LedgerUnavailable("The ledger's URL cannot be read.", "Write sqlite:///path/to/ledger.db.") from error
    if url.get_backend_name() != "sqlite":
        raise LedgerUnavailable(f"No ledger store for {url.get_backend_name()!r}.", "Use sqlite:///path/to/ledger.db.")
    if url.database in (None, "", ":memory:") or url.query:
        raise LedgerUnavailable("A ledger lives in a plain file: memory forgets.", "Use sqlite:///path/to/ledger.db.")
    return url


def _engine(url: URL, *, timeout_s: float, writable: bool, immutable: bool = False) -> Engine:
    if not writable:
        file = Path(str(url.database)).absolute().as_uri()
        options = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if immutable else {})
        url = URL.create("sqlite", database=file, query=options)
    engine = sa.create_engine(url, connect_args={"timeout": timeout_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        record.info["pid"] = os.getpid()
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in ("recursive_triggers=ON", "trusted_schema=OFF", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")
        if writable:
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "checkout")
    def _own_process(_connection: Any, record: Any, proxy: Any) -> None:
        # SQLite connections must not cross fork(): the child opens its own.
        if record.info["pid"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise exc.DisconnectionError("connection belongs to the parent process")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("ledger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _translated(error: exc.DBAPIError) -> LedgerUnavailable:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    with suppress(KeyError):
        cls, message, remedy = _SQLITE_ERRORS[code]
        return cls(message, remedy)
    return LedgerUnavailable(f"The ledger's database refused ({type(error.orig).__name__}).", "Run: ledger verify.")
