"""A check that generated texts must pass, declared before the run and counted in the card.

Filters see generated texts and public ones, so they are post-processing. One that compares with private texts is not a
filter but a query: there is no argument here through which it could get them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Verifier(Protocol):
    """A user's own check: that code runs, that a number is right, that a classifier finds nothing toxic."""

    def check(self, text: str) -> bool:
        """Whether the text may stay."""


class Filter(Protocol):
    """A declared step after generation."""

    @property
    def name(self) -> str:
        """For the card."""

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:
        """Which of `texts` may stay, shape (texts,); `earlier` are those that were kept before."""

    def describe(self) -> dict[str, Any]:
        """Settings, for the card."""
