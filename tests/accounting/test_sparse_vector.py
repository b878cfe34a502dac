"""The sparse vector technique, enumerated: each run's likelihood ratio is covered by its event and by no weaker one."""

import itertools
import json
import math

import numpy as np
import pytest

from accounting.crosscheck import PLD, RDP, price
from accounting.event import EventTree, SparseVector
from accounting.filters import exact_rho
from accounting.ledger.containment import uncovered
from accounting.pld import compose
from accounting.rdp import attained_divergence, divergence
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.zcdp import event_rho


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


def run_of(**changes):
    fields = {"threshold_scale": "2", "query_scale": "5", "sensitivity": "1", "positives": 1, "monotonic": False}
    return SparseVector(**{**fields, **changes})


def law(event, queries):
    """Probability of every answer string, threshold 0: quadrature over the one threshold noise."""
    first, second = float(event.threshold_scale), float(event.query_scale)
    # Half the points on either side of the kink at zero.
    nodes, weights = np.polynomial.legendre.leggauss(400)
    z = np.concatenate([(nodes - 1) * 20 * first, (nodes + 1) * 20 * first])
    density = np.tile(weights, 2) * 20 * first * np.exp(-np.abs(z) / first) / (2 * first)

    def above(q):
        gap = z - q
        return np.where(gap > 0, 0.5 * np.exp(-np.abs(gap) / second), 1 - 0.5 * np.exp(-np.abs(gap) / second))

    found = {}

    def go(answers, mass):
        if len(answers) == len(queries) or sum(answers) == event.positives:
            found[answers] = float(mass.sum())
            return
        yes = above(queries[len(answers)])
        go((*answers, 1), mass * yes)
        go((*answers, 0), mass * (1 - yes))

    go((), density)
    return found


def losses(event, one, other):
    p, q = law(event, one), law(event, other)
    assert sum(p.values()) == pytest.approx(1, abs=1e-6)
    return {answers: (p[answers], math.log(p[answers] / q[answers])) for answers in p}


def delta_of(pairs, eps):
    return sum(mass * max(0.0, -math.expm1(eps - loss)) for mass, loss in pairs)


SETTINGS = [
    run_of(),
    run_of(positives=2),
    run_of(monotonic=True),
    run_of(monotonic=True, positives=2, threshold_scale="1", query_scale="3"),
    run_of(threshold_scale="4", query_scale="1.5", sensitivity="0.5"),
]


def neighbours(event, n=4):
    d = float(event.sensitivity)
    moves = [(0, 0), (d, 0), (d, d)] if event.monotonic else [(-d, 0), (d, -d), (d, d)]
    for levels in ((0.0,) * n, (-3.0, -3.0, -3.0, 2.0), (2.0, -4.0, 1.0, -6.0)):
        for early, late in moves:
            moved = [level + (early if i < n - 1 else late) for i, level in enumerate(levels)]
            yield list(levels), moved
            yield moved, list(levels)


@pytest.mark.parametrize("event", SETTINGS, ids=str)
def test_no_enumerated_run_beats_its_event(event):
    profile = compose(tree(event), 1e-6).pld
    orders = np.array([1.3, 2.0, 6.0])
    bound = divergence(tree(event), orders)
    for one, other in neighbours(event):
        found = losses(event, one, other)
        values = [loss for _, loss in found.values()]
        assert max(map(abs, values)) <= float(event.epsilon) + 1e-6
        assert max(values) - min(values) <= float(event.bounded_range) + 1e-6
        for eps in np.linspace(-0.5, float(event.epsilon), 12):
            assert delta_of(found.values(), eps) <= profile.get_delta_for_epsilon(float(eps)) + 1e-7
        for order, limit in zip(orders, bound, strict=True):
            total = sum(mass * math.exp((order - 1) * loss) for mass, loss in found.values())
            assert math.log(total) / (order - 1) <= limit + 1e-7


