"""Rows that break no constraint: penalties for a fit, a decoder for samples, and the proof of each sample.

1. Before the fit, declared rules forbid pairs of codes (`penalties`); after it, functional dependencies are learned
   from fitted records (`fitted`) and forbid theirs.
2. A sample's columns are decoded in an order in which deciding columns come first, each among what its rules leave to
   the row (`draw`). A rule applies in full at the last of its columns, so a row for which every column found a cell
   obeys.
3. Rows for which a column found none are drawn again, then take the constrained cells of another row of the sample that
   obeys, and as a last resort are missing there, which satisfies every constraint.
4. The finished table is checked by values (`schema.violations`), by code that knows nothing of all this.

Everything is post-processing of released numbers and declared facts. Time is linear in rows.

Not guaranteed: that frequencies stay where the private table breaks the constraints, or where a generator that models
fewer dependences (`mst`, `independent`) often draws what is not allowed: then more rows are changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib import import_module
from types import MappingProxyType
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.schema.constraints import Constraint, FunctionalDependency
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import violations
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.decoding import draw_values
from dpsynth.tabular.constraints.allowed import Allowed, Codes, Mask
from dpsynth.tabular.constraints.draw import draw_allowed
from dpsynth.tabular.constraints.functional_dependency import learn
from dpsynth.tabular.constraints.rule import Columns, Decoded, Rule

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "fixed_combinations": "dpsynth.tabular.constraints.fixed_combinations:FixedCombinationsRule",
        "forbidden_combinations": "dpsynth.tabular.constraints.forbidden_combinations:ForbiddenCombinationsRule",
        "functional_dependency": "dpsynth.tabular.constraints.functional_dependency:FunctionalDependencyRule",
        "inequality": "dpsynth.tabular.constraints.inequality:InequalityRule",
        "not_applicable": "dpsynth.tabular.constraints.not_applicable:NotApplicableRule",
        "range": "dpsynth.tabular.constraints.range:RangeRule",
        "sum": "dpsynth.tabular.constraints.sum:SumRule",
    }
)
"""Kind of constraint -> its rule. A test holds the table against the folder and the schema."""
ATTEMPTS = 4
"""Times that rows without a solution are drawn again."""
TRIAL = 2_000
"""Fitted records that are decoded once to say how often constraints change a row."""
Numbers = tuple[int, ...]
Narrow = Callable[[str, Codes, Allowed], None]
"""Column, numbers of its rows, what they may hold: takes from that what a request does not want."""


def _leave(name: str, numbers: Codes, allowed: Allowed) -> None:
    """Nothing more is asked."""
    del name, numbers, allowed


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enforcement:
    """The constraints of a schema over the codes of a model.

    Attributes:
        schema: what is declared; None for a model without constraints.
        constraints: of the schema.
        columns: codes of the modelled columns.
        learned: number of a functional dependency in the schema -> what was learned; plain arrays, kept with a model.
        rules: one for each constraint.
        order: constrained columns in the order of decoding.
        groups: positions of constraints that share columns, directly or through others.
        changed: of a trial: rows, and how many of them were changed; empty before the fit.
    """

    schema: Schema | None
    constraints: tuple[Constraint, ...]
    columns: Columns
    learned: Mapping[int, Codes]
    rules: tuple[Rule, ...]
    order: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    changed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        schema: Schema | None,
        binnings: Mapping[str, Binning],
        shapes: Mapping[str, int],
        learned: Mapping[int, Codes] = MappingProxyType({}),
        changed: Mapping[str, int] = MappingProxyType({}),
    ) -> Enforcement:
        """The rules of a schema.

        Args:
            schema: what is declared.
            binnings: column -> codes, in the schema's order.
            shapes: column -> number of codes in the model, missing included if it has one.
            learned: of an earlier fit.
            changed: of an earlier fit.
        """
        gaps = frozenset(name for name, binning in binnings.items() if shapes[name] > binning.size)
        columns = Columns(specs=schema.columns if schema else {}, binnings=binnings, gaps=gaps)
        constraints = schema.constraints if schema else ()
        rules = tuple(_rule(constraint, columns, learned.get(at)) for at, constraint in enumerate(constraints))
        return cls(
            schema=schema,
            constraints=constraints,
            columns=columns,
            learned=dict(learned),
            rules=rules,
            order=_decoding_order(rules, [name for name in binnings if any(name in rule.columns for rule in rules)]),
            groups=_groups(rules),
            changed=dict(changed),
        )

    def penalties(self, shapes: Mapping[str, int]) -> dict[Numbers, Mask]:
        """Columns by number in the schema's order -> pairs of codes that no record may hold, of shape `shapes`.

        Without pairs that lock columns together: where a code of one column leaves another a single code and the
        reverse, no move of one column is possible any more, and the records keep the shares that they began with (UCI
        of `covid_mx`: 0.016 from the private table instead of 0.001). Such pairs are nearly deterministic in their
        noisy tables already, and the decoder sees to the rest.
        """
        number = {name: at for at, name in enumerate(self.columns.binnings)}
        out: dict[Numbers, Mask] = {}
        for rule in self.rules:
            for (left, right), forbidden in rule.pairs(self.columns):
                cut = forbidden[: shapes[left], : shapes[right]]
                first, second = number[left], number[right]
                if first > second:
                    first, second, cut = second, first, cut.T
                if cut.any() and not cut.all() and not _locks(cut):
                    out[first, second] = out.get((first, second), False) | cut
        return out

    def fitted(self, records: Mapping[str, NDArray[np.integer[Any]]], rng: np.random.Generator) -> Enforcement:
        """With dependencies learned from fitted records, and a trial that says how many rows constraints change.

        Args:
            records: column -> model codes, missing `size`, of records that follow the fit.
            rng: random numbers for post-processing.
        """
        if not self.rules:
            return self
        learned = dict(self.learned)
        codes = {name: np.asarray(held, dtype=np.int64) for name, held in records.items()}
        for at, constraint in enumerate(self.constraints):
            if isinstance(constraint, FunctionalDependency) and at not in learned:
                determinant = [self.columns.binnings[name] for name in constraint.determinant]
                learned[at] = learn(
                    determinant,
                    self.columns.binnings[constraint.dependent],
                    [codes[name] for name in constraint.determinant],
                    codes[constraint.dependent],
                )
        shapes = {name: binning.size + (name in self.columns.gaps) for name, binning in self.columns.binnings.items()}
        made = Enforcement.of(self.schema, self.columns.binnings, shapes, learned)
        return replace(made, changed=made._trial({name: held[:TRIAL] for name, held in codes.items()}, rng))

    def decode(
        self,
        codes: Mapping[str, NDArray[np.integer[Any]]],
        rng: np.random.Generator,
        *,
        given: Mapping[str, int] = MappingProxyType({}),
    ) -> pa.Table:
        """Rows for model codes, none of which breaks a constraint.

        Args:
            codes: column -> 0..size-1, or `size` for missing, shape (rows,).
            rng: random numbers for post-processing.
            given: column -> domain code (-1: missing) that every row must hold.

        Raises:
            ParameterError: the given values break a constraint among themselves.
        """
        binnings = self.columns.binnings
        values = self._constrained({name: codes[name] for name in self.order}, rng, given)
        for name in binnings:
            if name not in values:
                values[name] = draw_values(binnings[name], codes[name], rng)
            if name in given:
                values[name] = np.full(len(codes[name]), given[name], dtype=np.int64)
        return pa.table({name: self.columns.domain(name).decode(values[name]) for name in binnings})

    def constrained(
        self,
        codes: Mapping[str, NDArray[np.integer[Any]]],
        rng: np.random.Generator,
        narrow: Narrow,
        first: Collection[str] = (),
    ) -> dict[str, Codes]:
        """Domain codes of the constrained columns, narrowed further by what each row is asked to hold.

        A row for which nothing is left takes the cells of another row, or is missing in these columns: compare.
        Columns in `first` are decoded before the others, which then follow them.
        """
        return self._constrained({name: codes[name] for name in self.order}, rng, {}, narrow, first)

    def _constrained(
        self,
        codes: Mapping[str, NDArray[np.integer[Any]]],
        rng: np.random.Generator,
        given: Mapping[str, int],
        narrow: Narrow = _leave,
        first: Collection[str] = (),
    ) -> dict[str, Codes]:
        """Domain codes of the constrained columns, group by group."""
        values: dict[str, Codes] = {}
        for group in self.groups:
            named = {name for at in group for name in self.rules[at].columns}
            early = {*given, *first}
            names = sorted((name for name in self.order if name in named), key=lambda name: name not in early)
            own = {name: codes[name] for name in names}
            everyone = np.arange(len(next(iter(own.values()))))
            held, failed = self._draw(group, own, rng, given, narrow, everyone)
            failed |= self._breaks(group, held)
            redrawn = bool(failed.any())
            for _ in range(ATTEMPTS):
                rows = np.flatnonzero(failed)
                if not len(rows):
                    break
                left = {name: own[name][rows] for name in names}
                again, still = self._draw(group, left, rng, given, narrow, rows)
                still |= self._breaks(group, again)
                for name in names:
                    held[name][rows] = again[name]
                failed[rows] = still
            _replace(held, failed, rng, given)
            # Rows that obey among themselves may break a dependency together with those that were drawn before.
            if redrawn and self._breaks(group, held).any():
                self._leave_missing(group, held, given)
            values |= held
        return values

    def _draw(
        self,
        group: Sequence[int],
        codes: Mapping[str, NDArray[np.integer[Any]]],
        rng: np.random.Generator,
        given: Mapping[str, int],
        narrow: Narrow,
        numbers: Codes,
    ) -> tuple[dict[str, Codes], Mask]:
        """Domain codes of the group's columns, in order, and the rows for which one found no cell."""
        rows = len(next(iter(codes.values())))
        gaps = {name: np.asarray(held) >= self.columns.binnings[name].size for name, held in codes.items()}
        decoded = Decoded(values={}, gaps=gaps)
        failed = np.zeros(rows, dtype=bool)
        for name in codes:
            if name in given:
                decoded.values[name] = np.full(rows, given[name], dtype=np.int64)
                continue
            allowed = Allowed(rows, self.columns.domain(name).size)
            for at in group:
                self.rules[at].narrow(name, decoded, allowed)
            narrow(name, numbers, allowed)
            decoded.values[name], none = draw_allowed(self.columns.binnings[name], codes[name], allowed, rng)
            failed |= none
        return decoded.values, failed

    def _breaks(self, group: Sequence[int], values: Mapping[str, Codes]) -> Mask:
        """Rows that break a constraint of the group, by the values that they would hold."""
        table = pa.table({name: self.columns.domain(name).decode(codes) for name, codes in values.items()})
        masks = (violations(self.constraints[at], table, self.columns.specs) for at in group)
        return reduce(np.logical_or, masks, np.zeros(table.num_rows, dtype=bool))

    def _leave_missing(self, group: Sequence[int], values: dict[str, Codes], given: Mapping[str, int]) -> None:
        wrong = self._breaks(group, values)
        for name in values:
            if name not in given:
                values[name][wrong] = -1
        if self._breaks(group, values).any():
            raise ParameterError(
                "The given values break a constraint of the schema, so no row can hold them.",
                "Give other values, or fewer.",
            )

    def _trial(self, codes: Mapping[str, Codes], rng: np.random.Generator) -> dict[str, int]:
        """Rows that were decoded, and those in which a constrained column left its code."""
        own = {name: codes[name] for name in self.order}
        values = self._constrained(own, rng, {})
        moved = np.zeros(len(next(iter(own.values()))), dtype=bool)
        for name, held in values.items():
            binning = self.columns.binnings[name]
            moved |= np.append(binning.code_of, binning.size)[binning.oneway.cells.of_codes(held)] != own[name]
        return {"rows": len(moved), "changed": int(moved.sum())}


