"""Noisy counts of a few outcomes, pulled towards what is expected of a column without a pattern. Post-processing.

Outcomes that stand out by four sigma keep their count; all others are shrunk together towards the expectation, by as
much as their spread is noise (James and Stein 1961, positive part).

>>> noisy = np.array([20_112.0, 19_875, 20_031, 19_940, 20_066, -31, 12])
>>> denoised(noisy, 50.0, np.full(7, 100_000 / 7)).round(-3).tolist()
[20000.0, 20000.0, 20000.0, 20000.0, 20000.0, 0.0, 0.0]

Not guaranteed: patterns that are smaller than the noise; they are flattened.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STANDS_OUT = 4.0


def denoised(noisy: NDArray[np.float64], sigma: float, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts near `expected` where the noise allows it, of the noisy total, non-negative.

    Args:
        noisy: counts with noise of scale `sigma`, shape (outcomes,).
        sigma: > 0.
        expected: what a draw without pattern would give, up to a factor; non-negative, shape (outcomes,).
    """
    out = np.zeros(len(noisy), dtype=bool)
    base = noisy
    for _ in range(len(noisy)):
        rest = ~out
        scale = max(float(noisy[rest].sum()), 0.0) / max(float(expected[rest].sum()), 1e-300)
        base = expected * scale
        more = rest & (np.abs(noisy - base) > STANDS_OUT * sigma)
        if not more.any():
            break
        more &= np.abs(noisy - base) >= np.abs(noisy - base)[more].max() / 2  # they distort the base of the others
        out |= more
    rest = ~out
    spread = float(((noisy - base)[rest] ** 2).sum())
    signal = max(0.0, 1.0 - (rest.sum() - 1) * sigma**2 / max(spread, 1e-300))
    return np.maximum(np.where(out, noisy, base + signal * (noisy - base)), 0.0)
