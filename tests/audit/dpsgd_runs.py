"""Runs of the training loop as its strongest adversary sees them: every noisy sum, and rows made to be seen.

A Dirac canary's gradient is one coordinate at the clip, whatever the parameters are. What the loop adds up is then, in
each coordinate and by itself, the mechanism that is priced: Poisson inclusion and Gaussian noise, step after step.
Everything later (Adam, the model, its rows) is a function of the sums that are listened to here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import dpsynth.sgd.training as training_module
from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.sgd import clipping
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, train


class Dirac:
    """Rows of code c have a gradient in coordinate c alone, of norm `length`."""

    def __init__(self, coordinates: int, *, length: float) -> None:
        self.parameters = {"at": np.zeros(coordinates, dtype=np.float32)}
        self.live: dict[str, np.ndarray] = {}
        self.length = length

    def clipped_sum(self, rows, units, clip):
        at, owners = rows[:, 0], np.arange(len(rows)) if units is None else units
        norms = self.length * np.bincount(owners).astype(np.float32)  # a unit's rows are all in one coordinate
        added = self.length * clipping.clip_factors(norms, clip)[owners]
        return {"at": np.bincount(at, added, minlength=len(self.parameters["at"])).astype(np.float32)}, norms


class Against:
    """One coordinate: rows of code 0 pull it down by the clip, those of code 1 up."""

    def __init__(self) -> None:
        self.parameters = {"at": np.zeros(1, dtype=np.float32)}
        self.live: dict[str, np.ndarray] = {}

    def clipped_sum(self, rows, units, clip):
        signs = 2.0 * rows[:, 0] - 1.0
        return {"at": np.array([clip * signs.sum()], dtype=np.float32)}, np.full(len(rows), clip)


def heard(patch, network, units: Units, of: Schedule, noise: NoiseSource, *, size: float) -> np.ndarray:
    """One run; what the optimiser is given, times what it was divided by: shape (steps, coordinates), in clips."""
    said: list[np.ndarray] = []
    real = training_module.noisy_mean

    def listening(*asked):
        made = real(*asked)
        said.append(made["at"].astype(np.float64) * float(of.probability) * size / float(of.clip))
        return made

    with patch.context() as own:
        own.setattr(training_module, "noisy_mean", listening)
        train(network, units, of, size=size, rate=0.01, noise=noise)
    return np.array(said)


def coins(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(count) < 0.5


def units_of(included: np.ndarray, rows: int = 1) -> Units:
    """Included canaries, `rows` rows each; codes are their coordinates."""
    at = np.flatnonzero(included).astype(np.uint16)
    owners = None if rows == 1 else np.repeat(np.arange(len(at)), rows)
    return Units.of(np.repeat(at, rows)[:, None], owners)


def ratio(sums: np.ndarray, of: Schedule) -> np.ndarray:
    """Log-likelihood ratio of taking part, in each coordinate: the best score there is, shape (coordinates,)."""
    q, sigma = float(of.probability), float(of.sigma)
    if q == 1.0:
        return sums.sum(axis=0)
    return np.logaddexp(np.log1p(-q), np.log(q) + (2 * sums - 1) / (2 * sigma**2)).sum(axis=0)


@lru_cache(maxsize=64)
def charged(of: Schedule, delta: float) -> float:
    """Epsilon that the accountants charge for the steps."""
    tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=(of.event(),))
    return float(price(tree, str(delta)).epsilon)
