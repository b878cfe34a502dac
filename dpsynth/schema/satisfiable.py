"""Whether any row can obey declared constraints, by bounds propagation and then by search.

Bounds of numbers and dates are narrowed through inequalities and sums until nothing changes (bounds consistency;
Dechter 2003, chapter 3): an empty range proves that there is no row. Then columns are tried one after the other, with
backtracking. Small domains are tried whole, so a search that ends without a row is a proof too; large ones only at
their ends, their middle and the values that constraints name, and then no row found proves nothing and is accepted.

>>> from dpsynth.schema.model import ColumnSpec
>>> line_of(ColumnSpec(kind="integer", min=0, max=9)).size
10

Not guaranteed: that every impossible set over large domains is refused. Samples obey all the same: as a last resort
with missing cells, which satisfy every constraint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, final

from dpsynth.data.warning import listed
from dpsynth.schema.constraints import (
    Cell,
    Constraint,
    FixedCombinations,
    ForbiddenCombinations,
    FunctionalDependency,
    Inequality,
    NotApplicable,
    Range,
    Sum,
    When,
)
from dpsynth.schema.model import ColumnSpec, as_bound

WHOLE = 64
"""Domains up to this many values are tried whole."""
MOST_STEPS = 20_000
ELSEWHERE = "\x00 a value that no constraint names"
DAY, ZERO = date(1970, 1, 1), datetime(1970, 1, 1)
Place = Any
"""A cell as the search compares it: a position on a line (Fraction), a category, a boolean; None is missing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Positions `low, low + step, … high`, all between if the step is unknown; days of dates, seconds of datetimes."""

    low: Fraction
    high: Fraction
    step: Fraction | None

    @property
    def size(self) -> float:
        """Number of positions."""
        return math.inf if self.step is None else (self.high - self.low) // self.step + 1

    def holds(self, value: Any) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= position(value, self.step) <= self.high

    def within(self, low: Any, high: Any) -> Line | None:
        """The part between two values, None for an open side; None if no position is left."""
        first = self.low if low is None else max(self.low, self._rounded(position(low, None), math.ceil))
        last = self.high if high is None else min(self.high, self._rounded(position(high, None), math.floor))
        return None if first > last else Line(low=first, high=last, step=self.step)

    def _rounded(self, at: Fraction, whole: Any) -> Fraction:
        return at if self.step is None else whole(at / self.step) * self.step


def position(value: Any, step: Fraction | None) -> Fraction:
    """Where a number, date or datetime lies, on the nearest multiple of the step if there is one."""
    if isinstance(value, datetime):
        since = value - ZERO
        exact = since.days * 86_400 + since.seconds + Fraction(since.microseconds, 10**6)
    elif isinstance(value, date):
        exact = Fraction((value - DAY).days)
    else:
        exact = Fraction(value)
    return exact if step is None else math.floor(exact / step + Fraction(1, 2)) * step


def step_of(spec: ColumnSpec) -> Fraction | None:
    """Width of the grid that cells of a number, date or datetime stand on; None if it is unknown."""
    if spec.kind in ("integer", "date"):
        return Fraction(1)
    if spec.kind == "datetime" or spec.precision is not None:
        return Fraction(1, 10 ** (spec.precision or 0))
    return None


def line_of(spec: ColumnSpec) -> Line | None:
    """The declared line of a number, date or datetime; None for other kinds and unknown bounds."""
    if spec.min is None or spec.max is None:
        return None
    step = step_of(spec)
    return Line(low=position(spec.min, step), high=position(spec.max, step), step=step)


def refuse_unsatisfiable(columns: Mapping[str, ColumnSpec], constraints: Sequence[Constraint]) -> None:
    """Raise ValueError if it is proved that no row without missing cells obeys.

    Cells that a constraint itself makes missing do not count as missing.
    """
    lines = {name: line for name in columns if (line := line_of(columns[name])) is not None}
    _narrow(lines, constraints)
    for group in _components(constraints):
        proof, found = _search(columns, lines, group)
        if not found and proof:
            names = dict.fromkeys(name for constraint in group for name in constraint.columns)
            raise ValueError(f"the constraints on columns {listed(names)} leave no row that obeys all of them")


def obeys(constraint: Constraint, row: Mapping[str, Place], specs: Mapping[str, ColumnSpec]) -> bool:
    """Whether a row of positions, categories and booleans obeys: the definition that other code is tested against."""

    def place(name: str, cell: Cell) -> Place:
        return place_of(specs[name], cell)

    match constraint:
        case Inequality(low=low, high=high, strict=strict):
            if row[low] is None or row[high] is None:
                return True
            return bool(row[low] < row[high] or (row[low] == row[high] and not strict))
        case FunctionalDependency():
            held = [row[name] for name in constraint.columns]
            known = [[place(n, c) for n, c in zip(constraint.columns, r, strict=True)] for r in constraint.mapping]
            return None in held or all(held[:-1] != entry[:-1] or held == entry for entry in known)
        case FixedCombinations(columns=names, rows=rows):
            held = [row[name] for name in names]
            return None in held or any(held == [place(n, c) for n, c in zip(names, r, strict=True)] for r in rows)
        case ForbiddenCombinations(columns=names, rows=rows):
            held = [row[name] for name in names]
            return not any(held == [place(n, c) for n, c in zip(names, r, strict=True)] for r in rows)
        case Range(column=name):
            if row[name] is None or meant(constraint.when, row, specs) is not True:
                return True
            least, most = constraint.min, constraint.max
            above = least is None or row[name] >= limit_of(specs[name], least)
            return bool(above and (most is None or row[name] <= limit_of(specs[name], most)))
        case Sum(total=total, parts=parts):
            held = [row[part] for part in parts]
            return row[total] is None or None in held or row[total] == sum(held)
        case NotApplicable(column=name, value=value):
            applies = meant(constraint.when, row, specs)
            if applies is None or (row[name] is None and value is not None):
                return True
            same = row[name] == place(name, value)
            return bool(same) if applies else not (same and constraint.iff)


def meant(when: When, row: Mapping[str, Place], specs: Mapping[str, ColumnSpec]) -> bool | None:
    """Whether a row meets a condition; None if a cell is missing that the condition does not name as missing."""
    if any(row[name] is None and None not in cells for name, cells in when.items()):
        return None
    return all(row[name] in [place_of(specs[name], cell) for cell in cells] for name, cells in when.items())


def place_of(spec: ColumnSpec, cell: Cell) -> Place:
    """A declared cell as the search compares it."""
    if cell is None or spec.kind in ("categorical", "boolean"):
        return cell
    return position(as_bound(cell, spec.kind), step_of(spec))


def limit_of(spec: ColumnSpec, cell: Cell) -> Fraction:
    """A declared limit, not rounded to the column's grid."""
    return position(as_bound(cell, spec.kind), None)


