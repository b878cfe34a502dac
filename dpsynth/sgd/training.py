"""The loop: sample units, sum clipped gradients, add noise, move; as many times as the schedule says.

    drawn = PoissonSampler(units, q, noise).draw()                 # one draw a step, over all units
    noisy = sum of clipped gradients + sigma * clip * normals      # live coordinates only
    optimiser.step(noisy / (q * size))                             # size: a released number, never the batch's

This is DP-SGD (Abadi et al. 2016) at the logical batch: a sample is worked through in physical blocks of about `block`
rows, whole units each, and noise is added once to their sum. An empty sample adds its noise and counts. The event that
comes back counts the steps that ran. Progress says step numbers; no loss, norm or share of clipped units is kept.

A unit's gradient that is not a number counts as zero. Networks do that themselves (`clipping`); should a block's sum
still not be finite, its units are taken one by one and the bad ones left out, so that what a unit adds depends on that
unit and the parameters alone.

Memory: the codes (1 or 2 bytes a cell), one block, and five arrays for each parameter; flat in the logical batch.

Not guaranteed: convergence. Gaussian noise in floating point has the caveat of `gaussian_noise`. How long a step takes
and how much memory it holds depend on its sample: whoever measures the process from beside sees more than the events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import PoissonSampled
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.sgd import arrays
from dpsynth.sgd.adam import Adam
from dpsynth.sgd.checkpoint import Checkpoints, pack, unpack
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.network import Network
from dpsynth.sgd.poisson import PoissonSampler
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.threads import one_thread

BLOCK = 1024
"""Rows worked through at once: of 256 to 8192, 1024 was the fastest for linear and MADE layers on a CPU."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Units:
    """Private rows, grouped by unit.

    Attributes:
        codes: unsigned integers, shape (rows, columns).
        order: rows in the order of their units; None if row r is unit r.
        starts: unit u has the rows `order[starts[u]:starts[u + 1]]`, shape (units + 1,); None if row r is unit r.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    order: NDArray[np.int64] | None = None
    starts: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, codes: NDArray[np.unsignedinteger[Any]], units: NDArray[np.integer[Any]] | None = None) -> Units:
        """Rows and the number of each row's unit, 0 … m-1, shape (rows,); None if every row is a unit."""
        if units is None:
            return cls(codes=codes)
        counts = np.bincount(units) if len(units) else np.zeros(0, dtype=np.int64)
        return cls(
            codes=codes,
            order=np.argsort(units, kind="stable"),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )

    @property
    def count(self) -> int:
        """Number of units (private)."""
        return len(self.codes) if self.starts is None else len(self.starts) - 1

    def blocks(
        self, drawn: NDArray[np.int64], rows: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64] | None]]:
        """Codes and unit numbers (0 … of the block) of drawn units, whole units, about `rows` rows at a time."""
        if self.order is None or self.starts is None:
            for start in range(0, len(drawn), rows):
                yield self.codes[drawn[start : start + rows]].astype(np.int64), None
            return
        sizes = self.starts[drawn + 1] - self.starts[drawn]
        drawn, sizes = drawn[sizes > 0], sizes[sizes > 0]
        ends = np.cumsum(sizes)
        at = 0
        while at < len(drawn):
            before = int(ends[at - 1]) if at else 0
            stop = max(int(np.searchsorted(ends, before + rows, side="right")), at + 1)
            own = sizes[at:stop]
            inside = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
            index = self.order[np.repeat(self.starts[drawn[at:stop]], own) + inside]
            yield self.codes[index].astype(np.int64), np.repeat(np.arange(len(own)), own)
            at = stop


def train(
    network: Network,
    units: Units,
    schedule: Schedule,
    *,
    size: float,
    rate: float,
    noise: NoiseSource,
    progress: Progress = silent,
    checkpoints: Checkpoints | None = None,
    every: int = 0,
    block: int = BLOCK,
    run: str = "",
) -> PoissonSampled:
    """Train in place and return what it spent.

    Args:
        network: its parameters end as the running mean over the steps.
        units: the private rows, at most k of each unit.
        schedule: what is spent, add/remove one unit.
        size: released number of units, at least 1; a step's sum is divided by `q * size`.
        rate: learning rate at the first step; falls by a cosine.
        noise: uniform words; its kind is the event's.
        progress: called once a step with numbers of steps.
        checkpoints: where to resume from, and to save to.
        every: steps between checkpoints; 0 for none.
        block: rows worked through at once.
        run: released facts that training depends on beside the untrained network; a checkpoint must agree with them.

    Raises:
        ParameterError: the size is below 1.
        ModelError: a checkpoint is of another run, or the parameters left the finite numbers.
    """
    if not size >= 1:
        raise ParameterError("Expected the released number of units to be at least 1.")
    copies = {name: arrays.on_cpu(parameter) for name, parameter in network.parameters.items()}
    optimiser = Adam(copies, rate=rate, steps=schedule.steps)
    label = "" if checkpoints is None else _label(network, schedule, run)
    step = _resume(network, optimiser, label, checkpoints)
    sampler = PoissonSampler(units.count, schedule.probability, noise)
    normals = GaussianNoise(noise)
    while step < schedule.steps:
        with one_thread():
            total = clipped_total(network, units, sampler.draw(), float(schedule.clip), block)
        with np.errstate(invalid="ignore", over="ignore"):
            optimiser.step(step, noisy_mean(network, total, schedule, size, normals))
        _put_back(network, optimiser)
        step += 1
        progress("train", step, schedule.steps)
        if checkpoints is not None and every and step % every == 0 and step < schedule.steps:
            checkpoints.save(pack(label, step, _state(optimiser)))
    optimiser.average()
    _put_back(network, optimiser)
    if not all(arrays.finite(parameter) for parameter in network.parameters.values()):
        raise ModelError(
            "Training left the finite numbers, so there is no model; what it spent stays spent.",
            "Choose a smaller learning rate or more noise.",
        )
    return Schedule(probability=schedule.probability, steps=step, sigma=schedule.sigma, clip=schedule.clip).event(
        noise.kind
    )


