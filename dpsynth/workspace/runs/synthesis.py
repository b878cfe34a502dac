"""`synthesize`: from a registered data set to a sealed draft, charged once.

0. plan by what is public; refused before a row is read if the budget is short (of a file without a schema, in step 2)
1. read and check the rows; split train from holdout by secret coins, and from later rows by a public date if given
2. reserve
3. use up the reservation's token; the capability that it is worth opens the training rows; fit
4. commit the events that were spent
5. sample as many rows as the released total says, seal them, the canaries and the model
6. record the attempt, write draft.json

An error or an interruption after step 2 leaves the reservation, and the reservation counts as spent. A run whose
generator keeps its state goes on under it (`interrupted`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import dpsynth
from accounting.ledger import Ledger, Reservation, ReservationRecord
from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from accounting.ledger.records import BudgetRecord, Status
from dpsynth.core.errors import DpsynthError, ParameterError, SourceError
from dpsynth.core.noise import NoiseSource, SystemNoise
from dpsynth.core.progress import Progress
from dpsynth.data.arrow_numpy import array_of
from dpsynth.pipeline import AnyGenerator, AnyModel, AnyPlan, Fitted, PlantedCanaries, fit_model
from dpsynth.release.documents import digest
from dpsynth.release.evidence import DraftDocument
from dpsynth.release.formats import encode_parquet
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import kept_constraints
from dpsynth.tabular import GENERATORS
from dpsynth.tabular import generator as generator_named
from dpsynth.tabular.saved.saving import SavedModel, can_be_saved, to_bytes
from dpsynth.text import METHODS
from dpsynth.text.generator import TextGenerator
from dpsynth.text.model import TextModel
from dpsynth.text.protocol import Writer
from dpsynth.workspace.budgets import BudgetExceeded, budget_of, runs_on
from dpsynth.workspace.layout import write_json
from dpsynth.workspace.private.room import Checked, PrivateRows, open_source
from dpsynth.workspace.private.targets import keep_moment
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.registry.overlaps import refuse_grown_together
from dpsynth.workspace.registry.public_schema import public_schema
from dpsynth.workspace.registry.text_schema import text_schema
from dpsynth.workspace.runs.attribution import record_draft
from dpsynth.workspace.runs.interrupted import (
    Resumable,
    SealedRun,
    forget_closed,
    goes_on,
    nothing_to_resume,
    request,
    waiting,
)
from dpsynth.workspace.runs.prior import prior_digest
from dpsynth.workspace.runs.sealed_size import check_rows, most_rows

if TYPE_CHECKING:
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.workspace import Workspace


OPENING, DRAWING = "open, check and split the rows", "draw targets"
"""Of the progress: what may take minutes before a fit and after it, where rows are in an engine."""


def synthesize(
    workspace: Workspace,
    record: DatasetRecord,
    generator: AnyGenerator | Writer | str,
    *,
    epsilon: Decimal,
    delta: Decimal,
    purpose: str | None,
    schema: Schema | str | Path | None,
    target: str | None,
    order: str | None,
    text: str | None,
    beside: Sequence[str],
    rows: int | None,
    canaries: int,
    progress: Progress,
    warn: Callable[[str], None],
    resume: bool | None = False,
) -> Draft:
    """See `Workspace.synthesize`."""
    from dpsynth.workspace.draft import Draft

    if rows is not None and rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for the released row total.")
    made_by = _generator(generator)
    if text is not None:
        schema = text_schema(workspace, record, schema, text, beside=beside, target=target)
    prior = prior_digest(workspace, made_by)
    policy = workspace.policy()
    with workspace.ledger(write=True) as ledger, ExitStack() as opened:
        budget = budget_of(ledger, record, purpose)
        refuse_grown_together(workspace, ledger, record)
        runs = runs_on(ledger, record)
        planned = _planned(workspace, record, made_by, schema, target, order, epsilon, delta)
        if planned is not None:
            check_rows(rows, len(planned[0].modelled))
            _require_room(ledger, budget, record, runs, planned[1], delta=delta, resume=resume)
        if (limit := policy.guarantee.max_epsilon_per_release) < epsilon:
            warn(f"The policy rejects releases whose epsilon is above {limit}: this draft is charged and cannot ship.")
        progress(OPENING, 0, 1)
        source = open_source(workspace, record, schema=schema, target=target, order=order, counts=True)
        opened.callback(source.rows.close)
        progress(OPENING, 1, 1)
        for warning in source.warnings:
            warn(warning.message)
        check_rows(rows, len(source.schema.modelled))
        if planned is not None and planned[0] == source.schema:
            plan = planned[1]
        else:
            plan = made_by.plan(source.schema, record.unit, epsilon=epsilon, delta=delta)
        cut = {} if record.time is None else {"time": record.time.words()}
        if source.version is not None:
            cut |= {"version": source.version, "identity": str(source.rows.identity)}
        asked = request(
            made_by, plan, schema_digest=source.schema.digest(), prior=prior, rows=rows, canaries=canaries, **cut
        )
        forget_closed(workspace, runs, record.commitment)
        found = None if resume is False else waiting(
            workspace, runs, budget.budget_id, record.commitment, plan.tree, asked
        )  # fmt: skip
        if resume and found is None:
            raise nothing_to_resume()
        if found is None:
            run_id, read_before = f"{record.name}-{next_number(workspace, record, runs):04d}", False
            try:
                reservation = ledger.reserve(
                    budget.budget_id,
                    plan.tree,
                    delta=delta,
                    run_id=run_id,
                    purpose="synthesis",
                    policy_digest=policy.digest(),
                )
            except LedgerExceeded as short:
                raise BudgetExceeded(short, record.name) from None
            kept = SealedRun.of(workspace, reservation.id, record.commitment)
            if goes_on(made_by, plan):
                kept.begin(reservation, asked)
        else:
            kept, reservation, run = found
            run_id, read_before = run.run_id, run.accessed
        try:
            fitted = _fit(workspace, ledger, reservation, source, made_by, plan, canaries, progress, kept, read_before)
            targets = _targets(workspace, ledger, reservation, source, progress)
        except KeyboardInterrupt:
            raise Interrupted(reservation, resumable=goes_on(made_by, plan)) from None
        except SourceError as failed:  # an interface of somebody else's: what was paid for is kept until it answers
            raise _kept_for_later(failed, reservation, resumable=goes_on(made_by, plan)) from failed
        except BaseException:
            ledger.abort(reservation.id, "the fit failed", data_was_read=True)
            kept.destroy()
            raise
        model = fitted.model
        facts = {"run_id": run_id, "generator": model.generator}
        facts |= {} if budget.purpose is None else {"purpose": budget.purpose, "recipient": budget.recipient.value}
        facts |= {} if prior is None else {"prior_sha256": prior}
        facts |= {} if not isinstance(model, TextModel) else {"text_model_sha256": model.fingerprint}
        facts |= {} if record.lineage is None else {"lineage": digest(record.lineage.model_dump(mode="json"))}
        chosen_by = {} if made_by.name == model.generator else {"chosen_by": made_by.name}
        ledger.commit(reservation.id, model.events, facts=facts | chosen_by)
        kept.destroy()
        if targets is not None:
            time = () if record.time is None else (record.time.column,)
            columns = tuple(dict.fromkeys((*source.schema.modelled, *time)))
            targets.to_keep(ledger, reservation.budget_id, reservation.id, workspace.vault, run_id, columns)
        if source.version is not None:
            keep_moment(workspace.vault, run_id, version=source.version, identity=source.rows.identity)
        seed = os.urandom(32)
        drawn = rows or min(max(model.rows, 1), most_rows(len(source.schema.modelled)))
        if rows is None and drawn < model.rows:
            warn(f"The model stands for {model.rows:,} rows; {drawn:,}, as many as a sealed draft holds, are drawn.")
        sample = model.sample(drawn, np.random.default_rng(np.frombuffer(seed, np.uint64)))
        document = _seal(
            workspace, record, source, plan, reservation, made_by, fitted, sample, run_id, seed, policy, prior
        )
        record_draft(workspace, ledger, document)
    folder = workspace.layout.drafts / document.draft
    folder.mkdir(mode=0o700)
    (folder / "schema.yaml").write_text(source.schema.to_yaml(), "utf-8")
    described = model.describe()
    finest = plan.pair_sigma(described)
    write_json(folder / "model.json", {**described, **chosen_by, "pair_sigma": finest})
    write_json(folder / "draft.json", document.to_json())
    return Draft.load(workspace, document.draft)


def _planned(
    workspace: Workspace,
    record: DatasetRecord,
    generator: AnyGenerator,
    schema: Schema | str | Path | None,
    target: str | None,
    order: str | None,
    epsilon: Decimal,
    delta: Decimal,
) -> tuple[Schema, AnyPlan] | None:
    """The plan by what is public; None where that takes reading a file or starting a cluster, which the run does."""
    declared = schema is not None or record.schema is not None
    if not declared and (record.place is None or record.place.source.kind == "spark"):
        return None
    known, _ = public_schema(record, schema, workspace=workspace, unit=record.unit, target=target, order=order)
    return known, generator.plan(known, record.unit, epsilon=epsilon, delta=delta)


def _require_room(
    ledger: Ledger,
    budget: BudgetRecord,
    record: DatasetRecord,
    runs: Iterable[ReservationRecord],
    plan: AnyPlan,
    *,
    delta: Decimal,
    resume: bool | None,
) -> None:
    """Refuse what `reserve` would refuse, before rows are read; a run that may go on has its reservation."""
    events = plan.tree.to_json()
    waits = any(run.status is Status.OPEN and run.budget_id == budget.budget_id and run.plan == events for run in runs)
    if resume is not False and waits:
        return
    if resume:
        raise nothing_to_resume()
    try:
        ledger.require_room(budget.budget_id, plan.tree, delta=delta)
    except LedgerExceeded as short:
        raise BudgetExceeded(short, record.name) from None


def _kept_for_later(failed: SourceError, reservation: Reservation, *, resumable: bool) -> SourceError:
    """The same error, with what comes next."""
    kept = f"the reservation {reservation.id} stands until then"
    then = (
        f"Then ask for the same with --resume; {kept}."
        if resumable
        else f"This generator cannot go on; close its reservation: dpsynth ledger expire {reservation.id} --reason TEXT"
    )
    return type(failed)(failed.message, f"{failed.remedy or 'Mend it.'} {then}")


class Interrupted(DpsynthError):
    """A person stopped a run whose reservation stands."""

    exit_code = 130

    def __init__(self, reservation: Reservation, *, resumable: bool = False, how: str = "with --resume ") -> None:
        again = f"Ask for the same {how}and it goes on; or close it" if resumable else "Close it"
        super().__init__(
            f"Interrupted. The reservation {reservation.id} of epsilon {reservation.guarantee.epsilon} stands and "
            "counts as spent: noise may have been drawn from the data.",
            f"{again} with a reason: dpsynth ledger expire {reservation.id} --reason TEXT",
        )


def _fit(
    workspace: Workspace,
    ledger: Ledger,
    reservation: Reservation,
    source: Checked,
    generator: AnyGenerator,
    plan: AnyPlan,
    canaries: int,
    progress: Progress,
    kept: SealedRun,
    read_before: bool,
) -> Fitted:
    key = workspace.secret(f"bound/{reservation.id}")
    if read_before:
        train = source.rows.to_resume(ledger, reservation.id, reservation.token, plan.tree, bound_key=key)
    else:
        capability = ledger.check_token(reservation.id, reservation.token)
        train = source.rows.to_fit(ledger, capability, plan.tree, bound_key=key)
    noise: NoiseSource = SystemNoise()
    if goes_on(generator, plan):
        noise = kept.noise
    if isinstance(generator, Resumable):
        settled: Any = generator  # a dataclass, as every generator is
        generator = replace(settled, checkpoints=kept)
    return fit_model(train, source.schema, generator, plan, noise=noise, canaries=canaries, progress=progress)


def _targets(
    workspace: Workspace, ledger: Ledger, reservation: Reservation, source: Checked, progress: Progress
) -> PrivateRows | None:
    """Rows of an engine's table for attacks and quality, drawn while it is as it was fitted; None for other tables."""
    if source.version is None:
        return None
    key = workspace.secret(f"targets/{reservation.id}")
    progress(DRAWING, 0, 1)
    drawn = source.rows.to_draw(ledger, reservation.budget_id, reservation.id, key=key)
    progress(DRAWING, 1, 1)
    return drawn


