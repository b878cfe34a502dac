"""What must be true before a draft may leave: a YAML file that a person signs for, read strictly.

The file holds every limit; code holds none. Unknown keys are refused with the nearest known one, because a
misspelt limit is a limit that nobody applies. Numbers are decimals as written. The digest is SHA-256 over
RFC 8785 of the values, so comments and order may change and a limit may not.

Alpha spending: attempt k is judged at level alpha_k = alpha / (k (k + 1)); the sum over all k is alpha, so trying
again until the attacks pass does not raise the chance that a leak slips through (union bound).

>>> default_policy().alpha_at(1), default_policy().alpha_at(2)
(Decimal('0.05'), Decimal('0.016666666666'))

Not guaranteed: that the limits are wise. They are yours.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from dpsynth.core.errors import PolicyError
from dpsynth.release.documents import JSON, Refusal, digest, parse_yaml, to_yaml

TIERS: Final = ("internal", "restricted", "public")
_ALPHA_STEP: Final = Decimal("1e-12")


def _decimal(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError("expected a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("expected a number") from None


def _text(value: Decimal) -> str:
    return format(value.normalize(), "f")


Number: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_text, return_type=str),
    Field(allow_inf_nan=False, ge=0),
]
PositiveNumber: TypeAlias = Annotated[Number, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GuaranteeLimits(_Section):
    """Limits on what the ledger promised."""

    relations: tuple[Literal["add_remove", "replace_one", "zero_out"], ...] = Field(min_length=1)
    units: tuple[Literal["record", "user"], ...] = Field(min_length=1)
    max_epsilon_per_release: PositiveNumber
    max_epsilon_total: PositiveNumber
    max_delta: Number
    max_delta_times_rows: Number
    allow_seeded_noise: bool


class AttemptLimits(_Section):
    """Limits on trying again."""

    max_attempts: int = Field(ge=1, le=1000)
    alpha: Annotated[PositiveNumber, Field(lt=1)]


class AttackLimits(_Section):
    """Which attacks must have run, and how much they may find.

    Every limit must have been asked for, except those of `may_be_not_applicable`: limit id -> attack that the report
    may list as not applicable instead.
    """

    required: tuple[str, ...] = Field(min_length=1)
    may_be_not_applicable: dict[str, str]
    limits: dict[str, Number] = Field(min_length=1)
    require_positive_control: bool
    require_negative_control: bool
    max_canary_share: Annotated[Number, Field(le=1)]


Part: TypeAlias = Annotated[Number, Field(le=1)]


class UtilityLimits(_Section):
    """Of what real data teaches about the target, the share that may be lost.

    `max_loss` is held against the interval's lower end, what is lost for certain. `max_possible_loss`, if given, is
    held against its upper end: a holdout too small to show a smaller loss then regenerates.
    """

    max_loss: PositiveNumber
    max_possible_loss: PositiveNumber | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in default(self).items() if value is not None}


class LaterLimits(_Section):
    """Limits on rows of a later time, for drafts that have some.

    `max_loss` is as in `utility`, on later rows; `max_fall` is how much more may be lost there, for certain, than on
    the holdout. `required` asks every draft for a later time.
    """

    max_loss: PositiveNumber
    max_fall: PositiveNumber
    required: bool = False


class TailLimits(_Section):
    """Of values and pairs with 100 to 999 real rows, the share that a real holdout keeps and the draft must."""

    min_recall: Part


class DiversityLimits(_Section):
    """Precision, recall, density and coverage: least share of what real rows score.

    `min_text_share` likewise for coverage and variety of texts; without it they are judged by `text` alone.
    """

    min_share: Part
    min_text_share: Part | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in default(self).items() if value is not None}


class QualityLimits(_Section):
    """How far the rows may be from being useful; a section that is absent asks nothing."""

    required: bool
    max_tvd2_shortfall: PositiveNumber
    warn_tail_shortfall: PositiveNumber
    utility: UtilityLimits | None = None
    later: LaterLimits | None = None
    tails: TailLimits | None = None
    diversity: DiversityLimits | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is absent: digests of policies from before these sections stay what they were."""
        body: dict[str, Any] = default(self)
        return {name: value for name, value in body.items() if value is not None}


TextLimit: TypeAlias = Annotated[str, Field(pattern=r"^text\.[a-z0-9_.]{1,60}$")]


class TextLimits(_Section):
    """Limits on drafts with a column of text, beside those of its other columns.

    Every limit must have been asked for, except those of `may_be_not_applicable`. `max_text_shortfall` holds for each
    of the metrics `dpsynth.quality.text.names.HEADLINES`; canaries are limited by `attacks.limits`.
    """

    required: tuple[str, ...] = Field(min_length=1)
    may_be_not_applicable: dict[str, str]
    limits: dict[TextLimit, Number] = Field(min_length=1)
    max_text_shortfall: PositiveNumber
    warn_tail_shortfall: PositiveNumber


class LineageLimits(_Section):
    """What is asked of drafts whose training data hold synthetic rows."""

    require_real_anchor: bool


