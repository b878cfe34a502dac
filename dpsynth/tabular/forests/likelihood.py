"""How likely a forest finds a row: exact, in closed form.

A row's codes have the product of the forest's conditional probabilities. Inside a code the cell is drawn by its share
of the shrunken histogram (`columns.decoding`), and inside an interval each value alike, so the probability of the row
is the product of all of these. No column's factor is taken below `FLOOR`, so that a row that the model rules out has a
very small and finite likelihood.

Not guaranteed: where the model draws calendar parts or round numbers inside an interval, values are taken as equally
likely here; declared constraints are not taken into account.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dpsynth.tabular.columns.decoding import shares_within_codes
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.forests.tree import Vector

FLOOR = 1e-9


def log_density(model: ForestModel, rows: pa.Table) -> Vector:
    """Natural log of the probability of each row.

    Args:
        model: a fitted forest.
        rows: a table with its columns.

    Returns:
        float64, shape (rows,), finite.
    """
    cells = {name: binning.oneway.cells.encode(rows.column(name)) for name, binning in model.binnings.items()}
    codes = {name: np.append(model.binnings[name].code_of, model.binnings[name].size)[cells[name]] for name in cells}
    found = np.zeros(rows.num_rows)
    for name, parent in model.forest.order:
        weights = model.forest.oneway[name][None, :] if parent is None else model.forest.given[name]
        mass = weights.sum(axis=1, keepdims=True)
        shares = np.where(mass > 0, weights / np.maximum(mass, 1e-300), 1.0 / weights.shape[1])
        at = np.zeros(rows.num_rows, dtype=np.int64) if parent is None else codes[parent]
        within = np.append(shares_within_codes(model.binnings[name]), 1.0)[cells[name]]
        found += np.log(np.maximum(shares[at, codes[name]] * within, FLOOR))
    return found