def _seal(
    workspace: Workspace,
    record: DatasetRecord,
    source: Checked,
    plan: AnyPlan,
    reservation: Reservation,
    generator: AnyGenerator,
    fitted: Fitted,
    sample: pa.Table,
    draft_id: str,
    seed: bytes,
    policy: Any,
    prior: str | None,
) -> DraftDocument:
    """Encrypt rows, canaries and model; the facts about them, as `draft.json` will say them.

    A model is as revealing as the rows that it could draw, so it is sealed like them.
    """
    sealed = workspace.vault.seal(draft_id, encode_parquet(sample), {"kind": "rows"})
    planted = fitted.canaries.planted if fitted.canaries else 0
    if fitted.canaries is not None:
        workspace.vault.seal(f"{draft_id}-canaries", canary_bytes(fitted.canaries), {"kind": "canaries"})
        if fitted.canaries.public:
            public = json.dumps(fitted.canaries.public).encode()
            workspace.vault.seal(f"{draft_id}-canary-texts", public, {"kind": "canary_texts"})
    if can_be_saved(fitted.model):
        saved = SavedModel(model=fitted.model, guarantee=plan.guarantee, schema_digest=source.schema.digest())
        workspace.vault.seal(f"{draft_id}-model", to_bytes(saved), {"kind": "model"})
    name = fitted.model.generator
    third_party = not {name, generator.name} <= {*GENERATORS, *METHODS}
    return DraftDocument.model_validate(
        {
            "draft": draft_id,
            "draft_digest": sealed.draft_digest,
            "dataset": record.name,
            "source_commitment": record.commitment,
            "schema_digest": source.schema.digest(),
            "budget_id": reservation.budget_id,
            "reservation_id": reservation.id,
            "run_id": draft_id,
            "policy_digest": policy.digest(),
            "generator": {"name": name, "version": dpsynth.__version__, "third_party": third_party},
            "rows": sample.num_rows,
            "row_total": max(fitted.model.rows, 1),
            "columns": tuple(sample.column_names),
            "constraints": kept_constraints(source.schema, sample),
            "guarantee": reservation.guarantee.to_json(),
            "events_digest": plan.tree.digest(),
            "canaries": {
                "planted": planted,
                "share": format(Decimal(planted) / max(fitted.model.rows, planted, 1), ".6f"),
            },
            "seeds": {"sample": workspace.vault.commit(seed, purpose="seed")},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "prior_sha256": prior,
            "text": _text_facts(fitted.model),
            "lineage": record.lineage,
            "time": record.time,
        }
    )


