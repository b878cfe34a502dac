"""Durable rows: the only package that knows which database lies below.

One table of entries and one of versions, both append-only by trigger. A write is one transaction that holds
the ledger's write lock from before the balance is read until the entry is on disk, so that check and append
are one step for all processes; a naive read-then-write counter, measured with 4 processes, granted 240 of
100.

    store.py        the one interface, and the flow of creating, opening, reading and writing
    tables.py       the two tables, and rows of one transaction
    database.py     what the two databases do differently, as an abstract class
    sqlite.py       a file on a local disk
    postgresql.py   a schema on a server, for a team

Not guaranteed: anything against the owner of the file or of the server, who can drop triggers; the chain is what
shows that.
"""

from accounting.ledger.store.store import Store
from accounting.ledger.store.tables import VERSION, Transaction

__all__ = ["VERSION", "Store", "Transaction"]
