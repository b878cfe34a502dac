"""Every number of `known_answers.json` against every accountant; `python -m tests.accounting.answers` computes them.

A vector says what its value is: equal to the truth (no accountant may be below it, the best must be within the
vector's tolerance above), an upper bound (the best must not exceed it) or a lower one (none may be below it).
"""

import json
from pathlib import Path

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.pld import compose
from accounting.rdp import divergence
from accounting.zcdp import event_rho, total_atoms

HERE = Path(__file__).parent
ANSWERS = json.loads((HERE / "known_answers.json").read_text())
BELOW = 1e-9  # relative; what a float may lose
GRID_DELTA = "1e-6"  # sets the grid on which a delta is read


def tree_of(vector):
    body = {"schema": "dpsynth.events/1", **{key: vector[key] for key in ("relation", "unit", "events")}}
    return EventTree.from_json(body)


def epsilons(tree, vector):
    return [float(value) for value in price(tree, vector["at"]).all.values()]


def deltas(tree, vector):
    losses = compose(tree, float(GRID_DELTA))
    return [losses.atoms + (1 - losses.atoms) * float(losses.pld.get_delta_for_epsilon(float(vector["at"])))]


def divergences(tree, vector):
    return [float(divergence(tree, np.array([float(vector["at"])]))[0])]


def rhos(tree, _):
    return [sum(event.count * event_rho(event) for event in tree.events)]


def atoms(tree, _):
    return [total_atoms(tree), compose(tree, 1e-3).atoms]


ANSWERERS = {"epsilon": epsilons, "delta": deltas, "renyi": divergences, "rho": rhos, "atom": atoms}
ROUNDED_UP = {"epsilon": 1e-6}  # prices have six decimals


@pytest.mark.parametrize("vector", ANSWERS, ids=lambda vector: f"{vector['id']}-{vector['quantity']}-{vector['bound']}")
def test_every_accountant_stands_where_the_answer_puts_it(vector):
    found = ANSWERERS[vector["quantity"]](tree_of(vector), vector)
    value, slack = float(vector["value"]), float(vector["tolerance"])
    if vector["bound"] in ("equal", "lower"):
        assert min(found) >= value * (1 - BELOW) - 1e-15, vector["source"]
    if vector["bound"] in ("equal", "upper"):
        assert min(found) <= value * (1 + slack) + ROUNDED_UP.get(vector["quantity"], 1e-15), vector["source"]


def test_there_are_two_hundred_answers_and_each_says_where_it_comes_from():
    carried = json.loads((HERE / "vectors.json").read_text())
    assert len(ANSWERS) + len(carried) >= 200
    assert len({vector["id"] for vector in ANSWERS}) == len(ANSWERS)
    assert all(vector["source"] and vector["method"] for vector in ANSWERS)
    assert {vector["bound"] for vector in ANSWERS} == {"equal", "upper", "lower"}
    kinds = {event["type"] for vector in ANSWERS for event in vector["events"]}
    assert kinds >= {"gaussian", "discrete_gaussian", "laplace", "discrete_laplace", "exponential", "pure_dp"}
    assert kinds >= {"approx_dp", "partition_selection", "poisson_sampled", "zcdp_filter"}
