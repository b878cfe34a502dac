"""Texts that do not go round in circles: Gopher's rules on repeated word n-grams and lines.

    n-grams of 2, 3, 4 words    the most frequent one, if it comes twice, holds at most 20, 18, 16 % of the characters
    n-grams of 5 words          those that came before hold at most 15 % of the characters
    lines                       at most 30 % repeat an earlier one

Limits as in Rae et al. 2021 (Gopher), table A1, where they were set for web documents; `scale` multiplies the five.
Texts under `min_words` stay: two equal pairs among five words are no circle.

>>> Repetition().keep(["no no no no " * 8, "the fee was late and nobody told me why it was not waived"], []).tolist()
[False, True]

Not guaranteed: sense. Word salad without repeats passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

TOP = {2: 0.20, 3: 0.18, 4: 0.16}
AGAIN = {5: 0.15}
LINES = 0.30


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """See the module.

    Args:
        min_words: shorter texts stay.
        scale: factor of all limits, above 0; larger is more lenient.
    """

    min_words: int = 12
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.min_words < 1 or not 0.0 < self.scale <= 5.0:
            raise ParameterError("Expected min_words >= 1 and scale in (0, 5].", "Leave them out for the defaults.")

    @property
    def name(self) -> str:
        """For the card."""
        return "repetition"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text keeps to the rules."""
        return np.fromiter((self._varied(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """Limits as they were applied."""
        limits = {f"top_{n}_words": limit for n, limit in TOP.items()}
        limits |= {f"repeated_{n}_words": limit for n, limit in AGAIN.items()} | {"repeated_lines": LINES}
        return {"min_words": self.min_words} | {name: round(limit * self.scale, 4) for name, limit in limits.items()}

    def _varied(self, text: str) -> bool:
        words = text.casefold().split()
        if len(words) < self.min_words:
            return True
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return (
            all(top_share(words, n) <= limit * self.scale for n, limit in TOP.items())
            and all(repeated_share(words, n) <= limit * self.scale for n, limit in AGAIN.items())
            and len(lines) - len(set(lines)) <= LINES * self.scale * len(lines)
        )


def top_share(words: Sequence[str], n: int) -> float:
    """Part of all words' characters that the most frequent n-gram holds, counting each of its occurrences."""
    counts = Counter(zip(*(words[at:] for at in range(n)), strict=False))
    if not counts:
        return 0.0
    most = max(counts.values())
    if most < 2:
        return 0.0
    held = most * max(sum(map(len, gram)) for gram, count in counts.items() if count == most)
    return held / sum(map(len, words))


def repeated_share(words: Sequence[str], n: int) -> float:
    """Part of all words' characters that lie in n-grams seen before in the text, each character counted once."""
    seen: set[tuple[str, ...]] = set()
    again = np.zeros(len(words), dtype=np.bool_)
    for at in range(len(words) - n + 1):
        gram = tuple(words[at : at + n])
        again[at : at + n] |= gram in seen
        seen.add(gram)
    sizes = np.array([len(word) for word in words])
    return float(sizes[again].sum() / sizes.sum()) if len(words) else 0.0
