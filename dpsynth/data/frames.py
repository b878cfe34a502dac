"""Tables of other libraries: whatever hands over Arrow, as polars, DuckDB, ibis and many others do.

The Arrow PyCapsule interface (`__arrow_c_stream__`) is one method that all of them have, so none is imported here. A
LazyFrame of polars is collected first. What fails in another library's own query is told without its words, which
quote cells.

>>> frame = pa.table({"sex": ["f", "m"]})              # polars.DataFrame, duckdb.sql(…), an ibis table
>>> arrow_of(frame).num_rows
2

Not guaranteed: that rows stay where they are: they are read into memory. `dpsynth.data.engines` counts them in place.
"""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa

from dpsynth.core.errors import DataError

FAILURES = {"duckdb": "Error", "polars.exceptions": "PolarsError", "ibis.common.exceptions": "IbisError"}
"""Module -> the class of its failures; asked only where it is loaded."""


def is_frame(source: Any) -> bool:
    """Whether it hands over Arrow, or can be collected into what does."""
    return hasattr(source, "__arrow_c_stream__") or _is_lazy(source)


def arrow_of(source: Any) -> pa.Table:
    """The rows of a frame, read into memory, with types as they come.

    Raises:
        DataError: the library's own query fails, or it hands over a type that Arrow does not know.
    """
    loaded = ((sys.modules.get(module), name) for module, name in FAILURES.items())
    failures = tuple(getattr(module, name) for module, name in loaded if module is not None)
    try:
        frame = source.collect() if _is_lazy(source) else source
        found = pa.RecordBatchReader.from_stream(frame).read_all()
    except (pa.ArrowException, OSError, *failures) as error:
        raise DataError(
            f"The {type(source).__name__} cannot be read ({type(error).__name__}); its own words are left out, since"
            " they may hold cells.",
            "Run its query by itself, and cast columns of rare types.",
        ) from None
    return found.replace_schema_metadata(None)


def _is_lazy(source: Any) -> bool:
    return type(source).__module__.partition(".")[0] == "polars" and hasattr(source, "collect")
