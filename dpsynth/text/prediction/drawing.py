"""The token: an exponential mechanism over integer scores, drawn exactly.

Pr[token] is proportional to exp(score / (s tau GRID)) on public candidates, scores int64. The draw is by exact
inversion (`mechanisms.inversion`): lazy comparison of uniform bits with certified bounds, no Gumbel noise in floats
and no caveat. It takes about a tenth of a millisecond for 2,000 candidates, little beside the logits.

Bounded range of a draw: that of the score's change times 1 / (s tau GRID); see `aggregators.protocol` for the change
and `accounting.events.selection.PredictionTokens` for the event.

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> draw(np.array([0, 50, 0]), np.array([0, 2]), Fraction(1, 10), unsafe_SeededNoise(1)) in (0, 2)
True

Streams: each bin reads words of its own stream under a key drawn before anything private was read. So, given the
entropy, what one bin says changes no word of another, and a bin that was finished before an interruption leaves the
others their words.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.noise import NoiseSource
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.mechanisms.inversion import ExactInversion


def draw(scores: NDArray[np.int64], allowed: NDArray[np.int64], rate: Fraction, noise: NoiseSource) -> int:
    """One token.

    Args:
        scores: integers, shape (V,), spread below 2^53.
        allowed: candidates, public, at least one.
        rate: 1 / (s tau GRID), exact.
        noise: uniform words.

    Returns:
        The chosen token's id.
    """
    own = scores[allowed]
    gaps = int(own.max()) - own
    exponents = gaps.astype(np.float64) * float(rate)
    table = ExactInversion(exponents, lambda at: int(gaps[at]) * rate, bounded=True)
    return int(allowed[table.draw(1, noise)[0]])


@final
class Stream:
    """Words of one bin.

    Args:
        noise: source of the key; its kind is the stream's.
    """

    __slots__ = ("_words", "kind")

    kind: Literal["exact", "seeded"]

    def __init__(self, noise: NoiseSource) -> None:
        self.kind = noise.kind
        self._words = ReplayedNoise(noise.uint64(4).tobytes())

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """The next `n` words, shape (n,)."""
        return self._words.uint64(n)
