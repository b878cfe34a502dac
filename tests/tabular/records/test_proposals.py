"""Moves by proposals keep the density they should, are reversible, and a wrong weight is seen.

300,000 records are drawn from the target itself and moved once: they must still follow it, and as many must have gone
from each state to each other one as came back (detailed balance). Independent records, so the counts are multinomial.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

import dpsynth.tabular.records.record_table as record_table
from dpsynth.tabular.records.proposals import POOL, JointProposal, Pool
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Marginal, Residuals

ALPHA = 1e-6
RECORDS = 300_000
PRIOR = [np.array([0.35, 0.05, 0.25, 0.15, 0.2]), np.array([0.2, 0.5, 0.3])]
FORBIDDEN = np.zeros((5, 3), dtype=bool)
FORBIDDEN[0, 1] = FORBIDDEN[3, 0] = FORBIDDEN[3, 2] = True
TARGET = np.where(FORBIDDEN, 0.0, np.outer(*PRIOR))
TARGET /= TARGET.sum()
PROPOSED = np.array([0.05, 0.3, 0.1, 0.45, 0.1])
PROPOSED_PAIRS = np.arange(15.0, 0.0, -1.0).reshape(5, 3)


def moved(kind: str, blind_to_density: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """States (as cells of `TARGET`) before and after one move of each record, started from the target."""
    rng = np.random.default_rng(7)
    table = RecordTable((5, 3), PRIOR, RECORDS, rng, PRIOR)
    before = rng.choice(15, RECORDS, p=TARGET.ravel())
    table.records[:, 0], table.records[:, 1] = before // 3, before % 3
    residuals = Residuals(table.sizes, [], {(0, 1): FORBIDDEN})
    residuals.forbid(1.0)
    pool = Pool.of(PROPOSED if kind == "column" else PROPOSED_PAIRS)
    if blind_to_density:
        pool = Pool(codes=pool.codes, log_density=np.zeros_like(pool.log_density))
    order = rng.permutation(RECORDS)
    if kind == "column":
        table._pools = {0: pool}
        table._move_alone(residuals, 0, 1.0, order, rng)
    else:
        table._move_together(residuals, (0, 1), pool, 1.0, order, rng)
    return before, table.records[:, 0].astype(np.int64) * 3 + table.records[:, 1]


def p_of_target(after: np.ndarray) -> float:
    """Chi-squared test that the states still follow the target."""
    allowed = TARGET.ravel() > 0
    counts = np.bincount(after, minlength=15)
    assert not counts[~allowed].any()
    return float(stats.chisquare(counts[allowed], RECORDS * TARGET.ravel()[allowed]).pvalue)


def p_of_balance(before: np.ndarray, after: np.ndarray) -> float:
    """Test that flows between two states are equal both ways (Bowker), over all pairs with any flow."""
    flow = np.bincount(before * 15 + after, minlength=225).reshape(15, 15)
    there, back = flow[np.triu_indices(15, 1)], flow.T[np.triu_indices(15, 1)]
    used = there + back > 20
    return float(stats.chi2.sf(((there - back)[used] ** 2 / (there + back)[used]).sum(), used.sum()))


@pytest.mark.parametrize("kind", ["column", "pair"])
def test_a_move_leaves_the_target_and_is_reversible(kind):
    before, after = moved(kind)
    assert np.mean(before != after) > 0.2
    assert p_of_target(after) > ALPHA
    assert p_of_balance(before, after) > ALPHA


@pytest.mark.parametrize("kind", ["column", "pair"])
def test_weights_without_the_density_of_the_proposals_are_rejected(kind):
    """Power of both tests above."""
    before, after = moved(kind, blind_to_density=True)
    assert p_of_target(after) < ALPHA
    assert p_of_balance(before, after) < ALPHA


def test_exact_conditionals_are_the_target_in_one_move():
    """Started anywhere, one move of a column draws it from its conditional: here from all records at code 2."""
    rng = np.random.default_rng(7)
    table = RecordTable((5, 3), PRIOR, RECORDS, rng, PRIOR)
    table.records[:, 0] = 2
    residuals = Residuals(table.sizes, [], {(0, 1): FORBIDDEN})
    residuals.forbid(1.0)
    table._move_alone(residuals, 0, 1.0, rng.permutation(RECORDS), rng)
    conditional = TARGET / TARGET.sum(axis=0)
    for code in range(3):
        counts = np.bincount(table.records[table.records[:, 1] == code, 0], minlength=5)
        allowed = conditional[:, code] > 0
        assert not counts[~allowed].any()
        expected = counts.sum() * conditional[allowed, code]
        assert stats.chisquare(counts[allowed], expected).pvalue > ALPHA
        assert stats.chisquare(counts[allowed], expected[::-1] * counts.sum() / expected.sum()).pvalue < ALPHA


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1e3)))
def test_a_pool_holds_every_cell_in_the_proportion_that_it_states(density):
    density = density + (density.sum() == 0)
    pool = Pool.of(density)
    often = np.bincount(np.ravel_multi_index(pool.codes, density.shape), minlength=density.size)
    assert often.min() >= 1
    assert np.allclose(np.exp(pool.log_density.ravel()), often / often.sum(), rtol=1e-5)
    assert np.abs(np.exp(pool.log_density) - density / density.sum()).max() < 2 * density.size / POOL


def test_wide_columns_are_fitted_by_proposals_and_as_well(monkeypatch):
    """300 codes that a column of 30 nearly decides: exact conditionals and proposals end at the same distance."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 300, 4000)
    second = np.where(rng.random(4000) < 0.9, first // 10, rng.integers(0, 30, 4000))
    target = np.bincount(first * 30 + second, minlength=9000).reshape(300, 30) + rng.normal(0, 2.0, (300, 30))
    left = []
    for wide in (256, 1000):
        monkeypatch.setattr(record_table, "WIDE", wide)
        table = RecordTable((300, 30), [np.full(300, 1 / 300), np.full(30, 1 / 30)], 4000, np.random.default_rng(1))
        residuals = Residuals(table.sizes, [Marginal(columns=(0, 1), table=target, sigma=2.0)])
        joint = [JointProposal.of((0, 1), np.maximum(target, 0.0))]
        table.anneal(residuals, np.geomspace(0.3, 100, 16), np.random.default_rng(2), joint=joint)
        left.append(float(((table.tables([(0, 1)])[0, 1] - target) ** 2).mean() / 4.0))
    assert left[1] < 1.2 and left[0] < 1.05 * left[1]
