"""A fitted forest over binned columns: what `independent` and `mst` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pyarrow as pa

from accounting.event import EventTree
from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import Domain, coarser_outcomes
from dpsynth.tabular.binning import Binning
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.tree import Forest


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

    def sample(self, rows: int, rng: np.random.Generator) -> pa.Table:
        """`rows` synthetic rows, none of which breaks a declared constraint.

        Every pair of the forest is within one row of the model in each cell, where constraints change nothing.

        Raises:
            ParameterError: rows is negative.
        """
        if rows < 0:
            raise ParameterError(f"Expected rows={rows} >= 0.")
        codes = self.forest.sample(rows, rng)
        shapes = {name: binning.size + 1 for name, binning in self.binnings.items()}
        return self.enforced.over(self.binnings, shapes).decode(codes, rng)

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
