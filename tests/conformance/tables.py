"""Tables with columns of every kind, their domains declared (`MIXED`) or open (`OPEN`)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa

from accounting.relation import PrivacyUnit
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema

RECORD = PrivacyUnit()
USER = PrivacyUnit(kind="user", column="person", max_records=3)


def schema(**columns: dict) -> Schema:
    return Schema.from_dict({"version": 1, "columns": columns})


MIXED = schema(
    colour={"kind": "categorical", "values": ["red", "green", "blue", "never"]},
    code={"kind": "categorical", "values": [1, 2, 3, 9]},
    member={"kind": "boolean"},
    age={"kind": "integer", "min": 0, "max": 110},
    gain={"kind": "integer", "min": 0, "max": 99_999},
    weight={"kind": "float", "min": 0.0, "max": 200.0, "precision": 1},
    joined={"kind": "date", "min": "2000-01-01", "max": "2020-12-31"},
    seen={"kind": "datetime", "min": "2021-01-01T00:00:00", "max": "2021-12-31T23:59:59"},
)
OPEN = schema(
    town={"kind": "categorical"},
    income={"kind": "integer"},
    ratio={"kind": "float"},
    born={"kind": "date"},
    sex={"kind": "categorical", "values": ["f", "m"]},
)


def mixed_table(rows: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(45, 15, rows), 0, 110).astype(int)
    gain = np.where(rng.random(rows) < 0.9, 0, rng.integers(1, 99_999, rows))
    return Table.from_arrow(
        pa.table(
            {
                "colour": pa.array(rng.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1])),
                "code": pa.array(rng.choice([1, 2, 3, 9], rows), pa.int64()),
                "member": pa.array(age > 50),
                "age": pa.array(age, pa.int64(), mask=rng.random(rows) < 0.3),
                "gain": pa.array(gain, pa.int64()),
                "weight": pa.array(np.round(rng.uniform(40, 120, rows), 1)),
                "joined": pa.array(
                    [date(2000, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 7000, rows)], pa.date32()
                ),
                "seen": pa.array(
                    [datetime(2021, 1, 1) + timedelta(seconds=int(s)) for s in rng.integers(0, 31_000_000, rows)],
                    pa.timestamp("us"),
                ),
            }
        )
    )


def open_table(rows: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    towns = np.where(rng.random(rows) < 0.6, "Aville", "Btown").astype(object)
    towns[0] = "OnlyMe"
    return Table.from_arrow(
        pa.table(
            {
                "town": pa.array(towns, pa.string()),
                "income": pa.array(rng.integers(1000, 60_000, rows), pa.int64()),
                "ratio": pa.array(rng.uniform(-0.5, 0.5, rows)),
                "born": pa.array(
                    [date(1950, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 15_000, rows)], pa.date32()
                ),
                "sex": pa.array(rng.choice(["f", "m"], rows)),
            }
        )
    )
