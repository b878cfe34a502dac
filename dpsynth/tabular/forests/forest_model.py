"""A fitted forest over binned columns: what `independent` and `mst` return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import EventTree
from dpsynth.schema.domain import Domain, coarser_outcomes
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.conditions import conditional
from dpsynth.tabular.conditions.conditional import Codes
from dpsynth.tabular.conditions.conditional_forest import condition_forest, fill_forest
from dpsynth.tabular.conditions.given import Given
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.constraints.enforcement import Enforcement
from dpsynth.tabular.forests.tree import Forest, Vector

BLOCK = 1_000_000
"""Rows that are drawn together."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        forest: joint model of the codes.
        events: what was spent.
        rows: released estimate of the number of rows, at least 0.
        enforced: declared constraints, and what was learned for them.
    """

    generator: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    forest: Forest
    events: EventTree
    rows: int
    enforced: Enforced = field(default_factory=Enforced)

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """`rows` synthetic rows, none of which breaks a declared constraint.

        Every pair of the forest is within one row of the model in each cell, for each million rows begun, where
        constraints change nothing.

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
        """See `conditional.CodeModel`; exact."""
        forest, probability = condition_forest(self.forest, evidence) if evidence else (self.forest, 1.0)
        if probability <= 0:
            raise conditional.nothing_meets(evidence)
        for start in range(0, rows, BLOCK):
            yield forest.sample(min(BLOCK, rows - start), rng)

    def fill_codes(self, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> Codes:
        """See `conditional.CodeModel`; exact."""
        return fill_forest(self.forest, known, rng)

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """See `conditional.CodeModel`; exact."""
        return condition_forest(self.forest, evidence)[1]

    def enforcement(self) -> Enforcement:
        """The rules that every row obeys."""
        shapes = {name: binning.size + 1 for name, binning in self.binnings.items()}
        return self.enforced.over(self.binnings, shapes)

    def describe(self) -> dict[str, Any]:
        """Generator, columns with cells, codes, spikes and parent, and the released row total."""
        parents = dict(self.forest.order)
        return {
            "generator": self.generator,
            "rows": self.rows,
            "columns": {
                name: {
                    "outcomes": domain.size,
                    "cells": self.binnings[name].oneway.cells.size,
                    "codes": self.binnings[name].size,
                    "spikes": len(self.binnings[name].oneway.cells.spikes),
                    "coarser": list(coarser_outcomes(domain)),
                    "parent": parents[name],
                }
                for name, domain in self.domains.items()
            },
            **self.enforced.describe(),
        }
