"""Quality of a synthetic table, each figure beside what real data scores.

`evaluate` codes the three tables alike (`coding`), adds what they are held against (two random halves of the
real table, the real table with columns permuted independently, the synthetic table cut to the holdout's
rows), and reads one- and two-way distances, tails and utility from them. A mean distance near zero says
little alone: Adult with every dependence destroyed is still at 0.083; beside its floor and shuffle value it
says how much is left.

All figures are un-noised functions of private rows: the report is internal. Nothing here spends budget, and
choosing between drafts by these figures is a private selection (design.md, rule 6).

>>> import numpy as np, pandas as pd
>>> rng = np.random.default_rng(0)
>>> table = pd.DataFrame({"a": rng.integers(0, 4, 900), "b": rng.integers(0, 3, 900)})
>>> evaluate(table[:300], table[300:600], table[600:]).metric("tvd2_mean").value < 0.15
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.constraints import violation_metric
from dpsynth.quality.marginals import (
    NORMAL_ROWS,
    Distance,
    PairDistances,
    distance,
    joints,
    one_way,
)
from dpsynth.quality.report import (
    Band,
    ColumnQuality,
    Metric,
    PairQuality,
    QualityReport,
    Resolution,
    Rows,
    Utility,
    worst_first,
)
from dpsynth.quality.sequences import People, sequence_metrics, without_people
from dpsynth.quality.tails import BANDS, BandScore, TailTally, resolution_limit
from dpsynth.quality.utility import train_synthetic_test_real

if TYPE_CHECKING:
    from dpsynth.quality.comparators.score import Comparators

MAX_PAIRS = 200
_AGAINST = {
    "value": ("real", "synthetic"),
    "reference": ("real", "holdout"),
    "matched": ("real", "matched"),
    "floor": ("half", "other_half"),
    "shuffle": ("real", "shuffled"),
}


class _Spec(Protocol):
    @property
    def kind(self) -> str: ...


class DeclaredKinds(Protocol):
    """What is needed of a `dpsynth.schema.Schema`: the kind of each column."""

    @property
    def columns(self) -> Mapping[str, _Spec]:
        """Column name -> something with a `kind`."""


def _anchors(coded: Coded, rng: np.random.Generator) -> Coded:
    """Add what to hold against: halves and permutation of the real table, equal-sized synthetic rows."""
    real, synthetic = coded.tables["real"], coded.tables["synthetic"]
    order = rng.permutation(real.shape[1])
    middle = order.size // 2
    rows = min(synthetic.shape[1], coded.tables["holdout"].shape[1])
    return coded.with_tables(
        {
            "half": real[:, order[: max(middle, 1)]],
            "other_half": real[:, order[middle:]],
            "shuffled": rng.permuted(real, axis=1)[:, :rows],
            "matched": synthetic[:, rng.permutation(synthetic.shape[1])[:rows]],
        }
    )


def _columns(coded: Coded) -> tuple[list[ColumnQuality], list[Metric]]:
    """One-way distances: a row a column, worst first, and their mean, maximum and missing-rate summaries."""
    counts = {table: one_way(coded, table) for table in coded.tables}
    rows: list[ColumnQuality] = []
    by: dict[str, list[Distance]] = {key: [] for key in _AGAINST}
    missing: dict[str, list[float]] = {"synthetic": [], "holdout": [], "matched": []}
    for i, name in enumerate(coded.columns):
        for key, (left, right) in _AGAINST.items():
            by[key].append(distance(counts[left][i], counts[right][i]))
        share = {t: float(c[i][-1] / c[i].sum()) for t, c in counts.items()}
        for table, gaps in missing.items():
            gaps.append(abs(share[table] - share["real"]))
        real, synthetic = counts["real"][i], counts["synthetic"][i]
        d = by["value"][-1]
        rows.append(
            ColumnQuality(
                name=name,
                kind=coded.kinds[i],
                cells=int((real > 0).sum()),
                tvd=d.value,
                ci_low=d.low,
                ci_high=d.high,
                reference=by["reference"][-1].value,
                floor=by["floor"][-1].value,
                missing_real=share["real"],
                missing_synthetic=share["synthetic"],
                lost=int(((real > 0) & (synthetic == 0)).sum()),
                invented=float(synthetic[real == 0].sum() / synthetic.sum()),
            )
        )
    worst = {key: max(ds, key=lambda d: d.value) for key, ds in by.items()}
    mean = {key: float(np.mean([d.value for d in ds])) for key, ds in by.items()}
    metrics = [
        Metric(
            name="tvd1_mean",
            group="fidelity",
            value=mean["value"],
            reference=mean["reference"],
            matched=mean["matched"],
            floor=mean["floor"],
            better="low",
        ),
        Metric(
            name="tvd1_max",
            group="fidelity",
            value=worst["value"].value,
            ci_low=worst["value"].low,
            ci_high=worst["value"].high,
            reference=worst["reference"].value,
            reference_low=worst["reference"].low,
            reference_high=worst["reference"].high,
            matched=worst["matched"].value,
            floor=worst["floor"].value,
            better="low",
        ),
        Metric(
            name="missing_gap_max",
            group="fidelity",
            value=max(missing["synthetic"]),
            reference=max(missing["holdout"]),
            matched=max(missing["matched"]),
            floor=None,
            better="low",
        ),
    ]
    return sorted(rows, key=lambda r: r.reference - r.tvd), metrics


def _pairs(
    coded: Coded, limit: float, progress: Progress
) -> tuple[list[PairQuality], list[Metric], dict[str, TailTally]]:
    """Two-way distances and tails, from one pass over the pairs."""
    found = {key: PairDistances(left=left, right=right) for key, (left, right) in _AGAINST.items()}
    tails = {key: TailTally(real=left, other=right, limit=limit) for key, (left, right) in _AGAINST.items()}
    rows: list[PairQuality] = []
    total = len(coded.columns) * (len(coded.columns) - 1) // 2
    for done, joint in enumerate(joints(coded)):
        if done % 50 == 0:
            progress("fidelity", done, total)
        for key in _AGAINST:
            found[key].add(joint)
            tails[key].add(joint)
        d = distance(joint.counts["real"], joint.counts["synthetic"])
        rows.append(
            PairQuality(
                left=coded.columns[joint.i],
                right=coded.columns[joint.j],
                tvd=d.value,
                ci_low=d.low,
                ci_high=d.high,
                reference=found["reference"].values[-1],
                floor=found["floor"].values[-1],
                shuffle=found["shuffle"].values[-1],
            )
        )
    progress("fidelity", total, total)
    mean = {key: one.mean() for key, one in found.items()}
    top = {key: max(one.values) for key, one in found.items()}
    worst = max(rows, key=lambda r: r.tvd)
    metrics = [
        Metric(
            name="tvd2_mean",
            group="fidelity",
            value=mean["value"].value,
            ci_low=mean["value"].low,
            ci_high=mean["value"].high,
            reference=mean["reference"].value,
            reference_low=mean["reference"].low,
            reference_high=mean["reference"].high,
            matched=mean["matched"].value,
            floor=mean["floor"].value,
            shuffle=mean["shuffle"].value,
            better="low",
        ),
        Metric(
            name="tvd2_max",
            group="fidelity",
            value=top["value"],
            ci_low=worst.ci_low,
            ci_high=worst.ci_high,
            reference=top["reference"],
            matched=top["matched"],
            floor=top["floor"],
            shuffle=top["shuffle"],
            better="low",
        ),
    ]
    rows.sort(key=lambda r: (r.reference - r.tvd) / max(r.shuffle, 1e-6))
    rows.sort(key=lambda r: r.reference - r.tvd)
    return rows[:MAX_PAIRS], metrics, tails


def _tails(tallies: Mapping[str, TailTally], limited: bool) -> tuple[list[Band], list[Metric]]:
    """Rows of the tail table, and one metric for each band and figure that exists."""
    scores: dict[str, tuple[BandScore, ...]] = {key: tally.score() for key, tally in tallies.items()}
    bands, metrics = [], []
    for row, (low, high) in enumerate(BANDS):
        at = {key: score[row] for key, score in scores.items()}
        value = at["value"]
        bands.append(
            Band(
                low=low,
                high=high,
                cells=value.cells,
                unresolved=value.unresolved if limited else None,
                kept=value.kept,
                kept_reference=at["reference"].kept,
                kept_matched=at["matched"].kept,
                kept_floor=at["floor"].kept,
                overlap=value.overlap,
                overlap_reference=at["reference"].overlap,
                overlap_matched=at["matched"].overlap,
                overlap_floor=at["floor"].overlap,
                excess=value.excess,
                excess_reference=at["reference"].excess,
            )
        )
        metrics += [
            Metric(
                name=f"tail_{figure}_{low}_{high}",
                group="tails",
                better="high",
                **{key: getattr(one, figure) for key, one in at.items() if key != "shuffle"},
            )
            for figure in ("kept", "overlap")
            if value.cells
        ]
    invented: dict[str, Any] = {key: tally.invented() for key, tally in tallies.items()}
    metrics.append(Metric(name="invented_mass", group="tails", better="low", **invented))
    return bands, metrics


def _warnings(frames: Mapping[str, pd.DataFrame], coded: Coded) -> list[str]:
    """What the reader must know before trusting a figure; no counts of private rows."""
    out = []
    if len(frames["holdout"]) < NORMAL_ROWS:
        out.append(
            f"The holdout has fewer than {NORMAL_ROWS} rows: reference values have intervals too wide "
            "to show anything but gross faults. Hold out more rows."
        )
    if min(len(frames["real"]), len(frames["synthetic"])) < NORMAL_ROWS:
        out.append(f"A table has fewer than {NORMAL_ROWS} rows: intervals are distribution-free (McDiarmid), wide.")
    for i, name in enumerate(coded.columns):
        empty = [t for t in frames if bool((coded.tables[t][i] == coded.sizes[i] - 1).all())]
        if empty:
            out.append(f"Column {name!r} is missing in every row of: {', '.join(empty)}.")
    return out


def evaluate(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame,
    *,
    schema: DeclaredKinds | None = None,
    target: str | None = None,
    sigma: float | None = None,
    comparators: Comparators | None = None,
    people: People | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> QualityReport:
    """Measure a synthetic table against the real one, each figure beside what real data scores.

    Args:
        real: the rows the generator was fitted on.
        synthetic: the synthetic rows.
        holdout: real rows that the generator never saw, of the same source.
        schema: kinds of the columns, and constraints if it is a `Schema` that declares some; without it kinds are read
            from the pandas types.
        target: column to predict for utility (TSTR against TRTR); None skips utility.
        sigma: standard deviation, in rows, of the noise on each measured count, for the resolution limit.
        comparators: DP models to train on the real rows beside TSTR and TRTR; each draw is a release, free on public
            data only (`dpsynth.quality.comparators`).
        people: whose rows, in which order, if the tables hold whole people: they then have those columns, which count
            in figures of people alone (`dpsynth.quality.sequences`).
        seed: of halves, permutation and bootstrap; the report is reproducible from it.
        progress: receives the steps `fidelity` and `utility`.

    Returns:
        the report; metrics, columns and pairs are worst first.

    Raises:
        SchemaError: the tables have different columns, or the target is none of them.
        DataError: a table is empty, a column cannot be read as its kind, or the target has one class.
        ParameterError: sigma is negative or not finite.
    """
    if sigma is not None and not (np.isfinite(sigma) and sigma >= 0):
        raise ParameterError("Expected sigma >= 0 and finite.", "Give the noise's standard deviation in rows.")
    whole = {"real": real, "synthetic": synthetic, "holdout": holdout}
    frames = whole if people is None else {name: without_people(frame, people) for name, frame in whole.items()}
    declared = {str(name): str(spec.kind) for name, spec in schema.columns.items()} if schema else None
    rng = np.random.Generator(np.random.PCG64(seed))
    plain = code_tables(frames, declared=declared)
    if target is not None and target not in plain.columns:
        raise SchemaError(f"Target {target!r} is not a column.", f"Choose one of {list(plain.columns)}.")
    if len(plain.columns) < 2:
        raise SchemaError("Quality needs at least two columns.", "Evaluate a table with two columns or more.")
    coded = _anchors(plain, rng)
    limit = 0.0 if sigma is None else resolution_limit(sigma)
    columns, metrics = _columns(coded)
    pairs, more, tallies = _pairs(coded, limit, progress)
    bands, tail_metrics = _tails(tallies, limited=sigma is not None)
    metrics += [*more, *tail_metrics, *violation_metric(schema, synthetic, holdout)]
    utility: Utility | None = None
    if target is not None:
        ordered = {t: f.rename(columns=str)[list(plain.columns)] for t, f in frames.items()}
        kinds = dict(zip(plain.columns, plain.kinds, strict=True))
        utility, scores = train_synthetic_test_real(
            ordered, kinds=kinds, target=target, rng=rng, comparators=comparators, progress=progress
        )
        metrics += scores
    if people is not None:
        metrics += sequence_metrics(whole, people, rng=np.random.Generator(np.random.PCG64(seed)))
    return QualityReport(
        schema=QualityReport.SCHEMA,
        rows=Rows(real=len(real), synthetic=len(synthetic), holdout=len(holdout)),
        metrics=worst_first(metrics),
        columns=tuple(columns),
        pairs=tuple(pairs),
        pairs_total=len(plain.columns) * (len(plain.columns) - 1) // 2,
        tails=tuple(bands),
        resolution=None if sigma is None else Resolution(sigma=sigma, rows=limit),
        utility=utility,
        warnings=tuple(_warnings(frames, plain)),
        seed=seed,
    )
