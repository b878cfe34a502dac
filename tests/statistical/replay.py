"""What one unit can change in everything that is asked of a table: a run is recorded, then replayed on a neighbour.

Queries are chosen from earlier answers, so two runs with noise of their own ask different things. Differential privacy
speaks of neighbours that were given the *same* answers: `Tape.record` runs a fit and keeps, for each mechanism, the
exact array that went in and the answer that came out; `Tape.replay` runs it on a neighbour, hands out those answers
again and keeps the arrays that went in this time. What a unit changed in each query is the difference, and it may not
exceed what the event of that query states.

A mechanism is found wherever a module of dpsynth has imported it by name, so a generator that is added tomorrow is
recorded too; a draw of noise that passes no mechanism is refused by `SeedsOnly`.

Steps of DP-SGD are calls as well: what enters is the sum of clipped gradients in units of the clip. Who is in a step's
sample is decided unit by unit, so in a replay all units that both tables have join the same samples as before, and one
that was not there joins all of them: the worst case.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import dpsynth.mechanisms
import dpsynth.schema
import dpsynth.sgd.training as training_module
import dpsynth.tabular
from accounting.event import DiscreteGaussian, Event, Exponential, PartitionSelection, PoissonSampled
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.exponential import exponential
from dpsynth.mechanisms.partition_selection import partition_selection
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.poisson import PoissonSampler

SEED_WORDS = 4
_real_step = training_module.noisy_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One use of a mechanism: the exact array (or key -> count, or scores) that entered, the answer, the event.

    `coefficient` is that of an exponential mechanism, by which the change of its scores is multiplied.
    """

    entered: Any
    answer: Any
    event: Event
    coefficient: Fraction = Fraction(1)


class SeedsOnly:
    """A noise source for what surrounds the mechanisms: it gives seeds of post-processing and nothing else."""

    kind = "seeded"

    def __init__(self) -> None:
        self._rng = np.random.default_rng(17)

    def uint64(self, n: int) -> np.ndarray:
        """Four words for a seed."""
        assert n == SEED_WORDS, "noise was drawn outside the mechanisms that this test records"
        return self._rng.integers(0, 2**64, size=n, dtype=np.uint64)


