"""What each row of a column may hold, as domain codes: an interval, lists, and whether it is missing.

A rule narrows the sets of all rows at once; `holds` tests codes against them. Sets only ever shrink, so several rules
on one column are their intersection, in any order.

>>> import numpy as np
>>> allowed = Allowed(rows=3, size=10)
>>> allowed.at_least(np.array([0, 4, 9]), np.array([True, True, False]))
>>> allowed.holds(np.array([2, 2, 2])).tolist()
[True, False, True]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lists:
    """Lists of codes, one after the other.

    Attributes:
        starts: list g is `codes[starts[g] : starts[g + 1]]`, int64, shape (lists + 1,).
        codes: int64; ascending inside each list.
    """

    starts: Codes
    codes: Codes

    @classmethod
    def of(cls, groups: Codes, codes: Codes, count: int) -> Lists:
        """From pairs (list, code), in any order, repeated or not."""
        pairs = np.unique(np.stack([groups, codes], axis=1), axis=0) if len(groups) else np.zeros((0, 2), np.int64)
        starts = np.searchsorted(pairs[:, 0], np.arange(count + 1))
        return cls(starts=starts.astype(np.int64), codes=np.ascontiguousarray(pairs[:, 1]))

    def holds(self, groups: Codes, codes: Codes) -> Mask:
        """Whether each code is in its list."""
        named = np.unique(self.codes)
        if not len(named):
            return np.zeros(len(groups), dtype=bool)
        at = np.minimum(np.searchsorted(named, codes), len(named) - 1)
        owner = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        keys = owner * len(named) + np.searchsorted(named, self.codes)
        wanted = groups * len(named) + at
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: Mask = (keys[place] == wanted) & (named[at] == codes)
        return found


@final
class Allowed:
    """The sets of all rows; everything is allowed at first.

    Args:
        rows: how many.
        size: size of the column's domain.

    Attributes:
        low, high: the interval of each row, both ends included.
        missing: rows that must be missing.
        present: rows that must not be.
        only: (list of each row or -1 for any code, the lists).
    """

    def __init__(self, rows: int, size: int) -> None:
        self.low = np.zeros(rows, dtype=np.int64)
        self.high = np.full(rows, size - 1, dtype=np.int64)
        self.missing, self.present = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        self.only: list[tuple[Codes, Lists]] = []
        self._never: list[tuple[Codes, Lists]] = []

    def at_least(self, codes: Codes, rows: Mask) -> None:
        """Codes of these rows are at least those given."""
        self.low = np.where(rows, np.maximum(self.low, codes), self.low)

    def at_most(self, codes: Codes, rows: Mask) -> None:
        """Codes of these rows are at most those given."""
        self.high = np.where(rows, np.minimum(self.high, codes), self.high)

    def exactly(self, codes: Codes, rows: Mask) -> None:
        """Codes of these rows are those given; a negative code leaves nothing."""
        self.at_least(np.where(codes < 0, np.iinfo(np.int64).max, codes), rows)
        self.at_most(codes, rows)

    def among(self, groups: Codes, lists: Lists) -> None:
        """A row of group g >= 0 holds a code of list g."""
        self.only.append((groups, lists))

    def outside(self, groups: Codes, lists: Lists) -> None:
        """A row of group g >= 0 holds no code of list g."""
        self._never.append((groups, lists))

    def holds(self, codes: Codes) -> Mask:
        """Whether each code is allowed in its row; -1 is missing."""
        gap = codes < 0
        inside = (codes >= self.low) & (codes <= self.high) & self.listed(np.arange(len(codes)), codes)
        return np.where(gap, ~self.present, inside & ~self.missing)

    def listed(self, rows: Codes, codes: Codes) -> Mask:
        """Whether codes agree with the lists of the rows given."""
        inside = np.ones(len(rows), dtype=bool)
        for wanted, kept in ((True, self.only), (False, self._never)):
            for groups, lists in kept:
                group = groups[rows]
                meant = np.flatnonzero(group >= 0)
                inside[meant] &= lists.holds(group[meant], codes[meant]) == wanted
        return inside

    def of_rows(self, rows: Codes) -> Allowed:
        """The sets of some rows."""
        made = Allowed(0, 0)
        made.low, made.high = self.low[rows], self.high[rows]
        made.missing, made.present = self.missing[rows], self.present[rows]
        made.only = [(groups[rows], lists) for groups, lists in self.only]
        made._never = [(groups[rows], lists) for groups, lists in self._never]
        return made
