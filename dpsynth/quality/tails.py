"""Where synthetic data breaks first: combinations that few real rows have.

Every cell of every two-way table is put in a band by its real count: 1-9, 10-99, 100-999 rows. Per band:

    kept      share of the band's cells that occur in the synthetic table at all
    overlap   sum min(p, q) / sum p over the band: the share of the band's mass that is in the right place
    excess    sum max(q - p, 0) / sum p: synthetic mass beyond what the real table has there

and, for cells that no real row has, the *invented* share of the synthetic mass. A real table of the same
source keeps few of another's rare cells, so every figure stands beside the real holdout and beside two
random halves of the real table against each other. Cells of one to nine rows are what differential privacy
must *not* reproduce cell by cell: read kept as a description there, and overlap as the goal from ten rows
up.

The *resolution limit* is the smallest cell that noise of standard deviation sigma on each count can show at
all: with false alarms at 5 % and 80 % power it is (1.645 + 0.842) sigma rows.

>>> round(resolution_limit(10.0), 1)
24.9
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.marginals import Counts, Joint

BANDS: tuple[tuple[int, int], ...] = ((1, 9), (10, 99), (100, 999))
_DETECT = 1.6448536269514722 + 0.8416212335729143


def resolution_limit(sigma: float) -> float:
    """Rows that tell a cell from an empty one (5 % false alarms, 80 % power) at noise of sigma rows."""
    return _DETECT * sigma


@dataclass(frozen=True, slots=True, kw_only=True)
class BandScore:
    """One band of one comparison; None where the band has no cell. `unresolved` cells lie below the limit."""

    cells: int
    unresolved: int
    kept: float | None
    overlap: float | None
    excess: float | None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


@dataclass(slots=True)
class TailTally:
    """Accumulates the bands of `real` against `other` over all pairs of columns.

    Args:
        real: name of the table whose counts make the bands.
        other: name of the table that is judged.
        limit: resolution limit in rows; cells with fewer real rows are counted as unresolved.
    """

    real: str
    other: str
    limit: float = 0.0
    bands: Sequence[tuple[int, int]] = BANDS
    _sums: NDArray[np.float64] = field(init=False)
    _invented: float = field(default=0.0, init=False)
    _pairs: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._sums = np.zeros((len(self.bands), 6))  # cells, unresolved, kept, and mass: real, common, excess

    def add(self, joint: Joint) -> None:
        """Take in one more pair of columns."""
        real: Counts = joint.counts[self.real]
        other: Counts = joint.counts[self.other]
        n, m = real.sum(), other.sum()
        for row, (low, high) in enumerate(self.bands):
            cell = (real >= low) & (real <= high)
            p, q = real[cell] / n, other[cell] / m
            common = np.minimum(p, q).sum()
            self._sums[row] += (
                *(cell.sum(), (real[cell] < self.limit).sum(), (q > 0).sum()),
                *(p.sum(), common, q.sum() - common),
            )
        self._invented += float(other[real == 0].sum() / m)
        self._pairs += 1

    def score(self) -> tuple[BandScore, ...]:
        """One score a band, over the cells of all pairs."""
        return tuple(
            BandScore(
                cells=int(cells),
                unresolved=int(unresolved),
                kept=_ratio(kept, cells),
                overlap=_ratio(common, mass),
                excess=_ratio(excess, mass),
            )
            for cells, unresolved, kept, mass, common, excess in self._sums
        )

    def invented(self) -> float:
        """Mean over pairs of the share of `other` rows in cells that `real` does not have."""
        return self._invented / self._pairs
