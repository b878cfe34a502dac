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
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.columns.merging import CoarseCodec
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
    exact = {
        clique: counts[tuple(slice(int(maps[name].max()) + 1) for name in clique)]
        for clique, counts in zip(slots, table.counts(used, tuple(slots)), strict=True)
    }
    stacked = np.concatenate([np.tile(exact[clique].ravel(), taken) for clique, taken in slots.items()])
    noisy, event = discrete_gaussian(
        stacked, sigma=planned.sigma, noise=noise, l2_sensitivity=max_records, count=planned.count
    )
    ends = np.cumsum([exact[clique].size * taken for clique, taken in slots.items()])
    marginals = [
        Marginal(
            columns=tuple(order[name] for name in clique),
            table=part.reshape(slots[clique], *exact[clique].shape).mean(axis=0),
            sigma=float(planned.sigma) / math.sqrt(slots[clique]),
            maps=tuple(maps[name] for name in clique),
        )
        for clique, part in zip(slots, np.split(noisy.astype(np.float64), ends[:-1]), strict=True)
    ]
    return marginals, event
