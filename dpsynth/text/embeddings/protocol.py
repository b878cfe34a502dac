"""What votes need of an embedding: that near means alike, and that it was never fitted on a private text.

The protocol is the one of `attacks.text.embedding`, so that an encoder at hand serves both. One that must be fitted is
a `Fitting`: it gets public texts and nothing else, since a space fitted on private texts is a statistic of them that
nobody paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]


@runtime_checkable
class Embedding(Protocol):
    """A map from texts to points."""

    @property
    def name(self) -> str:
        """For cards; change it with the model."""

    def encode(self, texts: list[str], /) -> Points:
        """One row a text, float32, shape (n, d), all finite; d is one number for all calls.

        A private text comes in a call of its own.
        """


@runtime_checkable
class Fitting(Protocol):
    """An embedding before it has seen public texts."""

    @property
    def name(self) -> str:
        """For cards."""

    def fitted(self, public: Sequence[str], /) -> Embedding:
        """The embedding, by public texts alone."""
