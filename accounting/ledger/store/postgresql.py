"""A ledger that a team shares: one schema of a PostgreSQL database.

    postgresql://user@host/database?schema=claims      default schema: dpsynth_ledger

*One writer*: `pg_advisory_xact_lock` on a key of the schema's name, before the balance is read; the server frees it
when the session ends, however it ends. It is for order, not for safety: who writes without it meets the primary key,
which holds each place once, and an entry names the hash of the one before it.

*Durable*: each write asks for `synchronous_commit = on` or stronger, and is refused while `fsync` or
`full_page_writes` is off, or if the table is unlogged. *Append-only*: triggers on UPDATE, DELETE and TRUNCATE that
hold in every replication role, and privileges revoked from the owner as well. *One view*: REPEATABLE READ for readers;
writers hold the lock.

PostgreSQL documentation, 13.3.5 "Advisory locks" and 30.3 "Asynchronous commit".

>>> PostgreSQL(sa.make_url("postgresql://me:secret@host/team"), timeout_s=1.0).label
'dpsynth_ledger at host/team'

Not guaranteed: what the server's disks and its administrator do. A role with the owner's rights can drop the triggers;
the chain shows that, and a head kept elsewhere shows a restored backup.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import final

import sqlalchemy as sa
from sqlalchemy import exc
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
from accounting.ledger.store.tables import ENTRIES, VERSIONS

DEFAULT_SCHEMA = "dpsynth_ledger"
IDLE_LOCK_S = 60  # a writer that stalls this long inside the lock loses it, and its transaction

_SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
# What libpq may be told in the URL. Not `options`, which could undo the settings below, and not `password`.
_SETTINGS = frozenset({"host", "port", "connect_timeout", "service", "passfile", "target_session_attrs"}) | {
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding"),
}

_WRITE_SETTINGS = sa.text(
    "SELECT set_config('lock_timeout', :wait, true), set_config('idle_in_transaction_session_timeout', :idle, true), "
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true), "
    "current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, "
    "current_setting('transaction_read_only') AS read_only"
)
_SCHEMA_FACTS = sa.text(
    "SELECT has_schema_privilege(oid, 'USAGE') AS usable, "
    "EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid) AS holds_something "
    "FROM pg_namespace WHERE nspname = :schema"
)
_TABLE_FACTS = sa.text(
    "SELECT c.relname, c.relpersistence = 'p' AS logged, has_table_privilege(c.oid, 'SELECT') AS readable, "
    "has_table_privilege(c.oid, 'INSERT') AS appendable "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relkind = 'r' AND c.relname IN ('ledger_entries', 'ledger_versions')"
)

# SQLSTATE (PostgreSQL documentation, appendix A), whole or by class, with what it means for a ledger.
_ERRORS: dict[str, tuple[type[LedgerUnavailable], str, str]] = {
    "55P03": (LedgerLocked, "Another process holds the ledger's write lock.", "Wait for it, then retry."),
    "40": (LedgerLocked, "Another transaction stood in the way, and nothing was written.", "Retry."),
    "23": (LedgerLocked, "Another program wrote to the ledger without its lock, and was faster.", "Retry."),
    "25006": (LedgerReadOnly, "The server takes no writes: a standby, or set read-only.", "Connect to the primary."),
    "42501": (
        LedgerReadOnly,
        "The database role lacks a privilege that this step needs.",
        "Ask the schema's owner for it: see share-a-ledger in the documentation.",
    ),
    "53100": (LedgerFull, "No space is left for another entry.", "Free disk space on the server, then retry."),
    "53300": (LedgerUnavailable, "The server has no connection left to give.", "Retry, or raise max_connections."),
    "57014": (
        LedgerUnavailable,
        "The server cancelled the statement: its time was up, or somebody cancelled it.",
        "Retry; or raise statement_timeout for this role.",
    ),
    "25P03": (
        LedgerLocked,
        f"The write took longer than {IDLE_LOCK_S} s between two statements, and the server freed its lock.",
        "Retry.",
    ),
    "57P": (LedgerUnavailable, "The server is shutting down or starting.", "Wait for it, then retry."),
    "08": (LedgerUnavailable, "The connection to the server was lost.", "Read what is there, then retry."),
    "XX": (LedgerCorrupt, "The server found the ledger's data damaged.", "Restore a backup, compare its head."),
    "58": (LedgerUnavailable, "Reading or writing the server's disk failed.", "Check the server, then retry."),
    "42P01": (NotALedger, "The schema does not hold a ledger.", "Check the URL."),
}


@final
class PostgreSQL(Database):
    """A ledger in a schema of its own."""

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        query = dict(url.query)
        schema = query.pop("schema", DEFAULT_SCHEMA)
        if not isinstance(schema, str) or not _SCHEMA_NAME.fullmatch(schema):
            raise LedgerUnavailable(
                "Expected the URL's schema as lower-case letters, digits and underscores, not starting with pg_.",
                "Write postgresql://host/database?schema=name.",
            )
        if unknown := sorted(set(query) - _SETTINGS):
            raise LedgerUnavailable(
                f"A ledger's URL does not take {unknown[0]!r}.", f"It takes schema and {', '.join(sorted(_SETTINGS))}."
            )
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise LedgerUnavailable("The ledger speaks to PostgreSQL through psycopg.", "Write postgresql://…")
        self._schema, self._timeout_s = schema, timeout_s
        self._url = url.set(drivername="postgresql+psycopg", query=query)
        port = f":{url.port}" if url.port else ""
        self.label = f"{schema} at {url.host or query.get('host') or 'localhost'}{port}/{url.database or ''}"
        key = hashlib.sha256(b"dpsynth.ledger-lock/1" + schema.encode()).digest()[:8]
        self._lock = sa.text(f"SELECT pg_advisory_xact_lock({int.from_bytes(key, signed=True)})")
        self.guards = _guards(schema)

    def engine(self, *, writable: bool) -> Engine:  # noqa: ARG002 - a reader's transactions are read only
        """Connections to the server.

        Raises:
            LedgerUnavailable: psycopg is not installed.
        """
        try:
            engine = sa.create_engine(
                self._url,
                connect_args={
                    "connect_timeout": max(2, math.ceil(self._timeout_s)),
                    "client_encoding": "utf8",
                    "application_name": "dpsynth ledger",
                    "prepare_threshold": None,  # a pooler in between may know nothing of prepared statements
                }
                | dict(self._url.query),
                execution_options={"schema_translate_map": {None: self._schema}},
                hide_parameters=True,
                use_native_hstore=False,
            )
        except ModuleNotFoundError as error:
            raise LedgerUnavailable(
                "A ledger in PostgreSQL needs the psycopg driver, which is not installed.",
                "Run: pip install 'dpsynth-release[postgresql]'.",
            ) from error
        return bound_to_process(engine, ping=True)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """A snapshot for a reader; for a writer the settings that make it durable, then the lock."""
        if not write:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        # READ COMMITTED, so that what is read after the wait for the lock is what is there after the wait.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        wait = {"wait": f"{max(1, round(1000 * self._timeout_s))}ms", "idle": f"{IDLE_LOCK_S}s"}
        found = connection.execute(_WRITE_SETTINGS, wait).one()
        if found.read_only == "on":
            cls, message, remedy = _ERRORS["25006"]
            raise cls(message, remedy)
        if found.fsync != "on" or found.full_page_writes != "on":
            raise LedgerUnavailable(
                "The server says that data is written before it is (fsync or full_page_writes is off), so a crash "
                "would forget what was spent.",
                "Turn both on in postgresql.conf.",
            )
        connection.execute(self._lock)

    def claim(self) -> None:
        """Nothing before the connection: `prepare` looks, under the lock."""

    def unclaim(self) -> None:
        """Nothing: the server undid the transaction."""

    def prepare(self, connection: Connection) -> None:
        """The schema, which must be new or empty, in a database that can hold every text."""
        if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
            raise LedgerUnavailable(
                "The database cannot hold every text (its encoding is not UTF8).", "Create one with ENCODING 'UTF8'."
            )
        facts = connection.execute(_SCHEMA_FACTS, {"schema": self._schema}).one_or_none()
        if facts is None:
            connection.exec_driver_sql(f'CREATE SCHEMA "{self._schema}"')
        elif facts.holds_something:
            raise LedgerExists(
                f"{self.label} is in use, and overwriting a ledger would forget what was spent.",
                "Open it, or choose another: postgresql://host/database?schema=name.",
            )

    def find(self) -> None:
        """Nothing before the connection."""

    def check(self, connection: Connection, *, writable: bool) -> None:
        """The schema, both tables, and what this role may do with them."""
        schema = connection.execute(_SCHEMA_FACTS, {"schema": self._schema}).one_or_none()
        if schema is None:
            raise LedgerNotFound(f"No ledger at {self.label}.", "Create one: Ledger.create(url, signer=...).")
        tables = {row.relname: row for row in connection.execute(_TABLE_FACTS, {"schema": self._schema})}
        if tables.keys() != {ENTRIES.name, VERSIONS.name}:
            raise NotALedger(f"{self.label} is a schema, but not a ledger.", "Check the URL.")
        if not schema.usable or not all(table.readable for table in tables.values()):
            raise LedgerUnavailable(
                f"This database role may not read {self.label}.", "Ask its owner: GRANT USAGE and SELECT."
            )
        if writable and not tables[ENTRIES.name].appendable:
            raise LedgerReadOnly(
                f"This database role may read {self.label}, not append to it.", "Ask its owner: GRANT INSERT."
            )
        if not all(table.logged for table in tables.values()):
            raise LedgerUnavailable(
                f"{self.label} is an unlogged table, which a crash of the server empties.",
                "ALTER TABLE … SET LOGGED, then compare its head.",
            )

    def for_reading_only(self) -> None:
        """None: a standby is read like any server."""

    def translated(self, error: exc.DBAPIError) -> LedgerUnavailable:
        """By SQLSTATE; without one the server was never reached, or is gone."""
        state = getattr(error.orig, "sqlstate", None) or ("08" if error.connection_invalidated else "")
        for code in (state, state[:3], state[:2]):
            if known := _ERRORS.get(code):
                cls, message, remedy = known
                return cls(message, remedy)
        if not state and error.statement is None:
            return LedgerUnavailable(
                f"{self.label} cannot be reached, or refused the login.",
                "Check host, database, role and network; the password comes from ~/.pgpass or PGPASSWORD.",
            )
        return LedgerUnavailable(
            f"The ledger's database refused ({said_by(error)}{f', SQLSTATE {state}' if state else ''}).",
            "Run: ledger verify.",
        )


def _guards(schema: str) -> tuple[str, ...]:
    """Triggers that hold in every replication role, and privileges that even the owner gives up."""
    entries, versions = (f'"{schema}".{table.name}' for table in (ENTRIES, VERSIONS))
    refuse, in_order = f'"{schema}".ledger_append_only()', f'"{schema}".ledger_in_order()'
    triggers = [
        (table, name, f"BEFORE {verbs} ON {table} FOR EACH {each} EXECUTE FUNCTION {refuse}")
        for table in (entries, versions)
        for name, verbs, each in (("no_change", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT"))
    ]
    triggers.append((entries, "in_order", f"BEFORE INSERT ON {entries} FOR EACH ROW EXECUTE FUNCTION {in_order}"))
    return (
        f"CREATE FUNCTION {refuse} RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE restrict_violation USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
        f"CREATE FUNCTION {in_order} RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608 - a checked name
        f"IF NEW.seq IS DISTINCT FROM (SELECT COALESCE(MAX(seq), -1) + 1 FROM {entries}) THEN "
        "RAISE restrict_violation USING MESSAGE = 'ledger_entries are written in order'; END IF; "
        "RETURN NEW; END $$",
        *(f"CREATE TRIGGER {name} {what}" for _, name, what in triggers),
        *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for table, name, _ in triggers),
        *(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER" for table in (entries, versions)),
    )
