"""Audits of DP-SGD: the honest loop and generator stay below their price, a broken twin of each kind does not.

White box on every noisy sum (`dpsgd_runs`): with Dirac canaries each coordinate is a run of its own, so thousands of
canaries in one training run are also thousands of runs in two worlds. Which audit sees which twin is in the tests.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

import dpsynth.sgd.training as training_module
from attacks.dp_audit.curves import gaussian_epsilon
from attacks.dp_audit.one_run import one_run_bound
from attacks.dp_audit.one_run_fdp import one_run_gaussian_bound
from attacks.dp_audit.two_world import two_world_bound
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.poisson import PoissonSampler
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units
from dpsynth.tabular import Autoregressive
from tests.audit.dpsgd_runs import Against, Dirac, charged, coins, heard, ratio, units_of
from tests.conformance.tables import RECORD, schema

DELTA, WIDE = 1e-6, 0.01
"""Of one-run bounds, and of two-world bounds, where counting needs events that happen."""
ALPHA = 1e-3
EIGHT = Schedule(probability="0.25", steps=40, sigma="1.36", clip="2")
"""Epsilon 7.8 at 1e-6."""
ONE = Schedule(probability="0.25", steps=40, sigma="7", clip="2")
WHOLE = Schedule(probability="1", steps=25, sigma="8", clip="2")
MU = 0.625
"""Every unit in every step: a Gaussian mechanism of this mu, so that its curve is known exactly."""


def canary_run(patch, of, *, canaries, seed=1, noise=None, rows=1, length=None, score=ratio):
    """One training run on canaries alone: scores, and the coins."""
    included = coins(canaries, seed)
    network = Dirac(canaries, length=length or float(of.clip))
    sums = heard(patch, network, units_of(included, rows), of, noise or unsafe_SeededNoise(5), size=canaries / 2)
    return score(sums, of), included


def steinke(scores, included, *, alpha=ALPHA):
    return one_run_bound(scores, included, delta=DELTA, rng=np.random.default_rng(0), alpha=alpha)


def gaussian(scores, included):
    return one_run_gaussian_bound(scores, included, rng=np.random.default_rng(0), alpha=0.01).mu


def worlds(scores, included, delta=WIDE):
    """Each coordinate as a run of its own, in the world of its coin."""
    without, joined = scores[~included], scores[included]
    count = min(len(without), len(joined))
    return two_world_bound(without[:count], joined[:count], delta=delta, alpha=ALPHA).epsilon(delta)


# --- the goal: epsilon 8 ---------------------------------------------------------------------------------------------


def test_one_run_canaries_at_epsilon_8_show_less_and_without_noise_more_than_3(monkeypatch):
    assert 7.5 < charged(EIGHT, DELTA) <= 8
    honest = steinke(*canary_run(monkeypatch, EIGHT, canaries=2000))
    assert 1.0 < honest.value <= 8
    monkeypatch.setattr(GaussianNoise, "normals", lambda self, n: np.zeros(n))
    assert steinke(*canary_run(monkeypatch, EIGHT, canaries=2000)).value > 3


def test_the_honest_loop_shows_no_more_than_its_price_to_any_audit_and_much_of_it(monkeypatch):
    mu = gaussian(*canary_run(monkeypatch, WHOLE, canaries=3000))
    assert 0.2 < mu <= MU
    assert gaussian_epsilon(mu, delta=DELTA) <= charged(WHOLE, DELTA)
    for of, part in ((EIGHT, 0.4), (ONE, 0.0)):
        scores, included = canary_run(monkeypatch, of, canaries=10_000)
        assert part * charged(of, WIDE) <= worlds(scores, included) <= charged(of, WIDE)


# --- broken twins ----------------------------------------------------------------------------------------------------


def noise_off(patch):
    patch.setattr(GaussianNoise, "normals", lambda self, n: np.zeros(n))


def half_noise(patch):
    real = GaussianNoise.normals
    patch.setattr(GaussianNoise, "normals", lambda self, n: real(self, n) / 2)


def no_clipping(patch):
    patch.setattr("dpsynth.sgd.clipping.clip_factors", lambda norms, clip: np.ones(len(norms), dtype=np.float32))


def rows_one_by_one(patch):
    """The unit's rows are clipped each by itself: four rows add four clips."""
    real = Dirac.clipped_sum
    patch.setattr(Dirac, "clipped_sum", lambda self, rows, units, clip: real(self, rows, None, clip))


