"""Everything that is read from coded tables and their numbers: distances, associations, tails, groups, diversity.

One pass over the pairs of columns serves distances, tails, conditionals and associations; another over triples.

Not guaranteed: what a learner makes of the table (`utility`), or whether one can tell it from real (`detection`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.progress import Progress
from dpsynth.quality.anchors import Anchors
from dpsynth.quality.association import Associations
from dpsynth.quality.coding import Coded, as_float
from dpsynth.quality.conditionals import EACH, MOST, Conditionals, smallest_groups
from dpsynth.quality.diversity import diversity_metrics
from dpsynth.quality.fidelity import column_figures, histograms, pair_figures
from dpsynth.quality.marginals import Joint
from dpsynth.quality.missingness import pattern_metric
from dpsynth.quality.quantiles import quantile_figures
from dpsynth.quality.report import Metric
from dpsynth.quality.tails import tail_figures, tallies
from dpsynth.quality.triples import triple_figures

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Measured:
    """Metrics, sections by the names that the report gives them, and the conditionals, which know the groups."""

    metrics: list[Metric]
    sections: dict[str, Any]
    conditionals: Conditionals


def measure(
    coded: Coded,
    frames: Mapping[str, pd.DataFrame],
    anchors: Anchors,
    *,
    target: int | None,
    group_columns: Sequence[int],
    declared: bool,
    limit: float | None,
    also: Sequence[Callable[[Joint], None]],
    progress: Progress,
) -> Measured:
    """All figures of the tables.

    Args:
        coded: tables with their anchors.
        frames: the tables themselves, for numbers.
        anchors: which rows make the anchors.
        target: position of the target.
        group_columns: positions of the columns whose smallest values are looked at.
        declared: whether somebody named them: then all their values are looked at, up to 30.
        limit: resolution limit in rows.
        also: what else wants to see each pair's joint histogram.
        progress: receives the steps `fidelity`, `triples` and `diversity`.
    """
    rows, limited = 0.0 if limit is None else limit, limit is not None
    counts = histograms(coded, anchors.redraws)
    columns, metrics = column_figures(coded, counts)
    alone, together = tallies(rows), tallies(rows)
    for tally in alone.values():
        for ours, theirs in zip(counts[tally.real], counts[tally.other], strict=True):
            tally.add_counts(ours, theirs)
    associations = Associations(coded)
    chosen = smallest_groups(counts, group_columns, MOST if declared else EACH)
    conditionals = Conditionals(coded, counts, chosen, target)
    looks = [*(tally.add for tally in together.values()), conditionals.look, associations.look, *also]
    pairs, more = pair_figures(coded, anchors.redraws, looks, progress)
    metrics += more
    progress("triples", 0, 1)
    triples, tails3, more = triple_figures(coded, anchors.redraws, target=target, limit=rows, limited=limited)
    metrics += more
    progress("triples", 1, 1)
    numbers = _numbers(coded, frames, anchors)
    for table, values in numbers.items():
        associations.add_numbers(table, values, _codes(coded, anchors, table))
    progress("diversity", 0, 1)
    metrics += [pattern_metric(coded, anchors.redraws), *diversity_metrics(coded, numbers, anchors)]
    progress("diversity", 1, 1)
    tails1, more = tail_figures(alone, ways=1, limited=limited)
    metrics += more
    tails, more = tail_figures(together, ways=2, limited=limited)
    metrics += more
    given, more = conditionals.figures()
    metrics += more
    associated, more = associations.figures()
    metrics += more
    names = [name for name, kind in zip(coded.columns, coded.kinds, strict=True) if kind != "categorical"]
    extremes, more = quantile_figures(names, numbers)
    metrics += more
    sections: dict[str, Sequence[Any]] = {
        "columns": columns, "pairs": pairs, "tails": tails, "tails1": tails1, "tails3": tails3, "triples": triples,
        "conditionals": given, "associations": associated, "quantiles": extremes,
    }  # fmt: skip
    return Measured(
        metrics=metrics, sections={name: tuple(rows) for name, rows in sections.items()}, conditionals=conditionals
    )


def _numbers(coded: Coded, frames: Mapping[str, pd.DataFrame], anchors: Anchors) -> dict[str, Floats]:
    """Numbers and dates of every table, anchor and redraw, NaN for missing, shape (columns of numbers, rows)."""
    places = [place for place, kind in enumerate(coded.kinds) if kind != "categorical"]
    out: dict[str, Floats] = {}
    for table in ("real", "synthetic", "holdout"):
        frame = frames[table].rename(columns=str)
        parts = [as_float(frame[coded.columns[p]], coded.kinds[p], table=table) for p in places]
        out[table] = np.stack(parts) if parts else np.empty((0, len(frame)))
    for name, (source, at) in anchors.rows.items():
        out[name] = out[source][:, at]
    out["shuffled"] = np.take_along_axis(out["real"], anchors.shuffled[places], axis=1)
    pool = np.concatenate([out["real"], out["holdout"]], axis=1)
    for number in range(len(anchors.redraws)):
        kept, held = anchors.redrawn(number)
        out[f"real~{number}"], out[f"holdout~{number}"] = pool[:, kept], pool[:, held]
    return out


def _codes(coded: Coded, anchors: Anchors, table: str) -> NDArray[np.int64]:
    """Codes of a table, anchor or redraw, shape (columns, rows)."""
    name, _, number = table.partition("~")
    if not number:
        return coded.tables[name]
    pool = np.concatenate([coded.tables["real"], coded.tables["holdout"]], axis=1)
    return pool[:, anchors.redrawn(int(number))[name == "holdout"]]
