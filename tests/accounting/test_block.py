"""The block profile is an upper bound on every adaptive adversary, and some adversary reaches it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.block import block_profile
from accounting.crosscheck import price
from accounting.errors import ParameterError
from accounting.event import EventTree, Exponential, PureDP
from accounting.losses import convolve, from_block, single
from accounting.relation import NeighboringRelation, PrivacyUnit

POINTS = np.array([-1.5, -0.7, -0.2, 0.0, 0.1, 0.4, 0.8, 1.3, 2.1])


def random_step(rng, eta, leaves):
    """Exponential mechanisms with random scores, one for each history: (P, Q, scores' range <= eta)."""
    outcomes = int(rng.integers(2, 5))
    base = rng.normal(size=(leaves, outcomes)) * 2
    shift = rng.uniform(0, eta, size=(leaves, outcomes))
    shift[:, 0], shift[:, 1] = 0.0, eta * rng.integers(0, 2, size=leaves)
    softmax = [np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in (base + shift, base)]
    return softmax[0], softmax[1]


def compose(p, q, step_p, step_q):
    return (p[:, None] * step_p).ravel(), (q[:, None] * step_q).ravel()


def hockey_stick(p, q, eps):
    return np.array([np.maximum(p - np.exp(a) * q, 0).sum() for a in eps])


def test_random_adaptive_trees_never_exceed_the_block():
    rng = np.random.Generator(np.random.PCG64(7))
    profile = block_profile((0.6, 0.3, 0.9), resolution=60)
    bound = profile.deltas(POINTS)
    closest = np.inf
    for _ in range(1000):
        p = q = np.ones(1)
        for eta in (0.6, 0.3, 0.9):
            p, q = compose(p, q, *random_step(rng, eta, len(p)))
        excess = hockey_stick(p, q, POINTS) - bound
        assert excess.max() <= 1e-12
        closest = min(closest, -excess[3])
    assert closest < 0.1  # the trees press against the bound, or the test would prove nothing


def test_trees_with_one_randomized_response_anywhere_stay_below_the_exchange_bound():
    rng = np.random.Generator(np.random.PCG64(8))
    eps, etas = 0.4, (0.5, 0.5, 0.5)
    bound_pld = convolve([from_block(block_profile(etas, resolution=80), 1e-3), single(PureDP(epsilon="0.4"), 1e-3)])
    bound = np.array([bound_pld.get_delta_for_epsilon(float(a)) for a in POINTS])
    yes = np.exp(eps) / (1 + np.exp(eps))
    for _ in range(300):
        p = q = np.ones(1)
        place = rng.integers(0, 4)
        for i in range(4):
            if i == place:
                flip = np.where(rng.integers(0, 2, size=len(p))[:, None] == 1, [[yes, 1 - yes]], [[1 - yes, yes]])
                p, q = compose(p, q, flip, 1 - flip)
            else:
                p, q = compose(p, q, *random_step(rng, 0.5, len(p)))
        assert (hockey_stick(p, q, POINTS) - bound).max() <= 1e-9


@given(st.lists(st.sampled_from([0.02, 0.05, 0.08, 0.31]), min_size=1, max_size=12).map(tuple))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_attained_never_exceeds_certified(etas):
    profile = block_profile(etas, resolution=12)
    assert np.all(profile.lower <= profile.upper + 1e-12)
    assert np.all(np.diff(profile.upper) <= 1e-15)
    gap = (profile.upper - profile.lower).max()
    assert gap <= 0.03 * sum(etas)


def test_gap_falls_about_fourfold_when_the_grid_is_halved():
    gaps = [np.ptp(block_profile((0.5,) * 6, resolution=m).bracket(0.75)) for m in (20, 80, 320)]
    assert 10 < gaps[0] / gaps[1] < 24
    assert 10 < gaps[1] / gaps[2] < 24


@pytest.mark.parametrize("eta", [1e-4, 0.05, 1.0, 8.0])
def test_one_step_is_the_closed_curve(eta):
    profile = block_profile((eta,), resolution=50)
    a = profile.step * np.arange(-profile.reach + 1, profile.reach)
    curve = (np.expm1(eta / 2) - np.expm1(a / 2)) ** 2 / np.expm1(eta)
    assert profile.upper[1:-1] == pytest.approx(curve, rel=1e-9, abs=1e-13)


def test_profile_is_symmetric_in_the_two_tables():
    profile = block_profile((0.3, 0.1, 0.2), resolution=30)
    a = profile.step * np.arange(profile.reach + 1)
    positive, negative = profile.upper[profile.reach :], profile.upper[profile.reach :: -1]
    assert negative == pytest.approx(-np.expm1(-a) + np.exp(-a) * positive, abs=2e-4)


def test_order_matters_and_the_real_one_is_used():
    rising = block_profile((0.02,) * 25 + (0.08,) * 25, resolution=40)
    falling = block_profile((0.08,) * 25 + (0.02,) * 25, resolution=40)
    assert rising.epsilon_at_least(1e-5) > falling.epsilon_at_least(1e-5)
    upper_falling = from_block(falling, 1e-4).get_epsilon_for_delta(1e-5)
    assert upper_falling == pytest.approx(0.7453, abs=6e-4)
    assert from_block(rising, 1e-4).get_epsilon_for_delta(1e-5) == pytest.approx(0.7503, abs=6e-4)


def test_more_steps_and_larger_ranges_cost_more():
    base = block_profile((0.2,) * 5, resolution=40).deltas(POINTS)
    assert np.all(block_profile((0.2,) * 6, resolution=40).deltas(POINTS) >= base - 1e-12)
    assert np.all(block_profile((0.21,) * 5, resolution=40).deltas(POINTS) >= base - 1e-6)


def test_atoms_are_the_profile():
    profile = block_profile((0.4, 0.2), resolution=20)
    losses, masses, beyond = profile.atoms()
    assert masses.sum() + beyond == pytest.approx(1, abs=1e-12)
    at = np.array([losses[np.abs(losses - 0.1).argmin()]])
    delta = np.maximum(-np.expm1(at[0] - losses), 0) @ masses + beyond
    assert delta == pytest.approx(profile.deltas(at)[0], abs=1e-12)


@pytest.mark.parametrize("etas", [(2.0,), (0.5,) * 20, (0.05,) * 50, (0.1, 0.7, 0.3)])
@pytest.mark.parametrize("delta", [1e-2, 1e-5, 1e-9])
def test_epsilon_lies_between_the_attained_and_the_certified(etas, delta):
    profile = block_profile(etas, resolution=100)
    attained, certified = profile.epsilon_at_least(delta), profile.epsilon_at_most(delta)
    assert attained <= certified
    if delta >= 1e-5:
        assert certified <= attained + 2.2 * profile.step
    assert profile.deltas(np.array([certified * (1 + 1e-9)]))[0] <= delta
    assert certified == 0 or profile.deltas(np.array([certified * (1 - 1e-6)]))[0] > delta


def test_no_epsilon_is_certified_below_the_rounding_of_the_grid():
    assert block_profile((0.5, 0.5), resolution=20).epsilon_at_most(1e-16) == np.inf


@pytest.mark.parametrize("eta", ["0.3", "2", "9"])
@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("delta", ["1e-3", "1e-5", "1e-10"])
def test_few_wide_mechanisms_are_priced_and_not_refused_as_a_contradiction(eta, count, delta):
    """Their loss nearly reaches its largest value, where a coarse grid would exceed what RDP proves."""
    tree = EventTree(
        relation=NeighboringRelation.ADD_REMOVE,
        unit=PrivacyUnit(),
        events=(Exponential(bounded_range=eta, count=count),),
    )
    found = float(price(tree, delta).epsilon)
    assert block_profile((float(eta),) * count, resolution=400).epsilon_at_least(delta=float(delta)) <= found


def test_impossible_blocks_are_refused():
    with pytest.raises(ParameterError, match="at least one bounded range"):
        block_profile((), resolution=10)
    with pytest.raises(ParameterError, match="Split the block"):
        block_profile((0.1,) * 300, resolution=100)
