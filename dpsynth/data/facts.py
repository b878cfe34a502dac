"""What the checks before a run judge: facts about private cells, from a table in memory or from an engine.

The checks (`dpsynth.schema.checks`, `dpsynth.data.inspect`) read these facts and nothing else, so that they refuse and
warn alike wherever the rows are. This file says what the facts are and finds them in memory; an engine finds the same
in a scan or two (`dpsynth.data.engines.facts`), where no more than the facts leave it. So each is a count, a comparison
of counts, or whether something occurs, and quantiles are order statistics at fractions that a double holds exactly.

>>> table = Table.from_arrow(pa.table({"n": [2**60, 2**60]}))
>>> found = facts_of(table, Asked()).columns["n"]
>>> found.present, found.unique, found.beyond_doubles
(2, False, True)

Not guaranteed: privacy. Facts are exact, for the operator alone, and no mechanism reads them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import literal, values_of
from dpsynth.data.bounding import row_hashes
from dpsynth.data.free_text import is_free_text
from dpsynth.data.patterns import CONTACTS, CONTROL, FORMULA, alphabet_of, is_invisible
from dpsynth.data.table import Table

if TYPE_CHECKING:
    from dpsynth.data.engines.warehouse import EngineTable

EXACT_INTEGER = 2**53
OLDEST = 130
FEW, MOST = 1 / 64, 63 / 64
"""Fractions of a column between which its bulk lies; powers of two, so that a fraction of n is exact everywhere."""
TAIL = 1000
HEAVY = 20
"""A row is heavy if it is one in so many, or more."""
AGE = re.compile(r"(^|[_\W])age([_\W]|$)", re.IGNORECASE)
DISTINCT_KEY = b"inspection only!"


class Condition(Protocol):
    """Something that a row may meet, such as breaking a declared rule."""

    def met(self, table: Table) -> int:
        """How many rows of a table in memory meet it."""

    def met_sql(self, table: EngineTable) -> str:
        """SQL of that number, beside aggregates of the table's relation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be found out beyond what every column is asked.

    Attributes:
        open: columns that would be modelled as open sets of categories.
        closed: column -> values of a closed set, in the column's Arrow type.
        target: the column to be predicted.
        conditions: whose rows are counted.
    """

    open: Collection[str] = ()
    closed: Mapping[str, pa.Array] = field(default_factory=dict)
    target: str | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ColumnFacts:
    """What is so in one column; nothing of it may be released.

    Attributes:
        present: cells that are not missing.
        several: the target only: at least two values are present.
        unique: text and integers: no two present cells are equal.
        contacts: open sets only: which of `CONTACTS` at least half of the present cells are.
        free_text: open sets only: see `is_free_text`.
        control: text: a cell holds control characters.
        formula: text: a spreadsheet would run a cell.
        look_alike: text: invisible characters, two Unicode forms of one text, or a word of two alphabets.
        beyond_doubles: integers: one is beyond 2^53.
        implausible: numbers: an age outside 0 … 130 (by the column's name), or an extreme that is `TAIL` times further
            from the median than the bulk of the column is wide.
        outside: closed sets only: a present cell is none of the values.
        copies_target: the cell says what the target's does, and the other way round.
    """

    present: int
    several: bool = False
    unique: bool = False
    contacts: tuple[str, ...] = ()
    free_text: bool = False
    control: bool = False
    formula: bool = False
    look_alike: bool = False
    beyond_doubles: bool = False
    implausible: bool = False
    outside: bool = False
    copies_target: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Facts:
    """What is so in a table; nothing of it may be released.

    Attributes:
        rows: how many there are.
        columns: column -> facts, in the table's order.
        copies: how often the most frequent row occurs, 0 if it is not one in `HEAVY`.
        met: rows that meet each condition.
        unchecked: what the engine could not be asked, in words.
    """

    rows: int
    columns: Mapping[str, ColumnFacts]
    copies: int
    met: tuple[int, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def holed(self) -> list[str]:
        """Columns with missing cells."""
        return [name for name, found in self.columns.items() if found.present < self.rows]


def facts_of(table: Table | EngineTable, asked: Asked) -> Facts:
    """The facts of a table, wherever its rows are."""
    if isinstance(table, Table):
        goal = None if asked.target is None else _codes(table.column(asked.target))
        return Facts(
            rows=table.unsafe_num_rows,
            columns={name: _column(name, table, asked, goal) for name in table.columns},
            copies=_copies(table),
            met=tuple(condition.met(table) for condition in asked.conditions),
        )
    from dpsynth.data.engines.facts import engine_facts

    return engine_facts(table, asked)


def is_far(low: Any, few: Any, median: Any, most: Any, high: Any) -> bool:
    """Whether an extreme is `TAIL` times further from the median than the bulk is wide; order statistics."""
    width = most - few
    return bool(width > 0 and max(high - median, median - low) > TAIL * width)


def _column(name: str, table: Table, asked: Asked, goal: NDArray[np.int64] | None) -> ColumnFacts:
    column, kind = table.column(name), table.types[name]
    present = column.drop_null()
    text, number, opened = kind == "string", kind in ("integer", "float"), name in asked.open
    distinct = int(pc.count_distinct(present).as_py()) if text or kind == "integer" or name == asked.target else -1
    values = pc.unique(present).drop_null() if text or name in asked.closed else None
    return ColumnFacts(
        present=len(present),
        several=name == asked.target and distinct > 1,
        unique=distinct == len(present) and (text or kind == "integer"),
        contacts=tuple(w for w, p in CONTACTS.items() if _mostly(present, p)) if text and opened else (),
        free_text=text and opened and is_free_text(column),
        control=text and _any(values, CONTROL),
        formula=text and _any(values, FORMULA),
        look_alike=text and _look_alike(values),
        beyond_doubles=kind == "integer" and _beyond(present, -EXACT_INTEGER, EXACT_INTEGER),
        implausible=number and _implausible(name, present),
        outside=name in asked.closed and not pc.all(pc.is_in(values, value_set=asked.closed[name])).as_py(),
        copies_target=goal is not None and name != asked.target and _says_the_same(_codes(column), goal),
    )


def _mostly(present: pa.ChunkedArray, pattern: str) -> bool:
    matching = int(pc.sum(pc.match_substring_regex(present, pattern)).as_py() or 0)
    return len(present) > 0 and 2 * matching >= len(present)


def _any(values: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _beyond(present: pa.ChunkedArray, low: int, high: int) -> bool:
    least, most = pc.min_max(present).as_py().values()
    return least is not None and (least < low or most > high)


def _implausible(name: str, present: pa.ChunkedArray) -> bool:
    if AGE.search(name) and _beyond(present, 0, OLDEST):
        return True
    if not len(present):
        return False
    values = values_of(present)
    at = [0, *(math.ceil(share * len(values)) - 1 for share in (FEW, 0.5, MOST)), len(values) - 1]
    return is_far(*(np.partition(values, sorted(set(at)))[place].item() for place in at))


def _look_alike(values: pa.Array) -> bool:
    odd = values.filter(pc.invert(pc.string_is_ascii(values))).to_pylist()
    if not odd:
        return False
    if any(is_invisible(c) for text in odd for c in text):
        return True
    if len({unicodedata.normalize("NFC", text) for text in odd}) < len(odd):
        return True
    words = {word for text in odd for word in re.findall(r"\w+", text)}
    return any(len({alphabet_of(c) for c in word} - {""}) > 1 for word in words)


def _says_the_same(codes: NDArray[np.int64], goal: NDArray[np.int64]) -> bool:
    classes = len(np.unique(goal))
    if classes < 2 or len(np.unique(codes)) != classes:
        return False
    return len(np.unique(codes * classes + goal)) == classes


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    if pa.types.is_floating(column.type):
        column = pc.add(column, literal(0.0, pa.float64()))  # -0.0 and 0.0 are one value
    # one chunk: dictionaries of several cannot be unified where one of them holds a null
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    return values_of(encoded.indices).astype(np.int64)


def _copies(table: Table) -> int:
    if not table.unsafe_num_rows:
        return 0
    _, times = np.unique(row_hashes(table.to_arrow(), DISTINCT_KEY), return_counts=True)
    most = int(times.max())
    return most if HEAVY * most >= table.unsafe_num_rows else 0
