"""The room of private rows: the one place that opens a registered data set, and the doors out of it.

    prepare      read, checked and split; what the checks say is for the operator (`dpsynth.schema.checks`)
    to_fit       the training rows, each unit bounded     for a ReadCapability, which this uses up
    to_resume    the same rows again                     for the reservation of an interrupted run, with its token
    to_count     both parts, for a noisy histogram      for a ReadCapability, which this uses up
    to_recount   the same parts again                   for the reservation of an interrupted figure, with its token
    to_draw      some rows of each part, in memory       for a reservation whose rows were read (of an engine)
    to_keep      those rows, encrypted                   for a reservation that was committed
    to_compare   all parts, for attacks and quality      for a reservation that was committed
    to_fit_unprotected   the training rows, for a baseline      for an `unprotected` entry that has no draft yet

So no model is fitted to registered data unless a live reservation on that very data, for that very plan, has paid for
it, or the ledger says that it was read without protection; and no real row is compared with a draft that the ledger
does not know. What `to_compare` hands out leads to confidential figures, which are bound to the draft and
recorded, never released; what `to_fit_unprotected` does, to a draft that no gate ships.

Rows of an engine stay there: a fit counts them. Attacks and quality need rows, and look at a sample of targets, drawn
in the same moment as the fit and sealed with the draft, so a table that changes afterwards changes no draft.

    checked rows = open_source(workspace, record, schema=...).rows

Not guaranteed: anything about a program that opens the file itself, reaches into `_parts`, or declares its data public.
Python cannot stop it; without a commit there is no bundle that verifies. A test holds that no other module of this
package does so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

from accounting.ledger.entry import Kind
from accounting.ledger.errors import CapabilityRefused
from accounting.ledger.ledger import Ledger
from accounting.ledger.records import Status
from dpsynth.core.errors import SchemaError
from dpsynth.data.engines.keyed import bounded as bounded_in_engine
from dpsynth.data.engines.protocol import ROW
from dpsynth.data.engines.version import version_of
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import Table
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema
from dpsynth.workspace.private.bounding import bounded
from dpsynth.workspace.private.split import Split, split
from dpsynth.workspace.private.targets import OF_A_UNIT, TARGETS, keep, kept
from dpsynth.workspace.private.time import check_parts, later_rows
from dpsynth.workspace.registry.datasets import DatasetRecord, drafted
from dpsynth.workspace.registry.places import (
    check_counted,
    no_identity,
    place_of,
    split_in_engine,
    stays_in_engine,
    with_row_key,
)

if TYPE_CHECKING:
    from accounting.event import EventTree
    from accounting.ledger.capability import ReadCapability
    from accounting.relation import PrivacyUnit
    from dpsynth.data.table import Codec
    from dpsynth.release.seal import Vault
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
        identity: of rows in an engine: the column whose value decides which part a row is in.
    """

    __slots__ = ("_fitted", "_parts", "commitment", "identity", "ledger", "order", "unit")

    def __init__(
        self,
        parts: Split[Table] | Split[EngineTable],
        *,
        commitment: str,
        unit: PrivacyUnit,
        ledger: tuple[str, bytes],
        order: str | None,
        identity: str | None = None,
    ) -> None:
        self._parts, self.commitment, self.unit, self.ledger, self.order = parts, commitment, unit, ledger, order
        self.identity = identity
        self._fitted: Table | EngineTable | None = None

    def __repr__(self) -> str:
        return "PrivateRows(sealed)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("Private rows are neither pickled nor copied.")

    def to_fit(
        self, ledger: Ledger, capability: ReadCapability, plan: EventTree, *, bound_key: bytes
    ) -> Table | EngineTable:
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
        return self._bounded(bound_key)

    def to_resume(
        self, ledger: Ledger, reservation_id: str, token: str, plan: EventTree, *, bound_key: bytes
    ) -> Table | EngineTable:
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
        return self._bounded(bound_key)

    def require(self, codecs: Mapping[str, Codec], check: Callable[[Mapping[str, str]], None]) -> None:
        """Refuse what these rows cannot be counted in, by public names and types; no row is read.

        Args:
            codecs: that would be counted in; an engine must be able to run each.
            check: of the columns' types.

        Raises:
            UnsupportedByEngine, DataError: by name.
        """
        check(self._parts.train.types)
        if isinstance(self._parts.train, EngineTable):
            self._parts.train.check(codecs)

    def to_count(
        self, ledger: Ledger, capability: ReadCapability, plan: EventTree
    ) -> Split[Table] | Split[EngineTable]:
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

    def to_recount(
        self, ledger: Ledger, reservation_id: str, token: str, plan: EventTree
    ) -> Split[Table] | Split[EngineTable]:
        """Both parts again, the same ones, for a figure that was interrupted after they were read.

        Raises:
            CapabilityRefused, ReservationRefused: as `to_resume`.
        """
        self._check(ledger)
        ledger.redeem_again(reservation_id, token, commitment=self.commitment, plan=plan)
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
        return bounded(self._in_memory().train, self.unit, bound_key, self.order)

    def to_draw(self, ledger: Ledger, budget_id: str, reservation_id: str, *, key: bytes) -> PrivateRows:
        """About `TARGETS` rows of each part of a table in an engine, units within their bound, behind the same doors.

        Args:
            ledger: the workspace's.
            budget_id: that pays.
            reservation_id: of the run that read the training rows, through this very object.
            key: 32 secret bytes of the reservation, which choose them; the fitted rows are the train part's.

        Raises:
            CapabilityRefused: nothing of this data was read for that reservation.
        """
        self._check(ledger)
        runs = (run for run in ledger.reservations(budget_id) if run.reservation_id == reservation_id)
        here = ledger.budget(budget_id).commitment == self.commitment
        if not here or not any(run.accessed for run in runs) or not isinstance(self._fitted, EngineTable):
            raise CapabilityRefused("No rows of this data were read for that reservation.", "Fit first.")
        train, holdout, later = self._fitted, self._parts.holdout, self._parts.later
        parts = Split(
            train=self._drawn(train, key),
            holdout=self._drawn(self._within_bound(holdout, key), key),
            later=None if later is None else self._drawn(self._within_bound(later, key), key),
        )
        return PrivateRows(
            parts, commitment=self.commitment, unit=self.unit, ledger=self.ledger, order=None, identity=self.identity
        )

    def to_keep(
        self, ledger: Ledger, budget_id: str, reservation_id: str, vault: Vault, run_id: str, columns: Sequence[str]
    ) -> None:
        """Seal these columns with a draft that was paid for, as its rows are; `sealed_source` opens them again."""
        keep(vault, run_id, self.to_compare(ledger, budget_id, reservation_id), columns, self.unit.column)

    def close(self) -> None:
        """Leave the engine, if rows are in one."""
        if isinstance(self._parts.train, EngineTable):
            self._parts.train.engine.close()

    def _bounded(self, bound_key: bytes) -> Table | EngineTable:
        self._fitted = self._within_bound(self._parts.train, bound_key)
        return self._fitted

    def _within_bound(self, table: Table | EngineTable, key: bytes) -> Table | EngineTable:
        return bounded(table, self.unit, key, self.order)

    def _drawn(self, table: Table | EngineTable, key: bytes) -> Table:
        from dpsynth.data.engines.rows import sampled

        if not isinstance(table, EngineTable) or self.identity is None:
            raise no_identity()
        if self.unit.column is not None and self.unit.max_records > OF_A_UNIT:
            table = bounded_in_engine(table, self.unit.column, OF_A_UNIT, key)
        return sampled(table, self.identity, about=TARGETS, key=key)

    def _in_memory(self) -> Split[Table]:
        if isinstance(self._parts.train, EngineTable):
            raise stays_in_engine("This")
        return self._parts

    @staticmethod
    def _reads(ledger: Ledger, budget_id: str, read_id: str) -> bool | None:
        """None if no `unprotected` entry has this id; else whether its draft is sealed already."""
        known = [entry for entry in ledger.entries(budget_id) if read_id in entry.body.values()]
        if not any(entry.kind is Kind.UNPROTECTED for entry in known):
            return None
        return any(entry.kind is Kind.ATTEMPT for entry in known)

    def to_compare(self, ledger: Ledger, budget_id: str, reservation_id: str) -> Split[Table]:
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
        return self._in_memory()

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
    """A registered data set, read and found fit; its rows stay behind their doors.

    Attributes:
        schema: given or drafted.
        rows: behind their doors.
        warnings: of the reader and the checks, for the operator.
        version: keyed commitment of what a table in an engine holds now; None for files and tables in memory, whose
            content the data set's own commitment names.
    """

    schema: Schema
    rows: PrivateRows
    warnings: tuple[Any, ...]
    version: str | None = None


