"""The room of private rows: the one place that opens a registered data set, and the doors out of it.

    prepare      read, checked and split; what the checks say is for the operator (`dpsynth.schema.checks`)
    to_fit       the training rows, each unit bounded     for a ReadCapability, which this uses up
    to_resume    the same rows again                     for the reservation of an interrupted run, with its token
    to_count     both parts, for a noisy histogram      for a ReadCapability, which this uses up
    to_compare   all parts, for attacks and quality      for a reservation that was committed
    to_fit_unprotected   the training rows, for a baseline      for an `unprotected` entry that has no draft yet

So no model is fitted to registered data unless a live reservation on that very data, for that very plan, has paid for
it, or the ledger says that it was read without protection; and no real row is compared with a draft that the ledger
does not know. What `to_compare` hands out leads to confidential figures, which are bound to the draft and
recorded, never released; what `to_fit_unprotected` does, to a draft that no gate ships.

    checked rows = open_source(workspace, record, schema=...).rows

Not guaranteed: anything about a program that opens the file itself, reaches into `_parts`, or declares its data public.
Python cannot stop it; without a commit there is no bundle that verifies. A test holds that no other module of this
package does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

from accounting.ledger.entry import Kind
from accounting.ledger.errors import CapabilityRefused
from accounting.ledger.ledger import Ledger
from accounting.ledger.records import Status
from dpsynth.core.errors import SchemaError
from dpsynth.schema.checks import prepare
from dpsynth.schema.draft import with_text
from dpsynth.schema.model import Schema
from dpsynth.workspace.bounding import bounded
from dpsynth.workspace.datasets import DatasetRecord, drafted
from dpsynth.workspace.split import Split, split
from dpsynth.workspace.time import check_parts, later_rows

if TYPE_CHECKING:
    from accounting.event import EventTree
    from accounting.ledger.capability import ReadCapability
    from accounting.relation import PrivacyUnit
    from dpsynth.data.table import Table
    from dpsynth.workspace.workspace import Workspace

HOLDOUT_SHARE = 0.3


@final
class PrivateRows:
    """Train, holdout and later rows of one registered data set; neither pickled nor shown.

    Args:
        parts: the split.
        commitment: of the content that was read.
        unit: whose rows belong together, and how many of one are kept.
        ledger: id and first public key of the workspace's ledger, which alone can vouch for a read.
        order: column that says which of a unit's rows comes first, if any.
    """

    __slots__ = ("_parts", "commitment", "ledger", "order", "unit")

    def __init__(
        self, parts: Split, *, commitment: str, unit: PrivacyUnit, ledger: tuple[str, bytes], order: str | None
    ) -> None:
        self._parts, self.commitment, self.unit, self.ledger, self.order = parts, commitment, unit, ledger, order

    def __repr__(self) -> str:
        return "PrivateRows(sealed)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("Private rows are neither pickled nor copied.")

    def to_fit(self, ledger: Ledger, capability: ReadCapability, plan: EventTree, *, bound_key: bytes) -> Table:
        """The training rows, of each unit no more than its bound.

        Args:
            ledger: which handed out the capability.
            capability: of `Ledger.check_token`; used up, whatever comes of it.
            plan: the events that will run.
            bound_key: 32 secret bytes that choose which rows of a unit are kept.

        Raises:
            CapabilityRefused: it is none of this ledger, was used, or is for other data or another plan; or the ledger
                is not the workspace's.
            ReservationRefused: the reservation was closed meanwhile.
        """
        self._check(ledger)
        ledger.redeem(capability, commitment=self.commitment, plan=plan)
        return bounded(self._parts.train, self.unit, bound_key, self.order)

    def to_resume(self, ledger: Ledger, reservation_id: str, token: str, plan: EventTree, *, bound_key: bytes) -> Table:
        """The training rows again, the same ones, for a run that was interrupted after it read them.

        Args:
            ledger: the workspace's.
            reservation_id: of the run; open, and read before.
            token: its own, used up.
            plan: the events that will have run.
            bound_key: the same as for `to_fit`.

        Raises:
            CapabilityRefused: it is for other data or another plan, or the ledger is not the workspace's.
            ReservationRefused: closed, never read, or the token is not its own.
        """
        self._check(ledger)
        ledger.redeem_again(reservation_id, token, commitment=self.commitment, plan=plan)
        return bounded(self._parts.train, self.unit, bound_key, self.order)

    def to_count(self, ledger: Ledger, capability: ReadCapability, plan: EventTree) -> Split:
        """Both parts, for a histogram of units that leaves with the noise that was paid for.

        Args:
            ledger: which handed out the capability.
            capability: of `Ledger.check_token`; used up, whatever comes of it.
            plan: the events that will run.

        Raises:
            CapabilityRefused, ReservationRefused: as `to_fit`.
        """
        self._check(ledger)
        ledger.redeem(capability, commitment=self.commitment, plan=plan)
        return self._parts

    def to_fit_unprotected(self, ledger: Ledger, budget_id: str, read_id: str, *, bound_key: bytes) -> Table:
        """The training rows for a baseline, of each unit no more than its bound; once for an entry.

        Args:
            ledger: the workspace's.
            budget_id: a budget of this data.
            read_id: of an entry of kind `unprotected` on it.
            bound_key: as for `to_fit`.

        Raises:
            CapabilityRefused: the ledger does not say so, or the entry's draft is sealed already.
        """
        self._check(ledger)
        here = ledger.budget(budget_id).commitment == self.commitment
        if not here or self._reads(ledger, budget_id, read_id) is not False:
            raise CapabilityRefused(
                "The ledger does not say that this data is about to be read without protection.",
                "Record it first; each entry is worth one fit.",
            )
        return bounded(self._parts.train, self.unit, bound_key, self.order)

    @staticmethod
    def _reads(ledger: Ledger, budget_id: str, read_id: str) -> bool | None:
        """None if no `unprotected` entry has this id; else whether its draft is sealed already."""
        known = [entry for entry in ledger.entries(budget_id) if read_id in entry.body.values()]
        if not any(entry.kind is Kind.UNPROTECTED for entry in known):
            return None
        return any(entry.kind is Kind.ATTEMPT for entry in known)

    def to_compare(self, ledger: Ledger, budget_id: str, reservation_id: str) -> Split:
        """All parts, for figures about a draft that was paid for.

        Raises:
            CapabilityRefused: no commit of this reservation on this data is in the workspace's ledger.
        """
        self._check(ledger)
        paid = any(
            run.reservation_id == reservation_id and run.status is Status.COMMITTED
            for run in ledger.reservations(budget_id)
        )
        known = paid or self._reads(ledger, budget_id, reservation_id) is not None
        if ledger.budget(budget_id).commitment != self.commitment or not known:
            raise CapabilityRefused(
                "The ledger has no commit on this data for this draft, so its rows are compared with nothing.",
                "Restore the ledger, or synthesize again.",
            )
        return self._parts

    def _check(self, ledger: object) -> None:
        if not isinstance(ledger, Ledger):
            raise CapabilityRefused("Only a Ledger can vouch for a reservation.", "Open the workspace's ledger.")
        if (ledger.ledger_id, ledger.public_key) != self.ledger:
            raise CapabilityRefused(
                "This is not the ledger in which the data has its budget, so what it granted counts nowhere.",
                "Open the workspace's ledger.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A registered data set, read and found fit; its rows stay behind their doors."""

    schema: Schema
    rows: PrivateRows
    warnings: tuple[Any, ...]


