"""Parts: what the rows of wide intervals are counted by once more, so that draws inside intervals keep their pattern.

Each part is a histogram with a public number of outcomes; `part_queries` asks, `calendar` and `roundness` say what the
outcomes are.

>>> SIZES["weekday"]
7
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

Part = Literal["weekday", "day", "month", "clock", "round"]
HOURS, ROUNDNESS = 24, 6
UNITS = np.array([unit * 10**power for power in range(12) for unit in (1, 5)], dtype=np.int64)
"""Units of round numbers; each divides the next."""
SIZES = MappingProxyType[Part, int](
    {"weekday": 7, "day": 32, "month": 12, "clock": HOURS * ROUNDNESS, "round": len(UNITS)}
)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartCounts:
    """Released counts of one part.

    Attributes:
        part: which.
        counts: noisy rows of intervals per outcome, float64, shape (SIZES[part],).
        sigma: scale of the noise on each, rows.
    """

    part: Part
    counts: NDArray[np.float64]
    sigma: float
