"""The attack report: one row an endpoint, worst first, and its JSON form `dpsynth.attacks/1`.

Everything in it that compares members with nonmembers is an un-noised function of private rows and marked `internal`;
figures of canaries alone are `canary_only` and may be published, because canaries are nobody. The report carries no
score of any single target.

>>> AttackReport.from_json({"schema": "dpsynth.attacks/2"})
Traceback (most recent call last):
    ...
attacks.errors.AttackReportError: The attack report does not follow dpsynth.attacks/1: ...

Not guaranteed: that a report belongs to a release. Binding by digest is the business of whoever seals the two.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from attacks.errors import AttackReportError
from attacks.protocol import PlantKind
from attacks.verdict import Verdict, worst

SCHEMA = "dpsynth.attacks/1"
NegativeKind = Literal["reference_rows", "fresh_coins", "decoys", "redrawn_coins", "reference_model"]
_RANK = {"fail": 0, "inconclusive": 1, "pass": 2}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PositiveControlRecord(_Strict):
    """Planted share and in how many plantings the endpoint failed the planted release."""

    kind: PlantKind
    fraction: float = Field(ge=0.0, le=1.0)
    detected: int = Field(ge=0)
    trials: int = Field(ge=0)


class NegativeControlRecord(_Strict):
    """What the endpoint reads on a release that knows no member."""

    kind: NegativeKind
    estimate: float
    passed: bool


class AttackResult(_Strict):
    """One endpoint of one attack.

    `ci_low` is the one-sided bound at level `alpha` (Holm's step for this endpoint), `ci_high` the one-sided bound at
    5 %. `detectable` is the smallest share of people whose planted copies the endpoint caught, None if it caught none.
    """

    name: str
    version: str
    threat: str
    stratum: Literal["all", "tail", "rare", "group", "canaries"]
    endpoint: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    ci_method: str | None
    alpha: float = Field(gt=0.0, lt=1.0)
    limit: float
    limit_id: str
    verdict: Verdict
    reason: str
    n_targets: int = Field(ge=0)
    n_controls: int = Field(ge=0)
    detectable: float | None
    positive_control: PositiveControlRecord | None
    negative_control: NegativeControlRecord | None
    confidentiality: Literal["internal", "canary_only"]
    seconds: float = Field(ge=0.0)


class EpsilonLowerBound(_Strict):
    """One-run audit: `value` is the 95 % lower bound, `ceiling` the most that these canaries could have shown.

    `mu` and `mu_ceiling` say the same of mechanisms whose trade-off curve is Gaussian, and nothing of others.
    """

    value: float = Field(ge=0.0)
    ceiling: float = Field(ge=0.0)
    delta: float = Field(ge=0.0, lt=1.0)
    alpha: float = Field(gt=0.0, lt=1.0)
    m: int = Field(ge=1)
    guesses: int = Field(ge=0)
    correct: int = Field(ge=0)
    auc: float | None
    method: str
    mu: float | None = Field(default=None, ge=0.0)
    mu_ceiling: float | None = Field(default=None, ge=0.0)
    confidentiality: Literal["canary_only"] = "canary_only"


class FigureRecord(_Strict):
    """Something told of members and of nonmembers without a verdict, and what it is a mean of."""

    attack: str
    name: str
    members: float
    nonmembers: float
    n_members: int = Field(ge=0)
    n_nonmembers: int = Field(ge=0)
    confidentiality: Literal["internal"] = "internal"


class NotApplicable(_Strict):
    """An attack of the suite that was not run, and why; it is neither a pass nor a failure."""

    name: str
    reason: str


class SamplingRecord(_Strict):
    """What was not looked at whole: people drawn at random from more, and a release that was read in blocks.

    Powers (`detectable`) are those of the sample.

    Attributes:
        release_rows: rows of the release.
        learned_rows: of these, how many attacks that learn held; all others went through all rows.
        targets: most members and most nonmembers that were drawn; None if nobody was left out.
        drawn: about so many rows on each side at most, which the caller drew, perhaps from more.
        conclusive: about how many of either let a release without leak pass every question in four of five cases.
    """

    release_rows: int = Field(ge=0)
    learned_rows: int = Field(ge=0)
    targets: int | None = Field(default=None, ge=2)
    drawn: int | None = Field(default=None, ge=2)
    conclusive: int | None = Field(default=None, ge=1)

    @model_serializer(mode="wrap")
    def _as_written(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an absent `drawn` or `conclusive`: as it was written before there was one."""
        body: dict[str, Any] = default(self)
        return {name: value for name, value in body.items() if name not in ("drawn", "conclusive") or value is not None}

    def __str__(self) -> str:
        people = "all people" if self.targets is None else f"at most {self.targets:,} members and as many others, drawn"
        if self.drawn is not None:
            people += f" of a sample of at most about {self.drawn:,} rows on each side"
        looked_at = min((count for count in (self.targets, self.drawn) if count is not None), default=None)
        if self.conclusive is not None:
            people += f"; of a release without leak about {self.conclusive:,} of either let every question pass"
            if looked_at is not None and looked_at < self.conclusive:
                people += ", more than these"
        return (
            f"{people}; {self.release_rows:,} released rows, of which attacks that learn saw {self.learned_rows:,}; "
            "what is detectable is what this sample detects"
        )


class AttackReport(_Strict):
    """All endpoints of a suite; `verdict` is the worst."""

    suite: str
    seed: int
    verdict: Verdict
    attacks: tuple[AttackResult, ...]
    epsilon_lower_bound: EpsilonLowerBound | None = None
    not_applicable: tuple[NotApplicable, ...] = ()
    figures: tuple[FigureRecord, ...] = ()
    sampling: SamplingRecord | None = None

    @model_validator(mode="after")
    def _verdict_is_the_worst(self) -> Self:
        if self.verdict != worst(a.verdict for a in self.attacks):
            raise ValueError("verdict is not the worst of the attacks")
        return self

    @property
    def worst_first(self) -> tuple[AttackResult, ...]:
        """Failures, then inconclusive endpoints, then passes, each group by how near it came to its limit."""

        def nearness(row: AttackResult) -> float:
            return row.limit - row.ci_high if row.ci_high is not None else 0.0

        return tuple(sorted(self.attacks, key=lambda row: (_RANK[row.verdict], nearness(row))))

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`; `sampling` is there if something was sampled."""
        left_out = {"sampling"} if self.sampling is None else set()
        return {"schema": SCHEMA, **self.model_dump(mode="json", exclude=left_out)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AttackReport:
        """Reads a report strictly: unknown fields, wrong types and a better verdict than the rows' are refused.

        Raises:
            AttackReportError: the document does not follow the schema.
        """
        body = {key: value for key, value in document.items() if key != "schema"}
        try:
            if document.get("schema") != SCHEMA:
                raise AttackReportError(
                    f"The attack report does not follow {SCHEMA}: it names another schema or none.",
                    "Use the version of the toolkit that wrote it.",
                )
            return cls.model_validate_json(json.dumps(body, allow_nan=False))
        except (ValidationError, ValueError, TypeError) as error:
            where = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
            raise AttackReportError(
                f"The attack report does not follow {SCHEMA}: {'.'.join(map(str, where)) or 'document'} is not valid.",
                "Take the report as it was written.",
            ) from error

    def __str__(self) -> str:
        lines = [f"attack report: {self.verdict} ({self.suite}, {len(self.attacks)} endpoints)"]
        lines += [
            f"  {row.verdict:<12} {row.name:<28} {row.stratum:<8} {row.endpoint:<22} "
            f"{_figure(row.estimate):>7} [{_figure(row.ci_low)}, {_figure(row.ci_high)}] limit {row.limit:g}"
            for row in self.worst_first
        ]
        lines += [
            f"  told         {item.attack:<28} {item.name:<31} {item.members:>7.4f} holdout {item.nonmembers:.4f}"
            for item in self.figures
        ]
        lines += [] if self.sampling is None else [f"  sampled      {self.sampling}"]
        lines += [f"  not run      {item.name:<28} {item.reason}" for item in self.not_applicable]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heads = (
            *("verdict", "attack", "stratum", "endpoint", "estimate", "lower", "upper", "limit", "detectable"),
            *("planted", "without members", "attacker", "why", "cost"),
        )
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row)) for row in self.worst_first)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        head = "".join(f'<th scope="col">{h}</th>' for h in heads)
        caption = f"Attacks: {self.verdict} (suite {self.suite}; internal: exact figures of real rows)"
        caption += "" if self.sampling is None else f"; sampled: {self.sampling}"
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def together(table: AttackReport, text: AttackReport) -> AttackReport:
    """One report of the attacks on a table and on its texts; the verdict is the worst of both.

    Each part keeps its own family-wise level, so one of the two fails a harmless release in at most twice as many cases
    as either would. Canaries are the texts': a table that is audited from outside has none.
    """
    absent = tuple(item for item in table.not_applicable if item.name != "canary") + text.not_applicable
    return AttackReport(
        suite=f"{table.suite} and {text.suite}",
        seed=table.seed,
        verdict=worst((table.verdict, text.verdict)),
        attacks=table.attacks + text.attacks,
        epsilon_lower_bound=text.epsilon_lower_bound,
        not_applicable=absent,
        figures=table.figures + text.figures,
        sampling=table.sampling,
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _cells(row: AttackResult) -> tuple[str, ...]:
    figures = tuple(_figure(value) for value in (row.estimate, row.ci_low, row.ci_high, row.limit))
    detectable = "-" if row.detectable is None else f"{row.detectable:.1%}"
    positive, negative = row.positive_control, row.negative_control
    planted = "-" if positive is None else f"{positive.detected}/{positive.trials} at {positive.fraction:.1%}"
    silent = "-" if negative is None else f"{negative.estimate:.4f}{'' if negative.passed else ' (false alarm)'}"
    who = (row.verdict, row.name, row.stratum, row.endpoint)
    return (*who, *figures, detectable, planted, silent, row.threat, row.reason, f"{row.seconds:.1f} s")
