"""How a private training run spends: fixed before any data is read, and equal to what the ledger records.

Every step draws a fresh Poisson sample of the privacy units, clips each unit's gradient to an L2 norm of `clip`, adds
Gaussian noise of standard deviation `sigma * clip` to every live coordinate of the sum, and moves the parameters by a
function of that noisy sum alone. A step whose sample is empty still adds noise and still counts. The event is the
Poisson-subsampled Gaussian, `steps` times (Abadi et al. 2016; Mironov et al. 2019), under add/remove one unit.

>>> Schedule(probability="0.25", steps=100, sigma="16.28", clip="8").event().to_json()["count"]
100

Not guaranteed: anything for a sampler that is not Poisson, or a batch that is not divided by a number fixed beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import final

from accounting.event import Gaussian, Noise, PoissonSampled
from dpsynth.core.errors import ParameterError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The privacy side of a run.

    Attributes:
        probability: q, with which every unit joins each step's sample, on its own; 0 < q <= 1.
        steps: number of noisy sums that are taken, whatever the samples hold.
        sigma: standard deviation of the noise on every coordinate, in units of `clip`.
        clip: largest L2 norm that one unit's rows together may add to a sum.
    """

    probability: Decimal
    steps: int
    sigma: Decimal
    clip: Decimal

    def __post_init__(self) -> None:
        for name in ("probability", "sigma", "clip"):
            object.__setattr__(self, name, Decimal(str(getattr(self, name))))
        if not 0 < self.probability <= 1:
            raise ParameterError(
                f"Expected probability={self.probability} in (0, 1] (Poisson sampling of units).",
                "A batch rate above 1 would use every unit more than once a step.",
            )
        if self.steps < 1:
            raise ParameterError(f"Expected steps={self.steps} >= 1.")
        if not (self.sigma > 0 and self.clip > 0):
            raise ParameterError(f"Expected sigma={self.sigma} > 0 and clip={self.clip} > 0.")

    def event(self, noise: Noise = "exact") -> PoissonSampled:
        """What the run spends, add/remove one unit, in units of `clip` (the ratio is all that matters)."""
        return PoissonSampled(
            probability=self.probability,
            event=Gaussian(sigma=self.sigma, l2_sensitivity=Decimal(1), noise=noise),
            count=self.steps,
            noise=noise,
        )
