"""A fitted record table: what `gibbs` returns."""

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
from dpsynth.tabular.columns.merging import CoarseCodec
from dpsynth.tabular.conditions import conditional
from dpsynth.tabular.conditions.conditional import Codes
from dpsynth.tabular.conditions.conditional_records import conditional_blocks, fill_records, matching
from dpsynth.tabular.conditions.given import Given
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.constraints.enforcement import Enforcement
from dpsynth.tabular.forests.tree import Pair, Vector
from dpsynth.tabular.records.chains import Sweep
from dpsynth.tabular.records.finishing import finished_blocks
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Maps


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
        public_prior: whether the fit began with public rows.
        admitted: steps that ran under the filter among `events`, in time order; the filter's bound is their price.
        triples: columns whose tables of three were measured, with merged codes (`merging`), and are kept in samples.
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
    public_prior: bool = False
    triples: tuple[Columns, ...] = ()
    admitted: EventTree | None = None

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """`rows` synthetic rows, none of which breaks a declared constraint.

        Block by block (`finishing`), so that memory beyond the result does not grow with the rows.

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
        model = (self.table, self.expected, self.total, rows)
        if evidence:
            numbered = self._numbered(evidence)
            blocks = conditional_blocks(*model, numbered, rng, penalties=self.penalties, triples=self._merged())
        else:
            blocks = finished_blocks(*model, rng, penalties=self.penalties, triples=self._merged())
        return map(self._named, blocks)

    def fill_codes(self, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> Codes:
        """See `conditional.CodeModel`."""
        present = {name: np.ones(binning.size + 1) for name, binning in self.binnings.items()}
        for shares in present.values():
            shares[-1] = 0.0  # a gap is filled
        stacked = np.stack([known[name] for name in self.domains], axis=1)
        evidence = self._numbered(present)
        return self._named(
            fill_records(self.table, self.expected, self.total, stacked, evidence, rng, penalties=self.penalties)
        )

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """See `conditional.CodeModel`; by the fitted records, so 0 below one in as many."""
        return float(matching(self.table, self._numbered(evidence)).mean())

    def enforcement(self) -> Enforcement:
        """The rules that every row obeys."""
        return self.enforced.over(self.binnings, dict(zip(self.domains, self.table.sizes, strict=False)))

    def _merged(self) -> list[tuple[Columns, Maps]]:
        """Columns and maps of the triples."""
        binnings, sizes = tuple(self.binnings.values()), self.table.sizes
        maps = {at: CoarseCodec.of(binnings[at]).map(sizes[at]) for at in {at for of in self.triples for at in of}}
        return [(of, tuple(maps[at] for at in of)) for of in self.triples]

    def _named(self, records: NDArray[np.int16]) -> Codes:
        return {name: records[:, at] for at, name in enumerate(self.domains)}

    def _numbered(self, evidence: Mapping[str, Vector]) -> dict[int, Vector]:
        """Evidence by number of column, for the codes that the records have."""
        numbers = {name: at for at, name in enumerate(self.domains)}
        found = {numbers[name]: shares[: self.table.sizes[numbers[name]]] for name, shares in evidence.items()}
        lacking = [name for name in evidence if not found[numbers[name]].any()]
        if lacking:
            raise conditional.nothing_meets(lacking)
        return found

    def describe(self) -> dict[str, Any]:
        """Generator, columns with cells, codes and spikes, measured pairs, convergence, and the released row total."""
        names = tuple(self.domains)
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
            "triples": [[names[at] for at in triple] for triple in self.triples],
            "public_prior": self.public_prior,
            "admitted_steps": 0 if self.admitted is None else len(self.admitted.events),
            **self.enforced.describe(),
            "fit": [
                {
                    "loss": [round(sweep.loss, 3) for sweep in sweeps],
                    "chains_apart": [round(sweep.apart, 5) for sweep in sweeps],
                }
                for sweeps in self.history
            ],
        }
