"""Exact draws from weights `b_i exp(-x_i)`, b integer and x rational: the one sampler under all our noise.

A uniform U in [0, 1) is known only by its leading 63 bits, an interval. The survival function
`S(i) = sum_{j >= i} w_j / sum_j w_j` is known only by a floating-point enclosure. Where interval and enclosures
decide `#{i >= 1: U < S(i)}`, that is the draw. Where they do not (about once in 10^10 draws) the same comparison
is repeated with 64 more bits of U and 25 more decimal digits of S, in integer and correctly rounded decimal
arithmetic, until it is decided. The law of the draw is therefore the stated one exactly, with no floating-point
caveat; this is lazy comparison as in Canonne, Kamath and Steinke (2020, section 5.3), by inversion instead of
rejection so that a million draws take a fraction of a second.

Not covered: timing. The rare exact branch takes visibly longer, and drawing until all are accepted depends on the
noise (never on data).

>>> from fractions import Fraction
>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> coin = ExactInversion(np.array([0.0, 0.5]), lambda i: Fraction(i, 2), bounded=True)
>>> round(float(coin.draw(100_000, unsafe_SeededNoise(1)).mean()), 2)      # exp(-1/2) / (1 + exp(-1/2)) = 0.378
0.38
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.noise import NoiseSource

_BITS = 63
_ULP = 2.0**-52
TAIL_EXPONENT = 50.0
"""An unbounded table ends where weights fall below exp(-50) < 2^-72; the rest is reached by the exact branch."""


@final
class ExactInversion:
    """Draws index i with probability proportional to `b_i exp(-x_i)`.

    Args:
        exponents: float64, shape (n,), each within 4 ulp of the exact exponent, smallest 0.
        exact: the exact exponent of an index, a non-negative Fraction. For unbounded weights it must be convex
            and increasing (log-concave weights), which bounds the tail by a geometric series.
        bounded: True if the indices are 0..n-1; False if they go on for ever and `exponents` is the beginning.
        base: b, positive integers, one per index, bounded only; 1 if left out.
    """

    __slots__ = ("_base", "_bounded", "_certain", "_exact", "_possible", "_size")

    def __init__(
        self,
        exponents: NDArray[np.float64],
        exact: Callable[[int], Fraction],
        *,
        bounded: bool,
        base: Sequence[int] | None = None,
    ) -> None:
        self._exact, self._bounded, self._size, self._base = exact, bounded, len(exponents), base
        weights = np.exp(-exponents)  # numpy's exp is within 4 ulp
        if base is not None:
            weights *= np.array([float(b) for b in base])
        suffix, additions = _cumulative(weights[::-1])  # ascending: S(n-1), ..., S(0)
        # Relative error: additions, exponent error (4 ulp of at most 750, beyond which weights are zero), exp.
        slack = (additions + 4.0 * min(float(exponents.max(initial=0.0)), 750.0) + 16.0) * _ULP
        scaled = suffix[:-1] / suffix[-1] * 2.0**_BITS  # S(n-1), ..., S(1) in units of 2^-63
        certain = np.maximum(np.floor(scaled * (1 - slack)) - 2, 0)
        possible = np.minimum(np.ceil(scaled * (1 + slack)) + 2, 2.0**_BITS)
        if not bounded:  # S(n), the tail, lies between 0 and 2 units
            certain, possible = np.r_[0.0, certain], np.r_[2.0, possible]
        self._certain, self._possible = certain.astype(np.uint64), possible.astype(np.uint64)

    def draw(self, n: int, noise: NoiseSource) -> NDArray[np.int64]:
        """`n` independent indices, shape (n,), dtype int64."""
        return self.decide(noise.uint64(n) >> np.uint64(1), noise)

    def decide(self, words: NDArray[np.uint64], noise: NoiseSource) -> NDArray[np.int64]:
        """Indices for the given 63-bit words, the leading bits of U; more bits come from `noise` if needed."""
        least = len(self._certain) - np.searchsorted(self._certain, words, side="right")
        most = len(self._possible) - np.searchsorted(self._possible, words, side="right")
        index = least.astype(np.int64)
        for at in np.flatnonzero(least != most):
            index[at] = self._resolve(int(words[at]), int(least[at]), int(most[at]), noise)
        return index

    def _resolve(self, value: int, least: int, most: int, noise: NoiseSource) -> int:
        """The index for U in [value, value + 1) / 2^63, known to lie in least..most (or beyond, if unbounded)."""
        bits, digits = _BITS, 40
        while True:
            open_end = not self._bounded and most >= self._size
            low, high = self._enclosures(least, None if open_end else most, digits)
            sure = least + len([bound for bound in low if value + 1 <= bound * 2**bits])
            maybe = least + len([bound for bound in high if value < bound * 2**bits])
            if sure == maybe:
                return sure
            value, bits, digits = value << 64 | int(noise.uint64(1)[0]), bits + 64, digits + 25

    def _enclosures(self, least: int, most: int | None, digits: int) -> tuple[list[Fraction], list[Fraction]]:
        """Lower and upper bounds of S(i) for i = least+1..most; `most=None` runs to where the tail is negligible.

        Decimal's `exp` is correctly rounded and every sum has positive terms, so with 15 guard digits (exponents
        below 10^6, at most 10^8 terms) the relative error stays below 10^-digits.
        """
        with localcontext() as context:
            context.prec, context.Emin, context.Emax = digits + 15, -(10**9), 10**9
            weights: list[Decimal] = []
            smallest = Decimal(10) ** -(digits + 3)
            while not self._ended(len(weights), weights, smallest):
                exponent = self._exact(len(weights))
                weight = (-Decimal(exponent.numerator) / Decimal(exponent.denominator)).exp()
                weights.append(weight if self._base is None else weight * self._base[len(weights)])
            suffix, running = [Decimal(0)] * (len(weights) + 1), Decimal(0)
            for index in range(len(weights) - 1, -1, -1):
                running += weights[index]
                suffix[index] = running
            tail = Decimal(0)
            if not self._bounded:  # log-concave: ratios fall, so the tail is below geometric
                ratio = weights[-1] / weights[-2]
                tail = weights[-1] * ratio / (1 - ratio)
            last = len(weights) if most is None else most
            error = Fraction(1, 10**digits)
            total, rest = Fraction(suffix[0]), Fraction(tail) * 2
            low = [Fraction(suffix[i]) / (total + rest) * (1 - error) for i in range(least + 1, last + 1)]
            high = [(Fraction(suffix[i]) + rest) / total * (1 + error) for i in range(least + 1, last + 1)]
        return low, high

    def _ended(self, count: int, weights: list[Decimal], smallest: Decimal) -> bool:
        if self._bounded:
            return count == self._size
        return count > max(self._size, 2) and weights[-1] < smallest * weights[0]


def _cumulative(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Non-decreasing running sums and the most roundings in any of them, about 2 sqrt(n) instead of n."""
    side = math.isqrt(len(weights)) + 1
    padded = np.zeros(side * side)
    padded[: len(weights)] = weights
    inner = np.cumsum(padded.reshape(side, side), axis=1)
    before = np.concatenate([[0.0], np.cumsum(inner[:-1, -1])])
    return (inner + before[:, None]).ravel()[: len(weights)], 2 * side + 1