def clipped_total(
    network: Network, units: Units, drawn: NDArray[np.int64], clip: float, block: int = BLOCK
) -> dict[str, NDArray[np.float64]]:
    """Sum of the drawn units' clipped gradients, float64; zeros for none. Private until noise is added."""
    total = {name: arrays.zeros_like(parameter) for name, parameter in network.parameters.items()}
    for codes, own in units.blocks(drawn, block):
        for name, added in _guarded(network, codes, own, clip).items():
            total[name] += added
    return {name: arrays.on_cpu(summed) for name, summed in total.items()}


def noisy_mean(
    network: Network, total: Mapping[str, NDArray[np.float64]], schedule: Schedule, size: float, normals: GaussianNoise
) -> dict[str, NDArray[np.float32]]:
    """The total with noise on every live coordinate, divided by the expected number of units; zero elsewhere."""
    scale, expected = float(schedule.sigma * schedule.clip), float(schedule.probability) * size
    made = {}
    for name, summed in total.items():
        noisy = np.zeros(summed.size)
        live = network.live.get(name)
        at = slice(None) if live is None else np.flatnonzero(arrays.on_cpu(live))
        held = summed.ravel()[at]
        noisy[at] = (held + scale * normals.normals(len(held))) / expected
        made[name] = noisy.reshape(summed.shape).astype(np.float32)
    return made


def _guarded(network: Network, codes: NDArray[np.int64], own: NDArray[np.int64] | None, clip: float) -> dict[str, Any]:
    """A block's sum; unit by unit, without those that are not finite, if the whole is not."""
    parameter = next(iter(network.parameters.values()))
    summed, _ = network.clipped_sum(arrays.rows_for(parameter, codes), arrays.rows_for(parameter, own), clip)
    if _finite(summed):
        return summed
    kept = {name: arrays.zeros_like(parameter) for name, parameter in network.parameters.items()}
    ends = np.arange(1, len(codes) + 1) if own is None else np.flatnonzero(np.diff(own, append=own[-1] + 1)) + 1
    for start, end in zip(np.concatenate([[0], ends[:-1]]).tolist(), ends.tolist(), strict=True):
        alone = None if own is None else np.zeros(end - start, dtype=np.int64)
        rows = arrays.rows_for(parameter, codes[start:end])
        one, _ = network.clipped_sum(rows, arrays.rows_for(parameter, alone), clip)
        if _finite(one):
            for name, added in one.items():
                kept[name] += added
    return kept


def _finite(sums: Mapping[str, Any]) -> bool:
    return all(arrays.finite(summed) for summed in sums.values())


def _put_back(network: Network, optimiser: Adam) -> None:
    for name, parameter in network.parameters.items():
        arrays.put_back(parameter, optimiser.parameters[name])


def _label(network: Network, schedule: Schedule, run: str) -> str:
    """What a checkpoint must agree with: schedule, untrained network (biases are released shares), the run's facts.

    A state that was trained from other measurements is refused: both would be released, and only one was paid for.
    """
    facts = (str(schedule.probability), schedule.steps, str(schedule.sigma), str(schedule.clip))
    hasher = hashlib.sha256(repr(facts).encode() + run.encode())
    for name, parameter in sorted(network.parameters.items()):
        array = arrays.on_cpu(parameter)
        hasher.update(repr((name, array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()


def _state(optimiser: Adam) -> dict[str, NDArray[Any]]:
    saved = {f"parameter/{name}": array for name, array in optimiser.parameters.items()}
    for name, state in optimiser.state.items():
        saved |= {f"{part}/{name}": array for part, array in state.items()}
    return saved


def _resume(network: Network, optimiser: Adam, label: str, checkpoints: Checkpoints | None) -> int:
    """Steps that were taken already; their state is put in place."""
    saved = checkpoints.load() if checkpoints is not None else None
    if saved is None:
        return 0
    step, found = unpack(saved, label)
    for name, array in optimiser.parameters.items():
        array[...] = found[f"parameter/{name}"]
        for part, held in optimiser.state[name].items():
            held[...] = found[f"{part}/{name}"]
    _put_back(network, optimiser)
    return step
