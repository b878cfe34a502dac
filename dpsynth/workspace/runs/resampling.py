"""`sample`: more rows from the model of a draft, sealed as a draft of their own.

Rows are post-processing of what one commit paid for, so nothing is reserved and no epsilon is spent. But whoever draws
again and again until the attacks pass has tried as often: each draft is an attempt in the ledger, counts like a run of
the generator, and is judged at its number's level. It quotes the reservation, run and events of the first draft; the
condition stands in its document, its card and (as a digest) in the ledger.

Rows under a condition are judged beside real rows that meet the same condition: `matching` picks those. Members outside
it could not be found in such rows, and would make every attack look weaker than it is. Canaries outside it likewise
(`possible`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import WorkspaceError
from dpsynth.release.evidence import DraftDocument, SamplingFacts
from dpsynth.release.formats import encode_parquet
from dpsynth.schema.violations import kept_constraints
from dpsynth.tabular.conditions.given import Given, conditions, from_text
from dpsynth.tabular.saved.saving import SavedModel, from_bytes
from dpsynth.workspace.budgets import runs_on
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.runs.attribution import record_draft
from dpsynth.workspace.runs.sealed_size import check_rows
from dpsynth.workspace.runs.synthesis import next_number

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.workspace import Workspace


def resample(workspace: Workspace, draft: Draft, rows: int | None, given: Given | None, balance: str | None) -> Draft:
    """See `Workspace.sample`."""
    from dpsynth.workspace.draft import Draft

    check_rows(rows, len(draft.schema.modelled))
    first = origin(draft)
    model = model_of(draft).model
    allowed = conditions(given, model.domains)
    seed = os.urandom(32)
    rng = np.random.default_rng(np.frombuffer(seed, np.uint64))
    sample = model.sample(rows or draft.document.rows, rng, given=allowed, balance=balance)
    vault, record = workspace.vault, workspace.registry.get(draft.document.dataset)
    with workspace.ledger(write=True) as ledger:
        name = f"{record.name}-{next_number(workspace, record, runs_on(ledger, record)):04d}"
        sealed = vault.seal(name, encode_parquet(sample), {"kind": "rows"})
        if draft.document.canaries.planted:
            vault.seal(f"{name}-canaries", vault.open(f"{first}-canaries"), {"kind": "canaries"})
        document = DraftDocument.model_validate(
            {
                **draft.document.to_json(),
                "draft": name,
                "draft_digest": sealed.draft_digest,
                "rows": sample.num_rows,
                "constraints": kept_constraints(draft.schema, sample),
                "seeds": {"sample": vault.commit(seed, purpose="seed")},
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "sampling": {
                    "of": first,
                    "given": {name: one.text(model.domains[name]) for name, one in allowed.items()},
                    "balance": balance,
                    "salt": os.urandom(32).hex(),
                },
            }
        )
        record_draft(draft.workspace, ledger, document)
    folder = workspace.layout.drafts / name
    folder.mkdir(mode=0o700)
    (folder / "schema.yaml").write_text(draft.schema.to_yaml(), "utf-8")
    write_json(folder / "model.json", read_json(draft.folder / "model.json"))
    write_json(folder / "draft.json", document.to_json())
    return Draft.load(workspace, name)


def origin(draft: Draft) -> str:
    """The draft whose fit made the model."""
    sampling = draft.document.sampling
    return draft.name if sampling is None else sampling.of


def model_of(draft: Draft) -> SavedModel:
    """The sealed model that a draft was drawn from, checked, priced, and the one that the draft's document describes.

    Raises:
        WorkspaceError: the draft was made before models were kept, or names another fit's model.
        ModelError: the model's events do not give the guarantee that it states.
    """
    vault, name, document = draft.workspace.vault, f"{origin(draft)}-model", draft.document
    if not (vault.drafts_dir / f"{name}.json").is_file():
        raise WorkspaceError(f"The model of '{draft.name}' was not kept.", "Synthesize again with this version.")
    saved = from_bytes(vault.open(name))
    # draft.json is plain text: which model it names must not decide what its rows are said to have cost
    facts = (saved.model.events.digest(), saved.guarantee, saved.schema_digest)
    if facts != (document.events_digest, document.claimed, document.schema_digest):
        raise WorkspaceError(
            f"The sealed model that '{draft.name}' names is not of the fit that its document describes.",
            "Restore draft.json; do not release this.",
        )
    return saved


def condition(draft: Draft) -> SamplingFacts | None:
    """What a draft's rows were asked to be like, or in which equal shares; None if nothing was asked."""
    sampling = draft.document.sampling
    return sampling if sampling is not None and (sampling.given or sampling.balance) else None


def matching(draft: Draft, table: Table) -> Table:
    """The real rows that a draft's rows are to be compared with: those that meet its condition, balanced as it is.

    There may be none. Whether there are is a fact about private rows, so it is no error: `comparable` treats none like
    few.
    """
    if (asked := condition(draft)) is None:
        return table
    met = _met(draft, asked, table)
    rows = np.flatnonzero(met.rows)
    if met.classes is not None:
        each = [rows[met.classes[rows] == one] for one in met.shares]
        fewest = min(len(own) for own in each)
        rng = np.random.default_rng(0)
        rows = np.sort(np.concatenate([rng.choice(own, fewest, replace=False) for own in each]))
    return table.take(rows)


def comparable(draft: Draft, members: Table, nonmembers: Table) -> tuple[Table, Table] | None:
    """The real rows on both sides that a draft is compared with; None if its condition leaves too few people on either.

    None and few are told alike, or a condition would be a question about exact private rows that costs nothing.
    """
    from attacks.evidence import MIN_GROUP

    pair = matching(draft, members), matching(draft, nonmembers)
    if condition(draft) is not None and min(_people(draft, side) for side in pair) < MIN_GROUP:
        return None
    return pair


def possible(draft: Draft, canaries: Table) -> NDArray[np.bool_]:
    """Which canaries a draft's condition allows; the others cannot be repeated, and a control with them has no power.

    Not balanced: how many there are of each class was decided by public values and coins.
    """
    if (asked := condition(draft)) is None:
        return np.ones(canaries.unsafe_num_rows, dtype=bool)
    return _met(draft, asked, canaries).rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """Which rows meet a draft's condition; their codes in the balanced column, and the codes that take equal shares."""

    rows: NDArray[np.bool_]
    classes: NDArray[np.int64] | None
    shares: NDArray[np.int64]


def _met(draft: Draft, asked: SamplingFacts, table: Table) -> _Met:
    domains = model_of(draft).model.domains
    kept = np.ones(table.unsafe_num_rows, dtype=bool)
    for name, one in from_text(asked.given, domains).items():
        kept &= one.matches(table.column(name), domains[name])
    if asked.balance is None:
        return _Met(rows=kept, classes=None, shares=np.empty(0, dtype=np.int64))
    domain = domains[asked.balance]
    shares = np.unique(domain.encode(draft.rows().column(asked.balance)))
    classes = domain.encode(table.column(asked.balance))
    return _Met(rows=kept & np.isin(classes, shares), classes=classes, shares=shares)


def _people(draft: Draft, table: Table) -> int:
    unit = draft.unit.column
    return table.unsafe_num_rows if unit is None else len(table.column(unit).unique())
