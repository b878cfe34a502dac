"""Chains: same result whatever the cores, a mean over all of them, and figures that show whether they have arrived."""

from __future__ import annotations

import numpy as np
import pytest

import dpsynth.tabular.records.chains as chains_module
from dpsynth.tabular.records.chains import Chains, Sweep
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Marginal

SIZES = (4, 6, 3)
SHARES = [np.full(size, 1 / size) for size in SIZES]
DIAGONAL = np.zeros((4, 6))
DIAGONAL[np.arange(4), np.arange(4)] = 250.0
TARGETS = [
    Marginal(columns=(0, 1), table=DIAGONAL, sigma=5.0),
    Marginal(columns=(1, 2), table=np.outer(DIAGONAL.sum(axis=0), np.full(3, 1 / 3)), sigma=5.0),
]
NOISE = [5.0, 5.0]


def chains(number: int, *, seed: int = 0, records: int = 1000) -> Chains:
    rng = np.random.default_rng(seed)
    return Chains([RecordTable(SIZES, SHARES, records, rng, SHARES) for _ in range(number)], rng)


def annealed(made: Chains, sweeps: int = 8, averaged: int = 2) -> tuple[PairTables, list[Sweep]]:
    seen: list[Sweep] = []
    strengths = np.concatenate([np.geomspace(0.1, 30, sweeps - averaged), np.full(averaged, 30.0)])
    return made.anneal(TARGETS, NOISE, {}, strengths, averaged=averaged, each=seen.append), seen


def test_the_result_does_not_depend_on_the_number_of_cores(monkeypatch):
    results = []
    for cores in (1, 2, 8):
        monkeypatch.setattr(chains_module, "usable_cores", lambda cores=cores: cores)
        made = chains(3)
        mean, seen = annealed(made)
        results.append((mean.flat, seen, made.merged().records))
    for other in results[1:]:
        assert np.array_equal(results[0][0], other[0]) and results[0][1] == other[1]
        assert np.array_equal(results[0][2], other[2])
    assert not np.array_equal(results[0][0], annealed(chains(3, seed=1))[0].flat)


def test_chains_differ_from_one_another():
    made = chains(2)
    annealed(made)
    assert not np.array_equal(made.tables[0].records, made.tables[1].records)


def test_the_mean_is_that_of_all_chains_over_the_averaged_sweeps():
    """One averaged sweep: the mean of the chains' own last tables."""
    made = chains(3)
    mean, _ = annealed(made, averaged=1)
    by_hand = PairTables((*SIZES, 1))
    for table in made.tables:
        by_hand.add(table.records)
    assert np.allclose(mean.flat, by_hand.flat / 3)
    assert mean[0, 1].sum() == pytest.approx(1000)


def test_loss_falls_to_the_noise_and_chains_come_together():
    """Targets that records can meet; at strength 0.1 they are still far from them."""
    _, seen = annealed(chains(2), sweeps=12)
    assert seen[0].loss > 20 * seen[-1].loss and seen[-1].loss < 3
    assert seen[0].apart > 2 * seen[-1].apart > 0
    assert [sweep.strength for sweep in seen] == sorted(sweep.strength for sweep in seen)


def test_a_chain_that_is_stuck_shows():
    """One chain may not enter half of the diagonal: the other finds it, and the distance between them says so."""
    free = chains(2)
    annealed(free, sweeps=12)
    stuck = free.tables[1]
    stuck.records[stuck.records[:, 0] < 2, 1] = 5
    counts = [list(table.tables([(0, 1), (1, 2)]).values()) for table in free.tables]
    assert chains_module._apart(counts, free.records) > 0.1
    assert chains_module._loss(counts, TARGETS, NOISE) > 20


def test_the_loss_is_counted_by_the_noise_and_not_by_how_firmly_a_target_is_held():
    counts = [[np.full((2, 2), 8)]]
    held = [Marginal(columns=(0, 1), table=np.full((2, 2), 5.0), sigma=100.0)]
    assert chains_module._loss(counts, held, [3.0]) == 1.0


def test_a_single_chain_is_apart_from_nobody():
    _, seen = annealed(chains(1))
    assert {sweep.apart for sweep in seen} == {0.0}
    assert seen[-1].loss > 0


def test_merged_records_are_those_of_all_chains():
    made = chains(3, records=200)
    merged = made.merged()
    assert merged.sizes == (*SIZES, 1)
    assert np.array_equal(merged.records, np.concatenate([table.records for table in made.tables]))
