"""The quality report counts rows that break a declared constraint, and keeps the figure of real rows inside."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import DataError
from dpsynth.quality import evaluate
from dpsynth.quality.constraints import broken_share
from dpsynth.schema.model import Schema

SCHEMA = Schema.from_dict(
    {
        "columns": {
            "ill": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
            "seen": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
            "sex": {"kind": "categorical", "values": ["f", "m"]},
            "code": {"kind": "categorical", "values": [1, 97]},
            "cost": {"kind": "float", "min": 0, "max": 9, "precision": 1},
            "known": {"kind": "boolean"},
        },
        "constraints": [
            {"kind": "inequality", "low": "ill", "high": "seen"},
            {"kind": "not_applicable", "when": {"sex": "m"}, "column": "code", "value": 97},
            {"kind": "range", "column": "cost", "when": {"known": False}, "max": 5},
        ],
    }
)


def frame(rows: int, *, wrong: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(1, 28, (rows, 2)), axis=1)
    days[:wrong] = [9, 8]
    sex = rng.choice(["f", "m"], rows)
    made = pd.DataFrame(
        {
            "ill": [date(2020, 5, d) for d in days[:, 0]],
            "seen": [date(2020, 5, d) for d in days[:, 1]],
            "sex": sex,
            "code": np.where(sex == "m", 97.0, rng.choice([1.0, 97.0], rows)),
            "cost": rng.uniform(0, 5, rows).round(1),
            "known": rng.choice(np.array([True, False, None], dtype=object), rows),
        }
    )
    made.loc[rows - 5 :, ["seen", "code"]] = None
    return made


def test_the_share_is_counted_beside_the_holdouts_and_stays_internal():
    real, holdout = frame(600, wrong=0, seed=1), frame(400, wrong=10, seed=2)
    report = evaluate(real, frame(500, wrong=0, seed=3), holdout, schema=SCHEMA)
    metric = report.metric("constraint_violations")
    assert (metric.value, metric.reference, metric.confidentiality) == (0.0, 0.025, "internal")
    assert evaluate(real, frame(500, wrong=50, seed=3), holdout, schema=SCHEMA).metric(metric.name).value == 0.1


def test_a_schema_without_constraints_has_no_such_figure():
    free = Schema.from_dict({"columns": SCHEMA.model_dump(mode="json")["columns"]})
    report = evaluate(*(frame(300, wrong=3, seed=seed) for seed in range(3)), schema=free)
    assert "constraint_violations" not in [metric.name for metric in report.metrics]


def test_a_column_of_another_kind_is_refused_without_a_value():
    with pytest.raises(DataError, match="Column 'cost' cannot be read as float") as refused:
        broken_share(SCHEMA, frame(30, wrong=0, seed=0).assign(cost="sevenish"))
    assert "sevenish" not in str(refused.value)
