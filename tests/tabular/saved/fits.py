"""Fitted models to save."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import SavedModel, generator
from tests.conformance.tables import RECORD, schema

SMALL = schema(sex={"kind": "categorical", "values": ["f", "m"]}, age={"kind": "integer", "min": 0, "max": 40})


def small_table(rows: int = 400, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    return Table.from_arrow(
        pa.table({"sex": pa.array(rng.choice(["f", "m"], rows)), "age": pa.array(rng.integers(0, 41, rows))})
    )


def fitted(name: str, table: Table, of, *, seed: int = 1, epsilon: str = "1") -> SavedModel:
    made = generator(name)
    plan = made.plan(of, RECORD, epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    model = made.fit(table, of, domains, plan, noise=noise, progress=silent, spent=spent)
    return SavedModel(model=model, guarantee=plan.guarantee, schema_digest=of.digest())


def rows(saved: SavedModel, n: int = 200) -> pa.Table:
    return saved.model.sample(n, np.random.default_rng(7))
