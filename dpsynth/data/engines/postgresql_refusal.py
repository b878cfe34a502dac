"""PostgreSQL's refusals in words of ours: its own hold cells, hosts, accounts and databases.

A statement's refusal bears a code (SQLSTATE). That of a connection bears none, only libpq's words, so these are looked
at for a few phrases and never repeated; in another language, or of another kind, the general remedy is given.

>>> remedy('connection to server at "10.0.0.1", port 5432 failed: Connection refused')
'Nothing answers at that host and port: check both, and that the server runs and listens there.'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import EngineLost

CONNECT = "connect"
NOT_PERMITTED = "42501"
READ_ONLY = "25006"
LOST = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that say nothing about rows: connection, rollback, resources, locks, an operator, the system."""
PASSWORD = "Put it into ~/.pgpass or PGPASSWORD; a URL's is not kept."  # noqa: S105 - words
REMEDIES = (
    ("no password supplied", f"The server asks for a password, and none was given. {PASSWORD}"),
    ("authentication failed", f"The server refused the account or its password. {PASSWORD}"),
    ("no pg_hba.conf entry", "The server lets no such account in from here, or not without SSL: ask who runs it."),
    (
        "permission denied for database",
        "The account may not connect: the owner does GRANT CONNECT ON DATABASE … TO account.",
    ),
    ('role "', f"The server refused the account or its password. {PASSWORD}"),
    ('database "', "The server has no such database: check the URL's path; capitals count."),
    ("failed to resolve host", "No such host is known: check the URL's host."),
    ("could not translate host", "No such host is known: check the URL's host."),
    ("SSL", "Server and client do not agree on SSL: check sslmode in the URL or PGSSLMODE, and the port."),
    (
        "Connection refused",
        "Nothing answers at that host and port: check both, and that the server runs and listens there.",
    ),
    ("No such file", "Nothing answers at that host and port: check both, and that the server runs and listens there."),
    ("timeout", "The server did not answer in time: check host, port, network and firewall."),
    ("timed out", "The server did not answer in time: check host, port, network and firewall."),
    ("too many", "The server takes no more connections now: try again later."),
)
"""What libpq or the server says when nobody is let in, and what to do."""


def remedy(said: str) -> str:
    """What to do about a connection that was not made, by what libpq said of it."""
    general = "Check server, network and account, and its password: ~/.pgpass or PGPASSWORD; a URL's is not kept."
    return next((words for phrase, words in REMEDIES if phrase in said), general)


def not_permitted(grants: str) -> DataError:
    """The account lacks a permission.

    Args:
        grants: what the owner types.
    """
    return DataError(
        "The account may not read the table, or may not make a temporary one in its database.",
        f"The owner grants what lacks: {grants}.",
    )


@contextmanager
def refused(what: str, grants: Callable[[], str] | None = None) -> Iterator[None]:
    """PostgreSQL's refusals without its words.

    Args:
        what: what it was asked to do.
        grants: finds what an account lacks that is not permitted.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        code = f", SQLSTATE {error.sqlstate}" if error.sqlstate else ""
        if _is_loss(error):
            raise EngineLost(
                f"PostgreSQL was lost or gave up when asked to {what} ({type(error).__name__}{code}); its own words are"
                " left out, since they may hold cells or credentials.",
                remedy(str(error)) if what == CONNECT else "Check server, network, account, disk and time limits.",
            ) from None
        if error.sqlstate == READ_ONLY:
            raise DataError(
                "PostgreSQL only reads here: the table is a view that writes when read, or the server is a replica.",
                "Name a table or view that only reads, on a server where temporary tables can be made.",
            ) from None
        if error.sqlstate == NOT_PERMITTED and grants is not None:
            raise not_permitted(grants()) from None
        raise DataError(
            f"PostgreSQL refused to {what} ({type(error).__name__}{code}); its own words are left out, since they may"
            " hold cells or credentials.",
            "Check the server, the account's permissions, and that numbers fit 64 bits."
            if what != CONNECT
            else "Check the URL and its parameters: postgresql://account@host:port/database.",
        ) from None


def _is_loss(error: Any) -> bool:
    import psycopg

    if error.sqlstate is None:  # no answer of the server's: the connection could not be made, or broke
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return str(error.sqlstate)[:2] in LOST