def _locks(forbidden: Mask) -> bool:
    """Whether codes of the two columns that are not left alone fall into blocks with no way from one to another."""
    allowed = ~forbidden
    reached = np.zeros(allowed.shape[0], dtype=bool)
    reached[int(np.argmax(allowed.any(axis=1)))] = True
    for _ in range(len(reached)):  # a path alternates between moves of the one and of the other column
        wider = reached | allowed[:, allowed[reached].any(axis=0)].any(axis=1)
        if (wider == reached).all():
            break
        reached = wider
    return bool((allowed.any(axis=1) & ~reached).any())


def _rule(constraint: Constraint, columns: Columns, learned: Codes | None) -> Rule:
    module, _, name = KINDS[constraint.kind].partition(":")
    kind = getattr(import_module(module), name)
    more = (learned,) if isinstance(constraint, FunctionalDependency) else ()
    made: Rule = kind.of(constraint, columns, *more)
    return made


def _replace(values: dict[str, Codes], failed: Mask, rng: np.random.Generator, given: Mapping[str, int]) -> None:
    """Rows that failed take the cells of random rows that did not; they are left missing where all failed."""
    good = np.flatnonzero(~failed)
    donors = rng.choice(good, int(failed.sum())) if len(good) else None
    for name, held in values.items():
        if name not in given:
            held[failed] = -1 if donors is None else held[donors]


