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

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

import dpsynth
from accounting.event import DiscreteLaplace, Event, EventTree
from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from accounting.ledger.records import Status
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError, ReviewRefused, SourceError, WorkspaceError
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.release.documents import digest
from dpsynth.release.figures import CHANGE, PURPOSE, AnyFigure, bought, facts_of, figure_of
from dpsynth.release.marginals import MAX_SCALE
from dpsynth.workspace.budgets import BudgetExceeded, runs_on
from dpsynth.workspace.private.room import Checked, open_source
from dpsynth.workspace.private.targets import check_moment
from dpsynth.workspace.registry.overlaps import refuse_grown_together
from dpsynth.workspace.runs.interrupted import SealedRun, forget_closed, waiting
from dpsynth.workspace.runs.synthesis import Interrupted

if TYPE_CHECKING:
    from accounting.guarantee import Guarantee
    from accounting.ledger import Reservation
    from accounting.ledger.ledger import Ledger
    from dpsynth.data.engines.warehouse import EngineTable
    from dpsynth.data.table import Codec, Table
    from dpsynth.release.evidence import DraftDocument
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.private.split import Split

STATISTICS: Final[Mapping[str, str]] = MappingProxyType(
    {"copies": "dpsynth.workspace.figures.copies:asked", "marginals": "dpsynth.workspace.figures.marginals:asked"}
)
VERSION: Final = "1"
DELTA: Final = Decimal("1e-15")
"""Delta of the reservation: discrete Laplace noise needs none, the ledger's terms want one."""
LEAST: Final = Decimal("0.0001")
_STEP: Final = Decimal("1e-8")


def _any_types(_: Mapping[str, str]) -> None:
    """Every type can be counted."""


class Counts(Protocol):
    """Private counts in the cells that were asked for."""

    def __call__(self, parts: Split[Table] | Split[EngineTable], /) -> NDArray[np.int64]:
        """Counts in the order of the cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a statistic would count, known before any row is read.

    Attributes:
        change: largest L1 change of the counts when one unit is added or removed.
        facts: what the ledger is told of the cells.
        count: makes the counts, by each unit's rows and public things alone.
        codecs: column -> codec that it counts in, which an engine must be able to run.
        check: refuses columns of types that it cannot count.
    """

    change: int
    facts: Mapping[str, Any]
    count: Counts
    codecs: Mapping[str, Codec]
    check: Callable[[Mapping[str, str]], None] = _any_types


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


def _check_unit(draft: Draft, terms: Guarantee) -> None:
    """The people that are counted are the plan's, which the ledger holds to its budget; the registry is plain text.

    Raises:
        WorkspaceError: else a person would move as many counts as they have rows.
    """
    if draft.unit != terms.unit:
        raise WorkspaceError(
            f"The data of '{draft.name}' are registered with another unit than the one that it was paid for with.",
            "Restore the registry, or register the data with the budget's unit.",
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
        WorkspaceError: budget or unit are not those that the draft was paid for with.
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
    _check_unit(draft, terms)
    price = amount(epsilon)
    noise_scale(price, terms.relation)
    module, _, name = STATISTICS[statistic].partition(":")
    asked: Asked = getattr(import_module(module), name)(draft)
    scale, change = noise_scale(price, terms.relation, asked.change), CHANGE[terms.relation] * asked.change
    plan = EventTree(
        relation=terms.relation, unit=terms.unit, events=(DiscreteLaplace(scale=scale, l1_sensitivity=Decimal(change)),)
    )
    with workspace.ledger(write=True) as ledger, ExitStack() as opened:
        _check_paid(ledger, document)
        _check_no_votes(ledger, draft)
        refuse_grown_together(workspace, ledger, record)
        source = open_source(workspace, record, schema=draft.schema, counts=True)
        opened.callback(source.rows.close)
        if source.version is not None:
            check_moment(workspace.vault, document.run_id, version=source.version, identity=source.rows.identity)
        source.rows.require(asked.codecs, asked.check)
        told: dict[str, Any] = {
            "statistic": statistic,
            "version": VERSION,
            "draft": draft.name,
            "draft_digest": document.draft_digest,
            **asked.facts,
        }
        kept, run, read_before = _reserved(draft, ledger, plan, _request(told, plan, source))
        try:
            noisy, event = _measured(ledger, source, asked, plan, run, kept, read_before=read_before)
        except KeyboardInterrupt:
            raise Interrupted(run, resumable=True, how="") from None
        except SourceError as failed:  # none of it is the rows' fault, so what was paid for is kept
            again = f"Then ask for the same, and it goes on: the reservation {run.id} stands until then."
            raise type(failed)(failed.message, f"{failed.remedy or 'Mend it.'} {again}") from failed
        except BaseException:
            ledger.abort(run.id, "the figure was not made", data_was_read=True)
            kept.destroy()
            raise
        ran = EventTree(relation=plan.relation, unit=plan.unit, events=(event,))
        commit = ledger.commit(run.id, ran, facts=facts_of({**told, "counts": noisy.tolist()}))
        kept.destroy()
        return figure_of(commit)


def _request(told: Mapping[str, Any], plan: EventTree, source: Checked) -> str:
    """Digest of everything that must be the same when an interrupted figure goes on."""
    rows = {"version": source.version, "identity": source.rows.identity}
    versions = {"dpsynth": dpsynth.__version__, "numpy": np.__version__}
    return digest({"figure": dict(told), "plan": plan.digest(), **rows, **versions})


def _reserved(draft: Draft, ledger: Ledger, plan: EventTree, wanted: str) -> tuple[SealedRun, Reservation, bool]:
    """The reservation of this very figure if it was interrupted, else a new one; and whether rows were read for it."""
    workspace, document, record = draft.workspace, draft.document, draft.dataset
    runs = runs_on(ledger, record)
    forget_closed(workspace, runs, record.commitment)
    found = waiting(workspace, runs, document.budget_id, record.commitment, plan, wanted)
    if found is not None:
        return found[0], found[1], found[2].accessed
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
    kept = SealedRun.of(workspace, run.id, record.commitment)
    kept.begin(run, wanted)
    return kept, run, False


def _measured(
    ledger: Ledger,
    source: Checked,
    asked: Asked,
    plan: EventTree,
    run: Reservation,
    kept: SealedRun,
    *,
    read_before: bool,
) -> tuple[NDArray[np.int64], Event]:
    """Noisy counts and the event that made them: measured now, or read as they were measured (`ReplayedNoise`)."""
    (planned,) = plan.events
    if not isinstance(planned, DiscreteLaplace):
        raise ParameterError("A figure is one discrete Laplace.")
    noise, made = kept.noise, [planned]

    def measure() -> bytes:
        if read_before:
            parts = source.rows.to_recount(ledger, run.id, run.token, plan)
        else:
            parts = source.rows.to_count(ledger, ledger.check_token(run.id, run.token), plan)
        noisy, made[0] = discrete_laplace(
            asked.count(parts), scale=planned.scale, l1_sensitivity=planned.l1_sensitivity, noise=noise
        )
        return noisy.astype("<i8").tobytes()

    return np.frombuffer(noise.once("figure", measure), dtype="<i8").astype(np.int64), made[0]


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
