"""Exact nearest neighbours by blocked matrix products in bounded memory.

|q - r|^2 = |q|^2 + (|r|^2 - 2 q.r), and the bracket for a tile of queries and rows is one matrix product of vectors
with one more dimension. So the whole search runs at the speed of BLAS, with two tiles in memory (64 MiB each)
whatever the size of the tables. The winners' distances are recomputed in double precision from the differences, so
that equal rows have distance exactly 0 and a change of 0.01 is not lost in the rounding of the product.

>>> distances, _ = nearest(np.array([[0.0]]), np.array([[3.0], [1.0], [2.0]]))
>>> float(distances[0, 0])
1.0

Not guaranteed: among neighbours whose squared distances agree to about 1e-6 of the squared norms, which one is named.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TILE_ROWS = 8192
TILE_QUERIES = 2048


def nearest(
    queries: NDArray[np.floating], rows: NDArray[np.floating], *, k: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The k nearest rows of each query.

    Args:
        queries: shape (q, d).
        rows: shape (n, d); with fewer than k rows the missing neighbours are at distance infinity.
        k: neighbours per query.

    Returns:
        Distances, float64 (q, k), ascending, and row indices (q, k), -1 where there is none.
    """
    total, k_have = len(queries), min(k, len(rows))
    distances = np.full((total, k), np.inf)
    indices = np.full((total, k), -1, dtype=np.intp)
    if k_have == 0 or total == 0:
        return distances, indices
    centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)  # smaller norms, smaller rounding
    R = np.ascontiguousarray(rows, dtype=np.float32) - centre
    table = np.concatenate([-2.0 * R, np.square(R).sum(axis=1, keepdims=True)], axis=1)
    for start in range(0, total, TILE_QUERIES):
        Q = np.ascontiguousarray(queries[start : start + TILE_QUERIES], dtype=np.float32) - centre
        Q = np.concatenate([Q, np.ones((len(Q), 1), dtype=np.float32)], axis=1)
        found = _tile_winners(Q, table, k_have)
        gap = rows[found].astype(np.float64) - queries[start : start + len(Q), None, :]
        exact = np.sqrt(np.einsum("qkd,qkd->qk", gap, gap))
        order = np.argsort(exact, axis=1, kind="stable")
        distances[start : start + len(Q), :k_have] = np.take_along_axis(exact, order, axis=1)
        indices[start : start + len(Q), :k_have] = np.take_along_axis(found, order, axis=1)
    return distances, indices


def _tile_winners(Q: NDArray[np.float32], table: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Indices of the k smallest |r|^2 - 2 q.r, over tiles of rows, shape (q, k)."""
    best = np.empty((len(Q), 0), dtype=np.float32)
    found = np.empty((len(Q), 0), dtype=np.intp)
    for at in range(0, len(table), TILE_ROWS):
        part = table[at : at + TILE_ROWS]
        scores = Q @ part.T
        if k == 1:
            local = scores.argmin(axis=1)[:, None]
        elif k < len(part):
            local = np.argpartition(scores, k - 1, axis=1)[:, :k]
        else:
            local = np.broadcast_to(np.arange(len(part)), (len(Q), len(part)))
        best = np.concatenate([best, np.take_along_axis(scores, local, axis=1)], axis=1)
        found = np.concatenate([found, local + at], axis=1)
        if best.shape[1] > k:
            keep = np.argpartition(best, k - 1, axis=1)[:, :k]
            best, found = np.take_along_axis(best, keep, axis=1), np.take_along_axis(found, keep, axis=1)
    return found
