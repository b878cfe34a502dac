"""What a declared constraint becomes once domains are known: it narrows columns and forbids pairs of codes.

A rule is asked twice. The moves of a record table ask which pairs of codes no pair of cells could satisfy (`pairs`), so
that fitted records already obey where codes can tell. Decoding asks, column by column, what a row may still hold given
what it holds in the columns decoded before (`narrow`). A rule applies in full at the last of its columns, whichever
that is; at earlier ones it looks ahead as far as it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.schema.constraints import Cell, When
from dpsynth.schema.domain import CategoryDomain, Domain, GridDomain
from dpsynth.schema.model import ColumnSpec
from dpsynth.schema.satisfiable import place_of
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.constraints.allowed import Allowed, Codes, Lists, Mask
from dpsynth.tabular.forests.tree import Pair

ABSENT = -2
"""Code of a declared cell that the domain does not hold; of no row's."""
COUNTABLE = 1 << 20
"""Domains up to this size are looked at code by code when pairs are forbidden."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What a rule may know about columns: declared and released facts.

    Attributes:
        specs: column -> what is declared.
        binnings: column -> codes and how to leave them.
        gaps: columns that have a code for missing in the model.
    """

    specs: Mapping[str, ColumnSpec]
    binnings: Mapping[str, Binning]
    gaps: frozenset[str]

    def domain(self, name: str) -> Domain:
        """The column's domain."""
        return self.binnings[name].oneway.cells.domain

    def codes(self, name: str, cells: Sequence[Cell]) -> Codes:
        """Domain codes of declared cells: -1 for null, `ABSENT` for a cell that the domain does not hold."""
        domain, spec = self.domain(name), self.specs[name]
        if isinstance(domain, CategoryDomain):
            at = {(type(value), value): code for code, value in enumerate(domain.values)}
            return np.array([-1 if c is None else at.get((type(c), c), ABSENT) for c in cells], dtype=np.int64)
        return np.array([-1 if c is None else _tick(domain, place_of(spec, c)) for c in cells], dtype=np.int64)

    def of_code(self, name: str) -> Codes:
        """Model code of each domain code of a countable domain, missing (`size`) last."""
        binning = self.binnings[name]
        values = np.arange(self.domain(name).size)
        return np.append(binning.code_of[binning.oneway.cells.of_codes(values)], binning.size)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """Rows as far as they are decoded.

    Attributes:
        values: column -> domain codes, missing -1; in the order of decoding.
        gaps: column that is not decoded yet -> rows that will be missing in it.
    """

    values: dict[str, Codes]
    gaps: Mapping[str, Mask]

    def missing(self, name: str) -> Mask:
        """Rows that are, or by their code will be, missing in a column."""
        return self.values[name] < 0 if name in self.values else self.gaps[name]


