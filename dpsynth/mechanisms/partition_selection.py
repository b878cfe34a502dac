"""Which keys exist: counts of the keys that occur, plus exact discrete Gaussian noise, released above a threshold.

Korolova et al. (2009), with the Gaussian form of Gopi et al. (2020): a unit that adds at most w to each of at most
kappa keys costs the noise on the keys that are there without it, and an atom `delta = 1 - (1 - p)^kappa`,
`p = P(w + Z >= threshold)`, for the keys that exist only through it. The event carries noise and threshold; the
accountant forms the atom. Keys that do not occur are never looked at, so a domain of any size costs its occurring
keys in time and memory.

Not guaranteed: that rare keys are found. A key held by one unit appears with probability at most delta.

>>> threshold_for(sigma="10", delta=1e-9, weight=1)
62
>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> keys, noisy, event = partition_selection(
...     ["b", "a", "rare"], np.array([500, 900, 1]), sigma="10", threshold=62, noise=unsafe_SeededNoise(3))
>>> keys
['a', 'b']
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accounting.event import PartitionSelection
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import sample_discrete_gaussian, tail

Key = TypeVar("Key", str, int, np.int64)


def partition_selection(
    keys: Sequence[Key] | NDArray[Any],
    counts: NDArray[np.int64],
    *,
    sigma: Decimal | str,
    threshold: int,
    noise: NoiseSource,
    l2_sensitivity: Decimal | str | int = 1,
    max_keys: int = 1,
) -> tuple[list[Key], NDArray[np.int64], PartitionSelection]:
    """Release the keys whose noisy count reaches the threshold.

    Args:
        keys: the keys that occur, comparable with each other; their order is forgotten.
        counts: rows per key, int64, shape (len(keys),).
        sigma: scale of the discrete Gaussian noise.
        threshold: smallest noisy count that is released.
        noise: uniform words; its `kind` enters the event.
        l2_sensitivity: largest L2 change of the counts by one unit; also bounds what it adds to one key (a unit with
            at most k records: k).
        max_keys: kappa, the most keys that one unit touches (a unit with at most k records: k).

    Returns:
        The released keys in ascending order, their noisy counts, and the event.

    Raises:
        ParameterError: keys and counts do not match.
    """
    if len(keys) != len(counts):
        raise ParameterError("Expected one count per key (partition selection).")
    noisy = counts.astype(np.int64) + sample_discrete_gaussian(len(counts), sigma=sigma, noise=noise)
    event = PartitionSelection(
        sigma=Decimal(sigma),
        threshold=Decimal(int(threshold)),
        l2_sensitivity=Decimal(l2_sensitivity),
        max_keys=max_keys,
        count=1,
        noise=noise.kind,
    )
    released = np.flatnonzero((counts >= 1) & (noisy >= threshold)).tolist()
    released.sort(key=lambda at: keys[at])
    return [keys[at] for at in released], noisy[released], event


def threshold_for(*, sigma: Decimal | str, delta: float, weight: int, max_keys: int = 1) -> int:
    """The smallest threshold whose atom is at most `delta`.

    Args:
        sigma: scale of the discrete Gaussian noise.
        delta: the atom allowed to this one selection (approximate DP, relation and unit of the tree).
        weight: w, the most that one unit adds to one key.
        max_keys: kappa, the most keys that one unit touches.

    Returns:
        The threshold, an integer >= weight.

    Raises:
        ParameterError: delta outside (0, 1).
    """
    if not 0 < delta < 1:
        raise ParameterError(f"Expected 0 < delta={delta} < 1 (partition selection).")
    chance = -math.expm1(math.log1p(-delta) / max_keys) * (1 - 1e-9)
    low, high = 0, 1
    while tail(high, sigma=sigma) > chance:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tail(middle, sigma=sigma) > chance else (low, middle)
    return weight + high
