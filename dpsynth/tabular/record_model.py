"""A fitted record table: what `gibbs` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa

from accounting.event import EventTree
from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import Domain
from dpsynth.tabular.binning import Binning
from dpsynth.tabular.decoding import decode
from dpsynth.tabular.record_table import Columns, RecordTable, Residuals
from dpsynth.tabular.tree import Pair, Vector

FINISHING = (0.3, 1.0, 3.0)
"""Strengths of the sweeps towards the expected tables, of unit variance. Without the rise, cells that should be empty
keep a record each: 5 % of the rows of two equal columns left the diagonal, 1 % do now."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        table: fitted records; a column whose missing rate is within the noise has no code for it.
        expected: posterior mean of every pair table, in rows, for a table of `rows` rows.
        measured: pairs whose tables were measured -> noise of their average, rows.
        events: what was spent.
        rows: released estimate of the number of rows, at least 0.
        total: the same before rounding.
    """

    generator: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    table: RecordTable
    expected: Mapping[Columns, Vector]
    measured: Mapping[Pair, float]
    events: EventTree
    rows: int
    total: float

    def sample(self, rows: int, rng: np.random.Generator) -> pa.Table:
        """`rows` synthetic rows.

        Fitted records are drawn equally often and then moved towards the expected tables of all pairs at once. That
        takes out the sampling noise of single records, as systematic sampling would for one tree of pairs.

        Raises:
            ParameterError: rows is negative.
        """
        if rows < 0:
            raise ParameterError(f"Expected rows={rows} >= 0.")
        drawn = RecordTable.resampled(self.table, rows, rng)
        if rows:
            scale = rows / self.total
            targets = {pair: (table * scale, 1.0) for pair, table in self.expected.items()}
            drawn.anneal(Residuals(drawn.sizes, targets), FINISHING, rng)
        return pa.table(
            {name: decode(self.binnings[name], drawn.records[:, at], rng) for at, name in enumerate(self.domains)}
        )

    def describe(self) -> dict[str, Any]:
        """Generator, columns with cells, codes and spikes, measured pairs, and the released row total."""
        return {
            "generator": self.generator,
            "rows": self.rows,
            "columns": {
                name: {
                    "outcomes": domain.size,
                    "cells": self.binnings[name].oneway.cells.size,
                    "codes": self.binnings[name].size,
                    "spikes": len(self.binnings[name].oneway.cells.spikes),
                }
                for name, domain in self.domains.items()
            },
            "pairs": [{"columns": list(pair), "sigma": round(sigma, 3)} for pair, sigma in self.measured.items()],
        }
