"""The engine: moves leave the stated density invariant, residuals stay true, slots go where error falls most."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dpsynth.tabular.records.record_table as record_table
from dpsynth.core.progress import silent
from dpsynth.tabular.columns.binning import bin_cells
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_fit import RecordFit
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Marginal, Residuals
from dpsynth.tabular.selection import assign_slots
from tests.tabular.records.exact import LIMIT, enumerated, long_run, worst_deviation
from tests.tabular.test_rooms import released

SIZES = (2, 3, 2)
RECORDS = 3
PRIOR = [np.array([0.6, 0.4]), np.array([0.5, 0.2, 0.3]), np.array([0.3, 0.7])]
PAIRS = [(0, 1), (0, 2), (1, 2)]
MARGINALS = [
    Marginal(columns=(0, 1), table=np.array([[1.4, 0.2, -0.5], [0.3, 1.1, 0.6]]), sigma=0.9),
    Marginal(columns=(1, 2), table=np.array([[0.1, 1.2], [0.9, -0.3], [0.2, 0.8]]), sigma=1.1),
    Marginal(columns=(0,), table=np.array([2.0, 0.7]), sigma=1.3),
    Marginal(columns=(2,), table=np.array([0.6, 2.1]), sigma=0.7),
]


JOINT = [
    JointProposal.of((0, 1), np.array([[30.0, 1.0, 1.0], [1.0, 1.0, 20.0]])),
    JointProposal.of((1, 2), np.array([[1.0, 9.0], [5.0, 1.0], [1.0, 1.0]])),
]


def sampled(strength: float, moves: str, *, sweeps: int = 16_000):
    """Mean pair tables of a long run, and their standard errors."""
    rng = np.random.default_rng(3)
    table = RecordTable(SIZES, PRIOR, RECORDS, rng, PRIOR)
    residuals = Residuals(table.sizes, MARGINALS)
    residuals.refresh(table.records)

    def sweep(count, each):
        if moves != "joint moves alone":
            joint = JOINT if moves == "both" else ()
            table.anneal(residuals, np.full(count, strength), rng, joint=joint, each=each)
            return
        for _ in range(count):
            for proposal in JOINT:
                order = rng.permutation(RECORDS)
                table._move_together(residuals, proposal.columns, proposal.pool, strength, order, rng)
            each()

    return long_run(table, PAIRS, sweep, sweeps)


@pytest.mark.parametrize("moves", ["column moves alone", "joint moves alone", "both", "proposals"])
def test_long_runs_agree_with_exact_enumeration(monkeypatch, moves):
    """16 cells at alpha 1e-6. Power: a strength 15 % off is rejected."""
    if moves == "proposals":
        monkeypatch.setattr(record_table, "WIDE", 2)
    found = sampled(1.0, moves)
    assert worst_deviation(found, enumerated(PRIOR, RECORDS, MARGINALS, PAIRS)) < LIMIT
    assert worst_deviation(found, enumerated(PRIOR, RECORDS, MARGINALS, PAIRS, strength=1.15)) > LIMIT


def problem(seed: int = 0, records: int = 500):
    rng = np.random.default_rng(seed)
    sizes = (4, 7, 3, 19)
    shares = [rng.dirichlet(np.ones(size)) for size in sizes]
    table = RecordTable(sizes, shares, records, np.random.default_rng(1), [np.maximum(s, 0.01) for s in shares])
    targets = [
        Marginal(
            columns=(a, b),
            table=rng.multinomial(records, np.full(sizes[a] * sizes[b], 1 / (sizes[a] * sizes[b]))).reshape(
                sizes[a], sizes[b]
            ),
            sigma=5.0,
        )
        for a, b in ((0, 1), (1, 3), (0, 3), (2, 3))
    ]
    joint = [JointProposal.of((1, 3), np.ones((7, 19)))]
    return table, targets, joint


def test_residuals_stay_those_of_the_records():
    """Both orientations of each table, after column and joint moves, are what a fresh count gives."""
    table, targets, joint = problem()
    residuals = Residuals(table.sizes, targets)
    table.anneal(residuals, [1.0, 3.0, 10.0], np.random.default_rng(0), joint=joint)
    moved = residuals.flat.copy()
    residuals.refresh(table.records)
    assert np.abs(moved).max() > 0.1
    assert np.allclose(moved, residuals.flat, atol=1e-4)


def test_moves_are_a_function_of_the_seed():
    results = []
    for seed in (5, 5, 6):
        table, targets, joint = problem()
        table.anneal(Residuals(table.sizes, targets), [1.0] * 3, np.random.default_rng(seed), joint=joint)
        results.append(table.records.copy())
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


def test_codes_stay_within_their_columns():
    table, targets, joint = problem()
    residuals = Residuals(table.sizes, targets)
    table.anneal(residuals, [0.1, 100.0, 1e4], np.random.default_rng(0), joint=joint)
    assert np.all(table.records >= 0) and np.all(table.records < np.array(table.sizes))


def test_annealing_brings_the_records_to_their_targets():
    table, targets, joint = problem()
    residuals = Residuals(table.sizes, targets)
    residuals.refresh(table.records)
    before = float(np.abs(residuals.flat).sum())
    table.anneal(residuals, np.geomspace(0.3, 100, 12), np.random.default_rng(0), joint=joint)
    assert np.abs(residuals.flat).sum() < 0.2 * before


@pytest.mark.parametrize("records", [0, 3, 500, 1250])
def test_resampled_records_are_each_drawn_equally_often(records):
    table, _, _ = problem()
    table.records[:, 0] = 0
    table.records[:, 3] = 0
    table.records[:, 1] = np.arange(500) % 7
    drawn = RecordTable.resampled(table, records, np.random.default_rng(0))
    assert drawn.records.shape == (records, 5)
    times = np.bincount(drawn.records[:, 1], minlength=7)
    whole, rest = divmod(records, 500)
    assert np.all(np.abs(times - np.bincount(np.arange(500) % 7) * whole) <= rest)


# --- what the fit knows ----------------------------------------------------------------------------------------------


def fit_of(counts_a, counts_b, sigma=5.0):
    binnings = {
        name: bin_cells(released(counts, sigma), codes=8) for name, counts in (("a", counts_a), ("b", counts_b))
    }
    return RecordFit(binnings, float(np.sum(counts_a)), 100.0, np.random.default_rng(0), silent)


def test_missing_has_a_code_only_where_it_stands_out():
    fit = fit_of([500, 400, 9], [300, 300, 309])
    assert fit.shapes == {"a": 2, "b": 3}


def test_before_any_pair_the_product_of_the_columns_is_expected():
    fit = fit_of([600, 400, 0], [250, 750, 0])
    assert fit.expected()["a", "b"].tolist() == [[150, 450], [100, 300]]


def test_repeated_tables_are_averaged_by_precision():
    fit = fit_of([600, 400, 0], [250, 750, 0])
    fit.learn({("a", "b"): np.full((2, 2), 100.0)}, {("a", "b"): 10.0})
    fit.learn({("a", "b"): np.full((2, 2), 200.0)}, {("a", "b"): 5.0})
    assert np.allclose(fit.tables["a", "b"], 180.0)
    assert fit.sigmas["a", "b"] == pytest.approx((1 / 100 + 1 / 25) ** -0.5)


# --- slots -----------------------------------------------------------------------------------------------------------

FLAT = np.full((5, 5), 400)


def test_slots_are_all_spent_whatever_the_scores():
    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations("abcdef", 2))
    for slots in (1, 5, 15, 40):
        scores = dict(zip(pairs, rng.normal(0, 500, len(pairs)).tolist(), strict=True))
        chosen = assign_slots(scores, dict.fromkeys(pairs, FLAT), sigma=30.0, slots=slots)
        assert sum(chosen.values()) == slots and min(chosen.values()) >= 1


def test_the_largest_error_is_measured_and_then_measured_again():
    scores = {("a", "b"): 9000.0, ("a", "c"): 3000.0, ("b", "c"): 20.0}
    tables = dict.fromkeys(scores, FLAT)
    assert assign_slots(scores, tables, sigma=60.0, slots=2) == {("a", "b"): 1, ("a", "c"): 1}
    many = assign_slots(scores, tables, sigma=60.0, slots=12)
    assert set(many) == {("a", "b"), ("a", "c")} and abs(many["a", "b"] - many["a", "c"]) <= 1


def test_a_large_table_may_be_worth_four_slots_and_not_one():
    large = np.full((20, 20), 100)
    scores = {("a", "b"): 9000.0, ("a", "c"): 10.0}
    tables = {("a", "b"): large, ("a", "c"): FLAT}
    assert assign_slots(scores, tables, sigma=60.0, slots=4) == {("a", "b"): 4}


def test_an_earlier_table_sharpens_the_next_and_forced_pairs_come_first():
    scores = {("a", "b"): 500.0, ("a", "c"): 500.0}
    chosen = assign_slots(scores, dict.fromkeys(scores, FLAT), sigma=20.0, slots=1, earlier={("a", "b"): 100.0})
    assert chosen == {("a", "b"): 1}  # the average with the earlier table is the sharper one
    fresh = assign_slots(scores, dict.fromkeys(scores, FLAT), sigma=20.0, slots=1, first=[("a", "c")])
    assert fresh == {("a", "c"): 1}


def test_an_error_that_counts_more_is_measured_first():
    scores = {("a", "b"): 900.0, ("a", "c"): 1000.0}
    tables = dict.fromkeys(scores, FLAT)
    assert assign_slots(scores, tables, sigma=20.0, slots=1) == {("a", "c"): 1}
    assert assign_slots(scores, tables, sigma=20.0, slots=1, worth={("a", "b"): 2.0}) == {("a", "b"): 1}
