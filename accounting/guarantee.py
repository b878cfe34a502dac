"""What the data subjects get: (epsilon, delta) with its relation, its unit and the accountants that vouch for it.

>>> claim = Guarantee(epsilon="1", delta="1e-9", relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                   accountant="pld", all={"pld": "1", "rdp": "1.07"})
>>> round(claim.attacker_ceiling(0.01), 4)
0.0272
>>> print(claim.sentence())
For any one record (epsilon = 1, delta = 1e-9, add/remove: the record added or removed): whatever an attacker knows,
at 1 % false alarms at most 2.72 % of the members are found.

The ceiling is the trade-off curve of (epsilon, delta)-DP (Wasserman and Zhou 2010; Kairouz, Oh and Viswanath 2015).
Not guaranteed: anything about a statement that is true of the table with or without that unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounting.decimals import decimal_text, read_decimal
from accounting.errors import EventError, ParameterError
from accounting.relation import NeighboringRelation, PrivacyUnit

_FIELDS = {"epsilon", "delta", "relation", "unit", "accountant", "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A priced event tree.

    Args:
        epsilon: rounded up to six decimals; of the stated relation and unit, never without them.
        delta: in [0, 1), same relation and unit.
        relation: how neighbouring tables differ.
        unit: whose data that protects.
        accountant: the accountant whose epsilon is charged, with its version.
        all: epsilon by accountant, decimal strings, for everyone who wants the second opinion.
    """

    epsilon: Decimal
    delta: Decimal
    relation: NeighboringRelation
    unit: PrivacyUnit
    accountant: str
    all: Mapping[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", read_decimal(self.epsilon, "epsilon"))
        object.__setattr__(self, "delta", read_decimal(self.delta, "delta"))
        if self.delta >= 1:
            raise ParameterError("Expected delta < 1: at 1 nothing is promised.")
        opinions = {str(name): decimal_text(read_decimal(value, "epsilon")) for name, value in self.all.items()}
        object.__setattr__(self, "all", opinions)

    def attacker_ceiling(self, fpr: float = 0.01) -> float:
        """Largest true-positive rate of any membership test with this false-positive rate.

        Args:
            fpr: false alarms among non-members, in [0, 1].

        Returns:
            min(e^eps fpr + delta, 1 - e^-eps (1 - delta - fpr)), at most 1; same relation and unit.

        Raises:
            ParameterError: if `fpr` is outside [0, 1].
        """
        if not 0 <= fpr <= 1:
            raise ParameterError(f"Expected a false-positive rate in [0, 1], got {fpr}.")
        eps, delta = float(self.epsilon), float(self.delta)
        growth = math.exp(min(eps, 700.0)) * fpr + delta
        return min(1.0, growth, 1.0 - math.exp(-eps) * (1.0 - delta - fpr))

    def sentence(self, ceiling: float | None = None) -> str:
        """The claim for readers who have never met epsilon; one sentence.

        Args:
            ceiling: true-positive rate at 1 % false alarms, where more is known than (epsilon, delta); see
                `accounting.report`.
        """
        who = "record" if self.unit.kind == "record" else "user"
        ceiling = 100 * (self.attacker_ceiling(0.01) if ceiling is None else ceiling)
        return (
            f"For any one {who} (epsilon = {decimal_text(self.epsilon)}, delta = {decimal_text(self.delta)}, "
            f"{self.relation.value.replace('_', '/')}: the {who} {self.relation.phrase}"
            + (f", at most {self.unit.max_records} rows each" if who == "user" else "")
            + "): whatever an attacker knows, at 1 % false alarms at most "
            f"{math.ceil(ceiling * 100) / 100:.3g} % of the members are found."
        )

    def to_json(self) -> dict[str, Any]:
        """Object with epsilon, delta, relation, unit, accountant and all; numbers as decimal strings."""
        return {
            "epsilon": decimal_text(self.epsilon),
            "delta": decimal_text(self.delta),
            "relation": self.relation.value,
            "unit": self.unit.to_json(),
            "accountant": self.accountant,
            "all": dict(self.all),
        }

    @classmethod
    def from_json(cls, value: object) -> Guarantee:
        """Read what `to_json` writes.

        Raises:
            EventError: for anything else.
        """
        if not isinstance(value, Mapping) or set(value) != _FIELDS or not isinstance(value["all"], Mapping):
            raise EventError(f"Expected a guarantee to be an object with exactly {', '.join(sorted(_FIELDS))}.")
        if value["relation"] not in list(NeighboringRelation) or not isinstance(value["accountant"], str):
            raise EventError("Expected a guarantee's relation to be one of the closed set and accountant a name.")
        return cls(
            epsilon=value["epsilon"],
            delta=value["delta"],
            relation=NeighboringRelation(value["relation"]),
            unit=PrivacyUnit.from_json(value["unit"]),
            accountant=value["accountant"],
            all=value["all"],
        )
