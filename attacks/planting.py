"""Which planted rows can matter: those that are nearer to a target than its nearest released row.

A positive control plants some of the members again and again, and each time asks for the nearest row of every target.
Few members are nearer to a target than a large release already is: itself, if it is a member, and hardly another. So
these pairs are found once, by one product of all targets with all that may be planted, and a planting looks at its own
among them. Which pairs are kept is decided by distances in double precision, so nothing is lost.

>>> near = nearer(np.array([[0.0], [5.0]]), np.array([[1.0], [4.5], [9.0]]), np.array([2.0, 0.1]), most=10)
>>> near.query.tolist(), near.row.tolist(), near.distance.tolist()
([0], [0], [1.0])

Not guaranteed: a gain where a release is far from everybody; with more than `most` pairs there is none, and None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.neighbours import TILE_QUERIES, TILE_ROWS

MOST = 1 << 21
"""Most pairs of one fold that are held, 32 MiB."""
SLACK = 2e-4
"""What rounding may take from a squared distance, in units of the largest squared norm and one; see `search`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Pairs of a target and a row, and how far they are apart."""

    query: NDArray[np.intp]
    row: NDArray[np.intp]
    distance: NDArray[np.float64]

    def among(self, rows: NDArray[np.bool_]) -> Near:
        """The pairs with one of these rows."""
        kept = np.flatnonzero(rows[self.row])
        return Near(query=self.query[kept], row=self.row[kept], distance=self.distance[kept])

    def lowered(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances to the nearest row, where these were before."""
        found = distance.copy()
        np.minimum.at(found, self.query, self.distance)
        return found


def nearer(
    queries: NDArray[np.floating], rows: NDArray[np.floating], limits: NDArray[np.float64], *, most: int = MOST
) -> Near | None:
    """All pairs that are nearer than the query's limit; None if there are more than `most`.

    Args:
        queries: shape (q, d).
        rows: shape (n, d).
        limits: distances, shape (q,); may be infinite.
        most: pairs that may be held.
    """
    centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32) if len(rows) else np.float32(0.0)
    moved = np.ascontiguousarray(rows, dtype=np.float32) - centre
    table = np.concatenate([-2.0 * moved, np.square(moved).sum(axis=1, keepdims=True)], axis=1)
    largest = float(table[:, -1].max(initial=0.0))
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]] = []
    total = 0
    for first in range(0, len(queries), TILE_QUERIES):
        own = np.ascontiguousarray(queries[first : first + TILE_QUERIES], dtype=np.float32) - centre
        norms = np.square(own).sum(axis=1, keepdims=True)
        slack = SLACK * (1.0 + max(largest, float(norms.max(initial=0.0))))
        limit = np.square(limits[first : first + TILE_QUERIES]) + slack
        with_one = np.concatenate([own, np.ones_like(norms)], axis=1)
        for at in range(0, len(rows), TILE_ROWS):
            squares = with_one @ table[at : at + TILE_ROWS].T + norms
            query, row = np.nonzero(squares < limit[:, None])
            if total + len(query) > most:
                return None
            query, row = query + first, row + at
            gap = rows[row].astype(np.float64) - queries[query]
            distance = np.sqrt(np.einsum("pd,pd->p", gap, gap))
            kept = np.flatnonzero(distance < limits[query])
            found.append((query[kept], row[kept], distance[kept]))
            total += len(kept)
    if not found:
        nothing = np.zeros(0, dtype=np.intp)
        return Near(query=nothing, row=nothing, distance=np.zeros(0))
    query, row, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    return Near(query=query, row=row, distance=distance)
