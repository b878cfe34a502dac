"""Inference without a junction tree: a table of records, moved until its marginals fit noisy ones.

The state is a table X of n records. Its density is tempered Bayes under independent columns as prior:

    exp(- strength / 2 * sum_m || h_m(X) - y_m ||^2 / sigma_m^2) * prod_i prod_j p_j(x_ij)

with h_m the pair tables of X, y_m the noisy ones. Gibbs moves (`kernels`) redraw one column of one record from its
exact conditional, or two columns at once where they nearly determine each other. A move reads one row of each table
that holds the column: no treewidth, no clique limit, cost linear in the measured pairs. strength 1 is the posterior;
real columns are far from independent, so a larger one fits better, and it is raised geometrically (annealing).

Cells of a pair of columns can be forbidden (`Residuals`), and codes of single records frozen (`anneal`): the moves then
draw from the density above restricted to what is allowed, given what is frozen.

The last column of X is constant: a 1-way is the pair table of a column with it, so one kind of table is enough.

>>> table = RecordTable((2, 2), [np.array([0.5, 0.5])] * 2, 1000, np.random.default_rng(0))
>>> target = {(0, 1): (np.array([[500.0, 0.0], [0.0, 500.0]]), 5.0)}
>>> table.anneal(Residuals(table.sizes, target), np.geomspace(0.1, 10, 10), np.random.default_rng(1))
>>> bool(table.tables([(0, 1)])[0, 1][0, 1] < 50)
True

Not guaranteed: a global optimum, or independence of the records of one table. Inputs are released numbers only.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.sampling import systematic
from dpsynth.tabular.tree import Vector

Columns = tuple[int, int]
"""Two columns of a record table, the smaller number first."""

Held = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""The tables that hold a column: other columns, own starts, mirrors and weights, as in `kernels.move_column`."""

FORBIDDEN = 1e9
"""Cost of a forbidden cell, whatever the strength: far above any sum of residuals, and finite, so that records that
start in forbidden cells still prefer states with fewer of them."""

PROPOSALS = 10
EXPLORED = 0.03
"""Part of a joint proposal that is uniform, so that every cell stays reachable."""


def require_numba() -> None:
    """Refuse before anything is planned or spent where the compiler of the moves is absent.

    Raises:
        ParameterError: Numba is not installed.
    """
    if importlib.util.find_spec("numba") is None:
        raise ParameterError(
            "The generator 'gibbs' compiles its moves with Numba, which is not installed.",
            "Run `pip install 'dpsynth-release[gibbs]'`, or use the generator 'mst'.",
        )


