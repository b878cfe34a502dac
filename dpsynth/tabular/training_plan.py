"""Plans of generators that train: 1-ways and tables by shares of the budget, the steps' noise by the joint price.

Shares of rho (zCDP at the target's epsilon and delta) fix the noise of histograms and tables. Then sigma of the steps
is searched until the tree of all events, steps included, costs the target by its privacy loss distribution: a
subsampled Gaussian is far from its zCDP bound, so a share of rho would be no price for it.

Numbers of steps, their probability and their clip follow from public facts alone: the number of columns and epsilon.

Not guaranteed: the best division. A target that even the noisiest steps allowed here (`LARGEST`) miss is refused.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from accounting.calibration import calibrate
from accounting.crosscheck import price
from accounting.decimals import decimal_text
from accounting.errors import CalibrationError
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.zcdp import zcdp_epsilon
from dpsynth.core.errors import ParameterError
from dpsynth.schema.model import Schema
from dpsynth.sgd.schedule import Schedule
from dpsynth.tabular.allocation import Allocation, Shares, allocate, five_digits
from dpsynth.tabular.planning import calibrated_plan, check_rows, checked_target
from dpsynth.tabular.protocol import Plan

LARGEST = 1000.0
"""Noise multiplier beyond which steps teach nothing."""


def trained_plan(
    generator: str,
    schema: Schema,
    unit: PrivacyUnit,
    *,
    epsilon: Decimal | str | float,
    delta: Decimal | str | float,
    shares: Shares,
    probability: Decimal | str | float,
    steps: int,
    clip: Decimal | str | float,
) -> Plan:
    """The plan whose joint price is at most (epsilon, delta), by at most 0.1 % less; a single column is not trained.

    Args:
        generator: name to write into the plan.
        schema: public facts.
        unit: whose rows, and at most how many of them; add/remove one unit. A step's sensitivity is its clip for all
            rows of a unit together, a table's is their number.
        epsilon: target.
        delta: target, strictly between 0 and 1.
        shares: parts of rho; `training` is what is left to the steps.
        probability: q of every step.
        steps: how many.
        clip: largest L2 norm of a unit's gradient.

    Raises:
        ParameterError: a target outside its range, or beyond reach in so many steps.
    """
    target, failure = checked_target(unit, epsilon, delta)
    if not shares.lengths:
        check_rows(schema, generator)
    if len(schema.modelled) < 2:
        return calibrated_plan(generator, schema, unit, epsilon=epsilon, delta=delta, shares=shares)
    rho = rho_of(float(target), float(failure))
    settings = allocate(schema, unit.max_records, rho=rho, delta=float(failure), shares=shares)

    def planned(budget: float) -> Allocation:
        sigma = five_digits(budget**-0.5)
        return replace(
            settings,
            training=Schedule(probability=Decimal(str(probability)), steps=steps, sigma=sigma, clip=Decimal(str(clip))),
        )

    def build(budget: float) -> EventTree:
        events = planned(budget).events(schema)
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=events)

    least = price(build(LARGEST**-2), failure).epsilon
    if least > target:
        raise ParameterError(
            f"Epsilon {decimal_text(target)} at delta {decimal_text(failure)} is beyond reach in {steps} steps at rate "
            f"{probability}: the smallest that noise of {LARGEST:g} times the clip reaches is {float(least):.3g}.",
            "Ask for fewer steps, a smaller rate, or more epsilon.",
        )
    guess = 2 * rho * shares.training / (float(probability) ** 2 * steps)
    try:
        budget, guarantee = calibrate(build, epsilon=target, delta=failure, bracket=(guess / 2, guess * 2))
    except CalibrationError as error:
        raise ParameterError(error.message, "Ask for other steps, or for more epsilon.") from None
    return Plan(generator=generator, tree=build(budget), guarantee=guarantee, settings=planned(budget))


def rho_of(epsilon: float, delta: float) -> float:
    """Largest rho whose zCDP conversion gives at most epsilon at delta, to 1e-6 of it."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if zcdp_epsilon(middle, delta) <= epsilon else (low, middle)
        if high - low < 1e-6 * high:
            break
    return low if low > 0 else math.ulp(0.0)
