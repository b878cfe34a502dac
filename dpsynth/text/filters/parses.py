"""Texts that a parser reads: the nearest thing to an executable check that runs nobody's code.

>>> Parses(language="python").keep(["x = 1", "x = "], []).tolist()
[True, False]

`python` is the grammar of the running interpreter, `json` the standard library's. Nothing is executed.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

LANGUAGES = ("json", "python")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parses:
    """See the module.

    Args:
        language: of `LANGUAGES`.
    """

    language: str

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ParameterError(f"No parser of {self.language!r} here.", f"Use one of {', '.join(LANGUAGES)}.")

    @property
    def name(self) -> str:
        """For the card."""
        return f"parses-{self.language}"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text is read."""
        return np.fromiter((self._read(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """The language."""
        return {"language": self.language}

    def _read(self, text: str) -> bool:
        try:
            if self.language == "json":
                json.loads(text)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the text, such as an invalid escape
                    ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return True
