"""Plan prices: what `budget plan` says is what the ledger then does, and asking costs nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounting import EventTree, Gaussian, Ledger, NeighboringRelation, PoissonSampled, PrivacyUnit, ZCDPFilter
from accounting.conversion import rdp_epsilon_up
from accounting.ledger.amounts import Grant
from accounting.ledger.errors import AmountRefused, BudgetExceeded, BudgetRefused
from accounting.ledger.quotes import best_order, quotes
from accounting.lifetime import total_divergence_up

TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
GAUSSIAN = EventTree(events=(Gaussian(sigma="20", l2_sensitivity="1", count=30),), **TERMS)
DP_SGD = EventTree(
    events=(PoissonSampled(probability="0.01", event=Gaussian(sigma="1", l2_sensitivity="1"), count=1000),), **TERMS
)
GRANT = Grant(epsilon=Decimal(5), delta=Decimal("1e-5"))


def _options(quote: Any) -> dict[str, str]:
    order = {} if quote.order is None else {"order": str(quote.order)}
    return {"filter": quote.name.value, **order}


@pytest.mark.parametrize("position", [0, 1, 2], ids=["basic", "zcdp", "rdp"])
def test_as_many_runs_fit_as_were_quoted_and_not_one_more(ledger: Ledger, position: int) -> None:
    quote = quotes(GAUSSIAN, delta=Decimal("1e-6"), granted=GRANT, runs=8)[position]
    budget = ledger.create_budget(
        dataset="d", commitment="c", epsilon=GRANT.epsilon, delta=GRANT.delta, **_options(quote), **TERMS
    )
    head = ledger.head()
    assert ledger.room(budget, GAUSSIAN, delta=Decimal("1e-6")) == (quote.fits, ledger.budget(budget))
    assert ledger.head() == head, "asking wrote an entry"
    for _ in range(quote.fits):
        ledger.require_room(budget, GAUSSIAN, delta=Decimal("1e-6"))
        ledger.reserve(budget, GAUSSIAN, delta="1e-6", run_id="r", purpose="p")
    assert ledger.room(budget, GAUSSIAN, delta=Decimal("1e-6"))[0] == 0
    with pytest.raises(BudgetExceeded) as asked:
        ledger.require_room(budget, GAUSSIAN, delta=Decimal("1e-6"))
    with pytest.raises(BudgetExceeded) as refused:
        ledger.reserve(budget, GAUSSIAN, delta="1e-6", run_id="r", purpose="p")
    assert str(asked.value) == str(refused.value)
    assert ledger.balance(budget).loss.reserved == quote.charge.loss * quote.fits


def test_room_names_the_budget_above_that_stops_the_next(ledger: Ledger, grant: Any, plan: Any) -> None:
    root = grant(ledger, "1")
    part = ledger.create_budget(dataset="d", parent=root, purpose="p", epsilon="0.8", delta="1e-6", **TERMS)
    assert ledger.room(part, plan(2), delta=Decimal("1e-9")) == (4, ledger.budget(part))
    ledger.reserve(root, plan(7), delta="1e-9", run_id="r", purpose="p")
    assert ledger.room(part, plan(2), delta=Decimal("1e-9")) == (1, ledger.budget(root))
    other = EventTree(events=GAUSSIAN.events, relation=NeighboringRelation.REPLACE_ONE, unit=PrivacyUnit())
    with pytest.raises(BudgetRefused, match="do not add up"):
        ledger.room(part, other, delta=Decimal("1e-9"))


@pytest.mark.parametrize(("runs", "order", "epsilon"), [(1, "8", 2.11), (5, "5", 4.60), (20, "3", 10.09)])
def test_the_best_order_for_dp_sgd_is_the_one_that_was_measured(runs: int, order: str, epsilon: float) -> None:
    """Notes, 1.4: alpha 8 for one run of T = 1,000, alpha 5 for five, alpha 3 for twenty; a wrong one costs much."""
    found = best_order(DP_SGD, runs=runs, conversion_delta=Decimal("1e-5"))
    cost = rdp_epsilon_up(total_divergence_up(DP_SGD, found) * runs, found, Decimal("1e-5"))
    measured = rdp_epsilon_up(total_divergence_up(DP_SGD, Decimal(order)) * runs, Decimal(order), Decimal("1e-5"))
    assert float(measured) == pytest.approx(epsilon, abs=0.01)
    assert cost <= measured
    assert abs(found - Decimal(order)) <= 1


def test_what_zcdp_cannot_price_is_said_and_the_others_are_priced() -> None:
    basic, zcdp, rdp = quotes(DP_SGD, delta=Decimal("1e-6"), granted=GRANT, runs=5)
    assert (zcdp.charge, zcdp.fits) == (None, 0)
    assert "sampling" in zcdp.reason
    assert zcdp.to_json()["epsilon"] is None
    assert "no price" in str(zcdp)
    assert basic.epsilon > 2 * rdp.epsilon
    assert rdp.fits > basic.fits


def test_a_filter_inside_a_run_costs_a_zcdp_budget_its_bound() -> None:
    tree = EventTree(events=(ZCDPFilter(rho="0.01"),), **TERMS)
    _, zcdp, _ = quotes(tree, delta=Decimal("1e-6"), granted=GRANT, runs=3)
    assert zcdp.charge.loss == Decimal("0.01")


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"runs": -1}, {"conversion_delta": Decimal("1e-5")}])
def test_a_malformed_question_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AmountRefused):
        quotes(GAUSSIAN, **{"delta": Decimal("1e-6"), "granted": GRANT, "runs": 2, **wrong})
