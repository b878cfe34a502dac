"""Sensitivities by enumeration: every pair of neighbouring tables over a tiny domain, with exact output laws.

For each mechanism, relation and bound k on a unit's rows, no pair may exceed what the documented event claims, some
pair must attain its worst case, and the event with the factor forgotten (half the range, the smaller norm, one key
instead of two) must be exceeded. So the factors of two in docs/concepts/mechanisms.md are neither missing nor spare.
"""

import itertools
import math

import numpy as np
import pytest

from accounting.event import DiscreteGaussian, Exponential, PartitionSelection
from accounting.pld import compose
from accounting.relation import NeighboringRelation, PrivacyUnit
from tests.accounting.random_trees import tree

ADD, REPLACE = NeighboringRelation.ADD_REMOVE, NeighboringRelation.REPLACE_ONE
EPSILONS = (-0.5, 0.0, 0.2, 0.5, 0.9, 1.5, 2.5)


def tables(cells, rows):
    """All count vectors over `cells` cells with at most `rows` rows."""
    return [counts for counts in itertools.product(range(rows + 1), repeat=cells) if sum(counts) <= rows]


def units(cells, k):
    """What one unit may hold: one to k rows."""
    return [np.array(counts) for counts in tables(cells, k) if sum(counts)]


def neighbours(cells, rows, k, relation):
    """All ordered pairs: a table of others plus one unit, against it without the unit or with another."""
    for others in map(np.array, tables(cells, rows)):
        held = units(cells, k)
        for unit in held:
            if relation is ADD:
                yield others + unit, others
                yield others, others + unit
            else:
                for other in held:
                    yield others + unit, others + other


def claimed(event, relation, k, read_at=1e-6):
    """delta(epsilon) that the event's price rests on, at `EPSILONS`; the grid is the one for delta `read_at`."""
    unit = PrivacyUnit() if k == 1 else PrivacyUnit(kind="user", column="person", max_records=k)
    losses = compose(tree(event, relation=relation, unit=unit), read_at)
    return np.array(
        [losses.atoms + (1 - losses.atoms) * losses.pld.get_delta_for_epsilon(epsilon) for epsilon in EPSILONS]
    )


def deltas(p, q):
    return np.array([np.maximum(p - math.exp(epsilon) * q, 0).sum() for epsilon in EPSILONS])


# --- exponential mechanism -------------------------------------------------------------------------------------------


def counts_of_cells(table):
    """How often does each of the four values occur? Adding a row lets no score fall."""
    return table.astype(float)


def errors_of_two_marginals(table):
    """|| M_q - guess ||_1 of two binary columns, as MST and AIM choose: one may rise while the other falls."""
    square = table.reshape(2, 2)
    return np.array([abs(square.sum(axis=1) - [2, 2]).sum(), abs(square.sum(axis=0) - [2, 2]).sum()], dtype=float)


def closeness_to_a_rank(table):
    """-|rows below - 2| for each cut between ordered cells: a row raises some cuts and lowers others."""
    return -abs(np.concatenate([[0], np.cumsum(table)]) - 2.0)


# (score, relation, R for one row): the documented range of the score's change
RANGES = [
    (counts_of_cells, ADD, 1),
    (counts_of_cells, REPLACE, 2),
    (errors_of_two_marginals, ADD, 2),
    (errors_of_two_marginals, REPLACE, 4),
    (closeness_to_a_rank, ADD, 2),
    (closeness_to_a_rank, REPLACE, 2),
]
COEFFICIENT = 0.4


def chosen(table, score):
    weights = np.exp(COEFFICIENT * score(table))
    return weights / weights.sum()


@pytest.mark.parametrize(("score", "relation", "documented"), RANGES)
@pytest.mark.parametrize("k", [1, 2])
def test_the_range_of_an_exponential_mechanism_is_c_times_that_of_its_score(score, relation, documented, k):
    laws = {tuple(t): chosen(np.array(t), score) for t in tables(4, 6)}
    pairs = {(tuple(a), tuple(b)) for a, b in neighbours(4, 4, k, relation)}
    p, q = (np.array([laws[pair[side]] for pair in pairs]) for side in (0, 1))
    ranges = np.ptp(np.log(p / q), axis=1)
    expected = COEFFICIENT * documented * k
    assert ranges.max() == pytest.approx(expected, rel=1e-9)

    bound = claimed(Exponential(bounded_range=f"{expected:.6f}"), relation, k)
    forgotten = claimed(Exponential(bounded_range=f"{expected / 2:.6f}"), relation, k)
    worst = np.array([np.maximum(p - math.exp(e) * q, 0).sum(axis=1).max() for e in EPSILONS])
    assert np.all(worst <= bound + 1e-9)
    assert np.any(worst > forgotten + 1e-3)


def test_scores_of_sensitivity_one_may_range_over_one_or_two():
    """Sensitivity alone does not tell: both scores move by at most one row's worth."""
    moved = {
        score: max(abs(score(a) - score(b)).max() for a, b in neighbours(4, 3, 1, ADD))
        for score in (counts_of_cells, errors_of_two_marginals)
    }
    assert set(moved.values()) == {1.0}


