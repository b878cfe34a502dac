"""What an engine must do, and the columns that it shows.

What is opened becomes a relation of our own inside the engine, a copy or (of files in DuckDB) a view, whose columns are
c0, c1, … in five raw types (text that compares by bytes, 64-bit integers, doubles without NaN, truth values; days and
microseconds since 1970 as integers). After that every engine is asked the same: expressions through ibis, statements
over names that we made.

An engine says no in two ways. `DataError` (and `UnsupportedByEngine`): the table cannot be used as it stands, and
asking again changes nothing. `EngineLost`: the engine went away or gave up; what was paid for is kept until it is back.

Not guaranteed: that an engine can do all of it; what it cannot is refused with `UnsupportedByEngine`, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import pyarrow as pa

from dpsynth.core.errors import DataError, SourceError
from dpsynth.data.recipe import Kind
from dpsynth.data.warning import DataWarning


class UnsupportedByEngine(DataError):
    """An engine cannot do what a column or a codec asks of it; nothing was approximated."""


class EngineLost(SourceError):
    """The engine went away or gave up (network, cluster, memory, disk, time); the same run can be asked for again."""


class SourceChanged(SourceError):
    """The rows are others than when the run began; it can go on if they are put back, and is closed if they are not."""


ROW = "(row of a file)"
"""What a row of files is called by who asks for its identity: no column, but its file and its place there."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a relation of ours.

    Attributes:
        cell: its name there: c0, c1, …
        kind: what it is to a table.
        decimals: decimal places that its type declares, 0 if none.
        warning: what is to be said of how its type is read, if anything.
    """

    cell: str
    kind: Kind
    decimals: int = 0
    warning: DataWarning | None = None


def quoted(name: str) -> str:
    """SQL of a name of somebody else's, a column's or a table's; Spark has quotes of its own."""
    return '"' + name.replace('"', '""') + '"'


def counted(condition: str) -> str:
    """SQL of how many rows meet a condition; not by FILTER, for which DuckDB slices all columns that are asked for."""
    return f"COUNT(CASE WHEN {condition} THEN 1 END)"


class Engine(Protocol):
    """A connection to where the rows are."""

    @property
    def name(self) -> str:
        """As in `ENGINES`."""

    @property
    def dialect(self) -> str:
        """What ibis calls its SQL."""

    @property
    def batch(self) -> int:
        """How many histograms one statement asks for."""

    @property
    def singles(self) -> int:
        """How many single columns one statement counts; more where reading the rows again is dear."""

    def store(self, query: str) -> str:
        """Run a query once and keep its rows inside the engine; the name they are kept under."""

    def view(self, query: str) -> str:
        """A name for a query that is run each time it is asked."""

    def upload(self, rows: pa.Table) -> str:
        """A small public table (string, int64, bool columns) inside the engine; its name."""

    def drop(self, relation: str) -> None:
        """Forget what `store` or `upload` kept."""

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query."""

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, about so many at a time."""

    def exploded(self, source: str, numbers: Sequence[str]) -> str | None:
        """SQL: each of these whole numbers that occurs in any row, as "k", and how often, as "n".

        None where GROUPING SETS are about as fast.

        Args:
            source: what stands after FROM.
            numbers: expressions of its columns, at least two.
        """

    def nearest(self, number: Any) -> Any:
        """Ibis: a double rounded to the nearest whole double, half to even."""

    def quotient(self, dividend: Any, divisor: int) -> Any:
        """Ibis: whole part of a non-negative 64-bit integer divided by a positive one, exactly."""

    def sha256(self, text: str) -> str:
        """SQL: SHA-256 of an expression of text's UTF-8 bytes, as 64 lower-case hexadecimal digits in byte order."""

    def text(self, cell: str) -> str:
        """SQL: an expression of an integer (or text) as text."""

    def whole(self, digits: str) -> str:
        """SQL: fifteen hexadecimal digits, an expression of text, as a whole number whose sums do not overflow."""

    def parsed(self, cell: str, kind: Kind) -> str:
        """SQL: a raw cell that is a number, date or time, of an expression of text (or number) that is one in ISO."""

    def literal(self, text: str) -> str:
        """SQL: a constant text; one that the engine cannot hold is NULL, since no cell there is equal to it."""

    def matches(self, cell: str, pattern: str) -> str:
        """SQL: whether an expression of text matches a pattern of `dpsynth.data.patterns` somewhere."""

    def not_ascii(self, cell: str) -> str:
        """SQL: whether an expression of text has a character beyond ASCII."""

    def composed(self, cell: str) -> str | None:
        """SQL: an expression of text in Unicode's form NFC; None if the engine has no such function."""

    def bucketed(self, relation: str, cells: Sequence[str], buckets: int) -> str:
        """SQL after FROM: a relation, and in `bucket` a number below `buckets` (a power of two) that equal rows share.

        Args:
            relation: its name.
            cells: expressions of its columns, by which rows are equal.
            buckets: at most 64.
        """

    def content(self) -> str | None:
        """Digest of all opened files, if rows are read from files each time (private); None if they are not."""

    def close(self) -> None:
        """Leave nothing behind in the engine."""
