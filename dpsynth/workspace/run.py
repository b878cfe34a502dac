"""`dpsynth run CONFIG.yaml`: the same steps from a file, and on from where an earlier run of it stopped.

    data: claims.csv            # paths are relative to this file; or rows in an engine: postgresql://host/db, a folder
    table: health.claims        # of a server
    row_key: claim_id           # of rows in an engine, unless a unit names persons
    workspace: vault            # made if it is not there
    schema: claims.schema.yaml  # optional
    target: died                # optional
    unit: {column: patient_id, max_records: 4}    # optional; default: one row is one person
    time: {column: admitted, since: "2024-07-01"}  # optional; rows from then on are set aside unseen
    budget: {epsilon: 3, delta: 1e-5}             # optional; granted if the data has none, never enlarged
    synthesize: {epsilon: 1, delta: 1e-6}         # and `generator`; default: auto; `purpose`: a share that pays
    text: {column: narrative, method: dpsgd, model: tiny}   # optional: a writer of prose, see `text.request`
    release: out                # optional: where the bundle goes if the gate says ship
    licence: CC-BY-4.0          # optional: stands on the card of the release, an SPDX expression
    publish_quality: 0.1        # optional: epsilon of noisy figures of quality in the release, charged beside the rows

What a file asks for is known by a digest: of its data's and its schema's content, not of their paths (of a
table in an engine: its place), and of `name`, `target`, `unit`, `time`, `synthesize` and `text`. The draft that
a run made is remembered in the workspace under it, so running the file again spends nothing, from another folder too;
steps that are done are not done again. To make another draft on purpose, give `name` another value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from dpsynth.core.errors import BudgetRefused, ParameterError, VerificationError, WorkspaceError
from dpsynth.core.progress import Progress
from dpsynth.data.engines.sources.credentials import passwords
from dpsynth.release.card import NOT_STATED
from dpsynth.release.documents import Refusal, digest, parse_yaml
from dpsynth.release.fields import Licence
from dpsynth.schema.model import Schema
from dpsynth.text.request import Request
from dpsynth.workspace.draft import SUITE, Draft, Release
from dpsynth.workspace.layout import MARKER, read_json, write_json
from dpsynth.workspace.workspace import CANARIES, Workspace

Amount = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitSection(_Section):
    """Whose rows belong together."""

    column: str
    max_records: int = Field(default=1, ge=1)


class TimeSection(_Section):
    """From which public moment on rows are set aside."""

    column: str
    since: Amount


class BudgetSection(_Section):
    """What a person grants by writing it down."""

    epsilon: Amount
    delta: Amount
    filter: str | None = None
    order: Amount | None = None
    conversion_delta: Amount | None = None


class SynthesizeSection(_Section):
    """The fit and what it may cost."""

    generator: str = "auto"
    epsilon: Amount
    delta: Amount
    purpose: str | None = None
    rows: int | None = Field(default=None, ge=1)
    canaries: int = Field(default=CANARIES, ge=0)


class RunConfig(_Section):
    """A run file."""

    name: str = "run"
    data: str
    table: str | None = None
    row_key: str | None = None
    workspace: Path
    schema_: Path | None = Field(default=None, alias="schema")
    target: str | None = None
    unit: UnitSection | None = None
    time: TimeSection | None = None
    budget: BudgetSection | None = None
    synthesize: SynthesizeSection
    text: Request | None = None
    suite: str = SUITE
    release: Path | None = None
    licence: Licence = NOT_STATED
    publish_quality: Amount | None = None

    @classmethod
    def from_yaml(cls, path: Path) -> RunConfig:
        """Read a run file; its paths are taken relative to it.

        Raises:
            ParameterError: naming the key that is unknown, missing or unusable.
        """
        try:
            body = parse_yaml(path.read_bytes(), name=path.name, limit=2**18)
            config = cls.model_validate(body)
        except Refusal as refusal:
            raise ParameterError(refusal.message, "See `dpsynth run --help`.") from None
        except ValidationError as error:
            problems = error.errors(include_input=False, include_context=False)
            # A misspelt key explains the missing one, so it comes first.
            first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
            place = ".".join(str(part) for part in first["loc"])
            wrong = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
            raise ParameterError(f"{path.name}: {place}: {wrong}.", "See docs/how-to/run-from-yaml.md.") from None
        if passwords(config.data):
            raise ParameterError(
                f"{path.name}: data: the URL holds a password, and run files are kept and shared.",
                "Leave it out of the URL; put it into ~/.pgpass or PGPASSWORD, and change it if others read this file.",
            )
        home = path.resolve().parent
        if config.text is not None and config.text.json_schema is not None:
            form = config.text.model_copy(update={"json_schema": home / config.text.json_schema})
            config = config.model_copy(update={"text": form})
        paths = {key: home / p for key in ("workspace", "schema_", "release") if (p := getattr(config, key))}
        if "://" not in config.data and config.table is None:
            paths["data"] = str(home / config.data)
        return config.model_copy(update=paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a run ended."""

    draft: Draft
    decision: str
    bundle: Path | None