def _generator(given: AnyGenerator | Writer | str) -> AnyGenerator:
    """By name, or a writer with the columns beside it."""
    if isinstance(given, str):
        return generator_named(given)
    if isinstance(given, TextGenerator) or not hasattr(given, "settle"):
        return given  # what has no `settle` is no writer
    return TextGenerator(writer=given)  # type: ignore[arg-type]


def _text_facts(model: AnyModel) -> dict[str, Any] | None:
    if not isinstance(model, TextModel):
        return None
    facts = {"column": model.text, "model": model.writer["model"], "fingerprint": model.fingerprint}
    return facts | {"filters": model.filtered(), "settings_sha256": digest(dict(model.writer))}


def canary_bytes(canaries: PlantedCanaries) -> bytes:
    """Canaries with their coins, as they are sealed."""
    coins = array_of(canaries.included, pa.bool_())
    return encode_parquet(canaries.rows.append_column(CANARY_COIN, coins))


CANARY_COIN = "\x00included"
"""Name of the coin's column among sealed canaries: no column of a table that we read can have it."""


def next_number(workspace: Workspace, record: DatasetRecord, runs: Iterable[ReservationRecord]) -> int:
    """One more than any run of this data set has: reserved ones and what a crash left sealed without a folder."""
    sealed = (path.name.removesuffix(".json") for path in workspace.layout.drafts.glob(f"{record.name}-[0-9]*"))
    numbers = (name.removeprefix(f"{record.name}-") for name in (*sealed, *(run.run_id for run in runs)))
    return max((int(n) for n in numbers if n.isdigit()), default=0) + 1
