"""A fitted adversarial model: what `dpctgan` and `pategan` return."""

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
from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.gan.latent_rows import LIVING, LatentRows, log

ROWS = 4096
"""Rows of one block."""
OVER, FEWEST = 2, 2_000
"""Noise vectors a row in the pool of a block, and the fewest of a pool."""
UNDER_EVIDENCE = 16_384
"""The fewest where rows must meet a condition."""
FILLED_FROM, FILLED = 4096, 512
"""Noise vectors that rows with gaps choose from, and rows that choose at once."""
ESTIMATED_FROM = 20_000


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        law: the trained network, and its factors; columns in the domains' order.
        events: what was spent.
        rows: released estimate of the number of rows, at least 0.
        settings: public or released whole numbers of the training.
        enforced: declared constraints, and what was learned for them.
    """

    generator: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    law: LatentRows
    events: EventTree
    rows: int
    settings: Mapping[str, int] = field(default_factory=dict)
    enforced: Enforced = field(default_factory=Enforced)

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
        """See `conditional.CodeModel`; by weighing a pool of noise vectors (`LatentRows`)."""
        weights = self._weights(evidence)
        for start in range(0, rows, ROWS):
            own = min(ROWS, rows - start)
            pool = max(OVER * own, UNDER_EVIDENCE if evidence else FEWEST)
            codes = self.law.draw(own, weights, pool, rng)
            if codes is None:
                raise conditional.nothing_meets(evidence)
            yield self._named(codes)

    def fill_codes(self, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> Codes:
        """See `conditional.CodeModel`; each row chooses one of `FILLED_FROM` noise vectors by its known cells."""
        stacked = np.stack([known[name] for name in self.domains], axis=1)
        present = self._weights({name: np.append(np.ones(own.size), 0.0) for name, own in self.binnings.items()})
        laws, starts = self.law.laws(FILLED_FROM, rng), self.law.starts
        of_code = np.log(np.maximum(laws * self.law.factors, LIVING)).T
        of_gap = np.log(np.maximum(self.law.masses(laws, present), LIVING)).T
        filled = np.array(stacked)
        for start in range(0, len(stacked), FILLED):
            own = stacked[start : start + FILLED]
            gap = own < 0
            likely = gap.astype(np.float64) @ of_gap
            for column, size in enumerate(self.law.sizes):
                at = np.flatnonzero(~gap[:, column])
                likely[at] += of_code[starts[column] + np.minimum(own[at, column], size - 1)]
            chosen = np.argmax(likely + rng.gumbel(size=likely.shape), axis=1)
            drawn = self.law.codes(laws[chosen] * present.astype(np.float32), rng)
            filled[start : start + FILLED] = np.where(gap, drawn, own)
        return self._named(filled)

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """See `conditional.CodeModel`; over noise vectors of a fixed seed, so a rough number where it is small."""
        try:
            weights = self._weights(evidence)
        except ParameterError:
            return 0.0
        laws = self.law.laws(ESTIMATED_FROM, np.random.default_rng(0))
        free = log(self.law.masses(laws, self.law.factors)).sum(axis=1)
        asked = log(self.law.masses(laws, weights)).sum(axis=1)
        return float(min(np.exp(asked - free.max()).sum() / np.exp(free - free.max()).sum(), 1.0))

    def all_codes(self, rows: int, rng: np.random.Generator) -> Codes:
        """Codes of free rows in one piece."""
        blocks = list(self.draw_codes(rows, {}, rng))
        return {name: np.concatenate([block[name] for block in blocks]) for name in self.domains}

    def obeying(self, enforced: Enforced) -> LatentModel:
        """The same model under constraints."""
        return replace(self, enforced=enforced)

    def enforcement(self) -> Enforcement:
        """The rules that every row obeys."""
        shapes = {name: binning.size + 1 for name, binning in self.binnings.items()}
        return self.enforced.over(self.binnings, shapes)

    def describe(self) -> dict[str, Any]:
        """Generator, training, columns with cells and codes, and the released row total."""
        return {
            "generator": self.generator,
            "rows": self.rows,
            "training": dict(self.settings),
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
            **self.enforced.describe(),
        }

    def _named(self, codes: NDArray[np.int64]) -> Codes:
        return {name: codes[:, at] for at, name in enumerate(self.domains)}

    def _weights(self, evidence: Mapping[str, Vector]) -> Vector:
        """Evidence times factors, for the codes that the law has."""
        weights, lacking = self.law.factors.copy(), []
        for name, start, size in zip(self.domains, self.law.starts.tolist(), self.law.sizes, strict=True):
            if name in evidence:
                weights[start : start + size] *= evidence[name][:size]
                if not weights[start : start + size].any():
                    lacking.append(name)
        if lacking:
            raise conditional.nothing_meets(lacking)
        return weights
