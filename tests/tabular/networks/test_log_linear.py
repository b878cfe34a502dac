"""The log-linear network of columns: what it learns, how it draws, what a file of it holds."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, train
from dpsynth.tabular.networks.drawing import draw_rows, fill_rows
from dpsynth.tabular.networks.features import features
from dpsynth.tabular.networks.log_linear import LogLinear
from dpsynth.tabular.networks.protocol import Columns, NetworkState, network

SIZES = (2, 3, 8)


def data(rows=4000, seed=0):
    """c follows a and b: what pairs can say."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, rows), rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    c = np.where(rng.random(rows) < 0.9, 3 * a + b, rng.integers(0, 8, rows))
    return np.stack([a, b, c], axis=1).astype(np.uint8)


def columns(codes):
    shares = tuple(np.bincount(codes[:, at], minlength=size) / len(codes) for at, size in enumerate(SIZES))
    places = (np.zeros(0, np.float32), np.zeros(0, np.float32), np.linspace(0, 1, 8, dtype=np.float32))
    return Columns(sizes=SIZES, positions=places, shares=shares)


@pytest.fixture(scope="module")
def trained():
    codes = data()
    made = LogLinear(columns(codes))
    schedule = Schedule(probability="0.25", steps=200, sigma="0.5", clip="1.5")
    train(made, Units.of(codes), schedule, size=len(codes), rate=0.05, noise=unsafe_SeededNoise(1))
    return made


def table(codes):
    return np.bincount(codes[:, 0].astype(int) * 24 + codes[:, 1] * 8 + codes[:, 2], minlength=48) / len(codes)


def test_untrained_it_is_the_released_oneways():
    codes = data()
    sampler = LogLinear.sampler(LogLinear(columns(codes)).state())
    drawn, weights = draw_rows(sampler, SIZES, 40_000, np.random.default_rng(0))
    for at, size in enumerate(SIZES):
        real, made = (np.bincount(of[:, at], minlength=size) / len(of) for of in (codes, drawn))
        assert 0.5 * np.abs(real - made).sum() < 0.01
    assert not weights.any()


def test_trained_it_draws_the_joint_table(trained):
    drawn, _ = draw_rows(LogLinear.sampler(trained.state()), SIZES, 40_000, np.random.default_rng(0))
    assert 0.5 * np.abs(table(drawn) - table(data(40_000, 5))).sum() < 0.06
    assert drawn.dtype == np.uint8


def test_masked_weights_stay_zero(trained):
    assert np.all(trained.parameters["weights"][~trained.live["weights"]] == 0)


def test_evidence_on_a_late_column_is_weighted_right(trained):
    evidence = np.zeros(8)
    evidence[4] = 1.0
    sampler = LogLinear.sampler(trained.state())
    drawn, weights = draw_rows(sampler, SIZES, 40_000, np.random.default_rng(0), {2: evidence})
    free, _ = draw_rows(sampler, SIZES, 200_000, np.random.default_rng(1))
    wanted = free[free[:, 2] == 4]
    masses = np.exp(weights)
    assert np.all(drawn[:, 2] == 4)
    assert masses.mean() == pytest.approx(len(wanted) / len(free), rel=0.05)
    assert masses[drawn[:, 0] == 1].sum() / masses.sum() == pytest.approx((wanted[:, 0] == 1).mean(), abs=0.02)


def test_known_cells_stay_and_gaps_are_never_missing(trained):
    known = np.full((500, 3), -1)
    known[:, 1] = 2
    codes, weights = fill_rows(LogLinear.sampler(trained.state()), SIZES, known, (-1, -1, 7), np.random.default_rng(0))
    assert np.all(codes[:, 1] == 2) and np.all(codes[:, 2] < 7) and np.isfinite(weights).all()


def test_numbers_get_hats_beside_their_one_hot_and_missing_does_not():
    made = features(9, np.linspace(0, 1, 8, dtype=np.float32))
    assert made.shape == (9, 14) and np.allclose(made[:8, 9:].sum(axis=1), 1) and not made[8, 9:].any()
    assert np.array_equal(features(4, np.linspace(0, 1, 3, dtype=np.float32)), np.eye(4))


def test_a_state_of_other_shapes_is_refused(trained):
    state = trained.state()
    with pytest.raises(ParameterError, match="do not fit"):
        LogLinear.sampler(NetworkState(kind="log_linear", sizes=(2, 3), arrays=state.arrays))
    with pytest.raises(ParameterError, match="Unknown network"):
        network("nothing")
    with pytest.raises(ParameterError, match="no option 'width'"):
        LogLinear.fresh(columns(data()), np.random.default_rng(0), width=3)
