"""Attack and quality reports as evidence: each wrapped with the draft that it was made on.

The reports' own packages read them strictly (no unknown field, no NaN, no better verdict than that of the rows), so
that what a rule sees is what the report says. Kept apart from `evidence` because they bring pandas and scipy along,
which neither a synthesis nor a receiver needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attacks.errors import AttackReportError
from attacks.report import AttackReport
from dpsynth.core.errors import DataError
from dpsynth.quality.report import QualityReport
from dpsynth.release.fields import Closed, Hex64, Name


def _attack_report(body: object) -> AttackReport:
    if not isinstance(body, Mapping):
        raise ValueError("not an object")
    try:
        return AttackReport.from_json(body)
    except AttackReportError:
        raise ValueError("not an attack report") from None


class AttackDocument(Closed):
    """`attack.json`: an attack report and the draft it was run on."""

    schema_: Literal["dpsynth.attack/1"] = Field("dpsynth.attack/1", alias="schema")
    draft: Name
    draft_digest: Hex64
    report: Annotated[AttackReport, BeforeValidator(_attack_report)]


def _quality_report(body: object) -> QualityReport:
    if not isinstance(body, Mapping):
        raise ValueError("not an object")
    try:
        return QualityReport.from_json(body)
    except DataError:
        raise ValueError("not a quality report") from None


class QualityDocument(Closed):
    """`quality.json`: a quality report and the draft it was computed on."""

    schema_: Literal["dpsynth.quality_of_draft/1"] = Field("dpsynth.quality_of_draft/1", alias="schema")
    draft: Name
    draft_digest: Hex64
    report: Annotated[QualityReport, BeforeValidator(_quality_report)]
