"""Which cells are missing together: distance between the patterns of missing cells of whole rows.

Each row's pattern says of every column whether it is missing. A generator may get every column's missing rate right
and scatter the holes: questionnaires whose second page nobody filled in become rows with single holes. Total
variation between the distributions of patterns sees it; with columns permuted independently it shows how bad.

>>> import pandas as pd
>>> from dpsynth.quality.coding import code_tables
>>> real = pd.DataFrame({"a": [1.0, None, 1.0, None], "b": ["x", None, "x", None]})
>>> torn = real.assign(b=["x", "x", None, None])
>>> coded = patterns(code_tables({"real": real, "synthetic": torn}))
>>> [np.bincount(codes[0]).tolist() for codes in coded.tables.values()]
[[2, 0, 0, 2], [1, 1, 1, 1]]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dpsynth.quality.anchors import COMPARISONS, Positions, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.marginals import joint_of, total_variation
from dpsynth.quality.report import Metric


def patterns(coded: Coded) -> Coded:
    """The tables with one column: the row's pattern of missing cells, numbered as they occur in any table."""
    missing = np.array(coded.sizes)[:, None] - 1
    packed = [np.packbits(codes == missing, axis=0).T for codes in coded.tables.values()]
    _, numbers = np.unique(np.concatenate(packed), axis=0, return_inverse=True)
    parts = np.split(numbers.reshape(-1).astype(np.int64), np.cumsum([len(part) for part in packed])[:-1])
    tables = {name: part[None] for name, part in zip(coded.tables, parts, strict=True)}
    return Coded(columns=("pattern",), kinds=("categorical",), sizes=(int(numbers.max()) + 1,), tables=tables)


def pattern_metric(coded: Coded, redraws: Sequence[Positions]) -> Metric:
    """Total variation between the patterns; 0 everywhere in a table without missing cells."""
    joint = joint_of(patterns(coded), (0,), redraws)
    by = {key: total_variation(joint.counts[left], joint.counts[right]) for key, (left, right) in COMPARISONS.items()}
    return metric_of("missing_patterns", "fidelity", by)
