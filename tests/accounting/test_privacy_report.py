"""One object with everything that can be said: each figure against what it must equal, the ceiling against tests."""

import math
import time

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from accounting.crosscheck import price
from accounting.event import (
    ApproxDP,
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
from accounting.privacy_report import report
from accounting.relation import NeighboringRelation, PrivacyUnit


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


@pytest.mark.parametrize("sigma", ["10", "2", "0.8"])
def test_ceiling_of_gaussian_noise_is_the_neyman_pearson_test(sigma):
    found = report(tree(Gaussian(sigma=sigma, l2_sensitivity=1)), "1e-6")
    power = float(ndtr(1 / float(sigma) + ndtri(0.01)))
    assert power <= float(found.ceiling) <= power + 1.5e-4
    assert float(found.ceiling) < found.guarantee.attacker_ceiling(0.01)


def test_ceiling_of_randomized_response_and_of_an_atom():
    pure = report(tree(PureDP(epsilon="0.5")), "1e-6")
    assert float(pure.ceiling) == pytest.approx(0.01 * math.exp(0.5), abs=1.1e-4)
    # An atom of 1e-3 gives that many away, and the rest is tested as before.
    atom = report(tree(ApproxDP(epsilon="0.5", delta="1e-3")), "0.01")
    assert float(atom.ceiling) == pytest.approx(0.01 * 0.999 * math.exp(0.5) + 1e-3, abs=2.5e-4)
    assert float(atom.failure) == pytest.approx(1e-3, rel=0.01)


def test_no_simulated_test_beats_the_ceiling():
    """The best threshold on the likelihood ratio of three discrete tables: their sum moves by three."""
    sigma, events = 2.0, DiscreteGaussian(sigma="2", l2_sensitivity=1, count=3)
    j = np.arange(-25, 26)
    masses = np.exp(-0.5 * (j / sigma) ** 2)
    masses /= masses.sum()
    out = np.convolve(np.convolve(masses, masses), masses)
    inside = np.concatenate([np.zeros(3), out])[: len(out)]  # the unit adds one to each: their sum moves by three
    tails_out, tails_in = np.cumsum(out[::-1])[::-1], np.cumsum(inside[::-1])[::-1]
    power = np.interp(0.01, tails_out[::-1], tails_in[::-1])
    found = float(report(tree(events), "1e-6").ceiling)
    assert power <= found <= power * 1.02


def test_three_deltas_in_order_and_the_middle_is_the_guarantee():
    the_tree = tree(Laplace(scale=10, l1_sensitivity=1, count=20), Exponential(bounded_range="0.1", count=10))
    found = report(the_tree, "1e-7")
    assert [float(g.delta) for g in found.guarantees] == [1e-8, 1e-7, 1e-6]
    epsilons = [g.epsilon for g in found.guarantees]
    assert epsilons == sorted(epsilons, reverse=True) and epsilons[1] == found.guarantee.epsilon
    assert found.guarantee == price(the_tree, "1e-7")


def test_a_delta_that_thresholds_spend_is_left_out():
    selection = PartitionSelection(sigma="10", threshold="60", l2_sensitivity="1", max_keys=1)
    found = report(tree(selection), "5e-9")
    assert [float(g.delta) for g in found.guarantees] == [5e-9, 5e-8]
    assert 2.4e-9 < float(found.failure) < 2.5e-9


def test_rho_and_mu_exist_exactly_where_they_have_a_proof():
    gaussian, discrete = Gaussian(sigma=3, l2_sensitivity=1), DiscreteGaussian(sigma=30, l2_sensitivity=1, count=4)
    both = report(tree(gaussian, discrete), "1e-6")
    assert float(both.rho) == pytest.approx(1 / 18 + 4 / 1800, abs=2e-6)
    assert float(both.mu) == pytest.approx(math.sqrt(2 * (1 / 18 + 4 / 1800)), rel=1e-4)
    assert float(both.failure) == pytest.approx(1e-12, rel=0.01)  # of smoothing
    mixed = report(tree(gaussian, PureDP(epsilon="0.1")), "1e-6")
    assert mixed.rho is not None and mixed.mu is None
    sampled = report(tree(PoissonSampled(probability="0.1", event=gaussian, count=9)), "1e-6")
    assert sampled.rho is None and sampled.mu is None


def test_a_filter_has_a_ceiling_too():
    """No loss distribution, so by Renyi divergence; a Gaussian of mu^2 = 2 rho is one of its courses."""
    found = report(tree(ZCDPFilter(rho="0.05")), "1e-6")
    power = float(ndtr(math.sqrt(0.1) + ndtri(0.01)))
    assert power <= float(found.ceiling) <= 1.6 * power
    assert float(found.ceiling) < found.guarantee.attacker_ceiling(0.01)


def test_the_sentence_is_one_and_names_unit_and_ceiling():
    sentence = report(tree(Gaussian(sigma=10, l2_sensitivity=1, count=10)), "1e-5").sentence()
    assert sentence.startswith("For any one record (epsilon = 1.19937, ")
    assert "at 1 % false alarms at most 2.23 % of the members are found." in sentence


def test_nothing_spent_is_guessing():
    found = report(tree(), "1e-6")
    assert found.ceiling == found.to_json()["attacker"]["fpr"] or float(found.ceiling) == 0.01


def test_a_card_can_afford_it():
    the_tree = tree(
        DiscreteGaussian(sigma="73", l2_sensitivity=1, count=15),
        Exponential(bounded_range="0.05", count=14),
        DiscreteGaussian(sigma="40", l2_sensitivity=1, count=14),
    )
    report(tree(Gaussian(sigma=3, l2_sensitivity=1)), "1e-6")  # imports
    start = time.process_time()
    report(the_tree, "1e-9")
    assert time.process_time() - start < 1.0