def bernoulli_exp(
    gamma: NDArray[np.float64], exact: Callable[[int], Fraction], noise: NoiseSource
) -> NDArray[np.bool_]:
    """Independent Bernoulli(exp(-gamma)) decisions, exact by the same lazy comparison.

    Args:
        gamma: float64, shape (n,), non-negative, each within 4 ulp of the exact value.
        exact: position -> the exact gamma.
        noise: uniform words.

    Returns:
        bool, shape (n,).
    """
    words = noise.uint64(len(gamma)) >> np.uint64(1)
    chance = np.exp(-gamma) * 2.0**_BITS
    slack = (4.0 * np.minimum(gamma, 750.0) + 16.0) * _ULP
    accepted: NDArray[np.bool_] = words < np.maximum(np.floor(chance * (1 - slack)) - 1, 0).astype(np.uint64)
    rejected = words >= np.minimum(np.ceil(chance * (1 + slack)) + 1, 2.0**_BITS).astype(np.uint64)
    for at in np.flatnonzero(~accepted & ~rejected):
        accepted[at] = _below_exp(int(words[at]), exact(int(at)), noise)
    return accepted


def _below_exp(value: int, gamma: Fraction, noise: NoiseSource) -> bool:
    """Whether U in [value, value + 1) / 2^63, extended by as many bits as needed, is below exp(-gamma)."""
    if gamma == 0:
        return True
    bits, digits = _BITS, 40
    while True:
        with localcontext() as context:
            context.prec = digits + 15
            chance = Fraction((-Decimal(gamma.numerator) / Decimal(gamma.denominator)).exp())
        error = Fraction(1, 10**digits)
        if (value + 1) <= chance * (1 - error) * 2**bits:
            return True
        if value >= chance * (1 + error) * 2**bits:
            return False
        value, bits, digits = value << 64 | int(noise.uint64(1)[0]), bits + 64, digits + 25


