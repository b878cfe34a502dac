"""The density of a record table summed over all its states, and long runs held against it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Layout, Marginal

BLOCKS = 40
LIMIT = 6.2
"""Standard errors with 39 degrees of freedom that are passed once in a million times by each of four cells or so."""


def enumerated(
    prior: Sequence[np.ndarray],
    records: int,
    marginals: Sequence[Marginal],
    wanted: Sequence[Columns],
    *,
    strength: float = 1.0,
    penalties: Mapping[Columns, np.ndarray] | None = None,
    frozen: Mapping[int, np.ndarray] | None = None,
    start: np.ndarray | None = None,
) -> dict[Columns, np.ndarray]:
    """Mean tables over all states that hold no forbidden cell and keep the frozen codes of `start`."""
    sizes = [len(share) for share in prior]
    rows = np.array([(*row, 0) for row in itertools.product(*(range(size) for size in sizes))])
    log_prior = sum(np.log(share)[rows[:, j]] for j, share in enumerate(prior))
    bad = np.zeros(len(rows), dtype=bool)
    for columns, mask in (penalties or {}).items():
        bad |= mask[tuple(rows[:, j] for j in columns)]
    choices = []
    for i in range(records):
        free = ~bad
        for j, held in (frozen or {}).items():
            free &= (rows[:, j] == start[i, j]) | ~held[i]
        choices.append(np.flatnonzero(free))
    states = np.stack([axis.ravel() for axis in np.meshgrid(*choices, indexing="ij")], axis=1)
    log_weight = log_prior[states].sum(axis=1)
    for marginal in marginals:
        codes = [rows[:, j] for j in marginal.columns]
        for axis, mapping in enumerate(marginal.maps):
            codes[axis] = codes[axis] if mapping is None else np.asarray(mapping)[codes[axis]]
        cell = np.ravel_multi_index(tuple(codes), np.shape(marginal.table))
        counts = sum(np.eye(np.size(marginal.table))[cell[states[:, i]]] for i in range(records))
        log_weight -= 0.5 * strength * ((counts - np.ravel(marginal.table)) ** 2).sum(axis=1) / marginal.sigma**2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = {columns: np.zeros([(*sizes, 1)[j] for j in columns]) for columns in wanted}
    for columns, table in mean.items():
        for i in range(records):
            np.add.at(table, tuple(rows[states[:, i], j] for j in columns), weight)
    return mean


def long_run(
    table: RecordTable, wanted: Sequence[Columns], sweep: Callable[[int, Callable[[], None]], None], sweeps: int
) -> dict[Columns, tuple[np.ndarray, np.ndarray]]:
    """Mean tables of a run, and their standard errors from block means. `sweep(count, each)` moves the records."""
    layout = Layout(table.sizes, [(columns, ()) for columns in wanted])
    seen = {columns: np.zeros((BLOCKS, *shape)) for columns, shape in zip(wanted, layout.shapes, strict=True)}
    for block in range(BLOCKS):

        def each(block=block):
            for columns, counts in zip(wanted, layout.count(table.records), strict=True):
                seen[columns][block] += counts

        sweep(sweeps // BLOCKS, each)
    means = {columns: blocks / (sweeps // BLOCKS) for columns, blocks in seen.items()}
    return {
        columns: (blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(BLOCKS))
        for columns, blocks in means.items()
    }


def worst_deviation(found: Mapping[Columns, tuple], expected: Mapping[Columns, np.ndarray]) -> float:
    """Largest deviation in standard errors; infinite where a cell never changed and should have another value."""
    worst = 0.0
    for columns, (mean, error) in found.items():
        gap = np.abs(mean - expected[columns])
        fixed = error < 1e-12
        if np.any(gap[fixed] > 1e-6):
            return np.inf
        worst = max(worst, float((gap[~fixed] / error[~fixed]).max(initial=0.0)))
    return worst
