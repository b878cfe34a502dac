"""Has the world moved away from a release? New rows against it, column by column and pair by pair.

A synthetic table is never exactly the law of real rows, so "is there any difference" is the wrong question: with enough
rows the answer is always yes. The question is whether a distance is beyond a tolerance t,

    H0: TVD(new, known) <= t        known: the release itself, or rows of the time when it was made (`before`)

The measured distance T moves by at most 1/n (1/m) if one of n new (m known) rows changes, and its mean is at most t
plus the noise of finite rows (the floor), so by McDiarmid (1989)

    p = exp(-2 (T - t - floor)^2 / (1/n + 1/m))        for T above t + floor, else 1

adjusted by Holm over all columns and pairs. Cells are cut at the known table; pairs have at most eight cells a side,
so that the floor is small. Without `before` a release's own error counts as drift, and the tolerance must allow for it.

>>> rng = np.random.default_rng(0)
>>> then, now = (pd.DataFrame({"a": rng.integers(0, 4, 2000), "b": rng.integers(lo, 3, 2000)}) for lo in (0, 1))
>>> monitor(then, now, tolerance=0.05).answer, monitor(then, then[:500], tolerance=0.05).answer
('regenerate', 'keep')

Not guaranteed: that a difference of three columns at once is seen; independence of several rows of one person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dpsynth.core.errors import ParameterError
from dpsynth.quality.ablation.halves import holm
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.marginals import Counts, total_variation

ALPHA = 0.05
TOLERANCE = 0.05
"""Beside rows of the time of the release."""
TOLERANCE_ALONE = 0.15
"""Beside the release alone, whose own error is no drift; see docs/concepts/drift.md for what it was measured on."""
SIDES = 8


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Drifted(_Document):
    """One column, or one pair: distance of the new rows to what is known, and to the release."""

    columns: tuple[str, ...]
    tvd: float
    floor: float
    release: float
    p_adjusted: float


class Drift(_Document):
    """The answer and what it rests on: most drifted first; internal, for it is computed from new private rows."""

    schema_: Literal["dpsynth.drift/1"] = "dpsynth.drift/1"
    answer: Literal["keep", "regenerate"]
    p_value: float
    alpha: float
    tolerance: float
    against: Literal["release", "before"]
    detectable: float
    columns: tuple[Drifted, ...]
    pairs: tuple[Drifted, ...]
    warnings: tuple[str, ...] = ()
    confidentiality: Literal["internal"] = "internal"


def monitor(
    release: pd.DataFrame,
    new: pd.DataFrame,
    *,
    before: pd.DataFrame | None = None,
    kinds: Mapping[str, str] | None = None,
    alpha: float = ALPHA,
    tolerance: float | None = None,
) -> Drift:
    """Hold new rows against a release.

    Args:
        release: synthetic rows that were released.
        new: real rows of now.
        before: real rows of the time of the release, if there are any: what the new ones are then compared with.
        kinds: column -> kind as in a schema.
        alpha: the chance of `regenerate` where no distance is beyond the tolerance; at most this.
        tolerance: total variation distance that is no reason to act; default 0.05 beside `before`, else 0.15.

    Raises:
        SchemaError: the tables have different columns.
        DataError: a table is empty, or a column cannot be read as its kind.
        ParameterError: alpha or tolerance is outside (0, 1) or [0, 1).
    """
    tolerance = tolerance if tolerance is not None else TOLERANCE_ALONE if before is None else TOLERANCE
    if not 0 < alpha < 1 or not 0 <= tolerance < 1:
        raise ParameterError("Expected 0 < alpha < 1 and 0 <= tolerance < 1.")
    known = release if before is None else before
    coded = code_tables({"known": known, "new": new, "release": release}, declared=kinds)
    merged = {place: _merged(coded, place) for place in range(len(coded.columns))}
    found: list[tuple[tuple[int, ...], dict[str, Counts]]] = []
    for i, size in enumerate(coded.sizes):
        found.append(((i,), {t: np.bincount(codes[i], minlength=size) for t, codes in coded.tables.items()}))
        for j in range(i):
            cells = {t: merged[i][codes[i]] * (SIDES + 1) + merged[j][codes[j]] for t, codes in coded.tables.items()}
            found.append(((j, i), {t: np.bincount(cell, minlength=(SIDES + 1) ** 2) for t, cell in cells.items()}))
    measured = [_measure(counts, tolerance) for _, counts in found]
    adjusted = holm([p for _, _, p in measured])
    lines = [
        Drifted(
            columns=tuple(coded.columns[place] for place in places),
            tvd=tvd,
            floor=floor,
            release=total_variation(counts["new"], counts["release"]),
            p_adjusted=1.0 if p is None else p,
        )
        for (places, counts), (tvd, floor, _), p in zip(found, measured, adjusted, strict=True)
    ]
    lines.sort(key=lambda line: line.floor - line.tvd)
    smallest = min(line.p_adjusted for line in lines)
    return Drift(
        answer="regenerate" if smallest <= alpha else "keep",
        p_value=smallest,
        alpha=alpha,
        tolerance=tolerance,
        against="release" if before is None else "before",
        detectable=_detectable(lines, alpha, tolerance, len(known), len(new)),
        columns=tuple(line for line in lines if len(line.columns) == 1),
        pairs=tuple(line for line in lines if len(line.columns) == 2),
        warnings=_warnings(before, len(new)),
    )


def _measure(counts: Mapping[str, Counts], tolerance: float) -> tuple[float, float, float]:
    """Distance, floor and p-value of one histogram."""
    known, new = counts["known"], counts["new"]
    n, m = int(new.sum()), int(known.sum())
    rate = 1 / n + 1 / m
    tvd = total_variation(new, known)
    pooled = (new + known) / (n + m)
    floor = 0.5 * float(np.sqrt(2 / np.pi * pooled * (1 - pooled) * rate).sum())  # E|N(0, s^2)| = s sqrt(2 / pi)
    excess = max(tvd - tolerance - floor, 0.0)
    return tvd, floor, float(np.exp(-2 * excess**2 / rate))


def _detectable(lines: list[Drifted], alpha: float, tolerance: float, known: int, new: int) -> float:
    """The distance of a single column that these rows show in four of five cases, by McDiarmid; at most 1."""
    floor = float(np.median([line.floor for line in lines if len(line.columns) == 1]))
    rate = 1 / known + 1 / new
    beyond = np.sqrt(np.log(len(lines) / alpha) * rate / 2) + np.sqrt(np.log(1 / 0.2) * rate / 2)
    return min(1.0, tolerance + floor + float(beyond))


def _merged(coded: Coded, place: int) -> NDArray[np.int64]:
    """Code -> one of at most eight groups of about equal mass in the known table; the last is missing."""
    size = coded.sizes[place]
    counts = np.bincount(coded.tables["known"][place], minlength=size)[: size - 1].astype(float)
    natural = coded.kinds[place] != "categorical"
    order = np.arange(size - 1) if natural else np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order] / 2
    group = np.minimum((before / max(counts.sum(), 1.0) * SIDES).astype(np.int64), SIDES - 1)
    out = np.full(size, SIDES, dtype=np.int64)
    out[order] = group
    return out


def _warnings(before: pd.DataFrame | None, new: int) -> tuple[str, ...]:
    out = []
    if before is None:
        out.append("Without rows of the time of the release, its own error counts as drift; give them with --before.")
    if new < 200:
        out.append("Fewer than 200 new rows: only a gross change can be told from chance.")
    return tuple(out)
