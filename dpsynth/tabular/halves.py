"""Tables of the target and every other column cut in two, for budgets with large noise: what no score can show there.

Where noise is large, one score per pair says nothing about a rare target: on CoIL at epsilon 1 its sigma is 1,480 rows,
and the best predictor moves 320. A table of two halves by the target's codes needs no selection and has few cells. So
one such table for each column is planned before the rounds. A single one is mostly noise too, but dozens of weak
predictors that depend on each other add up.

Where a column is cut is post-processing of its released counts, and so is how many of the planned tables each column
takes: nearly constant columns, of which a half is empty, take none, and columns of equal halves several, averaged.

>>> balanced_slots({"constant": 0.01, "uneven": 0.2, "equal": 0.5}, 3)
{'uneven': 1, 'equal': 2}

Not guaranteed: predictors that need a finer cut, or two columns at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import CountTable
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.coarse_tables import measured_coarse
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.merging import CoarseCodec
from dpsynth.tabular.records.residuals import Marginal


def measured_halves(
    table: CountTable,
    binnings: Mapping[str, Binning],
    shapes: Mapping[str, int],
    target: str,
    planned: TableNoise,
    max_records: int,
    noise: NoiseSource,
) -> tuple[list[Marginal], Event]:
    """Noisy tables of columns cut in two by the target, in rows, and the event of all of them.

    Args:
        table: the private rows.
        binnings: column -> codes, in the order of the record table.
        shapes: column -> number of codes that are modelled.
        target: the target, with its own codes merged as for triples.
        planned: number and sigma (rows).
        max_records: k; one unit changes each table by at most k (L2, add/remove one unit).
        noise: randomness of the mechanism.
    """
    cut = {name: CoarseCodec.halved(binning) for name, binning in binnings.items() if name != target}
    slots = balanced_slots({name: balance(codec) for name, codec in cut.items()}, planned.count)
    codecs = {name: CoarseCodec.of(binnings[name]) if name == target else cut[name] for name in binnings}
    order = {name: at for at, name in enumerate(binnings)}
    cliques = {tuple(sorted((name, target), key=order.__getitem__)): taken for name, taken in slots.items()}
    return measured_coarse(table, codecs, shapes, cliques, planned, max_records, noise)


def balance(codec: CoarseCodec) -> float:
    """How equal the halves of a column are by its released counts: 0.5 if they are, 0 for one half alone."""
    mass = np.bincount(codec.merged, weights=np.maximum(codec.fine.counts[:-1], 0.0))
    shares = mass / max(float(mass.sum()), 1.0)
    return float(shares.sum() ** 2 - (shares**2).sum())


def balanced_slots(balances: Mapping[str, float], slots: int) -> dict[str, int]:
    """Slots in proportion to `balances` (Webster's rule), columns without any left out; they sum to `slots`.

    Args:
        balances: column -> at least 0, at least one column.
        slots: how many.
    """
    taken = dict.fromkeys(balances, 0)
    for _ in range(slots):
        taken[max(balances, key=lambda name: balances[name] / (2 * taken[name] + 1))] += 1
    return {name: count for name, count in taken.items() if count}
