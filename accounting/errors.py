"""One error tree for the accountant; the ledger hangs its own branch on it.

    AccountingError              every message says what, why, and (remedy) what to do next
    |- ParameterError            a number given by the caller is outside its range (also a ValueError)
    |  `- DeltaTooSmallError     partition selection alone spends more than delta
    |- EventError                an event or event tree is malformed, mixed or oversized (also a ValueError)
    |- UnsupportedEventError     no proof covers this event and relation, or fewer than two accountants do
    |- FilterExhaustedError     a step would carry a filter beyond its bound: it must not run
    |- CrossCheckError           two accountants contradict each other: nothing may be charged on either
    |- CalibrationError          no budget parameter in the bracket meets the target
    `- LedgerError               `accounting/ledger/errors.py`

Messages quote the offending parameter, which is public by design; no data ever reaches this package.
"""

from __future__ import annotations


class AccountingError(Exception):
    """Base of all errors that a user of `accounting` is meant to read.

    Args:
        message: what happened and why it matters.
        remedy: what to do next, an imperative sentence.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def to_json(self) -> dict[str, str]:
        """The `error` object of `--json`: type, message, remedy."""
        return {"type": type(self).__name__, "message": self.message, "remedy": self.remedy}


class ParameterError(AccountingError, ValueError):
    """A number is outside its documented range."""


class DeltaTooSmallError(ParameterError):
    """Partition selection alone spends the whole delta."""


class EventError(AccountingError, ValueError):
    """An event or an event tree is malformed, mixes relations, or is too large to be genuine."""


class UnsupportedEventError(AccountingError):
    """No proof, or only one accountant, covers these events: no price is better than a guess."""


class FilterExhaustedError(AccountingError):
    """A step would carry a filter beyond the bound that was reserved for it."""


class CrossCheckError(AccountingError):
    """Two independent accountants contradict each other."""


class CalibrationError(AccountingError):
    """The bracket holds no budget parameter that meets the target."""
