"""A workspace: budgets, keys and drafts in one folder, and the steps that lead to a release.

    ws    = Workspace.open("vault")
    data  = ws.register("patients.parquet", unit="patient_id", max_per_unit=4)
    ws.create_budget(data, epsilon=3, delta="1e-5")
    draft = ws.synthesize(data, tabular.MST(), epsilon=1, delta="1e-6")     # charged, sealed
    draft.attack(); draft.evaluate(); draft.gate()
    release = draft.release("out")

Order is the proof: the file is read and refused, if it must be, before anything is reserved; the plan is reserved
before a mechanism runs; the events are committed before a row is sampled; rows leave memory encrypted. An error after
the reservation leaves it spent, never open for another try.

Not guaranteed: protection from a person who can read `keys/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.ledger import Ledger, Signer
from accounting.ledger.errors import KeyRefused
from dpsynth.core.errors import WorkspaceError
from dpsynth.core.progress import Progress, silent
from dpsynth.data.engines.sources.credentials import without_secrets
from dpsynth.data.table import Table
from dpsynth.release.seal import Vault
from dpsynth.workspace import budgets
from dpsynth.workspace.budgets import Node
from dpsynth.workspace.layout import Layout, find
from dpsynth.workspace.notebooks import draw_in_notebooks
from dpsynth.workspace.private.time import cut
from dpsynth.workspace.registry.datasets import DatasetRecord, Registry

if TYPE_CHECKING:
    from accounting.ledger import Balance
    from dpsynth.data.engines.sources.urls import SourceURL
    from dpsynth.data.engines.warehouse import EngineTable
    from dpsynth.pipeline import AnyGenerator
    from dpsynth.release.policy import Policy
    from dpsynth.schema.model import Schema
    from dpsynth.tabular.baselines.protocol import Baseline
    from dpsynth.tabular.conditions.given import Given
    from dpsynth.text.protocol import Writer
    from dpsynth.workspace.draft import Draft

Warn = Callable[[str], None]
Moment = str | int | float | date
CANARIES = 100


def _quiet(text: str) -> None:
    """A warning that nobody listens to."""


class Workspace:
    """One folder of budgets and drafts. Make it with `init`, then `open` it.

    Args:
        layout: where things lie; use `open` rather than this.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.vault = Vault(layout.keys, layout.drafts)
        self.registry = Registry(layout.datasets)
        self._tables: dict[str, Table] = {}  # by commitment: handed over in this process
        self._sessions: dict[str, SourceURL] = {}  # likewise: what connects to a place, with its password
        draw_in_notebooks()

    def __repr__(self) -> str:
        return f"Workspace('{self.layout.root}')"

    @classmethod
    def init(
        cls, folder: str | Path, *, ledger: str | None = None, keys: str | Path | None = None, tier: str | None = None
    ) -> Workspace:
        """Make a workspace with fresh keys, an empty ledger and a policy; or join a team's ledger.

        Args:
            folder: where; must not be a workspace yet.
            ledger: `postgresql://` URL of a ledger that a team shares; None for a file in the folder.
            keys: folder with the team's `ledger.key` and `vault.key`, to join its ledger; None to create one.
            tier: internal, restricted or public, whose policy it gets; None for one that asks for no reviews.

        Raises:
            WorkspaceError: the folder is a workspace, a file is in the way, or the URL holds a password.
            LedgerUnavailable: the ledger cannot be made or opened.
        """
        from dpsynth.workspace.making import make

        return cls(make(folder, ledger=ledger, keys=keys, tier=tier))

    @classmethod
    def open(cls, folder: str | Path | None = None) -> Workspace:
        """Open a workspace: `folder`, or $DPSYNTH_WORKSPACE, or the nearest one upwards.

        Raises:
            WorkspaceError: if there is none.
        """
        return cls(find(Path(folder) if folder is not None else None))

    # --- data sets and budgets -------------------------------------------------------------------------------------

    def register(
        self,
        name_or_path: str | Path,
        source: Any = None,
        *,
        table: str | None = None,
        row_key: str | None = None,
        unit: str | None = None,
        max_per_unit: int = 1,
        schema: str | Path | None = None,
        parents: Sequence[str | Path] = (),
        real_anchor: bool = False,
        time: str | None = None,
        since: Moment | None = None,
    ) -> DatasetRecord:
        """Make a data set known, or find it if its content is registered already.

        Args:
            name_or_path: a file; a URL, folder or pattern whose rows stay in an engine; or, with `source`, the name.
            source: a `Table`, a pandas DataFrame, a path or a URL, when the first argument is a name.
            table: of a URL: `schema.table`.
            row_key: of rows in an engine: a column that is another for each record; not needed with `unit`.
            unit: the column that names the person; None if one row is one person.
            max_per_unit: rows kept of one person, enforced before anything is counted.
            schema: schema file to use for it by default.
            parents: releases (bundles, files) whose synthetic rows are in it.
            real_anchor: whether it holds real rows beside them.
            time: the column that says when; with it rows from `since` on, a public date that you choose and never one
                computed from the rows, are set aside before anything is looked at.
            since: a date or number.

        Raises:
            SchemaError: the schema file cannot be read, or speaks of other columns.
            DataError: the file cannot be read, or has no column `unit`, or none of `time`.
            ParameterError: a time without a date, a date without a time, or no date.
            WorkspaceError: a budget was granted for another unit of privacy.
        """
        from dpsynth.workspace.registry.registering import register

        return register(
            self, name_or_path, source, table=table, row_key=row_key, unit=unit, max_per_unit=max_per_unit,
            schema=schema, parents=parents, real_anchor=real_anchor, aside=cut(time, since),
        )  # fmt: skip

    def find(self, data: str | Path | DatasetRecord, *, table: str | None = None) -> DatasetRecord:
        """The record of a registered data set: by record, by name, by a file with that content, or by its place.

        Raises:
            BudgetRefused: if the content or place is not registered, with the command that grants it a budget.
        """
        known = self.registered(data, table=table)
        if known is None:
            raise budgets.no_budget(without_secrets(str(data)), table=table)
        if isinstance(data, DatasetRecord) or known.place is not None or not Path(data).exists():
            return known
        if known.path is not None and not Path(known.path).exists():
            return self.registry.add(replace(known, path=str(Path(data).resolve())))  # the same content, moved
        return known

    def registered(self, data: str | Path | DatasetRecord, *, table: str | None = None) -> DatasetRecord | None:
        """As `find`, or None for content or a place that is not registered; nothing is written."""
        if isinstance(data, DatasetRecord):
            return data
        from dpsynth.workspace.registry.registering import registered

        return registered(self, data, table)

    def create_budget(
        self,
        data: str | Path | DatasetRecord,
        *,
        epsilon: Any,
        delta: Any,
        filter: str | None = None,  # noqa: A002 - the field's word
        order: Any = None,
        conversion_delta: Any = None,
        parent: str | Path | DatasetRecord | None = None,
        purpose: str | None = None,
        recipient: str = budgets.ANYBODY,
        warn: Warn = _quiet,
    ) -> Balance:
        """Grant a data set its budget, or take a share of it; only amendments change either later.

        Args:
            data: a registered data set.
            epsilon: of the data set's unit, add/remove, for all releases together.
            delta: likewise.
            filter: what adds up across runs: basic (default), zcdp or rdp; a version and a share have their parent's.
            order: alpha of an rdp filter.
            conversion_delta: the part of delta that zcdp and rdp convert at; default half of it.
            parent: of data without a budget: the data set (or budget id) that this is a version of, or overlaps with,
                so that both spend from one; of a share: another share of the same data.
            purpose: makes it a share, without data of its own: its name, which receivers of slices see.
            recipient: for whom a share is: any, internal, restricted or public.
            warn: called with what a person should think of first: a table of that name on another host has a budget.

        Raises:
            BudgetRefused: the data has a budget, or the part does not suit what it is a part of.
            AmountRefused: a number is out of range.
        """
        record = self.find(data)
        made = budgets.create(
            self, record, epsilon=epsilon, delta=delta, filter_=filter, order=order, conversion_delta=conversion_delta,
            parent=parent, purpose=purpose, recipient=recipient, warn=warn,
        )  # fmt: skip
        return self.balance(record, purpose=made.budget_id)

    def amend_budget(
        self,
        data: str | Path | DatasetRecord,
        *,
        epsilon: Any = None,
        delta: Any = None,
        reason: str,
        approver: Signer,
        purpose: str | None = None,
    ) -> Balance:
        """Change a grant, with a second person's key; every later balance, card and report shows both.

        Args:
            data: a data set with a budget.
            epsilon: the new total; None keeps it.
            delta: likewise.
            reason: in words; published.
            approver: a key of role `budget`, never the ledger's own.
            purpose: of a share, or a budget's id; None for the data set's own budget.

        Raises:
            BudgetRefused: the key may not approve, or the grant does not hold what is held, or nothing changed.
        """
        record = self.find(data)
        made = budgets.amend(
            self, record, epsilon=epsilon, delta=delta, reason=reason, approver=approver, purpose=purpose
        )
        return self.balance(record, purpose=made.budget_id)

    def balance(self, data: str | Path | DatasetRecord, *, purpose: str | None = None) -> Balance:
        """What is granted, spent, reserved and left of a data set's budget, or of one of its shares.

        Raises:
            BudgetRefused: if nothing was granted, with the command that would.
        """
        record = self.find(data)
        with self.ledger() as ledger:
            return ledger.balance(self.budget_id(ledger, record, purpose))

    def budgets(self, data: str | Path | DatasetRecord) -> tuple[Node, ...]:
        """The whole family of a data set's budget, each above its parts.

        Raises:
            BudgetRefused: if nothing was granted.
        """
        record = self.find(data)
        with self.ledger() as ledger:
            return budgets.family(ledger, self.budget_id(ledger, record))

    def ledger(self, *, write: bool = False) -> Ledger:
        """The ledger, read-only unless `write`; use it as a context manager.

        Raises:
            KeyRefused: to write, the workspace's key must be the one in force.
            WorkspaceError: a rotation of that key broke off.
        """
        if not write:
            return Ledger.open(self.layout.ledger)
        try:
            return Ledger.open(self.layout.ledger, signer=Signer.load(self.layout.ledger_key))
        except KeyRefused:
            from dpsynth.workspace.keys import broke_off

            if broke_off(self):
                raise WorkspaceError(
                    "A rotation of the ledger's key broke off before the new key had its place.",
                    "End it with: dpsynth keys rotate --reason TEXT",
                ) from None
            raise

    def policy(self) -> Policy:
        """The policy in force: what `policy.yaml` says now."""
        from dpsynth.release.policy import Policy

        return Policy.from_yaml(self.layout.policy.read_bytes())

    # --- drafts ----------------------------------------------------------------------------------------------------

    def draft(self, name: str) -> Draft:
        """A sealed draft by its name.

        Raises:
            WorkspaceError: if there is no such draft.
        """
        from dpsynth.workspace.draft import Draft

        return Draft.load(self, name)

    def drafts(self) -> Iterator[Draft]:
        """All drafts, oldest first."""
        for document in sorted(self.layout.drafts.glob("*/draft.json")):
            yield self.draft(document.parent.name)

    def synthesize(
        self,
        data: str | Path | DatasetRecord,
        generator: AnyGenerator | Writer | str = "auto",
        *,
        epsilon: Any, delta: Any, budget: str | None = None, schema: Schema | str | Path | None = None,
        target: str | None = None, order: str | None = None, text: str | None = None, beside: Sequence[str] = (),
        rows: int | None = None, canaries: int = CANARIES, progress: Progress = silent, warn: Warn = _quiet,
        resume: bool | None = False, time: str | None = None, since: Moment | None = None,
    ) -> Draft:  # fmt: skip
        """Reserve, fit, commit, sample, seal.

        Args:
            data: a registered data set with a budget, or its file.
            generator: a generator, or the name of one with default settings; `auto` chooses by the schema. A writer
                (`dpsynth.text`) where a column is text.
            epsilon: of the data set's unit, add/remove: what this run may cost.
            delta: likewise.
            budget: the purpose of a share, or a budget's id, that pays; default the data set's own budget.
            schema: what is public; default the registered schema, else a draft from names and types.
            target: the column that models will predict; overrides the schema's.
            order: the column that orders a person's rows, for whole people; overrides the schema's.
            text: the column of prose, for a writer; other columns are left out unless a schema or `beside` keeps them.
            beside: columns that are made with the text.
            rows: how many rows to sample; default the released row total.
            canaries: public random rows to draw; about half are planted for the canary audit.
            progress: called as steps finish.
            warn: called with what the reader noticed, for the operator only.
            resume: go on with this very request where it was interrupted, or fail; None: if it was, else anew.
            time: as for `register`, from now on; default what is registered.
            since: likewise.

        Raises:
            BudgetRefused: no budget, or too little of it; nothing was read by a mechanism.
            DataError, SchemaError: the file cannot be used; nothing was spent.
        """
        from dpsynth.workspace.runs.synthesis import synthesize

        return synthesize(
            self,
            self._timed(self.find(data), time, since),
            generator,
            epsilon=Decimal(str(epsilon)),
            delta=Decimal(str(delta)),
            purpose=budget, schema=schema, target=target, order=order, text=text, beside=beside,
            rows=rows, canaries=canaries, progress=progress, warn=warn, resume=resume,
        )  # fmt: skip

    def synthesize_unprotected(
        self, data: str | Path | DatasetRecord, baseline: Baseline | str, *, rows: int | None,
        budget: str | None = None, canaries: int = CANARIES, progress: Progress = silent, warn: Warn = _quiet,
        time: str | None = None, since: Moment | None = None, **options: Any,
    ) -> Draft:  # fmt: skip
        """Fit a baseline, which protects nobody, and seal its rows as a draft that no gate ships; nothing is charged.

        The ledger says so before a row is read. `rows` must be given; `options`: schema, target; all else is as for
        `synthesize`.
        """
        from dpsynth.workspace.runs.unprotected import synthesize_unprotected

        run = {"rows": rows, "purpose": budget, "canaries": canaries, "progress": progress, "warn": warn}
        return synthesize_unprotected(self, self._timed(self.find(data), time, since), baseline, **run, **options)  # type: ignore[arg-type]

    def sample(
        self,
        draft: Draft | str,
        *,
        rows: int | None = None,
        given: Given | None = None,
        balance: str | None = None,
    ) -> Draft:
        """Draw more rows from the model of a draft, and seal them as a new draft.

        Post-processing: no epsilon is spent. It is a new attempt all the same, recorded and counted, and the new draft
        needs its own attacks and its own decision.

        Args:
            draft: whose model; a draft or its name.
            rows: how many; default as many as that draft has.
            given: column -> value, values, `Between` or None (missing) that all rows have.
            balance: column whose values take equal shares.

        Raises:
            ParameterError: the model has no such column or value.
            WorkspaceError: no such draft, or none of its model.
        """
        from dpsynth.workspace.runs.resampling import resample

        return resample(self, self.draft(draft) if isinstance(draft, str) else draft, rows, given, balance)

    # --- what steps need -------------------------------------------------------------------------------------------

    def load(self, record: DatasetRecord) -> Path | Table | EngineTable:
        """Where the rows of a data set are: its file, the table handed over in this process, or one in an engine.

        Raises:
            DataError: the file is gone or its content is another one than was registered, or the engine refuses.
        """
        from dpsynth.workspace.registry.registering import load

        return load(self, record)

    def _timed(self, record: DatasetRecord, time: str | None, since: Moment | None) -> DatasetRecord:
        aside = cut(time, since)
        return record if aside is None else self.registry.add(replace(record, time=aside))

    def secret(self, purpose: str) -> bytes:
        """32 secret bytes for one purpose, the same each time."""
        return bytes.fromhex(self.vault.commit(purpose.encode(), purpose="secret"))

    def budget_id(self, ledger: Ledger, record: DatasetRecord, purpose: str | None = None) -> str:
        """The budget of a data set, or of its share for a purpose; errors as `budgets.budget_of`."""
        return budgets.budget_of(ledger, record, purpose).budget_id
