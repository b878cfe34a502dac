"""What looks wrong in the cells of a table, for the eyes of whoever holds the file.

These checks judge exact facts about private data (`dpsynth.data.facts`), found in memory or in an engine. They are an
operator-side diagnostic: their warnings go to the terminal of the person who runs the tool and never into a draft,
card, report or bundle, and no mechanism reads them, so they decide nothing about what a release contains. (That a run
was refused is seen only by that person.) They name columns, never cells. Look-alike letters follow Unicode TR 39 in
spirit: a word that mixes Latin with Cyrillic or Greek is suspicious.

>>> import pyarrow as pa
>>> from dpsynth.data.facts import Asked, facts_of
>>> from dpsynth.data.table import Table
>>> table = Table.from_arrow(pa.table({"n": [2**60, 2**60]}))
>>> [w.code for w in inspect(facts_of(table, Asked()), table.types)]
['beyond_2_53']

Not guaranteed: completeness. Each check looks for one known accident; a clean result is no statement about
privacy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from dpsynth.data.facts import ColumnFacts, Facts
from dpsynth.data.warning import DataWarning, shown

MANY_COPIES = 100
PERSON = re.compile(r"(^|[_\W])(p|person|people|patient|user|customer|client|member|subject|account)?_?(id|uid|pid)$")


def inspect(
    facts: Facts,
    types: Mapping[str, str],
    *,
    target: str | None = None,
    unit: str | None = None,
    identifiers: Collection[str] = (),
) -> tuple[DataWarning, ...]:
    """All findings about the cells of a table (private; see the module's docstring).

    Args:
        facts: about the table as read.
        types: column -> its kind.
        target: the column that is to be predicted, if any: copies of it are named.
        unit: the column of the privacy unit, if declared: its repeats are meant.
        identifiers: columns that are read and neither modelled nor released: what their cells look like harms nobody.
    """
    found: list[DataWarning] = []
    for name, column in facts.columns.items():
        found += [
            DataWarning(code=code, column=name, message=f"Column {shown(name)} {message}")
            for kinds, code, applies, message in _CHECKS
            if name not in identifiers and types[name] in kinds and applies(column)
        ]
        if unit is None and types[name] in ("integer", "string") and PERSON.search(name.lower()) and not column.unique:
            found.append(_unit_hint(name))
    found.extend(_target_copies(facts, target))
    found.extend(_copies(facts, unit))
    found.extend(_unchecked(facts))
    return tuple(found)


def _unit_hint(name: str) -> DataWarning:
    text = (
        f"Column {shown(name)} repeats its values: one person seems to own several rows, and an epsilon "
        "for a row is "
        "not an epsilon for a person. Name it as the privacy unit (--unit with --max-per-unit)."
    )
    return DataWarning(code="unit_repeats", column=name, message=text)


_CHECKS: tuple[tuple[tuple[str, ...], str, Callable[[ColumnFacts], bool], str], ...] = (
    (
        ("string",),
        "control_characters",
        lambda column: column.control,
        "holds control characters such as terminal escapes; they are never shown, but are kept. Clean the column.",
    ),
    (
        ("string",),
        "formula",
        lambda column: column.formula,
        "holds text that a spreadsheet would run as a formula; it is neutralised in a released CSV file.",
    ),
    (
        ("string",),
        "look_alike",
        lambda column: column.look_alike,
        "holds categories that look alike: invisible characters, two Unicode forms, or mixed alphabets. "
        "They are not "
        "merged. Normalise the column.",
    ),
    (
        ("integer", "float"),
        "implausible",
        lambda column: column.implausible,
        "holds values far outside the rest. Declare its public `min` and `max`; they are never taken from the data.",
    ),
    (
        ("integer",),
        "beyond_2_53",
        lambda column: column.beyond_doubles,
        "holds integers beyond 2^53, which floats cannot hold: probably an identifier. Give it that role or drop it.",
    ),
    (
        ("integer",),
        "unique_integer",
        lambda column: column.unique and column.present > 1,
        "has another integer in every row: probably an identifier, which is not to be modelled. Give it "
        "the role "
        "identifier, or drop it.",
    ),
)


def _target_copies(facts: Facts, target: str | None) -> Iterator[DataWarning]:
    """Columns that say exactly what the target says."""
    for name, column in facts.columns.items():
        if column.copies_target:
            text = (
                f"Column {shown(name)} is a copy of the target {shown(str(target))} in other words: a model "
                "needs nothing "
                "else, so utility scores are void. Drop it, unless that is known."
            )
            yield DataWarning(code="target_copy", column=name, message=text)


def _copies(facts: Facts, unit: str | None) -> Iterator[DataWarning]:
    """One row many times over: a person may be in the table more than once."""
    if unit is None and facts.copies >= MANY_COPIES:
        text = (
            "One row occurs very often (many identical copies, a duplicate of one record). If they belong "
            "to one "
            "person, a guarantee for a record does not cover that person: name the privacy unit (--unit)."
        )
        yield DataWarning(code="heavy_duplicate", column=None, message=text)


def _unchecked(facts: Facts) -> Iterator[DataWarning]:
    """What an engine cannot be asked."""
    for what in facts.unchecked:
        yield DataWarning(code="not_checked", column=None, message=f"Not checked in this engine: {what}.")