def open_source(
    workspace: Workspace,
    record: DatasetRecord,
    *,
    schema: Schema | str | Path | None,
    target: str | None = None,
    order: str | None = None,
    counts: bool = False,
) -> Checked:
    """Read a registered data set, check it against its schema, split it; later rows, if there are, in the same step.

    Args:
        workspace: where it is registered.
        record: the data set.
        schema: what is public; default the registered one, else a draft.
        target: the column that models will predict.
        order: the column that orders a unit's rows.
        counts: whether the caller only counts, so that rows may stay in an engine; it closes them then.

    Raises:
        DataError, SchemaError: before anything private was decided.
        UnsupportedByEngine: rows stay in an engine, and what is asked for reads rows.
    """
    declared = schema if schema is not None else record.schema
    if isinstance(declared, str | Path):
        declared = Schema.from_yaml(Path(declared))
    if record.place is not None and not counts:
        raise stays_in_engine("This")
    table = workspace.load(record)
    try:
        return _checked(workspace, record, table, declared, target, order)
    except BaseException:
        if isinstance(table, EngineTable):
            table.engine.close()
        raise


def sealed_source(workspace: Workspace, record: DatasetRecord, run_id: str, schema: Schema) -> Checked:
    """The rows that a run of an engine's table drew for attacks and quality, behind their doors.

    Raises:
        SealError: they are missing or were altered.
    """
    parts = kept(workspace.vault, run_id, later=record.time is not None)
    return Checked(schema=schema, rows=_behind_doors(workspace, record, parts, None, None), warnings=())


