"""Texts that are mostly words: bounds on symbols, digits, white space and lines that break off.

    other       punctuation, symbols, control characters      at most 25 % of all characters
    digits                                                    at most 25 %
    space       white space                                   at most 40 %
    marks       "#" and ellipses for each word                at most 0.1
    long        longest word                                  at most 100 characters

The rules are those of NeMo Curator's and Gopher's heuristic filters; limits theirs where they have one, wider for
digits (15 % there), since complaints and notes hold amounts and dates. Unicode says what is punctuation, so vowel signs
and other marks of a script count as letters.

>>> Symbols().keep(["The fee was $35 on 3/4.", "@@## }{ ;; ++ <<"], []).tolist()
[True, False]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

_MARKS = re.compile(r"#|\.\.\.|…")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """See the module; an empty text stays.

    Args:
        other, digits, space: parts of all characters, 0 to 1.
        marks: for each word, at least 0.
        long: characters, at least 1.
    """

    other: float = 0.25
    digits: float = 0.25
    space: float = 0.4
    marks: float = 0.1
    long: int = 100

    def __post_init__(self) -> None:
        if not all(0.0 <= part <= 1.0 for part in (self.other, self.digits, self.space)):
            raise ParameterError("Expected other, digits and space in [0, 1].", "Give parts, such as 0.25.")
        if not self.marks >= 0.0 or self.long < 1:
            raise ParameterError("Expected marks >= 0 and long >= 1.", "Leave them out for the defaults.")

    @property
    def name(self) -> str:
        """For the card."""
        return "symbols"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text keeps to the bounds."""
        return np.fromiter((self._worded(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """The bounds."""
        return asdict(self)

    def _worded(self, text: str) -> bool:
        size, words = max(len(text), 1), text.split()
        digits = sum(letter.isdecimal() for letter in text)
        space = sum(letter.isspace() for letter in text)
        other = sum(category(letter)[0] in "PSC" and not letter.isspace() for letter in text)
        return (
            other / size <= self.other
            and digits / size <= self.digits
            and space / size <= self.space
            and len(_MARKS.findall(text)) <= self.marks * max(len(words), 1)
            and max(map(len, words), default=0) <= self.long
        )
