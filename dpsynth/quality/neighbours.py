"""Precision, recall, density and coverage of points, in memory that the number of points does not square.

A real point's ball reaches to its k-th nearest real neighbour. *Precision* is the share of synthetic points in some
real ball, *recall* the share of real points in some synthetic ball (Kynkäänniemi et al. 2019); *density* counts how
many real balls hold a synthetic point, over k, and *coverage* is the share of real balls that hold one (Naeem et al.
2020). Fifty texts repeated keep their precision and lose recall and coverage; noise loses precision.

Distances are computed by blocks of at most 32 MiB, in single precision where the points are; what is nearer to a ball's
edge than rounding shows counts as on it. Equal to the package `prdc`, whose memory is quadratic.

>>> rng = np.random.default_rng(0)
>>> a, b = rng.normal(size=(2, 200, 3))
>>> prdc(a, b).coverage > 0.9, prdc(a, b[:1].repeat(200, axis=0)).coverage < 0.1
(True, True)

Not guaranteed: in an embedding that does not see word order, neither do these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]
NEAREST = 5
_BLOCK = 1 << 22
"""Most distances held at once: 32 MiB."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prdc:
    """The four figures; density has no upper bound, the others are shares."""

    precision: float
    recall: float
    density: float
    coverage: float


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cloud:
    """Points, float32 or float64 (n, d), and how far the nearest others of each are, which is found once."""

    points: Points
    _near: dict[int, Points] = field(default_factory=dict)

    @classmethod
    def of(cls, points: Points | Cloud) -> Cloud:
        """These points; a cloud is itself."""
        if isinstance(points, Cloud):
            return points
        found = np.asarray(points)
        return cls(found if found.dtype == np.float32 else found.astype(np.float64))

    def __len__(self) -> int:
        return len(self.points)

    def reach(self, nearest: int) -> Points:
        """Squared distance of each point to its k-th nearest other one, shape (n,), of the precision of the points."""
        most = min(max(nearest, NEAREST), len(self) - 1)
        if most not in self._near:
            found = np.empty((len(self), most + 1), dtype=self.points.dtype)
            for rows, distances in _blocks(self.points, self.points):
                at = np.arange(rows.start, rows.stop)
                distances[at - rows.start, at] = -1.0  # itself comes first, whatever was rounded
                found[rows] = np.sort(np.partition(distances, most, axis=1)[:, : most + 1], axis=1)
            self._near[most] = np.maximum(found, 0.0)
        return self._near[most][:, nearest]

    @property
    def rounding(self) -> float:
        """What a squared distance may be wrong by: copies in single precision lie some 1e-7 apart."""
        sizes = (self.points * self.points).sum(axis=1)
        return float(16 * np.finfo(self.points.dtype).eps * np.max(sizes, initial=0.0))


def prdc(real: Points | Cloud, synthetic: Points | Cloud, nearest: int = NEAREST) -> Prdc:
    """Precision, recall, density, coverage.

    Args:
        real: shape (n, d).
        synthetic: shape (m, d).
        nearest: k; balls shrink to what there is if a set has fewer than k + 1 points.
    """
    left, right = Cloud.of(real), Cloud.of(synthetic)
    k = min(nearest, len(left) - 1, len(right) - 1)
    ours, theirs = (side.reach(k) - side.rounding for side in (left, right))
    precise = np.zeros(len(right), dtype=bool)
    recalled, covered = np.zeros(len(left), dtype=bool), np.zeros(len(left), dtype=bool)
    inside = 0
    for rows, distances in _blocks(left.points, right.points):
        within = distances < ours[rows, None]
        precise |= within.any(axis=0)
        covered[rows] = within.any(axis=1)
        inside += int(within.sum())
        recalled[rows] = (distances < theirs).any(axis=1)
    return Prdc(
        precision=float(precise.mean()),
        recall=float(recalled.mean()),
        density=inside / (max(k, 1) * len(right)),
        coverage=float(covered.mean()),
    )


def spread(unit_points: Points | Cloud) -> float:
    """Mean of 1 - cosine of each point with its nearest other one; 0 if each has a twin."""
    cloud = Cloud.of(unit_points)
    if len(cloud) < 2:
        return 0.0
    apart = cloud.reach(1)
    return float(np.minimum(np.where(apart <= cloud.rounding, 0.0, apart) / 2, 1.0).mean(dtype=np.float64))


def vendi(unit_points: Points) -> float:
    """Effective number of modes: exp of the entropy of the eigenvalues of K / n, K the cosines (Friedman, Dieng 2023).

    K / n has the eigenvalues of X'X / n, which is only as large as the embedding is wide. 1 if all points are one.
    """
    x = np.asarray(unit_points, dtype=np.float64)
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    some = values[values > 1e-12]
    some = some / some.sum() if len(some) else np.ones(1)
    return float(np.exp(-(some * np.log(some)).sum()))


def _blocks(left: Points, right: Points) -> Iterator[tuple[slice, Points]]:
    """Squared Euclidean distances of some rows of `left` to all of `right`."""
    step = max(1, _BLOCK // max(len(right), 1))
    sizes = (right * right).sum(axis=1)
    for at in range(0, len(left), step):
        some = left[at : at + step]
        distances = some @ right.T
        distances *= -2.0
        distances += (some * some).sum(axis=1)[:, None]
        distances += sizes
        yield slice(at, at + len(some)), np.maximum(distances, 0.0, out=distances)
