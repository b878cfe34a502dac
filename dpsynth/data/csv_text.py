r"""What can be said about the bytes of a CSV file before and after parsing, with line numbers.

Encoding and NUL bytes are checked on the whole content; the delimiter is found from the first lines.
`Records` walks the fields one by one: it is used for the header, to find the line of a record, and to name
what is wrong once the fast parser has refused. Fields follow RFC 4180: quotes count only at the start of a
field.

>>> [r.line for r in Records(b'a,b\n"x\ny",1\n2,3\n', b",")]
[1, 2, 4]

Not guaranteed: that a quote opened by mistake is noticed if the next one happens to close it before a delimiter.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dpsynth.core.errors import DataError
from dpsynth.data.options import ReadOptions
from dpsynth.data.warning import shown

BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
DELIMITERS = (b",", b";", b"\t", b"|")
WORD = {b",": "comma ,", b";": "semicolon ;", b"\t": "tab", b"|": "bar |"}
PIECE = 8 << 20
SNIFFED_LINES = 20
NEWLINE = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One record: the line it starts on, its raw fields, and which field is badly quoted, if any.

    Attributes:
        line: from 1.
        fields: as text, quotes removed.
        unclosed: position of a field whose quote is never closed.
        stray: position of a field with text after its closing quote.
    """

    line: int
    fields: list[bytes]
    unclosed: int | None = None
    stray: int | None = None


class Records:
    """The records of a text, blank lines left out (kept as one empty field if `keep_blank`)."""

    def __init__(self, content: bytes, delimiter: bytes, *, keep_blank: bool = False) -> None:
        self._content = content
        self.keeps_blank = keep_blank
        d = re.escape(delimiter)
        self._field = re.compile(
            rb'(?:"(?P<quoted>(?:[^"]++|"")*+)"(?P<tail>[^%b\r\n]*+)|(?P<open>")|(?P<plain>[^%b\r\n]*+))'
            rb"(?P<end>%b|\r\n|\r|\n|\Z)?" % (d, d, d)
        )
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[Record]:
        content, match, position, line = self._content, self._field.match, 0, 1
        fields: list[bytes] = []
        start, stray = line, None
        while position < len(content) or fields:
            found = match(content, position)
            if found is None or found["open"] is not None:
                yield Record(start, fields, unclosed=len(fields))
                return
            quoted = found["quoted"]
            if quoted is not None:
                line += len(NEWLINE.findall(quoted))
                stray = len(fields) if found["tail"] and stray is None else stray
                fields.append(quoted.replace(b'""', b'"') + found["tail"])
            else:
                fields.append(found["plain"])
            position = found.end()
            if found["end"] == self._delimiter:
                continue
            if self.keeps_blank or fields != [b""] or quoted is not None:
                yield Record(start, fields, stray=stray)
            fields, line, stray = [], line + 1, None
            start = line

    def line_of(self, index: int) -> int | None:
        """The line on which record number `index` (0 is the header) starts."""
        for number, record in enumerate(self):
            if number == index:
                return record.line
        return None


def as_utf8(content: bytes, options: ReadOptions) -> bytes:
    """The content in UTF-8 without a byte order mark; raises `DataError` with byte offset and line."""
    if codecs.lookup(options.encoding).name != "utf-8":
        try:
            return content.decode(options.encoding).removeprefix("\ufeff").encode()
        except UnicodeError as error:
            at = getattr(error, "start", 0)
            raise DataError(
                f"The file is not {options.encoding}: byte {at}, line {line_at(content, at)}, is wrong.",
                "Find out its encoding and set ReadOptions.encoding.",
            ) from None
    for mark, name in BOMS:
        if content.startswith(mark):
            raise DataError(
                f"The encoding of the file is {name}, not UTF-8 (byte order mark at byte 0).",
                f'Convert it to UTF-8, or set ReadOptions(encoding="{name.lower()}").',
            )
    content = content.removeprefix(codecs.BOM_UTF8)
    _require_utf8(content)
    nul = content.find(b"\0")
    if nul >= 0:
        raise DataError(
            f"The file holds a NUL byte at byte {nul}, line {line_at(content, nul)}: damaged, or not text.",
            "Export it again, as UTF-8 text.",
        )
    return content


def _require_utf8(content: bytes) -> None:
    if content.isascii():
        return
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(content)
    for start in range(0, len(content), PIECE):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(view[start : start + PIECE], final=start + PIECE >= len(content))
        except UnicodeDecodeError as error:
            at = start - held + error.start
            raise DataError(
                f"The encoding of the file is not UTF-8: byte {at}, line {line_at(content, at)}, is wrong.",
                'Convert it to UTF-8, or set ReadOptions(encoding="latin-1") or what it is.',
            ) from None


def line_at(content: bytes, position: int) -> int:
    """The line of a byte, from 1; a carriage return alone also ends a line."""
    return 1 + sum(1 for _ in NEWLINE.finditer(content, 0, position))


def find_delimiter(content: bytes) -> bytes:
    """The candidate that the header holds most often and every early line holds as often; else the comma."""
    lines = [x for x in NEWLINE.split(content[: 1 << 18])[: SNIFFED_LINES + 1] if x.strip()]
    if len(content) > 1 << 18 and len(lines) > 1:
        lines = lines[:-1]
    if not lines:
        return b","
    bare = [re.sub(rb'"(?:[^"]|"")*"', b"", x) for x in lines]
    ranked = sorted(DELIMITERS, key=lambda d: -bare[0].count(d))
    for mark in ranked:
        if bare[0].count(mark) and len({x.count(mark) for x in bare}) == 1:
            return mark
    return ranked[0] if bare[0].count(ranked[0]) and not bare[0].count(b",") else b","


def quotes_are_even(content: bytes, delimiter: bytes) -> bool:
    """Whether every quoted cell is closed and followed by a delimiter or line end (or the cell is too long)."""
    last = content.rfind(b'"')  # nothing can be wrong beyond the end of that line
    ends = [end for mark in (b"\n", b"\r") if (end := content.find(mark, last)) >= 0]
    quoted = content[: min(ends) + 1] if ends else content
    lines = io.TextIOWrapper(io.BytesIO(quoted), encoding="utf-8", newline="")
    try:
        for _ in csv.reader(lines, delimiter=delimiter.decode(), strict=True):
            pass
    except csv.Error:
        return False
    return True


def first_fault(records: Records, names: list[str], options: ReadOptions) -> DataError | None:
    """Why a text is not a table, by the first record that is wrong; None if none is."""
    for record in records:
        if record.unclosed is not None:
            column = names[record.unclosed] if record.unclosed < len(names) else None
            where = f" in column {shown(column)}" if column is not None else ""
            return DataError(
                f"A quote opened{where} in the record on line {record.line} is never closed.",
                "Close or double the quote on that line.",
            )
        if record.stray is not None:
            return DataError(
                f"A cell on line {record.line}, field {record.stray + 1}, goes on after its closing quote; a quote "
                "before it may be open.",
                "Close or double the quotes on that line.",
            )
        for place, value in enumerate(record.fields):
            if len(value) > options.max_field:
                column = shown(names[place]) if place < len(names) else f"number {place + 1}"
                return DataError(
                    f"The cell in column {column}, line {record.line}, is longer than the limit of "
                    f"{options.max_field} bytes.",
                    "Shorten it, leave the column out, or raise ReadOptions.max_field.",
                )
        if len(record.fields) != len(names):
            return DataError(
                f"Line {record.line} has {len(record.fields)} fields, but the header has {len(names)}.",
                "Correct that line; no line is padded or dropped.",
            )
    return None
