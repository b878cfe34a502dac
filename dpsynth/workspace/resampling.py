"""`sample`: more rows from the model of a draft, sealed as a draft of their own.

Rows are post-processing of what one commit paid for, so nothing is reserved and no epsilon is spent. But whoever draws
again and again until the attacks pass has tried as often: each draft is an attempt in the ledger, counts like a run of
the generator, and is judged at its number's level. It quotes the reservation, run and events of the first draft; the
condition stands in its document, its card and (as a digest) in the ledger.

Rows under a condition are judged beside real rows that meet the same condition: `matching` picks those. Members outside
it could not be found in such rows, and would make every attack look weaker than it is.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.core.errors import ParameterError, WorkspaceError
from dpsynth.release.documents import canonical
from dpsynth.release.entries import record_attempt
from dpsynth.release.evidence import DraftDocument
from dpsynth.release.formats import encode_parquet
from dpsynth.tabular.conditions.given import Given, conditions, from_text
from dpsynth.tabular.saved.saving import SavedModel, from_bytes
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.synthesis import next_number

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.workspace import Workspace


def resample(workspace: Workspace, draft: Draft, rows: int | None, given: Given | None, balance: str | None) -> Draft:
    """See `Workspace.sample`."""
    from dpsynth.workspace.draft import Draft

    if rows is not None and rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for as many as the draft has.")
    first = origin(draft)
    model = model_of(draft).model
    allowed = conditions(given, model.domains)
    seed = os.urandom(32)
    rng = np.random.default_rng(np.frombuffer(seed, np.uint64))
    sample = model.sample(rows or draft.document.rows, rng, given=allowed, balance=balance)
    vault, record = workspace.vault, workspace.registry.get(draft.document.dataset)
    with workspace.ledger(write=True) as ledger:
        runs = ledger.reservations(draft.document.budget_id)
        name = f"{record.name}-{next_number(workspace, record, runs):04d}"
        sealed = vault.seal(name, encode_parquet(sample), {"kind": "rows"})
        if draft.document.canaries.planted:
            vault.seal(f"{name}-canaries", vault.open(f"{first}-canaries"), {"kind": "canaries"})
        document = DraftDocument.model_validate(
            {
                **draft.document.to_json(),
                "draft": name,
                "draft_digest": sealed.draft_digest,
                "rows": sample.num_rows,
                "seeds": {"sample": vault.commit(seed, purpose="seed")},
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "sampling": {
                    "of": first,
                    "given": {name: one.text(model.domains[name]) for name, one in allowed.items()},
                    "balance": balance,
                },
            }
        )
        record_attempt(ledger, document, vault.commit(canonical(document.to_json()), purpose="document"))
    folder = workspace.layout.drafts / name
    folder.mkdir(mode=0o700)
    (folder / "schema.yaml").write_bytes((draft.folder / "schema.yaml").read_bytes())
    write_json(folder / "model.json", read_json(draft.folder / "model.json"))
    write_json(folder / "draft.json", document.to_json())
    return Draft.load(workspace, name)


def origin(draft: Draft) -> str:
    """The draft whose fit made the model."""
    sampling = draft.document.sampling
    return draft.name if sampling is None else sampling.of


def model_of(draft: Draft) -> SavedModel:
    """The sealed model that a draft was drawn from, checked and priced.

    Raises:
        WorkspaceError: the draft was made before models were kept.
        ModelError: the model's events do not give the guarantee that it states.
    """
    vault, name = draft.workspace.vault, f"{origin(draft)}-model"
    if not (vault.drafts_dir / f"{name}.json").is_file():
        raise WorkspaceError(f"The model of '{draft.name}' was not kept.", "Synthesize again with this version.")
    return from_bytes(vault.open(name))


def matching(draft: Draft, table: Table) -> Table:
    """The real rows that a draft's rows are to be compared with: those that meet its condition, balanced as it is.

    Raises:
        WorkspaceError: there are none.
    """
    sampling = draft.document.sampling
    if sampling is None or not (sampling.given or sampling.balance):
        return table
    domains = model_of(draft).model.domains
    asked = {*sampling.given, *(() if sampling.balance is None else (sampling.balance,))}
    codes = {name: domains[name].encode(table.column(name)) for name in asked}
    kept = np.ones(len(table.to_arrow()), dtype=bool)
    for name, one in from_text(sampling.given, domains).items():
        kept &= one.holds(codes[name])
    rows = np.flatnonzero(kept)
    if sampling.balance is not None:
        classes = np.unique(domains[sampling.balance].encode(draft.rows().column(sampling.balance)))
        each = [rows[codes[sampling.balance][rows] == one] for one in classes]
        fewest = min(len(own) for own in each)
        rng = np.random.default_rng(0)
        rows = np.sort(np.concatenate([rng.choice(own, fewest, replace=False) for own in each]))
    if not len(rows):
        raise WorkspaceError(
            "No real row meets the condition of this draft, so it cannot be judged.",
            "Ask for a wider condition; what cannot be attacked does not leave.",
        )
    return table.take(rows)
