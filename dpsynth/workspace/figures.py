"""The door by which a figure about real rows may leave: paid for, noisy, on record.

1. the budget that paid for the draft is asked for the epsilon; refused here if it is short
2. the reservation's token is used up; the capability that it is worth opens both parts of the data, once
3. the statistic's counts, and exact discrete Laplace noise from the operating system on every cell
4. commit: the event that ran, with the noisy counts as its facts

Theorem. Let the counts change by at most c in L1 when a unit is added or removed, so by Delta = c under add/remove and
2 c under replace-one. Discrete Laplace noise of scale b on each cell is Delta/b-DP (Ghosh, Roughgarden and Sundararajan
2009); b = Delta/epsilon, rounded up. The draft, its model and earlier figures are outputs that this one is composed
with: its epsilon is charged to the same budget and its ancestors, in the currency of their filter.

A statistic is one line in `STATISTICS`: a function that says, from the draft and other public or released things alone,
which cells there are and what c is, and hands out how the counts are made.

    copies       each unit in exactly one of six cells: c = 1
    marginals    at most k rows of a unit, each in one cell of M marginals: c = k M

>>> noise_scale(Decimal("0.3"), NeighboringRelation.ADD_REMOVE), noise_scale(Decimal("0.3"),
...     NeighboringRelation.REPLACE_ONE, 12)
(Decimal('3.33333334'), Decimal('8E+1'))

Not guaranteed: anything about the un-noised reports, which stay in the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteLaplace, EventTree
from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from accounting.ledger.records import Status
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError, ReviewRefused, WorkspaceError
from dpsynth.core.noise import SystemNoise
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.release.figures import CHANGE, PURPOSE, AnyFigure, bought, facts_of, figure_of
from dpsynth.release.marginals import MAX_SCALE
from dpsynth.workspace.budgets import BudgetExceeded
from dpsynth.workspace.overlaps import refuse_grown_together
from dpsynth.workspace.private import open_source

if TYPE_CHECKING:
    from accounting.ledger.ledger import Ledger
    from dpsynth.data.table import Table
    from dpsynth.release.evidence import DraftDocument
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.split import Split

STATISTICS: Final[Mapping[str, str]] = MappingProxyType(
    {"copies": "dpsynth.workspace.copies:asked", "marginals": "dpsynth.workspace.marginals:asked"}
)
VERSION: Final = "1"
DELTA: Final = Decimal("1e-15")
"""Delta of the reservation: discrete Laplace noise needs none, the ledger's terms want one."""
LEAST: Final = Decimal("0.0001")
_STEP: Final = Decimal("1e-8")


class Counts(Protocol):
    """Private counts in the cells that were asked for."""

    def __call__(self, parts: Split[Table], /) -> NDArray[np.int64]:
        """Counts in the order of the cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a statistic would count, known before any row is read.

    Attributes:
        change: largest L1 change of the counts when one unit is added or removed.
        facts: what the ledger is told of the cells.
        count: makes the counts, by each unit's rows and public things alone.
    """

    change: int
    facts: Mapping[str, Any]
    count: Counts


def noise_scale(epsilon: Decimal, relation: NeighboringRelation, change: int = 1) -> Decimal:
    """Scale of the discrete Laplace that gives at most `epsilon` in the relation, one unit; rounded up.

    Args:
        epsilon: of the figure.
        relation: of the budget.
        change: L1 change of the counts under add/remove one unit.

    Raises:
        ParameterError: epsilon is not a number in (0, 10], counts have no known change in this relation, or the noise
            would be beyond all reason.
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
    scale = (CHANGE[relation] * change / epsilon).quantize(_STEP, rounding=ROUND_CEILING).normalize()
    if scale > MAX_SCALE:
        raise ParameterError(f"So small an epsilon is noise of scale {scale} on each count.", "Ask for 0.1 or more.")
    return scale


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


def _check_no_votes(ledger: Ledger, draft: Draft) -> None:
    """Reviewers vote on what a bundle publishes; a figure that comes later would make their votes void.

    Raises:
        ReviewRefused: there are votes, sealed or open.
    """
    found = ledger.desk().get(draft.document.budget_id, draft.name)
    if draft.workspace.policy().review is not None and found is not None and (found.votes or found.sealed):
        raise ReviewRefused(
            f"Draft '{draft.name}' has {len({*found.votes, *found.sealed})} votes, and they are about a bundle without "
            "this figure. Nothing was bought.",
            f"Put the votes away with `dpsynth gate {draft.name}`, buy the figure, and have both reviewed.",
        )


def buy(draft: Draft, statistic: str = "copies", *, epsilon: Decimal | str | float) -> AnyFigure:
    """Publishable noisy counts about a draft and the real rows, for `epsilon` of the budget that paid for it.

    Args:
        draft: a picture of the whole table, whose model was kept.
        statistic: one of `STATISTICS`.
        epsilon: its cost, in the budget's relation and unit.

    Raises:
        ParameterError: epsilon, statistic, relation or draft does not suit.
        ReviewRefused: reviewers voted on the draft without it.
        BudgetExceeded: the budget is short; nothing was read.
    """
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
    price = amount(epsilon)
    noise_scale(price, terms.relation)
    module, _, name = STATISTICS[statistic].partition(":")
    asked: Asked = getattr(import_module(module), name)(draft)
    scale, change = noise_scale(price, terms.relation, asked.change), CHANGE[terms.relation] * asked.change
    source = open_source(workspace, record, schema=draft.schema)
    plan = EventTree(
        relation=terms.relation, unit=terms.unit, events=(DiscreteLaplace(scale=scale, l1_sensitivity=Decimal(change)),)
    )
    with workspace.ledger(write=True) as ledger:
        refuse_grown_together(workspace, ledger, record)
        _check_paid(ledger, document)
        _check_no_votes(ledger, draft)
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
            counts = asked.count(parts)
            noisy, event = discrete_laplace(counts, scale=scale, l1_sensitivity=change, noise=SystemNoise())
        except BaseException:
            ledger.abort(run.id, "the figure was not made", data_was_read=True)
            raise
        told: dict[str, Any] = {
            "statistic": statistic,
            "version": VERSION,
            "draft": draft.name,
            "draft_digest": document.draft_digest,
            **asked.facts,
            "counts": [int(n) for n in noisy],
        }
        ran = EventTree(relation=plan.relation, unit=plan.unit, events=(event,))
        return figure_of(ledger.commit(run.id, ran, facts=facts_of(told)))


def amount(epsilon: Decimal | str | float) -> Decimal:
    """The epsilon of a figure as a number.

    Raises:
        ParameterError: it is none.
    """
    try:
        return Decimal(str(epsilon))
    except InvalidOperation:
        raise ParameterError("The epsilon of a figure is not a number.", "Ask for 0.1, for example.") from None


def sold(draft: Draft, statistic: str) -> tuple[AnyFigure, ...]:
    """What was bought of a statistic for this draft already, oldest first."""
    with draft.workspace.ledger() as ledger:
        return tuple(
            figure
            for figure in bought(ledger.entries(draft.document.budget_id), draft.name)
            if figure.statistic == statistic and figure.draft_digest == draft.document.draft_digest
        )
