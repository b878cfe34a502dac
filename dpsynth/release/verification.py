"""The answer of `verify`: every check with its outcome, and what a receiver should know beside it.

>>> VerificationReport(ok=False, checks=(), guarantee=None).to_json()["warnings"]
[]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounting.guarantee import Guarantee
from dpsynth.core.errors import VerificationError
from dpsynth.release.approvals import governance_lines
from dpsynth.release.documents import JSON
from dpsynth.release.family import budget_lines
from dpsynth.release.privacy import ceiling_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: `code` is stable, "ok" or what is wrong; `reason` is a sentence."""

    name: str
    ok: bool
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The answer.

    Attributes:
        ok: every check passed.
        checks: in the order in which they ran.
        guarantee: the recomputed one; None unless `ok`.
        privacy: the card's `dpsynth.release.privacy` section, checked; None unless `ok` and the card has one.
        budget: `dpsynth.release.family.budget_section` at the head of the slice; None unless `ok`.
        warnings: what a receiver should know although it is no failure: where the key came from, rotations of the
            ledger's key, clocks that were set back.
        governance: `dpsynth.release.approvals.governance_section`; None unless `ok` and the policy asks for reviews.
        not_checked: what could not be checked where this ran, for want of a library; empty wherever dpsynth is
            installed. Whoever decides by `ok` alone must look here too.
    """

    ok: bool
    checks: tuple[Check, ...]
    guarantee: Guarantee | None
    privacy: Mapping[str, Any] | None = None
    budget: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    governance: Mapping[str, Any] | None = None
    not_checked: tuple[str, ...] = ()

    @property
    def failure(self) -> Check | None:
        """The first failed check: the reason; later ones were not reached."""
        return next((check for check in self.checks if not check.ok), None)

    def facts(self) -> list[str]:
        """What a bundle that verifies says of privacy and budget, in lines for people; empty for any other."""
        lines = []
        if self.guarantee is not None:
            lines.append(self.guarantee.sentence(None if self.privacy is None else ceiling_of(self.privacy)))
        if self.budget is not None:
            lines += budget_lines(self.budget)
        if self.governance is not None:
            lines += governance_lines(self.governance)
        return lines

    def to_json(self) -> dict[str, JSON]:
        """The object of `verify --json`."""
        return {
            "ok": self.ok,
            "checks": [
                {"name": check.name, "ok": check.ok, "reason": check.reason, "code": check.code}
                for check in self.checks
            ],
            "guarantee": None if self.guarantee is None else self.guarantee.to_json(),
            "privacy": None if self.privacy is None else {**self.privacy},
            "budget": None if self.budget is None else {**self.budget},
            "governance": None if self.governance is None else {**self.governance},
            "warnings": list(self.warnings),
            "not_checked": list(self.not_checked),
        }

    def require_ok(self) -> None:
        """Return if everything holds.

        Raises:
            VerificationError: otherwise, with the reason.
        """
        if self.failure is not None:
            raise VerificationError(f"Verification failed at {self.failure.name}: {self.failure.reason}",
                                    "Do not use these rows.")  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{'ok  ' if check.ok else 'FAIL'} {check.name:<14} {check.reason}" for check in self.checks]
        return "\n".join([*lines, *self.facts(), *(f"note {warning}" for warning in self.warnings)])
