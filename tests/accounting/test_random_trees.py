"""The laws of accounting on 320 random event trees, and on 1,000 more in the slow run.

Each tree is held to brute force, to the order of its accountants, to the loop law, and to one
of the other laws in turn; the slow run holds every tree to all of them.
"""

import math
from typing import get_args

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.errors import DeltaTooSmallError, UnsupportedEventError
from accounting.event import ApproxDP, Event, Gaussian, PartitionSelection, PureDP, ZCDPFilter
from accounting.gaussian import composed_mu, gaussian_epsilon
from accounting.zcdp import total_atoms
from tests.accounting.adversary import floor
from tests.accounting.laws import LAWS, Oracle
from tests.accounting.random_trees import KINDS, random_trees, tree

TREES, SEED, DELTA = 320, 20261122, "1e-6"


def ours(the_tree, delta):
    try:
        return {name: float(value) for name, value in price(the_tree, delta).all.items()}
    except (UnsupportedEventError, DeltaTooSmallError):
        return {}


OURS = Oracle(ask=ours, slack=5e-4, loop_slack=1e-9)


def violations(oracle, tree, laws):
    return [f"{law.__name__}: {said}" for law in laws for said in law(oracle, tree, DELTA)]


def randomized_response_epsilon(events, delta):
    """Exact, by multiplying out all outcomes of the pure events alone."""
    losses, masses = np.zeros(1), np.ones(1)
    for event in events:
        eps, n = float(event.epsilon), event.count
        k = np.arange(n + 1)
        binomial = np.array([math.comb(n, int(i)) for i in k], dtype=float)
        share = 1 / (1 + math.exp(-eps))
        losses = np.add.outer(losses, (2 * k - n) * eps).ravel()
        masses = np.multiply.outer(masses, binomial * share**k * (1 - share) ** (n - k)).ravel()
    order = np.argsort(-losses)
    above, below = np.cumsum(masses[order]), np.cumsum((masses * np.exp(-losses))[order])
    over = above > delta
    return float(np.log((above[over] - delta) / below[over]).max(initial=0.0))


def broken_order(tree, answers):
    """What is below a closed form, below an adversary, or in the wrong order; and how near the adversary came."""
    said = {name.split("/")[0]: value for name, value in answers.items()}
    complaints = []
    tight = not any(isinstance(event, (ApproxDP, PartitionSelection)) for event in tree.events)
    if "pld" in said and said["pld"] > said["rdp"] * (1.001 if tight else 1.002) + 1e-3:
        complaints.append(f"pld above rdp: {said}")
    if "zcdp" in said and said["rdp"] > said["zcdp"] * 1.001 + 1e-3:
        complaints.append(f"rdp above zcdp: {said}")
    smallest, delta = min(said.values()), float(DELTA)
    steps = [event for event in tree.events if isinstance(event, ZCDPFilter)]
    mu = math.hypot(composed_mu(tree), math.sqrt(2 * math.fsum(e.count * float(e.rho) for e in steps)))
    pure = [event for event in tree.events if isinstance(event, PureDP)]
    aims = (smallest, 0.8 * smallest)
    floors = {
        "closed Gaussian form": gaussian_epsilon(mu, delta) if mu else 0.0,
        "closed form of randomized response": randomized_response_epsilon(pure, delta) if pure else 0.0,
        "adversary": floor(tree, delta, aims),
        "adversary with keys of its own": floor(tree, delta, aims, lonely=True) if not tight else 0.0,
    }
    for name, value in floors.items():
        if smallest < value * (1 - 1e-7) - 1e-9:
            complaints.append(f"{said} below the {name}: {value}")
    return complaints, max(floors.values()) / smallest


def test_three_hundred_random_trees_obey_the_laws():
    complaints, reached, priced = [], [], 0
    for number, drawn in enumerate(random_trees(TREES, SEED)):
        answers = ours(drawn, DELTA)
        if not answers:
            continue
        priced += 1
        wrong, ratio = broken_order(drawn, answers)
        laws = (LAWS[0], LAWS[1 + number % (len(LAWS) - 1)])
        complaints += [(drawn.to_json()["events"], what) for what in wrong + violations(OURS, drawn, laws)]
        reached.append(ratio)
    assert complaints == []
    assert priced >= 300
    # The adversaries press against the prices, or nothing would follow from staying above them.
    assert np.median(reached) > 0.999
    assert np.quantile(reached, 0.15) > 0.9


@pytest.mark.slow
def test_a_thousand_more_trees_obey_every_law():
    for drawn in random_trees(1000, SEED + 1):
        answers = ours(drawn, DELTA)
        if answers:
            assert broken_order(drawn, answers)[0] + violations(OURS, drawn, LAWS) == []


def test_every_kind_of_event_is_drawn():
    assert set(KINDS) == set(get_args(Event))
    drawn = {type(event) for tree in random_trees(TREES, SEED) for event in tree.events}
    assert drawn == set(KINDS)


def test_trees_are_distinct_and_the_same_on_every_machine():
    trees = random_trees(TREES, SEED)
    assert len({tree.digest() for tree in trees}) == TREES
    assert trees == random_trees(TREES, SEED)


def test_a_brute_force_floor_knows_the_closed_forms():
    """The yardstick itself: Gaussian, randomized response, and an atom, each within its own discretisation."""

    gaussian = Gaussian(sigma="2", l2_sensitivity="1", count=9)
    assert 0.998 < floor(tree(gaussian), 1e-6) / gaussian_epsilon(1.5, 1e-6) < 1
    pure = PureDP(epsilon="0.3", count=12)
    assert floor(tree(pure), 1e-6) == pytest.approx(randomized_response_epsilon((pure,), 1e-6), rel=1e-9)
    atom = ApproxDP(epsilon="0.3", delta="1e-7", count=5)
    assert floor(tree(atom), 4.9e-7) == math.inf
    assert total_atoms(tree(atom)) > 4.9e-7
