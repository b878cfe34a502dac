"""What a database must do for a ledger, beyond running the same SQL.

Everything that differs between SQLite and PostgreSQL is a method here; the flow around them is `store.Store`.

Not guaranteed: durability by this class; each database's file says how it asks for it and what it refuses.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, Engine

from accounting.ledger.errors import LedgerUnavailable


class Database(ABC):
    """One place where a ledger lies or may be made.

    Attributes:
        label: name for messages; never holds a credential.
        guards: SQL that makes the two tables append-only.
    """

    label: str
    guards: tuple[str, ...]

    @abstractmethod
    def engine(self, *, writable: bool) -> Engine:
        """Connections, each used by the process that made it and by no child of it."""

    @abstractmethod
    def begin(self, connection: Connection, *, write: bool) -> None:
        """Start one consistent view; with `write`, wait for the ledger's one write lock first."""

    @abstractmethod
    def claim(self) -> None:
        """Before a ledger is made: refuse, with `LedgerExists`, to overwrite anything."""

    @abstractmethod
    def unclaim(self) -> None:
        """Undo `claim` after a creation that failed."""

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Inside the creating transaction, before the tables are made."""

    @abstractmethod
    def find(self) -> None:
        """Before connecting: raise `LedgerNotFound` if it can be seen that nothing is there."""

    @abstractmethod
    def check(self, connection: Connection, *, writable: bool) -> None:
        """Raise unless both tables are there and may be read and, with `writable`, appended to."""

    @abstractmethod
    def for_reading_only(self) -> Database | None:
        """Another way in for a reader, when this one was refused; None if there is none."""

    @abstractmethod
    def translated(self, error: exc.DBAPIError) -> LedgerUnavailable:
        """What the driver's error means for a ledger."""


def bound_to_process(engine: Engine, *, ping: bool) -> Engine:
    """Give a child process connections of its own, and with `ping` replace those that the server has dropped.

    A parent's connection is kept referenced in the child, never closed: closing it would end the parent's session.
    """
    parents: list[object] = []

    @event.listens_for(engine, "connect")
    def _remember(_connection: Any, record: Any) -> None:
        record.info["pid"], record.info["fresh"] = os.getpid(), True

    @event.listens_for(engine, "checkout")
    def _own_process(connection: Any, record: Any, proxy: Any) -> None:
        if record.info["pid"] != os.getpid():
            parents.append(connection)
            record.dbapi_connection = proxy.dbapi_connection = None
            raise exc.DisconnectionError("connection belongs to the parent process")
        if ping and not record.info.pop("fresh", False):
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise exc.DisconnectionError("the server dropped the connection") from error

    return engine


def said_by(error: exc.DBAPIError) -> str:
    """The kind of driver error, for messages: its text could quote what was sent."""
    return type(error.orig).__name__
