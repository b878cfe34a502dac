"""What a caller may say about a file before it is read: missing words, encoding, types, limits.

The defaults accept RFC 4180 CSV in UTF-8 and refuse what would cost unbounded memory. Each limit is stated
in the message of the error that it raises.

>>> ReadOptions().max_columns
1000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal["category", "string", "integer", "float", "boolean", "date", "datetime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """What is known about one column before it is read.

    Attributes:
        type: its type; "category" is text in a CSV and the file's own text or integers otherwise; None
            infers it.
        format: strptime format of dates and datetimes; None means ISO 8601.
        missing: words that mean "missing" here, beside the empty cell.
    """

    type: ColumnType | None = None
    format: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read a file.

    Attributes:
        columns: what is known about single columns.
        missing: words that mean "missing" in every column, beside the empty cell.
        encoding: of text files; anything but UTF-8 is converted first.
        delimiter: of text files; None finds comma, semicolon, tab or bar from the header and says so.
        decimal: the decimal mark of floats in text files.
        max_bytes: largest file, and largest content of a compressed file.
        max_ratio: largest ratio of content to compressed file, once the content exceeds 64 MiB.
        max_columns: most columns.
        max_name: longest column name, in characters.
        max_field: longest cell of a text file, in bytes.
    """

    columns: Mapping[str, ColumnOptions] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    encoding: str = "utf-8"
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    max_bytes: int = 1 << 30
    max_ratio: int = 200
    max_columns: int = 1000
    max_name: int = 256
    max_field: int = 128 * 1024

    def of(self, column: str) -> ColumnOptions:
        """The options of one column, with the words for missing of the whole file added."""
        own = self.columns.get(column, ColumnOptions())
        return ColumnOptions(type=own.type, format=own.format, missing=(*self.missing, *own.missing))