@final
class Residuals:
    """Target tables, and in one flat array how far the records are from them.

    Args:
        sizes: codes of each column, the constant one last.
        targets: columns -> (table, sigma); table of shape (codes of the first, codes of the second), in records.
        penalties: columns -> cells that no record may be in, shape as above. They are tables of weight 0, whose
            residuals no move changes: allowed cells cost exactly nothing, forbidden ones `FORBIDDEN`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        targets: Mapping[Columns, tuple[NDArray[Any], float]],
        penalties: Mapping[Columns, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> None:
        self.sizes = np.array(sizes, dtype=np.int64)
        self.pairs = (*targets, *penalties)
        self._targets = [table for table, _ in targets.values()]
        self._targets += [np.zeros(cells.shape) for cells in penalties.values()]
        self._weights = np.zeros(len(self.pairs), dtype=np.float32)
        self._weights[: len(targets)] = [sigma**-2 for _, sigma in targets.values()]
        cells = np.array([table.size for table in self._targets], dtype=np.int64)
        self._cells, self._starts = cells, 2 * (np.cumsum(cells) - cells)
        self.flat = np.zeros(2 * int(cells.sum()), dtype=np.float32)
        self._of_column = self._by_column()
        self._forbidden = self._cells_of(penalties.values(), len(targets))

    def of(self, column: int) -> Held:
        """The tables that hold a column."""
        return self._of_column[column]

    def refresh(self, records: NDArray[np.int16]) -> None:
        """Residuals of these records, weighted, each table in both orientations."""
        counted = count_tables(records, self.sizes, self.pairs)
        for at, pair in enumerate(self.pairs):
            weighted = (counted[pair] - self._targets[at]) * self._weights[at]
            start, cells = self._starts[at], self._cells[at]
            self.flat[start : start + cells] = weighted.ravel()
            self.flat[start + cells : start + 2 * cells] = weighted.T.ravel()

    def forbid(self, strength: float) -> None:
        """Let each forbidden cell cost the same at this strength as at any other.

        Raises:
            ParameterError: strength is not positive.
        """
        if not strength > 0:
            raise ParameterError(f"Expected strength={strength} > 0: at 0 no cell could be forbidden.")
        self.flat[self._forbidden] = FORBIDDEN / strength

    def _cells_of(self, masks: Iterable[NDArray[np.bool_]], first: int) -> NDArray[np.int64]:
        """Where the marked cells of the tables from `first` on lie in `flat`, in both orientations."""
        found = [np.zeros(0, dtype=np.int64)]
        for at, mask in enumerate(masks, first):
            start, cells = self._starts[at], self._cells[at]
            found += [start + np.flatnonzero(mask), start + cells + np.flatnonzero(mask.T)]
        return np.concatenate(found)

    def _by_column(self) -> list[Held]:
        rows: list[list[tuple[int, int, int, int, int]]] = [[] for _ in self.sizes]
        for at, (left, right) in enumerate(self.pairs):
            straight = int(self._starts[at])
            turned = straight + int(self._cells[at])
            rows[left].append((right, turned, straight, int(self.sizes[right]), at))
            rows[right].append((left, straight, turned, int(self.sizes[left]), at))
        held = []
        for listed in rows:
            table = np.array(listed, dtype=np.int64).reshape(-1, 5)
            columns = (np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]))
            held.append((*columns, np.ascontiguousarray(table[:, 2:4]), self._weights[table[:, 4]]))
        return held


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointProposal:
    """A density over two columns' codes from which both are proposed at once.

    Attributes:
        columns: the two columns.
        density: probabilities, all positive, shape (codes of the first, codes of the second).
    """

    columns: Columns
    density: Vector

    @classmethod
    def of(cls, columns: Columns, table: Vector) -> JointProposal:
        """In proportion to a non-negative table, with a small uniform part."""
        return cls(columns=columns, density=(1 - EXPLORED) * table / table.sum() + EXPLORED / table.size)


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
        prior = [np.ones(size) for size in sizes] if base is None else base
        self._costs = [-np.log(probabilities).astype(np.float32) for probabilities in prior]

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
        from dpsynth.tabular.kernels import move_column

        residuals.refresh(self.records)
        for sweep, strength in enumerate(strengths):
            residuals.forbid(float(strength))
            everyone = rng.permutation(len(self.records))
            for column in rng.permutation(len(self._costs)):
                order = _movable(everyone, frozen, int(column))
                move_column(
                    self.records,
                    int(column),
                    *residuals.of(column),
                    residuals.flat,
                    self._costs[column],
                    float(strength),
                    order,
                    rng.random(len(order)),
                )
            for proposal in joint if sweep % 2 == 0 else ():
                order = _movable(everyone, frozen, *proposal.columns)
                self._move_together(residuals, proposal, float(strength), order, rng)
            if each is not None:
                each()

    def tables(self, pairs: Sequence[Columns]) -> dict[Columns, NDArray[np.int64]]:
        """Pair tables of the records, shape (codes of the first, codes of the second)."""
        return count_tables(self.records, np.array(self.sizes, dtype=np.int64), pairs)

    def all_pairs(self) -> list[Columns]:
        """Every pair of columns, 1-ways (pairs with the constant column) included."""
        return list(itertools.combinations(range(len(self.sizes)), 2))

    def _move_together(
        self,
        residuals: Residuals,
        proposal: JointProposal,
        strength: float,
        order: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        from dpsynth.tabular.kernels import move_pair

        first, second = proposal.columns
        upper = np.cumsum(proposal.density.ravel())
        points = rng.random((len(order), PROPOSALS)) * upper[-1]
        move_pair(
            self.records,
            first,
            second,
            residuals.of(first),
            residuals.of(second),
            residuals.flat,
            self._costs[first],
            self._costs[second],
            np.log(proposal.density).astype(np.float32),
            strength,
            order,
            rng.random(len(order)),
            np.minimum(np.searchsorted(upper, points, side="right"), len(upper) - 1),
        )


def _movable(order: NDArray[np.int64], frozen: Mapping[int, NDArray[np.bool_]], *columns: int) -> NDArray[np.int64]:
    """The records of `order` that are frozen in none of the columns."""
    for column in columns:
        if column in frozen:
            order = order[~frozen[column][order]]
    return order


def count_tables(
    records: NDArray[np.int16], sizes: NDArray[np.int64], pairs: Sequence[Columns]
) -> dict[Columns, NDArray[np.int64]]:
    """Pair tables of records, shape (codes of the first, codes of the second)."""
    from dpsynth.tabular.kernels import count_pairs

    left, right = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    cells = sizes[left] * sizes[right]
    starts = np.cumsum(cells) - cells
    out = np.zeros(int(cells.sum()), dtype=np.int64)
    count_pairs(records, left, right, sizes, starts, out)
    return {
        pair: out[start : start + count].reshape(sizes[pair[0]], sizes[pair[1]])
        for pair, start, count in zip(pairs, starts, cells, strict=True)
    }