def test_permute_and_flip_has_more_range_than_its_epsilon():
    """Two candidates, gap 0 against gap 2 (one score rises, one falls), epsilon 1: losses 1 and -log(2 - 1/e)."""

    def flips(scores, epsilon):
        keep = np.exp(epsilon / 2 * (scores - scores.max()))
        return np.array([(keep[i] + (1 - keep[1 - i]) * keep[i]) / 2 for i in (0, 1)])

    p, q = flips(np.array([0.0, 0.0]), 1.0), flips(np.array([1.0, -1.0]), 1.0)
    losses = np.log(p / q)
    assert np.ptp(losses) == pytest.approx(1 + math.log(2 - math.exp(-1)), rel=1e-9)  # 1.489880
    assert abs(losses).max() == pytest.approx(1.0, rel=1e-9)


# --- counts with discrete Gaussian noise -----------------------------------------------------------------------------

SIGMA = 1.3


def noise(sigma, reach=14):
    j = np.arange(-reach, reach + 1)
    law = np.exp(-0.5 * (j / sigma) ** 2)
    return j, law / law.sum()


def noisy_histogram(change, sigma=SIGMA):
    """P and Q over all outcomes of three noisy counts that differ by `change`; only the difference matters."""
    j, _ = noise(sigma)
    p = q = np.ones(1)
    for v in change:
        here, there = (np.exp(-0.5 * ((j - c) / sigma) ** 2) for c in (v, 0))
        p, q = np.outer(p, here / here.sum()).ravel(), np.outer(q, there / there.sum()).ravel()
    return p, q


def changes(cells, k, relation):
    """Difference vectors of neighbours up to sign and order of the cells."""
    return sorted({tuple(sorted(abs(a - b))) for a, b in neighbours(cells, 1, k, relation)} - {(0,) * cells})


# (relation, k, squared L2 change documented)
NORMS = [(ADD, 1, 1), (REPLACE, 1, 2), (ADD, 2, 4), (REPLACE, 2, 8)]


@pytest.mark.parametrize(("relation", "k", "squared"), NORMS)
def test_the_l2_change_of_counts_is_k_and_root_two_times_k(relation, k, squared):
    found = changes(3, k, relation)
    assert max(sum(v * v for v in change) for change in found) == squared
    event = DiscreteGaussian(sigma=str(SIGMA), l2_sensitivity=f"{math.sqrt(squared):.9f}")
    bound = claimed(event, relation, k)
    worst = np.max([deltas(*noisy_histogram(change)) for change in found], axis=0)
    assert np.all(worst <= bound + 1e-9)
    assert np.any(worst >= bound * 0.98)
    if squared > 1:
        smaller = DiscreteGaussian(sigma=str(SIGMA), l2_sensitivity=f"{math.sqrt(squared // 2):.9f}")
        assert np.any(worst > claimed(smaller, relation, k) + 1e-3)


# --- keys above a threshold ------------------------------------------------------------------------------------------

NARROW, THRESHOLD = 0.9, 6
OTHERS = list(itertools.product((0, 1, 5, 40), repeat=2))


def released(counts):
    """Law over what is seen of each key: withheld, or its noisy count; a key nobody holds is never seen."""
    law = np.ones(1)
    values = np.arange(THRESHOLD, 60)
    j, noise_law = noise(NARROW)
    for n in counts:
        seen = np.zeros(len(values) + 1)
        if n:
            noisy = n + j
            seen[1:] = [noise_law[noisy == value].sum() for value in values]
        seen[0] = 1 - seen[1:].sum()
        law = np.outer(law, seen).ravel()
    return law


def selection_pairs(k, relation):
    held = units(2, k)
    for others in map(np.array, OTHERS):
        for unit in held:
            if relation is ADD:
                yield others + unit, others
                yield others, others + unit
            else:
                yield from ((others + unit, others + other) for other in held if tuple(other) != tuple(unit))


def selection(squared, keys):
    return PartitionSelection(
        sigma=str(NARROW), threshold=str(THRESHOLD), l2_sensitivity=f"{math.sqrt(squared):.9f}", max_keys=keys
    )


@pytest.mark.parametrize(("relation", "k", "squared"), NORMS)
def test_a_threshold_charges_every_key_that_a_unit_may_bring(relation, k, squared):
    keys = k if relation is ADD else 2 * k
    bound = claimed(selection(squared, keys), relation, k, 1e-3)
    pairs = [(released(a), released(b)) for a, b in selection_pairs(k, relation)]
    worst = np.max([deltas(p, q) for p, q in pairs], axis=0)
    assert np.all(worst <= bound + 1e-9)


def test_a_lonely_key_attains_the_atom():
    chance = compose(tree(selection(1, 1)), 1e-3).atoms
    p, q = released(np.array([1, 0])), released(np.array([0, 0]))
    assert np.maximum(p - math.exp(30) * q, 0).sum() == pytest.approx(chance, rel=1e-6)


def test_a_unit_with_two_rows_is_not_covered_by_the_event_of_one():
    one = claimed(selection(1, 1), ADD, 1, 1e-3)
    worst = np.max([deltas(released(a), released(b)) for a, b in selection_pairs(2, ADD)], axis=0)
    assert np.all(worst[2:] > one[2:])
