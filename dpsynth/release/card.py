"""`card.yaml`: what a person needs to know before using the rows, in the order in which they ask.

Fields follow the data cards that reviewers know (Croissant RAI, D&TA provenance standards): what it is,
where it comes from, what is guaranteed to whom, how it was judged, what it does not protect. The source is
named by a keyed commitment and random seeds by theirs: neither tells anything to whoever guesses. The source's is of
the content of a file or of a table in memory, and of the place of a table in an engine.

Not guaranteed: fitness for your purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accounting.privacy_report import report
from dpsynth.release.documents import JSON, Refusal, parse_yaml, to_yaml
from dpsynth.release.evals import EvalsFacts, evals_of, reasons_of
from dpsynth.release.evidence import (
    CanaryFacts,
    DraftDocument,
    GeneratorFacts,
    LedgerFacts,
    LineageFacts,
    SamplingFacts,
    TextFacts,
)
from dpsynth.release.fields import Hex64, Licence, Name
from dpsynth.release.figures import notes as figure_notes
from dpsynth.release.gate import Decision
from dpsynth.release.policy import Policy
from dpsynth.release.privacy import ceiling_of, privacy_section

LIMITS: Final = (
    "The guarantee is about each protected unit; it does not hide what is true of the population as a whole.",
    "Column names, declared types and everything that the schema declared public are published as they are.",
    "Rows are drawn from a noisy model: groups below the resolution stated in the report are noise.",
    "Passing attacks show that these attacks found nothing; only the guarantee covers the others.",
    "Verdicts, quality classes and the fact of the release come from private rows without noise: outside epsilon.",
)
NOT_STATED: Final = "not stated"
_OPTIONAL: Final = (
    "constraints",
    "privacy",
    "budget",
    "governance",
    "sampling",
    "prior_sha256",
    "text",
    "lineage",
    "evals",
    "reasons",
    "licence",
)
CSV_NOTE: Final = "Text cells that a spreadsheet would run as a formula have an apostrophe in front; Parquet is exact."


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CardPolicy(_Closed):
    """Which policy the decision was taken under."""

    name: Name
    digest: Hex64


class Card(_Closed):
    """A `synthetic_dataset_card`; `guarantee` in its relation and unit, `constraints` kept by every row.

    Cards of the first build lack `privacy` (see `dpsynth.release.privacy`) and `budget` (see `dpsynth.release.family`);
    `verify` accepts that of a budget that is whole, basic and as it was granted. `evals` and `reasons` repeat what
    `evidence.json` and `decision.json` publish: classes and verdicts, and the reason of each rule. `licence` is what
    the releaser stated, an SPDX expression. `source_commitment` is keyed: of the content of a file or of a table in
    memory, which another content changes; of the place of a table in an engine, which its rows do not change.
    """

    schema_: Literal["dpsynth.card/1"] = Field("dpsynth.card/1", alias="schema")
    kind: Literal["synthetic_dataset_card"] = "synthetic_dataset_card"
    artificially_generated: Literal[True] = True
    release: Name
    draft: Name
    draft_digest: Hex64
    date: Name
    dataset: Name
    source_commitment: Hex64
    generator: GeneratorFacts
    rows: int = Field(ge=1)
    row_total: int = Field(ge=1)
    columns: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    guarantee: dict[str, Any]
    guarantee_in_words: str
    privacy: dict[str, Any] | None = None
    budget: dict[str, Any] | None = None
    governance: dict[str, Any] | None = None
    noise: Literal["exact", "seeded"]
    seeds: dict[str, Hex64]
    attempts: int = Field(ge=1)
    canaries: CanaryFacts
    decision: Literal["ship", "regenerate", "reject"]
    policy: CardPolicy
    csv: str
    limits: tuple[str, ...]
    sampling: SamplingFacts | None = None
    prior_sha256: Hex64 | None = None
    text: TextFacts | None = None
    lineage: LineageFacts | None = None
    evals: EvalsFacts | None = None
    reasons: dict[str, str] | None = None
    licence: Licence | None = None

    def encode(self) -> bytes:
        """Deterministic YAML."""
        left_out = {name for name in _OPTIONAL if not getattr(self, name)}
        body: JSON = self.model_dump(mode="json", by_alias=True, exclude=left_out)
        return to_yaml(body)


def make_card(
    release: str,
    *,
    draft: DraftDocument,
    ledger: LedgerFacts,
    decision: Decision,
    policy: Policy,
    judged: Mapping[str, JSON],
    shown: Mapping[str, JSON],
    licence: str = NOT_STATED,
    governance: Mapping[str, JSON] | None = None,
) -> Card:
    """The card of a draft that may be released; figures come from the ledger, not from the draft's claim.

    Args:
        release: its id.
        draft: parsed `draft.json`.
        ledger: what the ledger says about it.
        decision: the gate's.
        policy: what it was judged by.
        judged: `public_decision` of the decision.
        shown: `public_evidence` of the evidence.
        licence: SPDX expression.
        governance: `dpsynth.release.approvals.governance_section`, where the policy asks for reviews.
    """
    privacy = privacy_section(report(ledger.events, ledger.guarantee.delta))
    sampled = () if draft.sampling is None else (draft.sampling.words(),)
    written = tuple(said.words() for said in (draft.text, draft.lineage) if said is not None)
    return Card.model_validate(
        {
            "release": release,
            "draft": draft.draft,
            "draft_digest": draft.draft_digest,
            "date": draft.created,
            "dataset": ledger.dataset,
            "source_commitment": ledger.source_commitment,
            "generator": draft.generator.model_dump(),
            "rows": draft.rows,
            "row_total": draft.row_total,
            "columns": draft.columns,
            "constraints": draft.constraints,
            "guarantee": ledger.guarantee.to_json(),
            "guarantee_in_words": ledger.guarantee.sentence(ceiling_of(privacy)),
            "privacy": privacy,
            "budget": ledger.budget,
            "governance": None if governance is None else dict(governance),
            "noise": "seeded" if ledger.seeded_noise else "exact",
            "seeds": dict(draft.seeds),
            "attempts": ledger.attempt,
            "canaries": draft.canaries.model_dump(),
            "decision": decision.decision,
            "policy": {"name": policy.name, "digest": policy.digest()},
            "csv": CSV_NOTE,
            "limits": (*figure_notes(ledger.guarantee.epsilon, ledger.figures), *sampled, *written, *LIMITS),
            "sampling": None if draft.sampling is None else draft.sampling.model_dump(),
            "prior_sha256": draft.prior_sha256,
            "text": None if draft.text is None else draft.text.model_dump(),
            "lineage": None if draft.lineage is None else draft.lineage.model_dump(),
            "evals": evals_of(shown),
            "reasons": reasons_of(judged),
            "licence": licence,
        }
    )


def card_json_schema() -> dict[str, JSON]:
    """JSON Schema (draft 2020-12) of `card.yaml`, for editors and other readers; `docs/reference` holds a copy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Card.model_json_schema(by_alias=True)}


def read_card(raw: bytes) -> Card:
    """Parse `card.yaml`.

    Raises:
        Refusal: `unknown_schema_version` or `card_malformed`, or as `parse_yaml`.
    """
    body = parse_yaml(raw, name="card.yaml")
    if body.get("schema") != "dpsynth.card/1":
        raise Refusal("unknown_schema_version", "card.yaml is of a version that this verifier does not know.",
                      "Use the version of dpsynth that wrote it, or a newer one.")  # fmt: skip
    try:
        return Card.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refusal("card_malformed", f"card.yaml: {place}: {first['type']}.") from None
