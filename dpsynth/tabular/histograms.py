"""Noisy histograms of many column sets: counted in few scans, released a block at a time, and never counted twice.

All generators that count ask here. Exact histograms are asked for in one call, so that an engine can plan its scans;
noise is added as soon as a block of them has come, and the block is kept with the run (`mechanisms.measured`). A run
that goes on asks for the histograms that were not released yet, and for none of the others.

A block is a fixed number of histograms, whatever the engine, so that equal noise gives equal releases.

Not guaranteed: that a block that was interrupted is not counted again; its exact counts were never kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import Codec, CountTable
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.measured import once

BLOCK = 256
Integers = NDArray[np.int64]
Asked = Callable[[int, Integers], Any]


def _whole(_at: int, exact: Integers) -> Integers:
    return exact


def noisy_histograms(
    table: CountTable,
    codecs: Mapping[str, Codec],
    cliques: Sequence[tuple[str, ...]],
    *,
    name: str,
    sigma: Decimal | str,
    max_records: int,
    noise: NoiseSource,
    times: Sequence[int] | None = None,
    asked: Asked = _whole,
) -> tuple[list[Integers], DiscreteGaussian]:
    """Discrete Gaussian noise on one integer query of each histogram.

    Args:
        table: the private rows, at most `max_records` of each unit.
        codecs: column -> codec.
        cliques: distinct columns each, at least one clique.
        name: what is measured, for the run's own record.
        sigma: scale of the noise, rows.
        max_records: k; one unit changes each query by at most k (L2, add/remove one unit).
        noise: uniform words.
        times: how many independent queries each clique has; once each if None.
        asked: (position, exact histogram) -> integers, of sensitivity k; the histogram itself if left out.

    Returns:
        Of each clique the noisy integers, int64, shape (times, …), without the first side if `times` is None; and the
        event of all of them.
    """
    repeats = [1] * len(cliques) if times is None else list(times)
    asking, released, events = _Asking(table, codecs, cliques, asked), list[Integers](), list[DiscreteGaussian]()
    for start in range(0, len(cliques), BLOCK):
        here = slice(start, start + BLOCK)
        what = json.dumps([cliques[here], repeats[here], str(sigma)])
        label = f"{name}, from {start}: {hashlib.sha256(what.encode()).hexdigest()}"
        measure = partial(_measured, asking, here, repeats[here], sigma, max_records, noise)
        noisy, event = once(noise, label, measure)
        released += noisy
        events.append(event)
    return released if times is not None else [one[0] for one in released], replace(events[0], count=sum(repeats))


@final
class _Asking:
    """The histograms from the first that is needed on, asked for in one call."""

    def __init__(
        self,
        table: CountTable,
        codecs: Mapping[str, Codec],
        cliques: Sequence[tuple[str, ...]],
        asked: Asked,
    ) -> None:
        self._table, self._codecs, self._cliques, self._asked = table, codecs, cliques, asked
        self._exact: Iterator[Integers] | None = None

    def take(self, here: slice) -> list[Integers]:
        """The queries of these cliques; blocks are taken in order."""
        if self._exact is None:
            self._exact = self._table.counts(self._codecs, self._cliques[here.start :])
        wanted = range(len(self._cliques))[here]
        found = [np.asarray(self._asked(at, exact)) for at, exact in zip(wanted, self._exact, strict=False)]
        if wanted.stop == len(self._cliques):
            found += [np.asarray(more) for more in self._exact]  # ends it, so that the engine forgets its uploads
        return found


def _measured(
    asking: _Asking, here: slice, repeats: Sequence[int], sigma: Decimal | str, max_records: int, noise: NoiseSource
) -> tuple[list[Integers], DiscreteGaussian]:
    """One block, asked and with its noise."""
    exact = asking.take(here)
    stacked = [np.tile(counts.ravel(), taken) for counts, taken in zip(exact, repeats, strict=True)]
    noisy, event = discrete_gaussian(
        np.concatenate(stacked), sigma=sigma, noise=noise, l2_sensitivity=max_records, count=sum(repeats)
    )
    parts = np.split(noisy, np.cumsum([len(part) for part in stacked])[:-1])
    shaped = zip(parts, repeats, exact, strict=True)
    return [part.reshape(taken, *counts.shape) for part, taken, counts in shaped], event
