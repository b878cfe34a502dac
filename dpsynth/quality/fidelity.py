"""Columns and pairs: how far each histogram is from the real one, beside its anchors, worst first.

One pass over the pairs makes each joint histogram once; distances, the cells of the tails and the worst conditional
distribution are read from it (`marginals`, `tails`, `conditionals`).

Not guaranteed: what three columns do together; that is `triples`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dpsynth.core.progress import Progress
from dpsynth.quality.anchors import AGAINST, COMPARISONS, Positions, excess_metric, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.marginals import Counts, Joint, PairDistances, distance, joints, total_variation
from dpsynth.quality.report import ColumnQuality, Metric, PairQuality

MAX_PAIRS = 200
LOST_FROM = 10
"""Rows of a value, from which on it counts as lost."""
Histograms = Mapping[str, Sequence[Counts]]


def histograms(coded: Coded, redraws: Sequence[Positions]) -> dict[str, list[Counts]]:
    """Histogram of each column, of every table and redraw."""
    out: dict[str, list[Counts]] = {table: [] for table in coded.tables}
    pool = np.concatenate([coded.tables["real"], coded.tables["holdout"]], axis=1)
    for number in range(len(redraws)):
        out[f"real~{number}"], out[f"holdout~{number}"] = [], []
    for place, size in enumerate(coded.sizes):
        for table, codes in coded.tables.items():
            out[table].append(np.bincount(codes[place], minlength=size))
        total = np.bincount(pool[place], minlength=size)
        for number, held in enumerate(redraws):
            counts = np.bincount(pool[place, held], minlength=size)
            out[f"holdout~{number}"].append(counts)
            out[f"real~{number}"].append(total - counts)
    return out


def column_figures(coded: Coded, counts: Histograms) -> tuple[list[ColumnQuality], list[Metric]]:
    """A row a column, worst first; the metrics: mean, maximum, largest loss of values, missing rates."""
    gaps = {
        key: [total_variation(counts[left][i], counts[right][i]) for i in range(len(coded.columns))]
        for key, (left, right) in COMPARISONS.items()
    }
    missing = {
        key: max(abs(_missing(counts[right][i]) - _missing(counts[left][i])) for i in range(len(coded.columns)))
        for key, (left, right) in COMPARISONS.items()
    }
    lost = {
        key: max(_lost(counts[left][i], counts[right][i]) for i in range(len(coded.columns)))
        for key, (left, right) in COMPARISONS.items()
    }
    rows = [_column(coded, counts, gaps, i) for i in range(len(coded.columns))]
    top = {key: float(np.max(values)) for key, values in gaps.items()}
    worst = {
        key: distance(counts[left][at], counts[right][at])
        for key, (left, right) in (("value", AGAINST["value"]), ("reference", AGAINST["reference"]))
        for at in (int(np.argmax(gaps[key])),)
    }
    bounds = {
        "ci_low": worst["value"].low,
        "ci_high": worst["value"].high,
        "reference_low": worst["reference"].low,
        "reference_high": worst["reference"].high,
    }
    mean = {key: float(np.mean(values)) for key, values in gaps.items()}
    metrics = [
        metric_of("tvd1_mean", "fidelity", mean, confidentiality="bucketed", shuffled=False),
        metric_of("tvd1_max", "fidelity", top, confidentiality="bucketed", shuffled=False, bounds=bounds),
        metric_of("lost_mass_max", "tails", lost, shuffled=False),
        metric_of("missing_gap_max", "fidelity", missing, confidentiality="bucketed", shuffled=False),
    ]
    return sorted(rows, key=lambda r: r.reference - r.tvd), metrics


def _lost(real: Counts, other: Counts) -> float:
    """Share of real rows whose value, of at least ten rows, the other table lacks."""
    return float(real[(real >= LOST_FROM) & (other == 0)].sum() / real.sum())


def _missing(counts: Counts) -> float:
    return float(counts[-1] / counts.sum())


def _column(coded: Coded, counts: Histograms, gaps: Mapping[str, Sequence[float]], i: int) -> ColumnQuality:
    real, synthetic = counts["real"][i], counts["synthetic"][i]
    found = distance(real, synthetic)
    return ColumnQuality(
        name=coded.columns[i],
        kind=coded.kinds[i],
        cells=int((real > 0).sum()),
        tvd=found.value,
        ci_low=found.low,
        ci_high=found.high,
        reference=gaps["reference"][i],
        floor=gaps["floor"][i],
        missing_real=_missing(real),
        missing_synthetic=_missing(synthetic),
        lost=int(((real > 0) & (synthetic == 0)).sum()),
        invented=float(synthetic[real == 0].sum() / synthetic.sum()),
    )


def pair_figures(
    coded: Coded,
    redraws: Sequence[Positions],
    also: Sequence[Callable[[Joint], None]],
    progress: Progress,
) -> tuple[list[PairQuality], list[Metric]]:
    """A row a pair, worst first, and mean and maximum as metrics; `also` sees each joint histogram once."""
    found = {key: PairDistances(left=left, right=right) for key, (left, right) in AGAINST.items()}
    apart: dict[str, list[float]] = {key: [] for key in COMPARISONS if key not in AGAINST}
    rows: list[PairQuality] = []
    total = len(coded.columns) * (len(coded.columns) - 1) // 2
    for done, joint in enumerate(joints(coded, redraws)):
        if done % 50 == 0:
            progress("fidelity", done, total)
        for one in found.values():
            one.add(joint)
        for key, values in apart.items():
            left, right = COMPARISONS[key]
            values.append(total_variation(joint.counts[left], joint.counts[right]))
        for look in also:
            look(joint)
        rows.append(_pair(coded, joint, {key: one.values[-1] for key, one in found.items()}))
    progress("fidelity", total, total)
    metrics = _pair_metrics(found, apart, rows)
    rows.sort(key=lambda r: (r.reference - r.tvd) / max(r.shuffle, 1e-6))
    rows.sort(key=lambda r: r.reference - r.tvd)
    return rows[:MAX_PAIRS], metrics


def _pair(coded: Coded, joint: Joint, gaps: Mapping[str, float]) -> PairQuality:
    d = distance(joint.counts["real"], joint.counts["synthetic"])
    return PairQuality(
        left=coded.columns[joint.i],
        right=coded.columns[joint.j],
        tvd=d.value,
        ci_low=d.low,
        ci_high=d.high,
        reference=gaps["reference"],
        floor=gaps["floor"],
        shuffle=gaps["shuffle"],
    )


def _pair_metrics(
    found: Mapping[str, PairDistances], apart: Mapping[str, list[float]], rows: Sequence[PairQuality]
) -> list[Metric]:
    """`tvd2_max` is the distance of the worst pair, which chance alone makes large where a pair has many cells;
    `tvd2_excess` the worst distance beyond what redraws expect of that very pair. Of one pair, of any number of cells,
    the variance is at most (1/n + 1/m) / 4 (Efron and Stein 1981): chance is alike for all, and needs no scale.
    """
    mean = {key: one.mean() for key, one in found.items()}
    means = {**{key: d.value for key, d in mean.items()}, **{key: float(np.mean(v)) for key, v in apart.items()}}
    tops = {**{key: max(one.values) for key, one in found.items()}, **{key: max(v) for key, v in apart.items()}}
    each = {key: np.array(one.values) for key, one in found.items()} | {key: np.array(v) for key, v in apart.items()}
    worst = max(rows, key=lambda r: r.tvd)
    bounds = {
        "ci_low": mean["value"].low,
        "ci_high": mean["value"].high,
        "reference_low": mean["reference"].low,
        "reference_high": mean["reference"].high,
    }
    return [
        metric_of("tvd2_mean", "fidelity", means, confidentiality="bucketed", bounds=bounds),
        metric_of(
            "tvd2_max",
            "fidelity",
            tops,
            confidentiality="bucketed",
            bounds={"ci_low": worst.ci_low, "ci_high": worst.ci_high},
        ),
        excess_metric("tvd2_excess", "fidelity", each),
    ]
