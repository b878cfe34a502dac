"""Tables of the target and two other columns, for budgets with little noise: what pairs cannot say about the target.

Which triples are measured is post-processing of the released distances of pairs: those of the two columns that say most
about the target by themselves, by the product of their distances from independence. How many, and how noisy, the plan
fixed.

>>> chosen_triples({("a", "t"): 5.0, ("b", "t"): 1.0, ("c", "t"): 9.0, ("a", "b"): 50.0}, "abct", "t", 1)
(('a', 'c', 't'),)

Not guaranteed: the best triples; an interaction of columns that say nothing by themselves is found only where the slots
reach all pairs of columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.data.table import CountTable
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.coarse_tables import measured_coarse
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.merging import CoarseCodec
from dpsynth.tabular.forests.tree import Pair
from dpsynth.tabular.records.residuals import Marginal

Triple = tuple[str, str, str]


def chosen_triples(
    distances: Mapping[Pair, float], names: Sequence[str], target: str, count: int
) -> tuple[Triple, ...]:
    """As many triples as planned, with the target, columns in the order of the table; post-processing.

    Args:
        distances: pair -> released distance from independence, rows.
        names: all columns in order.
        target: the target.
        count: how many.
    """
    gains = {next(name for name in pair if name != target): far for pair, far in distances.items() if target in pair}
    order = {name: at for at, name in enumerate(names)}
    couples = sorted(itertools.combinations(gains, 2), key=lambda couple: -gains[couple[0]] * gains[couple[1]])
    triples = (sorted((target, *couple), key=order.__getitem__) for couple in couples[:count])
    return tuple((first, second, third) for first, second, third in triples)


def measured_triples(
    table: CountTable,
    binnings: Mapping[str, Binning],
    shapes: Mapping[str, int],
    triples: Sequence[Triple],
    planned: TableNoise,
    max_records: int,
    noise: NoiseSource,
) -> tuple[list[Marginal], Event]:
    """Noisy tables of these triples, in rows, and the event of all of them.

    Args:
        table: the private rows.
        binnings: column -> codes, in the order of the record table.
        shapes: column -> number of codes that are modelled.
        triples: which, as many as planned.
        planned: number and sigma (rows).
        max_records: k; one unit changes each table by at most k (L2, add/remove one unit).
        noise: randomness of the mechanism.
    """
    codecs = {name: CoarseCodec.of(binning) for name, binning in binnings.items()}
    return measured_coarse(table, codecs, shapes, dict.fromkeys(triples, 1), planned, max_records, noise)