class Rule(Protocol):
    """One constraint over known domains."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it speaks of."""

    @property
    def order(self) -> tuple[Pair, ...]:
        """(column, column that must be decoded after it)."""

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """Take from `allowed` what column `name` cannot hold, given the columns decoded already."""

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Pairs of columns, and which pairs of codes hold no allowed pair of cells.

        Masks have shape (codes of the first + 1, codes of the second + 1), missing last.
        """


@final
class Tuples:
    """Numbers of listed rows of domain codes, and the number of each given row among them.

    Args:
        rows: domain codes, shape (rows, columns); repeated rows get one number.
    """

    def __init__(self, rows: Codes) -> None:
        self._levels: list[tuple[Codes, Codes]] = []
        held = np.zeros(len(rows), dtype=np.int64)
        for column in rows.T:
            named = np.unique(column)
            keys, dense = np.unique(held * len(named) + np.searchsorted(named, column), return_inverse=True)
            self._levels.append((named, keys))
            held = dense
        self.numbers = held
        self.count = int(held.max(initial=-1)) + 1

    def find(self, columns: Sequence[Codes]) -> Codes:
        """Number of each row, -1 where it is not listed; shape (rows,)."""
        held = np.zeros(len(columns[0]), dtype=np.int64)
        listed = np.ones(len(columns[0]), dtype=bool)
        for (named, keys), codes in zip(self._levels, columns, strict=True):
            if not len(named):
                return np.full(len(codes), -1, dtype=np.int64)
            at = np.minimum(np.searchsorted(named, codes), len(named) - 1)
            wanted = held * len(named) + at
            held = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            listed &= (named[at] == codes) & (keys[held] == wanted)
        return np.where(listed, held, -1)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """The rows of `when`.

    Attributes:
        cells: column -> domain codes that meet it, ascending; -1 if missing does.
    """

    cells: Mapping[str, Codes]

    @classmethod
    def of(cls, when: When, columns: Columns) -> Condition:
        """From declared cells."""
        return cls(cells={name: np.unique(columns.codes(name, cells)) for name, cells in when.items()})

    def meets(self, decoded: Decoded) -> tuple[Mask, Mask]:
        """(rows that meet it, rows in which it is known: see `schema.constraints` on missing cells)."""
        masks = [np.isin(decoded.values[name], codes) for name, codes in self.cells.items()]
        known = [(decoded.values[name] >= 0) | (-1 in codes) for name, codes in self.cells.items()]
        return np.logical_and.reduce(masks) & np.logical_and.reduce(known), np.logical_and.reduce(known)

    def decided(self, decoded: Decoded) -> bool:
        """Whether all of its columns are decoded, as they are unless a caller asked for another order."""
        return all(name in decoded.values for name in self.cells)

    def exclude(self, name: str, rows: Mask, allowed: Allowed) -> None:
        """Let these rows of its only column not meet it: the column that it decides was decoded first."""
        codes = self.cells[name]
        held = codes[codes >= 0]
        allowed.outside(np.where(rows, 0, -1), Lists.of(np.zeros(len(held), np.int64), held, 1))
        if -1 in codes:
            allowed.present |= rows

    def of_codes(self, columns: Columns) -> tuple[str, Mask, Mask] | None:
        """(column, codes of which all cells meet it, codes of which none do), missing last; None for several columns.

        A missing cell that the condition does not name is in neither.
        """
        if len(self.cells) != 1:
            return None
        ((name, codes),) = self.cells.items()
        if columns.domain(name).size > COUNTABLE:
            return None
        of_code = columns.of_code(name)
        every = np.bincount(of_code, minlength=columns.binnings[name].size + 1)
        meant = np.bincount(of_code[codes[codes >= -1]], minlength=len(every))
        never = meant == 0
        never[-1] = False
        return name, meant == every, never


def position_span(domain: Domain, low: Codes, high: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of the ends of intervals of grid codes, as doubles rounded outwards."""
    if not isinstance(domain, GridDomain):
        return np.zeros(len(low)), np.zeros(len(low))
    scale = float(domain.scale)
    ends = [(codes.astype(np.float64) + domain.low) * scale for codes in (low, high)]
    return ends[0] - np.abs(ends[0]) * 1e-12, ends[1] + np.abs(ends[1]) * 1e-12


def grid_of(columns: Columns, name: str) -> GridDomain:
    """The domain of a number, date or datetime."""
    domain = columns.domain(name)
    if not isinstance(domain, GridDomain):
        raise TypeError(f"column {name!r} has no grid")
    return domain


def converted(codes: Codes, source: GridDomain, target: GridDomain, *, up: bool) -> tuple[Codes, Mask]:
    """Codes of `target` at the values of codes of `source`, rounded up or down, and where that is exact.

    Integers of any size where 64 bits would overflow; clipped to one code beyond the ends of the target.
    """
    ratio = Fraction(source.scale) / Fraction(target.scale)
    largest = max(abs(source.low), abs(source.high)) * max(ratio.numerator, 1)
    ticks = codes + source.low if largest < 2**62 else codes.astype(object) + source.low
    product = ticks * ratio.numerator
    whole = product // ratio.denominator
    exact = whole * ratio.denominator == product
    rounded = np.where(exact, whole, whole + 1) if up else whole
    clipped = np.clip(rounded, target.low - 1, target.high + 1) - target.low
    return clipped.astype(np.int64), exact.astype(bool)


def all_but_whole_rows(forbidden: Mask) -> Mask:
    """Forbidden pairs without codes that would be left no partner at all: there the decoder decides."""
    forbidden = forbidden & ~forbidden.all(axis=1, keepdims=True)
    kept: Mask = forbidden & ~forbidden.all(axis=0, keepdims=True)
    return kept


def lists_by(numbers: Codes, codes: Codes, count: int) -> Lists:
    """Lists of codes by number, entries with a negative code left out."""
    kept = codes >= 0
    return Lists.of(numbers[kept], codes[kept], count)


def _tick(domain: GridDomain, place: Fraction) -> int:
    tick = place / domain.scale
    whole = round(tick)
    return whole - domain.low if tick == whole and domain.low <= whole <= domain.high else ABSENT
