"""The signed card as JSON: the same fields in the same words, for programs without a YAML reader.

Not guaranteed: the order of keys; JSON has none.
"""

from __future__ import annotations

from dpsynth.release.cards.facts import CardFacts
from dpsynth.release.documents import parse_yaml, pretty


def plain(facts: CardFacts) -> bytes:
    """Deterministic bytes."""
    return pretty(parse_yaml(facts.card.encode(), name="card.yaml"))
