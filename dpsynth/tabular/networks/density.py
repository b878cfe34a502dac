"""How likely a trained network finds a row: its conditionals, the factors of raking, and the cell within its code.

The network's part is exact. The released tables weight its rows; what all weights add up to is estimated from
`ESTIMATED_FROM` rows of its own under a fixed seed, one constant for all rows of a model. No column's conditional is
taken below `FLOOR`, so a row that the model rules out has a very small and finite likelihood. Post-processing.

Not guaranteed: the last turns of raking that a sample takes over its own pool, values inside an interval that are not
equally likely (calendar parts, round numbers), and declared constraints are not taken into account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.decoding import shares_within_codes
from dpsynth.tabular.finishing.raking import RakedTable, log_factors
from dpsynth.tabular.networks.drawing import BLOCK, draw_rows
from dpsynth.tabular.networks.protocol import Sampler

FLOOR = 1e-9
ESTIMATED_FROM = 20_000

Vector = NDArray[np.float64]


def log_conditionals(sampler: Sampler, codes: NDArray[np.integer[Any]]) -> Vector:
    """Natural log of p(code | codes before it).

    Args:
        sampler: a trained network.
        codes: in its columns, shape (rows, columns).

    Returns:
        float64, shape (rows, columns); -inf is possible.
    """
    found = np.zeros(codes.shape)
    for start in range(0, len(codes), BLOCK):
        own = codes[start : start + BLOCK]
        prefix = sampler.begin(len(own))
        for column in range(codes.shape[1]):
            logits = prefix.logits().astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            picked = logits[np.arange(len(own)), own[:, column]]
            found[start : start + BLOCK, column] = picked - np.log(np.exp(logits).sum(axis=1))
            if column + 1 < codes.shape[1]:
                prefix.append(own[:, column])
    return found


def log_density(
    sampler: Sampler,
    sizes: tuple[int, ...],
    order: Sequence[str],
    binnings: Mapping[str, Binning],
    tables: Sequence[RakedTable],
    rows: pa.Table,
) -> Vector:
    """Natural log of the probability of each row, float64, shape (rows,), finite.

    Args:
        sampler: the trained network.
        sizes: number of codes of each of its columns.
        order: their names.
        binnings: column -> codes.
        tables: released tables with their factors.
        rows: a table with the columns.
    """
    codes = np.zeros((rows.num_rows, len(order)), dtype=np.int64)
    known = np.ones(codes.shape, dtype=bool)
    within = np.zeros(codes.shape)
    for at, name in enumerate(order):
        binning = binnings[name]
        cells = binning.oneway.cells.encode(rows.column(name))
        codes[:, at] = np.append(binning.code_of, binning.size)[cells]
        known[:, at] = codes[:, at] < sizes[at]
        within[:, at] = np.log(np.maximum(np.append(shares_within_codes(binning), 1.0)[cells], FLOOR))
    codes[~known] = 0
    columns = np.where(known, log_conditionals(sampler, codes) + within, -np.inf)
    drawn, _ = draw_rows(sampler, sizes, ESTIMATED_FROM, np.random.default_rng(0))
    weights = log_factors(drawn, tables)
    whole = weights.max() + np.log(np.exp(weights - weights.max()).mean())
    found: Vector = np.maximum(columns, np.log(FLOOR)).sum(axis=1) + log_factors(codes, tables) - whole
    return found
