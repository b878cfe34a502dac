"""Share of rows that break a declared constraint: of a sample 0 by construction, of real rows what it is.

The figure of the real holdout says whether what was declared holds: where it is not 0, the sample was moved away from
the real table on purpose. It is read from private rows without noise, so the metric is internal.

>>> import pandas as pd
>>> from dpsynth.schema.model import Schema
>>> day = {"kind": "integer", "min": 0, "max": 9}
>>> rule = {"kind": "inequality", "low": "ill", "high": "seen"}
>>> schema = Schema.from_dict({"columns": {"ill": day, "seen": day}, "constraints": [rule]})
>>> broken_share(schema, pd.DataFrame({"ill": [1, 5], "seen": [2, 4]}))
0.5
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.warning import shown
from dpsynth.quality.report import Metric
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.schema.violations import broken

TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
}


def violation_metric(schema: Any, synthetic: pd.DataFrame, holdout: pd.DataFrame) -> tuple[Metric, ...]:
    """The metric, or nothing if no constraint is declared.

    Raises:
        DataError: a constrained column cannot be read as its declared kind.
    """
    if not isinstance(schema, Schema) or not schema.constraints:
        return ()
    return (
        Metric(
            name="constraint_violations",
            group="fidelity",
            value=broken_share(schema, synthetic),
            reference=broken_share(schema, holdout),
            floor=None,
            better="low",
            confidentiality="internal",
        ),
    )


def broken_share(schema: Schema, frame: pd.DataFrame) -> float:
    """Share of rows that break any constraint."""
    names = dict.fromkeys(name for constraint in schema.constraints for name in constraint.columns)
    table = pa.table({name: _column(name, frame[name], schema.columns[name]) for name in names})
    return float(broken(schema, table).mean()) if len(table) else 0.0


def _column(name: str, cells: pd.Series, spec: ColumnSpec) -> pa.Array:
    kind = TYPES.get(spec.kind)
    if kind is None:
        kind = pa.int64() if pd.api.types.is_numeric_dtype(cells) else pa.string()
    try:
        return pa.array(cells, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise DataError(
            f"Column {shown(name)} cannot be read as {spec.kind}, so its constraints cannot be checked.",
            "Give the table the kinds of its schema.",
        ) from None
