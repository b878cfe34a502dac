"""Two-world audits of the mechanisms: the real ones stay below their price, a broken twin of each kind does not.

A twin is the real code with one fault put in; its price is that of the event it still hands out. Runs are made side by
side in one call where the mechanism takes arrays: entry i of every answer is run i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import dpsynth.mechanisms.discrete_gaussian as gaussian_module
import dpsynth.mechanisms.discrete_laplace as laplace_module
import dpsynth.mechanisms.partition_selection as selection_module
from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation
from attacks.dp_audit.two_world import TwoWorldBound, two_world_bound
from dpsynth.core.noise import NoiseSource, unsafe_SeededNoise
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.mechanisms.exponential import exponential
from dpsynth.mechanisms.partition_selection import partition_selection, threshold_for
from tests.audit.worlds import claimed
from tests.conformance.tables import RECORD

RUNS = 20_000
ALPHA = 1e-4
SIGMA, SCALE, LOUD = "1", "1", "2"
Scores = tuple[np.ndarray, Event]
Run = Callable[[int, NoiseSource], Scores]
"""Scores of RUNS runs with a person who adds 0 or 1 to a count, and the event of one run."""


def gaussian(person: int, noise: NoiseSource) -> Scores:
    return discrete_gaussian(np.full(RUNS, person), sigma=SIGMA, noise=noise)


def laplace(person: int, noise: NoiseSource) -> Scores:
    return discrete_laplace(np.full(RUNS, person), scale=SCALE, noise=noise)


def histogram(person: int, noise: NoiseSource) -> Scores:
    """Ten queries about the same person."""
    noisy, event = discrete_gaussian(np.full((RUNS, 10), person), sigma="3", noise=noise, count=10)
    return noisy.sum(axis=1), event


def choice(person: int, noise: NoiseSource) -> Scores:
    """The person speaks for the candidate that is seldom chosen."""
    made = [exponential([person, 2], coefficient="1", score_range=1, noise=noise) for _ in range(RUNS // 10)]
    return np.array([chosen == 0 for chosen, _ in made]), made[0][1]


THRESHOLD = threshold_for(sigma=LOUD, delta=0.02, weight=1)


def selection(person: int, noise: NoiseSource) -> Scores:
    """A key that the person alone holds: does it come out?"""
    keys = range(RUNS if person else 0)
    found, _, event = partition_selection(
        list(keys), np.ones(len(keys), dtype=np.int64), sigma=LOUD, threshold=THRESHOLD, noise=noise
    )
    return np.isin(np.arange(RUNS), found), event


MECHANISMS = {run.__name__: run for run in (gaussian, laplace, histogram, choice, selection)}
DELTA = {"gaussian": 0.01, "laplace": 1e-6, "histogram": 0.01, "choice": 1e-6, "selection": 0.022}


@dataclass(frozen=True)
class Verdict:
    """An audit beside the price of the event that the runs handed out."""

    bound: TwoWorldBound
    shown: float
    price: float


def audit(run: Run, delta: float, *, noise: NoiseSource | None = None, joined: int = 1) -> Verdict:
    source = noise or unsafe_SeededNoise(11)
    (without, event), (with_person, again) = run(0, source), run(joined, source)
    assert event == again, "the event depends on the data"
    tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=RECORD, events=(replace(event, noise="exact"),))
    bound = two_world_bound(without.astype(float), with_person.astype(float), delta=delta, alpha=ALPHA)
    return Verdict(bound=bound, shown=bound.epsilon(delta), price=claimed(tree, delta))


@pytest.mark.parametrize("name", MECHANISMS)
def test_no_mechanism_shows_more_than_its_price_and_the_audit_comes_near(name):
    seen = audit(MECHANISMS[name], DELTA[name])
    assert seen.shown <= seen.price < seen.bound.ceiling(DELTA[name])
    assert seen.shown > 0.35 * seen.price or name == "selection"  # an honest atom shows nothing beyond delta


# --- broken twins ------------------------------------------------------------------------------------------------


def half(sampler: Callable[..., Any], scale: str) -> Callable[..., Any]:
    return lambda n, *, noise, **size: sampler(n, noise=noise, **{scale: Decimal(size[scale]) / 2})


@pytest.fixture
def half_noise(monkeypatch):
    for module, sampler, scale in (
        (gaussian_module, "sample_discrete_gaussian", "sigma"),
        (selection_module, "sample_discrete_gaussian", "sigma"),
        (laplace_module, "sample_discrete_laplace", "scale"),
    ):
        monkeypatch.setattr(module, sampler, half(getattr(module, sampler), scale))


@pytest.mark.parametrize("name", ["gaussian", "laplace", "histogram"])
def test_half_the_noise_is_caught(name, half_noise):
    seen = audit(MECHANISMS[name], DELTA[name])
    assert seen.shown > max(1.0, seen.price)


def test_half_the_temperature_is_caught():
    def hot(person: int, noise: NoiseSource) -> Scores:
        made = [exponential([2 * person, 4], coefficient="1", score_range=1, noise=noise) for _ in range(RUNS)]
        return np.array([chosen == 0 for chosen, _ in made]), made[0][1]

    seen = audit(hot, 1e-6)
    assert seen.shown > max(1.0, seen.price)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_a_person_with_three_rows_where_one_is_charged_is_caught(name):
    seen = audit(MECHANISMS[name], DELTA[name], joined=3)
    assert seen.shown > max(1.0, seen.price)


def test_replace_one_charged_as_add_or_remove_is_caught():
    def moved(person: int, noise: NoiseSource) -> Scores:
        cells = np.tile([1 - person, person], (RUNS, 1))
        noisy, event = discrete_gaussian(cells, sigma=SIGMA, noise=noise)
        return noisy[:, 1] - noisy[:, 0], event

    seen = audit(moved, 0.01)
    assert seen.shown > max(1.0, seen.price)


def test_a_dropped_count_is_caught():
    """Ten queries of which one is charged: what dp-accounting did to repeated events, see claim `loop-law`."""

    def charged_once(person: int, noise: NoiseSource) -> Scores:
        noisy, event = histogram(person, noise)
        return noisy, replace(event, count=1)

    seen = audit(charged_once, 0.01)
    assert seen.shown > seen.price
    assert audit(histogram, 0.01).shown < audit(histogram, 0.01).price


class Stuck:
    """A source that gives the same words to everyone who asks: budget and noise used twice."""

    kind = "exact"

    def uint64(self, n: int) -> np.ndarray:
        return unsafe_SeededNoise(3).uint64(n)


def test_the_same_noise_twice_is_caught():
    def twice(person: int, noise: NoiseSource) -> Scores:
        all_rows, event = discrete_gaussian(np.full(RUNS, 50 + person), sigma=SIGMA, noise=noise)
        all_but_one, _ = discrete_gaussian(np.full(RUNS, 50), sigma=SIGMA, noise=noise)
        return all_rows - all_but_one, replace(event, count=2)

    stuck, fresh = audit(twice, 0.01, noise=Stuck()), audit(twice, 0.01)
    assert stuck.shown == stuck.bound.ceiling(0.01) > max(1.0, stuck.price)
    assert fresh.shown <= fresh.price


def test_noise_from_a_known_seed_is_caught():
    """The event says `seeded`, which the default policy refuses; the audit shows why."""

    def known(person: int, noise: NoiseSource) -> Scores:
        told, event = discrete_gaussian(np.full(RUNS, person), sigma=SIGMA, noise=unsafe_SeededNoise(7))
        return told - gaussian_module.sample_discrete_gaussian(RUNS, sigma=SIGMA, noise=unsafe_SeededNoise(7)), event

    seen = audit(known, 0.01)
    assert seen.shown == seen.bound.ceiling(0.01) > max(1.0, seen.price)


def test_a_threshold_that_is_off_by_one_is_caught():
    """The event states the threshold; the twin lets noisy counts one below it out."""

    def early(person: int, noise: NoiseSource) -> Scores:
        keys = range(RUNS if person else 0)
        ones = np.ones(len(keys), dtype=np.int64)
        found, _, event = partition_selection(list(keys), ones, sigma=LOUD, threshold=THRESHOLD - 1, noise=noise)
        return np.isin(np.arange(RUNS), found), replace(event, threshold=Decimal(THRESHOLD))

    seen = audit(early, DELTA["selection"])
    assert seen.shown > max(1.0, seen.price)


def test_half_the_noise_of_a_selection_is_seen_in_counts_and_not_in_lone_keys(half_noise):
    """Less noise hides a lone key better; what it gives away is the count of a key that is there anyway."""

    def counted(person: int, noise: NoiseSource) -> Scores:
        crowd = np.full(RUNS, 60 + person)
        _, noisy, event = partition_selection(list(range(RUNS)), crowd, sigma=LOUD, threshold=THRESHOLD, noise=noise)
        return noisy, event

    assert audit(selection, DELTA["selection"]).shown == 0.0
    seen = audit(counted, DELTA["selection"])
    assert seen.shown > max(1.0, seen.price)
