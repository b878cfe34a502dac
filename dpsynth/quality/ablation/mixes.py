"""Mixes of real and synthetic rows, in two modes, and the draws of rows on which each is tried.

    fixed   as many rows in all for every share s: (1 - s) N real and s N synthetic; what is a synthetic row worth
            in a real one's place?  N is the smaller table, or the real one if the other is within 5 % of it.
    extra   all n real rows, and s / (1 - s) n synthetic ones: what do synthetic rows add?

Draws are permutations: a mix takes rows from the front, so that mixes of one draw share their rows and differ by the
share alone.

>>> [(mix.real, mix.synthetic) for mix in plan((0.0, 0.5), real=100, synthetic=80)]
[(80, 0), (40, 40), (100, 0)]
>>> plan((0.0, 0.5), real=100, synthetic=120)[-1].mode
'extra'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.quality.ablation.document import Mode

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
FULL = 2
"""Draws of all rows; their mean is the figure."""
ALIKE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many rows of each kind."""

    mode: Mode
    share: float
    real: int
    synthetic: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Draw:
    """Rows to take from: places in the tables, in random order.

    Attributes:
        cut: which cut into halves this is of; None for all rows.
        real, synthetic: training rows.
        tests: test table -> rows.
        seed: of the learner.
    """

    cut: int | None
    real: NDArray[np.int64]
    synthetic: NDArray[np.int64]
    tests: Mapping[str, NDArray[np.int64]]
    seed: int


def checked_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Sorted, without repetitions, and with 0, to which all others are compared.

    Raises:
        ParameterError: a share outside [0, 1], or none above 0.
    """
    out = tuple(sorted({0.0, *(float(share) for share in shares)}))
    if not 0 <= out[0] <= out[-1] <= 1 or len(out) < 2:
        raise ParameterError("Expected shares of synthetic rows between 0 and 1.", "Use 0, 0.25, 0.5 and 1, say.")
    return out


def plan(shares: Sequence[float], *, real: int, synthetic: int) -> tuple[Mix, ...]:
    """All mixes of both modes that there are rows for."""
    alike = real * (1 - ALIKE) <= synthetic  # rows of a DP generator are a noisy number of them
    total = real if alike else synthetic
    out = []
    for share in shares:
        borrowed = round(share * total)
        out.append(Mix(mode="fixed", share=share, real=total - borrowed, synthetic=min(borrowed, synthetic)))
    for share in shares:
        added = round(real * share / (1 - share)) if share < 1 else None
        if added is not None and added <= max(synthetic, real if alike else 0):
            out.append(Mix(mode="extra", share=share, real=real, synthetic=min(added, synthetic)))
    return tuple(out)


def draws(
    real: int, synthetic: int, tests: Mapping[str, int], *, splits: int, rng: np.random.Generator
) -> tuple[Draw, ...]:
    """Some of all rows, then two complementary halves of all tables for each cut."""

    def orders() -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        return rng.permutation(real), rng.permutation(synthetic), {t: rng.permutation(n) for t, n in tests.items()}

    out = []
    for seed in range(FULL):
        a, b, t = orders()
        out.append(Draw(cut=None, real=a, synthetic=b, tests=t, seed=seed))
    for cut in range(splits):
        a, b, t = orders()
        out += [
            Draw(
                cut=cut,
                real=_half(a, half),
                synthetic=_half(b, half),
                tests={name: _half(rows, half) for name, rows in t.items()},
                seed=FULL + 2 * cut + half,
            )
            for half in (0, 1)
        ]
    return tuple(out)


def _half(order: NDArray[np.int64], which: int) -> NDArray[np.int64]:
    middle = order.size // 2
    return order[:middle] if which == 0 else order[middle : 2 * middle]
