"""Quality of a synthetic table, each figure beside what real data scores.

`evaluate` codes the three tables alike (`coding`), adds what they are held against (two random halves of the
real table, the real table with columns permuted independently, the synthetic table cut to the holdout's
rows, or the holdout to the synthetic table's), and reads one- and two-way distances, tails and utility from
them. A mean distance near zero says little alone: Adult with every dependence destroyed is still at 0.083;
beside its floor and shuffle value it says how much is left.

All figures are un-noised functions of private rows: the report is internal. Nothing here spends budget, and
choosing between drafts by these figures is a private selection (design.md, rule 6).

>>> import numpy as np, pandas as pd
>>> rng = np.random.default_rng(0)
>>> table = pd.DataFrame({"a": rng.integers(0, 4, 900), "b": rng.integers(0, 3, 900)})
>>> evaluate(table[:300], table[300:600], table[600:]).metric("tvd2_mean").value < 0.15
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.ablation.study import ablate
from dpsynth.quality.anchors import Anchors
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.constraints import violation_metric
from dpsynth.quality.detection import detection_metric
from dpsynth.quality.drift.later import LaterDistances, with_halves
from dpsynth.quality.drift.time import split_by_time
from dpsynth.quality.marginals import NORMAL_ROWS
from dpsynth.quality.measured import measure
from dpsynth.quality.report import QualityReport, Resolution, Rows, Utility, worst_first
from dpsynth.quality.sections import Giveaway
from dpsynth.quality.sequences import People, sequence_metrics, without_people
from dpsynth.quality.tails import resolution_limit
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


SHOWN_ROWS = 1_000
"""Rows from which on the known damages were noticed in trials (docs/concepts/quality.md)."""
_WHOLE = "all of the holdout"
NO_SIGMA = "The noise of the release is not known here: give sigma, the noise of one count in rows."


def _group_columns(
    coded: Coded, schema: DeclaredKinds | None, groups: Sequence[str] | None, target: str | None
) -> list[int]:
    """Positions of the columns whose smallest values are looked at; public facts alone decide."""
    if groups is not None:
        unknown = [name for name in groups if name not in coded.columns]
        if unknown:
            raise SchemaError(f"Group column {unknown[0]!r} is not a column.", f"Choose of {list(coded.columns)}.")
        return [coded.columns.index(name) for name in groups]
    roles = (getattr(schema, "sensitive", ()), getattr(schema, "quasi_identifiers", ()))
    declared = [name for names in roles for name in names if name in coded.columns and name != target]
    if declared:
        return [coded.columns.index(name) for name in dict.fromkeys(declared)]
    return [p for p, kind in enumerate(coded.kinds) if kind == "categorical" and coded.columns[p] != target]


def _warnings(frames: Mapping[str, pd.DataFrame], coded: Coded) -> list[str]:
    """What the reader must know before trusting a figure; no counts of private rows."""
    out = []
    if len(frames["holdout"]) < NORMAL_ROWS:
        out.append(
            f"The holdout has fewer than {NORMAL_ROWS} rows: reference values have intervals too wide "
            "to show anything but gross faults. Hold out more rows."
        )
    if min(len(frames[name]) for name in ("real", "synthetic", "holdout")) < SHOWN_ROWS:
        out.append(
            "A table has fewer than a thousand rows: gross damage may go by unnoticed. That a metric does "
            "not notice then shows nothing; `notices_from` says how bad its figure would have to be."
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


def _even(frames: Mapping[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """The holdout cut to as many rows as the synthetic table has, if it has more, with all of it beside."""
    held, fewer = frames["holdout"], len(frames["synthetic"])
    if len(held) <= fewer:
        return dict(frames)
    some = np.random.Generator(np.random.PCG64([seed, 3])).permutation(len(held))[:fewer]
    return {**frames, "holdout": held.iloc[np.sort(some)], _WHOLE: held}


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
    groups: Sequence[str] | None = None,
    detection: bool = False,
    no_resolution: str = NO_SIGMA,
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
        groups: columns whose values are the groups to look at, the 30 smallest; without it the three smallest values
            of each of the schema's sensitive and quasi-identifying columns, else of all columns of categories.
        detection: whether to train models that tell synthetic rows from real ones; some seconds.
        no_resolution: why there is no sigma, for the report.
        seed: of halves, permutation and bootstrap; the report is reproducible from it.
        progress: receives the steps `fidelity`, `triples`, `diversity`, `utility` and `ablation`.

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
    even = _even(frames, seed)
    plain = code_tables(even, declared=declared)
    if target is not None and target not in plain.columns:
        raise SchemaError(f"Target {target!r} is not a column.", f"Choose one of {list(plain.columns)}.")
    if time_column is not None and time_column not in plain.columns:
        raise SchemaError(f"Time column {time_column!r} is not a column.", f"Choose one of {list(plain.columns)}.")
    if len(plain.columns) < 2:
        raise SchemaError("Quality needs at least two columns.", "Evaluate a table with two columns or more.")
    anchors = Anchors.draw(
        real=len(real), synthetic=len(synthetic), holdout=len(even["holdout"]), columns=len(plain.columns), rng=rng
    )
    coded = anchors.coded(plain)
    drift = None
    if later is not None:
        coded = with_halves(coded, np.random.Generator(np.random.PCG64([seed, 1])))
        drift = LaterDistances(coded, time=time_column)
    limit = None if sigma is None else resolution_limit(sigma)
    place = None if target is None else plain.columns.index(target)
    measured = measure(
        coded,
        even,
        anchors,
        target=place,
        group_columns=_group_columns(plain, schema, groups, target),
        declared=groups is not None,
        limit=limit,
        also=() if drift is None else (drift.add,),
        progress=progress,
    )
    metrics = measured.metrics
    metrics += violation_metric(schema, synthetic, holdout)
    metrics += [] if drift is None else drift.metrics()
    utility: Utility | None = None
    mixed: Ablation | None = None
    ordered = {t: f.rename(columns=str)[list(plain.columns)] for t, f in frames.items()}
    kinds = dict(zip(plain.columns, plain.kinds, strict=True))
    if target is not None:
        utility, scores = train_synthetic_test_real(
            ordered,
            kinds=kinds,
            target=target,
            rng=rng,
            comparators=comparators,
            groups=measured.conditionals.members(_WHOLE if _WHOLE in even else "holdout"),
            progress=progress,
        )
        metrics += scores
        if ablation is not False:
            options = {} if ablation is True else dict(ablation)
            mixed = ablate(**ordered, target=target, kinds=kinds, seed=seed, progress=progress, **options)
    if people is not None:
        metrics += sequence_metrics(whole, people, rng=np.random.Generator(np.random.PCG64(seed)))
    group_rows, more = measured.conditionals.group_figures(limit, () if utility is None else utility.groups)
    metrics += more
    giveaways: list[Giveaway] = []
    if detection:
        told, giveaways = detection_metric(ordered, kinds, np.random.Generator(np.random.PCG64([seed, 2])))
        metrics.append(told)
    return QualityReport(
        schema=QualityReport.SCHEMA,
        rows=Rows(
            real=len(real),
            synthetic=len(synthetic),
            holdout=len(holdout),
            later=None if later is None else len(later),
        ),
        metrics=worst_first(metrics),
        pairs_total=len(plain.columns) * (len(plain.columns) - 1) // 2,
        resolution=None if sigma is None or limit is None else Resolution(sigma=sigma, rows=limit),
        no_resolution=None if sigma is not None else no_resolution,
        groups=tuple(group_rows),
        giveaways=tuple(giveaways),
        **measured.sections,
        utility=utility,
        ablation=mixed,
        warnings=(*_warnings(frames, plain), *notes),
        seed=seed,
    )
