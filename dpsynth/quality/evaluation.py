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
from dpsynth.quality.ablation.study import ablate
from dpsynth.quality.anchors import Anchors
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.constraints import violation_metric
from dpsynth.quality.drift.later import LaterDistances, with_halves
from dpsynth.quality.drift.time import split_by_time
from dpsynth.quality.fidelity import column_figures, histograms, pair_figures
from dpsynth.quality.marginals import NORMAL_ROWS
from dpsynth.quality.report import QualityReport, Resolution, Rows, Utility, worst_first
from dpsynth.quality.sequences import People, sequence_metrics, without_people
from dpsynth.quality.tails import resolution_limit, tail_figures, tallies
from dpsynth.quality.utility import train_synthetic_test_real

if TYPE_CHECKING:
    from dpsynth.quality.ablation.document import Ablation
    from dpsynth.quality.comparators.score import Comparators


class _Spec(Protocol):
    @property
    def kind(self) -> str: ...


class DeclaredKinds(Protocol):
    """What is needed of a `dpsynth.schema.Schema`: the kind of each column."""

    @property
    def columns(self) -> Mapping[str, _Spec]:
        """Column name -> something with a `kind`."""


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
    if len(frames.get("later", frames["holdout"])) < NORMAL_ROWS <= len(frames["holdout"]):
        out.append(f"There are fewer than {NORMAL_ROWS} later rows: figures of the later time can show little.")
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
    later: pd.DataFrame | None = None,
    time_column: str | None = None,
    since: str | float | None = None,
    ablation: bool | Mapping[str, Any] = False,
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
        later: real rows of a later time, unseen: every figure of utility is given for them too, and drift (group
            `time`).
        time_column: says when a row is of; without `later`, real rows are cut by it (`drift.split_by_time`).
        since: the first moment that is later; without it the last quarter of the holdout is.
        ablation: whether to train on mixes of real and synthetic rows as well; or options of `ablation.ablate`. Takes
            most of a minute on Adult, and needs a target.
        seed: of halves, permutation and bootstrap; the report is reproducible from it.
        progress: receives the steps `fidelity`, `utility` and `ablation`.

    Returns:
        the report; metrics, columns and pairs are worst first.

    Raises:
        SchemaError: the tables have different columns, or the target is none of them.
        DataError: a table is empty, a column cannot be read as its kind, or the target has one class.
        ParameterError: sigma is negative or not finite; an ablation without a target; both `later` and `since`.
    """
    if sigma is not None and not (np.isfinite(sigma) and sigma >= 0):
        raise ParameterError("Expected sigma >= 0 and finite.", "Give the noise's standard deviation in rows.")
    if ablation is not False and target is None:
        raise ParameterError("An ablation trains models to predict a column.", "Name it as target.")
    if since is not None and (later is not None or time_column is None):
        raise ParameterError("A moment to cut at needs the time column, and no table of later rows.")
    notes: tuple[str, ...] = ()
    if time_column is not None and later is None:
        cut = split_by_time(real, holdout, column=time_column, since=since)
        real, holdout, later, notes = cut.real, cut.holdout, cut.later, cut.warnings
    whole = {"real": real, "synthetic": synthetic, "holdout": holdout} | ({} if later is None else {"later": later})
    frames = whole if people is None else {name: without_people(frame, people) for name, frame in whole.items()}
    declared = {str(name): str(spec.kind) for name, spec in schema.columns.items()} if schema else None
    rng = np.random.Generator(np.random.PCG64(seed))
    plain = code_tables(frames, declared=declared)
    if target is not None and target not in plain.columns:
        raise SchemaError(f"Target {target!r} is not a column.", f"Choose one of {list(plain.columns)}.")
    if time_column is not None and time_column not in plain.columns:
        raise SchemaError(f"Time column {time_column!r} is not a column.", f"Choose one of {list(plain.columns)}.")
    if len(plain.columns) < 2:
        raise SchemaError("Quality needs at least two columns.", "Evaluate a table with two columns or more.")
    anchors = Anchors.draw(
        real=len(real), synthetic=len(synthetic), holdout=len(holdout), columns=len(plain.columns), rng=rng
    )
    coded = anchors.coded(plain)
    drift = None
    if later is not None:
        coded = with_halves(coded, np.random.Generator(np.random.PCG64([seed, 1])))
        drift = LaterDistances(coded, time=time_column)
    limit = 0.0 if sigma is None else resolution_limit(sigma)
    alone, together = tallies(limit), tallies(limit)
    counts = histograms(coded, anchors.redraws)
    columns, metrics = column_figures(coded, counts)
    for tally in alone.values():
        for real_counts, other_counts in zip(counts[tally.real], counts[tally.other], strict=True):
            tally.add_counts(real_counts, other_counts)
    looks = [tally.add for tally in together.values()] + ([] if drift is None else [drift.add])
    pairs, more = pair_figures(coded, anchors.redraws, looks, progress)
    metrics += more
    bands = []
    for ways, tallied in ((2, together), (1, alone)):
        found, more = tail_figures(tallied, ways=ways, limited=sigma is not None)
        bands.append(found)
        metrics += more
    metrics += violation_metric(schema, synthetic, holdout)
    metrics += [] if drift is None else drift.metrics()
    utility: Utility | None = None
    mixed: Ablation | None = None
    if target is not None:
        ordered = {t: f.rename(columns=str)[list(plain.columns)] for t, f in frames.items()}
        kinds = dict(zip(plain.columns, plain.kinds, strict=True))
        utility, scores = train_synthetic_test_real(
            ordered, kinds=kinds, target=target, rng=rng, comparators=comparators, progress=progress
        )
        metrics += scores
        if ablation is not False:
            options = {} if ablation is True else dict(ablation)
            mixed = ablate(**ordered, target=target, kinds=kinds, seed=seed, progress=progress, **options)
    if people is not None:
        metrics += sequence_metrics(whole, people, rng=np.random.Generator(np.random.PCG64(seed)))
    return QualityReport(
        schema=QualityReport.SCHEMA,
        rows=Rows(
            real=len(real),
            synthetic=len(synthetic),
            holdout=len(holdout),
            later=None if later is None else len(later),
        ),
        metrics=worst_first(metrics),
        columns=tuple(columns),
        pairs=tuple(pairs),
        pairs_total=len(plain.columns) * (len(plain.columns) - 1) // 2,
        tails=tuple(bands[0]),
        tails1=tuple(bands[1]),
        resolution=None if sigma is None else Resolution(sigma=sigma, rows=limit),
        utility=utility,
        ablation=mixed,
        warnings=(*_warnings(frames, plain), *notes),
        seed=seed,
    )
