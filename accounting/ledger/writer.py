"""One write: decide under the lock, seal, check by the rules, append; all of it or nothing.

What may be written is decided by a function that sees the books with every entry that came before, of this process and
of all others, while nobody else can write. `accounting.ledger.ledger` has one such function for each step of a run and
each act of a person.

Not guaranteed: that the signer is the person who should hold the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accounting.ledger.books import Books
from accounting.ledger.chain import Chain
from accounting.ledger.entry import JSON, Entry, Kind, Row, seal, stamp
from accounting.ledger.errors import EntryRefused, KeyRefused, LedgerReadOnly, LedgerTampered
from accounting.ledger.reader import LedgerReader
from accounting.ledger.signing import Signer
from accounting.ledger.store import Store


class LedgerWriter(LedgerReader):
    """A ledger to read from, and to write to with a signer."""

    def __init__(self, store: Store, genesis: Row, signer: Signer | None) -> None:
        super().__init__(store, genesis)
        self._signer = signer

    def _writer(self) -> Signer:
        if self._signer is None:
            raise LedgerReadOnly("The ledger was opened without a signer.", "Open it with its key to write.")
        return self._signer

    def _take(self, signer: Signer | None) -> None:
        """Sign with this key from now on, if it is in force."""
        if signer is not None:
            _check_in_force(self._read(), signer)
            self._signer = signer

    def _append(
        self, kind: Kind, decide: Callable[[Books], Mapping[str, JSON]], *, recovery: Signer | None = None
    ) -> Entry:
        """Decide, seal and write in one transaction; `decide` sees every entry that came before.

        A rotation by a `recovery` key is the only entry that another key than the one in force may sign.
        """
        signer = recovery or self._writer()
        with self._lock:
            ahead = False
            try:
                with self._store.writing() as transaction:
                    self._catch_up(transaction)
                    if recovery is None:
                        _check_in_force(self._chain.books, signer)
                    body = stamp(kind, decide(self._chain.books))
                    row = seal(body, self._chain.head, signer, family=self._chain.books.family(body))
                    try:
                        self._chain.read(row)
                    except LedgerTampered as error:
                        raise EntryRefused(f"The ledger's rules refuse the entry: {error.message}") from error
                    ahead = True
                    transaction.append(row)
            except BaseException:
                if ahead:
                    self._chain = Chain()  # the entry may not be on disk: read again what is
                raise
            return Entry.from_row(row, body)


def _check_in_force(books: Books, signer: Signer) -> None:
    if signer.public_bytes == books.ledger_keys[-1].public_key:
        return
    if any(signer.public_bytes == key.public_key for key in books.ledger_keys):
        raise KeyRefused(
            "This key was rotated away, so its entries would not verify.",
            "Load the ledger's present key, or open without a signer to read.",
        )
    raise KeyRefused(
        "This key did not create the ledger, nor was it rotated to, so its entries would not verify.",
        "Load the ledger's own key, or open without a signer to read.",
    )
