"""Filters across runs: the sum stays inside what the grant converts to, and what they gain over adding epsilons."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from accounting import (
    ApproxDP,
    DiscreteGaussian,
    EventTree,
    Gaussian,
    Laplace,
    Ledger,
    NeighboringRelation,
    PoissonSampled,
    PrivacyUnit,
    Signer,
    UnsupportedEventError,
    ZCDPFilter,
    price,
)
from accounting.conversion import penalty, rdp_epsilon_up, rdp_limit, zcdp_epsilon_up, zcdp_limit
from accounting.filters import exact_rho
from accounting.ledger.amounts import Grant
from accounting.ledger.composition import Composition
from accounting.ledger.errors import AmountRefused, BudgetExceeded, BudgetRefused, Reason, SliceRefused
from accounting.ledger.evidence.replay import Outcome, replay
from accounting.ledger.slice import verify_slice
from accounting.lifetime import total_atoms_up, total_divergence_up, total_rho_up
from accounting.zcdp import zcdp_epsilon

TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
EPSILONS = st.integers(1, 20_000).map(lambda n: Decimal(n) / 1000)
DELTAS = st.integers(3, 15).map(lambda n: Decimal(1).scaleb(-n))


def _tree(*events: Any) -> EventTree:
    return EventTree(events=events, **TERMS)


GIBBS = _tree(
    DiscreteGaussian(sigma="60", l2_sensitivity="1", count=14),
    DiscreteGaussian(sigma="90", l2_sensitivity="1", count=91),
)
"""The shape of a gibbs plan: one-way and two-way counts of fourteen columns."""
DP_SGD = _tree(PoissonSampled(probability="0.01", event=Gaussian(sigma="1", l2_sensitivity="1"), count=1000))


@given(epsilon=EPSILONS, delta=DELTAS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_limit_never_converts_to_more_than_was_granted_and_wastes_next_to_nothing(
    epsilon: Decimal, delta: Decimal
) -> None:
    rho = zcdp_limit(epsilon, delta)
    if rho > 0:
        assert zcdp_epsilon_up(rho, delta) <= epsilon
        assert zcdp_epsilon_up(rho * Decimal("1.000001") + Decimal("2e-12"), delta) > epsilon
        own = zcdp_epsilon(float(rho), float(delta))  # bisection in doubles, another algorithm
        assert abs(own - float(zcdp_epsilon_up(rho, delta))) <= 2e-9 * own + 1e-12
    for order in map(Decimal, ("1.5", "2", "5", "32")):
        divergence = rdp_limit(epsilon, order, delta)
        if divergence > 0:
            assert epsilon - Decimal("3e-12") <= rdp_epsilon_up(divergence, order, delta) <= epsilon
        # rho-zCDP is alpha rho at every order: one order alone never permits more than all orders together
        assert divergence <= rho * order + Decimal("1e-11")


@given(sigma=st.integers(1, 500), count=st.integers(1, 50), order=st.integers(2, 60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_charges_are_rounded_up_and_never_by_more_than_the_last_places(sigma: int, count: int, order: int) -> None:
    event = DiscreteGaussian(sigma=str(sigma), l2_sensitivity="3", count=count)
    exact = count * exact_rho(event)
    rho = Fraction(total_rho_up(_tree(event)))
    assert exact <= rho < exact + Fraction(1, 10**12)
    divergence = Fraction(total_divergence_up(_tree(event), Decimal(order)))
    assert exact * order <= divergence <= exact * order * (1 + Fraction(1, 10**11)) + Fraction(1, 10**11)


def test_the_delta_beside_the_filter_is_the_sum_of_what_no_divergence_bounds() -> None:
    assert total_atoms_up(_tree(Gaussian(sigma="1", l2_sensitivity="1"))) == 0
    mixed = _tree(ApproxDP(epsilon="0.1", delta="1e-7", count=3), Laplace(scale="9", l1_sensitivity="1"))
    assert total_atoms_up(mixed) == Decimal("3e-7")
    assert total_rho_up(_tree(ZCDPFilter(rho="0.03"))) == Decimal("0.03")


@pytest.fixture(params=[{"filter": "zcdp"}, {"filter": "rdp", "order": "6"}], ids=["zcdp", "rdp"])
def chosen(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def _create(ledger: Ledger, chosen: dict[str, Any], **more: Any) -> str:
    return ledger.create_budget(
        **{"dataset": "d", "commitment": "c", "epsilon": "4", "delta": "1e-5", **TERMS, **chosen, **more}
    )


def test_runs_fit_until_the_sum_reaches_the_limit_and_the_grant_is_never_exceeded(
    ledger: Ledger, signer: Signer, chosen: dict[str, Any]
) -> None:
    budget = _create(ledger, chosen)
    tree = _tree(Gaussian(sigma="10", l2_sensitivity="1", count=7))
    limit = ledger.balance(budget).loss.granted
    price_of_one = total_rho_up(tree) if chosen["filter"] == "zcdp" else total_divergence_up(tree, Decimal(6))
    fits = int(limit / price_of_one)
    for _ in range(fits):
        run = ledger.reserve(budget, tree, delta="1e-7", run_id="r", purpose="p")
        ledger.check_token(run.id, run.token)
        ledger.commit(run.id, tree)
    head = ledger.head()
    with pytest.raises(BudgetExceeded, match=f"Expected {ledger.balance(budget).currency.value}"):
        ledger.reserve(budget, tree, delta="1e-7", run_id="r", purpose="p")
    assert ledger.head() == head
    balance = ledger.balance(budget)
    assert balance.loss.spent == fits * price_of_one <= limit
    assert 0 < balance.odometer.epsilon == balance.epsilon.spent <= 4
    assert balance.delta.spent == Decimal("5e-6")  # the conversion delta, once; the runs' own deltas are for display
    assert "before the outputs were seen" in str(balance.odometer)
    assert ledger.balance(budget).to_json()["odometer"]["caveat"] == balance.odometer.caveat
    facts = verify_slice(ledger.slice(budget), ledger_key=signer.public_bytes)
    assert facts.balances[budget] == balance
    assert {item.outcome for item in replay(ledger.entries(), "rdp")} == {Outcome.HOLDS}


def test_a_commit_that_does_less_frees_the_rest_in_the_filters_currency(ledger: Ledger, chosen: dict[str, Any]) -> None:
    budget = _create(ledger, chosen)
    planned, ran = (_tree(Gaussian(sigma="10", l2_sensitivity="1", count=count)) for count in (8, 2))
    run = ledger.reserve(budget, planned, delta="1e-7", run_id="r", purpose="p")
    reserved = ledger.balance(budget).loss.reserved
    ledger.commit(run.id, ran)
    balance = ledger.balance(budget)
    assert balance.loss.reserved == 0
    assert abs(balance.loss.spent * 4 - reserved) < Decimal("1e-11")


def test_thresholds_draw_on_the_delta_column_until_it_is_empty(ledger: Ledger, chosen: dict[str, Any]) -> None:
    budget = _create(ledger, chosen)
    tree = _tree(ApproxDP(epsilon="0.01", delta="2e-6"))
    for _ in range(2):
        ledger.reserve(budget, tree, delta="3e-6", run_id="r", purpose="p")
    assert ledger.balance(budget).delta.left == Decimal("1e-6")
    with pytest.raises(BudgetExceeded, match="Expected delta 2e-6") as refused:
        ledger.reserve(budget, tree, delta="3e-6", run_id="r", purpose="p")
    assert (refused.value.quantity, refused.value.left) == ("delta", Decimal("1e-6"))


def test_zcdp_has_no_price_for_sampled_steps_and_says_so_before_anything_is_written(ledger: Ledger) -> None:
    budget = _create(ledger, {"filter": "zcdp"})
    head = ledger.head()
    with pytest.raises(UnsupportedEventError, match="sampling"):
        ledger.reserve(budget, DP_SGD, delta="1e-6", run_id="r", purpose="p")
    assert ledger.head() == head


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"filter": "pld"}, BudgetRefused),
        ({"filter": "rdp"}, BudgetRefused),
        ({"filter": "zcdp", "order": "5"}, BudgetRefused),
        ({"filter": "basic", "conversion_delta": "1e-6"}, BudgetRefused),
        ({"filter": "rdp", "order": "1"}, AmountRefused),
        ({"filter": "rdp", "order": "nan"}, AmountRefused),
        ({"filter": "rdp", "order": float("inf")}, AmountRefused),
        ({"filter": "rdp", "order": "5000"}, AmountRefused),
        ({"filter": "zcdp", "conversion_delta": "0"}, AmountRefused),
        ({"filter": "zcdp", "conversion_delta": "-1e-6"}, AmountRefused),
        ({"filter": "zcdp", "conversion_delta": 5e-324}, AmountRefused),
        ({"filter": "zcdp", "conversion_delta": "2e-5"}, BudgetRefused),
        ({"filter": "rdp", "order": "1.01"}, BudgetRefused),
        ({"filter": "zcdp", "epsilon": "0"}, AmountRefused),
        ({"filter": "zcdp", "epsilon": "NaN"}, AmountRefused),
        ({"filter": "zcdp", "epsilon": 5e-324}, AmountRefused),
        ({"filter": "zcdp", "epsilon": "1e-30"}, BudgetRefused),
        ({"filter": "zcdp", "delta": "1"}, AmountRefused),
        ({"filter": "zcdp", "commitment": None}, BudgetRefused),
        ({"purpose": "x"}, BudgetRefused),
        ({"recipient": "public"}, BudgetRefused),
    ],
)
def test_a_malformed_filter_is_refused_and_nothing_is_written(ledger: Ledger, wrong: Any, error: type) -> None:
    head = ledger.head()
    with pytest.raises(error):
        _create(ledger, wrong)
    assert (ledger.head(), ledger.budgets()) == (head, [])


def _edit(*path: str, value: Any) -> Any:
    def change(bodies: list[dict[str, Any]]) -> None:
        body = next(item for item in bodies if item["kind"] == path[0])
        for step in path[1:-1]:
            body = body[step]
        body[path[-1]] = value

    return change


FORGED = {
    "a limit above the grant": (
        _edit("budget.create", "filter", "limit", "rho", value="0.5"),
        Reason.RULE_BROKEN,
    ),
    "a delta limit above the grant": (
        _edit("budget.create", "filter", "limit", "delta", value="1e-5"),
        Reason.RULE_BROKEN,
    ),
    "a conversion delta left out": (
        _edit("budget.create", "filter", "conversion_delta", value="1e-4"),
        Reason.RULE_BROKEN,
    ),
    "an unknown filter": (_edit("budget.create", "filter", "name", value="gdp"), Reason.UNKNOWN_SCHEMA),
    "a charge in epsilon": (_edit("reserve", "charge", value={"epsilon": "0.1", "delta": "0"}), Reason.RULE_BROKEN),
    "a negative charge": (_edit("reserve", "charge", "rho", value="-0.1"), Reason.RULE_BROKEN),
    "a charge of zero": (_edit("reserve", "charge", "rho", value="0"), Reason.RULE_BROKEN),
    "a charge that is no number": (_edit("reserve", "charge", "rho", value="NaN"), Reason.RULE_BROKEN),
    "an exponent of delta below zero": (_edit("reserve", "charge", "delta", value="-0"), Reason.RULE_BROKEN),
    "a commit above its reservation": (_edit("commit", "charge", "rho", value="0.04"), Reason.PLAN_EXCEEDED),
    "a charge above the limit": (_edit("reserve", "charge", "rho", value="0.5"), Reason.OVERSPENT),
}


@pytest.mark.parametrize("case", FORGED)
def test_the_owner_of_the_key_cannot_make_a_filters_sum_come_out(
    ledger: Ledger, signer: Signer, forger: Any, case: str
) -> None:
    budget, tree = _create(ledger, {"filter": "zcdp"}), _tree(Gaussian(sigma="10", l2_sensitivity="1", count=7))
    run = ledger.reserve(budget, tree, delta="1e-7", run_id="r", purpose="p")
    ledger.commit(run.id, tree)
    forged = forger(ledger.entries(), signer)
    change, reason = FORGED[case]
    forged.rewrite(change)
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
    assert refused.value.reason is reason


@pytest.mark.parametrize("part", ["rho", "delta"])
def test_replay_finds_a_charge_below_what_its_events_cost(
    ledger: Ledger, signer: Signer, forger: Any, part: str
) -> None:
    """The sums of such a chain are right; only the events tell."""
    budget = _create(ledger, {"filter": "zcdp"})
    tree = _tree(Gaussian(sigma="10", l2_sensitivity="1", count=7), ApproxDP(epsilon="0.01", delta="1e-7"))
    run = ledger.reserve(budget, tree, delta="1e-6", run_id="r", purpose="p")
    ledger.commit(run.id, tree)
    assert {item.outcome for item in replay(ledger.entries(), "rdp")} == {Outcome.HOLDS}
    forged = forger(ledger.entries(), signer)

    def cheaper(bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            if body["kind"] in ("reserve", "commit"):
                body["charge"][part] = str(Decimal(body["charge"][part]) * Decimal("0.999"))

    forged.rewrite(cheaper)
    verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
    found = replay(forged.entries, "rdp")
    assert {item.outcome for item in found} == {Outcome.WRONG}
    assert "cost more" in found[0].reason


def _epsilons(tree: EventTree, runs: int, order: Decimal | None, delta: Decimal) -> tuple[float, float]:
    """Epsilon of `runs` such runs at `delta` in all: by basic composition, and by a filter with its best split."""
    each = price(tree, delta / runs).epsilon * runs
    if order is None:
        return float(each), float(zcdp_epsilon_up(total_rho_up(tree) * runs, delta))
    return float(each), float(rdp_epsilon_up(total_divergence_up(tree, order) * runs, order, delta))


@pytest.mark.parametrize(("runs", "order", "basic", "filtered"), [(5, "5", 10.18, 4.60), (20, "3", 44.2, 10.09)])
def test_what_an_rdp_filter_gains_over_the_sum_for_dp_sgd(runs: int, order: str, basic: float, filtered: float) -> None:
    """T = 1,000, q = 0.01, sigma = 1, delta 1e-5 in all; dp-accounting gave the same four figures."""
    summed, by_filter = _epsilons(DP_SGD, runs, Decimal(order), Decimal("1e-5"))
    assert by_filter == pytest.approx(filtered, abs=0.01)
    assert summed == pytest.approx(basic, rel=0.01)


@pytest.mark.parametrize(("runs", "least"), [(5, 1.9), (20, 3.6)])
def test_what_a_zcdp_filter_gains_over_the_sum_for_a_plan_like_those_of_gibbs(runs: int, least: float) -> None:
    summed, by_filter = _epsilons(GIBBS, runs, None, Decimal("1e-6"))
    assert summed / by_filter > least


def test_the_filters_epsilon_is_never_below_what_one_gaussian_of_the_same_rho_attains() -> None:
    """A sound floor: k runs of Gaussian noise are one Gaussian, whose exact epsilon is known in closed form."""
    from accounting.gaussian import gaussian_epsilon

    for sigma, runs in ((5.0, 3), (20.0, 40), (2.0, 1)):
        tree = _tree(Gaussian(sigma=str(sigma), l2_sensitivity="1"))
        exact = gaussian_epsilon(float(np.sqrt(runs)) / sigma, 1e-6)
        assert float(zcdp_epsilon_up(total_rho_up(tree) * runs, Decimal("1e-6"))) >= exact
        for order in map(Decimal, ("2", "8", "20")):
            assert float(rdp_epsilon_up(total_divergence_up(tree, order) * runs, order, Decimal("1e-6"))) >= exact


def test_the_conversion_delta_is_set_apart_once_not_once_a_run() -> None:
    made = Composition.zcdp(conversion_delta=Decimal("4e-6"))
    assert made.limit(Grant(epsilon=Decimal(2), delta=Decimal("1e-5"))).delta == Decimal("6e-6")


@given(loss=EPSILONS, order=st.integers(2, 60).map(Decimal), delta=DELTAS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_was_spent_is_converted_upwards(loss: Decimal, order: Decimal, delta: Decimal) -> None:
    exact = loss + penalty(order, delta)
    assert rdp_epsilon_up(loss, order, delta) >= max(exact, Decimal(0))


def test_a_part_of_another_order_does_not_add_up(ledger: Ledger) -> None:
    root = _create(ledger, {"filter": "rdp", "order": "6"})
    head = ledger.head()
    with pytest.raises(BudgetRefused, match="filter of the root"):
        _create(ledger, {"filter": "rdp", "order": "7"}, commitment=None, parent=root, purpose="p")
    assert ledger.head() == head