class ReviewLimits(_Section):
    """Who must have looked at a draft, and how, before it may leave.

    `approvals` votes, each by another reviewer; `blinded`: sealed until all are in. `reviewers` names the keys that
    count, by id; without it, every key of role `review` that the ledger knows. `waivable` lists rules that reviewers
    may waive on appeal, out of a closed list: usefulness and process, never privacy.
    """

    approvals: int = Field(ge=1, le=5)
    blinded: bool
    valid_days: int = Field(ge=1, le=366)
    waivable: tuple[Literal["quality", "utility", "tail_recall", "diversity", "attempts", "real_anchor"], ...] = ()
    reviewers: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")], ...] | None = Field(None, min_length=1)

    @property
    def sealed(self) -> bool:
        """Whether votes lie sealed first; one reviewer alone has nobody to be blind to."""
        return self.blinded and self.approvals > 1

    def counts(self, key_id: str) -> bool:
        """Whether the policy lets this reviewer's votes count."""
        return self.reviewers is None or key_id in self.reviewers


class Policy(_Section):
    """One policy. Read with `Policy.from_yaml`, compare by `digest()`.

    `recipient` says to whom drafts that pass may go; without it, to anybody. Without `text` no draft with a column of
    text passes. Without `review` nobody has to have looked.
    """

    version: Literal[1]
    name: str = Field(min_length=1, max_length=100)
    guarantee: GuaranteeLimits
    attempts: AttemptLimits
    attacks: AttackLimits
    quality: QualityLimits
    text: TextLimits | None = None
    recipient: Literal["internal", "restricted", "public"] | None = None
    lineage: LineageLimits | None = None
    review: ReviewLimits | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is absent: digests of policies that name no recipient or no text stay what they were."""
        body: dict[str, Any] = default(self)
        for name in ("recipient", "text", "lineage", "review"):
            if getattr(self, name) is None:
                del body[name]
        return body

    @classmethod
    def from_yaml(cls, text: bytes | str) -> Policy:
        """Read a policy file.

        Raises:
            PolicyError: naming the key, and for an unknown key the nearest known one.
        """
        raw = text.encode() if isinstance(text, str) else text
        try:
            body = parse_yaml(raw, name="policy.yaml", limit=2**18)
        except Refusal as refusal:
            raise PolicyError(refusal.message, "Write plain YAML: keys, numbers, lists.") from None
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise _policy_error(error) from None

    def to_yaml(self) -> bytes:
        """Deterministic YAML without comments, for the bundle."""
        return to_yaml(self.model_dump(mode="json"))

    def digest(self) -> str:
        """SHA-256 of the canonical form of all values, hexadecimal."""
        return digest(self.model_dump(mode="json"))

    @property
    def unasked(self) -> tuple[str, ...]:
        """Rules that this policy asks nothing of, since it lacks their section: old decisions were taken without."""
        return tuple(rule for rule, section in _OPTIONAL.items() if getattr(self.quality, section) is None)

    def attack_limits(self) -> dict[str, float]:
        """What `attacks.run` and `attacks.audit_text` take as `limits`."""
        return {name: float(value) for name, value in self.judged().items()}

    def judged(self) -> dict[str, Decimal]:
        """Every limit of an attack by its id, on tables and on texts."""
        return self.attacks.limits | ({} if self.text is None else self.text.limits)

    def alpha_at(self, attempt: int) -> Decimal:
        """Largest significance level that attempt number `attempt` (from 1) may use, rounded down."""
        share = self.attempts.alpha / (attempt * (attempt + 1))
        return share.quantize(_ALPHA_STEP, rounding=ROUND_FLOOR).normalize()


def default_policy_text() -> str:
    """The default policy with its comments, as `dpsynth init` writes it."""
    return resources.files("dpsynth.release").joinpath("default_policy.yaml").read_text(encoding="utf-8")


def tier_text(tier: str) -> str:
    """The policy file of a tier of recipients, with its comments.

    Raises:
        PolicyError: there is no such tier.
    """
    if tier not in TIERS:
        raise PolicyError(f"There is no tier {tier!r}.", f"Tiers: {', '.join(TIERS)}.")
    return resources.files("dpsynth.release").joinpath("tiers", f"{tier}.yaml").read_text(encoding="utf-8")


@cache
def default_policy() -> Policy:
    """The default policy."""
    return Policy.from_yaml(default_policy_text())


def policy_json_schema() -> dict[str, JSON]:
    """JSON Schema of a policy file, for editors and other validators."""
    schema: dict[str, JSON] = Policy.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_OPTIONAL: Final[Mapping[str, str]] = {
    "utility": "utility", "later": "later", "tail_recall": "tails", "diversity": "diversity",
}  # fmt: skip
"""Rule -> its section of `quality`, which may be absent."""

_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "guarantee": GuaranteeLimits,
    "attempts": AttemptLimits,
    "attacks": AttackLimits,
    "quality": QualityLimits,
    "quality.utility": UtilityLimits,
    "quality.later": LaterLimits,
    "quality.tails": TailLimits,
    "quality.diversity": DiversityLimits,
    "text": TextLimits,
    "lineage": LineageLimits,
    "review": ReviewLimits,
}


_KEYS: Final = [
    *Policy.model_fields,
    *(f"{section}.{key}" for section, model in _SECTIONS.items() for key in model.model_fields),
]


def _policy_error(error: ValidationError) -> PolicyError:
    """The first problem in a sentence; unknown keys come first because they explain missing ones."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place, _KEYS, n=1, cutoff=0.5)
        near = near or difflib.get_close_matches(str(first["loc"][-1]), _KEYS, n=1, cutoff=0.0)
        return PolicyError(f"The policy has no key {place!r}, so nothing would apply it.",
                           f"Did you mean {near[0]!r}?")  # fmt: skip
    if first["type"] == "missing":
        return PolicyError(f"The policy lacks {place!r}.", "Take the line over from the default policy.")
    return PolicyError(
        f"The policy's {place!r} cannot be used: {first['msg']}.", "See the comments of the default policy."
    )
