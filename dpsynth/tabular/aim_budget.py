"""How AIM spends: the scale of the next round, and the filter that no round may pass.

The schedule is that of McKenna et al. (2022), Algorithm 4, in units of zCDP. A step chooses one pair (a tenth of its
rho, the exponential mechanism) and measures it (the rest, the discrete Gaussian). Steps are small at first. After a
measurement that taught less than its own noise, further ones at that scale would too: the next step is four times as
large (sigma / 2, epsilon * 2). When less than two rounds are left, the next round takes everything.

All of it looks at released numbers only. Scales are rounded towards more noise, and the filter admits a step before its
noise is drawn, so what is drawn never adds up to more than the bound, whatever the course.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import final

from accounting.decimals import decimal_down
from accounting.event import DiscreteGaussian, Event, Exponential, ZCDPFilter
from accounting.filters import RunningFilter, exact_rho
from dpsynth.tabular.allocation import five_digits

CHOOSING = 0.1
"""Part of a step's rho that chooses the pair, as in the paper."""
GROWTH = 4.0
"""Factor of a step's rho after a round that taught less than its noise: half the noise."""
SLACK = 1e-5
"""Sigma is larger by this part, far more than floating point can be wrong by: the last step never passes the bound."""


@final
class AdaptiveBudget:
    """Scales of noise of the next step, within a filter.

    Args:
        event: the bound, zCDP, add/remove one unit of at most `max_records` rows.
        steps: how many steps the bound would last for if none taught too little.
        batch: steps of one round, between two fits.
        max_records: k, the most rows of one unit.
    """

    def __init__(self, event: ZCDPFilter, *, steps: int, batch: int, max_records: int) -> None:
        self._filter = RunningFilter(event)
        self._noise = event.noise
        self._bound, self._records = float(event.rho), max_records
        self._step, self._batch = float(event.rho) / steps, batch

    @property
    def part_spent(self) -> float:
        """Part of the bound that is spent, 0 to 1."""
        return 1.0 - float(self._filter.left) / self._bound

    @property
    def steps(self) -> tuple[Event, ...]:
        """Events admitted so far."""
        return tuple(self._filter.steps)

    def next_round(self) -> int:
        """How many steps the next round has; 0 when the bound is spent. The last round takes what is left."""
        left = float(self._filter.left)
        if left < 1e-3 * self._bound:
            return 0
        if left < 2 * self._batch * self._step:
            self._step = left / self._batch
        return self._batch

    def grow(self) -> None:
        """Larger steps from now on."""
        self._step *= GROWTH

    @property
    def sigma(self) -> Decimal:
        """Scale of the noise of a step's table, in rows, rounded up.

        Sized with what the event itself will cost: for large k its squared change is a little more than k^2.
        """
        at_one = float(exact_rho(self._table(Decimal(1))))
        return five_digits(math.sqrt(at_one / ((1 - CHOOSING) * self._step)) * (1 + SLACK))

    def coefficient(self, score_range: int) -> Decimal:
        """Inverse temperature of a step's choice between scores whose change spreads over `score_range`."""
        factor = math.sqrt(8 * CHOOSING * self._step) / score_range
        return decimal_down(factor, max(0, 4 - math.floor(math.log10(factor))))

    def admit_choice(self, coefficient: Decimal, score_range: int) -> None:
        """Before an exponential mechanism draws.

        Raises:
            FilterExhaustedError: it must not.
        """
        self._filter.admit(Exponential(bounded_range=coefficient * score_range, noise=self._noise))

    def admit_table(self, sigma: Decimal) -> None:
        """Before the noise of a pair table is drawn.

        Raises:
            FilterExhaustedError: it must not be.
        """
        self._filter.admit(self._table(sigma))

    def _table(self, sigma: Decimal) -> DiscreteGaussian:
        return DiscreteGaussian(sigma=sigma, l2_sensitivity=Decimal(self._records), noise=self._noise)