def test_half_the_query_noise_or_one_positive_too_few_would_be_refuted():
    event = run_of(threshold_scale="1", query_scale="4", sensitivity="1")
    # D: early queries d lower, the last d higher, than in D'. Levels near the threshold make the noise on it matter.
    d, n = 1.0, 400
    z = np.linspace(-60, 60, 600_001)

    def mass(low, high, positives=1):
        def above(q):
            gap = z - q
            return np.where(gap > 0, 0.5 * np.exp(-np.abs(gap) / 4), 1 - 0.5 * np.exp(-np.abs(gap) / 4))

        return float(np.sum(np.exp(-np.abs(z)) * (1 - above(low)) ** n * above(high) ** positives))

    loss = math.log(mass(5.0, -30.0 + d) / mass(5.0 + d, -30.0))
    claimed_monotonic = float(run_of(threshold_scale="1", query_scale="4", monotonic=True).epsilon)
    assert claimed_monotonic + 0.1 < loss <= float(event.epsilon) + 1e-6
    both = math.log(mass(5.0, -30.0 + d, 2) / mass(5.0 + d, -30.0, 2))
    two = run_of(threshold_scale="1", query_scale="4", positives=2)
    assert float(event.epsilon) + 0.1 < both <= float(two.epsilon) + 1e-6


def test_vector_of_the_text_notes():
    """s = 64, sigma 0.3: 2 / (s sigma) a private token, rho = epsilon^2 / 2 (proofs, vectors V1 and V2)."""
    event = run_of(threshold_scale="0.3", query_scale="0.6", sensitivity="0.015625")
    assert float(event.epsilon) == pytest.approx(0.104167, abs=1e-6)
    assert event_rho(event) == pytest.approx(5.425347e-3, abs=1e-9)
    assert float(exact_rho(event)) == pytest.approx(event_rho(event))


def test_monotony_is_worth_what_the_range_says():
    general, counts = (run_of(threshold_scale="8", query_scale="8", monotonic=m, count=20) for m in (False, True))
    assert event_rho(counts) / event_rho(general) == pytest.approx((3 / 6) ** 2)
    prices = [float(price(tree(event), "1e-6").epsilon) for event in (general, counts)]
    assert prices[1] < 0.55 * prices[0]


@pytest.mark.parametrize("monotonic", [False, True])
def test_a_count_that_is_lost_is_below_what_one_question_attains(monotonic):
    event = run_of(monotonic=monotonic, count=50, threshold_scale="3", query_scale="3")
    assert 0 < attained_divergence(tree(event), 2.0) <= float(divergence(tree(event), np.array([2.0]))[0])
    once = run_of(monotonic=monotonic, threshold_scale="3", query_scale="3")
    assert attained_divergence(tree(event), 2.0) > compose(tree(once), 1e-6).divergence(2.0)


def test_more_noise_or_fewer_positives_are_covered_and_nothing_dearer_is():
    plan = [run_of(positives=3, count=2).to_json()]
    cheaper = ({"threshold_scale": "3"}, {"query_scale": "6"}, {"sensitivity": "0.5"}, {"positives": 1})
    dearer = ({"threshold_scale": "1.9"}, {"query_scale": "4"}, {"sensitivity": "2"}, {"positives": 4})
    for change in cheaper:
        ran = run_of(**{"positives": 3, **change})
        assert uncovered([ran.to_json()], plan) is None
        assert price(tree(ran), "1e-6").epsilon <= price(tree(run_of(positives=3)), "1e-6").epsilon
    for change in (*dearer, {"monotonic": True}, {"count": 3}):
        assert uncovered([run_of(**{"positives": 3, **change}).to_json()], plan) == 0


def test_accountants_agree_on_a_mixture_and_json_keeps_it():
    the_tree = tree(*itertools.chain.from_iterable([SETTINGS] * 2))
    answers = price(the_tree, "1e-6").all
    assert {PLD.name, RDP.name} <= set(answers)
    assert EventTree.parse(json.dumps(the_tree.to_json())) == the_tree


@pytest.mark.parametrize(
    ("threshold_scale", "query_scale", "sensitivity", "count"),
    [("3.95", "9.72", "0.612", 2), ("3.1", "6.58", "0.999", 2), ("27.1", "13.5", "0.879", 3)],
)
def test_few_monotonic_runs_are_priced_and_not_refused_as_a_contradiction(
    threshold_scale, query_scale, sensitivity, count
):
    """Their loss nearly reaches its largest value, between grid points: the loss distribution may exceed RDP there."""
    runs = run_of(
        threshold_scale=threshold_scale,
        query_scale=query_scale,
        sensitivity=sensitivity,
        positives=3,
        monotonic=True,
        count=count,
    )
    opinions = {name.split("/")[0]: float(value) for name, value in price(tree(runs), "1e-6").all.items()}
    assert opinions["pld"] <= opinions["rdp"] * 1.003