def noise_once(patch):
    real, kept = GaussianNoise.normals, {}
    patch.setattr(GaussianNoise, "normals", lambda self, n: kept[n] if n in kept else kept.setdefault(n, real(self, n)))


def moving(sums, of):
    """A constant drops out of differences."""
    return sums.max(axis=0) - sums.min(axis=0)


HEAVY = 4 * float(ONE.clip)
TWINS = {
    "noise off": (noise_off, {}, {"steinke", "gaussian", "worlds"}),
    "half noise": (half_noise, {}, {"worlds"}),
    "no clipping": (no_clipping, {"length": HEAVY}, {"steinke", "gaussian", "worlds"}),
    "rows of a unit one by one": (rows_one_by_one, {"rows": 4}, {"steinke", "gaussian", "worlds"}),
    "one noise for all steps": (noise_once, {"score": moving}, {"steinke", "worlds"}),
}
"""Fault, what the canaries are like, and the audits that catch it against a claim of about epsilon 1, or mu 1/2."""


@pytest.mark.parametrize("name", TWINS)
def test_a_broken_twin_is_caught_above_its_claim(name, monkeypatch):
    fault, canary, expected = TWINS[name]
    assert not audits_that_catch(monkeypatch, canary)
    fault(monkeypatch)
    assert audits_that_catch(monkeypatch, canary) == expected


def audits_that_catch(patch, canary):
    """Those whose bound is above the claim of the event that the run hands out."""
    scores, included = canary_run(patch, ONE, canaries=10_000, **canary)
    bounds = {
        "worlds": worlds(scores, included) - charged(ONE, WIDE),
        "steinke": steinke(scores, included).value - charged(ONE, DELTA),
    }
    if "score" not in canary:
        told = canary_run(patch, WHOLE, canaries=3000, **canary)
        bounds["gaussian"] = gaussian(*told) - MU
    return {audit for audit, above in bounds.items() if above > 0}


# --- faults that one run does not hold: two worlds, one run each time ------------------------------------------------


def two_worlds(patch, network, without, joined, of, score, *, size, runs, noises=None):
    """Bound at `WIDE` from whole training runs with and without the last unit."""
    found = []
    for codes in (without, joined):
        units = Units.of(np.array(codes, dtype=np.uint8)[:, None].reshape(-1, 1))
        sources = noises or (SystemNoise() for _ in range(runs))
        found.append(
            [
                float(score(heard(patch, network(), units, of, noise, size=size)))
                for noise, _ in zip(sources, range(runs), strict=False)
            ]
        )
    return two_world_bound(np.array(found[0]), np.array(found[1]), delta=WIDE, alpha=ALPHA).epsilon(WIDE)


def batch_mean(patch):
    """The sum over the sample's own size, with noise for the expected one: one unit more changes everybody's share."""
    drawn, real_draw, real_mean = [], PoissonSampler.draw, training_module.noisy_mean
    patch.setattr(PoissonSampler, "draw", lambda self: drawn.append(real_draw(self)) or drawn[-1])

    def mean(network, total, schedule, size, normals):
        grown = float(schedule.probability) * size / max(len(drawn[-1]), 1)
        return real_mean(network, {name: summed * grown for name, summed in total.items()}, schedule, size, normals)

    patch.setattr(training_module, "noisy_mean", mean)


def test_a_mean_over_the_realised_sample_is_caught(monkeypatch):
    """One person in a table that was released as 100: alone in a sample, they are all of its mean."""

    def shown():
        return two_worlds(monkeypatch, lambda: Dirac(1, length=2.0), [], [0], ONE, np.max, size=100, runs=60)

    assert shown() <= charged(ONE, WIDE)
    batch_mean(monkeypatch)
    assert shown() > max(1.0, charged(ONE, WIDE))


def shuffled(patch):
    """Batches of ten, a permutation an epoch."""

    def draw(self):
        left = getattr(self, "left", np.zeros(0, dtype=np.int64))
        left = left if len(left) else np.random.default_rng().permutation(self._units)
        self.left = left[10:]
        return np.sort(left[:10])

    patch.setattr(PoissonSampler, "draw", draw)


