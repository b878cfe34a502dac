"""From measurements to the rows of a report: decide as one family, then write down.

>>> compose("quick", 0, [], None, [])
Traceback (most recent call last):
    ...
attacks.errors.AttackInputError: The suite asks nothing of these tables. Add an attack.

Not guaranteed: nothing is computed here but bounds at the levels that the verdicts used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from attacks.canary import CanaryEvidence
from attacks.errors import AttackInputError
from attacks.evidence import Reading
from attacks.protocol import ThreatModel
from attacks.report import (
    AttackReport,
    AttackResult,
    EpsilonLowerBound,
    FigureRecord,
    NegativeControlRecord,
    NegativeKind,
    NotApplicable,
    PositiveControlRecord,
    SamplingRecord,
)
from attacks.verdict import FAMILY_ALPHA, Decision, Measurement, decide, worst


class Named(Protocol):
    """What a report says of an attack."""

    @property
    def name(self) -> str:
        """Unique name."""

    @property
    def version(self) -> str:
        """Of the scores."""

    @property
    def threat(self) -> ThreatModel:
        """Who is assumed to attack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One endpoint as it was measured, against which negative control, and what it cost."""

    attack: Named
    measurement: Measurement
    seconds: float
    negative: NegativeKind = "reference_rows"


def compose(
    suite: str,
    seed: int,
    rows: Sequence[Asked],
    trace: CanaryEvidence | None,
    absent: Sequence[NotApplicable],
    told: Sequence[Reading] = (),
    *,
    family: int | None = None,
    sampling: SamplingRecord | None = None,
) -> AttackReport:
    """Decides all endpoints as one family and writes the report.

    `family` is the number of endpoints that could have been asked, where how many were depends on private data: the
    level of the canaries' published bound must not.

    Raises:
        AttackInputError: nothing was asked.
    """
    measurements = [row.measurement for row in rows] + ([trace.measurement] if trace else [])
    if not measurements:
        raise AttackInputError("The suite asks nothing of these tables.", "Add an attack.")
    decisions = decide(measurements)
    results = [
        _result(
            row.attack.name,
            row.attack.version,
            str(row.attack.threat),
            row.measurement,
            decision,
            row.seconds,
            negative=row.negative,
        )
        for row, decision in zip(rows, decisions, strict=False)
    ]
    epsilon = None
    if trace is not None:
        threat = "no_box: the canary rows, not their coins"
        # Holm's level depends on how the endpoints on real rows rank, so a bound at it would not be canary-only.
        fixed = replace(decisions[-1], alpha=FAMILY_ALPHA / (family or len(measurements)))
        results.append(_result("canary", "1", threat, trace.measurement, fixed, trace.seconds, negative="fresh_coins"))
    if trace is not None and (bound := trace.bound) is not None:
        auc = trace.measurement.effect
        epsilon = EpsilonLowerBound(
            value=bound.value,
            ceiling=bound.ceiling,
            delta=bound.delta,
            alpha=bound.alpha,
            m=bound.m,
            guesses=bound.guesses,
            correct=bound.correct,
            auc=None if auc is None else auc.estimate,
            method=bound.method,
            mu=None if trace.gaussian is None else trace.gaussian.mu,
            mu_ceiling=None if trace.gaussian is None else trace.gaussian.ceiling,
        )
    return AttackReport(
        suite=suite,
        seed=seed,
        verdict=worst(d.verdict for d in decisions),
        attacks=tuple(results),
        epsilon_lower_bound=epsilon,
        not_applicable=tuple(absent),
        figures=tuple(FigureRecord(**asdict(reading)) for reading in told),
        sampling=sampling,
    )


def _result(
    name: str,
    version: str,
    threat: str,
    m: Measurement,
    decision: Decision,
    seconds: float,
    *,
    negative: NegativeKind,
) -> AttackResult:
    """One row of the report."""
    effect, positive = m.effect, m.positive
    canary, control = negative == "fresh_coins", None
    if m.control is not None:
        control = NegativeControlRecord(
            kind=negative,
            estimate=m.control.estimate,
            passed=not decision.confounded and m.drift == 0.0,
        )
    return AttackResult(
        name=name,
        version=version,
        threat=threat,
        stratum="canaries" if canary else m.endpoint.stratum,
        endpoint=m.endpoint.name,
        estimate=None if effect is None else effect.estimate,
        ci_low=None if effect is None else effect.lower(decision.alpha),
        ci_high=None if effect is None else effect.upper(FAMILY_ALPHA),
        ci_method=None if effect is None else effect.method,
        alpha=decision.alpha,
        limit=m.limit.value,
        limit_id=m.endpoint.limit_id,
        verdict=decision.verdict,
        reason=decision.reason,
        n_targets=m.members,
        n_controls=m.nonmembers,
        detectable=positive.fraction if positive is not None and positive.caught else None,
        positive_control=None
        if positive is None
        else PositiveControlRecord(
            kind=positive.kind, fraction=positive.fraction, detected=positive.detected, trials=positive.trials
        ),
        negative_control=control,
        confidentiality="canary_only" if canary else "internal",
        seconds=seconds,
    )
