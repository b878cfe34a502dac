"""Three columns together: what no table of pairs shows, and where cells are rarest.

Many tables have too many triples; then those with the target come first, in the order of the columns, and others
follow in an order that a fixed seed draws from the *number* of columns. Which triples are looked at so depends on
public facts alone.

>>> chosen_triples(4, target=1)
[(0, 1, 2), (0, 1, 3), (1, 2, 3), (0, 2, 3)]
>>> len(chosen_triples(15, target=14)), len(chosen_triples(15, target=14, most=91))
(200, 91)

Not guaranteed: that a dependence of three columns that none of the chosen triples holds is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from dpsynth.quality.anchors import COMPARISONS, Positions, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.marginals import joint_of, total_variation
from dpsynth.quality.report import Band, Metric
from dpsynth.quality.sections import TripleQuality
from dpsynth.quality.tails import tail_figures, tallies

MOST: Final = 200
SHOWN: Final = 50


def chosen_triples(columns: int, *, target: int | None, most: int = MOST) -> list[tuple[int, int, int]]:
    """Positions of the columns of each triple, the target's first, at most so many."""
    every = list(combinations(range(columns), 3))
    first = [triple for triple in every if target in triple]
    rest = [triple for triple in every if target not in triple]
    if len(every) > most:
        order = np.random.default_rng(columns).permutation(len(rest))
        rest = [rest[at] for at in order[: max(most - len(first), 0)]]
    return [*first, *rest][:most]


def triple_figures(
    coded: Coded, redraws: Sequence[Positions], *, target: int | None, limit: float, limited: bool
) -> tuple[list[TripleQuality], list[Band], list[Metric]]:
    """The triples that are furthest beyond real, the bands of their cells, and the metrics.

    Args:
        coded: tables with their anchors.
        redraws: see `joint_of`.
        target: position of the target.
        limit: rows below which a cell is unresolved.
        limited: whether there is such a limit.
    """
    chosen = chosen_triples(len(coded.columns), target=target)
    apart: dict[str, list[float]] = {key: [] for key in COMPARISONS}
    tallied = tallies(limit)
    for triple in chosen:
        joint = joint_of(coded, triple, redraws)
        for key, (left, right) in COMPARISONS.items():
            apart[key].append(total_variation(joint.counts[left], joint.counts[right]))
            tallied[key].add(joint)
    if not chosen:
        none = dict.fromkeys(COMPARISONS)
        return [], [], [metric_of(name, "fidelity", none) for name in ("tvd3_mean", "tvd3_max")]
    bands, metrics = tail_figures(tallied, ways=3, limited=limited)
    rows = [
        TripleQuality(
            columns=(coded.columns[a], coded.columns[b], coded.columns[c]),
            tvd=apart["value"][at],
            reference=apart["reference"][at],
            floor=apart["floor"][at],
            shuffle=apart["shuffle"][at],
        )
        for at, (a, b, c) in enumerate(chosen)
    ]
    for name, summary in (("tvd3_mean", np.mean), ("tvd3_max", np.max)):
        metrics.append(metric_of(name, "fidelity", {key: float(summary(values)) for key, values in apart.items()}))
    return sorted(rows, key=lambda row: row.reference - row.tvd)[:SHOWN], bands, metrics
