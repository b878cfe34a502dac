"""Canonical columns as the data frame and the metadata that SDV reads, and its rows as canonical columns again.

SDV 2 can detect metadata from a data frame; what it detects holds the exact minimum and maximum of every number and
date and the full list of every category. Here metadata is written from the schema's kinds alone, holds no value of the
table, and is not kept.

    canonical    to SDV                              from SDV
    string       object, None where missing          text
    integer      int64; float64 if some are missing  rounded; categories as they are
    float        float64                             as it is
    boolean      bool; object if some are missing    as it is
    date(time)   datetime64[ns]                      dates are cut to the day

>>> from dpsynth.schema.model import ColumnSpec
>>> metadata(Schema(columns={"age": ColumnSpec(kind="integer"), "died": ColumnSpec(kind="boolean")}))["tables"]
{'table': {'columns': {'age': {'sdtype': 'numerical'}, 'died': {'sdtype': 'boolean'}}}}

Not guaranteed: dates before 1678 or after 2261, which nanoseconds cannot hold; they are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.table import Table
from dpsynth.data.warning import shown
from dpsynth.schema.model import Schema

if TYPE_CHECKING:
    import pandas as pd

TABLE = "table"
_SDTYPE = {
    "categorical": "categorical",
    "boolean": "boolean",
    "integer": "numerical",
    "float": "numerical",
    "date": "datetime",
    "datetime": "datetime",
}


def metadata(schema: Schema) -> dict[str, Any]:
    """SDV's metadata of the modelled columns: names and kinds, nothing that was read from a table."""
    columns = {name: {"sdtype": _SDTYPE[schema.columns[name].kind]} for name in schema.modelled}
    return {"tables": {TABLE: {"columns": columns}}, "relationships": [], "METADATA_SPEC_VERSION": "V2"}


def to_frame(table: Table, schema: Schema) -> pd.DataFrame:
    """The modelled columns as SDV reads them.

    Raises:
        DataError: a date that does not fit; no value is named.
    """
    import pandas as pd

    return pd.DataFrame({name: _series(name, table.column(name)) for name in schema.modelled})


def to_arrow(frame: pd.DataFrame, like: Table, schema: Schema) -> pa.Table:
    """SDV's rows with the canonical types that the modelled columns of `like` have."""
    return pa.table({name: _column(frame[name], like.types[name]) for name in schema.modelled})


def _series(name: str, column: pa.ChunkedArray) -> pd.Series:
    import pandas as pd

    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        try:
            return pd.Series(column.cast(pa.timestamp("us")).cast(pa.timestamp("ns")).to_numpy())
        except pa.ArrowInvalid:
            raise DataError(
                f"Column {shown(name)} holds dates before 1678 or after 2261, which SDV cannot hold.",
                "Declare such dates as missing, or compare without this baseline.",
            ) from None
    if pa.types.is_string(column.type) or (pa.types.is_boolean(column.type) and column.null_count):
        return pd.Series(column.to_pylist(), dtype=object)
    if pa.types.is_integer(column.type) and column.null_count:
        return pd.Series(column.cast(pa.float64(), safe=False).to_numpy())
    return pd.Series(column.to_numpy())


def _column(series: pd.Series, kind: str) -> pa.Array:
    missing = series.isna().to_numpy()
    if kind == "integer":
        whole = np.rint(series.to_numpy(dtype=np.float64, na_value=0.0))
        exact = series.to_numpy() if series.dtype == np.int64 else whole.astype(np.int64)
        return pa.array(exact, pa.int64(), mask=missing)
    if kind == "float":
        return pa.array(series.to_numpy(dtype=np.float64, na_value=0.0), pa.float64(), mask=missing)
    if kind in ("date", "datetime"):
        stamps = pa.array(series.to_numpy(dtype="datetime64[us]"), pa.timestamp("us"), mask=missing)
        return pc.cast(pc.floor_temporal(stamps, unit="day"), pa.date32()) if kind == "date" else stamps
    return pa.array(series.astype(object).where(~missing, None).tolist(), ARROW_OF[kind])
