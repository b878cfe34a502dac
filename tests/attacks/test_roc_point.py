"""One point of the ROC curve with an interval that counts the error of the cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from attacks.errors import AttackParameterError
from attacks.roc_point import RocPoint


def truth(share: float, distance: float, fpr: float) -> float:
    """TPR less FPR at the cut that flags `fpr` of standard normals, if a share of members lies `distance` higher."""
    return share * (float(ndtr(distance + ndtri(fpr))) - fpr)


def scores(share: float, distance: float, members: int, nonmembers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, members])
    shift = np.where(rng.random(members) < share, distance, 0.0)
    return rng.normal(size=members) + shift, rng.normal(size=nonmembers)


@pytest.mark.parametrize(("members", "nonmembers", "fpr"), [(1200, 800, 0.01), (120, 80, 0.05)])
@pytest.mark.parametrize(("share", "distance"), [(0.0, 0.0), (0.15, 9.0), (1.0, 1.0)])
def test_the_interval_holds_the_curve_of_the_population(members, nonmembers, fpr, share, distance):
    """Flat, horizontal and steep curves; 400 worlds, 1e-6 bounds of a coverage of 93 and of 99.5 %."""
    real, held = truth(share, distance, fpr), 0
    for seed in range(400):
        point = RocPoint.of(*scores(share, distance, members, nonmembers, seed), fpr)
        held += point.lower(0.025) <= real <= point.upper(0.025)
    assert held / 400 >= 0.87
    assert (point.upper(0.025) - point.lower(0.025)) < (0.2 if fpr == 0.01 else 0.5)


def test_where_the_curve_is_steep_the_interval_is_wider_than_that_of_a_known_cut():
    from attacks.statistics import RateDifference

    members, nonmembers = scores(1.0, 2.0, 1200, 800, 1)
    point = RocPoint.of(members, nonmembers, 0.01)
    hits = round((point.estimate + 0.01) * 1200)
    known = RateDifference(hits1=hits, n1=1200, hits0=8, n0=800)
    assert point.upper(0.025) - point.lower(0.025) > 1.5 * (known.upper(0.025) - known.lower(0.025))


def test_ties_are_broken_at_random_in_expectation():
    tied = np.zeros(99)
    assert abs(RocPoint.of(tied, tied, 0.05).estimate) < 1e-3
    half = np.repeat([0.0, 1.0], 50)
    assert RocPoint.of(half, np.repeat([0.0, 1.0], 50), 0.05).estimate == pytest.approx(0.0, abs=2e-3)


def test_the_p_value_and_the_lower_bound_agree():
    point = RocPoint.of(*scores(0.1, 9.0, 1200, 800, 3), 0.01)
    for alpha in (0.2, 0.05, 0.001):
        assert point.p_exceeds(point.lower(alpha)) == pytest.approx(alpha, rel=0.02)


def test_a_rate_below_the_highest_cut_is_read_at_the_highest_cut():
    point = RocPoint.of(np.full(100, 5.0), np.linspace(0, 1, 19), 0.001)
    assert point.fpr == pytest.approx(0.05)
    assert point.estimate == pytest.approx(0.95)


def test_nothing_to_read_is_refused():
    for call in (([], [1.0], 0.1), ([1.0], [], 0.1), ([1.0], [1.0], 0.0), ([1.0], [1.0], 1.0)):
        with pytest.raises(AttackParameterError, match="Expected scores of both sides"):
            RocPoint.of(np.array(call[0]), np.array(call[1]), call[2])
    with pytest.raises(AttackParameterError, match="Expected a level"):
        RocPoint.of(np.ones(3), np.zeros(3), 0.5).lower(0.0)
