r"""Rows as files: exact Parquet, and CSV that a spreadsheet cannot run.

Parquet is written without any key-value metadata (no pandas index, no Arrow schema, no path of a machine),
with fixed settings, so the same table gives the same bytes with the same library. CSV is for people: a text
cell or heading that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV
injection"); numbers written as text are left alone. Parquet holds the exact value.

>>> import pyarrow as pa
>>> to_csv(encode_parquet(pa.table({"a": ["=1+1", "-5"]}))).split()
[b'"a"', b'"\'=1+1"', b'"-5"']

Not guaranteed: equal bytes across versions of Arrow.
"""

from __future__ import annotations

import io
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dpsynth.core.errors import SealError

_FORMULA: Final = "^[\\s\\x00]*[=+\\-@\\t\\r\\n|%\uff1d\uff0b\uff0d\uff20]"
_NUMBER: Final = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


def encode_parquet(table: pa.Table) -> bytes:
    """The table as Parquet without metadata; what a draft is sealed as."""
    plain = pa.schema([pa.field(field.name, field.type, field.nullable) for field in table.schema])
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(table.columns, schema=plain),
        buffer,
        compression="zstd",
        store_schema=False,
        write_statistics=False,
        version="2.6",
        data_page_version="1.0",
    )
    return buffer.getvalue()


def check_parquet(rows: bytes) -> tuple[int, tuple[str, ...]]:
    """Number of rows and names of columns of a Parquet file that may be released.

    Raises:
        SealError: not Parquet, or with metadata that could say more than the rows.
    """
    try:
        metadata = pq.ParquetFile(io.BytesIO(rows)).metadata
    except (pa.ArrowException, OSError):
        raise SealError("The sealed draft is not a Parquet file.", "Synthesize again.") from None
    if metadata.metadata:
        raise SealError(
            "The sealed Parquet file carries metadata, which no report was made on.",
            "Seal what `encode_parquet` writes.",
        )
    return int(metadata.num_rows), tuple(metadata.schema.to_arrow_schema().names)


def to_csv(rows: bytes) -> bytes:
    """The rows of a Parquet file as UTF-8 CSV, formulas made harmless."""
    table = pq.read_table(io.BytesIO(rows))
    columns = [_harmless(column) for column in table.columns]
    headings = _harmless(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    buffer = io.BytesIO()
    pa_csv.write_csv(pa.table(columns, names=headings), buffer)
    return buffer.getvalue()


def _harmless(column: Any) -> Any:
    """Text cells that start like a formula, with an apostrophe in front."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    risky = pc.and_(pc.match_substring_regex(column, _FORMULA), pc.invert(pc.match_substring_regex(column, _NUMBER)))
    marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(pc.fill_null(risky, False), marked, column)
