"""The loops over records, compiled by Numba and cached on disk; the only file that imports it.

A record's next code depends on the residuals that the record before has changed, so the loop cannot be vectorised over
records. What can be is the loop over a column's codes: every residual table is kept once for each of its columns, with
that column innermost, so that the costs of all codes of a column are consecutive numbers. Tables that merge a column's
codes in the same way are summed before they are spread to the codes. The exponential is a polynomial, since a call
for every code would cost more than all tables together.

All kernels are functions of their arrays: orders, uniforms and proposals are drawn by the caller's Generator, and
nothing here holds a state, so threads may run them on tables of their own. Import this module only where records are
moved: it costs about half a second. `Held`, the tables of a column, is described in `residuals`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dpsynth.tabular.records.residuals import Held

Array = NDArray[Any]

U = np.uint64
"""Of indices in inner loops: a signed one may count from the end, and the test for that keeps a loop from being
vectorised, which costs a third of a sweep."""

BLOCK = 2048
"""Records that are counted into all tables before the next, so that they stay in cache."""

LOG2E = np.float32(math.log2(math.e))
HALF = np.float32(0.5)
LEAST_EXPONENT = np.float32(-127)
"""2^-127 has the bits of 0: a code that costs 88 more than the best has no mass at all."""
C0, C1, C2, C3, C4, C5, C6 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(7))
"""Taylor coefficients of 2^x, which on [-1/2, 1/2] err by 2e-7 of the value at most."""


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
    for begin in range(0, records.shape[0], BLOCK):
        end = min(begin + BLOCK, records.shape[0])
        for q in range(len(left)):
            a, b, start, width = left[q], right[q], starts[q], sizes[right[q]]
            for i in range(begin, end):
                out[U(start + records[i, a] * width + records[i, b])] += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def count_cells(records: Array, tables: Array, maps: Array, out: Array) -> None:
    """Add the tables of all records to `out`.

    Args:
        records: codes, int16, shape (records, columns).
        tables: of each table its three columns (missing ones are the constant column), where their maps begin in
            `maps`, where the table begins in `out`, and the strides of its columns; int64, shape (tables, 10).
        maps: code -> coarse code, int16; the identity at 0.
        out: flat counts.
    """
    for begin in range(0, records.shape[0], BLOCK):
        end = min(begin + BLOCK, records.shape[0])
        for q in range(len(tables)):
            a, b, c, map_a, map_b, map_c, start, step_a, step_b, step_c = tables[q]
            if map_a == 0 and map_b == 0 and step_c == 0:
                for i in range(begin, end):
                    out[U(start + records[i, a] * step_a + records[i, b] * step_b)] += 1
                continue
            for i in range(begin, end):
                at = start + maps[map_a + records[i, a]] * step_a + maps[map_b + records[i, b]] * step_b
                out[U(at + maps[map_c + records[i, c]] * step_c)] += 1


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def move_column(
    records: Array,
    column: int,
    held: Held,
    maps: Array,
    residual: Array,
    base: Array,
    strength: float,
    order: Array,
    uniform: Array,
) -> None:
    """One Gibbs move of a column in every record of `order`: its exact conditional given all other codes.

    Args:
        records: codes, int16, shape (records, columns); changed.
        column: the column that moves.
        held: the tables that hold it.
        maps: code -> coarse code, int16.
        residual: (count - target) * weight of every cell, float32; changed.
        base: cost of each code before any table is asked, float32, shape (codes,).
        strength: factor of the tables' cost.
        order: the records in the order of their moves, int64.
        uniform: a number in [0, 1) for each move; float32, so that none rounds to 1 and a code without mass is never
            taken.
    """
    others, maps_at, cells, groups, weights = held.others, held.maps_at, held.cells, held.groups, held.weights
    size, scale = len(base), np.float32(strength)
    cost, coarse = np.empty(size, np.float32), np.empty(size, np.float32)
    bits = np.empty(size, np.int32)
    powers = bits.view(np.float32)
    itself = np.zeros(len(groups), np.float32)
    for g in range(len(groups)):
        for q in range(groups[g, 0], groups[g, 1]):
            itself[g] += weights[q]
    for k in range(len(order)):
        i = U(order[k])
        before = records[i, column]
        for code in range(size):
            cost[code] = 0.0
        for g in range(len(groups)):
            first, end, width, own = groups[g, 0], groups[g, 1], groups[g, 2], groups[g, 3]
            into = cost
            if own:
                into = coarse
                for code in range(width):
                    coarse[code] = 0.0
            for q in range(first, end):
                start = cells[q, 0, 0] + maps[U(maps_at[q, 1] + records[i, U(others[q, 0])])] * cells[q, 0, 2]
                if cells[q, 0, 3]:  # a third column
                    start += maps[U(maps_at[q, 2] + records[i, U(others[q, 1])])] * cells[q, 0, 3]
                for code in range(width):
                    into[code] += residual[U(start + code)]
            into[maps[own + before]] -= itself[g]  # the residuals count the record where it was
            if own:
                for code in range(size):
                    cost[code] += coarse[maps[own + code]]
        lowest = np.float32(np.inf)
        for code in range(size):
            cost[code] = base[code] + scale * cost[code]
            lowest = min(lowest, cost[code])
        # exp(lowest - cost) = 2^whole * 2^part; the polynomial is that of 2^part on [-1/2, 1/2], to float32
        for code in range(size):
            exponent = max((lowest - cost[code]) * LOG2E, LEAST_EXPONENT)
            whole = np.int32(exponent - HALF)
            part = exponent - np.float32(whole)
            bits[code] = (whole + np.int32(127)) << np.int32(23)
            cost[code] = C0 + part * (C1 + part * (C2 + part * (C3 + part * (C4 + part * (C5 + part * C6)))))
        mass = np.float32(0.0)
        for code in range(size):
            mass += cost[code] * powers[code]
            cost[code] = mass
        point = uniform[k] * mass
        after = 0
        for code in range(size - 1):
            after += cost[code] <= point
        if after != before:
            records[i, column] = after
            _shift(records, i, held, maps, residual, before, after)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def propose_column(
    records: Array,
    column: int,
    held: Held,
    maps: Array,
    residual: Array,
    base: Array,
    strength: float,
    order: Array,
    uniform: Array,
    pool: Array,
    picks: Array,
) -> None:
    """One move of a column in every record of `order` by independent proposals; cost independent of its codes.

    Args:
        records: as in `move_column`, and so are column, held, maps, residual, strength, order and uniform.
        column: the column that moves.
        held: the tables that hold it.
        maps: code -> coarse code.
        residual: changed.
        base: cost of each code before any table is asked, plus log q, with q the density of `pool`; float32.
        strength: factor of the tables' cost.
        order: the records in the order of their moves.
        uniform: a number in [0, 1) for each move, float32.
        pool: codes, each as often as it is to be proposed, int16.
        picks: draws from it, shape (moves, candidates).
    """
    scale, candidates = np.float32(strength), picks.shape[1] + 1
    codes, coarse = np.empty(candidates, np.int64), np.empty(candidates, np.int64)
    cost = np.empty(candidates, np.float32)
    for k in range(len(order)):
        i = U(order[k])
        before = records[i, column]
        codes[0] = before
        for c in range(1, candidates):
            codes[c] = pool[picks[k, c - 1]]
        for c in range(candidates):
            cost[c] = 0.0
        _add_costs(records, i, held, maps, residual, codes, -1, codes, False, coarse, cost)
        for c in range(candidates):
            cost[c] = base[codes[c]] + scale * cost[c]
        after = codes[_choose(cost, uniform[k])]
        if after != before:
            records[i, column] = after
            _shift(records, i, held, maps, residual, before, after)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def move_pair(
    records: Array,
    first: int,
    second: int,
    held_first: Held,
    held_second: Held,
    maps: Array,
    residual: Array,
    base: Array,
    strength: float,
    order: Array,
    uniform: Array,
    pool: tuple[Array, Array],
    picks: Array,
) -> None:
    """One joint move of two columns in every record of `order`, by independent proposals.

    Args:
        records: codes, int16, shape (records, columns); changed.
        first: one of the columns that move.
        second: the other.
        held_first: the tables that hold `first`.
        held_second: those that hold `second`. Tables of both columns are in both and read once.
        maps: code -> coarse code, int16.
        residual: as in `move_column`; changed.
        base: cost of each pair of codes before any table is asked, plus log q, float32, shape (codes of the first,
            codes of the second).
        strength: factor of the tables' cost.
        order: the records in the order of their moves.
        uniform: a number in [0, 1) for each move, float32.
        pool: codes of the first and of the second, each pair of them as often as it is to be proposed, int16.
        picks: draws from it, shape (moves, candidates).
    """
    scale, candidates = np.float32(strength), picks.shape[1] + 1
    codes_a, codes_b = np.empty(candidates, np.int64), np.empty(candidates, np.int64)
    coarse = np.empty(candidates, np.int64)
    cost = np.empty(candidates, np.float32)
    for k in range(len(order)):
        i = U(order[k])
        before_a, before_b = records[i, first], records[i, second]
        codes_a[0], codes_b[0] = before_a, before_b
        for c in range(1, candidates):
            codes_a[c], codes_b[c] = pool[0][picks[k, c - 1]], pool[1][picks[k, c - 1]]
        for c in range(candidates):
            cost[c] = 0.0
        _add_costs(records, i, held_first, maps, residual, codes_a, second, codes_b, True, coarse, cost)
        _add_costs(records, i, held_second, maps, residual, codes_b, first, codes_a, False, coarse, cost)
        for c in range(candidates):
            cost[c] = base[codes_a[c], codes_b[c]] + scale * cost[c]
        taken = _choose(cost, uniform[k])
        after_a, after_b = codes_a[taken], codes_b[taken]
        if after_a != before_a:
            records[i, first] = after_a
            _shift(records, i, held_first, maps, residual, before_a, after_a)
        if after_b != before_b:
            records[i, second] = after_b
            _shift(records, i, held_second, maps, residual, before_b, after_b)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def _add_costs(
    records: Array,
    i: np.uint64,
    held: Held,
    maps: Array,
    residual: Array,
    codes: Array,
    partner: int,
    partner_codes: Array,
    shared: bool,
    coarse: Array,
    cost: Array,
) -> None:
    """Add what the tables of a column say of each candidate; those that hold the partner too only if `shared`.

    The first candidate is where the record is, so there the residuals count it. `coarse` is room for candidates.
    """
    others, maps_at, cells, groups, weights = held.others, held.maps_at, held.cells, held.groups, held.weights
    for g in range(len(groups)):
        own, itself = groups[g, 3], np.float32(0.0)
        for c in range(len(codes)):
            coarse[c] = maps[U(own + codes[c])]
        for q in range(groups[g, 0], groups[g, 1]):
            start, step, at = cells[q, 0, 0], 0, 0
            for side in range(2):
                if others[q, side] == partner:
                    step, at = cells[q, 0, 2 + side], maps_at[q, 1 + side]
                else:
                    start += maps[U(maps_at[q, 1 + side] + records[i, U(others[q, side])])] * cells[q, 0, 2 + side]
            if step == 0:
                itself += weights[q]
                for c in range(len(codes)):
                    cost[c] += residual[U(start + coarse[c])]
            elif shared:
                here = coarse[0] + maps[U(at + partner_codes[0])] * step
                for c in range(len(codes)):
                    cell = coarse[c] + maps[U(at + partner_codes[c])] * step
                    cost[c] += residual[U(start + cell)]
                    if cell == here:
                        cost[c] -= weights[q]
        for c in range(len(codes)):
            if coarse[c] == coarse[0]:
                cost[c] -= itself


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def _choose(cost: Array, uniform: float) -> int:
    """A candidate in proportion to exp(-cost); `cost` is used up."""
    lowest, mass = cost.min(), np.float32(0.0)
    for c in range(len(cost)):
        mass += np.float32(math.exp(lowest - cost[c]))
        cost[c] = mass
    point, taken = uniform * mass, 0
    while taken < len(cost) - 1 and cost[taken] <= point:
        taken += 1
    return taken


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _shift(records: Array, i: np.uint64, held: Held, maps: Array, residual: Array, before: int, after: int) -> None:
    """Move one record from a column's code `before` to `after` in all residuals."""
    others, maps_at, cells, weights = held.others, held.maps_at, held.cells, held.weights
    for q in range(len(others)):
        old, new = maps[maps_at[q, 0] + before], maps[maps_at[q, 0] + after]
        if old == new:
            continue
        code_1 = maps[U(maps_at[q, 1] + records[i, U(others[q, 0])])]
        code_2 = maps[U(maps_at[q, 2] + records[i, U(others[q, 1])])]
        for turn in range(held.turns[q]):
            start, step = cells[q, turn, 0], cells[q, turn, 1]
            start += code_1 * cells[q, turn, 2] + code_2 * cells[q, turn, 3]
            residual[U(start + old * step)] -= weights[q]
            residual[U(start + new * step)] += weights[q]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def deal_children(parents: Array, tables: Array, labels: Array, shifts: Array, bits: Array, out: Array) -> None:
    """A child for each row given its parent: systematic counts (`sampling`), dealt to rows without replacement.

    The rows of one parent are given as many of each child as equally spaced points say, and take them in random order:
    the law of `sampling.systematic`, without its sorts. 32 random bits choose among at most 2^18 rows, so that no row
    is preferred by more than one part in 2^14 of its chance.

    Args:
        parents: parent of each row, 0..p-1, uint16, shape (rows,).
        tables: distribution function of each parent's children, the last 1; float64, shape (p, children).
        labels: what is written for each child, unsigned, shape (p, children).
        shifts: a number in [0, 1) for each parent, float64, shape (p,).
        bits: uint32, shape (rows,).
        out: of the labels' type, shape (rows,); written.
    """
    groups, children = tables.shape
    left = np.zeros(groups, np.int64)
    for i in range(len(parents)):
        left[parents[i]] += 1
    first, hands, at = np.zeros(groups, np.int64), np.empty_like(out), 0
    for g in range(groups):
        first[g], rows, given = at, left[g], 0
        if not rows:
            continue
        for c in range(children):
            until = rows if c == children - 1 else min(max(math.ceil(tables[g, c] * rows - shifts[g]), given), rows)
            for _ in range(given, until):
                hands[U(at)] = labels[g, c]
                at += 1
            given = until
    for i in range(len(parents)):
        own = U(parents[i])
        picked = U(first[own] + np.int64((U(bits[i]) * U(left[own])) >> U(32)))
        left[own] -= 1
        last = U(first[own] + left[own])
        out[i] = hands[picked]
        hands[picked] = hands[last]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def spread_in_cells(cells: Array, low: Array, widths: Array, bits: Array, out: Array) -> None:
    """A whole number inside each row's cell, each as likely: `low + floor(width * bits / 2^64)`.

    Args:
        cells: cell of each row, unsigned, shape (rows,).
        low: smallest number of each cell, int64.
        widths: how many numbers it has, uint64, below 2^32.
        bits: uint64, shape (rows,).
        out: int64, shape (rows,); written.
    """
    for i in range(len(cells)):
        cell, drawn = U(cells[i]), U(bits[i])
        width = U(widths[cell])
        lower = ((drawn & U(0xFFFFFFFF)) * width) >> U(32)
        out[i] = low[cell] + np.int64(((drawn >> U(32)) * width + lower) >> U(32))
