"""Steps chosen on the way: the filter admits what its bound holds, and no course of events costs more than it."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import accounting.rdp as rdp
from accounting.crosscheck import _price, price
from accounting.errors import CrossCheckError, FilterExhaustedError, UnsupportedEventError
from accounting.event import (
    DiscreteGaussian,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PureDP,
    ZCDPFilter,
)
from accounting.filters import RunningFilter, exact_rho
from accounting.gaussian import gaussian_epsilon
from accounting.pld import PLDAccountant
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.zcdp import event_rho

ORDERS = (1.2, 2.0, 5.0, 17.0)
STEPS = (
    Gaussian(sigma="7", l2_sensitivity="1.5"),
    DiscreteGaussian(sigma="3", l2_sensitivity="1.4142136"),
    Exponential(bounded_range="0.3"),
    PureDP(epsilon="0.2"),
    Laplace(scale="5", l1_sensitivity="1"),
)


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


@pytest.mark.parametrize("event", STEPS, ids=lambda event: type(event).__name__)
def test_a_step_costs_what_the_zcdp_accountant_says(event):
    assert float(exact_rho(event)) == pytest.approx(event_rho(event), rel=1e-12)


def test_the_bound_can_be_used_up_and_not_passed_by_the_smallest_amount():
    running = RunningFilter(ZCDPFilter(rho="0.06"))
    for _ in range(3):
        running.admit(PureDP(epsilon="0.2"))  # 0.02 each: in floats, 0.06 - 3 * 0.02 need not be zero
    assert running.left == 0
    with pytest.raises(FilterExhaustedError, match=r"beyond its bound rho=0.06"):
        running.admit(PureDP(epsilon="0.0000000001"))
    assert len(running.steps) == 3


def test_a_refused_step_leaves_the_filter_as_it_was():
    running = RunningFilter(ZCDPFilter(rho="0.5"))
    with pytest.raises(FilterExhaustedError):
        running.admit(DiscreteGaussian(sigma="1", l2_sensitivity="1", count=2))
    running.admit(DiscreteGaussian(sigma="1", l2_sensitivity="1"))
    assert running.left == 0


def test_ten_thousand_steps_do_not_creep_past_the_bound():
    running, step = RunningFilter(ZCDPFilter(rho="0.1")), Exponential(bounded_range="0.0089")
    admitted = 0
    while running.left >= exact_rho(step):
        running.admit(step)
        admitted += 1
    assert admitted == math.floor(Fraction("0.1") / (Fraction("0.0089") ** 2 / 8))


@pytest.mark.parametrize(
    "event",
    [
        PartitionSelection(sigma="10", threshold="60", l2_sensitivity="1", max_keys=1),
        PoissonSampled(probability="0.1", event=Gaussian(sigma="1", l2_sensitivity="1")),
        ZCDPFilter(rho="0.1"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_has_no_zcdp_is_no_step(event):
    with pytest.raises(UnsupportedEventError, match="no steps of a zCDP filter"):
        RunningFilter(ZCDPFilter(rho="9")).admit(event)


def test_one_running_filter_serves_one_use():
    with pytest.raises(UnsupportedEventError, match="one use"):
        RunningFilter(ZCDPFilter(rho="1", count=2))


def _course(seed: int, *, heeded: bool) -> tuple[float, float, np.ndarray, np.ndarray]:
    """An adversary who chooses each of six steps by all outputs before it: bound, worst sum, and P, Q over courses.

    Steps have two outcomes with losses t and t - eta (bounded range) or e and -e (pure). `heeded` False runs a step
    that the filter refused all the same.
    """
    rng = np.random.default_rng(seed)
    bound, masses, worst = "0.3", [], 0.0
    greed = rng.uniform(0.4, 1.0, size=2**7)

    def walk(history, p, q, running):
        nonlocal worst
        worst = max(worst, 0.3 - float(running.left))
        if len(history) == 6:
            masses.append((p, q))
            return
        number = int("1" + "".join(map(str, history)), 2)
        if number % 3:
            eta = round(1.1 * greed[number], 6)
            step, high, low = Exponential(bounded_range=str(eta)), eta / 2, -eta / 2
        else:
            eps = round(0.55 * greed[number], 6)
            step, high, low = PureDP(epsilon=str(eps)), eps, -eps
        branch = RunningFilter(ZCDPFilter(rho=bound))
        for earlier in running.steps:
            branch.admit(earlier)
        try:
            branch.admit(step)
        except FilterExhaustedError:
            if heeded:
                masses.append((p, q))
                return
        up = (1 - math.exp(low)) / (math.exp(high) - math.exp(low))  # Q of the outcome with loss `high`
        walk((*history, 1), p * up * math.exp(high), q * up, branch)
        walk((*history, 0), p * (1 - up) * math.exp(low), q * (1 - up), branch)

    walk((), 1.0, 1.0, RunningFilter(ZCDPFilter(rho=bound)))
    return float(bound), worst, *np.array(masses).T


@pytest.mark.parametrize("seed", range(12))
def test_no_adaptive_course_diverges_more_than_the_bound(seed):
    """Exact Renyi divergence of a random adversary, in both directions, against alpha rho."""
    rho, spent, p, q = _course(seed, heeded=True)
    assert p.sum() == pytest.approx(1) and q.sum() == pytest.approx(1)
    assert 0.5 * rho < spent <= rho
    for order in ORDERS:
        for first, second in ((p, q), (q, p)):
            assert math.log(np.sum(first**order * second ** (1 - order))) / (order - 1) <= order * rho


def test_an_adversary_who_is_not_refused_passes_the_bound():
    """The power of the test above."""
    passed = []
    for seed in range(12):
        rho, _, p, q = _course(seed, heeded=False)
        passed += [math.log(np.sum(p**a * q ** (1 - a))) / (a - 1) > a * rho for a in ORDERS]
    assert np.mean(passed) > 0.5


def test_a_filter_is_priced_by_its_bound_whatever_else_ran():
    ordinary = (DiscreteGaussian(sigma="40", l2_sensitivity="1", count=15),)
    same = Gaussian(sigma="5", l2_sensitivity="1")  # rho 0.02
    with_filter, with_gaussian = (price(tree(*ordinary, event), "1e-9") for event in (ZCDPFilter(rho="0.02"), same))
    assert set(with_filter.all) == {"rdp/own-1", "zcdp/own-1"}
    for name, value in with_filter.all.items():
        assert value == with_gaussian.all[name]
    assert float(with_gaussian.epsilon) < float(with_filter.epsilon) < 1.1 * float(with_gaussian.epsilon)


def test_selections_keep_their_delta_beside_a_filter():
    selection = PartitionSelection(sigma="20", threshold="140", l2_sensitivity="1", max_keys=1)
    alone, both = price(tree(ZCDPFilter(rho="0.02")), "1e-9"), price(tree(selection, ZCDPFilter(rho="0.02")), "1e-9")
    assert both.epsilon > alone.epsilon


def test_no_loss_distribution_is_claimed_for_a_filter():
    with pytest.raises(UnsupportedEventError, match="no common loss distribution"):
        PLDAccountant().opinion(tree(ZCDPFilter(rho="0.02")), 1e-6)


def test_a_price_is_never_below_the_gaussian_that_fills_the_filter():
    for rho, delta in itertools.product(("0.001", "0.1", "3"), ("1e-5", "1e-9")):
        floor = gaussian_epsilon(math.sqrt(2 * float(rho)), float(delta))
        assert floor <= float(price(tree(ZCDPFilter(rho=rho)), delta).epsilon) < 1.3 * floor + 0.02


@pytest.mark.parametrize("delta", ["1e-5", "1e-9"])
def test_accountants_that_forget_the_filter_are_caught(monkeypatch, delta):
    """Both at once, so that they agree with each other: only the adversary's floor is left to object."""
    original, original_rho = rdp.divergence, event_rho
    monkeypatch.setattr(
        rdp, "divergence", lambda t, at: original(tree(*[e for e in t.events if not isinstance(e, ZCDPFilter)]), at)
    )
    monkeypatch.setattr(
        "accounting.zcdp.event_rho", lambda event: 0.0 if isinstance(event, ZCDPFilter) else original_rho(event)
    )
    _price.cache_clear()
    with pytest.raises(CrossCheckError, match="the Gaussian part alone has"):
        price(tree(DiscreteGaussian(sigma="30", l2_sensitivity="1", count=10), ZCDPFilter(rho="0.4")), delta)
