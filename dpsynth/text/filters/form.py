"""Texts that have the form they were written in: what ran out of tokens before its form ended goes.

Masked decoding keeps every prefix on the way to the form; whether a text arrived is known when it stops. Both look at
released tokens only, so rejection is post-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.structure.protocol import Structure


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FormFilter:
    """See the module.

    Args:
        structure: the form.
    """

    structure: Structure

    @property
    def name(self) -> str:
        """For the card."""
        return "form"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text as a whole has the form."""
        return np.fromiter((self.structure.accepts(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """The form."""
        return self.structure.describe()
