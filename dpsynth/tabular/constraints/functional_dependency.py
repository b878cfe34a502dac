"""Determinants that fix a dependent column: one mapping for all rows of all samples of a model.

What the declaration does not map is learned once, when the model is fitted, from records that follow its released
tables, so it is post-processing. One determinant is mapped value by value. A value with a model code of its own takes
the likeliest dependent code; values that share a merged code are spread over its dependent codes by quantiles, so that
the dependent's frequencies stay. Two or three determinants are mapped by their combination of model codes, from the
records that hold it and, where those are few, from the determinant that tells most. Inside a dependent code, values are
given out by quantiles of their noisy counts.

Not guaranteed: that the mapping is the private table's. With noise, or where codes are merged, some values get another
partner; the sample is consistent all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.schema.constraints import FunctionalDependency
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.decoding import shrunken_counts
from dpsynth.tabular.constraints.allowed import Allowed, Codes, Lists, Mask
from dpsynth.tabular.constraints.draw import cell_ends
from dpsynth.tabular.constraints.rule import COUNTABLE, Columns, Decoded, Tuples
from dpsynth.tabular.forests.tree import Pair, Vector

PRIOR = 2.0
"""Records that the best single determinant counts for beside those of a combination."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FunctionalDependencyRule:
    """A mapping over domains.

    Attributes:
        determinant: one to three columns.
        dependent: the column that they fix.
        known: numbers of the declared determinants.
        values: domain code of the dependent for each of them.
        learned: dependent's domain code (-1: missing) by determinant: of one, by its domain code; of several, by their
            model codes in mixed radix. None before the fit.
        binnings: of the determinants.
    """

    determinant: tuple[str, ...]
    dependent: str
    known: Tuples
    values: Codes
    learned: Codes | None
    binnings: tuple[Binning, ...]

    @classmethod
    def of(cls, constraint: FunctionalDependency, columns: Columns, learned: Codes | None) -> FunctionalDependencyRule:
        """The rule of a declared dependency, with what was learned before."""
        rows = np.zeros((len(constraint.mapping), len(constraint.columns)), dtype=np.int64)
        for at, name in enumerate(constraint.columns):
            rows[:, at] = columns.codes(name, [row[at] for row in constraint.mapping])
        rows = rows[(rows >= 0).all(axis=1)]
        determinant = tuple(columns.binnings[name] for name in constraint.determinant)
        if learned is not None:
            _check(learned, determinant, columns.domain(constraint.dependent).size)
        known = Tuples(rows[:, :-1])
        values = np.zeros(known.count, dtype=np.int64)
        values[known.numbers] = rows[:, -1]
        return cls(
            determinant=constraint.determinant,
            dependent=constraint.dependent,
            known=known,
            values=values,
            learned=learned,
            binnings=determinant,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Determinants, then the dependent."""
        return (*self.determinant, self.dependent)

    @property
    def order(self) -> tuple[Pair, ...]:
        """Determinants come first."""
        return tuple((name, self.dependent) for name in self.determinant)

    def mapped(self, held: Sequence[Codes]) -> tuple[Codes, Mask]:
        """The dependent's domain code for rows of determinants, -1 missing, and for which rows it is fixed."""
        present = np.logical_and.reduce([codes >= 0 for codes in held])
        found = self.known.find(held)
        declared = present & (found >= 0)
        out = np.full(len(found), -1, dtype=np.int64)
        out[declared] = self.values[found[declared]]
        if self.learned is not None:
            rest = present & ~declared
            out[rest] = self.learned[_keys(self.binnings, [codes[rest] for codes in held])]
            declared = present
        return out, declared

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """The mapped value, or missing."""
        if self.determinant == (name,) and self.dependent in decoded.values:
            self._narrow_backwards(decoded.values[self.dependent], allowed)
        if name != self.dependent or any(column not in decoded.values for column in self.determinant):
            return
        values, fixed = self.mapped([decoded.values[column] for column in self.determinant])
        allowed.exactly(values, fixed & (values >= 0))
        allowed.missing |= fixed & (values < 0)

    def _narrow_backwards(self, dependent: Codes, allowed: Allowed) -> None:
        """Determinants that are mapped to what a dependent, decoded first, holds; or a missing one."""
        everything = np.arange(self.binnings[0].oneway.cells.domain.size)
        values, fixed = self.mapped([everything])
        held, number = np.unique(dependent, return_inverse=True)
        at = np.minimum(np.searchsorted(held, values), len(held) - 1)
        fits = fixed & (held[at] == values)
        allowed.among(np.where(dependent >= 0, number, -1), Lists.of(at[fits], everything[fits], len(held)))

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Of one determinant: codes of the dependent that no value of its code is mapped to."""
        name, *others = self.determinant
        domain = columns.domain(name)
        if others or domain.size > COUNTABLE:
            return
        values, fixed = self.mapped([np.arange(domain.size)])
        binning = columns.binnings[self.dependent]
        codes = np.append(binning.code_of, binning.size)[binning.oneway.cells.of_codes(values)]
        of_code = columns.of_code(name)[:-1]
        forbidden = np.ones((columns.binnings[name].size + 1, binning.size + 1), dtype=bool)
        forbidden[of_code, codes] = False
        forbidden[of_code[~fixed]] = False
        forbidden[-1] = False
        forbidden[:, -1] = False
        yield (name, self.dependent), forbidden


def learn(
    determinant: Sequence[Binning], dependent: Binning, records: Sequence[Codes], outcomes: Codes
) -> NDArray[np.int64]:
    """The dependent's domain code, -1 for missing, by determinant; see the module.

    Args:
        determinant: codes of each determinant.
        dependent: codes of the dependent.
        records: model codes of the determinants in records of the fitted model, `size` for missing, each (records,).
        outcomes: model codes of the dependent in them.
    """
    if len(determinant) == 1:
        codes, weights = _codes_of_values(determinant[0], _table(records[0], outcomes, determinant[0], dependent))
    else:
        codes, weights = _codes_of_combinations(determinant, dependent, records, outcomes)
    return _values_inside(dependent, codes, weights)


def _check(learned: Codes, determinant: Sequence[Binning], size: int) -> None:
    """A mapping read from a file belongs to these columns."""
    one = len(determinant) == 1
    wanted = determinant[0].oneway.cells.domain.size if one else math.prod(binning.size for binning in determinant)
    if learned.shape != (wanted,) or (learned < -1).any() or (learned >= size).any():
        raise ParameterError("A learned functional dependency is of other columns than the model.")


def _keys(binnings: Sequence[Binning], held: Sequence[Codes]) -> Codes:
    """Where rows of domain codes, none missing, stand in `learned`."""
    if len(binnings) == 1:
        return held[0]
    codes = [binning.code_of[binning.oneway.cells.of_codes(c)] for binning, c in zip(binnings, held, strict=True)]
    return np.ravel_multi_index(codes, [binning.size for binning in binnings])


def _table(records: Codes, outcomes: Codes, left: Binning, right: Binning) -> Vector:
    """Records by code and outcome, shape (codes of left, codes of right + 1): rows of missing determinants left out."""
    width = right.size + 1
    counts = np.bincount(records * width + outcomes, minlength=(left.size + 1) * width)
    return counts.reshape(left.size + 1, width)[:-1].astype(np.float64)


def _codes_of_values(binning: Binning, table: Vector) -> tuple[Codes, Vector]:
    """Dependent code of each domain code of a determinant, and the determinant's expected share."""
    cells = binning.oneway.cells
    held = cells.of_codes(np.arange(cells.domain.size))
    weights = (shrunken_counts(binning) / np.maximum(np.bincount(held, minlength=cells.size), 1))[held] + 1e-9
    of_code = binning.code_of[held]
    everyone = table.sum(axis=0) + 1e-9
    table = np.where(table.sum(axis=1, keepdims=True) > 0, table, everyone)
    codes = np.argmax(table, axis=1)[of_code]
    for code in np.flatnonzero(np.bincount(of_code, minlength=binning.size) > 1):
        values = np.flatnonzero(of_code == code)
        codes[values] = coupled(weights[values], table[code])
    return codes, weights


def _codes_of_combinations(
    determinant: Sequence[Binning], dependent: Binning, records: Sequence[Codes], outcomes: Codes
) -> tuple[Codes, Vector]:
    """Dependent code of each combination of codes, and how many records hold it."""
    sizes = [binning.size for binning in determinant]
    tables = [_table(r, outcomes, b, dependent) for r, b in zip(records, determinant, strict=True)]
    told = [float(table.max(axis=1).sum()) for table in tables]
    best = int(np.argmax(told))
    shares = tables[best] + 1e-6 * (tables[best].sum(axis=0) + 1e-9)
    shares = shares / shares.sum(axis=1, keepdims=True)
    digits = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    codes = np.argmax(shares, axis=1)[digits[best]]
    present = np.logical_and.reduce([r < size for r, size in zip(records, sizes, strict=True)])
    keys = np.ravel_multi_index([r[present] for r in records], sizes)
    seen, number = np.unique(keys, return_inverse=True)
    width = dependent.size + 1
    counts = np.bincount(number * width + outcomes[present], minlength=len(seen) * width).reshape(len(seen), width)
    codes[seen] = np.argmax(counts + PRIOR * shares[digits[best][seen]], axis=1)
    return codes.astype(np.int64), (np.bincount(keys, minlength=len(codes)) + 1e-9).astype(np.float64)


def _values_inside(binning: Binning, codes: Codes, weights: Vector) -> Codes:
    """A domain code for each given model code: inside a code, given out by quantiles of the cells' noisy counts."""
    counts = shrunken_counts(binning)
    lows, highs = cell_ends(binning.oneway.cells)
    values = np.full(len(codes), -1, dtype=np.int64)
    for code in np.unique(codes[codes < binning.size]):
        rows = np.flatnonzero(codes == code)
        held = np.flatnonzero(binning.code_of == code)
        first, last = lows[held], highs[held]
        at = coupled(weights[rows], counts[held] + 1e-9)
        rank = np.arange(len(rows)) - np.searchsorted(at, at)  # `at` ascends: rows of one cell stand together
        share = (rank + 0.5) / np.bincount(at, minlength=len(held))[at]
        values[rows] = np.minimum(first[at] + np.floor(share * (last - first + 1)[at]).astype(np.int64), last[at])
    return values


def coupled(left: Vector, right: Vector) -> Codes:
    """For each entry of `left` one of `right`, in order: the one that holds its middle, with both summing to one.

    >>> coupled(np.array([1.0, 1.0, 2.0]), np.array([3.0, 3.0])).tolist()
    [0, 0, 1]
    """
    middle = (np.cumsum(left) - left / 2) / left.sum()
    ends = np.cumsum(right) / right.sum()
    at: Codes = np.minimum(np.searchsorted(ends, middle, side="right"), len(right) - 1)
    return at
