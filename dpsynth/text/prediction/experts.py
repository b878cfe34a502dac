"""What a bin's records say of the next token: one row of log-probabilities a record.

The only thing that privacy asks of an expert: its row is a function of its own record, of public text and of released
tokens. What it says is clipped (`aggregators`), so that quality and not privacy depends on whether it is any good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.backends.protocol import Tokens


class GroupExperts(Protocol):
    """The experts of some bins that are decoded together, one lane each."""

    def begin(self, topics: Sequence[str]) -> None:
        """Go back to the start of a text of that topic in each lane."""

    def rows(self, lane: int, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Log-probabilities of the lane's next token (private), but for a constant a row, in blocks of shape (n, V).

        Args:
            lane: whose.
            public: the public model's log-probabilities in that lane, shape (V,).
        """

    def append(self, tokens: Tokens, going: NDArray[np.bool_]) -> None:
        """A token was released in each lane that is still `going`; both of shape (lanes,)."""


class Experts(Protocol):
    """Makes experts for the records of bins."""

    @property
    def one_sided(self) -> bool:
        """Whether a row is never below the public log-probabilities: its difference to them is >= 0."""

    @property
    def public_power(self) -> float:
        """The public model's probabilities are raised to this power: below 1 for one that is too sure of itself."""

    @property
    def ceiling(self) -> float | None:
        """Log-probability up to which records may lift a token; None for any."""

    def public_prompt(self, topic: str) -> Tokens:
        """What the public model is asked, without a record."""

    @property
    def lanes(self) -> int:
        """How many bins are decoded together, public."""

    def open(self, bins: Sequence[Sequence[Tokens]]) -> GroupExperts:
        """Experts of the records (private) of some bins, at most `lanes`, already cut to the public length."""
