"""Folding discrete Gaussians into a continuous one: never below an enumerated likelihood ratio, and free at any k."""

import math
from itertools import product

import numpy as np
import pytest

from accounting import pld
from accounting.calibration import calibrate
from accounting.crosscheck import PLD, RDP, price
from accounting.decimals import decimal_up
from accounting.errors import UnsupportedEventError
from accounting.event import DiscreteGaussian, EventTree, Exponential, Gaussian
from accounting.fold import fold, smoothing, smoothing_width
from accounting.gaussian import gaussian_delta
from accounting.pld import compose
from accounting.relation import NeighboringRelation, PrivacyUnit


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


def counts(sigma, squared):
    return DiscreteGaussian(sigma=str(sigma), l2_sensitivity=str(decimal_up(math.sqrt(squared), 12)))


def coordinate(sigma, change):
    """Losses and masses of one count that changes by `change`, straight from the definition."""
    reach = math.ceil(9 * sigma)
    j = np.arange(-reach, reach + 1)
    masses = np.exp(-0.5 * (j / sigma) ** 2)
    return (change**2 + 2 * change * j) / (2 * sigma**2), masses / masses.sum()


def joint(*parts):
    """All sums of losses with their probabilities; equal ones to 1e-9 are merged."""
    losses, masses = np.zeros(1), np.ones(1)
    for more, weights in parts:
        losses, masses = (losses[:, None] + more).ravel(), (masses[:, None] * weights).ravel()
        keys, index = np.unique(np.round(losses, 9), return_inverse=True)
        losses, masses = keys, np.bincount(index, masses)
    return losses, masses


def delta_of(losses, masses, eps):
    return float(np.sum(masses * np.maximum(0.0, -np.expm1(eps - losses))))


def bound(folded, eps):
    return folded.atom + (1 - folded.atom) * gaussian_delta(math.sqrt(folded.mu_squared), eps)


SHAPES = {4: [(2,), (1, 1, 1, 1), (1, 1, 1)], 9: [(3,), (2, 2, 1), (2, 1, -1)], 50: [(7, 1), (5, 5), (5, 4, 3), (6, 3)]}


@pytest.mark.parametrize("sigma", [1.9, 3.0, 7.5])
@pytest.mark.parametrize("squared", SHAPES)
def test_no_enumerated_change_vector_beats_the_fold(sigma, squared):
    folded = fold([(counts(sigma, squared), 1)], atom=1e-9, smooth=0.0)
    for shape in SHAPES[squared]:
        losses, masses = joint(*(coordinate(sigma, v) for v in shape))
        for eps in np.linspace(-1, 3 * squared / sigma**2 + 6 * math.sqrt(squared) / sigma, 60):
            assert delta_of(losses, masses, eps) <= bound(folded, eps) + 1e-12


def test_changes_chosen_from_the_first_answer_do_not_beat_it_either():
    """Two tables; which of two shapes the second meets depends on what the first said."""
    sigma, squared = 2.5, 9
    folded = fold([(counts(sigma, squared), 2)], atom=1e-9, smooth=0.0)
    ends = [joint(*(coordinate(sigma, v) for v in shape)) for shape in ((3,), (2, 2, 1))]
    for eps in np.linspace(0, 9, 40):
        first, weights = coordinate(sigma, 3)
        adaptive = sum(
            w * max(delta_of(*end, eps - loss) for end in ends) for loss, w in zip(first, weights, strict=True)
        )
        assert adaptive <= bound(folded, eps) + 1e-12


def test_without_its_smoothing_or_with_a_count_too_few_the_fold_would_be_too_small():
    sigma = 1.9
    folded = fold([(counts(sigma, 1), 3)], atom=1e-9, smooth=0.0)
    losses, masses = joint(*[coordinate(sigma, 1)] * 3)
    grid = np.linspace(0, 6, 400)
    bare, fewer = folded.mu_squared - folded.smoothing, folded.mu_squared * 2 / 3
    for mu_squared in (bare, fewer):
        assert any(delta_of(losses, masses, eps) > gaussian_delta(math.sqrt(mu_squared), eps) + 2e-9 for eps in grid)


def test_density_ratio_that_the_theorem_rests_on():
    """Y + Z against N(0, sigma^2 + B^2), summed straight: within r(s) + r(sigma) of one, and r is what is claimed."""
    for sigma, width in ((1.3, 2.0), (2.0, 1.5), (0.8, 5.0)):
        s = 1 / math.sqrt(1 / sigma**2 + 1 / width**2)
        j = np.arange(-60, 61)
        masses = np.exp(-0.5 * (j / sigma) ** 2)
        masses /= masses.sum()
        x = np.linspace(-25, 25, 999)
        density = (masses * np.exp(-0.5 * ((x[:, None] - j) / width) ** 2)).sum(axis=1) / (
            math.sqrt(2 * math.pi) * width
        )
        total = math.hypot(sigma, width)
        ratio = density / (np.exp(-0.5 * (x / total) ** 2) / (math.sqrt(2 * math.pi) * total))
        r = [2 * sum(math.exp(-2 * math.pi**2 * u**2 * m**2) for m in range(1, 9)) for u in (s, sigma)]
        assert (1 - r[0]) / (1 + r[1]) - 1e-12 <= ratio.min() and ratio.max() <= (1 + r[0]) / (1 + r[1]) + 1e-12
        assert ratio.max() - ratio.min() > r[0]  # and it does move that much


