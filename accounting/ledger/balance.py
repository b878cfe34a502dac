"""Where a budget stands: granted, spent, reserved and left, in epsilon, delta and the filter's own currency.

What holds whatever happens is the grant: a filter admits nothing that would carry the family beyond it. What is spent
so far is an odometer reading. It is a bound for somebody who fixed beforehand when to read it ("at the end of the
year"); it is none for somebody who looked at outputs first and then decided when to stop, or to amend the grant,
because the moment itself then depends on the data (Rogers et al. 2016; Whitehouse et al. 2023).

>>> print(Amounts(granted=Decimal(3), spent=Decimal(1), reserved=Decimal("0.5")))
1.5 left of 3 (spent 1, reserved 0.5)
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounting.decimals import decimal_text
from accounting.ledger.amounts import Charge, Currency, Grant, subtract
from accounting.ledger.composition import Composition
from accounting.ledger.records import Amendment, BudgetRecord

CAVEAT = (
    "Spent so far: a bound only at a point that was chosen before the outputs were seen. The guarantee is the grant."
)
AMENDED = "The grant was changed after it was made: what was promised first is the original."


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """One quantity of one budget: granted = spent + reserved + left."""

    granted: Decimal
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        """What a new plan may cost; never negative in a ledger that verifies."""
        return subtract(subtract(self.granted, self.spent), self.reserved)

    def to_json(self) -> dict[str, str]:
        """Decimal strings under granted, spent, reserved, left."""
        names = ("granted", "spent", "reserved", "left")
        return {name: decimal_text(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        data = self.to_json()
        return f"{data['left']} left of {data['granted']} (spent {data['spent']}, reserved {data['reserved']})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Odometer:
    """What was spent so far, converted; never a guarantee after peeking."""

    epsilon: Decimal
    delta: Decimal
    caveat: str = CAVEAT

    def to_json(self) -> dict[str, str]:
        """Decimal strings under epsilon and delta, and the caveat."""
        return {"epsilon": decimal_text(self.epsilon), "delta": decimal_text(self.delta), "caveat": self.caveat}

    def __str__(self) -> str:
        return f"epsilon {decimal_text(self.epsilon)}, delta {decimal_text(self.delta)}. {self.caveat}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Where one budget stands, in its own unit and relation.

    Attributes:
        epsilon: converted by the filter: spent is what the spent charges prove, reserved what open runs add to it.
        delta: the conversion delta, from the first charge on, and the sum of the charges' own.
        loss: the sums themselves, in `currency`; equal to epsilon under basic composition.
        currency: epsilon, rho or divergence.
        composition: the filter.
        original: the grant when it was made.
        amendments: every change of it since, in order.
    """

    epsilon: Amounts
    delta: Amounts
    loss: Amounts
    currency: Currency
    composition: Composition
    original: Grant
    amendments: tuple[Amendment, ...] = ()

    @classmethod
    def of(cls, budget: BudgetRecord, *, spent: Charge, held: Charge) -> Balance:
        """From what is spent, and what is spent or reserved."""
        made, granted = budget.composition, budget.granted
        apart = made.conversion_delta or Decimal(0)
        spent_epsilon, held_epsilon = made.epsilon(spent.loss), made.epsilon(held.loss)
        spent_delta = spent.delta + (apart if spent.loss else 0)
        held_delta = held.delta + (apart if held.loss else 0)
        return cls(
            epsilon=_amounts(granted.epsilon, spent_epsilon, held_epsilon),
            delta=_amounts(granted.delta, spent_delta, held_delta),
            loss=_amounts(budget.limit.loss, spent.loss, held.loss),
            currency=made.currency,
            composition=made,
            original=budget.original,
            amendments=budget.amendments,
        )

    @property
    def odometer(self) -> Odometer:
        """What the spent charges prove, open runs apart."""
        return Odometer(epsilon=self.epsilon.spent, delta=self.delta.spent)

    def to_json(self) -> dict[str, Any]:
        """The object of `budget show --json`; numbers as decimal strings."""
        return {
            "epsilon": self.epsilon.to_json(),
            "delta": self.delta.to_json(),
            "loss": {"currency": self.currency.value, **self.loss.to_json()},
            "filter": str(self.composition),
            "odometer": self.odometer.to_json(),
            "original": self.original.to_json(),
            "amendments": [amendment.to_json() for amendment in self.amendments],
        }

    def __str__(self) -> str:
        lines = [f"epsilon: {self.epsilon}", f"delta:   {self.delta}"]
        if self.currency is not Currency.EPSILON:
            lines.append(f"{self.currency.value}: {self.loss}")
        if self.amendments:
            lines.append(f"granted first: {self.original}. {AMENDED}")
            lines += [str(amendment) for amendment in self.amendments]
        return "\n".join(lines)


def _amounts(granted: Decimal, spent: Decimal, held: Decimal) -> Amounts:
    return Amounts(granted=granted, spent=spent, reserved=subtract(held, spent))
