"""What the gate looks at: four documents about one draft, and what the ledger says about it.

Documents are parsed strictly and bound: each names the draft and its keyed digest, and its own keyed commitment must
stand in the ledger. Whatever is missing, malformed, not finite or of an unknown version becomes a
*problem*, and a rule that needs it fails; nothing is filled in, nothing is taken from a caller that the
ledger could say.

    draft.json     what was made: budget, reservation, guarantee, digests, canaries, seeds as commitments
    attack.json    the attack report of `attacks`, wrapped with the draft it was run on
    quality.json   the quality report of `dpsynth.quality`, wrapped likewise
    ledger slice   grants, reservation, commit, attempts, recorded commitments: see `ledger_facts`

>>> Evidence.assemble(draft=None, attack=None, quality=None, ledger=None).problems["draft"]
'draft.json is missing'

Not guaranteed: that a report is honest. Its controls, and the ledger's list of attempts, make it checkable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from accounting.errors import AccountingError
from accounting.event import EventTree
from accounting.guarantee import Guarantee
from dpsynth.release.documents import JSON, canonical, digest
from dpsynth.release.fields import Closed, Hex64, Name, Share
from dpsynth.release.figures import AnyFigure

if TYPE_CHECKING:
    from dpsynth.release.reports import AttackDocument, QualityDocument

Commit = Callable[[bytes], str]


class GeneratorFacts(Closed):
    """Which generator made the draft."""

    name: Name
    version: Name
    third_party: bool


class CanaryFacts(Closed):
    """How many public random rows were planted among the fitted ones, and their share in them."""

    planted: int = Field(ge=0)
    share: Share


class SamplingFacts(Closed):
    """Of which draft's model, and under which condition, rows were drawn; for drafts that are no first sample.

    `given` maps a column to the values that all rows hold, as `dpsynth sample --where` takes them; `balance` is the
    column whose values take equal shares. `salt` is random: the ledger holds the digest of all this, and a condition
    has few likely forms, so without it whoever sees the entry could guess what was asked. The card opens it.
    """

    of: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    given: dict[str, tuple[str, ...]] = Field(max_length=4096)
    balance: str | None = None
    salt: Hex64 | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an absent salt: as it was written, and committed to, before there were salts."""
        body: dict[str, Any] = default(self)
        if self.salt is None:
            del body["salt"]
        return body

    def commitment(self) -> str:
        """What the ledger holds of it, 64 hexadecimal digits: hiding for whoever lacks the salt."""
        return digest(self.model_dump(mode="json"))

    def words(self) -> str:
        """A sentence for receivers."""
        if not self.given and self.balance is None:
            return f"A further sample from the model of draft {self.of}."
        return f"No picture of the whole table: {self.asked()}."

    def asked(self) -> str:
        """The condition and the shares in words; empty if neither was asked for."""
        parts = [f"{name} = {' or '.join(text or 'missing' for text in texts)}" for name, texts in self.given.items()]
        under = f"only rows with {'; '.join(parts)}" if parts else ""
        shares = f"equal shares of the values of {self.balance}" if self.balance is not None else ""
        return " and ".join(filter(None, (under, shares)))


class FilterFacts(Closed):
    """A declared check of written texts: how many it saw, how many it let through."""

    name: Name
    settings: dict[str, Any] = Field(default_factory=dict, max_length=64)
    seen: int = Field(ge=0)
    kept: int = Field(ge=0)