def open_source(
    workspace: Workspace,
    record: DatasetRecord,
    *,
    schema: Schema | str | Path | None,
    target: str | None = None,
    order: str | None = None,
) -> Checked:
    """Read a registered data set, check it against its schema, split it; later rows, if there are, in the same step.

    Raises:
        DataError, SchemaError: before anything private was decided.
    """
    declared = schema if schema is not None else record.schema
    if isinstance(declared, str | Path):
        declared = Schema.from_yaml(Path(declared))
    found = prepare(workspace.load(record), declared, target=target, unit=record.unit.column, order=order)
    if record.time is not None and record.time.column not in found.table.columns:
        raise SchemaError(
            f"The schema drops the time column '{record.time.column}', so it cannot be said which rows are later.",
            "Give it `role: identifier` instead of `drop: true`: it is then read and not modelled.",
        )
    parts = split(
        found.table,
        holdout_share=HOLDOUT_SHARE,
        key=workspace.secret(f"split/{record.commitment}"),
        unit_column=record.unit.column,
        later=None if record.time is None else later_rows(found.table.column(record.time.column), record.time),
    )
    if record.time is not None:
        check_parts(parts, record.time)
    with workspace.ledger() as ledger:
        own = ledger.ledger_id, ledger.public_key
    rows = PrivateRows(parts, commitment=record.commitment, unit=record.unit, ledger=own, order=found.schema.order)
    return Checked(schema=found.schema, rows=rows, warnings=found.warnings)


def drafted_schema(workspace: Workspace, record: DatasetRecord, *, target: str | None) -> Schema:
    """What names and types of a registered data set say, for a plan before any run; no row leaves.

    Raises:
        DataError, SchemaError: as `datasets.drafted`, or the file is gone or changed.
    """
    return drafted(workspace.load(record), target=target, unit=record.unit.column)


def text_schema(
    workspace: Workspace,
    record: DatasetRecord,
    declared: Schema | str | Path | None,
    text: str,
    *,
    beside: Sequence[str],
    target: str | None,
) -> Schema:
    """The schema with a column as text and only some others beside it; names and types leave the file, no cell.

    Args:
        workspace: where the data is registered.
        record: the data set.
        declared: a schema; default the registered one, else a draft.
        text: the column of prose.
        beside: columns that are made with it; see `with_text`.
        target: the column that models will predict; made with it too.

    Raises:
        SchemaError: there is no such column, or it cannot be text.
    """
    given = declared if declared is not None else record.schema
    if given is None:
        known = drafted_schema(workspace, record, target=target)
    else:
        known = Schema.from_yaml(Path(given)) if isinstance(given, str | Path) else given
    found = with_text(known, text, beside=beside, declared=given is not None, unit=record.unit.column)
    time = None if record.time is None else record.time.column
    if time in found.columns and found.columns[time].drop:  # read, to set later rows aside; never modelled
        found = found.with_columns(**{time: {"drop": False, "role": "identifier"}})
    return found
