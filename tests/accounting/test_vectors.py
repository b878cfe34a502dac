"""Numbers computed elsewhere (mpmath, quadrature, brute force; see `vectors.json`) that this code must reproduce.

Five of the 50 describe things that no event expresses (a mechanism's own arithmetic, a gate): they are listed by
name, so that a new vector without a check fails here.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from accounting.accountant import split_delta
from accounting.block import block_profile
from accounting.crosscheck import price
from accounting.event import (
    DiscreteGaussian,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PoissonSampled,
    PureDP,
    ZCDPFilter,
)
from accounting.gaussian import discrete_gaussian_delta, gaussian_delta, gaussian_epsilon
from accounting.losses import convolve, from_block, power, single
from accounting.pld import compose
from accounting.rdp import divergence
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.threshold import selection_delta
from accounting.zcdp import ZCDPAccountant, event_rho, zcdp_epsilon

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text())}
NOT_AN_EVENT = {"T1", "V1", "Q1", "Q2", "F1"}
SQRT2 = "1.4142135623730951"


def tree(*events, relation=NeighboringRelation.ADD_REMOVE):
    return EventTree(relation=relation, unit=PrivacyUnit(), events=events)


def epsilon(*events, delta="1e-5", relation=NeighboringRelation.ADD_REMOVE):
    return float(price(tree(*events, relation=relation), delta).epsilon)


def pld_delta(*events, at, delta=1e-5):
    return float(compose(tree(*events), delta).pld.get_delta_for_epsilon(at))


def renyi(event, order):
    return float(divergence(tree(event), np.array([order]))[0])


def block(etas, at, resolution=400):
    return float(block_profile(etas, resolution=resolution).deltas(np.array([at]))[0])


def normal_tail(sigma, start):
    return 0.5 * math.erfc(start / sigma / math.sqrt(2))


def stack(k):
    return (Gaussian(sigma="20", l2_sensitivity=k, count=10), Gaussian(sigma="8", l2_sensitivity=k, count=15))


def envelope_composed():
    one = from_block(block_profile((0.25,), resolution=400), 1e-4)
    return power(one, 100).get_epsilon_for_delta(1e-6)


def block_upper_by_pld(eta, count, resolution, delta, grid=1e-5):
    return from_block(block_profile((eta,) * count, resolution=resolution), grid).get_epsilon_for_delta(delta)


ETA_1, ETA_HALF, TOKEN = (Exponential(bounded_range=e) for e in ("1", "0.5", "0.25"))
SAMPLED = PoissonSampled(probability="0.01", event=Gaussian(sigma="1", l2_sensitivity="1"))
REPLACE = NeighboringRelation.REPLACE_ONE

CHECKS = {
    "G1": lambda: gaussian_delta(1, 1),
    "G2": lambda: epsilon(Gaussian(sigma=1, l2_sensitivity=1)),
    "G3": lambda: epsilon(Gaussian(sigma=10, l2_sensitivity=1, count=10)),
    "G4": lambda: epsilon(Gaussian(sigma=10, l2_sensitivity=SQRT2, count=10), relation=REPLACE),
    "G5": lambda: epsilon(*stack(1)),
    "G6": lambda: epsilon(*stack(3)),
    "L1": lambda: pld_delta(Laplace(scale=1, l1_sensitivity=1), at=0.5),
    "L2": lambda: renyi(Laplace(scale=10, l1_sensitivity=1), 2),
    "P1": lambda: pld_delta(PureDP(epsilon="0.5"), at=0.25),
    "P2": lambda: epsilon(PureDP(epsilon="0.1", count=10)),
    "B1": lambda: block((1.0,), 0.0),
    "B2": lambda: block((1.0,), 0.5),
    "B3": lambda: block((1.0,), -0.5),
    "B4": lambda: compose(tree(ETA_1), 1e-5).divergence(2.0),
    "B5": lambda: renyi(ETA_1, 2),
    "B6": lambda: renyi(ETA_HALF, 8),
    "B7": lambda: block((1.0, 1.0), 0.5),
    "B8": lambda: block((1.0, 1.0), 0.0),
    "Z1": lambda: zcdp_epsilon(0.5, 1e-5),
    "Z2": lambda: zcdp_epsilon(0.03056, 1e-5),
    "D1": lambda: discrete_gaussian_delta(1, 0),
    "D2": lambda: discrete_gaussian_delta(1, 1),
    "D3": lambda: discrete_gaussian_delta(10, 0.2),
    "D4": lambda: epsilon(DiscreteGaussian(sigma=5, l2_sensitivity=1, count=10)),
    "D5": lambda: epsilon(DiscreteGaussian(sigma=1, l2_sensitivity=1)),
    "D6": lambda: renyi(DiscreteGaussian(sigma="0.5", l2_sensitivity=1), 2),
    "S1": lambda: selection_delta(sigma=10, threshold=60, squared_change=1, max_keys=1, tail=normal_tail),
    "S2": lambda: 1 - (1 - CHECKS["S1"]()) ** 4,
    "S3": lambda: selection_delta(
        sigma=2, threshold=20, squared_change=1, max_keys=1, tail=lambda b, j: 0.5 * math.exp(-j / b)
    ),
    "S4": lambda: gaussian_epsilon(0.1, split_delta(1e-5, 1 - (1 - 1e-6) ** 2)),
    "T2": lambda: event_rho(TOKEN),
    "T3": lambda: event_rho(ETA_HALF),
    "T4": lambda: ZCDPAccountant().opinion(tree(*[TOKEN] * 100), 1e-6).epsilon,
    "T5": lambda: block_upper_by_pld(0.25, 100, 20, 1e-6),
    "T6": envelope_composed,
    "V2": lambda: event_rho(PureDP(epsilon="0.1041666667")),
    "U1": lambda: pld_delta(SAMPLED, at=0.1, delta=1e-6),
    "U2": lambda: renyi(SAMPLED, 2),
    "F2": lambda: epsilon(Gaussian(sigma=1, l2_sensitivity="0.3"), Gaussian(sigma=1, l2_sensitivity="0.4")),
    "M1": lambda: epsilon(
        Laplace(scale=10, l1_sensitivity=1),
        Gaussian(sigma=10, l2_sensitivity=1, count=20),
        Exponential(bounded_range="0.05", count=50),
    ),
    "A1": lambda: epsilon(DiscreteGaussian(sigma=50, l2_sensitivity=1, count=20), ZCDPFilter(rho="0.012")),
}
BRACKETS = {"K1", "K2", "K3", "X1"}


@pytest.mark.parametrize("name", CHECKS)
def test_value_is_reproduced(name):
    expected = float(VECTORS[name]["value"])
    assert CHECKS[name]() == pytest.approx(expected, rel=VECTORS[name]["tolerance"], abs=2e-9)


def test_every_vector_is_checked_or_named_as_no_event():
    assert set(VECTORS) == set(CHECKS) | BRACKETS | NOT_AN_EVENT


def test_every_vector_names_source_relation_unit_events_and_bound():
    """Thresholds with continuous noise, gates and a mechanism's own arithmetic are no events, and say so."""
    arithmetic = {"S1", "S2", "S3", "S4", *NOT_AN_EVENT}
    for name, vector in VECTORS.items():
        assert vector["source"], name
        assert vector["bound"] in ("equal", "upper", "lower", "bracket")
        assert (vector["events"] is None) == (name in arithmetic)
        if vector["events"]:
            body = {"schema": "dpsynth.events/1", **{key: vector[key] for key in ("relation", "unit", "events")}}
            assert EventTree.from_json(body).events


