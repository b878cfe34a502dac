"""One price for a text and the columns beside it: shares for counts, the rest for the writer, solved together.

Without columns a noisy number of texts is measured; with them a generator of tables is planned at its share of rho
(zCDP). Then the writer's budget is searched until the tree of all events costs the target by its own accountant.
Everything follows from the schema, the unit and the target.

    derivation ── table (or the number of texts) ── writer

Not guaranteed: the best division. Shares were not tuned; they are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, final

from accounting.calibration import calibrate
from accounting.crosscheck import price
from accounting.decimals import decimal_text
from accounting.errors import CalibrationError
from accounting.event import DiscreteGaussian, Event, EventTree
from accounting.guarantee import Guarantee
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.zcdp import zcdp_epsilon
from dpsynth.core.errors import ParameterError
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import five_digits
from dpsynth.tabular.planning import checked_target
from dpsynth.tabular.protocol import Generator, Plan
from dpsynth.tabular.training_plan import rho_of
from dpsynth.text.protocol import Settled, Task, Writer

TOTAL_SHARE = 0.02
ONE_COLUMN_SHARE = 0.05
COLUMNS_SHARE = 0.25


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """What a run will spend at most; equal for all tables of one schema.

    Attributes:
        generator: name of the writer.
        tree: worst-case events in time order.
        guarantee: the tree's price at the delta asked for.
        task: what the writer planned with.
        table: of the columns beside the text; None without any.
        total_sigma: noise of the number of texts; None where a table has it.
        settled: what the writer will spend.
    """

    generator: str
    tree: EventTree
    guarantee: Guarantee
    task: Task
    table: Plan | None
    total_sigma: Decimal | None
    settled: Settled

    @property
    def derive(self) -> DeriveNoise | None:
        """Noise of questions about unknown domains."""
        return None if self.table is None else self.table.derive

    @property
    def reads_rows(self) -> bool:
        """A writer reads texts by unit."""
        return True

    def pair_sigma(self, described: dict[str, Any]) -> str | None:
        """Finest noise of a pair table, for the resolution that reports state."""
        return None if self.table is None else self.table.pair_sigma(described.get("table", {}))


def text_plan(
    writer: Writer,
    beside: Generator,
    schema: Schema,
    unit: PrivacyUnit,
    *,
    epsilon: Decimal | str | float,
    delta: Decimal | str | float,
    share: float | None,
) -> TextPlan:
    """The plan whose joint price is at most (epsilon, delta), add/remove one unit.

    Args:
        writer: of the text.
        beside: generator of the modelled columns, if there are any.
        schema: public facts.
        unit: whose rows, and at most how many of them.
        epsilon: target.
        delta: target, strictly between 0 and 1.
        share: part of rho for the columns; default by their number.

    Raises:
        ParameterError: a target outside its range or beyond the writer's reach.
    """
    target, failure = checked_target(unit, epsilon, delta)
    rho = rho_of(float(target), float(failure))
    task = Task(unit=unit, relation=NeighboringRelation.ADD_REMOVE, epsilon=target, delta=failure)
    table, sigma, before = None, None, tuple[Event, ...]()
    if schema.modelled:
        part = share if share is not None else (ONE_COLUMN_SHARE if len(schema.modelled) == 1 else COLUMNS_SHARE)
        beside_epsilon = Decimal(repr(zcdp_epsilon(rho * part, float(failure))))
        table = beside.plan(schema, unit, epsilon=beside_epsilon, delta=failure)
        before = table.tree.events
    else:
        sigma = five_digits(unit.max_records / (2 * rho * (share or TOTAL_SHARE)) ** 0.5)
        before = (DiscreteGaussian(sigma=sigma, l2_sensitivity=Decimal(unit.max_records)),)

    def build(budget: float) -> EventTree:
        return EventTree(relation=task.relation, unit=unit, events=before + writer.settle(task, budget).events)

    low, high = writer.bracket
    try:
        budget, guarantee = calibrate(build, epsilon=target, delta=failure, bracket=(low, high))
    except CalibrationError:
        counts = price(EventTree(relation=task.relation, unit=unit, events=before), failure).epsilon
        raise ParameterError(
            f"No noise brings {writer.name} to epsilon {decimal_text(target)} at delta {decimal_text(failure)} "
            f"(the counts before it cost {float(counts):.3g}).",
            "Ask for fewer steps or tokens, or for more epsilon.",
        ) from None
    settled = writer.settle(task, budget)
    writer.check(task, settled)
    return TextPlan(
        generator=writer.name,
        tree=build(budget),
        guarantee=guarantee,
        task=task,
        table=table,
        total_sigma=sigma,
        settled=settled,
    )