class TextFacts(Closed):
    """The column that a writer wrote, the public model it began with, and the checks that texts passed.

    `settings_sha256` is the digest of the writer's public settings, prompts among them.
    """

    column: Name
    model: Name
    fingerprint: Hex64
    filters: tuple[FilterFacts, ...] = Field(default=(), max_length=64)
    settings_sha256: Hex64 | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without absent settings: as it was written, and committed to, before they were named."""
        body: dict[str, Any] = default(self)
        if self.settings_sha256 is None:
            del body["settings_sha256"]
        return body

    def words(self) -> str:
        """A sentence for receivers."""
        said = (
            f"Column {self.column!r} was written by a language model that began as {self.model!r}; a text may be false."
        )
        if not self.filters:
            return said
        parts = (f"{step.name} kept {step.kept:,} of {step.seen:,}" for step in self.filters)
        return f"{said} Declared checks: {', '.join(parts)}."


class LineageFacts(Closed):
    """Releases whose synthetic rows are in the training data, and whether real rows are too; as declared."""

    parents: tuple[Hex64, ...] = Field(min_length=1, max_length=256)
    real_anchor: bool

    def words(self) -> str:
        """A sentence for receivers."""
        count = len(self.parents)
        made = f"Trained on rows of {count} synthetic parent{'' if count == 1 else 's'}"
        return f"{made}, and on real rows." if self.real_anchor else f"{made} alone, without real rows."


class TimeFacts(Closed):
    """By which column, and from which moment on, rows were set aside before anything was looked at; both are public.

    `since` is an ISO date, a date with a time, or a number, as a person gave it.
    """

    column: Name
    since: Name

    def words(self) -> str:
        """A sentence for receivers."""
        return f"Rows whose {self.column!r} is {self.since} or later were not trained on."


class DraftDocument(Closed):
    """`draft.json`: what was made, and where the ledger vouches for it.

    `source_commitment` is of the data's content, or of the place of a table in an engine, whose rows may have changed
    since. `rows` are the synthetic rows in the sealed file; `row_total` is the released, noisy total of the fitted
    table. `constraints` are declared ones that no synthetic row breaks, as kind(columns).
    `run_id` names the run that was reserved and fitted; `sampling` is there for drafts drawn from its model
    later; `prior_sha256` names the public rows that the fit began with, if there were any; `text` is there for drafts
    with a column of prose, `lineage` where the training data hold synthetic rows, `time` where later rows were set
    aside. Without a `guarantee` a baseline made it: `reservation_id` is then the `read_id` of the ledger's
    `unprotected` entry, and no gate ships it.
    """

    schema_: Literal["dpsynth.draft/1"] = Field("dpsynth.draft/1", alias="schema")
    draft: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    draft_digest: Hex64
    dataset: Name
    source_commitment: Hex64
    schema_digest: Hex64
    budget_id: Name
    reservation_id: Name
    run_id: Name
    policy_digest: Hex64
    generator: GeneratorFacts
    rows: int = Field(ge=1)
    row_total: int = Field(ge=1)
    columns: tuple[str, ...] = Field(min_length=1)
    constraints: tuple[str, ...] = ()
    guarantee: dict[str, Any] | None
    events_digest: Hex64
    canaries: CanaryFacts
    seeds: dict[str, Hex64] = Field(min_length=1)
    created: Name
    sampling: SamplingFacts | None = None
    prior_sha256: Hex64 | None = None
    text: TextFacts | None = None
    lineage: LineageFacts | None = None
    time: TimeFacts | None = None

    @property
    def claimed(self) -> Guarantee | None:
        """The guarantee that the draft claims, None for none; the ledger decides whether it has it."""
        return None if self.guarantee is None else Guarantee.from_json(self.guarantee)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, as written to `draft.json`."""
        body: dict[str, JSON] = self.model_dump(mode="json", by_alias=True)
        if not self.constraints:  # as it was written, and committed to, before there were constraints
            del body["constraints"]
        if self.sampling is None:
            del body["sampling"]
        for name in ("prior_sha256", "text", "lineage", "time"):
            if getattr(self, name) is None:
                del body[name]
        return body

    @property
    def tabular(self) -> tuple[str, ...]:
        """Columns beside the text; all of them where there is none."""
        return tuple(name for name in self.columns if self.text is None or name != self.text.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """What the verified ledger says about one draft; epsilons in the budget's relation and unit.

    Attributes:
        granted_epsilon, granted_delta: to the whole that the budget is part of, the root; as amended.
        charged_epsilon, charged_delta: spent and reserved of the whole, converted by its filter.
        recipient: for whom the budget that paid is meant: any, internal, restricted or public.
        budget: `dpsynth.release.family.budget_section` of it, at the head.
        notes: rotations of the ledger's key, clocks that were set back.
        events: what the commit spent.
        attempt: how many drafts were charged or attack runs recorded since the last release, this one included.
        recorded: for "attempt", "attack" and "quality": keyed commitments recorded for this draft, oldest first.
        seeded_noise: an event of the commit was drawn from a seed.
        figures: noisy counts about this draft that were bought, oldest first.
        unprotected: the commit holds no event, names a baseline, or the run read the data without protection.
        reserved_policy: digest of the policy that was in force when the budget was reserved.
    """

    ledger_id: str
    head_seq: int
    head_hash: str
    budget_id: str
    dataset: str
    source_commitment: str
    relation: str
    unit: str | Mapping[str, Any]
    granted_epsilon: Decimal
    granted_delta: Decimal
    charged_epsilon: Decimal
    charged_delta: Decimal
    recipient: str
    budget: Mapping[str, Any]
    notes: tuple[str, ...]
    events: EventTree
    reservation_id: str
    run_id: str
    reserved_policy: str | None
    commit_seq: int
    commit_hash: str
    events_digest: str
    guarantee: Guarantee
    seeded_noise: bool
    unprotected: bool
    attempt: int
    recorded: Mapping[str, tuple[str, ...]]
    figures: tuple[AnyFigure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it; `None` is missing, and missing never ships.

    Attributes:
        commitments: keyed commitment of each document's canonical form, by "draft", "attack", "quality".
        problems: why a document is None, in words without values.
    """

    draft: DraftDocument | None
    attack: AttackDocument | None
    quality: QualityDocument | None
    ledger: LedgerFacts | None
    commitments: Mapping[str, str]
    problems: Mapping[str, str]

    @classmethod
    def assemble(
        cls,
        *,
        draft: Mapping[str, JSON] | None,
        attack: Mapping[str, JSON] | None,
        quality: Mapping[str, JSON] | None,
        ledger: LedgerFacts | None,
        commit: Commit | None = None,
    ) -> Evidence:
        """Parse the documents.

        Args:
            draft: parsed `draft.json`, or None.
            attack: parsed `attack.json`, or None.
            quality: parsed `quality.json`, or None.
            ledger: what `ledger_facts` found, or None.
            commit: the vault's keyed commitment of bytes; without it no document counts as recorded.
        """
        from dpsynth.release.reports import AttackDocument, QualityDocument  # pandas and scipy come with them

        problems: dict[str, str] = {}
        commitments: dict[str, str] = {}
        for name, body in (("draft", draft), ("attack", attack), ("quality", quality)):
            if body is not None and commit is not None:
                commitments[name] = commit(canonical(body))
        if ledger is None:
            problems["ledger"] = "the ledger knows no commit of this draft"
        return cls(
            draft=_parse(DraftDocument, draft, "draft", problems),
            attack=_parse(AttackDocument, attack, "attack", problems),
            quality=_parse(QualityDocument, quality, "quality", problems),
            ledger=ledger,
            commitments=commitments,
            problems=problems,
        )


def bind(kind: Literal["attack", "quality"], draft: DraftDocument, report: Mapping[str, JSON]) -> dict[str, JSON]:
    """Wrap a report with the draft it belongs to: the document that is stored, committed to and judged."""
    schema = {"attack": "dpsynth.attack/1", "quality": "dpsynth.quality_of_draft/1"}[kind]
    return {
        "schema": schema,
        "draft": draft.draft,
        "draft_digest": draft.draft_digest,
        "report": dict(report),
    }


_Model = TypeVar("_Model", bound=BaseModel)


def _parse(model: type[_Model], body: Mapping[str, JSON] | None, name: str, problems: dict[str, str]) -> _Model | None:
    if body is None:
        problems[name] = f"{name}.json is missing"
        return None
    report = body.get("report", {"schema": ""})
    if "schema" not in body or not isinstance(report, Mapping) or "schema" not in report:
        problems[name] = f"{name}.json does not say which version of its schema it follows"
        return None
    try:
        parsed = model.model_validate(body)
        if isinstance(parsed, DraftDocument):
            _ = parsed.claimed
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        problems[name] = f"{name}.json: {place}: {first['type']}"
        return None
    except AccountingError as error:
        problems[name] = f"{name}.json: guarantee: {error.message}"
        return None
    return parsed
