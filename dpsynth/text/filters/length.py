"""Texts neither too short nor too long, by bounds that are public settings.

>>> Length(min_words=2, max_characters=12).keep(["late fee", "fee", "a very late fee"], []).tolist()
[True, False, False]

A word is a run of characters without white space. Bounds read off private texts would be a query: state them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """See the module; each bound is inclusive, at least one is needed.

    Args:
        min_characters, max_characters: Unicode code points.
        min_words, max_words: runs without white space.
    """

    min_characters: int | None = None
    max_characters: int | None = None
    min_words: int | None = None
    max_words: int | None = None

    def __post_init__(self) -> None:
        bounds = asdict(self)
        if all(value is None for value in bounds.values()):
            raise ParameterError(
                "A filter of lengths without a bound keeps everything.", "Set min_words, for instance."
            )
        for what in ("characters", "words"):
            low, high = bounds[f"min_{what}"], bounds[f"max_{what}"]
            if (low is not None and low < 0) or (high is not None and high < max(low or 0, 0)):
                raise ParameterError(f"Expected 0 <= min_{what} <= max_{what}.", "Correct the bounds.")

    @property
    def name(self) -> str:
        """For the card."""
        return "length"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text keeps to the bounds."""
        return np.fromiter((self._within(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """The bounds that were set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def _within(self, text: str) -> bool:
        words = len(text.split()) if (self.min_words, self.max_words) != (None, None) else 0
        return _between(len(text), self.min_characters, self.max_characters) and _between(
            words, self.min_words, self.max_words
        )


def _between(value: int, low: int | None, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
