"""The one signed document: an in-toto Statement v1 whose subjects are all other files of the bundle.

The predicate repeats what a receiver acts on (guarantee, decision, policy, ledger head) so that it stands
under the signature in one place; `verify` compares every repetition with card, decision, policy file and
ledger slice, and recomputes the guarantee from the committed events.

in-toto Attestation Framework, Statement v1: https://github.com/in-toto/attestation/tree/main/spec/v1

Not guaranteed: the truth of what only the publisher can know, such as that the source table was what it was said; nor
which rows a table in an engine held, since its commitment is of its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dpsynth.release.documents import JSON, Refusal, canonical, parse_json
from dpsynth.release.evidence import GeneratorFacts
from dpsynth.release.fields import Hex64, Name
from dpsynth.release.layout import STATEMENT, present

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:dpsynth:release:1"
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Digest(_Closed):
    """SHA-256 of one file."""

    sha256: Hex64


class Subject(_Closed):
    """One file that the statement is about."""

    name: Name
    digest: Digest


class LedgerHead(_Closed):
    """Last entry of the chain in the bundle."""

    seq: int = Field(ge=0)
    hash: Hex64


class LedgerRef(_Closed):
    """Which ledger, and where it stood."""

    id: Name
    public_key: Hex64
    head: LedgerHead


class Predicate(_Closed):
    """What the publisher claims about the subjects; `guarantee` in its relation and unit."""

    schema_: Literal["dpsynth.release/1"] = Field("dpsynth.release/1", alias="schema")
    release: Name
    draft: Name
    draft_digest: Hex64
    dataset: Name
    source_commitment: Hex64
    generator: GeneratorFacts
    decision: Literal["ship", "regenerate", "reject"]
    decision_digest: Hex64
    policy_digest: Hex64
    guarantee: dict[str, Any]
    noise: Literal["exact", "seeded"]
    budget_id: Name
    reservation_id: Name
    commit: Hex64
    root: Hex64
    ledger: LedgerRef
    release_key: KeyId


class Statement(_Closed):
    """in-toto Statement v1 with our predicate."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: list[Subject]
    predicate_type: Literal["urn:dpsynth:release:1"] = Field(PREDICATE_TYPE, alias="predicateType")
    predicate: Predicate

    def encode(self) -> bytes:
        """Canonical bytes: the payload that is signed."""
        return canonical(self.model_dump(mode="json", by_alias=True))

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by file name."""
        return {subject.name: subject.digest.sha256 for subject in self.subject}


def make_statement(digests: Mapping[str, str], predicate: Mapping[str, JSON]) -> Statement:
    """A statement over `digests` (SHA-256 by name, the statement's own file excluded)."""
    subjects = [{"name": name, "digest": {"sha256": digests[name]}} for name in present(digests) if name != STATEMENT]
    return Statement.model_validate(
        {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": PREDICATE_TYPE,
            "predicate": dict(predicate),
        }
    )


def read_statement(payload: bytes) -> Statement:
    """Parse a payload whose signature was verified.

    Raises:
        Refusal: `unknown_schema_version` for another type or version, `statement_malformed` for anything else.
    """
    body = parse_json(payload, name="the statement", limit=2**20)
    predicate = body.get("predicate")
    version = predicate.get("schema") if isinstance(predicate, Mapping) else None
    if (body.get("_type"), body.get("predicateType"), version) != (
        STATEMENT_TYPE,
        PREDICATE_TYPE,
        "dpsynth.release/1",
    ):
        raise Refusal("unknown_schema_version", "The statement is of a type or version unknown to this verifier.",
                      "Use the version of dpsynth that wrote it, or a newer one.")  # fmt: skip
    try:
        return Statement.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refusal("statement_malformed", f"The statement's {place}: {first['type']}.") from None
