"""What a sweep on private data costs, before any of it runs: the sum of its plans under the budget's own filter.

Every run is charged what its plan costs at most, in the filter's currency (epsilon, rho or a divergence), to the
budget and to each one above it. The sum of the charges must fit into what each has left, or nothing runs: a sweep that
ends in the middle has spent and answered nothing. Plans are functions of schema, unit, epsilon and delta, so the
answer is free.

What would fit is looked for in three steps: fewer repetitions of the whole grid; all repetitions of the smaller
epsilons; one repetition of the smaller epsilons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from accounting.decimals import decimal_text
from accounting.ledger.amounts import Charge, Currency
from accounting.ledger.pricing import price_run
from dpsynth.comparison.grid import Cell
from dpsynth.core.errors import BudgetRefused

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from accounting.ledger.composition import Composition
    from accounting.ledger.records import BudgetRecord
    from dpsynth.tabular.protocol import Plan

Plans = Mapping[tuple[str, Decimal], "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The price of a sweep under one budget.

    Attributes:
        runs: how many.
        budget: that pays.
        charge: of all runs together, in its filter's currency.
        left: what it has.
        epsilon: of the charge, converted by the filter at its conversion delta.
    """

    runs: int
    budget: BudgetRecord
    charge: Charge
    left: Charge
    epsilon: Decimal

    @property
    def fits(self) -> bool:
        """Whether the budget holds it."""
        return self.left.covers(self.charge)

    def to_json(self) -> dict[str, Any]:
        """Numbers as decimal strings."""
        return {
            "budget_id": self.budget.budget_id,
            "node": self.budget.label,
            "filter": str(self.budget.composition),
            "runs": self.runs,
            "currency": self.charge.currency.value,
            "cost": {**_amounts(self.charge), "epsilon": decimal_text(self.epsilon)},
            "left": _amounts(self.left),
        }


def _amounts(charge: Charge) -> dict[str, str]:
    return {"loss": decimal_text(charge.loss), "delta": decimal_text(charge.delta)}


class SweepRefused(BudgetRefused):
    """A sweep that its budget cannot pay for; nothing ran. `facts` has the bill and what would fit."""

    exit_code: ClassVar[int] = 6

    def __init__(self, bill: Bill, would_fit: str) -> None:
        basic = bill.charge.currency is Currency.EPSILON
        converted = "" if basic else f" (epsilon {decimal_text(bill.epsilon)} by itself)"
        super().__init__(
            f"The sweep of {_of(bill.runs, 'run')} costs {bill.charge}{converted} under {bill.budget.composition}, and "
            f"'{bill.budget.label}' has {bill.left} left. Nothing was run or reserved.",
            would_fit,
        )
        self.facts = {**bill.to_json(), "would_fit": would_fit}

    def to_json(self) -> dict[str, Any]:
        """Type, message and remedy, the bill, and what would fit."""
        return {**super().to_json(), **self.facts}


def bill(ledger: Ledger, budget_id: str, cells: Sequence[Cell], plans: Plans, *, delta: Decimal) -> Bill:
    """The price of all cells under the budget of the line, this one or one above, that is short, or the paying one.

    Raises:
        UnsupportedEventError: the filter has no price for an event of a plan.
    """
    bills = _bills(ledger, budget_id, plans, delta)(cells)
    return next((one for one in bills if not one.fits), bills[0])


def require(ledger: Ledger, budget_id: str, cells: Sequence[Cell], plans: Plans, *, delta: Decimal) -> Bill:
    """The bill of a sweep that fits.

    Raises:
        SweepRefused: it does not fit; says what it costs and what would.
    """
    make = _bills(ledger, budget_id, plans, delta)
    made = make(cells)
    short = next((one for one in made if not one.fits), None)
    if short is None:
        return made[0]
    raise SweepRefused(short, _would_fit(cells, lambda some: all(one.fits for one in make(some))))


def _bills(ledger: Ledger, budget_id: str, plans: Plans, delta: Decimal) -> Callable[[Sequence[Cell]], list[Bill]]:
    """Prices of sets of cells, for each budget of the line; each plan is priced once a filter."""
    line = ledger.left(budget_id)
    known: dict[tuple[Composition, tuple[str, Decimal]], Charge] = {}

    def charge(composition: Composition, which: tuple[str, Decimal]) -> Charge:
        if (composition, which) not in known:
            known[composition, which] = price_run(plans[which].tree, delta, composition)[1]
        return known[composition, which]

    def price(cells: Sequence[Cell]) -> list[Bill]:
        out = []
        for budget, left in line:
            made = budget.composition
            total = Charge(loss=Decimal(0), delta=Decimal(0), currency=made.currency)
            for cell in cells:
                total = total.plus(charge(made, which(cell)))
            epsilon = made.epsilon(total.loss)
            out.append(Bill(runs=len(cells), budget=budget, charge=total, left=left, epsilon=epsilon))
        return out

    return price


def which(cell: Cell) -> tuple[str, Decimal]:
    """The plan of a cell: its generator's label and epsilon; 0 stands for none."""
    return cell.contender.label, cell.epsilon or Decimal(0)


def _would_fit(cells: Sequence[Cell], fits: Callable[[Sequence[Cell]], bool]) -> str:
    """What of the sweep the budget would hold, in words."""
    seeds = sorted({cell.seed for cell in cells})
    epsilons = sorted({cell.epsilon for cell in cells if cell.epsilon is not None})
    for count in range(len(seeds) - 1, 0, -1):
        if fits([cell for cell in cells if cell.seed in seeds[:count]]):
            return f"With {_of(count, 'repetition')} instead of {len(seeds)} it would fit (--seeds {count})."
    for repeated in sorted({len(seeds), 1}, reverse=True):
        for count in range(len(epsilons) - 1, 0, -1):
            some = [c for c in cells if c.seed in seeds[:repeated] and c.epsilon in epsilons[:count]]
            if fits(some):
                kept = ", ".join(decimal_text(epsilon) for epsilon in epsilons[:count])
                return f"With {_of(repeated, 'repetition')} of epsilon {kept} alone it would fit."
    generators = {cell.contender.label for cell in cells}
    alone = [
        label
        for label in sorted(generators)
        if fits([c for c in cells if c.contender.label == label and c.seed == seeds[0] and c.epsilon == epsilons[0]])
    ]
    if alone:
        return f"Only one run at epsilon {decimal_text(epsilons[0])} would fit: {' or '.join(alone)}."
    return "No run of it would fit. Compare on public or simulated data that resemble these, which is free."


def _of(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
