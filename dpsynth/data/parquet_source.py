"""Parquet to a table: shape and types are checked in the footer, before any page is read.

>>> import io, pyarrow.parquet as pq
>>> sink = io.BytesIO(); pq.write_table(pa.table({"a": [1, 2]}), sink)
>>> parse(sink.getvalue(), ReadOptions()).types["a"]
'integer'

Not guaranteed: key-value metadata, statistics and unused dictionary entries; they are data's side doors and
dropped.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_types import require_flat
from dpsynth.data.names import require_names
from dpsynth.data.options import ReadOptions
from dpsynth.data.source import MIB, PARQUET
from dpsynth.data.table import Table

FOOTER = 8
SMALLEST_CELL = 1


def parse(content: bytes, options: ReadOptions) -> Table:
    """The table of a Parquet file's bytes.

    Raises:
        DataError: the footer is missing or damaged; no columns or rows; a name or type that a table cannot
            have; more content than `options.max_bytes`.
    """
    length = int.from_bytes(content[-FOOTER:-4], "little")
    if not content.endswith(PARQUET) or length > len(content) - FOOTER - 4:
        raise DataError(
            "The Parquet file is cut or damaged: its footer is missing or longer than the file.",
            "Copy or export it again.",
        )
    try:
        reader = pq.ParquetFile(pa.BufferReader(content))
        schema, shape = reader.schema_arrow, reader.metadata
    except (pa.ArrowException, OSError, ValueError):
        raise _damaged() from None
    if not len(schema):
        raise DataError("The Parquet file has no columns.", "Check the export that wrote it.")
    require_names(schema.names, options)
    require_flat(schema)
    if shape.num_rows == 0:
        raise DataError("The file has no rows (records) of data.", "Check the export that wrote it.")
    stored = sum(shape.row_group(i).total_byte_size for i in range(shape.num_row_groups))
    if max(stored, shape.num_rows * len(schema) * SMALLEST_CELL) > options.max_bytes:
        raise DataError(
            f"The Parquet file holds more than the limit of {options.max_bytes // MIB} MiB.",
            "Keep fewer rows or columns, or raise ReadOptions.max_bytes.",
        )
    try:
        arrow = reader.read()
        arrow.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        raise _damaged() from None
    return Table.from_arrow(arrow.replace_schema_metadata(None))


def _damaged() -> DataError:
    return DataError("The Parquet file is damaged, so no part of it is used.", "Copy or export it again.")
