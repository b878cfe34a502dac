"""The two-world bound: its level, its reach, and what it refuses."""

from __future__ import annotations

import math
import os
import signal

import numpy as np
import pytest

from attacks.dp_audit.curves import gaussian_epsilon
from attacks.dp_audit.two_world import two_world, two_world_bound
from attacks.errors import AttackParameterError
from attacks.statistics import clopper_pearson_lower, clopper_pearson_upper


def answers(rng, truth, runs, epsilon):
    """Randomized response: the truth with probability e^eps / (1 + e^eps)."""
    return np.where(rng.random(runs) < 1 / (1 + math.exp(-epsilon)), truth, 1.0 - truth)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_the_bound_is_above_the_truth_in_no_more_than_its_level_and_not_idle(epsilon):
    """Randomized response reaches its epsilon with every event, so nothing but the level keeps the bound down."""
    rng, above, values = np.random.default_rng(3), 0, []
    for _ in range(400):
        bound = two_world_bound(answers(rng, 0.0, 400, epsilon), answers(rng, 1.0, 400, epsilon), delta=0.0)
        values.append(bound.epsilon(0.0))
        above += values[-1] > epsilon
    assert above <= 37  # nominal at most 20; binomial quantile at 1e-4
    assert np.median(values) > 0.6 * epsilon - 0.1


def test_runs_that_choose_the_event_are_not_counted():
    """At a level of one half, where little else holds a bound down, the best event of all breaks it; ours does not."""
    rng, split, hindsight = np.random.default_rng(4), 0, 0
    for _ in range(200):
        without, joined = rng.laplace(0, 1, 200), rng.laplace(1, 1, 200)
        split += two_world_bound(without, joined, delta=0.0, alpha=0.5).epsilon(0.0) > 1.0
        hits, false_hits = ([int((scores >= cut).sum()) for cut in joined] for scores in (joined, without))
        hindsight += any(
            clopper_pearson_lower(hit, 200, alpha=0.25) > math.e * clopper_pearson_upper(false, 200, alpha=0.25)
            for hit, false in zip(hits, false_hits, strict=True)
        )
    assert split <= 100 and hindsight > 100, (split, hindsight)


def test_a_gaussian_bound_holds_at_every_delta_and_bounds_mu():
    rng, above, mus, found = np.random.default_rng(5), 0, [], []
    for _ in range(200):
        bound = two_world_bound(rng.normal(0, 1, 1000), rng.normal(1, 1, 1000), delta=1e-2)
        above += any(bound.epsilon(delta) > gaussian_epsilon(1.0, delta=delta) for delta in (1e-6, 1e-3, 0.01, 0.05))
        mus.append(bound.mu)
        found.append(bound.epsilon(1e-2))
    assert above <= 24 and np.sum(np.array(mus) > 1.0) <= 24  # nominal at most 10; binomial quantile at 1e-4
    assert np.median(mus) > 0.6 and np.median(found) > 1.0  # epsilon(0.01) is 2.3


def test_the_ceiling_is_what_a_perfect_distinguisher_shows():
    for runs, ceiling in ((100, 2.98), (400, 4.39)):
        bound = two_world_bound(np.zeros(runs), np.ones(runs), delta=0.0)
        assert bound.epsilon(0.0) == pytest.approx(bound.ceiling(0.0)) == pytest.approx(ceiling, abs=0.01)
    assert bound.mu > 4


def test_no_more_runs_than_75_of_100_are_counted_so_three_quarters_of_runs_bound_the_level():
    bound = two_world_bound(np.zeros(100), np.ones(100), delta=0.0)
    assert (bound.runs, bound.hits, bound.false_hits) == (75, 75, 0)


def test_either_world_and_either_side_may_speak():
    low, high = np.full(80, 1.0), np.full(80, 2.0)
    for pair in ((low, high), (high, low)):
        assert two_world_bound(*pair, delta=0.0).epsilon(0.0) > 2.5
    sometimes = np.tile([0.0, 1.0], 200)  # half of the runs without the person show what never happens with them
    for sign in (1.0, -1.0):
        bound = two_world_bound(sign * sometimes, np.zeros(400), delta=0.0)
        assert bound.epsilon(0.0) > 1.0 and not bound.joined and bound.above is (sign > 0)


def test_worlds_can_be_anything_that_the_run_understands():
    rng = np.random.default_rng(0)
    bound = two_world(lambda rows: sum(rows) + rng.laplace(), [1, 1], [1, 1, 1], runs=200, delta=0.0)
    assert 0.0 <= bound.epsilon(0.0) <= 1.0 < bound.ceiling(0.0)


@pytest.mark.parametrize(
    ("without", "joined", "delta", "alpha", "match"),
    [
        (np.zeros(7), np.zeros(7), 0.0, 0.05, "8 scores or more"),
        (np.zeros(9), np.zeros(8), 0.0, 0.05, "as many in each world"),
        (np.zeros(8), np.full(8, np.nan), 0.0, 0.05, "none missing"),
        (np.zeros(8), np.zeros(8), 1.0, 0.05, "delta in"),
        (np.zeros(8), np.zeros(8), 0.0, 0.0, "alpha in"),
    ],
)
def test_scores_that_bound_nothing_are_refused(without, joined, delta, alpha, match):
    with pytest.raises(AttackParameterError, match=match):
        two_world_bound(without, joined, delta=delta, alpha=alpha)


def test_infinite_scores_are_scores():
    bound = two_world_bound(np.full(80, -np.inf), np.full(80, np.inf), delta=0.0)
    assert bound.epsilon(0.0) == pytest.approx(bound.ceiling(0.0))


def noisy(world, number):
    """One run whose noise is made from its number."""
    return world + float(np.random.default_rng([7, number]).laplace())


@pytest.mark.parametrize(("backend", "jobs"), [("loky", 2), ("threading", 3), ("sequential", None)])
def test_runs_elsewhere_give_the_bound_of_runs_here(backend, jobs):
    numbers = iter(range(400))
    here = two_world(lambda world: noisy(world, next(numbers)), 0.0, 1.0, runs=200, delta=0.0)
    assert two_world(noisy, 0.0, 1.0, runs=200, delta=0.0, backend=backend, jobs=jobs) == here
    assert here.epsilon(0.0) > 0.0


def test_a_worker_that_is_killed_changes_no_bound(tmp_path):
    note, home = tmp_path / "killed", os.getpid()

    def run(world, number):
        if number == 90 and os.getpid() != home and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return noisy(world, number)

    found = two_world(run, 0.0, 1.0, runs=60, delta=0.0, backend="loky", jobs=2)
    assert note.exists() and found == two_world(noisy, 0.0, 1.0, runs=60, delta=0.0, backend="sequential")


def test_a_backend_that_there_is_not_is_refused():
    with pytest.raises(AttackParameterError, match="no backend 'slurm'"):
        two_world(noisy, 0.0, 1.0, runs=8, delta=0.0, backend="slurm")