class Tape:
    """The calls of one run, in time order; `fit` is called with the noise source that it has to use."""

    def __init__(self, fit: Callable[[Any], Any], script: Tape | None = None) -> None:
        self.calls: list[Call] = []
        self._script, self._noise = script, unsafe_SeededNoise(5)
        self._units, self._drawn = 0, 0
        with self._in_place_of_mechanisms():
            self.result = fit(SeedsOnly())

    @classmethod
    def record(cls, fit: Callable[[Any], Any]) -> Tape:
        """Run with fresh answers."""
        return cls(fit)

    def replay(self, fit: Callable[[Any], Any]) -> Tape:
        """Run on another table with this run's answers."""
        return Tape(fit, self)

    @contextmanager
    def _in_place_of_mechanisms(self) -> Iterator[None]:
        for package in (dpsynth.tabular, dpsynth.schema, dpsynth.mechanisms):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
        with pytest.MonkeyPatch.context() as patch:
            for real in (discrete_gaussian, partition_selection, exponential):
                stand_in = self._stand_in(real)
                for name, module in list(sys.modules.items()):
                    if name.startswith("dpsynth"):
                        for attribute in [a for a, value in vars(module).items() if value is real]:
                            patch.setattr(module, attribute, stand_in)
            patch.setattr(training_module, "noisy_mean", self._step)
            patch.setattr(PoissonSampler, "draw", self._sample)
            yield

    @property
    def _sample(self) -> Callable[[PoissonSampler], np.ndarray]:
        def draw(sampler: PoissonSampler) -> np.ndarray:
            self._units, self._drawn = sampler._units, self._drawn + 1
            joins = np.random.default_rng(self._drawn).random(sampler._units) * 2.0**64 < sampler._below
            if self._script is not None:
                joins[self._script._units :] = True
            return np.flatnonzero(joins)

        return draw

    def _step(self, network: Any, total: Mapping[str, Any], schedule: Any, size: float, normals: Any) -> Any:
        """One noisy sum; `normals` gives way to the tape's own."""
        del normals
        entered = np.concatenate([total[name].ravel() for name in sorted(total)]) / float(schedule.clip)
        answer = _real_step(network, total, schedule, size, GaussianNoise(self._noise))
        event = replace(schedule.event("seeded"), count=1)
        if self._script is not None:
            told = self._script.calls[len(self.calls)]
            assert told.event == event, "the noise of a step depends on the table, not on the answers before it"
            answer = told.answer
        self.calls.append(Call(entered=entered, answer=answer, event=event))
        return {name: array.copy() for name, array in answer.items()}

    def _stand_in(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            options["noise"] = self._noise
            if real is partition_selection:
                keys, counts = arguments
                plain = keys.to_pylist() if hasattr(keys, "to_pylist") else list(keys)
                entered: Any = dict(zip(plain, np.asarray(counts).tolist(), strict=True))
            else:
                entered = np.array(arguments[0], dtype=object if real is exponential else np.int64).ravel()
            # with a script the mechanism runs all the same: its event states what this run claims
            *answer, event = real(*arguments, **options)
            if self._script is not None:
                told = self._script.calls[len(self.calls)]
                assert told.event == event, "the noise of a query depends on the table, not on the answers before it"
                answer = told.answer
            factor = Fraction(str(options.get("coefficient", 1)))
            self.calls.append(Call(entered=entered, answer=answer, event=event, coefficient=factor))
            return (*answer, event)

        return call


def exceeded(first: Tape, second: Tape) -> list[str]:
    """Queries in which two replays on neighbouring tables differ by more than their events state."""
    assert len(first.calls) == len(second.calls)
    pairs = enumerate(zip(first.calls, second.calls, strict=True))
    return [f"{at} {complaint}" for at, (a, b) in pairs for complaint in _complaints(a, b)]


def _complaints(a: Call, b: Call) -> list[str]:
    event = a.event
    if isinstance(event, PartitionSelection):
        return _selection(event, a.entered, b.entered)
    if len(a.entered) != len(b.entered):
        return ["asks for another number of figures"]
    change = b.entered - a.entered
    if isinstance(event, Exponential):
        spread = a.coefficient * (Fraction(max(change)) - Fraction(min(change)))
        return [f"bounded range {spread}"] if spread > Fraction(event.bounded_range) else []
    if isinstance(event, PoissonSampled):
        norm = float(np.linalg.norm(change)) / float(event.event.l2_sensitivity)
        return [f"a unit adds {norm:.4f} clips to a sum"] if norm > 1.0 else []
    assert isinstance(event, DiscreteGaussian)
    most = float(event.l2_sensitivity)
    out = []
    if float((change.astype(float) ** 2).sum()) > event.count * most**2:
        out.append(f"L2 {np.sqrt((change.astype(float) ** 2).sum()):.1f} of {event.count} queries of {most}")
    if event.count == change.size and np.abs(change).max(initial=0) > most:
        out.append(f"a single figure changes by {np.abs(change).max()}, stated {most}")
    return out


def _selection(event: PartitionSelection, a: Mapping[Any, int], b: Mapping[Any, int]) -> list[str]:
    change = [b.get(key, 0) - a.get(key, 0) for key in {*a, *b}]
    moved = [step for step in change if step]
    out = []
    if len(moved) > event.max_keys:
        out.append(f"{len(moved)} keys change, stated {event.max_keys}")
    if sum(step**2 for step in moved) > float(event.l2_sensitivity) ** 2:
        out.append(f"L2 of counts {np.sqrt(sum(step**2 for step in moved)):.1f}, stated {event.l2_sensitivity}")
    return out