def _narrow(lines: dict[str, Line], constraints: Sequence[Constraint]) -> None:
    """Bounds consistency of inequalities and sums, in place; ValueError if a line becomes empty."""

    def cut(name: str, low: Fraction | None, high: Fraction | None) -> bool:
        if name not in lines:
            return False
        left = lines[name].within(low, high)
        if left is None:
            raise ValueError(f"the constraints leave no value for column {listed([name])}")
        changed, lines[name] = left != lines[name], left
        return changed

    changed, passes = True, len(lines) + 2
    while changed and passes:
        changed, passes = False, passes - 1
        for constraint in constraints:
            if isinstance(constraint, Inequality):
                low, high = lines.get(constraint.low), lines.get(constraint.high)
                gaps = [line.step for line in (low, high) if line is not None and line.step is not None]
                gap = min(gaps) if constraint.strict and len(gaps) == 2 else Fraction(0)
                if high is not None:
                    changed |= cut(constraint.low, None, high.high - gap)
                if low is not None:
                    changed |= cut(constraint.high, low.low + gap, None)
            if isinstance(constraint, Sum) and all(name in lines for name in constraint.columns):
                parts = [lines[name] for name in constraint.parts]
                changed |= cut(constraint.total, sum(p.low for p in parts), sum(p.high for p in parts))  # type: ignore[arg-type]
                for name in constraint.parts:
                    rest = [lines[other] for other in constraint.parts if other != name]
                    total = lines[constraint.total]
                    least = total.low - sum(p.high for p in rest)
                    changed |= cut(name, least, total.high - sum(p.low for p in rest))


def _components(constraints: Sequence[Constraint]) -> list[list[Constraint]]:
    """Constraints that share columns, directly or through others."""
    groups: list[tuple[set[str], list[Constraint]]] = []
    for constraint in constraints:
        names, members = set(constraint.columns), [constraint]
        for held in [group for group in groups if group[0] & names]:
            groups.remove(held)
            names |= held[0]
            members = [*held[1], *members]
        groups.append((names, members))
    return [members for _, members in groups]


