"""Shrinking and raking: closed forms, margins met, factors that carry over to new rows."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.finishing.moving import Mover, pair_tables, with_constant
from dpsynth.tabular.finishing.raking import RakedTable, drawn_by_weight, log_factors, raked
from dpsynth.tabular.finishing.shrinking import shrunk
from dpsynth.tabular.records.pair_tables import PairTables


def table(columns, shares):
    shares = np.asarray(shares, dtype=float)
    return RakedTable(columns=columns, shares=shares / shares.sum(), factors=np.ones(shares.shape))


def pool(rows=20_000, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, rows)
    return np.stack([first, (first + rng.choice(4, rows, p=[0.5, 0.3, 0.1, 0.1])) % 4], axis=1).astype(np.uint8)


def shares_of(codes, weights, one):
    held = np.bincount(one.cells(codes), weights=weights, minlength=one.shares.size)
    return held.reshape(one.shares.shape)


def test_a_table_of_pure_noise_leaves_the_model_and_an_exact_one_replaces_it():
    rng = np.random.default_rng(1)
    expected = rng.uniform(50, 100, 400)
    noise = shrunk(expected, expected + rng.normal(0, 30, 400), np.array(30.0**2))
    assert np.abs(noise - expected).mean() < 0.3 * 30 * np.sqrt(2 / np.pi)
    exact = rng.uniform(50, 100, 400)
    assert np.allclose(shrunk(expected, exact, np.array(1e-6)), exact, atol=1e-3)


def test_shrinking_has_less_error_than_either_part():
    rng = np.random.default_rng(2)
    expected = rng.uniform(20, 200, 1000)
    true = expected + rng.normal(0, np.sqrt(3 * expected))
    noisy = true + rng.normal(0, 20, 1000)
    error = np.abs(shrunk(expected, noisy, np.array(400.0)) - true).mean()
    assert error < 0.9 * min(np.abs(expected - true).mean(), np.abs(noisy - true).mean())


def test_raking_meets_tables_that_agree():
    codes = pool()
    tables = (table((0,), [5, 3, 2]), table((1,), [1, 2, 3, 4]))
    weights, made = raked(codes, tables, sweeps=200)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    for one in made:
        assert np.allclose(shares_of(codes, weights, one), one.shares, atol=1e-6)


def test_factors_reproduce_the_weights_and_hold_for_rows_drawn_later():
    tables = (table((0,), [5, 3, 2]), table((0, 1), np.outer([5, 3, 2], [1, 2, 3, 4])))
    codes = pool()
    weights, made = raked(codes, tables, sweeps=10)
    again = np.exp(log_factors(codes, made))
    assert np.allclose(again / again.sum(), weights)
    later = pool(seed=9)
    weights, _ = raked(later, made, sweeps=0)
    assert np.abs(shares_of(later, weights, made[0]) - made[0].shares).max() < 0.02


def test_tables_that_contradict_each_other_do_not_blow_weights_up():
    codes = pool()
    codes[:, 1] = codes[:, 0]
    weights, made = raked(codes, (table((0,), [5, 3, 2]), table((1,), [1, 2, 3, 4])), sweeps=500)
    assert np.isfinite(weights).all()
    assert all((one.factors <= 1e6).all() and (one.factors >= 1e-6).all() for one in made)


def test_a_cell_without_rows_is_left_out_and_harms_nobody():
    codes = pool()[:, :1]
    codes[codes == 2] = 1
    weights, _ = raked(codes, (table((0,), [5, 3, 2]),))
    assert np.isfinite(weights).all() and weights.sum() == pytest.approx(1)


def test_rows_are_drawn_by_weight_up_to_rounding():
    weights = np.array([0.5, 0.3, 0.2, 0.0])
    counts = np.bincount(drawn_by_weight(weights, 1001, np.random.default_rng(0)), minlength=4)
    assert counts.sum() == 1001 and np.all(np.abs(counts - 1001 * weights) <= 1)
    assert not len(drawn_by_weight(weights, 0, np.random.default_rng(0)))


def test_a_table_of_other_columns_is_refused():
    with pytest.raises(ParameterError, match="different columns"):
        RakedTable(columns=(0, 1), shares=np.ones(3), factors=np.ones(3))


def test_weighted_pair_tables_of_equal_weights_are_plain_counts():
    codes = pool(3_000)
    counted = PairTables((3, 4, 1))
    counted.add(with_constant(codes))
    assert np.allclose(pair_tables(codes, np.ones(len(codes)), (3, 4)).flat, counted.flat)


def test_moved_rows_carry_less_than_half_of_the_noise_that_drawing_gave_them():
    codes, rng = pool(40_000), np.random.default_rng(5)
    weights = rng.uniform(0.5, 1.5, len(codes))
    weights /= weights.sum()
    wanted = pair_tables(codes, weights * 4_000, (3, 4)).flat
    drawn = rng.choice(len(codes), 4_000, p=weights)
    moved = Mover((3, 4), rng).moved(drawn, codes, weights)

    def off(rows):
        return np.abs(pair_tables(rows, np.ones(len(rows)), (3, 4)).flat - wanted).sum()

    assert moved.shape == (4_000, 2)
    assert off(moved) < 0.5 * off(codes[drawn])


def test_cells_too_rare_for_one_block_appear_in_one_of_several():
    """A cell worth a quarter of a row in a block, in 16 blocks: 4 rows are owed, and a block alone rounds them off."""
    codes = np.zeros((4_000, 2), dtype=np.uint8)
    codes[:1, :] = 1
    weights = np.ones(4_000) / 4_000
    rng = np.random.default_rng(6)
    mover = Mover((2, 2), rng)
    blocks = [mover.moved(np.arange(1_000) + 1_000, codes, weights) for _ in range(16)]
    assert 2 <= sum(int((block[:, 0] == 1).sum()) for block in blocks) <= 6
