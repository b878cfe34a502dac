r"""CSV to a table: every cell is first read as text, then each column gets its type.

Arrow's parser does the work with fixed positional names and the header as its first record, so no name,
type or missing value is ever guessed by a library. Whatever Arrow refuses is walked again to say which line
is wrong: its own message would show the line. Quotes are checked beforehand, because the
parser takes everything after a quote that is never closed as one cell.

>>> parse(b"zip,n\n00042,1\n00043,2\n", ReadOptions()).types["zip"]
'string'

Not guaranteed: dialects beyond a delimiter of one byte (backslash escapes, comments, two header lines).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import text_of, values_of
from dpsynth.data.csv_text import WORD, Records, as_utf8, find_delimiter, first_fault, quotes_are_even
from dpsynth.data.infer import typed
from dpsynth.data.names import name_warnings, require_names
from dpsynth.data.options import ReadOptions
from dpsynth.data.table import Table
from dpsynth.data.warning import DataWarning, shown

BLOCK_BYTES = 1 << 20


def parse(content: bytes, options: ReadOptions) -> Table:
    """The table of a text file's bytes.

    Raises:
        DataError: encoding, header, a record with too few or too many fields, a quote never closed, a cell
            or name beyond its limit, no rows, a repeated header, or a cell that is not of its declared
            type.
    """
    content = as_utf8(content, options)
    delimiter, notes = _delimiter(content, options)
    names = _header(content, delimiter)
    require_names(names, options)
    records = Records(content, delimiter, keep_blank=len(names) == 1)
    texts = _cells(content, delimiter, names, records, options)
    if not texts.num_rows:
        raise DataError("The file has a header but no rows (records) of data.", "Check the export that wrote it.")
    line_of = lru_cache(maxsize=None)(_line_finder(content, records))
    _refuse_second_header(texts, names, line_of)
    columns, warnings = [], [*notes, *name_warnings(names)]
    cells = texts.columns[::-1]
    del texts  # so that each column's text goes as soon as the column has its type
    for name in names:
        found = typed(name, cells.pop(), options.of(name), decimal=options.decimal, line_of=line_of)
        columns.append(found.column)
        pa.default_memory_pool().release_unused()  # the text's pages; else they stay with the process
        warnings.extend(found.warnings)
    return Table(pa.table(columns, names=names), warnings=warnings)


def _delimiter(content: bytes, options: ReadOptions) -> tuple[bytes, list[DataWarning]]:
    if options.delimiter is not None:
        mark = options.delimiter.encode()
        if len(mark) != 1:
            raise DataError("A delimiter is one ASCII character.", "Set ReadOptions.delimiter to one.")
        return mark, []
    mark = find_delimiter(content)
    if mark == b",":
        return mark, []
    text = f"The delimiter (separator) of the file is not a comma but {WORD[mark]}; it was read with that."
    return mark, [DataWarning(code="delimiter", column=None, message=text)]


def _header(content: bytes, delimiter: bytes) -> list[str]:
    first = next(iter(Records(content, delimiter)), None)
    if first is None or not b"".join(first.fields).strip():
        raise DataError("The file has no header: it holds only blank lines.", "Check the export that wrote it.")
    if first.unclosed is not None:
        raise DataError(f"A quote opened in the header on line {first.line} is never closed.", "Close it.")
    return [name.decode() for name in first.fields]


def _cells(content: bytes, delimiter: bytes, names: list[str], records: Records, options: ReadOptions) -> pa.Table:
    """All cells as text, without the header, columns named 0, 1, …"""
    quotes = content.count(b'"')
    if quotes and not quotes_are_even(content, delimiter):
        fault = first_fault(records, names, options)
        if fault is not None:
            raise fault
    labels = [str(position) for position in range(len(names))]
    try:
        texts = pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(
                column_names=labels, use_threads=False, block_size=max(BLOCK_BYTES, 4 * options.max_field)
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter.decode(), newlines_in_values=quotes > 0, ignore_empty_lines=len(names) > 1
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(labels, pa.string()),
                strings_can_be_null=False,
                null_values=[],
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        raise first_fault(records, names, options) or _unreadable() from None
    longest = max((pc.max(pc.binary_length(c)).as_py() or 0 for c in texts.columns), default=0)
    if longest > options.max_field:
        raise first_fault(records, names, options) or _unreadable()
    return texts.slice(_header_records(texts, names))


def _header_records(texts: pa.Table, names: list[str]) -> int:
    """How many records to skip: blank ones before the header of a one-column file, and the header."""
    if len(names) > 1:
        return 1
    return int(pc.index(texts.column(0), text_of(names[:1])[0]).as_py()) + 1


def _line_finder(content: bytes, records: Records) -> Callable[[int], int | None]:
    skipped = sum(1 for _ in _blank_start(content)) if records.keeps_blank else 0
    return lambda row: records.line_of(row + 1 + skipped)


def _blank_start(content: bytes) -> list[int]:
    start = 0
    while start < len(content) and content[start : start + 1] in b"\r\n":
        start += 1
    lines = content[:start].replace(b"\r\n", b"\n")
    return list(range(len(lines)))


def _refuse_second_header(texts: pa.Table, names: list[str], line_of: Callable[[int], int | None]) -> None:
    """Two files joined with `cat` repeat the header; every column would turn into text."""
    if len(names) == 1:
        return
    labels = text_of(names)
    same = pc.equal(texts.column(0), labels[0])
    if not pc.any(same).as_py():
        return
    for position in range(1, len(names)):
        same = pc.and_(same, pc.equal(texts.column(position), labels[position]))
    rows = np.flatnonzero(values_of(same))
    if len(rows):
        where = line_of(int(rows[0]))
        raise DataError(
            f"Line {where} repeats the header, from column {shown(names[0])} on: files were joined.",
            "Remove that line.",
        )


def _unreadable() -> DataError:
    return DataError("The file is no CSV table that can be parsed.", "Export it again, as RFC 4180 CSV.")
