"""What a rule is: one question to the evidence, answered with value, limit and reason.

A rule reads evidence through `need`, which raises for what is missing; the gate turns that into a failed
finding. So no rule can pass by overlooking an absence. A rule is monotone: a tighter limit never turns its
answer to passed.

>>> Finding(name="r", value=1, limit=2, passed=True, reason="within", on_fail="reject").effect
'ship'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from dpsynth.release.documents import JSON
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy

if TYPE_CHECKING:
    from attacks.report import AttackResult

OnFail = Literal["warn", "regenerate", "reject"]
Effect = Literal["ship", "regenerate", "reject"]
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's answer.

    Attributes:
        name: the rule.
        value: what was found; decimals as strings.
        limit: what the policy allows.
        passed: False for anything missing.
        reason: a sentence; for a failure with what to do next.
        on_fail: what a failure means for the draft.
        confidential: `value` and `reason` are computed from real records and stay in the workspace.
    """

    name: str
    value: Value
    limit: Value
    passed: bool
    reason: str
    on_fail: OnFail
    confidential: bool = False

    @property
    def effect(self) -> Effect:
        """What this finding alone would decide."""
        return "ship" if self.passed or self.on_fail == "warn" else self.on_fail

    def to_json(self) -> dict[str, JSON]:
        """The object in `decision.json` and of `gate --json`."""
        return {
            "name": self.name,
            "value": self.value,
            "limit": self.limit,
            "passed": self.passed,
            "reason": self.reason,
            "on_fail": self.on_fail,
            "confidential": self.confidential,
        }


class Rule(Protocol):
    """A question to the evidence. Implementations are stateless and final."""

    @property
    def name(self) -> str:
        """The key in the table, and in decisions."""

    @property
    def on_fail(self) -> OnFail:
        """What a failure means, unless a finding says otherwise."""

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """Answer; raises `EvidenceMissing` through `need` where there is nothing to answer from."""


class EvidenceMissing(Exception):
    """A rule has nothing to judge; the gate makes it a failed finding."""


_T = TypeVar("_T")


def need(piece: _T | None, what: str) -> _T:
    """`piece`, or the end of this rule."""
    if piece is None:
        raise EvidenceMissing(what)
    return piece


def finding(
    rule: Rule, *, value: Value | Decimal, limit: Value | Decimal, passed: bool, ok: str, failed: str,
    on_fail: OnFail | None = None, confidential: bool = False,
) -> Finding:  # fmt: skip
    """A finding of `rule` whose reason is `ok` or `failed`."""
    return Finding(
        name=rule.name,
        value=_plain(value),
        limit=_plain(limit),
        passed=passed,
        reason=ok if passed else failed,
        on_fail=rule.on_fail if on_fail is None else on_fail,
        confidential=confidential,
    )


def row_title(row: AttackResult) -> str:
    """How findings name a row of an attack report."""
    return f"{row.name} ({row.endpoint}, {row.stratum})"


def unit_words(unit: str | Mapping[str, Any]) -> str:
    """`record`, or `user` with its column and bound."""
    if isinstance(unit, str):
        return unit
    return f"{unit.get('kind')} ({unit.get('column')}, at most {unit.get('max_records')} records)"


def _plain(value: Value | Decimal) -> Value:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value
