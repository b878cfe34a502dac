"""A baseline on private data: a sealed draft without a guarantee, to compare with and never to ship.

1. the ledger records that the data is about to be read without protection: kind `unprotected`, before any row is read
2. that entry opens the training rows once; the baseline is fitted to the rows themselves
3. rows are sampled and sealed; draft.json says `guarantee: null`; the attempt is recorded

Nothing is charged, because nothing that depends on the rows leaves: the draft is sealed, its figures are confidential
as those of every draft, and the gate rejects it under any policy. What it costs is an attempt, for a person may have
learned from it. Receivers of later bundles see the entry in their slice (docs/adr/0005).

Not guaranteed: that nobody with the vault's key takes the rows by other means; they are as private as the table.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import Progress
from dpsynth.data.arrow_numpy import array_of
from dpsynth.data.table import Table
from dpsynth.pipeline import PlantedCanaries, plant
from dpsynth.release.evidence import DraftDocument
from dpsynth.release.formats import encode_parquet
from dpsynth.schema.domain import known_domain
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import kept_constraints
from dpsynth.tabular import baseline as baseline_named
from dpsynth.workspace.budgets import budget_of, runs_on
from dpsynth.workspace.layout import write_json
from dpsynth.workspace.private.room import open_source
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.runs.attribution import record_draft
from dpsynth.workspace.runs.baselines import check_numbers, fresh_seed
from dpsynth.workspace.runs.synthesis import canary_bytes, next_number

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.tabular.baselines.protocol import Baseline
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.workspace import Workspace

REASON = "fitted without protection; nothing made of it may leave"


def synthesize_unprotected(
    workspace: Workspace,
    record: DatasetRecord,
    baseline: Baseline | str,
    *,
    rows: int | None,
    purpose: str | None = None,
    schema: Schema | str | Path | None = None,
    target: str | None = None,
    canaries: int,
    progress: Progress,
    warn: Callable[[str], None],
) -> Draft:
    """See `Workspace.synthesize_unprotected`."""
    from dpsynth.workspace.draft import Draft

    number = check_rows(rows)
    made_by = baseline_named(baseline) if isinstance(baseline, str) else baseline
    version = made_by.version  # a library that is not installed is refused here, before anything is recorded
    with workspace.ledger(write=True) as ledger:
        budget = budget_of(ledger, record, purpose)
        source = open_source(workspace, record, schema=schema, target=target)
        for warning in source.warnings:
            warn(warning.message)
        runs = [*runs_on(ledger, record), *_reads(ledger, budget.budget_id)]
        run_id = f"{record.name}-{next_number(workspace, record, runs):04d}"
        read_id = "read-" + secrets.token_hex(16)
        entry = {"run_id": run_id, "read_id": read_id, "generator": made_by.name, "reason": REASON}
        ledger.append(Kind.UNPROTECTED.value, {"budget_id": budget.budget_id, **entry})
        key = workspace.secret(f"bound/{read_id}")
        train = source.rows.to_fit_unprotected(ledger, budget.budget_id, read_id, bound_key=key)
        columns = train.select(source.schema.modelled)
        planted = _canaries(columns, source.schema, canaries, warn)
        if planted is not None:
            columns = columns.concat(Table(planted.rows.filter(array_of(planted.included, pa.bool_()))))
        model = made_by.fit(columns, source.schema, seed=fresh_seed(), progress=progress)
        seed = fresh_seed()
        sample = model.sample(number, seed=seed)
        vault = workspace.vault
        sealed = vault.seal(run_id, encode_parquet(sample), {"kind": "rows"})
        if planted is not None:
            vault.seal(f"{run_id}-canaries", canary_bytes(planted), {"kind": "canaries"})
        count = 0 if planted is None else planted.planted
        nothing = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=record.unit, events=())
        document = DraftDocument.model_validate(
            {
                "draft": run_id,
                "draft_digest": sealed.draft_digest,
                "dataset": record.name,
                "source_commitment": record.commitment,
                "schema_digest": source.schema.digest(),
                "budget_id": budget.budget_id,
                "reservation_id": read_id,
                "run_id": run_id,
                "policy_digest": workspace.policy().digest(),
                "generator": {"name": made_by.name, "version": version, "third_party": True},
                "rows": sample.num_rows,
                "row_total": number,
                "columns": tuple(sample.column_names),
                "constraints": kept_constraints(source.schema, sample),
                "guarantee": None,
                "events_digest": nothing.digest(),
                "canaries": {"planted": count, "share": format(Decimal(count) / max(number, count), ".6f")},
                "seeds": {"sample": vault.commit(seed.to_bytes(4, "big"), purpose="seed")},
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "lineage": record.lineage,
                "time": record.time,
            }
        )
        record_draft(workspace, ledger, document)
    folder = workspace.layout.drafts / run_id
    folder.mkdir(mode=0o700)
    (folder / "schema.yaml").write_text(source.schema.to_yaml(), "utf-8")
    write_json(folder / "model.json", {"generator": made_by.name, "guarantee": None, "pair_sigma": None})
    write_json(folder / "draft.json", document.to_json())
    return Draft.load(workspace, run_id)


def _canaries(columns: Table, schema: Schema, count: int, warn: Callable[[str], None]) -> PlantedCanaries | None:
    """Canaries uniform over the declared domains; there are no released ones to draw from."""
    if not count:
        return None
    domains = {name: domain for name in schema.modelled if (domain := known_domain(schema.columns[name])) is not None}
    if len(domains) < len(schema.modelled):
        warn("No canaries: they are drawn from declared domains, and a column has none.")
        return None
    return plant(domains, count, schema=schema, like=columns, noise=SystemNoise())


def _reads(ledger: Ledger, budget_id: str) -> Iterator[Any]:
    """Earlier unprotected runs of the budget's family, crashed ones too: their names are taken."""
    for node in ledger.budgets(budget_id):
        for entry in ledger.entries(node.budget_id):
            if entry.kind is Kind.UNPROTECTED:
                yield SimpleNamespace(run_id=str(entry.body.get("run_id")))


def check_rows(rows: int | None) -> int:
    """The number of rows that was asked for: for private data nobody else may say it.

    Raises:
        ParameterError: it was left out, or is below 1.
    """
    check_numbers(rows, None)
    if rows is None:
        raise ParameterError(
            "How many rows the data has is private, and a baseline releases no total.",
            "Say --rows N: what a draft of another generator has, or what is known publicly.",
        )
    return rows
