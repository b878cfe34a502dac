"""The smallest group that a release can show: what its noise hides, in rows, and in words that officials know.

From the events alone, which are public: noise of sigma rows (standard deviation) on a count tells a group from none,
at 5 % false alarms and 80 % power, from about 2.49 sigma rows on (`dpsynth.quality.tails.resolution_limit`). The least
noisy count decides, so every other count shows less.

>>> resolution_view([10.0]).rows
25

Not guaranteed: that a larger group is right; several noisy tables can be better together than each alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.quality.tails import resolution_limit
from dpsynth.report.views import Document, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionView:
    """Standard deviation of the least noisy count and the group that it just shows, both in rows."""

    sigma: str
    rows: int

    @property
    def short(self) -> str:
        """For a table."""
        return f"about {self.rows} rows"

    @property
    def analogy(self) -> str:
        """In the words of disclosure control."""
        return f"as if every table suppressed cells below about {self.rows} rows, or blurred them beyond use"

    @property
    def sentence(self) -> str:
        """For the first page."""
        return (
            f"The least noisy count has a standard deviation of {self.sigma} rows: one count cannot tell a group of "
            f"fewer than {self.rows} rows from none. It is {self.analogy}."
        )


def resolution_view(sigmas: Sequence[float]) -> ResolutionView | None:
    """From the standard deviations of the noise on counts; None without any."""
    if not sigmas:
        return None
    least = min(sigmas)
    return ResolutionView(sigma=f"{least:.3g}", rows=math.ceil(resolution_limit(least)))


def sigmas_of(events: Document | None) -> tuple[float, ...]:
    """Noise of every Gaussian count in an event tree's document."""
    if events is None:
        return ()
    with reading("events"):
        return tuple(
            float(body["sigma"])
            for body in events["events"]
            if body["type"] in {"gaussian", "discrete_gaussian"} and "sigma" in body
        )
