"""Marks with a fixed form, such as blackened names and e-mail addresses: as many synthetic texts hold one as real ones?

Real records are often redacted before anybody sees them; texts without the marks look cleaner than the source, texts
full of them are unreadable. Kinds: redactions (`XXXX`, `XX/XX/2023`, `[NAME]`, `<EMAIL>`, `***`, runs of █ or _) and
the four kinds of identifiers of `attacks.text.identifiers`; a card number or IBAN counts only with its check digits.

>>> shares(["Dear XXXX, write to a@example.org", "no mark here"])
{'redaction': 0.5, 'card': 0.0, 'iban': 0.0, 'email': 0.5, 'phone': 0.0}

Not guaranteed: whether a value is a real person's is asked by the attacks, not here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attacks.text.identifiers import KINDS, identifiers

REDACTION = re.compile(r"\bX{2,}\b|\[[A-Z][A-Z_ ]{2,30}\]|<[A-Z][A-Z_ ]{2,30}>|\*{3,}|█+|_{3,}")


def shares(texts: Sequence[str]) -> dict[str, float]:
    """Share of texts that hold at least one mark of each kind."""
    found = {"redaction": 0, **dict.fromkeys(KINDS, 0)}
    for text in texts:
        found["redaction"] += REDACTION.search(text) is not None
        for kind, values in identifiers([text]).items():
            found[kind] += bool(values)
    return {kind: count / max(len(texts), 1) for kind, count in found.items()}


def gap(real: dict[str, float], other: dict[str, float], kinds: Sequence[str]) -> float:
    """Largest difference over these kinds."""
    return max(abs(real[kind] - other[kind]) for kind in kinds)
