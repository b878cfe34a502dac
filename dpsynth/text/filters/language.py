"""Texts in the languages that were asked for, as py3langid tells them.

>>> Language(only=("en",)).keep(["The bank never called me back.", "Die Bank rief nie zurück."], []).tolist()
[True, False]

py3langid (BSD-3) is naive Bayes over byte n-grams, its model inside the package. A text stays if its likeliest language
is one of `only` with at least `probability`. A text without a letter is in no language and stays.

Not guaranteed: that texts of a few words are told; "hello" has its likeliest language at 0.07 and goes. Bound lengths
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """See the module.

    Args:
        only: ISO 639 codes, at least one.
        probability: that the language must have, 0 to 1.
    """

    only: tuple[str, ...]
    probability: float = 0.5

    def __post_init__(self) -> None:
        known = set(_identifier().nb_classes)
        if not self.only or (unknown := sorted(set(self.only) - known)):
            what = f"Unknown language {unknown[0]!r}." if self.only else "No language was named."
            raise ParameterError(what, f"Use codes such as en; known are {', '.join(sorted(known))}.")
        if not 0.0 <= self.probability <= 1.0:
            raise ParameterError(f"Expected probability={self.probability} in [0, 1].", "Choose 0.5, for instance.")

    @property
    def name(self) -> str:
        """For the card."""
        return "language"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text is in one of the languages."""
        return np.fromiter((self._told(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """Languages, and how sure."""
        return {"only": sorted(self.only), "probability": self.probability}

    def _told(self, text: str) -> bool:
        if not any(letter.isalpha() for letter in text):
            return True
        code, probability = _identifier().classify(text.encode("utf-8", "replace").decode("utf-8"))
        return code in self.only and float(probability) >= self.probability


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """The model that ships with py3langid.

    Raises:
        ParameterError: it is not installed.
    """
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError:
        raise ParameterError(
            "A filter of languages needs py3langid, which is not installed.", "pip install 'dpsynth-release[text]'"
        ) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
