"""Every column by itself: the baseline that shows what dependence is worth.

All of the budget goes to the 1-ways (`oneway`), so its 1-way error is the smallest of all generators and its 2-way
error the largest that is reasonable. Time and memory are linear in rows and columns.

Not guaranteed: any dependence between columns; there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, final

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Shares
from dpsynth.tabular.asks import Asking, Asks
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.forests.tree import fit_forest
from dpsynth.tabular.head import measure_columns
from dpsynth.tabular.planning import calibrated_plan
from dpsynth.tabular.protocol import Plan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Independent:
    """The product of noisy 1-ways.

    Args:
        codes: about how many codes a wide numeric column is merged into; finer detail comes from its cells.
    """

    name: ClassVar[str] = "independent"
    codes: int = 48

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """All of the budget for 1-ways; see `protocol.Generator.plan`."""
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=Shares())

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """Columns by themselves. See `asks.Declares`."""
        return Asking(schema, plan, codes=self.codes, rows=rows).done()

    def fit(
        self,
        table: CountTable,
        schema: Schema,
        domains: Mapping[str, Domain],
        plan: Plan,
        *,
        noise: NoiseSource,
        progress: Progress = silent,
        spent: tuple[Event, ...] = (),
    ) -> ForestModel:
        """Measure the 1-ways."""
        head = measure_columns(
            table, schema, domains, plan, self.name, codes=self.codes, noise=noise, progress=progress, spent=spent
        )
        forest = fit_forest(
            {name: binning.counts for name, binning in head.binnings.items()},
            {name: binning.variance for name, binning in head.binnings.items()},
            {},
            1.0,
            head.total,
            complete=[name for name, binning in head.binnings.items() if not binning.has_missing],
        )
        return ForestModel(
            generator=self.name,
            domains=head.domains,
            binnings=head.binnings,
            forest=forest,
            events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=plan.tree.unit, events=head.events),
            rows=round(head.total),
            enforced=Enforced.learned_from(schema, head.binnings, forest.sample, noise),
        )
