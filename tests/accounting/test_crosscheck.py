"""Two accountants that contradict each other stop the price; a defect planted in one of them must be caught."""

from decimal import Decimal

import pytest

import accounting.crosscheck as crosscheck
import accounting.losses as losses
import accounting.pld as pld
import accounting.rdp as rdp
from accounting.accountant import Opinion
from accounting.convolution import convolve
from accounting.crosscheck import check, price
from accounting.errors import CrossCheckError, DeltaTooSmallError, EventError, ParameterError, UnsupportedEventError
from accounting.event import (
    DiscreteGaussian,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PureDP,
)
from accounting.fold import fold
from accounting.relation import NeighboringRelation, PrivacyUnit


def tree(*events, relation=NeighboringRelation.ADD_REMOVE):
    return EventTree(relation=relation, unit=PrivacyUnit(), events=events)


@pytest.fixture(autouse=True)
def _no_remembered_prices():
    for remembered in (crosscheck._price, pld.compose, losses.single):
        remembered.cache_clear()
    yield
    for remembered in (crosscheck._price, pld.compose, losses.single):
        remembered.cache_clear()


COUNTED = {
    "pure": PureDP(epsilon="0.5", count=100),
    "discrete gaussian": DiscreteGaussian(sigma="30", l2_sensitivity="1", count=50),
    "sampled": PoissonSampled(probability="0.01", event=Gaussian(sigma="1", l2_sensitivity="1"), count=1000),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_pld_that_loses_counts_is_caught(monkeypatch, name):
    monkeypatch.setattr(pld, "convolve", lambda parts, times: convolve(parts))
    monkeypatch.setattr(pld, "fold", lambda groups, **rest: fold([(event, 1) for event, _ in groups], **rest))
    with pytest.raises(CrossCheckError, match="neighbours attain"):
        price(tree(COUNTED[name]), "1e-6")


def test_a_pld_that_loses_exponential_mechanisms_is_caught(monkeypatch):
    monkeypatch.setattr(pld, "_blocks", lambda _: {})
    with pytest.raises(CrossCheckError, match=r"explicit adversary|neighbours attain"):
        price(tree(Gaussian(sigma="50", l2_sensitivity="1"), Exponential(bounded_range="0.5", count=20)), "1e-6")


def test_a_pld_of_continuous_noise_for_discrete_noise_is_caught(monkeypatch):
    original = losses.single

    def wrong(event, grid):
        if isinstance(event, DiscreteGaussian):
            event = Gaussian(sigma=event.sigma * Decimal("1.02"), l2_sensitivity=event.l2_sensitivity)
        return original(event, grid)

    monkeypatch.setattr(pld, "single", wrong)
    with pytest.raises(CrossCheckError, match="neighbours attain"):
        price(tree(DiscreteGaussian(sigma="2", l2_sensitivity="1")), "1e-6")


@pytest.mark.parametrize("name", COUNTED)
def test_an_rdp_that_loses_counts_is_caught(monkeypatch, name):
    original = rdp.divergence
    monkeypatch.setattr(rdp, "divergence", lambda t, orders: original(t, orders) / t.events[0].count)
    with pytest.raises((CrossCheckError, UnsupportedEventError), match=r"proves at most|accountants can price"):
        price(tree(COUNTED[name]), "1e-6")


def test_an_rdp_that_doubles_is_caught(monkeypatch):
    original = rdp.divergence
    monkeypatch.setattr(rdp, "divergence", lambda t, orders: 2 * original(t, orders))
    with pytest.raises(CrossCheckError, match="proves at most"):
        price(tree(DiscreteGaussian(sigma="10", l2_sensitivity="1", count=10)), "1e-6")


def test_nan_and_negative_opinions_are_caught():
    for wrong in (float("nan"), -0.0048):
        with pytest.raises(CrossCheckError, match="any epsilon is at least"):
            check(tree(), 1e-6, {"other/1": Opinion(epsilon=wrong)})


def test_all_figures_are_listed_and_the_smallest_is_charged():
    guarantee = price(tree(Gaussian(sigma="10", l2_sensitivity="1", count=10)), "1e-5")
    assert guarantee.accountant == "analytic/own-1"
    assert set(guarantee.all) == {"pld/own-2+dp-accounting-0.6.0", "rdp/own-1", "zcdp/own-1", "analytic/own-1"}
    assert guarantee.epsilon == min(map(Decimal, guarantee.all.values())) == Decimal("1.199370")


def test_epsilon_is_rounded_up_to_six_decimals_and_delta_is_exact():
    guarantee = price(tree(Laplace(scale="3", l1_sensitivity="1")), "0")
    assert guarantee.epsilon == Decimal("0.333334")
    assert guarantee.delta == 0
    assert price(tree(PureDP(epsilon="0.1", count=3)), "0").epsilon == Decimal("0.3")
    assert price(tree(PureDP(epsilon="0.1")), "1e-9").delta == Decimal("1e-9")


def test_nothing_spent_costs_nothing():
    assert price(tree(), "1e-9").epsilon == 0


def test_wide_integer_changes_under_narrow_noise_are_left_to_two_other_accountants():
    guarantee = price(tree(DiscreteGaussian(sigma="1.1", l2_sensitivity="7")), "1e-6")
    assert set(guarantee.all) == {"rdp/own-1", "zcdp/own-1"}


def test_tiny_delta_is_left_to_two_other_accountants():
    guarantee = price(tree(Laplace(scale="3", l1_sensitivity="1", count=100)), "1e-15")
    assert set(guarantee.all) == {"rdp/own-1", "zcdp/own-1", "pure/own-1"}


@pytest.mark.parametrize(
    ("events", "delta", "relation"),
    [
        ((COUNTED["sampled"],), "1e-5", NeighboringRelation.REPLACE_ONE),
        ((COUNTED["sampled"],), "1e-15", NeighboringRelation.ADD_REMOVE),
        ((Gaussian(sigma="1", l2_sensitivity="1"),), "0", NeighboringRelation.ADD_REMOVE),
    ],
)
def test_fewer_than_two_accountants_is_no_price(events, delta, relation):
    with pytest.raises(UnsupportedEventError, match="no cross-check"):
        price(tree(*events, relation=relation), delta)


def test_sampling_under_zero_out_is_that_of_add_remove():
    one, other = (
        price(tree(COUNTED["sampled"], relation=r), "1e-5")
        for r in (NeighboringRelation.ADD_REMOVE, NeighboringRelation.ZERO_OUT)
    )
    assert one.epsilon == other.epsilon
    assert other.relation is NeighboringRelation.ZERO_OUT


def test_selection_that_spends_all_delta_is_refused():
    selection = PartitionSelection(sigma="10", threshold="30", l2_sensitivity="1", max_keys=1)
    with pytest.raises(DeltaTooSmallError, match="Raise its threshold"):
        price(tree(selection), "1e-9")


@pytest.mark.parametrize("delta", ["1", "2"])
def test_delta_of_one_promises_nothing(delta):
    with pytest.raises(ParameterError, match="nothing is promised"):
        price(tree(), delta)


@pytest.mark.parametrize("delta", [1e-5, "-1e-5", "nan", None])
def test_delta_is_an_exact_number(delta):
    with pytest.raises(EventError, match="delta"):
        price(tree(), delta)
