"""What a fit asks of its table, worst case, from public facts: the histograms, their cells, and the events they cost.

A generator that only counts declares it by one method beside `plan`:

    def asks(self, schema, plan, *, rows): ...     # -> Asks

built with `Asking`, which walks the plan's own events in their order: each question takes the events that pay for it,
and one that is left, or missing, is refused. So a declaration cannot drift from what is charged. What it says about
numbers and sizes is held by the conformance suite, which runs the fit.

Sizes are upper bounds: all spikes found, all categories kept, missing cells everywhere. Where the schema leaves a
domain open the bound is that of any domain; how many categories can be released follows from `rows`, a public
estimate, since each needs more rows than its threshold less four sigma of noise.

>>> most_released(1_000_000, sigma=10.0, threshold=90)
20000

Not guaranteed: tightness. Tables that look alike come out several times smaller; `bin_cells` merges what is rare.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, final, runtime_checkable

from accounting.event import Event
from dpsynth.core.errors import ParameterError
from dpsynth.mechanisms.bounds import BINS
from dpsynth.mechanisms.decimals import PLACE_BINS
from dpsynth.schema.derive import FIRST_YEAR, LAST_YEAR, Question, open_questions, unknown_columns
from dpsynth.schema.domain import CategoryDomain, known_domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.binning import MAX_CODES, SMALL_GRID
from dpsynth.tabular.columns.cells import NARROW, interval_edges
from dpsynth.tabular.columns.oneway import MAX_SPIKES
from dpsynth.tabular.columns.parts import SIZES, Part
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.record_fit import CHAINS, FEWEST, MANY, MOST, MOST_OF_MANY, SHARPEST

Clique = tuple[str, ...]
Reads = Literal["values", "histograms"]
MORE_GROUPS = 8
"""Groups of neighbours beyond the number asked for, where noise is all there is to merge by."""
FEWEST_SIGMAS = 4
"""Sigmas of noise that a group of neighbours of a wide grid holds at least (`bin_cells`)."""
TABLE_BYTES, EXPECTED_BYTES, RECORD_BYTES = 96, 24, 8
"""Bytes for each cell of a measured table (exact, noisy, fitted), of an expected one, and of a record: what stays below
these was measured by tests/tabular/test_asks.py."""
DERIVATION: Mapping[Question, str] = MappingProxyType(
    {"categories": "find categories", "bounds": "find bounds", "places": "find decimal places"}
)
PARTS: Mapping[Part, str] = MappingProxyType(
    {
        "weekday": "count weekdays",
        "day": "count days of the month",
        "month": "count months",
        "clock": "count times of day",
        "round": "count round numbers",
    }
)
DEVIATIONS = 4.0
"""Sigmas of noise that may lift a category over its threshold; one in thirty thousand is lifted by more."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One kind of question of a fit to its table.

    Attributes:
        step: what for.
        reads: `values` are the distinct values of a column, `histograms` counts.
        cliques: what is counted jointly: a histogram each.
        sizes: column -> most codes, missing not counted.
        events: of the plan, that pay for it.
        growth: power of the number of columns that the number of histograms grows with.
        chosen: how many of `cliques` are asked for at most, where released numbers choose; None for all.
        apart: whether each is of one column by itself.
        together: questions that stand apart and have the same word are asked in one go (`CountTable.value_counts_of`).
        kept: whether all answers are in memory at the same time.
        coding: which set of codes; questions of one set share one relation of codes. None if it is asked for once.
    """

    step: str
    reads: Reads
    cliques: Sequence[Clique]
    sizes: Mapping[str, int]
    events: tuple[Event, ...]
    growth: int = 1
    chosen: int | None = None
    apart: bool = False
    together: str | None = None
    kept: bool = False
    coding: str | None = None

    @property
    def histograms(self) -> int:
        """How many, at most."""
        return len(self.cliques) if self.chosen is None else min(self.chosen, len(self.cliques))

    @property
    def cells(self) -> int:
        """Cells of all histograms, missing included, at most: of the largest where some are chosen."""
        every = (math.prod(self.sizes[name] + 1 for name in clique) for clique in self.cliques)
        return sum(every) if self.chosen is None else sum(sorted(every, reverse=True)[: self.chosen])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """All that a fit asks, in time order, and what it holds beside the answers.

    Attributes:
        asks: the questions.
        holds: (what, bytes at most) in memory here while the model is fitted, answers left out.
        worst: columns whose sizes are bounds of any domain, because the schema leaves theirs open.
    """

    asks: tuple[Ask, ...]
    holds: tuple[tuple[str, int], ...] = ()
    worst: tuple[str, ...] = ()


@runtime_checkable
class Declares(Protocol):
    """A generator that says beforehand what it asks; one that does not can be planned and priced, not costed."""

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """Worst case for any table of the schema.

        Args:
            schema: public facts.
            plan: made by this generator for this schema.
            rows: about how many, a public estimate; bounds the number of categories that can be released.
        """


@final
class Asking:
    """Builds `Asks` beside the events of a plan.

    Args:
        schema: public facts.
        plan: of the generator that declares.
        codes: about how many codes a wide numeric column is merged into.
        rows: public estimate.
    """

    def __init__(self, schema: Schema, plan: Plan, *, codes: int, rows: int) -> None:
        self._schema, self._plan, self._events = schema, plan, deque(plan.tree.events)
        self._rows = rows
        self._made: list[Ask] = []
        self._holds: list[tuple[str, int]] = []
        self._sizes = {name: _Sizes.of(schema, plan, name, codes, rows) for name in schema.modelled}
        self.cells = {name: sizes.cells for name, sizes in self._sizes.items()}
        self.codes = {name: sizes.codes for name, sizes in self._sizes.items()}
        self._derivation()
        self._oneways()

    @property
    def pairs(self) -> tuple[Clique, ...]:
        """All pairs of columns, in order."""
        return tuple(itertools.combinations(self._schema.modelled, 2))

    @property
    def pair_cells(self) -> int:
        """Cells of all pair tables of codes, missing included."""
        sides = [size + 1 for size in self.codes.values()]
        return (sum(sides) ** 2 - sum(side * side for side in sides)) // 2

    def all_pairs(self, step: str, *, kept: bool = False) -> None:
        """One histogram for every pair of columns; takes one event."""
        self._ask(step, self.pairs, self.codes, self._take(step, 1), growth=2, kept=kept, coding="codes")

    def some(self, step: str, cliques: Sequence[Clique], chosen: int) -> None:
        """So many of these, as released numbers choose; takes one event."""
        self._ask(step, cliques, self.codes, self._take(step, 1), chosen=chosen, kept=True, coding="codes")

    def coarse(self, step: str, cliques: Sequence[Clique], chosen: int, sizes: Mapping[str, int]) -> None:
        """The same of codes that are merged further; takes one event."""
        self._ask(step, cliques, sizes, self._take(step, 1), chosen=chosen, kept=True, coding=step)

    def holds_tables(self, count: int) -> None:
        """So many pair tables in memory at once, exact, noisy and fitted: the largest."""
        sides = sorted(math.prod(self.codes[name] + 1 for name in pair) for pair in self.pairs)
        self._holds.append(("pair tables", TABLE_BYTES * sum(sides[-count:])))

    def holds_records(self, count: int) -> None:
        """Records, the expected tables of all pairs, and so many pair tables that they are fitted to."""
        columns = len(self.codes)
        most = min(max(self._rows, FEWEST), SHARPEST * (MOST if columns <= MANY else MOST_OF_MANY))
        self._holds.append(("records", round(RECORD_BYTES * CHAINS * most * (columns + 1))))
        self._holds.append(("expected tables of all pairs", EXPECTED_BYTES * self.pair_cells))
        self.holds_tables(min(count, len(self.pairs)))

    def done(self) -> Asks:
        """What was declared.

        Raises:
            ParameterError: the plan has an event that no question takes, so the declaration is not of this plan.
        """
        if self._events:
            raise ParameterError(
                f"The declaration of {self._plan.generator!r} leaves {len(self._events)} planned events unexplained.",
                "This is a defect of the generator's `asks`; its plan and its price are not affected.",
            )
        worst = unknown_columns(self._schema)
        return Asks(asks=tuple(self._made), holds=tuple(self._holds), worst=worst)

    def _derivation(self) -> None:
        """Of each question about domains the columns, and its events: one for each column, or level of prefixes."""
        asked: dict[Question, dict[str, list[Event]]] = {}
        for name, question in open_questions(self._schema):
            asked.setdefault(question, {}).setdefault(name, []).extend(self._take(DERIVATION[question], 1))
        for question, spent in asked.items():
            sizes = {name: self._size(question, name) for name in spent}
            reads: Reads = "values" if question == "categories" else "histograms"
            self._alone(DERIVATION[question], sizes, spent, "derive domains", reads)

    def _oneways(self) -> None:
        """All columns in one go: the domain's codes where spikes may be, else cells and parts; the events of a column
        are together in the plan, and each kind is a step here.
        """
        settings = self._plan.settings
        spikes: dict[str, list[Event]] = {}
        counts: dict[str, list[Event]] = {}
        parts: dict[Part, dict[str, list[Event]]] = {}
        for name in settings.histogram:
            own = settings.parts[name].parts if name in settings.parts else ()
            if name in settings.spikes:  # counts and parts follow from the domain's codes
                spikes[name] = self._take("find spikes and count columns", 3 if own else 2)
                continue
            counts[name] = self._take("count columns", 1)
            for at, part in enumerate(own):
                parts.setdefault(part, {})[name] = [] if at else self._take(PARTS[part], 1)  # one event for all parts
        together = "count columns"
        self._alone("find spikes and count columns", {n: self.cells[n] for n in spikes}, spikes, together, "values")
        self._alone("count columns", {name: self.cells[name] for name in counts}, counts, together)
        for part, spent in parts.items():
            self._alone(PARTS[part], dict.fromkeys(spent, SIZES[part]), spent, together)

    def _size(self, question: Question, name: str) -> int:
        if question == "bounds":
            years = LAST_YEAR - FIRST_YEAR + 3
            return years if self._schema.columns[name].kind in ("date", "datetime") else BINS
        return PLACE_BINS if question == "places" else self.cells[name]

    def _take(self, step: str, count: int) -> list[Event]:
        if count > len(self._events):
            raise ParameterError(
                f"The step '{step}' of {self._plan.generator!r} has no event in the plan that pays for it.",
                "This is a defect of the generator's `asks`; its plan and its price are not affected.",
            )
        return [self._events.popleft() for _ in range(count)]

    def _alone(
        self,
        step: str,
        sizes: Mapping[str, int],
        spent: Mapping[str, Sequence[Event]],
        together: str,
        reads: Reads = "histograms",
    ) -> None:
        if sizes:
            events = [event for of_column in spent.values() for event in of_column]
            cliques = tuple((name,) for name in sizes)
            self._ask(step, cliques, sizes, events, reads=reads, apart=True, together=together)

    def _ask(
        self,
        step: str,
        cliques: Sequence[Clique],
        sizes: Mapping[str, int],
        events: Sequence[Event],
        *,
        reads: Reads = "histograms",
        growth: int = 1,
        chosen: int | None = None,
        apart: bool = False,
        together: str | None = None,
        kept: bool = False,
        coding: str | None = None,
    ) -> None:
        self._made.append(
            Ask(
                step=step,
                reads=reads,
                cliques=cliques,
                sizes=sizes,
                events=tuple(events),
                growth=growth,
                chosen=chosen,
                apart=apart,
                together=together,
                kept=kept,
                coding=coding,
            )
        )


def most_released(rows: int, *, sigma: float, threshold: int) -> int:
    """Most categories that partition selection can release of so many rows, and the outcome for all others."""
    return max(math.floor(rows / max(threshold - DEVIATIONS * sigma, 1.0)), 1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Most cells of a column's own histogram, and most codes that they are merged into; missing not counted."""

    cells: int
    codes: int

    @classmethod
    def of(cls, schema: Schema, plan: Plan, name: str, codes: int, rows: int) -> _Sizes:
        """By what `cells` and `binning` do with a domain; of so many rows."""
        spec, settings = schema.columns[name], plan.settings
        domain, spikes = known_domain(spec), 0
        if name in settings.spikes:
            own = settings.spikes[name]
            spikes = min(most_released(rows, sigma=float(own.sigma), threshold=own.threshold), MAX_SPIKES)
        if spec.kind == "categorical" and domain is None and settings.derive is not None:
            derive = settings.derive
            cells = most_released(rows, sigma=float(derive.sigma), threshold=derive.threshold) + 1
        else:
            cells = NARROW + 1 if domain is None else len(interval_edges(domain)) - 1
        if spec.kind in ("categorical", "boolean") or isinstance(domain, CategoryDomain):
            return cls(cells=cells, codes=min(cells, MAX_CODES))
        held = math.floor(rows / (FEWEST_SIGMAS * float(settings.histogram[name])))
        groups = min(cells, max(min(codes, held) + MORE_GROUPS, SMALL_GRID if cells <= SMALL_GRID else 0))
        return cls(cells=cells + spikes, codes=groups + spikes)
