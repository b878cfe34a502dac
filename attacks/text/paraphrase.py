"""Planted paraphrases: rule-based rewordings of known texts, for positive controls.

No language model is at hand to reword, so the plants are made by rules that leave the meaning about as it was: one
common word for another, numbers changed, neighbouring words swapped, small words dropped or added, about one edit in
eight words, one at least. A method that misses these plants has no say about paraphrases.

>>> paraphrase("we must use the large house because it is important", np.random.default_rng(3))
'we must use the large house because it is major'

Not guaranteed: that a person or a model would reword so gently. Recall on these plants is an upper bound of what is
found of free rewording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

EDIT_EVERY = 8
_GROUPS = (
    "use employ utilize",
    "large big great",
    "small little tiny",
    "because since as",
    "important major key",
    "get obtain receive",
    "give provide supply",
    "show display present",
    "return yield deliver",
    "compute calculate determine",
    "value figure amount",
    "also additionally too",
    "but yet however",
    "must should shall",
    "begin start commence",
    "end finish close",
    "buy purchase acquire",
    "help assist aid",
    "need require want",
    "make create build",
    "change alter modify",
    "different distinct other",
    "number count quantity",
    "function routine procedure",
    "default standard usual",
    "company firm business",
    "money cash funds",
    "loan credit advance",
    "pay remit settle",
    "said stated told",
    "called phoned rang",
    "movie film picture",
    "good fine nice",
    "bad poor awful",
    "many several numerous",
    "before prior ahead",
    "after following past",
    "if whether when",
    "may might can",
    "each every any",
)
_SMALL = frozenset(["a", "an", "the", "very", "quite", "just", "only", "also", "then", "so", "that", "of"])
_NUMBER = re.compile(r"\d{1,18}")


def _synonyms() -> Mapping[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for group in _GROUPS:
        words = tuple(group.split())
        for word in words:
            table.setdefault(word, tuple(w for w in words if w != word))
    return MappingProxyType(table)


SYNONYMS = _synonyms()


def paraphrase(text: str, rng: np.random.Generator) -> str:
    """The text with about one word in eight edited; a single word is repeated."""
    words = text.split()
    if len(words) < 2:
        return " ".join(words * 2)
    wanted = max(1, len(words) // EDIT_EVERY)
    free = [i for i, w in enumerate(words) if w.casefold() in SYNONYMS or _NUMBER.fullmatch(w)]
    places = [free[i] for i in rng.permutation(len(free))[:wanted]]
    for at in places:
        word = words[at]
        if _NUMBER.fullmatch(word):
            words[at] = str(int(word) + 1)
        else:
            options = SYNONYMS[word.casefold()]
            words[at] = options[int(rng.integers(len(options)))]
    for _ in range(wanted - len(places)):
        at = int(rng.integers(len(words) - 1)) if len(words) > 1 else 0
        if words[at].casefold() in _SMALL and len(words) > 2:
            del words[at]
        elif len(words) > 1:
            words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)
