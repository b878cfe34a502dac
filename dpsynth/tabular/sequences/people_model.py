"""A trained network of people with their released numbers of rows: what `autoregressive` returns under an order.

Rows come person by person, each person's in order. A person is named `synthetic-1`, `synthetic-2`, … in the unit's
column, which is text even where real names are numbers; the order's column holds 1, 2, … in place of real numbers or
dates. Neither says anything of a real person, and the names of one sample mean nothing in another.

A condition, and equal shares of a class, are about people, so they stand on columns declared constant; on any other
they would hold for some rows of a person and not for others, and are refused. So is filling gaps.

Not guaranteed: released 1-ways. Rows are not raked onto them: a row's weight would take it out of its person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import EventTree
from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import array_of
from dpsynth.schema.domain import Domain, coarser_outcomes
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.decoding import draw_values
from dpsynth.tabular.conditions.conditional import balanced_classes
from dpsynth.tabular.conditions.evidence import draw_allowed, shares_of_codes
from dpsynth.tabular.conditions.given import Allowed, Given, conditions
from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.sequences.drawing import People, lengths_for
from dpsynth.tabular.sequences.transitions import TransitionState

BLOCK = 50_000
"""About as many rows are drawn and decoded at once."""
ESTIMATED_FROM = 50_000
NAME = "synthetic-"


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeopleModel:
    """Released numbers only; sampling costs nothing.

    Attributes:
        generator: name of the generator that fitted it.
        unit: name of the column of people.
        position: name of the column that orders a person's rows.
        domains: column -> domain, in the schema's order.
        binnings: column -> codes and how to leave them.
        order: columns as the network has them, constant ones first.
        state: the trained network.
        lengths: released share of people with 1 … k rows, float64, shape (k,).
        people: released number of people, at least 1.
        events: what was spent.
    """

    generator: str
    unit: str
    position: str
    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    order: tuple[str, ...]
    state: TransitionState
    lengths: NDArray[np.float64]
    people: int
    events: EventTree

    @property
    def rows(self) -> int:
        """Released estimate of the number of rows: people times their mean number of rows."""
        return round(self.people * float(self.lengths @ np.arange(1, len(self.lengths) + 1)))

    @property
    def constant(self) -> tuple[str, ...]:
        """Columns that are the same in all rows of a person."""
        return self.order[: self.state.constant]

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """Whole people who have `rows` rows in all.

        Args:
            rows: how many; the last person may have fewer rows than the law says.
            rng: random numbers for post-processing.
            given: constant column -> what all people have; see `given`.
            balance: constant column whose values take equal shares of the people.

        Raises:
            ParameterError: rows is negative, a condition on a column that is not constant, or one that nobody meets.
        """
        if balance is None:
            return pa.concat_tables(self.batches(rows, rng, given=given))
        _check(rows)
        allowed = self._about_people(conditions(given, self.domains))
        self._about_people({balance: None})
        classes = balanced_classes(self, balance, allowed.pop(balance, None))
        counts = np.diff(np.linspace(0, rows, len(classes) + 1).astype(np.int64))
        parts, people = [self._empty()], 0
        for one, count in zip(classes, counts.tolist(), strict=True):
            for part, more in self._blocks(count, rng, {**allowed, balance: one}, people):
                parts.append(part)
                people = more
        return pa.concat_tables(parts)

    def batches(self, rows: int, rng: np.random.Generator, *, given: Given | None = None) -> Iterator[pa.Table]:
        """The rows that `sample` gives, whole people at a time; the first block is empty."""
        _check(rows)
        allowed = self._about_people(conditions(given, self.domains))
        yield self._empty()
        for part, _ in self._blocks(rows, rng, allowed, 0):
            yield part

    def complete(self, table: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Refused: a gap in one row would have to be drawn given the person's other rows."""
        del table, rng
        raise ParameterError(
            "A model of people does not fill gaps: a cell depends on the person's other rows.",
            "Fit a model of single rows: the same schema without `role: order`.",
        )

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """Share of people who agree with evidence on constant columns; by people of a fixed seed."""
        numbered = self._numbered(self._about_people(evidence))
        rng = np.random.default_rng(0)
        _, codes = People(self.state).constants(lengths_for(ESTIMATED_FROM, self.lengths, rng), rng, {})
        agreed = np.ones(len(codes))
        for column, shares in numbered.items():
            agreed *= shares[codes[:, column]]
        return float(agreed.mean())

    def describe(self) -> dict[str, Any]:
        """Generator, network, columns with cells and codes, constant columns, people and their numbers of rows."""
        return {
            "generator": self.generator,
            "rows": self.rows,
            "people": self.people,
            "rows_per_person": [round(share, 6) for share in self.lengths.tolist()],
            "constant": list(self.constant),
            "network": {"kind": "transitions", "order": list(self.order)},
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
        }

    def _blocks(
        self, rows: int, rng: np.random.Generator, allowed: Mapping[str, Allowed], first: int
    ) -> Iterator[tuple[pa.Table, int]]:
        """Blocks of whole people, named from `first` + 1 on, and how many were named so far."""
        people = People(self.state)
        evidence = self._numbered({name: shares_of_codes(self.binnings[name], one) for name, one in allowed.items()})
        for start in range(0, rows, BLOCK):
            own = min(BLOCK, rows - start)
            lengths, constants = people.constants(lengths_for(own, self.lengths, rng), rng, evidence)
            codes, position = people.rows(lengths, constants, rng)
            who = np.repeat(np.arange(len(lengths)), lengths)
            yield (
                self._decoded(codes, position, who, first, constants, allowed, rng).slice(0, own),
                first + len(lengths),
            )
            first += len(lengths)

    def _decoded(
        self,
        codes: NDArray[np.int64],
        position: NDArray[np.int64],
        who: NDArray[np.int64],
        first: int,
        constants: NDArray[np.int64],
        allowed: Mapping[str, Allowed],
        rng: np.random.Generator,
    ) -> pa.Table:
        """Cells of codes; of a constant column one cell a person."""
        numbers = {name: at for at, name in enumerate(self.order)}
        made: dict[str, pa.Array] = {
            self.unit: pa.array([f"{NAME}{number}" for number in (who + first + 1).tolist()], pa.string()),
            self.position: array_of(position + 1, pa.int64()),
        }
        for name, domain in self.domains.items():
            at, binning = numbers[name], self.binnings[name]
            if at >= self.state.constant:
                made[name] = domain.decode(draw_values(binning, codes[:, at], rng))
                continue
            own = constants[:, at]
            drawn = (
                draw_allowed(binning, own, allowed[name], rng) if name in allowed else draw_values(binning, own, rng)
            )
            made[name] = domain.decode(drawn[who])
        return pa.table(made)

    def _empty(self) -> pa.Table:
        no = np.zeros(0, dtype=np.int64)
        codes, constants = np.zeros((0, len(self.order)), dtype=np.int64), np.zeros((0, self.state.constant), np.int64)
        return self._decoded(codes, no, no, 0, constants, {}, np.random.default_rng(0))

    def _numbered(self, evidence: Mapping[str, Vector]) -> dict[int, Vector]:
        numbers = {name: at for at, name in enumerate(self.order)}
        return {numbers[name]: shares[: self.state.sizes[numbers[name]]] for name, shares in evidence.items()}

    def _about_people(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The conditions, if all of them are on constant columns."""
        rows = [name for name in asked if name not in self.constant]
        if rows:
            known = ", ".join(map(repr, self.constant)) or "none"
            raise ParameterError(
                f"Column {rows[0]!r} may differ between the rows of a person, so no condition on it picks people.",
                f"Conditions stand on columns that the schema declares `constant: true`: {known}.",
            )
        return dict(asked)


def _check(rows: int) -> None:
    if rows < 0:
        raise ParameterError(f"Expected rows={rows} >= 0.")
