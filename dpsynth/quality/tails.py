"""Where synthetic data breaks first: combinations that few real rows have.

Every cell of every one-, two- or three-way table is put in a band by its real count: 1-9, 10-99, 100-999 rows:

    kept      share of the band's cells that occur in the synthetic table at all
    overlap   sum min(p, q) / sum p over the band: the share of the band's mass that is in the right place
    excess    sum max(q - p, 0) / sum p: synthetic mass beyond what the real table has there

and, for cells that no real row has, the *invented* share of the synthetic mass. A real table of the same
source keeps few of another's rare cells, so every figure stands beside the real holdout and beside two
random halves of the real table against each other. Cells of one to nine rows are what differential privacy
must *not* reproduce cell by cell: read kept as a description there, and overlap as the goal from ten rows
up.

Over columns and pairs both figures of each band are metrics, over triples the overlap.

The *resolution limit* is the smallest cell that noise of standard deviation sigma on each count can show at
all: with false alarms at 5 % and 80 % power it is (1.645 + 0.842) sigma rows.

>>> round(resolution_limit(10.0), 1)
24.9
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import COMPARISONS, metric_of
from dpsynth.quality.marginals import Counts, Joint
from dpsynth.quality.report import Band, Metric

BANDS: tuple[tuple[int, int], ...] = ((1, 9), (10, 99), (100, 999))
FEWEST_ROWS: Final = 30
"""Real rows in a band, over all columns or triples, below which its figures are no metric."""
PREFIXES: Final = {1: "tail1", 2: "tail", 3: "tail3"}
"""Of metrics, by the number of columns that make a cell."""
_DETECT = 1.6448536269514722 + 0.8416212335729143


def resolution_limit(sigma: float) -> float:
    """Rows that tell a cell from an empty one (5 % false alarms, 80 % power) at noise of sigma rows."""
    return _DETECT * sigma


@dataclass(frozen=True, slots=True, kw_only=True)
class BandScore:
    """One band of one comparison; None where the band has no cell.

    `unresolved` cells lie below the limit, and `excused` is the share of cells that are kept or do; `mass` is the share
    of real rows that lie in the band, a mean over tables.
    """

    cells: int
    rows: int
    unresolved: int
    mass: float
    kept: float | None
    excused: float | None
    overlap: float | None
    excess: float | None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


@dataclass(slots=True)
class TailTally:
    """Accumulates the bands of `real` against `other` over all tables of counts.

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
        self._sums = np.zeros((len(self.bands), 8))  # cells, rows, unresolved, kept, excused; real mass, common, excess

    def add(self, joint: Joint) -> None:
        """Take in one more pair (or triple) of columns."""
        self.add_counts(joint.counts[self.real], joint.counts[self.other])

    def add_counts(self, real: Counts, other: Counts) -> None:
        """Take in one more table of counts over the same cells."""
        n, m = real.sum(), other.sum()
        for row, (low, high) in enumerate(self.bands):
            cell = (real >= low) & (real <= high)
            p, q = real[cell] / n, other[cell] / m
            common, hidden = np.minimum(p, q).sum(), real[cell] < self.limit
            self._sums[row] += (
                *(cell.sum(), real[cell].sum(), hidden.sum(), (q > 0).sum(), (hidden | (q > 0)).sum()),
                *(p.sum(), common, q.sum() - common),
            )
        self._invented += float(other[real == 0].sum() / m)
        self._pairs += 1

    def score(self) -> tuple[BandScore, ...]:
        """One score a band, over the cells of all pairs."""
        return tuple(
            BandScore(
                cells=int(cells),
                rows=int(rows),
                unresolved=int(unresolved),
                mass=float(mass / max(self._pairs, 1)),
                kept=_ratio(kept, cells),
                excused=_ratio(excused, cells),
                overlap=_ratio(common, mass),
                excess=_ratio(excess, mass),
            )
            for cells, rows, unresolved, kept, excused, mass, common, excess in self._sums
        )

    def invented(self) -> float:
        """Mean over tables of the share of `other` rows in cells that `real` does not have."""
        return self._invented / self._pairs


def tallies(limit: float) -> dict[str, TailTally]:
    """An empty tally for every comparison."""
    return {key: TailTally(real=left, other=right, limit=limit) for key, (left, right) in COMPARISONS.items()}


def tail_figures(tallied: Mapping[str, TailTally], *, ways: int, limited: bool) -> tuple[list[Band], list[Metric]]:
    """Rows of the tail table, and the metrics.

    Args:
        tallied: comparison -> tally, complete.
        ways: columns that make a cell.
        limited: whether the tallies know a resolution limit.
    """
    scores = {key: tally.score() for key, tally in tallied.items()}
    bands, metrics = [], []
    for row, (low, high) in enumerate(BANDS):
        at = {key: score[row] for key, score in scores.items()}
        bands.append(_band(at, low, high, ways, limited))
        for figure in ("kept", "overlap") if ways < 3 else ("overlap",):
            if ways == 2 and not at["value"].cells:
                continue
            few = ways != 2 and at["value"].rows < FEWEST_ROWS
            by = {key: None if few else getattr(one, figure) for key, one in at.items()}
            metric = metric_of(
                f"{PREFIXES[ways]}_{figure}_{low}_{high}",
                "tails",
                by,
                better="high",
                shuffled=False,
                confidentiality="bucketed" if ways == 2 else "internal",
            )
            if figure == "kept" and metric.spread is not None:  # one cell of few is no news where redraws agree
                metric = metric.model_copy(update={"spread": max(metric.spread, 1.0 / max(at["value"].cells, 1))})
            metrics.append(metric)
    invented = {key: tally.invented() for key, tally in tallied.items()}
    if ways == 2:
        metrics.append(metric_of("invented_mass", "tails", invented, confidentiality="bucketed"))
    else:
        metrics.append(metric_of(f"invented{ways}_mass", "tails", invented, shuffled=ways > 1))
    return bands, metrics


def _band(at: Mapping[str, BandScore], low: int, high: int, ways: int, limited: bool) -> Band:
    value = at["value"]
    return Band(
        low=low,
        high=high,
        ways=ways,
        cells=value.cells,
        mass=value.mass,
        unresolved=value.unresolved if limited else None,
        kept=value.kept,
        kept_reference=at["reference"].kept,
        kept_matched=at["matched"].kept,
        kept_floor=at["floor"].kept,
        excused_matched=at["matched"].excused if limited else None,
        overlap=value.overlap,
        overlap_reference=at["reference"].overlap,
        overlap_matched=at["matched"].overlap,
        overlap_floor=at["floor"].overlap,
        excess=value.excess,
        excess_reference=at["reference"].excess,
    )