def test_atoms_are_within_what_was_granted():
    for groups, atom in product(([(counts(3, 9), 5)], [(counts(40, 1), 10**6), (counts(9, 400), 3)]), (1e-6, 1e-15)):
        s = math.sqrt(smoothing_width(groups, atom))
        q = math.exp(-2 * math.pi**2 * s**2)
        coordinates = sum(n * event.squared_change for event, n in groups)
        assert coordinates * 2 * 2 * (q + q**4 + q**9) <= atom


def test_a_gaussian_that_is_there_anyway_smooths_for_free_what_has_one_shape():
    for squared, free in ((3, True), (4, False)):
        group = counts(20, squared)
        needed = smoothing(group, smoothing_width([(group, 1)], 1e-12))
        for smooth, left in ((needed * 1.01, 0.0), (needed / 2, needed / 2)):
            assert fold([(group, 1)], atom=1e-12, smooth=smooth).smoothing == pytest.approx(left if free else needed)


@pytest.mark.parametrize(("sigma", "squared", "shapes"), [(1.9, 4, [(2,), (1,) * 4]), (3.0, 9, [(3,), (2, 2, 1)])])
def test_a_shape_chosen_after_a_continuous_answer_does_not_beat_the_price(sigma, squared, shapes):
    """The Gaussian answer says on which side of a comb's teeth the sum will lie, so it cannot smooth the comb."""
    delta, event = 1e-5, counts(sigma, squared)
    needed = math.sqrt(smoothing(event, smoothing_width([(event, 1)], pld.FOLD_ATOM * delta)))
    gaussian = Gaussian(sigma=f"{0.9999 / needed:.6f}", l2_sensitivity="1")
    mu, z = 1 / float(gaussian.sigma), np.linspace(-9, 9, 12_001)
    weights, first = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum(), mu**2 / 2 + mu * z
    combs = [joint(*(coordinate(sigma, v) for v in shape)) for shape in shapes]

    def attained(eps):
        each = [np.maximum(0.0, -np.expm1(eps - first[:, None] - losses)) @ masses for losses, masses in combs]
        return float(weights @ np.max(each, axis=0)), float(weights @ each[0])

    for events in ((gaussian, event), (event, gaussian)):
        priced = PLD.opinion(tree(*events), delta).epsilon
        chosen, fixed = attained(priced)
        assert chosen <= delta * (1 + 1e-6)
        assert fixed < 0.995 * chosen  # and the choice is worth something
        assert attained(0.998 * priced)[0] > delta  # which the price is hardly above


def test_noise_too_narrow_is_refused():
    with pytest.raises(UnsupportedEventError, match="no continuous bound"):
        fold([(counts(1.1, 49), 1)], atom=1e-12, smooth=0.0)


@pytest.mark.parametrize("k", [7, 10, 20, 50])
def test_many_rows_a_user_cost_no_more_noise_than_their_number(k):
    def build(rho):
        ones, pairs = (decimal_up(k * math.sqrt(share / (2 * rho)), 6) for share in (15 / 0.4, 14 / 0.6))
        return tree(
            DiscreteGaussian(sigma=ones, l2_sensitivity=k, count=15),
            DiscreteGaussian(sigma=pairs, l2_sensitivity=k, count=14),
        )

    rho, guarantee = calibrate(build, epsilon="1", delta="1e-9", bracket=(1e-3, 1.0))
    continuous = sum(e.count * float(e.l2_sensitivity / e.sigma) ** 2 for e in build(rho).events)
    assert guarantee.accountant == PLD.name
    alone = price(tree(Gaussian(sigma=str(continuous**-0.5), l2_sensitivity=1)), "1e-9").epsilon
    assert float(alone) * (1 - 1e-9) <= float(guarantee.epsilon) <= float(alone) * 1.0005
    assert RDP.opinion(build(rho), 1e-9).epsilon > 1.04 * float(guarantee.epsilon)


@pytest.mark.parametrize("selections", [(), (Exponential(bounded_range="0.1", count=8),)])
def test_folded_and_exact_distributions_agree(monkeypatch, selections):
    events = (counts(12, 1), counts(30, 2), counts(9, 4), *selections)
    answers = []
    for slack in (0.0, 1.0):
        monkeypatch.setattr(pld, "FOLD_SLACK", slack)
        compose.cache_clear()
        answers.append(PLD.opinion(tree(*[event for event in events for _ in range(3)]), 1e-8).epsilon)
    compose.cache_clear()
    assert answers[0] < answers[1] < answers[0] * 1.004


@pytest.mark.parametrize(("sigma", "squared"), [(2.0, 9), (40.0, 1), (75.0, 2500)])
def test_smoothing_is_the_width_that_the_widest_comb_needs(sigma, squared):
    """b is B = b sigma^2 / v in units of a count that changes by v <= sqrt(N); then 1/s^2 = 1/sigma^2 + 1/B^2."""
    s_squared = smoothing_width([(counts(sigma, squared), 7)], 1e-12)
    b = math.sqrt(smoothing(counts(sigma, squared), s_squared))
    for v in range(1, math.isqrt(squared) + 1):
        wide = b * sigma**2 / v
        reached = 1 / (1 / sigma**2 + 1 / wide**2)
        assert reached >= s_squared * (1 - 1e-12)
    assert reached == pytest.approx(s_squared, rel=1e-9)  # the widest one needs all of it
