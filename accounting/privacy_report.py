"""All that can be said of an event tree: epsilon at three deltas, rho, mu, and how far an attacker can get.

>>> from accounting.event import Gaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="10", l2_sensitivity="1", count=10),))
>>> found = report(tree, "1e-5")
>>> [(str(g.delta), str(g.epsilon)) for g in found.guarantees]
[('0.000001', '1.367572'), ('0.00001', '1.19937'), ('0.00010', '1.008384')]
>>> str(found.rho), str(found.mu), str(found.ceiling)
('0.05', '0.316228', '0.0223')

The other two deltas are a tenth and ten times the one that was asked for: they show how epsilon grows where delta must
be smaller, and that delta is no threshold. The ceiling is the smallest of e^epsilon fpr + delta over the whole profile,
which is the most powerful test's true-positive rate (Neyman and Pearson; Dong, Roth and Su 2022, Proposition 2.12):
one (epsilon, delta) point says 0.0332 above.

Not guaranteed: anything about statements that are true of the table with or without a unit; `guarantee` says more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

import numpy as np

from accounting.crosscheck import RDP, price
from accounting.decimals import decimal_text, decimal_up, read_decimal
from accounting.errors import DeltaTooSmallError, ParameterError, UnsupportedEventError
from accounting.event import DiscreteGaussian, EventTree, Gaussian, PartitionSelection
from accounting.fold import fold
from accounting.gaussian import composed_mu
from accounting.guarantee import Guarantee
from accounting.pld import FOLD_ATOM, compose
from accounting.zcdp import event_rho, total_atoms

FPR = Decimal("0.01")
FACTORS = (Decimal("0.1"), Decimal(1), Decimal(10))
_POINTS = 10_000
_UP = Context(prec=4, rounding=ROUND_CEILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyReport:
    """A priced tree in every currency that it has.

    Args:
        guarantee: at the delta that was asked for, with every accountant's own figure.
        guarantees: at a tenth, at once and at ten times that delta; without those that thresholds alone spend.
        rho: zCDP, rounded up; None for sampled steps, which have none.
        mu: GDP, rounded up; None unless all noise is Gaussian, continuous or discrete.
        failure: probability that rho and mu do not cover: thresholds, (epsilon, delta) events and, for mu, the
            smoothing of discrete noise; rounded up, 0 if there are none.
        ceiling: largest true-positive rate at a false-positive rate of `FPR`, rounded up.
    """

    guarantee: Guarantee
    guarantees: tuple[Guarantee, ...]
    rho: Decimal | None
    mu: Decimal | None
    failure: Decimal
    ceiling: Decimal

    def sentence(self) -> str:
        """The claim for readers who have never met epsilon, with the ceiling of the whole profile; one sentence."""
        return self.guarantee.sentence(float(self.ceiling))

    def to_json(self) -> dict[str, Any]:
        """The guarantee's fields, and `deltas`, `rho`, `mu`, `failure`, `attacker`; numbers as decimal strings."""
        return {
            **self.guarantee.to_json(),
            "deltas": [
                {"delta": decimal_text(g.delta), "epsilon": decimal_text(g.epsilon), "accountant": g.accountant}
                for g in self.guarantees
            ],
            "rho": None if self.rho is None else decimal_text(self.rho),
            "mu": None if self.mu is None else decimal_text(self.mu),
            "failure": decimal_text(self.failure),
            "attacker": {"fpr": decimal_text(FPR), "tpr_at_most": decimal_text(self.ceiling)},
        }


def report(tree: EventTree, delta: Decimal | str | int) -> PrivacyReport:
    """Price `tree` at three deltas and in every currency.

    Args:
        tree: events with their relation and unit.
        delta: in [0, 1), exact.

    Raises:
        AccountingError: as `accounting.crosscheck.price` at `delta` itself.
    """
    exact = read_decimal(delta, "delta")
    guarantee = price(tree, exact)
    found = []
    for factor in FACTORS if exact else (Decimal(1),):
        try:
            found.append(guarantee if factor == 1 else price(tree, exact * factor))
        except (DeltaTooSmallError, UnsupportedEventError, ParameterError):
            continue
    mu, smoothing = _mu(tree, float(exact))
    return PrivacyReport(
        guarantee=guarantee,
        guarantees=tuple(found),
        rho=_rho(tree),
        mu=mu,
        failure=_UP.plus(Decimal(total_atoms(tree) + smoothing)),
        ceiling=_ceiling(tree, float(exact), found),
    )


def _rho(tree: EventTree) -> Decimal | None:
    try:
        return decimal_up(math.fsum(event.count * event_rho(event) for event in tree.events) * (1 - 1e-12), 6)
    except UnsupportedEventError:
        return None


def _mu(tree: EventTree, delta: float) -> tuple[Decimal | None, float]:
    """Mu of all Gaussian noise, discrete noise folded in, and the atom which that takes."""
    discrete, others = [], 0
    for event in tree.events:
        if isinstance(event, (DiscreteGaussian, PartitionSelection)):
            plain = DiscreteGaussian(sigma=event.sigma, l2_sensitivity=event.l2_sensitivity)
            discrete.append((plain, event.count))
        elif not isinstance(event, Gaussian):
            others += 1
    if others or (discrete and not delta):
        return None, 0.0
    if not discrete:
        return decimal_up(composed_mu(tree) * (1 - 1e-12), 6), 0.0
    try:
        joint = fold(discrete, atom=FOLD_ATOM * delta, smooth=composed_mu(tree) ** 2)
    except UnsupportedEventError:
        return None, 0.0
    return decimal_up(math.sqrt(joint.mu_squared) * (1 - 1e-12), 6), joint.atom


def _ceiling(tree: EventTree, delta: float, guarantees: list[Guarantee]) -> Decimal:
    """Smallest e^epsilon fpr + delta over all points that some accountant proves."""
    fpr = float(FPR)
    best = min(guarantee.attacker_ceiling(fpr) for guarantee in guarantees)
    try:
        losses = compose(tree, delta)
        if losses.pld is None:
            return FPR
        reach = losses.pld.remove.losses
        grid = reach[:: -(-len(reach) // _POINTS)]
        curve = np.max([side.deltas(grid) for side in losses.pld.sides], axis=0) + losses.noise
        curve = losses.atoms + (1 - losses.atoms) * curve
        best = min(best, float(np.min(np.exp(np.minimum(grid, 700.0)) * fpr + curve)))
    except (UnsupportedEventError, DeltaTooSmallError):
        for failure in np.logspace(-9, -0.5, 35) if delta else ():
            try:
                eps = RDP.opinion(tree, float(failure)).epsilon
            except (UnsupportedEventError, DeltaTooSmallError):
                continue
            best = min(best, _two_sided(eps, float(failure), fpr))
    return decimal_up(max(fpr, min(1.0, best)), 4)


def _two_sided(eps: float, delta: float, fpr: float) -> float:
    """The trade-off of one (epsilon, delta) point, as `Guarantee.attacker_ceiling`."""
    return min(math.exp(min(eps, 700.0)) * fpr + delta, 1 - math.exp(-eps) * (1 - delta - fpr))