@final
class SymmetricSampler:
    """Integers z with probability proportional to `exp(-x(|z|))`, x convex with x(0) = 0: exact, vectorised.

    |z| is drawn in blocks of `width` (a power of two): the block by inversion under the weight of its first
    integer, then a uniform offset, accepted with probability `exp(-(x(|z|) - x(first)))`. A fair sign follows, and
    "minus zero" is rejected. With `width` 1 nothing but minus zero is ever rejected.

    Args:
        exponent: |z| -> exact exponent, a Fraction.
        difference: (first, offset) float64 arrays -> `x(first + offset) - x(first)` within 4 ulp.
        scale: the law's standard deviation or a bound near it; decides the table length (at most ~10^5 entries).
    """

    __slots__ = ("_blocks", "_difference", "_exponent", "_width")

    def __init__(
        self,
        exponent: Callable[[int], Fraction],
        difference: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
        *,
        scale: float,
    ) -> None:
        self._exponent, self._difference = exponent, difference
        self._width = 1 << max(0, math.ceil(math.log2(max(scale, 1.0))) - 11)
        length = 64
        zero = np.zeros(1)
        while difference(zero, np.array([float(length * self._width)]))[0] < TAIL_EXPONENT:
            length *= 2
        first = np.arange(length, dtype=np.float64) * self._width
        exponents = difference(np.zeros(length), first)
        keep = max(2, int(np.searchsorted(exponents, TAIL_EXPONENT)) + 1)
        width = self._width
        self._blocks = ExactInversion(exponents[:keep], lambda block: exponent(block * width), bounded=False)

    def draw(self, n: int, noise: NoiseSource) -> NDArray[np.int64]:
        """`n` independent draws, shape (n,), dtype int64."""
        out = np.empty(n, dtype=np.int64)
        filled = 0
        while filled < n:
            batch = self._propose(n - filled, noise)
            out[filled : filled + len(batch)] = batch
            filled += len(batch)
        return out

    def _propose(self, n: int, noise: NoiseSource) -> NDArray[np.int64]:
        words = noise.uint64(n)
        negative = (words & np.uint64(1)).astype(bool)
        first = self._blocks.decide(words >> np.uint64(1), noise) * self._width
        size = first
        keep = np.ones(n, dtype=bool)
        if self._width > 1:
            offset = (noise.uint64(n) & np.uint64(self._width - 1)).astype(np.int64)
            size = first + offset
            gamma = self._difference(first.astype(np.float64), offset.astype(np.float64))

            def exact(at: int) -> Fraction:
                return self._exponent(int(size[at])) - self._exponent(int(first[at]))

            keep = bernoulli_exp(gamma, exact, noise)
        keep &= ~(negative & (size == 0))
        return np.where(negative, -size, size)[keep]
