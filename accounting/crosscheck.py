"""One price, vouched for by at least two accountants that share no method.

All accountants are asked; those with a proof for every event answer. The smallest answer is charged and all are
listed, unless two of them contradict each other, which means a defect and not a rounding:

* a tight PLD above RDP: RDP is valid, and loses to an exact loss distribution by construction;
* RDP above zCDP: its curves lie below zCDP's straight lines;
* any answer below an epsilon that an explicit adversary reaches (closed-form Gaussian part, which may fill a filter;
  attained block);
* a loss distribution whose Renyi divergence is below what some pair of neighbours attains. Divergences add up over
  repetitions, so this is what a lost repeat count cannot survive.

>>> from accounting.event import Gaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="10", l2_sensitivity="1", count=10),))
>>> price(tree, "1e-5").epsilon
Decimal('1.19937')

Not guaranteed: that the accountants agree on something true about code that they have never seen run.
"""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache

from accounting.accountant import Accountant, Opinion
from accounting.block import block_profile
from accounting.decimals import decimal_text, decimal_up, read_decimal
from accounting.errors import CrossCheckError, ParameterError, UnsupportedEventError
from accounting.event import EventTree, Exponential, PredictionTokens, ZCDPFilter
from accounting.gaussian import AnalyticAccountant, composed_mu, gaussian_epsilon
from accounting.guarantee import Guarantee
from accounting.pld import PLDAccountant, compose
from accounting.pure import PureAccountant
from accounting.rdp import RDPAccountant, attained_divergence
from accounting.zcdp import ZCDPAccountant

PLD, RDP, ZCDP = PLDAccountant(), RDPAccountant(), ZCDPAccountant()
ACCOUNTANTS: tuple[Accountant, ...] = (AnalyticAccountant(), PLD, RDP, ZCDP, PureAccountant())
DIGITS = 6
MAX_ADVERSARY_STEPS = 120


def price(tree: EventTree, delta: Decimal | str | int) -> Guarantee:
    """Smallest epsilon that can be proved for `tree`, cross-checked.

    Args:
        tree: events with their relation and unit.
        delta: in [0, 1), exact; never a float.

    Returns:
        Guarantee with epsilon rounded up to six decimals and every accountant's own figure.

    Raises:
        ParameterError: if delta is outside its range, or partition selection alone spends it.
        UnsupportedEventError: if fewer than two accountants have a proof for every event.
        CrossCheckError: if two accountants contradict each other.
    """
    exact = read_decimal(delta, "delta")
    if exact >= 1:
        raise ParameterError(f"Expected delta={decimal_text(exact)} in [0, 1): at 1 nothing is promised.")
    return _price(tree, exact)


@lru_cache(maxsize=64)
def _price(tree: EventTree, delta: Decimal) -> Guarantee:
    opinions: dict[str, Opinion] = {}
    reasons: list[str] = []
    for accountant in ACCOUNTANTS:
        try:
            opinions[accountant.name] = accountant.opinion(tree, float(delta))
        except UnsupportedEventError as error:
            reasons.append(f"{accountant.name}: {error}")
    check(tree, float(delta), opinions)
    finite = {name: opinion.epsilon for name, opinion in opinions.items() if math.isfinite(opinion.epsilon)}
    if len(finite) < 2:
        raise UnsupportedEventError(
            f"Only {len(finite)} of {len(ACCOUNTANTS)} accountants can price these events at this delta, and one "
            f"accountant is no cross-check ({'; '.join(reasons[:3])}).",
            "Use events and a delta that two methods cover; see docs/concepts/accounting.md.",
        )
    # The double nearest to 0.1 is above it and would become 0.100001: 1e-12 of it is taken back before rounding up.
    rounded = {name: decimal_up(max(0.0, epsilon * (1 - 1e-12)), DIGITS) for name, epsilon in finite.items()}
    best = min(rounded, key=lambda name: rounded[name])
    return Guarantee(
        epsilon=rounded[best],
        delta=delta,
        relation=tree.relation,
        unit=tree.unit,
        accountant=best,
        all={name: decimal_text(epsilon) for name, epsilon in rounded.items()},
    )


def check(tree: EventTree, delta: float, opinions: dict[str, Opinion]) -> None:
    """Refuse opinions that cannot all be right.

    Raises:
        CrossCheckError: naming the two figures that contradict each other.
    """
    floors = _attained_epsilons(tree, delta)
    for name, opinion in opinions.items():
        if math.isnan(opinion.epsilon) or opinion.epsilon < 0:
            raise _contradiction(name, opinion.epsilon, "any epsilon is at least", 0.0)
        for proof, floor in floors.items():
            if opinion.epsilon < floor * (1 - 1e-6) - 1e-9:
                raise _contradiction(name, opinion.epsilon, proof, floor)
    pld, rdp, zcdp = (opinions.get(accountant.name) for accountant in (PLD, RDP, ZCDP))
    if pld and rdp and pld.tight and pld.epsilon > rdp.epsilon * 1.001 + 1e-3:
        raise _contradiction(PLD.name, pld.epsilon, f"{RDP.name} proves at most", rdp.epsilon)
    if rdp and zcdp and rdp.epsilon > zcdp.epsilon * 1.001 + 1e-3:
        raise _contradiction(RDP.name, rdp.epsilon, f"{ZCDP.name} proves at most", zcdp.epsilon)
    if pld and rdp:
        # A low order weighs the bulk, where truncated tails and rounding do not reach.
        order = 1 + min(1.0, 2 / max(rdp.epsilon, 1e-9))
        seen, floor = compose(tree, delta).divergence(order), attained_divergence(tree, order)
        if seen < floor * (1 - 1e-3) - 1e-9:
            raise _contradiction(f"{PLD.name} (Renyi order {order:.3g})", seen, "neighbours attain", floor)


def _attained_epsilons(tree: EventTree, delta: float) -> dict[str, float]:
    """Epsilons that explicit adversaries reach at `delta` against parts of the tree."""
    floors: dict[str, float] = {}
    # One Gaussian of mu^2 = 2 rho is a course that a filter admits.
    filters = math.fsum(event.count * float(event.rho) for event in tree.events if isinstance(event, ZCDPFilter))
    mu = math.sqrt(composed_mu(tree) ** 2 + 2 * filters)
    if mu and delta > 0:
        floors["the Gaussian part alone has"] = gaussian_epsilon(mu, delta) * (1 - 1e-9)
    etas: list[float] = []
    for event in tree.events:
        if isinstance(event, (Exponential, PredictionTokens)):
            etas += [float(event.bounded_range)] * min(event.count, MAX_ADVERSARY_STEPS - len(etas))
    if etas and delta > 0:
        floors["an explicit adversary reaches"] = block_profile(tuple(etas), resolution=16).epsilon_at_least(delta)
    return floors


def _contradiction(name: str, found: float, proof: str, bound: float) -> CrossCheckError:
    return CrossCheckError(
        f"{name} says {found:.6g}, but {proof} {bound:.6g}: one of them is wrong, so neither may be charged.",
        "Report the event tree; do not release under either figure.",
    )