def _decoding_order(rules: Sequence[Rule], names: Sequence[str]) -> tuple[str, ...]:
    """The names, sorted so that columns come after those that decide them.

    Sums only wish for an order: they come last, and a wish that would close a circle is dropped.
    """
    after: dict[str, set[str]] = {name: set() for name in names}
    for rule in sorted(rules, key=lambda rule: type(rule).__name__ == "SumRule"):
        for first, second in rule.order:
            if not _reaches(after, first, second):
                after[second].add(first)
    out: list[str] = []
    while len(out) < len(names):
        out.append(next(name for name in names if name not in out and after[name] <= set(out)))
    return tuple(out)


def _reaches(after: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Whether `goal` is among the columns that must come before `start`."""
    waiting, seen = [start], {start}
    while waiting:
        for name in after[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return goal in seen


def _groups(rules: Sequence[Rule]) -> tuple[tuple[int, ...], ...]:
    """Positions of rules that share columns, directly or through others."""
    groups: list[tuple[set[str], list[int]]] = []
    for at, rule in enumerate(rules):
        names, members = set(rule.columns), [at]
        for held in [group for group in groups if group[0] & names]:
            groups.remove(held)
            names |= held[0]
            members = [*held[1], *members]
        groups.append((names, members))
    return tuple(tuple(members) for _, members in groups)