@pytest.mark.audit
def test_shuffled_batches_accounted_as_poisson_samples_are_caught(monkeypatch):
    """Chua et al. 2024: everybody else pulls down, so their batch of ten stands two clips above the rest."""
    of = Schedule(probability="0.02", steps=50, sigma="0.7", clip="1")

    def shown():
        return two_worlds(
            monkeypatch,
            Against,
            [0] * 499,
            [0] * 499 + [1],
            of,
            lambda sums: sums[:-1].max() >= -7.6,
            size=500,
            runs=400,
        )

    assert shown() <= charged(of, WIDE)
    shuffled(monkeypatch)
    assert shown() > charged(of, WIDE)


def test_noise_of_a_known_seed_is_caught():
    """Who knows the seed runs both tables and compares."""
    with pytest.MonkeyPatch.context() as patch:

        def run(rows, seed):
            codes = Units.of(np.zeros((rows, 1), dtype=np.uint8))
            return heard(patch, Dirac(1, length=2.0), codes, ONE, unsafe_SeededNoise(seed), size=5)

        told = run(6, 7)
        for seeds, caught in ((np.full((2, 60), 7), True), (np.arange(100, 220).reshape(2, 60), False)):
            scores = [
                [float(np.array_equal(run(rows, seed), told)) for seed in own.tolist()]
                for rows, own in zip((5, 6), seeds, strict=True)
            ]
            bound = two_world_bound(np.array(scores[0]), np.array(scores[1]), delta=WIDE, alpha=ALPHA)
            assert (bound.epsilon(WIDE) > max(1.0, charged(ONE, WIDE))) is caught


def test_one_step_shows_its_price_from_below(monkeypatch):
    """20,000 coordinates, one step: honest below the price of one subsampled Gaussian, with half the noise above it."""
    of = Schedule(probability="0.5", steps=1, sigma="0.7", clip="3")
    honest = worlds(*canary_run(monkeypatch, of, canaries=20_000))
    assert 0.4 * charged(of, WIDE) < honest <= charged(of, WIDE)
    half_noise(monkeypatch)
    assert worlds(*canary_run(monkeypatch, of, canaries=20_000)) > charged(of, WIDE)


# --- end to end: the released model of `autoregressive`, asked how likely it finds the canaries ----------------------

COLUMNS, VALUES = 10, 40
GRID = schema(**{f"c{at}": {"kind": "categorical", "values": list(range(VALUES))} for at in range(COLUMNS)})


def through_the_model(canaries, seed=0):
    """A crowd on the diagonal, canaries off it, epsilon 8: scores by the model's likelihood, and the coins."""
    held = np.random.default_rng(seed).integers(0, VALUES, 2000)
    table = Table.from_arrow(pa.table({name: pa.array(held, pa.int64()) for name in GRID.modelled}))
    made = Autoregressive(steps=200, probability=Decimal("0.25"), rate=0.05, pairs_per_column=0.2)
    plan = made.plan(GRID, RECORD, epsilon="8", delta="1e-6")
    assert plan.guarantee.epsilon <= 8
    done = fit_model(table, GRID, made, plan, noise=SystemNoise(), canaries=canaries)
    return done.model.log_density(done.canaries.rows), done.canaries.included


def test_one_run_canaries_of_the_generator_at_epsilon_8_show_less_and_without_noise_in_the_steps_more_than_3(
    monkeypatch,
):
    honest = through_the_model(300)
    assert steinke(*honest, alpha=0.05).value <= 8
    noise_off(monkeypatch)
    assert steinke(*through_the_model(300), alpha=0.05).value > 3


@pytest.mark.audit
def test_twenty_fits_at_epsilon_8_show_less_than_8(capsys):
    """400 canaries each can show 4.5; the level of the twenty bounds together is 1 %."""
    found, curves = [], []
    for seed in range(20):
        scores, included = through_the_model(400, seed)
        found.append(steinke(scores, included, alpha=0.01 / 20))
        curves.append(gaussian(scores, included))
    with capsys.disabled():
        largest = max(bound.value for bound in found)
        print(
            f"\nautoregressive at epsilon 8: most shown {largest:.2f} (ceiling {found[0].ceiling:.2f}), "
            f"mu {max(curves):.2f}"
        )
    assert largest <= 8 and gaussian_epsilon(max(max(curves), 1e-9), delta=DELTA) <= 8