def _search(
    columns: Mapping[str, ColumnSpec], lines: Mapping[str, Line], group: Sequence[Constraint]
) -> tuple[bool, bool]:
    """(whether the search saw everything, whether it found a row)."""
    names = list(dict.fromkeys(name for constraint in group for name in constraint.columns))
    tried = {name: _candidates(columns, lines, name, group) for name in names}
    names.sort(key=lambda name: (not tried[name][1], len(tried[name][0])))  # whole domains first
    ending: list[list[Constraint]] = [[] for _ in names]
    for constraint in group:
        ending[max(names.index(name) for name in constraint.columns)].append(constraint)
    row: dict[str, Place] = {}
    waiting: list[Iterator[Place]] = [iter(tried[names[0]][0])]
    whole, steps = all(complete for _, complete in tried.values()), 0
    while waiting:
        depth = len(waiting) - 1
        try:
            row[names[depth]] = next(waiting[-1])
        except StopIteration:
            waiting.pop()
            continue
        steps += 1
        if steps > MOST_STEPS:
            return False, False
        if all(obeys(constraint, row, columns) for constraint in ending[depth]):
            if depth + 1 == len(names):
                return whole, True
            waiting.append(iter([*_implied(names[depth + 1], row, group, lines), *tried[names[depth + 1]][0]]))
    return whole, False


def _candidates(
    columns: Mapping[str, ColumnSpec], lines: Mapping[str, Line], name: str, group: Sequence[Constraint]
) -> tuple[list[Place], bool]:
    """Places to try in a column, and whether they are all."""
    spec, named = columns[name], list(_named(columns, name, group))
    gaps: list[Place] = [None] if None in named else []
    named = list(dict.fromkeys(place for place in named if place is not None))
    if spec.kind == "boolean":
        return [False, True, *gaps], True
    if spec.kind == "categorical":
        if spec.values is None:
            return [ELSEWHERE, *named, *gaps], True  # values that are not named are alike
        plain = [value for value in spec.values if value not in named]
        return [*plain[:1], *named, *gaps, *([ELSEWHERE] if spec.other else [])], True
    line = lines.get(name)
    if line is None:
        return [*(named or [Fraction(0)]), *gaps], False
    if line.size <= WHOLE and line.step is not None:
        return [line.low + line.step * at for at in range(int(line.size))] + gaps, True
    step = line.step or (line.high - line.low) / 1000
    middle = line.low + (line.high - line.low) // 2 // step * step
    near = [place + shift for place in named for shift in (-step, 0, step)]
    picked = [place for place in (line.low, line.high, middle, *near) if line.low <= place <= line.high]
    return list(dict.fromkeys(picked)) + gaps, False


def _named(columns: Mapping[str, ColumnSpec], name: str, group: Sequence[Constraint]) -> Iterator[Place]:
    """Places of a column that its constraints speak of."""
    for constraint in group:
        cells: list[Cell] = []
        if isinstance(constraint, FixedCombinations | ForbiddenCombinations) and name in constraint.columns:
            cells = [row[constraint.columns.index(name)] for row in constraint.rows]
        elif isinstance(constraint, FunctionalDependency) and name in constraint.columns:
            cells = [row[constraint.columns.index(name)] for row in constraint.mapping]
        elif isinstance(constraint, NotApplicable | Range):
            cells = list(constraint.when.get(name, ()))
            if name == constraint.column:
                cells += [constraint.value] if isinstance(constraint, NotApplicable) else []
                ends = (constraint.min, constraint.max) if isinstance(constraint, Range) else ()
                yield from (limit_of(columns[name], end) for end in ends if end is not None)
        yield from (place_of(columns[name], cell) for cell in cells)


def _implied(
    name: str, row: Mapping[str, Place], group: Sequence[Constraint], lines: Mapping[str, Line]
) -> Iterator[Place]:
    """Places on a large line that the columns tried before point to."""
    line = lines.get(name)
    if line is None:
        return
    step = line.step or Fraction(0)
    for constraint in group:
        others = [row.get(other) for other in constraint.columns if other != name]
        if name not in constraint.columns or any(not isinstance(at, Fraction) for at in others):
            continue
        if isinstance(constraint, Inequality):
            (at,) = others
            yield from (p for p in (at, at + step, at - step) if line.low <= p <= line.high)  # type: ignore[operator]
        if isinstance(constraint, Sum):
            rest = sum(row[part] for part in constraint.parts if part != name)
            place = rest if name == constraint.total else row[constraint.total] - rest
            if line.low <= place <= line.high:
                yield place
