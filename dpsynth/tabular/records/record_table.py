"""Inference without a junction tree: a table of records, moved until its marginals fit noisy ones.

The state is a table X of n records. Its density is tempered Bayes under independent columns as prior:

    exp(- strength / 2 * sum_m || h_m(X) - y_m ||^2 / sigma_m^2) * prod_i prod_j p_j(x_ij)

with h_m the marginals of X, y_m the noisy ones (`residuals`). Gibbs moves (`kernels`) redraw one column of one record
from its exact conditional (by proposals, if it has very many codes), or two columns at once where they nearly determine
each other. A move reads one row of each table that holds the column: no treewidth, no clique limit, cost linear in the
measured tables. strength 1 is the posterior; real columns are far from independent, so a larger one fits better, and it
is raised geometrically (annealing).

Cells of a pair of columns can be forbidden (`Residuals`), and codes of single records frozen (`anneal`): the moves then
draw from the density above restricted to what is allowed, given what is frozen.

The last column of X is constant: where a table has fewer than three columns, it stands for those that are missing.

>>> from dpsynth.tabular.records.residuals import Marginal
>>> table = RecordTable((2, 2), [np.array([0.5, 0.5])] * 2, 1000, np.random.default_rng(0))
>>> target = Marginal(columns=(0, 1), table=np.array([[500.0, 0.0], [0.0, 500.0]]), sigma=5.0)
>>> table.anneal(Residuals(table.sizes, [target]), np.geomspace(0.1, 10, 10), np.random.default_rng(1))
>>> bool(table.tables([(0, 1)])[0, 1][0, 1] < 50)
True

Not guaranteed: a global optimum, or independence of the records of one table. Inputs are released numbers only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.records.proposals import JointProposal, Pool
from dpsynth.tabular.records.residuals import Columns, Layout, Maps, Residuals
from dpsynth.tabular.sampling import systematic

WIDE = 256
"""Codes from which a column moves by proposals: with fewer, its exact conditional costs less time than the proposals
that fit as well (six columns, near-functional and loose ones, two noise levels; 512 codes take 0.3 of the time)."""

CANDIDATES, CANDIDATES_OF_PAIR = 16, 10
"""Draws of a move by proposals, beside the current codes. With 8 a wide column fits worse in as many sweeps."""


@final
class RecordTable:
    """Records of integer codes, and the moves that fit them to tables.

    Args:
        sizes: codes of each column.
        shares: column -> probabilities that the first records are drawn from, by systematic sampling.
        records: how many.
        rng: random numbers for post-processing.
        base: column -> prior probabilities, all positive; the uniform prior if left out.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        shares: Sequence[Vector],
        records: int,
        rng: np.random.Generator,
        base: Sequence[Vector] | None = None,
    ) -> None:
        self.sizes = (*sizes, 1)
        self.records = np.zeros((records, len(self.sizes)), dtype=np.int16)
        root = np.zeros(records, dtype=np.int64)
        for column, share in enumerate(shares):
            self.records[:, column] = systematic(root, np.array([0, sizes[column]]), share, rng)
        self.set_base([np.ones(size) for size in sizes] if base is None else base)

    def set_base(self, base: Sequence[Vector]) -> None:
        """Change the prior: column -> prior probabilities, all positive, up to a factor."""
        self._costs = [-np.log(probabilities).astype(np.float32) for probabilities in base]
        self._pools = {column: Pool.of(prior) for column, prior in enumerate(base) if len(prior) >= WIDE}

    @classmethod
    def of_records(cls, sizes: Sequence[int], records: NDArray[np.int16]) -> RecordTable:
        """The table of given records, with a uniform prior.

        Args:
            sizes: codes of each column, the constant one left out.
            records: codes, the constant column (0) included, shape (records, columns + 1); kept, not copied.
        """
        made = cls(sizes, (), 0, np.random.default_rng(0))
        made.records = records
        return made

    @classmethod
    def resampled(cls, other: RecordTable, records: int, rng: np.random.Generator) -> RecordTable:
        """As many records as asked for: each of `other` equally often, give or take one; with a uniform prior."""
        made = cls(other.sizes[:-1], (), records, rng)
        whole, rest = divmod(records, len(other.records))
        index = np.concatenate([
            np.repeat(np.arange(len(other.records)), whole),
            rng.choice(len(other.records), rest, replace=False),
        ])  # fmt: skip
        made.records = other.records[rng.permutation(index)]
        return made

    def anneal(
        self,
        residuals: Residuals,
        strengths: Sequence[float] | NDArray[np.float64],
        rng: np.random.Generator,
        *,
        joint: Sequence[JointProposal] = (),
        each: Callable[[], None] | None = None,
        frozen: Mapping[int, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> None:
        """One sweep over all columns for each strength; joint moves in every second sweep.

        Args:
            residuals: the targets.
            strengths: factor of the tables' cost, sweep by sweep; positive.
            rng: random numbers for post-processing.
            joint: pairs of columns that also move together.
            each: called after each sweep.
            frozen: column -> records whose code in it must not move, shape (records,). The others then follow their
                density given the frozen codes.
        """
        residuals.refresh(self.records)
        for number, strength in enumerate(strengths):
            together = joint if number % 2 == 0 else ()
            self.sweep(residuals, float(strength), rng, joint=together, frozen=frozen)
            if each is not None:
                each()

    def sweep(
        self,
        residuals: Residuals,
        strength: float,
        rng: np.random.Generator,
        *,
        joint: Sequence[JointProposal] = (),
        frozen: Mapping[int, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> None:
        """Move every column of every record once, in random order, then these pairs; arguments as in `anneal`.

        `residuals` must be those of the records, and are so afterwards, up to the rounding of four-byte floats.
        """
        residuals.forbid(strength)
        everyone = rng.permutation(len(self.records))
        for column in rng.permutation(len(self._costs)):
            order = _movable(everyone, frozen, int(column))
            self._move_alone(residuals, int(column), strength, order, rng)
        for proposal in joint:
            order = _movable(everyone, frozen, *proposal.columns)
            self._move_together(residuals, proposal.columns, proposal.pool, strength, order, rng)

    def tables(self, wanted: Sequence[Columns]) -> dict[Columns, NDArray[np.int64]]:
        """Counts of the records by one to three columns each, one axis a column."""
        return dict(zip(wanted, self.coarse_tables([(columns, ()) for columns in wanted]), strict=True))

    def coarse_tables(self, wanted: Sequence[tuple[Columns, Maps]]) -> list[NDArray[np.int64]]:
        """Counts by columns and maps, in the order asked for; see `residuals.Maps`."""
        return Layout(self.sizes, wanted).count(self.records)

    def all_pairs(self) -> list[tuple[int, int]]:
        """Every pair of columns, 1-ways (pairs with the constant column) included."""
        return list(itertools.combinations(range(len(self.sizes)), 2))

    def _move_alone(
        self,
        residuals: Residuals,
        column: int,
        strength: float,
        order: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        from dpsynth.tabular.records.kernels import move_column, propose_column

        held, uniform = residuals.of(column), rng.random(len(order), dtype=np.float32)
        state = (self.records, column, held, residuals.maps, residuals.flat)
        if column not in self._pools:
            move_column(*state, self._costs[column], strength, order, uniform)
            return
        pool = self._pools[column]
        base = self._costs[column] + pool.log_density
        picks = pool.picks(len(order), CANDIDATES, rng)
        propose_column(*state, base, strength, order, uniform, pool.codes[0], picks)

    def _move_together(
        self,
        residuals: Residuals,
        columns: Columns,
        pool: Pool,
        strength: float,
        order: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        from dpsynth.tabular.records.kernels import move_pair

        first, second = columns
        move_pair(
            self.records,
            first,
            second,
            residuals.of(first),
            residuals.of(second),
            residuals.maps,
            residuals.flat,
            self._costs[first][:, None] + self._costs[second] + pool.log_density,
            strength,
            order,
            rng.random(len(order), dtype=np.float32),
            (pool.codes[0], pool.codes[1]),
            pool.picks(len(order), CANDIDATES_OF_PAIR, rng),
        )


def _movable(order: NDArray[np.int64], frozen: Mapping[int, NDArray[np.bool_]], *columns: int) -> NDArray[np.int64]:
    """The records of `order` that are frozen in none of the columns."""
    for column in columns:
        if column in frozen:
            order = order[~frozen[column][order]]
    return order
