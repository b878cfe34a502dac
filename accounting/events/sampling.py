"""Noise on a fresh sample of the units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from accounting.errors import EventError
from accounting.events.additive import Gaussian
from accounting.events.fields import Checked, Noise, Reader


def read_gaussian(value: object, name: str) -> Gaussian:
    """The inner event: no other amplification is proved here."""
    if not isinstance(value, Gaussian):
        raise EventError(f"Expected {name} to be a gaussian event inside poisson_sampled: nothing else is proved here.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonSampled(Checked):
    """`event` on a fresh sample that each privacy unit joins independently with `probability`, `count` times."""

    type_name: ClassVar[str] = "poisson_sampled"
    own_readers: ClassVar[Mapping[str, Reader]] = {"event": read_gaussian}

    probability: Decimal
    event: Gaussian
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        if self.event.count != 1:
            raise EventError("Expected count 1 inside poisson_sampled: one draw a step.", "Put the count outside.")

    def to_json(self) -> dict[str, Any]:
        """As for other events; the inner object carries no count of its own."""
        inner = {key: value for key, value in self.event.to_json().items() if key != "count"}
        return {**Checked.to_json(self), "event": inner}
