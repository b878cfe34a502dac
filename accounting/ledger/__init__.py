"""The budget ledger: append-only, hash-chained, signed; reserve, then commit or abort.

Names are loaded on first use, so that checking a slice needs no database and reading a ledger no accountant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounting.ledger.amounts import Amounts, Balance, Charge
    from accounting.ledger.entry import Entry, Head, Kind
    from accounting.ledger.ledger import Ledger, Reservation
    from accounting.ledger.records import BudgetRecord, KeyRecord, ReservationRecord
    from accounting.ledger.signing import Signer
    from accounting.ledger.slice import SliceFacts, verify_slice

_WHERE = {
    "Amounts": "accounting.ledger.amounts",
    "Balance": "accounting.ledger.amounts",
    "Charge": "accounting.ledger.amounts",
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
    "Amounts",
    "Balance",
    "BudgetRecord",
    "Charge",
    "Entry",
    "Head",
    "KeyRecord",
    "Kind",
    "Ledger",
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
