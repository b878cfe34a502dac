"""A trained network with its released tables: what `autoregressive` returns.

Its law is the network's, times the factors of raking (`finishing.raking`). Rows are drawn `OVER` times too many, raked
onto the released tables, drawn by weight and moved towards the pool's pair tables (`finishing.moving`). Under a
condition they are drawn by weight alone: the evidence's probability is a weight like the factors,
so conditions hold exactly and their law is right as the pool grows; gaps are filled by the best of `CANDIDATES` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import EventTree
from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import Domain, coarser_outcomes
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.conditions import conditional
from dpsynth.tabular.conditions.conditional import Codes
from dpsynth.tabular.conditions.given import Given
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.constraints.enforcement import Enforcement
from dpsynth.tabular.finishing.moving import Mover
from dpsynth.tabular.finishing.raking import RakedTable, drawn_by_weight, log_factors, raked
from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.networks.density import log_density
from dpsynth.tabular.networks.drawing import draw_rows, fill_rows
from dpsynth.tabular.networks.protocol import NetworkState, Sampler, sampler

OVER = 4
"""Rows in the pool for each row that is kept."""
ROWS = 50_000
"""Rows of one block; a pool holds `OVER` times as many."""
FEWEST = 5_000
"""Rows of the smallest pool that a condition is met from, or that is raked."""
SWEEPS = 6
"""Turns of raking when rows are drawn; the factors come from a longer one."""
CANDIDATES = 16
ESTIMATED_FROM = 50_000


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        order: columns as the network has them.
        state: the trained network.
        tables: released tables that samples are raked onto; columns are numbers in `order`.
        events: what was spent.
        rows: released estimate of the number of rows, at least 0.
        enforced: declared constraints, and what was learned for them.
        public_prior: whether training began with public rows.
    """

    generator: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    order: tuple[str, ...]
    state: NetworkState
    tables: tuple[RakedTable, ...]
    events: EventTree
    rows: int
    enforced: Enforced = field(default_factory=Enforced)
    public_prior: bool = False

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """`rows` synthetic rows, none of which breaks a declared constraint.

        Args:
            rows: how many.
            rng: random numbers for post-processing.
            given: column -> value, values, range or None (missing) that all rows have; see `given`.
            balance: column whose values take equal shares.

        Raises:
            ParameterError: rows is negative, or the model knows no such column, value or rows.
        """
        return conditional.sample(self, rows, rng, given, balance)

    def batches(self, rows: int, rng: np.random.Generator, *, given: Given | None = None) -> Iterator[pa.Table]:
        """The rows that `sample` gives, block by block: a writer needs no more in memory than one of them."""
        return conditional.batches(self, rows, rng, given)

    def complete(self, table: pa.Table, rng: np.random.Generator) -> pa.Table:
        """The table with its gaps (null cells, absent columns) drawn given the known cells; see `conditional`."""
        return conditional.complete(self, table, rng)

    def draw_codes(self, rows: int, evidence: Mapping[str, Vector], rng: np.random.Generator) -> Iterator[Codes]:
        """See `conditional.CodeModel`."""
        numbered, sampler = self._numbered(evidence), self._sampler()
        mover = Mover(self.state.sizes, rng)
        for start in range(0, rows, ROWS):
            own = min(ROWS, rows - start)
            pool, weights = draw_rows(sampler, self.state.sizes, max(OVER * own, FEWEST), rng, numbered)
            if numbered:
                weights += log_factors(pool, self.tables)
                if not np.isfinite(weights).any():
                    raise conditional.nothing_meets(evidence)
                masses = np.exp(weights - weights.max())
                yield self._named(pool[drawn_by_weight(masses, own, rng)])
            else:
                masses, _ = raked(pool, self.tables, sweeps=SWEEPS)
                yield self._named(mover.moved(drawn_by_weight(masses, own, rng), pool, masses))

    def fill_codes(self, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> Codes:
        """See `conditional.CodeModel`."""
        stacked = np.stack([known[name] for name in self.order], axis=1)
        sizes, sampler = self.state.sizes, self._sampler()
        never = tuple(
            self.binnings[name].size if size > self.binnings[name].size else -1
            for name, size in zip(self.order, sizes, strict=True)
        )
        best, height = np.maximum(stacked, 0), np.full(len(stacked), -np.inf)
        for _ in range(CANDIDATES):
            codes, weights = fill_rows(sampler, sizes, stacked, never, rng)
            weights += log_factors(codes, self.tables) + rng.gumbel(size=len(codes))  # the best is a draw by weight
            better = (weights > height) | ~np.isfinite(height)
            best[better], height[better] = codes[better], weights[better]
        return self._named(np.where(stacked >= 0, stacked, best))

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """See `conditional.CodeModel`; by weighted rows of a fixed seed, so a rough number where it is small."""
        try:
            numbered = self._numbered(evidence)
        except ParameterError:
            return 0.0
        rng, sampler = np.random.default_rng(0), self._sampler()
        sums = []
        for asked in (numbered, {}):
            pool, weights = draw_rows(sampler, self.state.sizes, ESTIMATED_FROM, rng, asked)
            sums.append(float(np.exp(weights + log_factors(pool, self.tables)).mean()))
        return min(sums[0] / sums[1], 1.0)

    def log_density(self, rows: pa.Table) -> Vector:
        """Natural log of the probability of each row, float64, shape (rows,), finite; see `density`."""
        return log_density(self._sampler(), self.state.sizes, self.order, self.binnings, self.tables, rows)

    def all_codes(self, rows: int, rng: np.random.Generator) -> Codes:
        """Codes of free rows in one piece."""
        blocks = list(self.draw_codes(rows, {}, rng))
        return {name: np.concatenate([block[name] for block in blocks]) for name in self.domains}

    def obeying(self, enforced: Enforced) -> ColumnModel:
        """The same model under constraints."""
        return replace(self, enforced=enforced)

    def enforcement(self) -> Enforcement:
        """The rules that every row obeys."""
        shapes = {name: binning.size + 1 for name, binning in self.binnings.items()}
        return self.enforced.over(self.binnings, shapes)

    def describe(self) -> dict[str, Any]:
        """Generator, network, columns with cells and codes, measured pairs, and the released row total."""
        return {
            "generator": self.generator,
            "rows": self.rows,
            "network": {
                "kind": self.state.kind,
                "options": dict(self.state.options),
                "order": list(self.order),
            },
            "columns": {
                name: {
                    "outcomes": domain.size,
                    "cells": self.binnings[name].oneway.cells.size,
                    "codes": self.binnings[name].size,
                    "spikes": len(self.binnings[name].oneway.cells.spikes),
                    "coarser": list(coarser_outcomes(domain)),
                }
                for name, domain in self.domains.items()
            },
            "public_prior": self.public_prior,
            "pairs": [[self.order[at] for at in table.columns] for table in self.tables if len(table.columns) > 1],
            **self.enforced.describe(),
        }

    def _sampler(self) -> Sampler:
        return sampler(self.state)

    def _named(self, codes: NDArray[np.integer[Any]]) -> Codes:
        numbers = {name: at for at, name in enumerate(self.order)}
        return {name: codes[:, numbers[name]] for name in self.domains}

    def _numbered(self, evidence: Mapping[str, Vector]) -> dict[int, Vector]:
        """Evidence by number of column, for the codes that the network has."""
        found = {at: evidence[name][: self.state.sizes[at]] for at, name in enumerate(self.order) if name in evidence}
        lacking = [self.order[at] for at, shares in found.items() if not shares.any()]
        if lacking:
            raise conditional.nothing_meets(lacking)
        return found
