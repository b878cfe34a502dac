"""The f-DP form of the one-run audit: its recursion, its level, and figures of another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import binom

from attacks.dp_audit.curves import approximate_floor, gaussian_delta, gaussian_epsilon, gaussian_floor, gaussian_mu
from attacks.dp_audit.one_run import one_run_bound, one_run_epsilon
from attacks.dp_audit.one_run_fdp import curve_ruled_out, one_run_gaussian_bound, one_run_mu
from attacks.errors import AttackParameterError


@pytest.mark.parametrize(
    ("m", "guesses", "correct", "alpha", "delta", "epsilon"),
    [
        (1000, 100, 95, 0.05, 1e-5, 3.32330049),
        (100, 100, 75, 0.05, 1e-5, 1.57357600),
        (1000, 1000, 700, 0.05, 1e-6, 1.56099671),
        (400, 40, 40, 0.01, 1e-5, 3.08146636),
        (200, 100, 80, 0.05, 1e-3, 1.23767756),
        (400, 400, 400, 0.05, 1e-5, 10.75450028),
    ],
)
def test_it_agrees_with_the_reference_implementation(m, guesses, correct, alpha, delta, epsilon):
    """Values of `audit_rh_with_cap` as jax_privacy (03a095e, auditing.py) runs it, root found to 1e-9."""
    mu = one_run_mu(m=m, guesses=guesses, correct=correct, alpha=alpha)
    assert gaussian_epsilon(mu, delta=delta) == pytest.approx(epsilon, abs=1e-6)


def most_likely(lines, *, m, guesses, correct):
    """Largest P[N >= correct] over all laws of N that obey  R_j <= slope H_(j-1) + offset  for each line and j."""
    n, rows, bounds = guesses, [], []
    counts = np.arange(n + 1)
    for slope, offset in lines:
        for j in range(1, n + 1):
            right = np.where(counts >= j, counts, 0) / m
            wrong = np.where(counts >= j - 1, n - counts, 0) / m
            rows.append(right - slope * wrong)
            bounds.append(offset)
    found = linprog(
        -(counts >= correct).astype(float), A_ub=np.array(rows), b_ub=bounds, A_eq=[np.ones(n + 1)], b_eq=[1]
    )
    assert found.status == 0
    return -found.fun


@pytest.mark.parametrize(("m", "guesses", "correct"), [(10, 10, 8), (20, 10, 9), (30, 20, 14)])
@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 0.0), (1.0, 1e-3), (0.2, 0.01)])
def test_the_recursion_is_the_linear_program_that_the_theorem_states(m, guesses, correct, epsilon, delta):
    growth = math.exp(epsilon)
    lines = [(growth, delta), (1 / growth, 1 - (1 - delta) / growth)]
    worst = most_likely(lines, m=m, guesses=guesses, correct=correct)
    floor, shape = approximate_floor(epsilon, delta), {"m": m, "guesses": guesses, "correct": correct}
    assert curve_ruled_out(floor, **shape, alpha=worst * 1.001)
    assert not curve_ruled_out(floor, **shape, alpha=worst * 0.999)


def test_it_is_the_linear_program_for_a_gaussian_curve_too():
    mu, m, n, c = 0.7, 16, 12, 10
    grid = np.exp(np.linspace(math.log(1e-9), math.log(0.999), 400))
    floor = gaussian_floor(mu)
    ceil = np.array([1 - gaussian_floor(mu)(1 - x) for x in grid])  # 1 - f(x), by symmetry
    slope = np.gradient(ceil, grid)
    keep = slice(5, -5)
    tangents = [(s, y - s * x) for x, y, s in zip(grid[keep], ceil[keep], slope[keep], strict=True)][::4]
    worst = most_likely(tangents, m=m, guesses=n, correct=c)
    shape = {"m": m, "guesses": n, "correct": c}
    assert curve_ruled_out(floor, **shape, alpha=worst * 1.05)
    assert not curve_ruled_out(floor, **shape, alpha=worst * 0.95)


def test_at_delta_zero_it_never_beats_the_binomial_tail_which_is_exact():
    for m, n, c in ((100, 40, 35), (400, 200, 120), (50, 50, 40)):
        exact = float(binom.sf(c - 1, n, math.e / (1 + math.e)))
        assert not curve_ruled_out(approximate_floor(1.0, 0.0), m=m, guesses=n, correct=c, alpha=0.999 * exact)


@pytest.mark.parametrize("mu", [0.3, 1.0, 3.0])
def test_the_bound_is_below_the_truth_and_reaches_further_than_the_binomial_one(mu):
    """Each canary's score is Normal(mu * coin, 1): exactly mu-GDP under add/remove of one canary."""
    rng, above, gaussian, general = np.random.default_rng(6), 0, [], []
    for _ in range(60):
        coins = rng.random(400) < 0.5
        scores = mu * coins + rng.normal(size=400)
        bound = one_run_gaussian_bound(scores, coins, rng=rng)
        assert bound.mu <= bound.ceiling
        above += bound.mu > mu
        gaussian.append(bound.epsilon(1e-5))
        general.append(one_run_bound(scores, coins, delta=1e-5, rng=rng).value)
    assert above <= 10  # nominal at most 3; binomial quantile at 1e-3
    assert np.median(gaussian) > np.median(general) or mu < 0.5


def test_scores_that_know_nothing_bound_nothing():
    rng, above = np.random.default_rng(7), 0
    for _ in range(100):
        above += one_run_gaussian_bound(rng.random(200), rng.random(200) < 0.5, rng=rng).mu > 0
    assert above <= 14


def test_more_right_guesses_and_more_canaries_show_more():
    few, more = (one_run_mu(m=100, guesses=50, correct=c, alpha=0.05) for c in (40, 48))
    assert few < more
    assert one_run_mu(m=20, guesses=20, correct=20, alpha=0.05) < one_run_mu(
        m=200, guesses=200, correct=200, alpha=0.05
    )
    assert one_run_mu(m=100, guesses=50, correct=25, alpha=0.05) == 0.0


def test_curves_know_the_textbook_and_each_other():
    assert gaussian_delta(1.0, 1.0) == pytest.approx(0.12693674, abs=1e-7)  # Phi(-1/2) - e Phi(-3/2)
    for mu in (0.1, 1.0, 4.0):
        assert gaussian_mu(gaussian_epsilon(mu, delta=1e-6), delta=1e-6) == pytest.approx(mu, abs=1e-6)
        epsilon = 1.3
        line = approximate_floor(epsilon, gaussian_delta(mu, epsilon))
        assert all(gaussian_floor(mu)(y) >= line(y) - 1e-12 for y in np.linspace(0.001, 0.999, 200))
    assert gaussian_epsilon(0.01, delta=0.1) == 0.0
    with pytest.raises(AttackParameterError, match=r"delta in \(0, 1\)"):
        gaussian_epsilon(1.0, delta=0.0)


def test_one_canary_is_refused():
    with pytest.raises(AttackParameterError, match="two canaries"):
        one_run_gaussian_bound(np.zeros(1), np.ones(1, bool), rng=np.random.default_rng(0))


def test_the_binomial_form_agrees_with_the_reference_implementation():
    """jax_privacy `_epsilon_one_run`, same commit, root found to 1e-10."""
    assert one_run_epsilon(m=400, guesses=80, correct=78, delta=1e-5, alpha=0.05) == pytest.approx(2.48436610, abs=1e-7)
    assert one_run_epsilon(m=1000, guesses=500, correct=400, delta=1e-4, alpha=0.01) == pytest.approx(
        1.09996319, abs=1e-7
    )
