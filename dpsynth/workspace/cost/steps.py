"""The steps of a run, with what each costs at most; made from what the generator says it asks.

`growth` says how a step grows: with the columns to that power, and everything that is scanned, read or written also
with the rows. Numbers of statements, histograms and cells do not grow with the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, final

from accounting.decimals import decimal_text
from accounting.errors import UnsupportedEventError
from accounting.event import Event, EventTree
from accounting.lifetime import total_atoms_up, total_rho_up
from dpsynth.schema.domain import known_domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.asks import Ask
from dpsynth.workspace.cost.manners import RAW_BYTES, Batched, Manner, uploads

Relation = Literal["source", "copy"]
COUNT_BYTES = 8
ANSWER_BYTES = 10
"""Of a code in an answer, as it comes and as numbers."""
VALUE_BYTES = 48
"""Of a distinct value in an answer beside itself: which column it is of, its count, both again as numbers."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run, worst case.

    Attributes:
        name: what it does.
        statements: sent to the engine, public tables that they need left out; None if nobody said.
        uploads: public tables handed to the engine.
        source, copy, codes: scans of the source, of raw cells of our own, of codes.
        histograms, cells: counted, and their cells; None if nobody said.
        read, written: bytes in the engine, about, at so many rows.
        here: bytes in this process at once, about.
        shuffles: of groups across machines.
        rho: zCDP of the events, add/remove one unit, rounded up; None if they have none, as sampled steps.
        atoms: delta of thresholds.
        events: how many draws of noise.
        growth: power of the number of columns that the step grows with.
        note: what else to know.
    """

    name: str
    statements: int | None = 0
    uploads: int = 0
    source: int = 0
    copy: int = 0
    codes: int = 0
    histograms: int | None = 0
    cells: int | None = 0
    read: int = 0
    written: int = 0
    here: int = 0
    shuffles: int = 0
    rho: Decimal | None = Decimal(0)
    atoms: Decimal = Decimal(0)
    events: int = 0
    growth: int = 0
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """One of the `steps` of `plan --json`."""
        return {
            "step": self.name,
            "statements": self.statements,
            "uploads": self.uploads,
            "scans": {"source": self.source, "copy": self.copy, "codes": self.codes},
            "histograms": self.histograms,
            "cells": self.cells,
            "bytes": {"read": self.read, "written": self.written, "here": self.here},
            "shuffles": self.shuffles,
            "rho": None if self.rho is None else decimal_text(self.rho),
            "delta": decimal_text(self.atoms),
            "events": self.events,
            "growth": {"columns": self.growth, "rows": int(bool(self.source or self.copy or self.codes))},
            "note": self.note,
        }


def scans(of: Relation, number: int) -> dict[str, Any]:
    """So many scans of `source` or `copy`, for a `Step`."""
    return {of: number}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all steps of a run share.

    Attributes:
        manner: of the engine.
        schema: public facts.
        tree: planned events.
        rows: that are fitted, about: a public estimate.
        of: the relation that the fit reads.
        beside: bytes of a row that each statement reads beside its columns, to know which rows are trained on.
        goes: word -> questions that are asked in one go (`Ask.together`).
        gone: words that were asked already.
        coded: sets of codes that are written already.
    """

    manner: Manner
    schema: Schema
    tree: EventTree
    rows: int
    of: Relation
    beside: int = 0
    goes: Mapping[str, Sequence[Ask]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    coded: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def raw_bytes(self, names: Sequence[str]) -> int:
        """Bytes of these columns in a row."""
        return sum(RAW_BYTES[self.schema.columns[name].kind] for name in names)

    def raw_read(self, names: Sequence[str]) -> int:
        """Bytes that a statement about these columns of the raw cells reads."""
        if self.manner.columnar:
            return self.rows * (self.raw_bytes(names) + self.beside)
        return self.rows * (self.raw_bytes(tuple(self.schema.columns)) + self.manner.row_bytes)

    def distinct(self, name: str) -> int:
        """Most distinct values of a column: every row has one of its own, or each that its domain has occurs."""
        domain = known_domain(self.schema.columns[name])
        return self.rows if domain is None else min(self.rows, domain.size)

    def value_bytes(self, name: str) -> int:
        """Bytes of a distinct value and its count in an answer: raw text, or a code."""
        return VALUE_BYTES + RAW_BYTES[self.schema.columns[name].kind]

    def price(self, events: Sequence[Event]) -> dict[str, Any]:
        """Rho, delta and number of events."""
        if not events:
            return {}
        tree = EventTree(relation=self.tree.relation, unit=self.tree.unit, events=tuple(events))
        try:
            rho: Decimal | None = total_rho_up(tree)
        except UnsupportedEventError:
            rho = None
        return {"rho": rho, "atoms": total_atoms_up(tree), "events": sum(event.count for event in events)}


def step_of(ask: Ask, setting: Setting) -> Step:
    """What a question of the fit costs."""
    cells = ask.cells if ask.reads == "histograms" else None
    common: dict[str, Any] = {
        "name": ask.step,
        "histograms": ask.histograms if ask.reads == "histograms" else 0,
        "cells": cells or 0,
        "growth": ask.growth,
        **setting.price(ask.events),
    }
    if setting.manner.name == "memory":
        return _in_memory(ask, setting, common)
    return _alone(ask, setting, common) if ask.apart or len(ask.cliques) == 1 else _together(ask, setting, common)


def _in_memory(ask: Ask, setting: Setting, common: dict[str, Any]) -> Step:
    """Each histogram is a pass over codes that stay in memory: one or two bytes a cell."""
    cells = common["cells"] if ask.kept else _largest(ask) if ask.reads == "histograms" else 0
    fresh = [name for name in ask.sizes if ask.sizes is not setting.coded.get(ask.coding or "")]
    if ask.coding is not None:
        setting.coded[ask.coding] = ask.sizes
    codes = setting.rows * sum(1 if ask.sizes[name] < 256 else 2 for name in fresh)
    return Step(**common, here=COUNT_BYTES * cells + codes)


def _alone(ask: Ask, setting: Setting, common: dict[str, Any]) -> Step:
    """Single columns from the raw cells: all that are asked in one go share its statements, which the first one has."""
    specs = setting.schema.columns
    names = [name for clique in ask.cliques for name in clique]
    number, read = 0, 0
    if ask.together not in setting.gone:
        together = setting.goes.get(ask.together or "", (ask,))
        setting.gone.add(ask.together or ask.step)
        asked = [name for one in together for clique in one.cliques for name in clique]
        number = -(-len(asked) // setting.manner.singles)
        read = setting.raw_read(tuple(dict.fromkeys(asked))) + (number - 1) * setting.raw_read(())
    here, note = 2 * COUNT_BYTES * ask.cells, None if number else "in the same scans"
    if ask.reads == "values":  # the distinct values themselves, and what each says of others in the same answer
        here = sum(setting.distinct(name) * setting.value_bytes(name) for name in names)
        note = "memory if as many values occur as can"
    return Step(
        **common,
        statements=number,
        uploads=sum(uploads(specs[name]) for name in names) if ask.reads == "histograms" else 0,
        **scans(setting.of, number),
        read=read,
        here=here,
        shuffles=number if setting.manner.shuffles else 0,
        note=note,
    )


def _together(ask: Ask, setting: Setting, common: dict[str, Any]) -> Step:
    """Codes, written once; then as many histograms in each statement as it may have."""
    manner, names = setting.manner, tuple(ask.sizes)
    if ask.chosen is None:
        batched = manner.statements(ask.cliques)
    else:
        batched = manner.statements_of_some(ask.histograms, max(map(len, ask.cliques)), len(names))
    fresh = ask.coding is None or ask.coding not in setting.coded
    width = sum(manner.code_bytes(size) for size in ask.sizes.values())
    written = read = 0
    if fresh:
        setting.coded[ask.coding or ask.step] = ask.sizes
        written, read = setting.rows * (width + manner.row_bytes), setting.raw_read(names)
    each = width / len(names) * batched.columns if manner.columnar else (width + manner.row_bytes) * batched.number
    return Step(
        **common,
        statements=batched.number + fresh,
        uploads=sum(uploads(setting.schema.columns[name]) for name in names) if fresh else 0,
        **scans(setting.of, int(fresh)),
        codes=batched.number,
        read=read + round(setting.rows * each),
        written=written,
        here=_answer(ask, batched) + (COUNT_BYTES * ask.cells if ask.kept else 0),
        shuffles=batched.number if manner.shuffles else 0,
        note="the largest that may be chosen" if ask.chosen is not None else None,
    )


def _answer(ask: Ask, batched: Batched) -> int:
    """Bytes of the largest answer: a count and a code of each of its columns for every cell that occurs."""
    widest = -(-batched.columns // batched.number)
    return batched.widest * _largest(ask) * (2 * COUNT_BYTES + ANSWER_BYTES * widest)


def _largest(ask: Ask) -> int:
    """Cells of the largest histogram."""
    return max(math.prod(ask.sizes[name] + 1 for name in clique) for clique in ask.cliques)
