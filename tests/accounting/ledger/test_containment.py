"""What ran must be what was granted, or less."""

from __future__ import annotations

import pytest

from accounting.ledger.containment import uncovered

GAUSS = {"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 20}
EXPO = {"type": "exponential", "bounded_range": "0.05", "count": 50}
KEYS = {"type": "partition_selection", "sigma": "5", "threshold": "40", "l2_sensitivity": "1", "max_keys": 1}
FILTER = {"type": "zcdp_filter", "rho": "0.02"}
SGD = {
    "type": "poisson_sampled",
    "probability": "0.01",
    "count": 100,
    "event": {"type": "gaussian", "sigma": "1", "l2_sensitivity": "1"},
}

COVERED = {
    "the plan itself": ([GAUSS, EXPO, KEYS, SGD], [GAUSS, EXPO, KEYS, SGD]),
    "nothing": ([], [GAUSS]),
    "fewer": ([{**GAUSS, "count": 3}], [GAUSS]),
    "one by one": ([{**GAUSS, "count": 1}] * 20, [GAUSS]),
    "count left out is one": ([{k: v for k, v in GAUSS.items() if k != "count"}], [GAUSS]),
    "more noise": ([{**GAUSS, "sigma": "10.5"}], [GAUSS]),
    "less sensitivity": ([{**GAUSS, "l2_sensitivity": "0.5"}], [GAUSS]),
    "split over two planned": ([{**EXPO, "count": 60}], [EXPO, {**EXPO, "count": 10}]),
    "equal first, weak from strong": (
        [{**GAUSS, "sigma": "11", "count": 1}, {**GAUSS, "count": 1}],
        [{**GAUSS, "count": 1}, {**GAUSS, "sigma": "10.5", "count": 1}],
    ),
    "rarer sampling": ([{**SGD, "probability": "0.005"}], [SGD]),
    "more noise inside": ([{**SGD, "event": {**SGD["event"], "sigma": "2"}}], [SGD]),
    "a filter that spends less": ([{**FILTER, "rho": "0.019"}], [FILTER]),
    "higher threshold": ([{**KEYS, "threshold": "50"}], [KEYS]),
    "fewer keys": ([KEYS], [{**KEYS, "max_keys": 2}]),
    "same number, other spelling": ([{**GAUSS, "sigma": "1e1"}], [GAUSS]),
}
NOT_COVERED = {
    "one too many": ([{**GAUSS, "count": 21}], [GAUSS], 0),
    "one too many, one by one": ([{**EXPO, "count": 25}] * 3, [EXPO], 2),
    "less noise": ([GAUSS, {**GAUSS, "sigma": "9.99", "count": 1}], [GAUSS, GAUSS], 1),
    "more sensitivity": ([{**GAUSS, "l2_sensitivity": "1.01"}], [GAUSS], 0),
    "another type": ([{**GAUSS, "type": "discrete_gaussian"}], [GAUSS], 0),
    "seeded noise": ([{**GAUSS, "noise": "seeded"}], [GAUSS], 0),
    "an extra field": ([{**GAUSS, "note": "x"}], [GAUSS], 0),
    "unknown type, other parameter": ([{"type": "new", "a": "2"}], [{"type": "new", "a": "1"}], 0),
    "more often sampled": ([{**SGD, "probability": "0.011"}], [SGD], 0),
    "less noise inside": ([{**SGD, "event": {**SGD["event"], "sigma": "0.5"}}], [SGD], 0),
    "unsampled": ([{**SGD["event"], "count": 1}], [SGD], 0),
    "repeated inside": ([{**SGD, "event": {**SGD["event"], "count": 2}}], [SGD], 0),
    "more noise on a threshold": ([{**KEYS, "sigma": "6"}], [KEYS], 0),
    "lower threshold": ([{**KEYS, "threshold": "39"}], [KEYS], 0),
    "more keys": ([{**KEYS, "max_keys": 2}], [KEYS], 0),
    "a filter that spends more": ([{**FILTER, "rho": "0.021"}], [FILTER], 0),
    "steps instead of their filter": ([{**GAUSS, "count": 1}], [FILTER], 0),
    "larger range": ([{**EXPO, "bounded_range": "0.051"}], [EXPO], 0),
    "negative count": ([{**GAUSS, "count": -1}], [GAUSS], 0),
    "count as text": ([{**GAUSS, "count": "20"}], [GAUSS], 0),
    "count true": ([{**GAUSS, "count": True}], [GAUSS], 0),
    "planned count as text": ([GAUSS], [{**GAUSS, "count": "20"}], 0),
    "negative sensitivity": ([{**GAUSS, "l2_sensitivity": "-5"}], [GAUSS], 0),
    "infinite sigma": ([{**GAUSS, "sigma": "Infinity"}], [GAUSS], 0),
    "sigma not a number": ([{**GAUSS, "sigma": "NaN"}], [GAUSS], 0),
    "sigma as a list": ([{**GAUSS, "sigma": ["10"]}], [GAUSS], 0),
    "empty plan": ([EXPO], [], 0),
}


@pytest.mark.parametrize(("events", "plan"), COVERED.values(), ids=COVERED.keys())
def test_covered(events: list, plan: list) -> None:
    assert uncovered(events, plan) is None


@pytest.mark.parametrize(("events", "plan", "stray"), NOT_COVERED.values(), ids=NOT_COVERED.keys())
def test_not_covered(events: list, plan: list, stray: int) -> None:
    assert uncovered(events, plan) == stray


HARMLESS: dict[str, dict[str, str]] = {
    "gaussian": {"sigma": "up", "l2_sensitivity": "down"},
    "discrete_gaussian": {"sigma": "neither", "l2_sensitivity": "down"},
    "laplace": {"scale": "up", "l1_sensitivity": "down"},
    "discrete_laplace": {"scale": "up", "l1_sensitivity": "down"},
    "exponential": {"bounded_range": "down"},
    "pure_dp": {"epsilon": "down"},
    "approx_dp": {"epsilon": "down", "delta": "down"},
    "partition_selection": {"sigma": "neither", "threshold": "up", "max_keys": "down", "l2_sensitivity": "down"},
    "poisson_sampled": {"probability": "down"},
    "zcdp_filter": {"rho": "down"},
    "sparse_vector": {"threshold_scale": "up", "query_scale": "up", "sensitivity": "down", "positives": "down"},
    "prediction_tokens": {"clip": "down", "batch_size": "up", "temperature": "up", "rows_per_unit": "down"},
}  # from the proofs: which way a parameter of which mechanism can only cost less


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in HARMLESS.items() for name in names])
def test_a_parameter_may_differ_only_where_that_costs_less(kind: str, name: str) -> None:
    plan = {"type": kind, **dict.fromkeys(HARMLESS[kind], "10")}
    for value, way in (("11", "up"), ("9", "down")):
        stray = uncovered([{**plan, name: value}], [plan])
        assert stray == (None if HARMLESS[kind][name] == way else 0), (kind, name, way)
