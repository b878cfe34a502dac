"""Plans: the largest budget whose worst-case events still price at or below the target.

One number, rho, scales all noise through `allocate`; `accounting.calibrate` searches it with the tree's own price, the
privacy loss distribution of discrete Gaussians and thresholds, not with a conversion of rho. At epsilon 1 that buys
several per cent less noise than zero-concentrated DP would.

The tree is built from the schema and the unit alone. Two tables of one schema get the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from accounting.calibration import calibrate
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Shares, allocate
from dpsynth.tabular.protocol import Plan


def calibrated_plan(
    generator: str,
    schema: Schema,
    unit: PrivacyUnit,
    *,
    epsilon: Decimal | str | float,
    delta: Decimal | str | float,
    shares: Shares,
) -> Plan:
    """The plan of a marginal generator whose price is at most (epsilon, delta), by at most 0.1 % less.

    Args:
        generator: name to write into the plan.
        schema: public facts.
        unit: whose rows, and at most how many of them; add/remove one unit.
        epsilon: target.
        delta: target, strictly between 0 and 1.
        shares: division of rho between the kinds of measurement.

    Raises:
        ParameterError: a target outside its range.
    """
    target, failure = checked_target(unit, epsilon, delta)
    check_rows(schema, generator)

    def build(rho: float) -> EventTree:
        settings = allocate(schema, unit.max_records, rho=rho, delta=float(failure), shares=shares)
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=settings.events(schema))

    guess = rho_guess(float(target), float(failure))
    rho, guarantee = calibrate(build, epsilon=target, delta=failure, bracket=(guess / 2, guess * 2))
    settings = allocate(schema, unit.max_records, rho=rho, delta=float(failure), shares=shares)
    return Plan(generator=generator, tree=build(rho), guarantee=guarantee, settings=settings)


def check_rows(schema: Schema, generator: str) -> None:
    """Refuse an order of a person's rows where rows are made one by one: they would be nobody's.

    Raises:
        ParameterError: the schema has an order.
    """
    if schema.order is not None:
        raise ParameterError(
            f"{generator!r} makes single rows, and column {schema.order!r} orders the rows of a person.",
            "Use --generator autoregressive for whole people, or give the column another role.",
        )


def rho_guess(epsilon: float, delta: float) -> float:
    """A rho (zCDP) near the one that (epsilon, delta) allows: the start of a search, not a bound.

    From the classical conversion `epsilon = rho + 2 sqrt(rho ln(1 / delta))` (Bun and Steinke 2016).
    """
    root = math.sqrt(math.log(1 / delta))
    return (math.sqrt(root**2 + epsilon) - root) ** 2


def checked_domains(schema: Schema, domains: Mapping[str, Domain], plan: Plan, generator: str) -> dict[str, Domain]:
    """The domains of the modelled columns in the schema's order.

    Raises:
        SchemaError: a modelled column has no domain.
        ParameterError: the plan was made by another generator or for other columns.
    """
    absent = [name for name in schema.modelled if name not in domains]
    if absent:
        raise SchemaError(
            f"No domain for column {absent[0]!r}: it is neither declared nor derived.", "Run `schema.derive` first."
        )
    if plan.generator != generator or set(plan.settings.histogram) != set(schema.modelled):
        raise ParameterError(
            f"The plan was made by {plan.generator!r} for other columns: its events are not what this fit would spend.",
            f"Call plan() of {generator!r} with this schema.",
        )
    return {name: domains[name] for name in schema.modelled}


def checked_target(
    unit: PrivacyUnit, epsilon: Decimal | str | float, delta: Decimal | str | float
) -> tuple[Decimal, Decimal]:
    """Epsilon above 0 and delta strictly between 0 and 1, add/remove one unit, as decimals.

    Raises:
        ParameterError: a target outside its range.
    """
    target, failure = _number(epsilon, "epsilon"), _number(delta, "delta")
    if failure >= 1:
        raise ParameterError(f"Expected delta={delta} < 1 ({unit}, add/remove).")
    return target, failure


def _number(value: Decimal | str | float, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise ParameterError(
            f"The {name} must be a number above 0, not {value} (add/remove one unit).",
            "Choose how much may be learned of one unit, such as epsilon 1 at delta 1e-6.",
        )
    return number
