"""What looks wrong in the cells of a table, for the eyes of whoever holds the file.

These checks read exact private data. They are an operator-side diagnostic: their warnings go to the
terminal of the person who runs the tool and never into a draft, card, report or bundle, and no mechanism
reads them, so they decide nothing about what a release contains. (That a run was refused is seen only by
that person.) They name columns, never cells. Look-alike letters follow Unicode TR 39 in spirit: a word that
mixes Latin with Cyrillic or Greek is suspicious.

>>> table = Table.from_arrow(pa.table({"n": [2**60, 2**60]}))
>>> [w.code for w in inspect(table)]
['beyond_2_53']

Not guaranteed: completeness. Each check looks for one known accident; a clean result is no statement about
privacy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import values_of
from dpsynth.data.bounding import row_hashes
from dpsynth.data.table import Table
from dpsynth.data.warning import DataWarning, shown

EXACT_INTEGER = 2**53
MANY_COPIES = 100
HEAVY_SHARE = 0.05
PERSON = re.compile(r"(^|[_\W])(p|person|people|patient|user|customer|client|member|subject|account)?_?(id|uid|pid)$")
AGE = re.compile(r"(^|[_\W])age([_\W]|$)", re.IGNORECASE)
OLDEST = 130
CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f]"
FORMULA = r"^[\t\r ]*[=+@][^\s]|^[\t\r ]*-[^\s0-9.][^\s]|^-[0-9]+[-+*/]"
TAIL = 1000.0
DISTINCT_KEY = b"inspection only!"


def inspect(
    table: Table, *, target: str | None = None, unit: str | None = None, heaviest: tuple[int, int] | None = None
) -> tuple[DataWarning, ...]:
    """All findings about the cells of a table (private; see the module's docstring).

    Args:
        table: the table as read.
        target: the column that is to be predicted, if any: copies of it are looked for.
        unit: the column of the privacy unit, if declared: its repeats are meant.
        heaviest: `heaviest_row(table)`, if it is known already.
    """
    found: list[DataWarning] = []
    for name in table.columns:
        column = table.column(name)
        kind = table.types[name]
        checks = {"string": _TEXT, "integer": _INTEGER, "float": _FLOAT}.get(kind, ())
        for code, applies, message in checks:
            if applies(name, column):
                found.append(DataWarning(code=code, column=name, message=f"Column {shown(name)} {message}"))
        if unit is None and kind in ("integer", "string") and repeats(name, column):
            found.append(_unit_hint(name))
    found.extend(_target_copies(table, target))
    found.extend(_copies(unit, *(heaviest or heaviest_row(table))))
    return tuple(found)


def distinct_values(column: pa.ChunkedArray) -> tuple[int, int]:
    """Number of distinct present values, and of present cells (private)."""
    present = column.drop_null()
    return int(pc.count_distinct(present).as_py()), len(present)


def heaviest_row(table: Table) -> tuple[int, int]:
    """How often the most frequent row occurs, and the number of rows (private)."""
    if not table.unsafe_num_rows:
        return 0, 0
    _, times = np.unique(row_hashes(table.to_arrow(), DISTINCT_KEY), return_counts=True)
    return int(times.max()), table.unsafe_num_rows


def repeats(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column named like a person's identifier holds values more than once."""
    if not PERSON.search(name.lower()):
        return False
    distinct, present = distinct_values(column)
    return distinct < present


def _unit_hint(name: str) -> DataWarning:
    text = (
        f"Column {shown(name)} repeats its values: one person seems to own several rows, and an epsilon "
        "for a row is "
        "not an epsilon for a person. Name it as the privacy unit (--unit with --max-per-unit)."
    )
    return DataWarning(code="unit_repeats", column=name, message=text)


def _matches_any(pattern: str) -> Callable[[str, pa.ChunkedArray], bool]:
    def applies(name: str, column: pa.ChunkedArray) -> bool:
        del name
        return bool(pc.any(pc.match_substring_regex(_distinct(column), pattern)).as_py())

    return applies


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    return pc.unique(column).drop_null()


def _look_alike(name: str, column: pa.ChunkedArray) -> bool:
    """Invisible characters, equal after NFC, or a word of two alphabets."""
    del name
    values = _distinct(column)
    odd = values.filter(pc.invert(pc.string_is_ascii(values))).to_pylist()
    if not odd:
        return False
    if any(unicodedata.category(c) == "Cf" for text in odd for c in text):
        return True
    if len({unicodedata.normalize("NFC", text) for text in odd}) < len(odd):
        return True
    return any(len(_alphabets(word)) > 1 for text in odd for word in re.findall(r"\w+", text))


def _alphabets(word: str) -> set[str]:
    names = {unicodedata.name(c, "").split(" ")[0] for c in word if c.isalpha()}
    return names & {"LATIN", "CYRILLIC", "GREEK"}


def _identifier_like(name: str, column: pa.ChunkedArray) -> bool:
    del name
    distinct, present = distinct_values(column)
    return present > 1 and distinct == present


def _beyond_doubles(name: str, column: pa.ChunkedArray) -> bool:
    del name
    low, high = pc.min_max(column).as_py().values()
    return low is not None and (low < -EXACT_INTEGER or high > EXACT_INTEGER)


def _implausible(name: str, column: pa.ChunkedArray) -> bool:
    """An age outside 0 … 130, or an extreme a thousand times further out than 98 % of the column is wide."""
    low, high = pc.min_max(column).as_py().values()
    if low is None:
        return False
    if AGE.search(name) and (low < 0 or high > OLDEST):
        return True
    q01, median, q99 = pc.quantile(column, q=[0.01, 0.5, 0.99]).to_pylist()
    width = q99 - q01
    return bool(width > 0 and max(high - median, median - low) > TAIL * width)


_BOUNDS = (
    "implausible",
    _implausible,
    "holds values far outside the rest. Declare its public `min` and `max`; they are never taken from the data.",
)
_FLOAT = (_BOUNDS,)
_INTEGER = (
    _BOUNDS,
    (
        "beyond_2_53",
        _beyond_doubles,
        "holds integers beyond 2^53, which floats cannot hold: probably an identifier. Give it that role or drop it.",
    ),
    (
        "unique_integer",
        _identifier_like,
        "has another integer in every row: probably an identifier, which is not to be modelled. Give it "
        "the role "
        "identifier, or drop it.",
    ),
)
_TEXT = (
    (
        "control_characters",
        _matches_any(CONTROL),
        "holds control characters such as terminal escapes; they are never shown, but are kept. Clean the column.",
    ),
    (
        "formula",
        _matches_any(FORMULA),
        "holds text that a spreadsheet would run as a formula; it is neutralised in a released CSV file.",
    ),
    (
        "look_alike",
        _look_alike,
        "holds categories that look alike: invisible characters, two Unicode forms, or mixed alphabets. "
        "They are not "
        "merged. Normalise the column.",
    ),
)


def _target_copies(table: Table, target: str | None) -> Iterator[DataWarning]:
    """Columns that say exactly what the target says."""
    if target is None:
        return
    goal = _codes(table.column(target))
    classes = len(np.unique(goal))
    if classes < 2:
        return
    for name in table.columns:
        if name == target:
            continue
        codes = _codes(table.column(name))
        if len(np.unique(codes)) == classes == len(np.unique(codes * classes + goal)):
            text = (
                f"Column {shown(name)} is a copy of the target {shown(target)} in other words: a model "
                "needs nothing "
                "else, so utility scores are void. Drop it, unless that is known."
            )
            yield DataWarning(code="target_copy", column=name, message=text)


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    # one chunk: dictionaries of several cannot be unified where one of them holds a null
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    return values_of(encoded.indices).astype(np.int64)


def _copies(unit: str | None, times: int, rows: int) -> Iterator[DataWarning]:
    """One row many times over: a person may be in the table more than once."""
    if unit is None and times >= MANY_COPIES and times >= HEAVY_SHARE * rows:
        text = (
            "One row occurs very often (many identical copies, a duplicate of one record). If they belong "
            "to one "
            "person, a guarantee for a record does not cover that person: name the privacy unit (--unit)."
        )
        yield DataWarning(code="heavy_duplicate", column=None, message=text)
