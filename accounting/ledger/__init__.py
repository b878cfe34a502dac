"""The budget ledger: append-only, hash-chained, signed; reserve, then commit or abort.

Names are loaded on first use, so that checking a slice needs no database and reading a ledger no accountant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounting.ledger.amounts import Charge, Grant
    from accounting.ledger.balance import Amounts, Balance, Odometer
    from accounting.ledger.composition import Composition
    from accounting.ledger.entry import Entry, Head, Kind
    from accounting.ledger.ledger import Ledger, Reservation
    from accounting.ledger.records import Amendment, BudgetRecord, KeyRecord, Recipient, ReservationRecord
    from accounting.ledger.signing import Signer
    from accounting.ledger.slice import SliceFacts, verify_slice

_WHERE = {
    "Amendment": "accounting.ledger.records",
    "Amounts": "accounting.ledger.balance",
    "Balance": "accounting.ledger.balance",
    "Charge": "accounting.ledger.amounts",
    "Composition": "accounting.ledger.composition",
    "Grant": "accounting.ledger.amounts",
    "Odometer": "accounting.ledger.balance",
    "Recipient": "accounting.ledger.records",
    "BudgetRecord": "accounting.ledger.records",
    "KeyRecord": "accounting.ledger.records",
    "ReservationRecord": "accounting.ledger.records",
    "Entry": "accounting.ledger.entry",
    "Head": "accounting.ledger.entry",
    "Kind": "accounting.ledger.entry",
    "Ledger": "accounting.ledger.ledger",
    "Reservation": "accounting.ledger.ledger",
    "Signer": "accounting.ledger.signing",
    "SliceFacts": "accounting.ledger.slice",
    "verify_slice": "accounting.ledger.slice",
}

__all__ = [
    "Amendment",
    "Amounts",
    "Balance",
    "BudgetRecord",
    "Charge",
    "Composition",
    "Entry",
    "Grant",
    "Head",
    "KeyRecord",
    "Kind",
    "Ledger",
    "Odometer",
    "Recipient",
    "Reservation",
    "ReservationRecord",
    "Signer",
    "SliceFacts",
    "verify_slice",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