def test_k1_upper_bounds_fall_with_resolution_and_stay_above_the_attained_one():
    vector = VECTORS["K1"]
    coarse = block_upper_by_pld(0.05, 50, 40, 1e-5)
    fine = block_upper_by_pld(0.05, 50, 160, 1e-5)
    assert coarse == pytest.approx(float(vector["upper_m40"]), rel=1e-6)
    assert fine == pytest.approx(float(vector["upper_m160"]), rel=1e-6)
    assert float(vector["lower_m160"]) <= fine <= coarse <= 0.635


def test_k2_lies_in_its_bracket():
    upper = block_upper_by_pld(0.5, 20, 160, 1e-5, grid=5e-5)
    assert upper == pytest.approx(float(VECTORS["K2"]["upper_m160"]), rel=1e-6)
    assert float(VECTORS["K2"]["lower_m160"]) <= upper <= 4.92


def test_k3_attained_lower_grid_is_the_explicit_adversary_tree():
    profile = block_profile((1.0,) * 4, resolution=40)
    attained = [profile.lower[profile.reach + 20], profile.lower[profile.reach + 60]]
    assert attained == pytest.approx([float(v) for v in VECTORS["K3"]["value"]], rel=1e-8)


def test_x1_the_exchange_is_charged_in_the_order_that_costs_more():
    selections_last, both = (float(v) for v in VECTORS["X1"]["value"])
    blocks = from_block(block_profile((1.0,), resolution=400), 1e-4)
    composed = convolve([blocks, single(PureDP(epsilon="0.4"), 1e-4)]).get_delta_for_epsilon(0.0)
    assert composed == pytest.approx(both, rel=1e-5)
    assert composed > selections_last
