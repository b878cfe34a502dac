"""The loops over records, compiled by Numba and cached on disk; the only file that imports it.

A record's next code depends on the residuals that the record before has changed, so the loop cannot be vectorised over
records. What can be is the loop over a column's codes: every residual table is kept twice, once with each of its two
columns innermost, so that the costs of all codes of a column are consecutive numbers.

All kernels are functions of their arrays: permutations, uniforms and proposals are drawn by the caller's Generator, and
nothing here holds a random state. Import this module only where records are moved: it costs about half a second.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

BELOW_ONE = np.float32(1 - 2**-24)
"""The largest float32 below 1, to which uniform numbers are cut: rounding makes 1 of them once in 30 million moves."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def count_pairs(records: Array, left: Array, right: Array, sizes: Array, starts: Array, out: Array) -> None:
    """Add the pair tables of all records to `out`.

    Args:
        records: codes, int16, shape (records, columns).
        left: the first column of each table, int64, shape (tables,).
        right: its second column, same shape.
        sizes: codes of each column, int64, shape (columns,).
        starts: where each table, shape (sizes[left], sizes[right]), begins in `out`.
        out: flat counts.
    """
    for table in range(len(left)):
        a, b, start, width = left[table], right[table], starts[table], sizes[right[table]]
        for record in range(records.shape[0]):
            out[start + records[record, a] * width + records[record, b]] += 1


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def move_column(
    records: Array,
    column: int,
    others: Array,
    own: Array,
    mirror: Array,
    weights: Array,
    residual: Array,
    base: Array,
    strength: float,
    order: Array,
    uniform: Array,
) -> None:
    """One Gibbs move of a column in every record: its exact conditional given all other codes.

    Args:
        records: codes, int16, shape (records, columns); changed.
        column: the column that moves.
        others: the other column of each table that holds this one, int64, shape (tables,).
        own: where the table with this column innermost begins in `residual`.
        mirror: where the same table with the other column innermost begins, and that column's number of codes;
            int64, shape (tables, 2).
        weights: 1 / variance of each table, float32.
        residual: (count - target) * weight of every cell, float32; changed.
        base: cost of each code before any table is asked, float32, shape (codes,).
        strength: factor of the tables' cost.
        order: the records in the order of their moves, int64.
        uniform: a uniform number for each move.
    """
    size, tables = len(base), len(others)
    cost = np.empty(size, np.float32)
    itself = np.float32(0.0)
    for q in range(tables):
        itself += weights[q]
    for k in range(len(order)):
        i = order[k]
        before = records[i, column]
        cost[:] = 0.0
        for q in range(tables):
            start = own[q] + records[i, others[q]] * size
            for code in range(size):
                cost[code] += residual[start + code]
        cost[before] -= itself  # the residuals count the record where it was
        for code in range(size):
            cost[code] = base[code] + np.float32(strength) * cost[code]
        lowest = cost.min()
        mass = np.float32(0.0)
        for code in range(size):
            mass += np.float32(math.exp(lowest - cost[code]))
            cost[code] = mass
        point = min(np.float32(uniform[k]), BELOW_ONE) * mass  # less than mass: a code without mass is never taken
        after = 0
        while after < size - 1 and cost[after] <= point:
            after += 1
        if after == before:
            continue
        records[i, column] = after
        _shift(records[i], others, own, mirror, weights, residual, size, before, after)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def move_pair(
    records: Array,
    first: int,
    second: int,
    tables_first: tuple[Array, Array, Array, Array],
    tables_second: tuple[Array, Array, Array, Array],
    residual: Array,
    base_first: Array,
    base_second: Array,
    log_density: Array,
    strength: float,
    order: Array,
    uniform: Array,
    proposals: Array,
) -> None:
    """One joint move of two columns in every record, by independent proposals.

    The candidates are the current codes and draws from a fixed density q; each is taken in proportion to
    exp(-cost) / q, which leaves the target density invariant (multiple-proposal independence sampler, Tjelmeland 2004).

    Args:
        records: codes, int16, shape (records, columns); changed.
        first: one of the columns that move.
        second: the other.
        tables_first: others, own, mirror and weights of `first`, as in `move_column`.
        tables_second: those of `second`. The table of the two columns themselves is in both and read once.
        residual: as in `move_column`; changed.
        base_first: cost of each code of `first` before any table is asked.
        base_second: the same of `second`.
        log_density: log q, float32, shape (codes of first, codes of second).
        strength: factor of the tables' cost.
        order: the records in the order of their moves.
        uniform: a uniform number for each move.
        proposals: draws from q as flat cells of `log_density`, int64, shape (records, candidates).
    """
    others_a, own_a, mirror_a, weights_a = tables_first
    others_b, own_b, mirror_b, weights_b = tables_second
    size_a, size_b = len(base_first), len(base_second)
    candidates = proposals.shape[1] + 1
    codes_a, codes_b = np.empty(candidates, np.int64), np.empty(candidates, np.int64)
    cost = np.empty(candidates, np.float64)
    for k in range(len(order)):
        i = order[k]
        before_a, before_b = int(records[i, first]), int(records[i, second])
        codes_a[0], codes_b[0] = before_a, before_b
        for c in range(1, candidates):
            codes_a[c], codes_b[c] = proposals[k, c - 1] // size_b, proposals[k, c - 1] % size_b
        cost[:] = 0.0
        for q in range(len(others_a)):
            joint = others_a[q] == second
            start = own_a[q] + records[i, others_a[q]] * size_a
            for c in range(candidates):
                if joint:
                    cost[c] += residual[own_a[q] + codes_b[c] * size_a + codes_a[c]]
                    if codes_a[c] == before_a and codes_b[c] == before_b:
                        cost[c] -= weights_a[q]
                else:
                    cost[c] += residual[start + codes_a[c]]
                    if codes_a[c] == before_a:
                        cost[c] -= weights_a[q]
        for q in range(len(others_b)):
            if others_b[q] == first:
                continue
            start = own_b[q] + records[i, others_b[q]] * size_b
            for c in range(candidates):
                cost[c] += residual[start + codes_b[c]]
                if codes_b[c] == before_b:
                    cost[c] -= weights_b[q]
        for c in range(candidates):
            prior = base_first[codes_a[c]] + base_second[codes_b[c]] + log_density[codes_a[c], codes_b[c]]
            cost[c] = prior + strength * cost[c]
        lowest = cost.min()
        mass = 0.0
        for c in range(candidates):
            mass += math.exp(lowest - cost[c])
            cost[c] = mass
        point = uniform[k] * mass
        taken = 0
        while taken < candidates - 1 and cost[taken] <= point:
            taken += 1
        after_a, after_b = codes_a[taken], codes_b[taken]
        if after_a != before_a:
            records[i, first] = after_a
            _shift(records[i], others_a, own_a, mirror_a, weights_a, residual, size_a, before_a, after_a)
        if after_b != before_b:
            records[i, second] = after_b
            _shift(records[i], others_b, own_b, mirror_b, weights_b, residual, size_b, before_b, after_b)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _shift(
    record: Array,
    others: Array,
    own: Array,
    mirror: Array,
    weights: Array,
    residual: Array,
    size: int,
    before: int,
    after: int,
) -> None:
    """Move one record from a column's code `before` to `after` in all residuals."""
    for q in range(len(others)):
        other = record[others[q]]
        start, width = own[q] + other * size, mirror[q, 1]
        residual[start + before] -= weights[q]
        residual[start + after] += weights[q]
        residual[mirror[q, 0] + before * width + other] -= weights[q]
        residual[mirror[q, 0] + after * width + other] += weights[q]
