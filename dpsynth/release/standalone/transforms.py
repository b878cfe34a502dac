"""Stand-in for the few functions of scipy that the loss distributions use, in plain Python.

A Fourier transform of a power of two (Cooley and Tukey 1965), the normal distribution function and its logarithm, and a
one-pole filter. Here because `verify_bundle.py` must run where only Python and `cryptography` are.

>>> [round(abs(value), 6) for value in rfft([1.0, 0.0, 0.0, 0.0])]
[1.0, 1.0, 1.0]
"""

from __future__ import annotations

import cmath
import math
from functools import lru_cache
from operator import add, mul, sub
from typing import Any

from dpsynth.release.standalone.arrays import Array, plain

_SERIES_FROM = -25.0


def next_fast_len(size: int, real: bool = True) -> int:  # noqa: ARG001 - scipy's signature
    """The next power of two."""
    return 1 << max(1, (size - 1).bit_length())


def rfft(values: Any) -> Array:
    """Spectrum of real values, whose number is a power of two: the first half and the middle.

    Neighbours go as one complex number, which halves the transform (Press et al., Numerical Recipes, 12.3).
    """
    items = plain(values)
    half = _transform(list(map(complex, items[::2], items[1::2])), -1)
    turned = [half[0], *half[:0:-1]]
    roots = _roots(len(items), -1)
    found = [
        0.5 * ((z + y.conjugate()) - 1j * root * (z - y.conjugate()))
        for z, y, root in zip(half, turned, roots, strict=True)
    ]
    return Array([*found, complex(half[0].real - half[0].imag)])


def irfft(spectrum: Any, size: int) -> Array:
    """Real values of a half spectrum."""
    up = plain(spectrum)
    down = up[::-1]
    packed = [
        (x + y.conjugate()) + 1j * root * (x - y.conjugate())
        for x, y, root in zip(up[:-1], down[:-1], _roots(size, 1), strict=True)
    ]
    made = _transform(packed, 1)
    return Array([part / size for value in made for part in (value.real, value.imag)])


def ndtr(values: Any) -> Array:
    """Normal distribution function."""
    return Array([0.5 * math.erfc(-x * math.sqrt(0.5)) for x in plain(values)])


def log_ndtr(values: Any) -> Array:
    """Its logarithm; far out by the asymptotic series (Abramowitz and Stegun 7.1.23)."""
    return Array([_log_normal(x) for x in plain(values)])


def lfilter(forward: list[float], back: list[float], values: Any) -> Array:
    """y_i = b x_i - a y_(i-1)."""
    [b], [_, a], state, found = forward, back, 0.0, []
    for x in plain(values):
        state = b * x - a * state
        found.append(state)
    return Array(found)


def _log_normal(x: float) -> float:
    if x > _SERIES_FROM:
        return math.log(0.5 * math.erfc(-x * math.sqrt(0.5)))
    square = x * x
    tail = -1 / square + 3 / square**2 - 15 / square**3 + 105 / square**4 - 945 / square**5
    return -square / 2 - math.log(-x) - 0.5 * math.log(2 * math.pi) + math.log1p(tail)


@lru_cache(maxsize=64)
def _roots(size: int, sign: int) -> tuple[complex, ...]:
    return tuple(cmath.rect(1.0, sign * 2 * math.pi * at / size) for at in range(size // 2))


def _transform(values: list[complex], sign: int) -> list[complex]:
    size = len(values)
    if size == 4:
        a, b, c, d = values
        even, odd, between, across = a + c, b + d, a - c, (b - d) * complex(0, sign)
        return [even + odd, between + across, even - odd, between - across]
    if size < 4:
        return values if size == 1 else [values[0] + values[1], values[0] - values[1]]
    first, second = _transform(values[::2], sign), _transform(values[1::2], sign)
    turned = list(map(mul, _roots(size, sign), second))
    return [*map(add, first, turned), *map(sub, first, turned)]