def execute(
    config: RunConfig,
    *,
    say: Callable[[str], None],
    progress: Progress,
    warn: Callable[[str], None],
) -> Outcome:
    """Do what the file asks for and is not done yet."""
    there = (config.workspace / MARKER).exists()
    ws = Workspace.open(config.workspace) if there else Workspace.init(config.workspace)
    unit, bound = (config.unit.column, config.unit.max_records) if config.unit else (None, 1)
    time, since = (config.time.column, config.time.since) if config.time else (None, None)
    record = ws.register(
        config.data, table=config.table, row_key=config.row_key, unit=unit, max_per_unit=bound, schema=config.schema_,
        time=time, since=since,
    )  # fmt: skip
    if config.budget is not None and not _has_budget(ws, record):
        ws.create_budget(record, **config.budget.model_dump(), warn=warn)
    draft = _draft(ws, config, record, say, progress, warn)
    documents = draft.documents
    if documents.attack is None:
        draft.attack(config.suite, progress=progress)
    if documents.quality is None:
        draft.evaluate(progress=progress)
    decision = _decided(draft)
    if decision == "ship" and config.publish_quality is not None:
        _buy_before_reviews(draft, config.publish_quality)
    bundle = None
    if decision == "ship" and config.release is not None:
        if config.release.exists():
            _check_released(config.release, draft)
            say(f"{config.release} is there already.")
            bundle = config.release
        else:
            bundle = draft.release(
                config.release, licence=config.licence, publish_quality=config.publish_quality, progress=progress
            ).bundle
    return Outcome(draft=draft, decision=decision, bundle=bundle)


def _decided(draft: Draft) -> str:
    """The gate's word; under a policy with reviews it is not asked twice about one evidence, since votes rest on it."""
    from dpsynth.workspace import governance

    if draft.workspace.policy().review is None:
        return draft.gate().decision
    standing = governance.standing(draft.workspace, draft.name)
    if any(lack.rule in ("decision", "policy") for lack in standing.missing):
        return draft.gate().decision
    return "ship" if standing.may_leave else str(read_json(draft.folder / "decision.json")["decision"])


def _buy_before_reviews(draft: Draft, epsilon: str) -> None:
    """Where people review, they see the figure that the bundle will publish; once somebody voted it is too late."""
    from dpsynth.workspace import governance
    from dpsynth.workspace.figures.publishing import buy_quality

    standing = governance.standing(draft.workspace, draft.name)
    waits = bool(standing.missing) and standing.missing[0].rule == "reviews"
    if draft.workspace.policy().review is not None and waits and not (standing.votes or standing.sealed):
        buy_quality(draft, epsilon)


def _check_released(bundle: Path, draft: Draft) -> None:
    """What an earlier run left at `release` must be the verified bundle of this very draft.

    Raises:
        VerificationError: it does not verify.
        WorkspaceError: it is the bundle of another draft.
    """
    from dpsynth.release.verify import verify

    layout = draft.workspace.layout
    failure = verify(bundle, layout.release_public_key).failure
    if failure is not None:
        raise VerificationError(
            f"'{bundle}' is in the way and is no bundle of this workspace ({failure.name}: {failure.reason})",
            "Move it away, or give `release` another path.",
        )
    decision = Release(bundle=bundle, public_key=layout.release_public_key).document("decision.json")
    if decision["draft_digest"] != draft.document.draft_digest:
        raise WorkspaceError(
            f"'{bundle}' is the bundle of another draft, not of {draft.name}; a release never overwrites.",
            "Give `release` another path.",
        )


def _draft(
    ws: Workspace,
    config: RunConfig,
    record: Any,
    say: Callable[[str], None],
    progress: Progress,
    warn: Callable[[str], None],
) -> Draft:
    """The draft of an earlier run of the same file, or a new one."""
    asked = config.model_dump(mode="json", include={"name", "target", "unit", "synthesize", "text", "time"})
    for name in ("text", "time"):  # as run files were remembered before there were texts, and later rows
        if getattr(config, name) is None:
            del asked[name]
    if config.synthesize.purpose is None:  # as run files were remembered before there were purposes
        del asked["synthesize"]["purpose"]
    schema = Schema.from_yaml(config.schema_).digest() if config.schema_ is not None else None
    memory = ws.layout.runs / f"{digest({**asked, 'schema': schema, 'commitment': record.commitment})[:32]}.json"
    if memory.exists():
        draft = ws.draft(read_json(memory)["draft"])
        say(f"Going on with draft {draft.name} of an earlier run; nothing is spent again.")
        return draft
    if config.release is not None and config.release.exists():
        raise WorkspaceError(
            f"'{config.release}' exists, and a release never overwrites; nothing was spent.",
            "Move it away, or give `release` another path.",
        )
    wanted = config.synthesize
    draft = ws.synthesize(
        record,
        wanted.generator if config.text is None else config.text.generator(),
        epsilon=wanted.epsilon,
        delta=wanted.delta,
        budget=wanted.purpose,
        target=config.target,
        text=None if config.text is None else config.text.column,
        beside=() if config.text is None else config.text.beside,
        rows=wanted.rows,
        canaries=wanted.canaries,
        progress=progress,
        warn=warn,
        resume=None,
    )
    write_json(memory, {"draft": draft.name})
    return draft


def _has_budget(ws: Workspace, record: Any) -> bool:
    try:
        ws.balance(record)
    except BudgetRefused:
        return False
    return True
