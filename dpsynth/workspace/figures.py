"""The door by which a figure about real rows may leave: paid for, noisy, on record.

1. the budget that paid for the draft is asked for the epsilon; refused here if it is short
2. the reservation's token is used up; the capability that it is worth opens both parts of the data, once
3. the statistic's histogram of units, and exact discrete Laplace noise from the operating system on every cell
4. commit: the event that ran, with the noisy counts as its facts

Theorem. A histogram of units changes by at most Delta in L1 between neighbours (Delta = 1 under add/remove one unit, 2
under replace-one). Discrete Laplace noise of scale b on each cell is Delta/b-DP (Ghosh, Roughgarden and Sundararajan
2009); b = Delta/epsilon, rounded up. The draft, its model and earlier figures are outputs that this one is composed
with: its epsilon is charged to the same budget and its ancestors, in the currency of their filter.

A statistic is one line in `STATISTICS`: a function from private parts, release and released domains to counts of units
in fixed public cells, each unit in exactly one. Figures of quality can come the same way.

>>> noise_scale(Decimal("0.3"), NeighboringRelation.ADD_REMOVE)
Decimal('3.33333334')

Not guaranteed: anything about the un-noised reports, which stay in the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteLaplace, EventTree
from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from accounting.ledger.records import Status
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError, WorkspaceError
from dpsynth.core.noise import SystemNoise
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.release.figures import CELLS, CHANGE, PURPOSE, Figure, facts_of, figure_of
from dpsynth.workspace.budgets import BudgetExceeded
from dpsynth.workspace.private import open_source
from dpsynth.workspace.resampling import model_of

if TYPE_CHECKING:
    from accounting.ledger.ledger import Ledger
    from dpsynth.data.table import Table
    from dpsynth.release.evidence import DraftDocument
    from dpsynth.schema.domain import Domain
    from dpsynth.workspace.draft import Draft

STATISTICS: Final[Mapping[str, str]] = MappingProxyType({"copies": "dpsynth.workspace.copies:histogram"})
VERSION: Final = "1"
DELTA: Final = Decimal("1e-15")
"""Delta of the reservation: discrete Laplace noise needs none, the ledger's terms want one."""
LEAST: Final = Decimal("0.0001")
_STEP: Final = Decimal("1e-8")


class Statistic(Protocol):
    """Counts of units by cell: every unit in exactly one cell, by its own rows, the release and public things."""

    def __call__(
        self, parts: Mapping[str, Table], release: Table, domains: Mapping[str, Domain], /, *, unit: str | None
    ) -> NDArray[np.int64]:
        """Counts in the order of the statistic's cells."""


def noise_scale(epsilon: Decimal, relation: NeighboringRelation) -> Decimal:
    """Scale of the discrete Laplace that gives at most `epsilon` in the relation, one unit; rounded up.

    Raises:
        ParameterError: epsilon is not a number in (0, 10], or histograms have no known change in this relation.
    """
    if not (epsilon.is_finite() and LEAST <= epsilon <= 10):
        raise ParameterError(
            f"Expected an epsilon above 0 and at most 10 for a figure, and no less than {LEAST}: below, noise is all.",
            "Ask for 0.1, for example.",
        )
    if relation not in CHANGE:
        raise ParameterError(
            f"Figures are not sold under {relation.value}: how much a histogram changes is not shown for it.",
            "Use a budget under add_remove or replace_one.",
        )
    return (CHANGE[relation] / epsilon).quantize(_STEP, rounding=ROUND_CEILING).normalize()


def _check_paid(ledger: Ledger, document: DraftDocument) -> None:
    """The budget to be charged is the one whose commit paid for the rows; `draft.json` is plain text and may say other.

    Raises:
        WorkspaceError: else the figure would be charged where no bundle of these rows shows it.
    """
    paid = {run.reservation_id for run in ledger.reservations(document.budget_id) if run.status is Status.COMMITTED}
    if document.reservation_id not in paid:
        raise WorkspaceError(
            f"The budget that '{document.draft}' names has no commit that paid for it.",
            "Restore draft.json; do not release this.",
        )


def buy(draft: Draft, statistic: str = "copies", *, epsilon: Decimal | str | float) -> Figure:
    """Publishable noisy counts about a draft and the real rows, for `epsilon` of the budget that paid for it.

    Args:
        draft: a picture of the whole table, whose model was kept.
        statistic: one of `STATISTICS`.
        epsilon: its cost, in the budget's relation and unit.

    Raises:
        ParameterError: epsilon, statistic, relation or draft does not suit.
        BudgetExceeded: the budget is short; nothing was read.
    """
    from dpsynth.data.table import Table

    if statistic not in STATISTICS:
        raise ParameterError(f"There is no statistic {statistic!r} to buy.", f"Use one of {', '.join(STATISTICS)}.")
    if draft.condition is not None:
        raise ParameterError(
            "This draft shows rows under a condition, so people outside it would hide a leak of those inside.",
            "Buy the figure for the draft that it was sampled from.",
        )
    workspace, document = draft.workspace, draft.document
    record, terms = draft.dataset, draft.guarantee
    if terms is None:
        raise ParameterError("A baseline's draft never leaves, so no figure is bought for it.", "Attack it instead.")
    try:
        asked = Decimal(str(epsilon))
    except InvalidOperation:
        raise ParameterError("The epsilon of a figure is not a number.", "Ask for 0.1, for example.") from None
    scale, change = noise_scale(asked, terms.relation), CHANGE.get(terms.relation, 0)
    domains = model_of(draft).model.domains
    source = open_source(workspace, record, schema=draft.schema)
    plan = EventTree(
        relation=terms.relation, unit=terms.unit, events=(DiscreteLaplace(scale=scale, l1_sensitivity=Decimal(change)),)
    )
    with workspace.ledger(write=True) as ledger:
        _check_paid(ledger, document)
        number = 1 + sum(run.purpose == PURPOSE for run in ledger.reservations(document.budget_id))
        try:
            run = ledger.reserve(
                document.budget_id,
                plan,
                delta=DELTA,
                run_id=f"{draft.name}-figure-{number}",
                purpose=PURPOSE,
                policy_digest=workspace.policy().digest(),
            )
        except LedgerExceeded as short:
            raise BudgetExceeded(short, record.name) from None
        try:
            parts = source.rows.to_count(ledger, ledger.check_token(run.id, run.token), plan)
            module, _, name = STATISTICS[statistic].partition(":")
            count = cast("Statistic", getattr(import_module(module), name))
            counts = count(
                {"train": parts.train, "holdout": parts.holdout},
                Table.from_arrow(draft.rows()),
                domains,
                unit=record.unit.column,
            )
            noisy, event = discrete_laplace(counts, scale=scale, l1_sensitivity=change, noise=SystemNoise())
        except BaseException:
            ledger.abort(run.id, "the figure was not made", data_was_read=True)
            raise
        told: dict[str, Any] = {
            "statistic": statistic,
            "version": VERSION,
            "draft": draft.name,
            "draft_digest": document.draft_digest,
            "cells": list(CELLS[statistic]),
            "counts": [int(n) for n in noisy],
        }
        ran = EventTree(relation=plan.relation, unit=plan.unit, events=(event,))
        return figure_of(ledger.commit(run.id, ran, facts=facts_of(told)))
