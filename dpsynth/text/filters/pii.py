"""Texts without identifiers: e-mail addresses, telephone numbers, cards, bank accounts, national numbers, addresses.

>>> PersonalIdentifiers().keep(["call 212-555-0182", "call me", "IBAN GB82 WEST 1234 5698 7654 32"], []).tolist()
[False, True, False]

A text that holds one goes as a whole. Nothing is masked: a text with [EMAIL] in it is another text than the one that
was written, judged and attacked, and where a mask stands is information too. Kinds are those of
`attacks.text.identifiers`, with the same patterns as the attack that looks for training identifiers in the release, and
those of `patterns`. A text holds an invented number far more often than one of a person; both go.

Not guaranteed: names, addresses and numbers without a known form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from attacks.text.identifiers import KINDS, identifiers
from dpsynth.core.errors import ParameterError
from dpsynth.text.filters.patterns import EXTRA, has

ALL: tuple[str, ...] = (*KINDS, *EXTRA)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalIdentifiers:
    """See the module.

    Args:
        kinds: which are looked for; by default all of `ALL`.
    """

    kinds: tuple[str, ...] = ALL

    def __post_init__(self) -> None:
        if not self.kinds or (unknown := sorted(set(self.kinds) - set(ALL))):
            what = f"Unknown kind of identifier {unknown[0]!r}." if self.kinds else "No kind of identifier was named."
            raise ParameterError(what, f"Use any of {', '.join(ALL)}.")

    @property
    def name(self) -> str:
        """For the card."""
        return "pii"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether each text is free of identifiers."""
        return np.fromiter((self._free(text) for text in texts), dtype=np.bool_, count=len(texts))

    def describe(self) -> dict[str, Any]:
        """What was looked for."""
        return {"kinds": [kind for kind in ALL if kind in self.kinds]}

    def _free(self, text: str) -> bool:
        found = identifiers([text])
        return not any(found[kind] for kind in KINDS if kind in self.kinds) and not any(
            has(kind, text) for kind in EXTRA if kind in self.kinds
        )
