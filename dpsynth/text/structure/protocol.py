"""A form that every text must have, as an automaton over a model's tokens.

The form is public and the automaton moves by released tokens, so what it allows is post-processing: a mask on the
candidates costs nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.backends.protocol import LanguageModel


class Automaton(Protocol):
    """Where one text stands."""

    def allowed(self) -> NDArray[np.bool_]:
        """Tokens that may come next, shape (V,), at least one; the model's `end` where the text may end."""

    def advance(self, token: int) -> None:
        """Take a token that is allowed."""

    def fork(self) -> Automaton:
        """A copy that moves on its own."""


class Structure(Protocol):
    """A form, such as a JSON schema or a regular expression."""

    def begin(self, model: LanguageModel) -> Automaton:
        """At the start of a text, over this model's vocabulary; compiled once for each model."""

    def accepts(self, text: str) -> bool:
        """Whether a whole text has the form: a text that ran out of tokens may not."""

    def describe(self) -> dict[str, str]:
        """Public, for the card."""
