"""The one interface to stored rows: create, open, read under one view, write under one lock.

>>> Store.at("ledger.db", timeout_s=1.0).label
'ledger.db'
>>> Store.at("postgresql://me:secret@db.example.org/team?schema=claims", timeout_s=1.0).label
'claims at db.example.org/team'

Not guaranteed: anything against the owner of the database; see the package's docstring.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from accounting.ledger.entry import Row
from accounting.ledger.errors import LedgerError, LedgerNewer, LedgerReadOnly, LedgerUnavailable, NotALedger
from accounting.ledger.store.database import Database
from accounting.ledger.store.postgresql import PostgreSQL
from accounting.ledger.store.sqlite import SQLite
from accounting.ledger.store.tables import VERSION, Transaction

_FORMS = "Write a path, sqlite:///path/to/ledger.db, or postgresql://host/database?schema=name."


@final
class Store:
    """Rows of one ledger; every method raises `LedgerUnavailable` or a subclass when the database fails."""

    def __init__(self, database: Database, *, writable: bool) -> None:
        self._database = database
        self._engine = database.engine(writable=writable)

    def __repr__(self) -> str:
        return f"Store({self._database.label!r})"

    @staticmethod
    def at(location: str | Path, *, timeout_s: float) -> Database:
        """The database that a path or URL means; nothing is opened.

        Raises:
            LedgerUnavailable: the URL cannot be read, or names a database that no ledger lives in.
        """
        url = _url(location)
        if url.get_backend_name() == "sqlite":
            return SQLite(url, timeout_s=timeout_s)
        if url.get_backend_name() == "postgresql":
            return PostgreSQL(url, timeout_s=timeout_s)
        raise LedgerUnavailable(f"No ledger store for {url.get_backend_name()!r}.", _FORMS)

    @classmethod
    def create(cls, location: str | Path, first: Row, *, timeout_s: float) -> Store:
        """A new store that holds `first`, all in one transaction: with its first entry or not at all.

        Raises:
            LedgerExists: something is at this path or in this schema.
        """
        database = cls.at(location, timeout_s=timeout_s)
        store = cls(database, writable=True)
        database.claim()
        try:
            with store.writing() as transaction:
                database.prepare(transaction.connection)
                transaction.make(database.guards, first)
        except LedgerError:
            store.close()
            database.unclaim()
            raise
        return store

    @classmethod
    def open(cls, location: str | Path, *, timeout_s: float, writable: bool) -> Store:
        """An existing store. `writable` is tried at once, before any private data could be read in vain.

        Raises:
            LedgerNotFound, NotALedger, LedgerNewer, LedgerReadOnly, LedgerLocked, LedgerCorrupt.
        """
        database = cls.at(location, timeout_s=timeout_s)
        database.find()
        store = cls(database, writable=writable)
        try:
            store._check(writable=writable)
        except LedgerError as error:
            store.close()
            blocked = type(error) in (LedgerUnavailable, LedgerReadOnly)
            other = database.for_reading_only() if blocked and not writable else None
            if other is None:
                raise
            store = cls(other, writable=False)
            store._check(writable=False)
        return store

    def close(self) -> None:
        """Release the connections; the store can be used again and then reopens them."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view of the rows."""
        with self._transaction(write=False) as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The write lock; on leaving, what was appended is on disk, and after an error nothing is.

        A connection lost while it is committed is the exception to the last half: the entry may be there, and the
        next read shows it.
        """
        with self._transaction(write=True) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        try:
            with self._engine.connect() as connection, connection.begin():
                self._database.begin(connection, write=write)
                yield Transaction(connection)
        except exc.DBAPIError as error:
            raise self._database.translated(error) from error

    def _check(self, *, writable: bool) -> None:
        with self._transaction(write=writable) as transaction:
            self._database.check(transaction.connection, writable=writable)
            version, label = transaction.version(), self._database.label
        if version is None:
            raise NotALedger(f"{label} does not say which version it is.", "Check the path.")
        if version > VERSION:
            raise LedgerNewer(
                f"{label} is a ledger of version {version}; this release knows {VERSION} and could break it.",
                "Upgrade dpsynth-release.",
            )


def _url(location: str | Path) -> URL:
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=os.fspath(location))
    try:
        return make_url(location)
    except (exc.ArgumentError, ValueError):  # a bad port is a ValueError; either text may quote the password
        raise LedgerUnavailable("The ledger's URL cannot be read.", _FORMS) from None
