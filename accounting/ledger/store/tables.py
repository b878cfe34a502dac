"""The two tables of a ledger, the same in every database, and what one transaction does with them.

Rows are written in order and each seq once: the primary key refuses a second writer of the same place, and a
trigger (each database's own) refuses gaps, updates and deletions.

Not guaranteed: what a row says; that is the chain's business (`accounting.ledger.chain`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from accounting.ledger.entry import Row

VERSION = 1

METADATA = sa.MetaData()
ENTRIES = sa.Table(
    "ledger_entries",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("prev_hash", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("signature", sa.String(128), nullable=False),
    sa.Column("key_id", sa.String(32), nullable=False),
)
VERSIONS = sa.Table(
    "ledger_versions", METADATA, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)

_PAGE = 2000  # rows fetched at once: one round trip for what others appended, bounded memory for a long ledger
_NEXT_PAGE = sa.select(ENTRIES).where(ENTRIES.c.seq >= sa.bindparam("first")).order_by(ENTRIES.c.seq).limit(_PAGE)


@final
class Transaction:
    """What can be done while a view or the write lock is held."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, first_seq: int = 0) -> Iterator[Row]:
        """Rows from `first_seq` on, in order."""
        while True:
            page = list(map(Row._make, self.connection.execute(_NEXT_PAGE, {"first": first_seq}).fetchall()))
            yield from page
            if len(page) < _PAGE:
                return
            first_seq = page[-1].seq + 1

    def append(self, row: Row) -> None:
        """Add one row; its seq must be the next."""
        self.connection.execute(ENTRIES.insert(), row._asdict())

    def version(self) -> int | None:
        """The version that the ledger says it has."""
        version: int | None = self.connection.execute(sa.select(sa.func.max(VERSIONS.c.version))).scalar()
        return version

    def make(self, guards: tuple[str, ...], first: Row) -> None:
        """Tables, their guards (SQL), the version and the first row, in an empty database."""
        METADATA.create_all(self.connection, checkfirst=False)
        for statement in guards:
            self.connection.exec_driver_sql(statement)
        self.connection.execute(VERSIONS.insert(), {"version": VERSION})
        self.append(first)
