"""The loop: one draw and one noise a step, the scale that is claimed, the event that ran, resuming, bad units."""

from __future__ import annotations

import io
import os
from decimal import Decimal

import numpy as np
import pytest
import torch
from scipy import stats

import dpsynth.sgd.training as training_module
from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.sgd.checkpoint import Memory
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.poisson import PoissonSampler
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, clipped_total, noisy_mean, train
from tests.sgd.small_networks import Means, Twin, log_linear, rows_of

ALPHA = 1e-6


def schedule(**changed):
    return Schedule(**({"probability": "0.25", "steps": 5, "sigma": "2", "clip": "3"} | changed))


def run(network, codes, of, *, seed=1, units=None, **options):
    options = {"size": 50.0, "rate": 0.05} | options
    return train(network, Units.of(codes, units), of, noise=unsafe_SeededNoise(seed), **options)


# --- what is spent is what ran --------------------------------------------------------------------------------------


def test_the_event_is_the_schedules_and_steps_are_counted(monkeypatch):
    draws, sums = [], []
    real_draw, real_mean = PoissonSampler.draw, noisy_mean
    monkeypatch.setattr(PoissonSampler, "draw", lambda self: draws.append(1) or real_draw(self))
    monkeypatch.setattr(training_module, "noisy_mean", lambda *parts: sums.append(1) or real_mean(*parts))
    for rows in (0, 1, 200):
        draws.clear(), sums.clear()
        event = run(Means(2), np.ones((rows, 2), dtype=np.uint8), schedule())
        assert event == schedule().event("seeded") and (len(draws), len(sums)) == (5, 5)


def test_one_step_more_is_strictly_dearer():
    def cost(steps):
        tree = EventTree(
            relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=(schedule(steps=steps).event(),)
        )
        return price(tree, "1e-6").epsilon

    assert cost(4) < cost(5) < cost(6)


def test_a_large_sample_is_one_draw_and_one_noise_in_several_blocks(monkeypatch):
    drawn = []
    real = GaussianNoise.normals
    monkeypatch.setattr(GaussianNoise, "normals", lambda self, n: drawn.append(n) or real(self, n))
    network = Means(3)
    run(network, np.ones((400, 3), dtype=np.uint8), schedule(steps=1, probability="1"), block=64)
    assert drawn == [3] and network.sums == [64] * 6 + [16]


def test_an_empty_sample_moves_the_parameters_by_noise():
    network = Means(2)
    run(network, np.zeros((0, 2), dtype=np.uint8), schedule(steps=1))
    assert not network.sums and (network.parameters["mean"] != 0).all()


# --- the scale of noise ----------------------------------------------------------------------------------------------


def spread_p_value(draws, scale):
    value = float(((draws / scale) ** 2).sum())
    return 2 * min(stats.chi2.sf(value, draws.size), stats.chi2.cdf(value, draws.size))


def noises(of, repeats=20_000, seed=5):
    network = Means(4, live=[True, False, True, True])
    total = {"mean": np.zeros(4)}
    normals = GaussianNoise(unsafe_SeededNoise(seed))
    expected = float(of.probability) * 50.0
    made = [noisy_mean(network, total, of, 50.0, normals)["mean"] * expected for _ in range(repeats)]
    return np.stack(made).astype(np.float64)


