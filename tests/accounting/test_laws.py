"""Laws of single events and of what shipped libraries got wrong; `test_random_trees` holds whole trees to theirs."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from accounting.convolution import GridLosses, symmetric
from accounting.crosscheck import price
from accounting.errors import DeltaTooSmallError
from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PureDP,
)
from accounting.gaussian import discrete_gaussian_delta, gaussian_delta, gaussian_epsilon
from accounting.losses import convolve, from_library, power, single
from accounting.pld import compose
from accounting.relation import NeighboringRelation, PrivacyUnit
from tests.accounting.adversary import floor

ULP = 2e-6  # prices are rounded up to six decimals


def tree(*events, relation=NeighboringRelation.ADD_REMOVE):
    return EventTree(relation=relation, unit=PrivacyUnit(), events=events)


def epsilon(the_tree, delta="1e-6"):
    return float(price(the_tree, delta).epsilon)


SINGLES = [
    Gaussian(sigma="2", l2_sensitivity="1"),
    DiscreteGaussian(sigma="3", l2_sensitivity="1"),
    DiscreteGaussian(sigma="3", l2_sensitivity="2"),
    Laplace(scale="5", l1_sensitivity="1"),
    DiscreteLaplace(scale="5", l1_sensitivity="2"),
    PureDP(epsilon="0.3"),
    PoissonSampled(probability="0.1", event=Gaussian(sigma="1", l2_sensitivity="1")),
]


@pytest.mark.parametrize("event", SINGLES, ids=lambda event: type(event).__name__)
def test_power_of_a_loss_distribution_is_its_repeated_convolution(event):
    one = single(event, 1e-3)
    assert power(one, 7).get_epsilon_for_delta(1e-6) == pytest.approx(
        convolve([one] * 7).get_epsilon_for_delta(1e-6), rel=1e-6
    )
    assert power(one, 7).get_epsilon_for_delta(1e-6) > 1.3 * one.get_epsilon_for_delta(1e-6)


@pytest.mark.parametrize(
    ("event", "times_more"),
    [
        (PureDP(epsilon="1"), 60),  # dp-accounting 0.6.0 forgets this count: 1.0987 for 100 uses at log 3, not 90.79
        (Exponential(bounded_range="0.05"), 15),  # and its head forgets this one
        *[(event, 3) for event in SINGLES],
    ],
    ids=str,
)
def test_a_hundred_uses_cost_far_more_than_one(event, times_more):
    one, hundred = (epsilon(tree(replace(event, count=n))) for n in (1, 100))
    assert hundred > times_more * one or hundred > 10


def test_randomized_response_is_priced_by_its_binomial_sum():
    uses, eps = 100, math.log(3)

    def delta(at):
        return sum(
            math.comb(uses, k) * 0.75**k * 0.25 ** (uses - k) * max(0.0, -math.expm1(at - (2 * k - uses) * eps))
            for k in range(uses + 1)
        )

    found = epsilon(tree(PureDP(epsilon="1.0986122886681098", count=uses)), "1e-5")
    assert delta(found * 0.9995) > 1e-5 >= delta(found)


def test_approximate_dp_composes_optimally():
    """Kairouz, Oh and Viswanath 2015, Theorem 3.3: what a black box of (0.2, 1e-8) costs in 30 uses."""
    uses, eps, failure = 30, 0.2, 1e-8
    share = math.exp(eps) / (1 + math.exp(eps))

    def delta(at):
        finite = sum(
            math.comb(uses, k) * share**k * (1 - share) ** (uses - k) * max(0.0, -math.expm1(at - (2 * k - uses) * eps))
            for k in range(uses + 1)
        )
        return 1 - (1 - failure) ** uses * (1 - finite)

    found = epsilon(tree(ApproxDP(epsilon="0.2", delta="1e-8", count=uses)), "1e-6")
    assert delta(found * 0.9995) > 1e-6 >= delta(found)


def test_deltas_of_black_boxes_add_up():
    with pytest.raises(DeltaTooSmallError):
        price(tree(ApproxDP(epsilon="0.1", delta="1e-6", count=11)), "1e-5")


@pytest.mark.parametrize("event", SINGLES[:4], ids=lambda event: type(event).__name__)
def test_replacing_one_costs_at_least_adding_or_removing_it(event):
    field = "l2_sensitivity" if hasattr(event, "l2_sensitivity") else "l1_sensitivity"
    growth = Decimal("1.4142136") if field == "l2_sensitivity" else Decimal(2)
    both = replace(event, **{field: getattr(event, field) * growth})
    assert epsilon(tree(both, relation=NeighboringRelation.REPLACE_ONE)) > epsilon(tree(event))


@pytest.mark.parametrize("sigma", ["0.5", "1", "3", "12.5", "60"])
def test_discrete_gaussian_distribution_is_never_below_the_exact_tail(sigma):
    grid = 1e-4
    losses = single(DiscreteGaussian(sigma=sigma, l2_sensitivity="1"), grid)
    for i in range(1, 51):
        eps = i * 0.12 / float(sigma)
        exact = discrete_gaussian_delta(float(sigma), eps)
        found = float(losses.get_delta_for_epsilon(eps))
        assert exact * (1 - 1e-9) - 1e-20 <= found <= exact + 1e-4 / float(sigma)


def test_the_continuous_curve_would_under_report_discrete_noise():
    discrete = epsilon(tree(DiscreteGaussian(sigma="1", l2_sensitivity="1")), "1e-5")
    continuous = epsilon(tree(Gaussian(sigma="1", l2_sensitivity="1")), "1e-5")
    assert discrete == pytest.approx(4.4302, abs=1e-4)
    assert continuous == pytest.approx(4.3772, abs=1e-4)
    assert discrete_gaussian_delta(1, continuous) > 1.6e-5


@pytest.mark.parametrize("squared", [2, 4, 5, 9])
def test_no_integer_change_vector_beats_the_distribution_of_its_norm(squared):
    bound = single(DiscreteGaussian(sigma="2", l2_sensitivity=str(Decimal(squared).sqrt())), 1e-3)
    shapes = {2: [(1, 1)], 4: [(2,), (1,) * 4], 5: [(2, 1), (1,) * 5], 9: [(3,), (2, 2, 1), (2, 1, 1), (1,) * 9]}[
        squared
    ]
    for shape in shapes:
        losses = convolve([_shifted(2.0, v) for v in shape])
        for eps in (0.0, 0.3, 1.0, 2.5, 4.0):
            assert losses.get_delta_for_epsilon(eps) <= bound.get_delta_for_epsilon(eps) + 1e-7


def _shifted(sigma, change):
    """The library's own distribution of one coordinate, on a finer grid's multiples."""
    from dp_accounting.pld import privacy_loss_distribution as library

    return from_library(
        library.from_discrete_gaussian_mechanism(
            sigma, change, value_discretization_interval=1e-3, use_connect_dots=True
        )
    )


@pytest.mark.parametrize("kind", [Laplace, DiscreteLaplace])
def test_laplace_noise_on_a_split_change_costs_no_more_than_on_one_coordinate(kind):
    whole = single(kind(scale="4", l1_sensitivity="5"), 1e-3)
    split = convolve([single(kind(scale="4", l1_sensitivity=s), 1e-3) for s in ("2", "3")])
    for eps in (0.0, 0.2, 0.6, 1.0, 1.2):
        assert split.get_delta_for_epsilon(eps) <= whole.get_delta_for_epsilon(eps) + 1e-6


def test_atoms_of_selection_multiply_in_any_order():
    selection = PartitionSelection(sigma="10", threshold="55", l2_sensitivity="1", max_keys=1)
    other = PartitionSelection(sigma="8", threshold="48", l2_sensitivity="1", max_keys=3)
    first, second = (price(tree(*pair), "1e-6") for pair in ((selection, other), (other, selection)))
    assert first == second
    atom = compose(tree(selection), 1e-6).atoms
    assert compose(tree(replace(selection, count=3)), 1e-6).atoms == pytest.approx(1 - (1 - atom) ** 3, rel=1e-9)


@pytest.mark.parametrize("count", [10**6, 10**9])
def test_large_counts_are_priced(count):
    gaussians = price(tree(Gaussian(sigma="100000", l2_sensitivity="1", count=count)), "1e-6")
    mu = count**0.5 / 1e5
    assert float(gaussians.epsilon) == pytest.approx(gaussian_epsilon(mu, 1e-6), rel=1e-6, abs=ULP)
    selections = price(tree(Exponential(bounded_range="0.00001", count=count)), "1e-6")
    assert 0 < selections.epsilon < 30


def test_gaussian_delta_is_the_textbook_value_far_in_the_tail():
    assert gaussian_delta(0.01, 1.0) == 0.0
    assert 0 < gaussian_delta(5.0, 60.0) < 1e-6


@pytest.mark.parametrize("times", [1, 3])
def test_infinite_losses_survive_convolution(times):
    """A chance of giving a unit away is given at every use: 1 - (1 - a)^n, whatever is convolved with it."""
    finite = np.array([0.25, 0.75])
    lossy = symmetric(GridLosses(grid=0.1, low=-1, masses=finite * (1 - 1e-3), infinite=1e-3))
    other = symmetric(GridLosses(grid=0.1, low=-1, masses=finite, infinite=0.0))
    composed = convolve([lossy, other], [times, 2])
    assert composed.get_delta_for_epsilon(50.0) == pytest.approx(1 - (1 - 1e-3) ** times, rel=1e-9)
    assert composed.get_epsilon_for_delta(0.9e-3) == math.inf


def test_the_mixed_workload_of_the_documentation_is_pressed_from_below():
    """Laplace, Gaussians and 50 adaptive selections: an explicit adversary reaches 99.7 % of the price."""
    mixed = tree(
        Laplace(scale="10", l1_sensitivity="1"),
        Gaussian(sigma="10", l2_sensitivity="1", count=20),
        Exponential(bounded_range="0.05", count=50),
    )
    found = epsilon(mixed, "1e-5")
    assert 0.997 * found < floor(mixed, 1e-5, (found, 0.8 * found)) < found <= 1.951
