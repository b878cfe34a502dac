"""What a budget of fits buys, said before the first fit.

Half of the fits train the attack, the rest judge it: a quarter of these places the cuts, three quarters count.

>>> print(ShadowPlan(fits=400, each=4, endpoints=6, auc_limit=0.6, delta=1e-6))
400 fits: 200 train the attack, 200 judge it (50 place the cuts, 150 count), on 12 targets
a generator without leak passes AUC 0.6 in about 100 % of audits
a copied share of 33 % of the targets' stratum, or an AUC of 0.67, fails in four of five
no leak can show an epsilon above 5.81 at delta 1e-06
>>> fits_needed(each=4, margin=0.1)
104

Not guaranteed: the normal approximation that the second and third lines use; verdicts do not use it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from attacks.dp_audit.one_run import ladder, one_run_epsilon
from attacks.errors import AttackParameterError
from attacks.generators.evidence import auc_error
from attacks.generators.worlds import STRATA
from attacks.verdict import FAMILY_ALPHA

MIN_FITS = 40
CALIBRATION = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """How many fits do what, and what they can show.

    Attributes:
        fits: all of them.
        each: targets of each kind.
        endpoints: questions of the report.
        auc_limit: the limit of the AUC.
        delta: where epsilon is bounded.
    """

    fits: int
    each: int
    endpoints: int
    auc_limit: float
    delta: float

    def __post_init__(self) -> None:
        if self.fits < MIN_FITS or self.each < 1:
            raise AttackParameterError(
                f"Expected {MIN_FITS} fits or more and at least one target of a kind, got {self.fits} and {self.each}.",
                "Raise the budget: fewer fits can neither pass nor fail.",
            )
        if not 0.0 <= self.delta < 1.0:
            raise AttackParameterError(f"Expected delta in [0, 1), got {self.delta}.")

    @property
    def shadows(self) -> int:
        """Fits that train."""
        return self.fits // 2

    @property
    def judged(self) -> int:
        """Fits that judge."""
        return self.fits - self.shadows

    @property
    def placed(self) -> int:
        """Of the judging fits, those that place the cuts."""
        return max(8, round(CALIBRATION * self.judged))

    @property
    def counted(self) -> int:
        """Of the judging fits, those that are counted."""
        return self.judged - self.placed

    @property
    def targets(self) -> int:
        """All targets."""
        return self.each * len(STRATA)

    @property
    def passes(self) -> float:
        """Chance that the AUC of a generator without leak passes in one stratum."""
        return float(ndtr((self.auc_limit - 0.5) / self._error + ndtri(FAMILY_ALPHA)))

    @property
    def auc_caught(self) -> float:
        """AUC that fails in four of five audits."""
        level = -float(ndtri(FAMILY_ALPHA / self.endpoints))
        return min(1.0, self.auc_limit + (level + float(ndtri(0.8))) * self._error)

    @property
    def ceiling(self) -> float:
        """Most that the pooled bound can show at `delta`."""
        m = self.counted * self.targets
        level = FAMILY_ALPHA / 2.0 / 5.0
        return max(one_run_epsilon(m=m, guesses=r, correct=r, delta=self.delta, alpha=level) for r in ladder(m))

    @property
    def _error(self) -> float:
        return auc_error(self.judged, self.each)

    def __str__(self) -> str:
        return "\n".join(
            (
                f"{self.fits} fits: {self.shadows} train the attack, {self.judged} judge it ({self.placed} place the "
                f"cuts, {self.counted} count), on {self.targets} targets",
                f"a generator without leak passes AUC {self.auc_limit:g} in about {self.passes:.0%} of audits".replace(
                    "%", " %"
                ),
                f"a copied share of {2.0 * self.auc_caught - 1.0:.0%} of the targets' stratum, or an AUC of "
                f"{self.auc_caught:.2f}, fails in four of five".replace("%", " %"),
                f"no leak can show an epsilon above {self.ceiling:.2f} at delta {self.delta:g}",
            )
        )


def fits_needed(*, each: int, margin: float) -> int:
    """Fits with which a generator without leak passes a limit `margin` above one half with 80 % power."""
    z = float(ndtri(0.8)) - float(ndtri(FAMILY_ALPHA))
    return max(MIN_FITS, 2 * math.ceil(z * z / (3.0 * each * margin * margin)))
