"""The two ends of a fit by records: constraints before the first sweep, a model after the last. Post-processing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation
from dpsynth.core.progress import Progress
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.constraints.enforcement import Enforcement
from dpsynth.tabular.head import MeasuredColumns
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.compiling import compile_moves
from dpsynth.tabular.records.record_fit import RecordFit, modelled_codes
from dpsynth.tabular.records.record_model import RecordModel


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenFit:
    """A fit that may learn, and what the schema forbids in it.

    Attributes:
        fit: records of the product of the 1-ways, ready to learn tables.
        enforcement: constraints of the schema on codes and cells.
        rng: random numbers for post-processing.
    """

    fit: RecordFit
    enforcement: Enforcement
    rng: np.random.Generator

    @classmethod
    def of(
        cls,
        schema: Schema,
        head: MeasuredColumns,
        strength: float,
        rng: np.random.Generator,
        progress: Progress,
        public: Table | None = None,
    ) -> OpenFit:
        """Begin with what is known of single columns; `strength` as in `record_table`, `public` as in `RecordFit`."""
        compile_moves(progress)
        codes = modelled_codes(head.binnings)
        enforcement = Enforcement.of(schema, head.binnings, codes)
        penalties = enforcement.penalties(codes)
        fit = RecordFit(head.binnings, head.total, strength, rng, progress, penalties=penalties, public=public)
        return cls(fit=fit, enforcement=enforcement, rng=rng)

    def model(
        self,
        generator: str,
        head: MeasuredColumns,
        plan: Plan,
        events: tuple[Event, ...],
        *,
        admitted: tuple[Event, ...] = (),
    ) -> RecordModel:
        """What the fit has become, with the events spent, and what a filter among them admitted."""
        fit, unit = self.fit, plan.tree.unit
        fitted = fit.chains.merged()
        records = {name: fitted.records[:, at] for at, name in enumerate(head.binnings)}
        enforcement = self.enforcement.fitted(records, self.rng)
        return RecordModel(
            generator=generator,
            domains=head.domains,
            binnings=head.binnings,
            table=fitted,
            expected=fit.mean,
            measured=fit.sigmas,
            events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=events),
            admitted=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=admitted),
            rows=round(head.total),
            total=head.total,
            penalties=enforcement.penalties(fit.shapes),
            enforced=Enforced.of(enforcement),
            history=tuple(fit.history),
            public_prior=fit.has_prior,
            triples=tuple(triple.columns for triple in fit.triples),
        )
