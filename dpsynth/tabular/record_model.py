"""A fitted record table: what `gibbs` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import EventTree
from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import Domain, coarser_outcomes
from dpsynth.tabular.binning import Binning
from dpsynth.tabular.chains import Sweep
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.finishing import finished_blocks
from dpsynth.tabular.pair_tables import PairTables
from dpsynth.tabular.record_table import RecordTable
from dpsynth.tabular.residuals import Columns
from dpsynth.tabular.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        table: fitted records; a column whose missing rate is within the noise has no code for it.
        expected: posterior mean of every pair table, in rows, for a table of `total` rows.
        measured: pairs whose tables were measured -> noise of their average, rows.
        events: what was spent.
        rows: released estimate of the number of rows, at least 0.
        total: the same before rounding.
        penalties: columns -> cells that no record may be in.
        enforced: declared constraints, and what was learned for them.
        history: how well the chains fitted after each sweep, run by run.
    """

    generator: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    table: RecordTable
    expected: PairTables
    measured: Mapping[Pair, float]
    events: EventTree
    rows: int
    total: float
    penalties: Mapping[Columns, NDArray[np.bool_]] = field(default_factory=dict)
    enforced: Enforced = field(default_factory=Enforced)
    history: tuple[tuple[Sweep, ...], ...] = ()

    def sample(self, rows: int, rng: np.random.Generator) -> pa.Table:
        """`rows` synthetic rows, none of which breaks a declared constraint.

        Block by block (`finishing`), so that memory beyond the result does not grow with the rows.

        Raises:
            ParameterError: rows is negative.
        """
        if rows < 0:
            raise ParameterError(f"Expected rows={rows} >= 0.")
        blocks = finished_blocks(self.table, self.expected, self.total, rows, rng, penalties=self.penalties)
        shapes = dict(zip(self.domains, self.table.sizes, strict=False))
        enforcement = self.enforced.over(self.binnings, shapes)
        return pa.concat_tables([
            enforcement.decode({name: codes[:, at] for at, name in enumerate(self.domains)}, rng) for codes in blocks
        ])  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Generator, columns with cells, codes and spikes, measured pairs, convergence, and the released row total."""
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
                }
                for name, domain in self.domains.items()
            },
            "pairs": [{"columns": list(pair), "sigma": round(sigma, 3)} for pair, sigma in self.measured.items()],
            **self.enforced.describe(),
            "fit": [
                {
                    "loss": [round(sweep.loss, 3) for sweep in sweeps],
                    "chains_apart": [round(sweep.apart, 5) for sweep in sweeps],
                }
                for sweeps in self.history
            ],
        }
