"""Models to stream from, fitted once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.tabular import SavedModel
from tests.conformance.tables import MIXED, mixed_table
from tests.tabular.saved.fits import fitted

CHAIN = Schema.from_dict(
    {
        "columns": {
            "town": {"kind": "categorical", "values": ["a", "b", "c", "d"]},
            "stage": {"kind": "integer", "min": 0, "max": 4},
            "kin": {"kind": "categorical", "values": ["x", "y", "z"]},
        }
    }
)
"""Three columns, each near the one before, whose joint law can be enumerated."""
ENDS = {"kind": "inequality", "low": "began", "high": "ended"}


@cache
def mixed() -> SavedModel:
    """Columns of every kind, with missing cells."""
    return fitted("mst", mixed_table(1500), MIXED, epsilon="3")


@cache
def chain() -> SavedModel:
    """A forest of three columns, with missing stages."""
    rng = np.random.default_rng(0)
    town = rng.choice(4, 4000, p=[0.5, 0.3, 0.15, 0.05])
    stage = np.clip(town + rng.integers(-1, 2, 4000), 0, 4)
    kin = (stage + rng.integers(0, 2, 4000)) % 3
    table = pa.table(
        {
            "town": pa.array([*"abcd"]).take(pa.array(town)),
            "stage": pa.array(stage, pa.int64(), mask=rng.random(4000) < 0.2),
            "kin": pa.array([*"xyz"]).take(pa.array(kin)),
        }
    )
    return fitted("mst", Table.from_arrow(table), CHAIN, epsilon="3")


@cache
def constrained() -> SavedModel:
    """A forest with a declared inequality."""
    of = Schema.from_dict(
        {
            "columns": {name: {"kind": "integer", "min": 0, "max": 60} for name in ("began", "ended")},
            "constraints": [ENDS],
        }
    )
    rng = np.random.default_rng(1)
    began = rng.integers(0, 50, 1000)
    table = pa.table({"began": began, "ended": np.minimum(began + rng.integers(0, 9, 1000), 60)})
    return fitted("mst", Table.from_arrow(table), of)
