"""Which pairs are worth a measurement: post-processing of noisy scores.

A plan fixes how many pair tables a round measures (slots) and the noise of each, since events are reserved before data
is read. What remains to be decided is which pair takes which slot. A pair may take several: m tables of noise sigma
average to one of sigma / sqrt(m), so slots that no new pair is worth sharpen those already chosen. The rule is greedy:

    the next slots go where the predicted error falls most for each slot,

with the released score as the error of a pair that is not measured now, and `measurement_error` of the combined noise
as the error of one that is. Blocks of up to four slots compete, since a large table may be worth four and not one.

>>> table = np.full((2, 2), 1000)
>>> scores = {("a", "b"): 900.0, ("a", "c"): 10.0}
>>> assign_slots(scores, {pair: table for pair in scores}, sigma=50.0, slots=3)
{('a', 'b'): 3}

Not guaranteed: the best set. Predictions ignore that overlapping tables inform each other.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.forests.tree import Vector

Clique = tuple[str, ...]
"""Columns of one table: a pair, or a single column that is counted again."""

OPTIMISM = 0.6
BLOCK = 4
"""Most slots that compete as one."""


def predicted_table(left: Vector, right: Vector, total: float) -> NDArray[np.int64]:
    """Integer pair table that two released distributions predict without dependence, shape (left, right)."""
    return np.rint(total * np.outer(left, right)).astype(np.int64)


def measurement_error(expected: NDArray[Any], sigma: float) -> float:
    """Rows of L1 error left in a pair table that is measured with noise `sigma` and then denoised.

    A cell errs by the noise's mean deviation 0.8 sigma, but hardly by more than twice its own size, since estimates are
    not negative. The factor 0.6 is empirical: dependent columns leave most cells empty, and those are set to zero. On
    six tables 0.3 to 0.6 chose better trees than 1, which avoids the largest tables even where they are diagonal.
    """
    return OPTIMISM * float(np.minimum(math.sqrt(2 / math.pi) * sigma, 2.0 * expected + 0.1 * sigma).sum())


def assign_slots(
    scores: Mapping[Clique, float],
    expected: Mapping[Clique, NDArray[Any]],
    *,
    sigma: float,
    slots: int,
    earlier: Mapping[Clique, float] = MappingProxyType({}),
    worth: Mapping[Clique, float] = MappingProxyType({}),
    first: Iterable[Clique] = (),
) -> dict[Clique, int]:
    """Slots of each chosen pair; they sum to `slots`.

    Args:
        scores: pair, or column by itself -> released distance of its exact table from `expected`, in rows; that of a
            column is the error that its noise leaves.
        expected: pair -> released table that the model predicts now.
        sigma: noise of one slot's table, rows.
        slots: tables to measure.
        earlier: pair -> noise of what was measured of it before; fresh tables are averaged with that by precision.
        worth: pair -> how much an error in it counts; 1 if left out.
        first: pairs that take a slot each, as far as there are any, before all compete for the rest.
    """
    chosen = dict.fromkeys(itertools.islice(first, slots), 1)

    def error(pair: Clique, own: int) -> float:
        if own == 0:
            return scores[pair]
        precision = own / sigma**2 + (1 / earlier[pair] ** 2 if pair in earlier else 0.0)
        return measurement_error(expected[pair], 1 / math.sqrt(precision))

    def bid(pair: Clique, left: int) -> tuple[float, Clique, int]:
        own = chosen.get(pair, 0)
        now = error(pair, own)
        fall, more = max(((now - error(pair, own + more)) / more, more) for more in range(1, min(BLOCK, left) + 1))
        return -fall * worth.get(pair, 1.0), pair, more

    left = slots - len(chosen)
    queue = [bid(pair, left) for pair in scores] if left else []
    heapq.heapify(queue)
    while left:
        _, pair, more = heapq.heappop(queue)
        if more <= left:
            chosen[pair] = chosen.get(pair, 0) + more
            left -= more
        if left:
            heapq.heappush(queue, bid(pair, left))
    return chosen
