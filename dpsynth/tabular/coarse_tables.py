"""Noisy tables of columns whose codes are merged further, ready for records to be fitted to.

Each row falls in one cell of each table: sensitivity k, in L2, for a unit of at most k rows under add/remove. A clique
may take several of the planned tables, which are then averaged.

Not guaranteed: anything inside a merged code; records share it out by what else is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import CountTable
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.columns.merging import CoarseCodec
from dpsynth.tabular.histograms import noisy_histograms
from dpsynth.tabular.records.residuals import Marginal
from dpsynth.tabular.selection import Clique


def measured_coarse(
    table: CountTable,
    codecs: Mapping[str, CoarseCodec],
    shapes: Mapping[str, int],
    slots: Mapping[Clique, int],
    planned: TableNoise,
    max_records: int,
    noise: NoiseSource,
) -> tuple[list[Marginal], Event]:
    """Noisy tables of merged codes, in rows, and the event of all of them.

    Args:
        table: the private rows.
        codecs: every column -> merged codes, in the order of the record table.
        shapes: column -> number of codes that are modelled.
        slots: columns in that order -> how many tables are averaged; they sum to the planned number.
        planned: number and sigma (rows).
        max_records: k; one unit changes each table by at most k (L2, add/remove one unit).
        noise: randomness of the mechanism.
    """
    order = {name: at for at, name in enumerate(codecs)}
    used = {name: codecs[name] for clique in slots for name in clique}
    maps = {name: codec.map(shapes[name]) for name, codec in used.items()}
    cliques = tuple(slots)
    noisy, event = noisy_histograms(
        table,
        used,
        cliques,
        name="measure merged codes",
        sigma=planned.sigma,
        max_records=max_records,
        noise=noise,
        times=tuple(slots.values()),
        asked=lambda at, exact: exact[tuple(slice(int(maps[name].max()) + 1) for name in cliques[at])],
    )
    marginals = [
        Marginal(
            columns=tuple(order[name] for name in clique),
            table=counts.astype(np.float64).mean(axis=0),
            sigma=float(planned.sigma) / math.sqrt(slots[clique]),
            maps=tuple(maps[name] for name in clique),
        )
        for clique, counts in zip(cliques, noisy, strict=True)
    ]
    return marginals, event
