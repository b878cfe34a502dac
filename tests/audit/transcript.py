"""The strongest adversary that differential privacy speaks of: it knows both tables and sees every noisy answer.

`LogLikelihoodRatio` runs a fit on one of two tables with real noise, writes down what each mechanism was asked and
answered, and asks again on the other table with those answers. From the exact figures in both worlds and the law that
each event states follows the log-likelihood ratio of the whole transcript, the best score there is (Neyman and
Pearson): whatever a generator does afterwards is post-processing.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

import dpsynth.mechanisms
import dpsynth.schema
import dpsynth.tabular
from accounting.event import DiscreteGaussian, Exponential
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.exponential import exponential

SEED_WORDS = 4
Fit = Callable[[NoiseSource], Any]


class Coins:
    """Words for what is no mechanism (seeds of post-processing): known to the adversary, the same in both worlds."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self._rng = np.random.default_rng(seed)

    def uint64(self, n: int) -> np.ndarray:
        assert n == SEED_WORDS, "noise was drawn outside the mechanisms that are listened to"
        return self._rng.integers(0, 2**64, size=n, dtype=np.uint64)


class LogLikelihoodRatio:
    """Score of one run. Use inside `with llr.listening():`, which puts the recorder in place of the mechanisms."""

    def __init__(self, noise: NoiseSource) -> None:
        self._noise = noise
        self._entered: list[Any] = []
        self._answers: list[tuple[Any, Any, Any]] = []  # answer, event, coefficient
        self._replaying = False
        self._runs = 0

    def score(self, here: Fit, there: Fit, *, joined: bool) -> float:
        """Log-likelihood of `joined` over `without`, of a run of `here`, which is the joined world if `joined`."""
        self._runs += 1
        own, answers = self._run(here)
        other, _ = self._run(there, answers)
        pairs = zip(own, other, answers, strict=True)
        ratio = sum(_log_ratio(a, b, *answer) for a, b, answer in pairs)
        return ratio if joined else -ratio

    def _run(self, fit: Fit, answers: list[tuple[Any, Any, Any]] | None = None) -> tuple[list[Any], list[Any]]:
        self._entered, self._answers, self._replaying = [], list(answers or []), answers is not None
        fit(Coins(self._noise.kind, self._runs))
        return self._entered, self._answers

    @contextmanager
    def listening(self):
        for package in (dpsynth.tabular, dpsynth.schema, dpsynth.mechanisms):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
        with pytest.MonkeyPatch.context() as patch:
            for real in (discrete_gaussian, exponential):
                stand_in = self._stand_in(real)
                for name, module in list(sys.modules.items()):
                    if name.startswith("dpsynth"):
                        for attribute in [a for a, value in vars(module).items() if value is real]:
                            patch.setattr(module, attribute, stand_in)
            yield self

    def _stand_in(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(asked: Any, **options: Any) -> Any:
            at = len(self._entered)
            self._entered.append(np.array(asked, dtype=np.float64).ravel())
            if self._replaying:
                answer, event, _ = self._answers[at]
                return answer, event
            answer, event = real(asked, **{**options, "noise": self._noise})
            assert options.get("base") is None, "weights of candidates are not in the ratio below"
            self._answers.append((answer, event, float(options.get("coefficient", 1))))
            return answer, event

        return call


def _log_ratio(own: np.ndarray, other: np.ndarray, answer: Any, event: Any, coefficient: float) -> float:
    """log P[answer | own] / P[answer | other], by the law that the event states."""
    if isinstance(event, Exponential):
        mine, others = coefficient * own, coefficient * other
        return float(mine[answer] - logsumexp(mine) - others[answer] + logsumexp(others))
    assert isinstance(event, DiscreteGaussian), f"no law is known here for {event.type_name}"
    told = np.asarray(answer, dtype=np.float64).ravel()
    return float((((told - other) ** 2).sum() - ((told - own) ** 2).sum()) / (2 * float(event.sigma) ** 2))
