"""A simulated panel whose law is known: people of 1 to 8 rows, a stage that stays, a score that follows it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from accounting.relation import PrivacyUnit
from dpsynth.data.table import Table
from tests.conformance.tables import schema

STAYS = 0.8
PANEL = schema(
    who={"kind": "integer", "role": "unit"},
    day={"kind": "integer", "role": "order"},
    sex={"kind": "categorical", "values": ["f", "m"], "constant": True},
    stage={"kind": "categorical", "values": [0, 1, 2]},
    score={"kind": "integer", "min": 0, "max": 70},
)
FOUR = PrivacyUnit(kind="user", column="who", max_records=4)


def panel(people: int, seed: int = 0) -> Table:
    """Rows in no order; names from 1 on, days that no row of a person shares."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(1, people + 1):
        sex, stage = rng.choice(["f", "m"], p=[0.7, 0.3]), int(rng.integers(0, 3))
        for visit in range(min(int(rng.geometric(0.6)), 8)):
            if visit and rng.random() > STAYS:
                stage = int(rng.integers(0, 3))
            rows.append(
                (person, 10 * visit + int(rng.integers(0, 9)), sex, stage, 20 * stage + int(rng.integers(0, 25)))
            )
    order = rng.permutation(len(rows))
    columns = zip(*(rows[at] for at in order), strict=True)
    return Table.from_arrow(
        pa.table(dict(zip(("who", "day", "sex", "stage", "score"), map(list, columns), strict=True)))
    )