def test_noise_is_sigma_times_clip_on_live_coordinates_and_exactly_zero_elsewhere():
    drawn = noises(schedule())
    assert np.all(drawn[:, 1] == 0.0)
    assert spread_p_value(drawn[:, [0, 2, 3]], 6.0) > ALPHA
    for at in (0, 2, 3):
        assert spread_p_value(drawn[:, at], 6.0) > ALPHA
        assert stats.kstest(drawn[:, at] / 6.0, "norm").pvalue > ALPHA
    assert abs(np.corrcoef(drawn[:, [0, 2, 3]].T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(len(drawn))


@pytest.mark.parametrize("off", ["1.96", "2.04"])
def test_noise_two_per_cent_off_is_seen(off):
    drawn = noises(schedule(sigma=off))
    assert spread_p_value(drawn[:, [0, 2, 3]], 6.0) < ALPHA


@pytest.mark.parametrize("source", [SystemNoise(), unsafe_SeededNoise(2)], ids=["system", "seeded"])
def test_normals_are_normal_and_fresh(source):
    normals = GaussianNoise(source)
    drawn, again = normals.normals(100_001), normals.normals(100_001)
    assert drawn.shape == (100_001,) and not np.intersect1d(drawn, again).size
    assert stats.kstest(drawn, "norm").pvalue > ALPHA


def test_two_streams_of_the_system_differ():
    assert not np.array_equal(GaussianNoise(SystemNoise()).normals(8), GaussianNoise(SystemNoise()).normals(8))


# --- gradients -------------------------------------------------------------------------------------------------------


def test_a_forked_process_does_not_repeat_the_noise_of_its_parent():
    stream = GaussianNoise(SystemNoise())
    stream.normals(2)
    answer, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, stream.normals(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(answer, 32))
    assert len(theirs) == 4 and not np.isin(theirs, stream.normals(64)).any()


def test_a_large_sum_rounds_by_less_than_the_margin_of_the_clip():
    codes = rows_of(40_000)
    network, everyone = log_linear(), np.arange(len(codes))
    whole = clipped_total(network, Units.of(codes), everyone, 0.5)
    without = clipped_total(network, Units.of(codes), everyone[1:], 0.5)  # every block after it is another one
    change = sum(float(((whole[name] - without[name]) ** 2).sum()) for name in whole) ** 0.5
    assert change <= 0.5


def test_without_noise_and_with_a_huge_clip_gradients_are_plain_autograds():
    network, codes = log_linear(), rows_of(300)
    total = clipped_total(network, Units.of(codes), np.arange(300), 1e9, block=64)
    twin = Twin(network)
    for tensor in twin.parameters.values():
        tensor.requires_grad_(True)
    twin.loss(torch.from_numpy(codes.astype(np.int64))).sum().backward()
    for name, tensor in twin.parameters.items():
        gradient = np.zeros(total[name].shape) if tensor.grad is None else tensor.grad.numpy()
        assert np.abs(gradient - total[name]).max() < 1e-4


def test_nearly_without_noise_training_finds_the_mean():
    codes = np.tile(np.array([[3, 7]], dtype=np.uint8), (500, 1))
    network = Means(2)
    run(network, codes, schedule(steps=400, sigma="0.0001", clip="100"), size=500.0, rate=0.5)
    assert network.parameters["mean"].tolist() == pytest.approx([3.0, 7.0], abs=0.1)


def test_a_unit_whose_gradient_is_not_a_number_is_left_out_alone():
    class Sick(Means):
        def clipped_sum(self, rows, units, clip):
            sums, norms = super().clipped_sum(rows, units, clip)
            if (rows == 9).any():
                sums = {"mean": sums["mean"] * float("nan")}
            return sums, norms

    codes = np.random.default_rng(1).integers(0, 5, (30, 2)).astype(np.uint8)
    healthy = clipped_total(Sick(2), Units.of(codes), np.arange(30), 1.0)["mean"]
    sick = np.concatenate([codes[:10], [[9, 9]], codes[10:]]).astype(np.uint8)
    assert np.allclose(clipped_total(Sick(2), Units.of(sick), np.arange(31), 1.0)["mean"], healthy, atol=1e-5)
    pairs = np.repeat(np.arange(31), 2)
    doubled = clipped_total(Sick(2), Units.of(np.repeat(sick, 2, axis=0), pairs), np.arange(31), 1.0)["mean"]
    assert np.allclose(doubled, healthy, atol=1e-2)


def test_parameters_that_leave_the_finite_numbers_end_in_an_error():
    network = Means(2)
    with pytest.raises(ModelError, match="left the finite numbers"):
        run(network, np.ones((20, 2), dtype=np.uint8), schedule(), rate=float("inf"))


# --- units -----------------------------------------------------------------------------------------------------------


def test_all_rows_of_a_drawn_unit_come_along_and_are_clipped_together():
    rng = np.random.default_rng(2)
    units = rng.integers(0, 40, 300)
    codes = rng.integers(0, 9, (300, 3)).astype(np.uint8)
    grouped = Units.of(codes, units)
    drawn = np.array([1, 4, 5, 30])
    for rows in (1, 16, 1000):
        found = [(own, numbers) for own, numbers in grouped.blocks(drawn, rows)]
        together = np.concatenate([own for own, _ in found])
        expected = np.concatenate([codes[units == unit] for unit in drawn])
        assert np.array_equal(together, expected)
        assert sum(int(numbers[-1]) + 1 for _, numbers in found) == 4
    total = clipped_total(Means(3), grouped, drawn, 0.5)["mean"]
    assert np.linalg.norm(total) <= 4 * 0.5


def test_a_unit_with_ten_thousand_rows_moves_a_sum_by_at_most_the_clip():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 9, (10_100, 3)).astype(np.uint8)
    units = np.concatenate([np.arange(100), np.full(10_000, 100)])
    grouped = Units.of(codes, units)
    with_unit = clipped_total(Means(3), grouped, np.arange(101), 0.5)["mean"]
    without = clipped_total(Means(3), grouped, np.arange(100), 0.5)["mean"]
    assert np.linalg.norm(with_unit - without) <= 0.5


# --- resuming --------------------------------------------------------------------------------------------------------


class Interrupted(RuntimeError):
    pass


def interrupted_at(step):
    def progress(name, done, total, detail=""):
        if done == step:
            raise Interrupted

    return progress


def test_an_interrupted_run_goes_on_from_its_checkpoint_and_counts_every_step_once():
    codes, kept, network = rows_of(200), Memory(), log_linear()
    of = schedule(steps=10)
    with pytest.raises(Interrupted):
        run(network, codes, of, checkpoints=kept, every=4, progress=interrupted_at(7))
    resumed, heard = log_linear(), []
    event = run(resumed, codes, of, seed=2, checkpoints=kept, every=4, progress=lambda *said: heard.append(said[1]))
    assert heard == [5, 6, 7, 8, 9, 10] and event == of.event("seeded")


def test_noise_after_resuming_is_fresh():
    codes, kept = rows_of(50), Memory()
    with pytest.raises(Interrupted):
        run(log_linear(), codes, schedule(), checkpoints=kept, every=1, progress=interrupted_at(3))
    state, ends = kept.load(), []
    for _ in range(2):
        again = Memory()
        again.save(state)
        network = log_linear()
        train(network, Units.of(codes), schedule(), size=50, rate=0.05, noise=SystemNoise(), checkpoints=again)
        ends.append(network.parameters["weights"].copy())
    assert not np.array_equal(*ends)


def test_a_checkpoint_of_another_schedule_is_refused():
    codes, kept = rows_of(50), Memory()
    with pytest.raises(Interrupted):
        run(log_linear(), codes, schedule(), checkpoints=kept, every=1, progress=interrupted_at(3))
    with pytest.raises(ModelError, match="another run"):
        run(log_linear(), codes, schedule(sigma="1"), checkpoints=kept)
    kept.save(b"garbage")
    with pytest.raises(ModelError, match="cannot be read"):
        run(log_linear(), codes, schedule(), checkpoints=kept)


def test_a_checkpoint_trained_from_other_measurements_is_refused_for_both_would_be_released():
    codes, kept = rows_of(50), Memory()
    with pytest.raises(Interrupted):
        run(log_linear(), codes, schedule(), checkpoints=kept, every=1, progress=interrupted_at(3))
    other = log_linear()
    other.parameters["bias"][0] += np.float32(1e-3)
    with pytest.raises(ModelError, match="another run"):
        run(other, codes, schedule(), checkpoints=kept)


def test_a_checkpoint_holds_no_rows_and_no_losses():
    kept = Memory()
    with pytest.raises(Interrupted):
        run(log_linear(), rows_of(50), schedule(), checkpoints=kept, every=2, progress=interrupted_at(3))
    with np.load(io.BytesIO(kept.load()), allow_pickle=False) as found:
        parts = {name.split("/")[1] if "/" in name else name for name in found.files}
    assert parts == {"label", "step", "parameter", "first", "second", "mean"}


# --- what leaves, and what is refused ---------------------------------------------------------------------------------


def test_progress_says_step_numbers_only():
    heard = []
    run(Means(2), np.ones((9, 2), dtype=np.uint8), schedule(), progress=lambda *said: heard.append(said))
    assert heard == [("train", step, 5) for step in range(1, 6)]


def test_a_size_below_one_is_refused():
    with pytest.raises(ParameterError, match="at least 1"):
        run(Means(2), np.ones((9, 2), dtype=np.uint8), schedule(), size=0.5)


@pytest.mark.parametrize("rate", ["1.5", "0"])
def test_a_batch_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ParameterError, match="above 1 would use every unit more than once"):
        schedule(probability=rate)


def test_the_schedule_is_decimals():
    assert schedule().sigma == Decimal(2)
