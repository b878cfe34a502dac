"""One of many outcomes drawn with a probability that favours the best."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from accounting.events.fields import Checked, Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential(Checked):
    """Exponential mechanism, Gumbel report-noisy-max, or softmax draw: Pr[y] proportional to exp(c u(D, y)).

    `bounded_range` is c times the range over y of u(D, y) - u(D', y): twice c * sensitivity in general, once for
    scores that move one way only. Permute-and-flip and Laplace noisy max are `PureDP`, not this.
    """

    type_name: ClassVar[str] = "exponential"

    bounded_range: Decimal
    count: int = 1
    noise: Noise = "exact"
