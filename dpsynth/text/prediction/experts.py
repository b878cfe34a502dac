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


class BinExperts(Protocol):
    """The experts of one bin, somewhere in one of its texts."""

    def begin(self, topic: str) -> None:
        """Go back to the start of a text of that topic."""

    def rows(self, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Log-probabilities of the next token (private), in blocks of shape (n, V); blank rows are left out.

        Args:
            public: the public model's log-probabilities, shape (V,).
        """

    def append(self, token: int) -> None:
        """A token was released."""


class Experts(Protocol):
    """Makes experts for the records of a bin."""

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
    def public_width(self) -> int | None:
        """Tokens that each public prompt takes; None for the longest of the topics'."""

    def open(self, records: Sequence[Tokens]) -> BinExperts:
        """Experts of these records (private), already cut to the public length."""
