"""How surprising texts are to a public language model: too fluent and too odd, beside real texts.

The model has seen neither set, so it is a judge of form: words drawn at random surprise it, a phrase repeated does not.
A mean hides both, so three figures: the gap between the logarithms of the perplexities, the share of texts *less*
surprising per token than 95 % of the real ones are (`low`), and the share *more* surprising than 95 % of them (`high`);
real texts have 5 % of each.

>>> real = Surprise(totals=np.full(40, -20.0), tokens=np.full(40, 10.0))
>>> perplexity_gap(real, Surprise(totals=np.full(40, -10.0), tokens=np.full(40, 10.0)))
1.0

Not guaranteed: that the model knows the language. A model of another language calls everything odd alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import DataError

Floats = NDArray[np.float64]
Scorer: TypeAlias = Callable[[Sequence[str]], tuple[NDArray[np.floating], NDArray[np.floating | np.integer]]]
"""Texts -> log-likelihood of each in nats, and its number of tokens."""
MOST_SCORED = 1_000
QUANTILE = 0.05


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surprise:
    """Of each text: total log-likelihood in nats and tokens, both float64 (texts,)."""

    totals: Floats
    tokens: Floats

    @property
    def each(self) -> Floats:
        """Nats a token."""
        return -self.totals / np.maximum(self.tokens, 1)

    @property
    def log_perplexity(self) -> float:
        """Nats a token over all texts."""
        return float(-self.totals.sum() / max(self.tokens.sum(), 1.0))


def surprise(scorer: Scorer, texts: Sequence[str]) -> Surprise:
    """What the scorer says of the first `MOST_SCORED` texts.

    Raises:
        DataError: it does not return one finite likelihood and one number of tokens a text.
    """
    some = list(texts[:MOST_SCORED])
    totals, tokens = (np.asarray(part, dtype=np.float64) for part in scorer(some))
    if totals.shape != (len(some),) or tokens.shape != totals.shape or not np.isfinite(totals).all():
        raise DataError("The scorer did not return a finite log-likelihood and a number of tokens for each text.",
                        "Return two arrays with one entry a text.")  # fmt: skip
    return Surprise(totals=totals, tokens=tokens)


def perplexity_gap(real: Surprise, other: Surprise) -> float:
    """Absolute difference of the logarithms of the perplexities."""
    return abs(real.log_perplexity - other.log_perplexity)


def shares_beyond(real: Surprise, other: Surprise) -> tuple[float, float]:
    """Shares of `other` below the 5 % and above the 95 % quantile of `real`."""
    low, high = np.quantile(real.each, [QUANTILE, 1 - QUANTILE])
    return float((other.each < low).mean()), float((other.each > high).mean())
