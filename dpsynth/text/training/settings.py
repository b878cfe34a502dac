"""How many steps, at which rate and clip: public numbers, so that a plan follows from public facts.

Not guaranteed: the best of anything; few were tried (`RATES`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, final

from accounting.event import Event
from dpsynth.sgd.schedule import Schedule


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSteps:
    """What a run will spend.

    Attributes:
        schedule: noisy steps.
        length: tokens that a text is cut to.
    """

    schedule: Schedule
    length: int

    @property
    def events(self) -> tuple[Event, ...]:
        """All steps, one event."""
        return (self.schedule.event(),)

    def describe(self) -> dict[str, Any]:
        """Public settings, ready for JSON."""
        return {
            "steps": self.schedule.steps,
            "sigma": str(self.schedule.sigma),
            "probability": str(self.schedule.probability),
            "clip": str(self.schedule.clip),
            "texts_cut_to_tokens": self.length,
        }


STEPS = 20
PROBABILITY = Decimal("0.25")
CLIP = Decimal("1")
RATES = {"full": 8e-3, "lora": 1e-2}
"""Learning rates at the first step. See `docs/concepts/text-dpsgd.md` for what they were tried on: docstrings of
scientific packages as the private texts, a model of film reviews as the public one; no other text."""

LARGEST = 1000
"""Noise in clips beyond which steps teach nothing."""
