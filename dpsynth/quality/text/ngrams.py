"""Words in a row: how far apart two sets are, and what became of the rare ones.

Jensen-Shannon divergence in bits between the shares of n-grams (Lin 1991): 0 for equal shares, 1 for nothing in common.
It sees order for n >= 2, which embeddings hardly do: real texts with their words shuffled keep n = 1 at 0. The interval
is a grouped jackknife's over ten parts of the other set (Efron 1982, ch. 2): texts are independent, words are not.

The tail, per band of how many real texts hold an n-gram: the share of its n-grams that the other set has at all
(`kept`), and the share of the other set's n-grams that no real text has (`invented`). Fluent averages hide its loss.

>>> from dpsynth.quality.text.sets import TextSet
>>> divergence(TextSet.of(["to be or not"]), TextSet.of(["not or be to"]), 1).value
0.0
>>> divergence(TextSet.of(["to be or not"]), TextSet.of(["not or be to"]), 2).value
1.0

Not guaranteed: values of different sizes do not compare; every comparison here stands beside one of real texts of the
same number. Punctuation in ASCII and case are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from attacks.text.tokens import Hashes
from dpsynth.quality.text.names import BANDS
from dpsynth.quality.text.sets import TextSet

GROUPS = 10
_Z = 1.959963984540054
Shares = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure with its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def jensen_shannon(p: Shares, q: Shares) -> float:
    """In bits, of two vectors of shares over the same outcomes."""
    middle = (p + q) / 2
    total = 0.0
    for side in (p, q):
        some = side > 0
        total += float((side[some] * np.log2(side[some] / middle[some])).sum()) / 2
    return min(max(total, 0.0), 1.0)


def divergence(real: TextSet, other: TextSet, n: int, *, interval: bool = False) -> Spread:
    """Between the n-grams of two sets; 1 if one has none."""
    ours, theirs = real.size(n), other.size(n)
    if not ours or not theirs:
        return Spread(value=1.0)
    (mine, times), (wanted, counts) = real.kinds(n), other.kinds(n)
    at, both = _found(mine, wanted)
    if not interval or len(other) < 2 * GROUPS:
        p, q = times[at[both]] / ours, counts[both] / theirs
        alone = 2.0 - p.sum() - q.sum()  # an n-gram of one side adds half of its share
        middle = (p + q) / 2
        shared = (p * np.log2(p / middle)).sum() + (q * np.log2(q / middle)).sum()
        return Spread(value=min(max(float(alone + shared) / 2, 0.0), 1.0))
    p = np.concatenate([times, np.zeros(int((~both).sum()))]) / ours  # the kinds of `real`, then the others' own
    place = at.copy()
    place[~both] = np.arange(len(mine), len(p))
    owners = other.ascending(n)[1]
    kind = np.repeat(place, counts)
    counted = np.bincount(kind * GROUPS + owners % GROUPS, minlength=len(p) * GROUPS).reshape(-1, GROUPS)
    whole = counted.sum(axis=1)
    value = jensen_shannon(p, whole / whole.sum())
    without = [left for left in (whole - counted[:, g] for g in range(GROUPS)) if left.sum() > 0]
    partial = np.array([jensen_shannon(p, left / left.sum()) for left in without])
    half = _Z * float(np.sqrt((GROUPS - 1) / GROUPS * ((partial - partial.mean()) ** 2).sum()))
    return Spread(value=value, low=max(0.0, value - half), high=min(1.0, value + half))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Of one comparison: band -> kept, and n-grams, for bands that have one; invented share."""

    kept: dict[tuple[int, int], float]
    kinds: dict[tuple[int, int], int]
    invented: float


def tail(real: TextSet, other: TextSet, n: int) -> Tail:
    """What of the real n-grams the other set keeps, and what it invents."""
    kinds, texts = real.kinds(n)[0], real.holders(n)
    theirs, counts = other.kinds(n)
    at, both = _found(kinds, theirs)
    held = np.zeros(len(kinds), dtype=bool)
    held[at[both]] = True
    bands = {band: (texts >= band[0]) & (texts <= band[1]) for band in BANDS}
    return Tail(
        kept={band: float(held[inside].mean()) for band, inside in bands.items() if inside.any()},
        kinds={band: int(inside.sum()) for band, inside in bands.items() if inside.any()},
        invented=float(counts[~both].sum() / counts.sum()) if len(theirs) else 1.0,
    )


def _found(kinds: Hashes, wanted: Hashes) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted hash is among the ascending kinds, and whether it is there."""
    if not len(kinds):
        return np.zeros(len(wanted), dtype=np.intp), np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(kinds, wanted), len(kinds) - 1)
    return at, kinds[at] == wanted


def length_distance(real: TextSet, other: TextSet) -> float:
    """Kolmogorov-Smirnov distance between the numbers of words."""
    ours, theirs = np.sort(real.encoded.lengths), np.sort(other.encoded.lengths)
    at = np.concatenate([ours, theirs])
    below = (np.searchsorted(side, at, side="right") / len(side) for side in (ours, theirs))
    return float(np.abs(next(below) - next(below)).max())
