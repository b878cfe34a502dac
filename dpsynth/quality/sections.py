"""Rows of the sections that show where a table breaks: triples, associations, conditionals, quantiles, groups.

All are un-noised functions of private rows, with values of cells among them: internal, without exception.

>>> QuantileQuality(column="age", probability=0.99, error=0.2, matched=0.2, reference=0.1, floor=None).confidentiality
'internal'
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    confidentiality: Literal["internal"] = "internal"


class TripleQuality(_Row):
    """Three columns together: total variation beside its anchors."""

    columns: tuple[str, str, str]
    tvd: float
    reference: float
    floor: float
    shuffle: float


class Association(_Row):
    """How strongly two columns go together: Pearson's r, the correlation ratio, or Cramer's V."""

    left: str
    right: str
    measure: Literal["pearson", "correlation_ratio", "cramers_v"]
    real: float
    synthetic: float
    reference: float


class Conditional(_Row):
    """The distribution of one column among rows with one value of another; real rows with that value."""

    given: str
    value: str
    column: str
    rows: int
    tvd: float
    reference: float


class QuantileQuality(_Row):
    """An extreme quantile of a column of numbers: absolute errors, in units of the real interquartile range.

    `matched` is the error of as many synthetic rows as the holdout has; `reference` is the holdout's.
    """

    column: str
    probability: float
    error: float
    matched: float
    reference: float
    floor: float | None


class GroupQuality(_Row):
    """A small group of rows: its size, its other columns, and what a model is worth within it.

    Attributes:
        unresolved: whether it has fewer rows than the noise can show; None without a resolution limit.
        tvd: mean over the other columns of the distance within the group, at the holdout's number of rows.
        score: TSTR on the group's holdout rows, and TRTR as its reference; None where they show one class.
    """

    column: str
    value: str
    rows: int
    share: float
    share_synthetic: float
    share_reference: float
    unresolved: bool | None
    tvd: float
    tvd_reference: float
    target_tvd: float | None
    target_tvd_reference: float | None
    score: float | None
    score_reference: float | None


class GroupScore(_Row):
    """What models trained on synthetic and on real rows score on one group of the holdout."""

    group: str
    score: float
    reference: float


class Giveaway(_Row):
    """How much of a detector's ROC AUC goes when one column is permuted; beside the detector of real rows."""

    column: str
    drop: float
    reference: float
