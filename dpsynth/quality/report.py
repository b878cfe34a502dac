"""The quality report as a document: `dpsynth.quality/1`.

Each metric stands beside what real data scores: `reference` is the real holdout in place of the synthetic
table, `matched` the synthetic table cut to as many rows as the holdout (the fair one to hold against
`reference`, because every distance shrinks with rows; if the holdout has more, it is cut to the synthetic
table's), `floor` two random halves of the real table against each other, and `shuffle` the real table with
all dependence destroyed (for a model: one that has learned nothing).

    shortfall = (matched - reference) / (shuffle - reference)    0: as good as real data, 1: as no data

Every figure here is computed from private rows without noise. `confidentiality` says what may become of it:
`internal` figures never leave the workspace, `bucketed` ones may be published as one of a few coarse classes.

>>> m = Metric(name="x", group="tails", value=0.2, reference=0.1, floor=0.1, shuffle=0.6, better="low")
>>> m.shortfall
0.2
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from dpsynth.core.errors import DataError
from dpsynth.quality.ablation.document import Ablation
from dpsynth.quality.sections import (
    Association,
    Conditional,
    Giveaway,
    GroupQuality,
    GroupScore,
    QuantileQuality,
    TripleQuality,
)

MAX_BYTES = 16 << 20
Confidentiality = Literal["internal", "bucketed"]
Group = Literal["fidelity", "tails", "utility", "text", "time", "diversity", "detection"]
BEYOND = 6.0
"""Spreads beyond the real holdout at which a metric notices."""
LEAST_SPREAD = 0.001
"""Where eight redraws happen to agree, chance is taken to be at least this."""
SLACK = 0.01
"""Loss of a model's score that is no difference."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Metric(_Document):
    """One figure with its anchors; see the module for what each anchor is."""

    name: str
    group: Group
    value: float | None
    reference: float | None
    floor: float | None
    shuffle: float | None = None
    matched: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    better: Literal["low", "high"]
    confidentiality: Confidentiality = "bucketed"
    spread: float | None = None
    redrawn: float | None = None

    @property
    def noticed(self) -> bool | None:
        """Whether the figure is worse than real data's own chance explains; None where nothing says how much that is.

        With a `spread` (standard deviation of `reference` over redraws of which real rows are training and which
        holdout; `redrawn` is their mean): worse than the holdout, and than the mean redraw, by more than 6 of them.
        Without, but with an interval around a reference that is no sample (a paired gap): the interval at twice its
        width lies beyond the reference by 0.01. Six, fixed before any sabotage was looked at, because some sixty
        metrics are read at once, the spread rests on few redraws, and the matched figure has a chance of its own.
        """
        sign = 1.0 if self.better == "low" else -1.0
        value = self.value if self.matched is None else self.matched
        if value is None or self.reference is None:
            return None
        if self.notices_from is not None:
            return sign * (value - self.notices_from) > 0
        excess = sign * (value - self.reference)
        near = self.ci_low if self.better == "low" else self.ci_high
        if near is None or self.reference_low is not None:
            return None
        return excess - 2.0 * abs(value - near) > SLACK

    @property
    def notices_from(self) -> float | None:
        """The figure from which on the metric notices: what it can show. None where there is no `spread`."""
        if self.reference is None or self.spread is None:
            return None
        sign = 1.0 if self.better == "low" else -1.0
        worst = self.reference if self.redrawn is None else sign * max(sign * self.reference, sign * self.redrawn)
        return worst + sign * BEYOND * max(self.spread, LEAST_SPREAD)  # a holdout may be good by luck

    @property
    def shows(self) -> bool | None:
        """Whether the worst figure there is, that of independent columns or else of no data, would be noticed.

        False: that the metric does not notice says nothing, as a rule because there are few rows. None: no anchor.
        """
        if self.notices_from is None or self.reference is None:
            return None
        if self.better == "low":
            return None if self.shuffle is None else self.shuffle > self.notices_from
        worst = 0.0 if self.shuffle is None else self.shuffle
        return (0.0 if worst >= self.reference else worst) < self.notices_from  # recall: independent columns do as well

    @property
    def shortfall(self) -> float | None:
        """0 as good as real data, 1 as bad as no data; None if an anchor is missing, or no worse than real by chance.

        One-way distances have no such anchor: permuting columns does not change them. Read them against `reference`.
        """
        value = self.value if self.matched is None else self.matched
        worst = 0.0 if self.shuffle is None and self.better == "high" else self.shuffle
        if value is None or self.reference is None or worst is None:
            return None
        room = (worst - self.reference) * (1 if self.better == "low" else -1)
        if room < max(1e-9, BEYOND * (self.spread or 0.0)):  # real data is as bad, but for chance: nothing to judge
            return None
        return round((value - self.reference) / (worst - self.reference), 12)


class ColumnQuality(_Document):
    """One column: distance beside its anchors, missing rates, categories of the two tables."""

    name: str
    kind: Literal["categorical", "number", "date"]
    cells: int
    tvd: float
    ci_low: float
    ci_high: float
    reference: float
    floor: float
    missing_real: float
    missing_synthetic: float
    lost: int
    invented: float
    confidentiality: Literal["internal"] = "internal"


class PairQuality(_Document):
    """One pair of columns: distance beside its anchors."""

    left: str
    right: str
    tvd: float
    ci_low: float
    ci_high: float
    reference: float
    floor: float
    shuffle: float
    confidentiality: Literal["internal"] = "internal"