def _checked(
    workspace: Workspace,
    record: DatasetRecord,
    table: Path | Table | EngineTable,
    declared: Schema | None,
    target: str | None,
    order: str | None,
) -> Checked:
    if isinstance(table, EngineTable):
        declared = with_row_key(table, declared, record)
    found = prepare(table, declared, target=target, unit=record.unit.column, order=order)
    if record.time is not None and record.time.column not in found.table.columns:
        raise SchemaError(
            f"The schema drops the time column '{record.time.column}', so it cannot be said which rows are later.",
            "Give it `role: identifier` instead of `drop: true`: it is then read and not modelled.",
        )
    key, identity, version = workspace.secret(f"split/{record.commitment}"), None, None
    parts: Split[Table] | Split[EngineTable]
    if isinstance(found.table, EngineTable):
        place = place_of(record)
        identity = place.identity(record.unit)
        check_counted(found.table, found.schema, identity, record.unit)
        version = workspace.vault.commit(version_of(found.table).encode(), purpose="version")
        if identity == ROW:
            key = workspace.secret(f"split/{record.commitment}/{version}")
        parts = split_in_engine(found.table, identity, record, holdout_share=HOLDOUT_SHARE, key=key)
    else:
        parts = split(
            found.table,
            holdout_share=HOLDOUT_SHARE,
            key=key,
            unit_column=record.unit.column,
            later=None if record.time is None else later_rows(found.table.column(record.time.column), record.time),
        )
    if record.time is not None:
        check_parts(parts, record.time)
    rows = _behind_doors(workspace, record, parts, found.schema.order, identity)
    return Checked(schema=found.schema, rows=rows, warnings=found.warnings, version=version)


def _behind_doors(
    workspace: Workspace,
    record: DatasetRecord,
    parts: Split[Table] | Split[EngineTable],
    order: str | None,
    identity: str | None,
) -> PrivateRows:
    with workspace.ledger() as ledger:
        own = ledger.ledger_id, ledger.public_key
    return PrivateRows(
        parts, commitment=record.commitment, unit=record.unit, ledger=own, order=order, identity=identity
    )


def drafted_file(workspace: Workspace, record: DatasetRecord, *, target: str | None) -> Schema:
    """What names and types of a registered file or table in memory say, for a plan before any run; no row leaves.

    Raises:
        DataError, SchemaError: as `datasets.drafted`, or the file is gone or changed.
    """
    found = workspace.load(record)
    return drafted(found, target=target, unit=record.unit.column)
