"""Refusals of the ledger, one tree below `AccountingError`.

LedgerError
|- LedgerUnavailable      the store cannot be used; nothing was written
|  |- LedgerNotFound      no such file
|  |- LedgerExists        create() would overwrite
|  |- NotALedger          some other file or database
|  |- LedgerNewer         written by a newer release of this package
|  |- LedgerReadOnly      no signer was given, or the file system refuses writes
|  |- LedgerLocked        another process holds the write lock for too long
|  |- LedgerFull          no space left
|  `- LedgerCorrupt       the database file is damaged
|- LedgerTampered         the entries contradict themselves; `.reason` is a `Reason`
|- SliceRefused           a slice does not prove what it claims; `.reason` is a `Reason`
|- KeyRefused             a key file or key bytes cannot be used
|- AmountRefused          an epsilon or delta that cannot be charged (also a ValueError)
|- EntryRefused           a body that may not enter the chain (also a ValueError)
|- BudgetRefused          no such budget, or one exists already, or the plan does not belong to it
|  `- BudgetExceeded      spent + reserved + asked > limit, with the four numbers
|- ReviewRefused          nothing to review, a second vote, a vote opened too early, nothing to call back
`- ReservationRefused     unknown or closed reservation, refund after a read, bad token
   |- CapabilityRefused   private rows were asked for without leave, or with a leave for something else
   `- PlanExceeded        the events committed are not covered by the plan reserved
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from accounting.decimals import decimal_text
from accounting.errors import AccountingError


class Reason(StrEnum):
    """Machine-readable answer to "what is wrong with this chain"; part of the interface."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNKNOWN_SCHEMA = "unknown-schema"
    UNKNOWN_KIND = "unknown-kind"
    FOREIGN_LEDGER = "foreign-ledger"
    CHAIN_BROKEN = "chain-broken"
    SIGNATURE_INVALID = "signature-invalid"
    HEAD_MISMATCH = "head-mismatch"
    ROLLED_BACK = "rolled-back"
    REDACTED_OWN_ENTRY = "redacted-own-entry"
    REDACTED_GLOBAL_ENTRY = "redacted-global-entry"
    RULE_BROKEN = "rule-broken"
    ROTATION_INVALID = "rotation-invalid"
    PLAN_EXCEEDED = "plan-exceeded"
    OVERSPENT = "overspent"


class LedgerError(AccountingError):
    """Base of all refusals of the ledger."""


class LedgerUnavailable(LedgerError):
    """The store cannot be used; nothing was written."""


class LedgerNotFound(LedgerUnavailable):
    """No ledger at this path."""


class LedgerExists(LedgerUnavailable):
    """Something is there already, and a ledger is never overwritten."""


class NotALedger(LedgerUnavailable):
    """The file is not a ledger of this package."""


class LedgerNewer(LedgerUnavailable):
    """The ledger was written by a newer release."""


class LedgerReadOnly(LedgerUnavailable):
    """The ledger can be read but not written."""


class LedgerLocked(LedgerUnavailable):
    """The write lock did not become free in time."""


class LedgerFull(LedgerUnavailable):
    """The disk has no room for another entry."""


class LedgerCorrupt(LedgerUnavailable):
    """The database file is damaged."""


class _Reasoned(LedgerError):
    """A verdict on a chain, with its reason and, where one is to blame, the entry."""

    def __init__(self, reason: Reason, message: str, remedy: str = "", *, seq: int | None = None) -> None:
        super().__init__(f"[{reason.value}] {message}", remedy)
        self.reason = reason
        self.seq = seq


class LedgerTampered(_Reasoned):
    """The stored entries contradict their hashes, their signatures or the ledger's rules."""


class SliceRefused(_Reasoned):
    """A slice does not prove what it claims."""


class KeyRefused(LedgerError):
    """A signing or verification key cannot be used."""


class AmountRefused(LedgerError, ValueError):
    """An epsilon or delta that cannot be granted or charged."""


class EntryRefused(LedgerError, ValueError):
    """A body that may not enter the chain."""


class BudgetRefused(LedgerError):
    """The budget is unknown, exists already, or does not fit the plan."""


class BudgetExceeded(BudgetRefused):
    """A plan that would take the budget over its limit.

    Attributes:
        quantity: "epsilon", "rho", "divergence" or "delta".
        budget_id: the budget that lacks it: the one asked of, or one above it.
        spent: already charged, same quantity.
        reserved: held by reservations that were neither committed nor refunded.
        asked: price of the refused plan.
        limit: what the budget grants.
        left: what a plan may still cost.
    """

    def __init__(
        self,
        *,
        quantity: str,
        budget_id: str,
        node: str,
        claim: str,
        spent: Decimal,
        reserved: Decimal,
        asked: Decimal,
        limit: Decimal,
        left: Decimal,
    ) -> None:
        super().__init__(
            f"Expected {quantity} {decimal_text(asked)} to fit into the {decimal_text(left)} left of '{node}' "
            f"({budget_id}; {claim}): limit {decimal_text(limit)}, spent {decimal_text(spent)}, reserved "
            f"{decimal_text(reserved)}.",
            f"Plan a run that costs at most {quantity} {decimal_text(left)}, release from an existing draft (free), "
            "or have the holder of a budget key amend the grant, which every later report shows.",
        )
        self.quantity, self.asked, self.budget_id = quantity, asked, budget_id
        self.spent, self.reserved, self.limit, self.left = spent, reserved, limit, left


class ReviewRefused(LedgerError):
    """A review, appeal, approval, withdrawal or recall that has no place in the chain now."""


class ReservationRefused(LedgerError):
    """The reservation is unknown, closed, or does not permit this step."""


class CapabilityRefused(ReservationRefused):
    """Private rows may not be handed out: no capability, a used one, or one for other data or another plan."""


class PlanExceeded(ReservationRefused):
    """Committed events are not covered by the reserved plan."""