class Band(_Document):
    """What becomes of cells of `ways` columns with `low` to `high` real rows; None where the band has no cell.

    `mass` is the share of real rows in such cells, a mean over the tables of counts; `excused_matched` the share of
    cells that are kept, or of which the noise can show nothing.
    """

    low: int
    high: int
    ways: int = 2
    cells: int
    mass: float | None = None
    unresolved: int | None
    kept: float | None
    kept_reference: float | None
    kept_matched: float | None
    kept_floor: float | None
    overlap: float | None
    overlap_reference: float | None
    overlap_matched: float | None
    overlap_floor: float | None
    excess: float | None
    excess_reference: float | None
    excused_matched: float | None = None
    confidentiality: Literal["internal"] = "internal"


class Resolution(_Document):
    """Smallest cell that the noise can show: 5 % false alarms, 80 % power."""

    sigma: float
    rows: float


class Comparator(_Document):
    """A DP model trained on the real table: one score of it over all draws; epsilon a draw, in its relation."""

    model: str
    score: str
    epsilon: str
    relation: Literal["add_remove"]
    draws: tuple[float, ...]
    mean: float
    ci_low: float | None
    ci_high: float | None
    confidentiality: Literal["internal"] = "internal"


class Utility(_Document):
    """Train on synthetic, test on real (TSTR) against train on real, test on real (TRTR)."""

    target: str
    task: Literal["classification", "regression"]
    learner: str
    classes: int | None
    comparators: tuple[Comparator, ...] = ()
    groups: tuple[GroupScore, ...] = ()
    confidentiality: Literal["internal"] = "internal"


class Rows(_Document):
    """How many rows each figure rests on; private unless released through a mechanism."""

    real: int
    synthetic: int
    holdout: int
    later: int | None = None
    confidentiality: Literal["internal"] = "internal"


class TextSettings(_Document):
    """What the figures of texts rest on: embedding and scorer by name, texts of each set where numbers are equal."""

    embedding: str
    texts: int
    clusterings: int
    scored: bool
    labelled: bool
    scored_by: str | None = None
    confidentiality: Literal["internal"] = "internal"


class QualityReport(_Document):
    """All figures of one evaluation, worst first; see the module docstring."""

    schema_: Literal["dpsynth.quality/1"] = Field("dpsynth.quality/1", alias="schema")
    rows: Rows
    metrics: tuple[Metric, ...]
    columns: tuple[ColumnQuality, ...]
    pairs: tuple[PairQuality, ...]
    pairs_total: int
    tails: tuple[Band, ...]
    resolution: Resolution | None = None
    utility: Utility | None = None
    warnings: tuple[str, ...] = ()
    seed: int = 0
    text: TextSettings | None = None
    tails1: tuple[Band, ...] = ()
    tails3: tuple[Band, ...] = ()
    ablation: Ablation | None = None
    triples: tuple[TripleQuality, ...] = ()
    conditionals: tuple[Conditional, ...] = ()
    associations: tuple[Association, ...] = ()
    quantiles: tuple[QuantileQuality, ...] = ()
    groups: tuple[GroupQuality, ...] = ()
    giveaways: tuple[Giveaway, ...] = ()
    no_resolution: str | None = None

    SCHEMA: ClassVar[Literal["dpsynth.quality/1"]] = "dpsynth.quality/1"

    def metric(self, name: str) -> Metric:
        """The metric of that name.

        Raises:
            KeyError: the report has no such metric.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def to_json(self) -> dict[str, JsonValue]:
        """The document as plain JSON values; without `text` as it was written before texts were measured."""
        return self.model_dump(mode="json", by_alias=True, exclude={"text"} if self.text is None else None)

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | str | bytes) -> QualityReport:
        """Read a document strictly: no unknown field, no missing field, no NaN, no other version.

        Raises:
            DataError: not a `dpsynth.quality/1` report; the message names the field, never its value.
        """
        text = document if isinstance(document, str | bytes) else json.dumps(document)
        if len(text) > MAX_BYTES:
            raise DataError("The quality report is larger than 16 MiB.", "Evaluate again; reports keep 200 pairs.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the document"
            raise DataError(
                f"Not a {cls.SCHEMA} report: {place}: {first['type']}.",
                "Evaluate again with this version, or read it with the version that wrote it.",
            ) from None

    def __str__(self) -> str:
        lines = [f"{'metric':<24} {'value':>8} {'real':>8} {'floor':>8} {'shortfall':>9} {'notices from':>12}"]
        for m in self.metrics:
            figures = ["-" if x is None else f"{x:.4f}" for x in (m.value, m.reference, m.floor, m.notices_from)]
            short = "-" if m.shortfall is None else f"{m.shortfall:.0%}"
            said = " noticed" if m.noticed else " cannot show" if m.shows is False else ""
            line = f"{m.name:<24} {figures[0]:>8} {figures[1]:>8} {figures[2]:>8} {short:>9} {figures[3]:>12}{said}"
            lines.append(line)
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def worst_first(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """By shortfall; without an anchor for it by the excess over the real holdout, at most 1."""

    def badness(metric: Metric) -> float:
        if metric.shortfall is not None:
            return metric.shortfall
        value = metric.value if metric.matched is None else metric.matched
        return -math.inf if value is None or metric.reference is None else min(value - metric.reference, 1.0)

    return tuple(sorted(metrics, key=badness, reverse=True))


def too_few(synthetic: int) -> QualityReport:
    """A report without figures: too few real rows are like the synthetic ones; how many is not said."""
    return QualityReport(
        schema=QualityReport.SCHEMA,
        rows=Rows(real=0, synthetic=synthetic, holdout=0),
        metrics=(),
        columns=(),
        pairs=(),
        pairs_total=0,
        tails=(),
        warnings=("Too few real rows meet the condition of these rows: quality was not measured.",),
    )
