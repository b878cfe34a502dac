"""Several record tables, fitted to the same targets at the same time.

Chains start from different records and have random numbers of their own. Their mean is a better posterior mean than
that of one, they use as many cores as there are chains, and they watch each other: what one chain has found and another
has not shows as a distance between their tables. Chains wait for each other after every sweep, so nothing depends on
which is faster.

Two figures are kept for each sweep, both from released numbers alone:

- loss: mean over all cells of the measured tables of (count - target)^2 / sigma^2. About 1 is a fit as good as the
  noise allows; far above, the records do not fit what was measured.
- apart: mean total variation distance between the measured tables of two chains, over all tables and pairs of chains.

Not guaranteed: that chains which agree are right. They may all be held up by the same obstacle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.records.lanes import usable_cores
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Marginal, Residuals


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How well the chains fitted after a sweep.

    Attributes:
        strength: of the tables' cost in it.
        loss, apart: see above; `apart` is 0 for a single chain.
    """

    strength: float
    loss: float
    apart: float


@final
class Chains:
    """Record tables with the same columns and as many records each.

    Args:
        tables: one a chain.
        rng: a generator is spawned from it for each chain.
    """

    def __init__(self, tables: Sequence[RecordTable], rng: np.random.Generator) -> None:
        self.tables = tuple(tables)
        self._randoms = rng.spawn(len(self.tables))

    @property
    def records(self) -> int:
        """Records of one chain."""
        return len(self.tables[0].records)

    def set_base(self, base: Sequence[NDArray[np.float64]]) -> None:
        """Change the prior of all tables: column -> prior probabilities, all positive."""
        for table in self.tables:
            table.set_base(base)

    def anneal(
        self,
        targets: Sequence[Marginal],
        noise: Sequence[float],
        penalties: Mapping[Columns, NDArray[np.bool_]],
        strengths: NDArray[np.float64],
        *,
        averaged: int,
        joint: Sequence[JointProposal] = (),
        each: Callable[[Sweep], None],
    ) -> PairTables:
        """One sweep over all columns of all chains for each strength, joint moves in every second.

        Args:
            targets: what was measured, in records of one chain.
            noise: standard deviation of the noise in each target, by which the loss is counted, in records; a target's
                own sigma says how firmly the moves hold to it.
            penalties: columns -> cells that no record may be in, as in `Residuals`.
            strengths: factor of the tables' cost, sweep by sweep.
            averaged: over how many of the last sweeps the tables are averaged, at least 1.
            joint: pairs of columns that also move together.
            each: called after each sweep.

        Returns:
            Mean of the tables of all pairs over the last sweeps and all chains, in records.
        """
        sums = [PairTables(table.sizes) for table in self.tables]
        residuals = [Residuals(table.sizes, targets, penalties) for table in self.tables]
        for held, table in zip(residuals, self.tables, strict=True):
            held.refresh(table.records)

        def sweep(chain: int, number: int) -> list[NDArray[np.int64]]:
            table, used = self.tables[chain], joint if number % 2 == 0 else ()
            table.sweep(residuals[chain], float(strengths[number]), self._randoms[chain], joint=used)
            if number >= len(strengths) - averaged:
                sums[chain].add(table.records)
            return residuals[chain].refresh(table.records)[: len(targets)]

        with ThreadPoolExecutor(max_workers=min(len(self.tables), usable_cores())) as pool:
            for number, strength in enumerate(strengths.tolist()):
                counted = list(pool.map(sweep, range(len(self.tables)), itertools.repeat(number)))
                each(Sweep(strength=strength, loss=_loss(counted, targets, noise), apart=_apart(counted, self.records)))
        for more in sums[1:]:
            sums[0].flat += more.flat
        return sums[0].scaled(1 / (averaged * len(self.tables)))

    def merged(self) -> RecordTable:
        """The records of all chains in one table, without a prior."""
        table = RecordTable(self.tables[0].sizes[:-1], (), 0, self._randoms[0])
        table.records = np.concatenate([chain.records for chain in self.tables])
        return table


def _loss(counted: Sequence[Sequence[NDArray[np.int64]]], targets: Sequence[Marginal], noise: Sequence[float]) -> float:
    squares = sum(
        float(((counts - target.table) ** 2).sum()) / sigma**2
        for chain in counted
        for counts, target, sigma in zip(chain, targets, noise, strict=True)
    )
    return squares / (len(counted) * sum(target.table.size for target in targets))


def _apart(counted: Sequence[Sequence[NDArray[np.int64]]], records: int) -> float:
    pairs = list(itertools.combinations(counted, 2))
    differences = [np.abs(a - b).sum() for one, other in pairs for a, b in zip(one, other, strict=True)]
    return 0.5 * float(np.mean(differences)) / records if differences else 0.0
