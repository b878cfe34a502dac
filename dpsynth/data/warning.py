"""What a reader or a check has to say without stopping, and how a column's name is shown.

A message names columns and lines, never a cell. A column's name is public but hostile all the same: it may
hold terminal escapes or be 70,000 characters long, so `shown` escapes it and cuts it at 60 characters.

>>> shown("age")
"'age'"
>>> len(shown("a" * 70_000))
62

Not guaranteed: that a warning is the only thing wrong with a file; each check looks for one thing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_SHOWN = 60
MAX_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DataWarning:
    """One finding about a column (or, with `column=None`, about the table).

    Attributes:
        code: short stable word for machines, such as `missing_tokens`.
        column: the column's name as it stands in the file, or None.
        message: what, why and what next; holds no cell value.
    """

    code: str
    column: str | None
    message: str


def shown(name: str) -> str:
    """The name in quotes, control and other unprintable characters escaped, at most 60 characters inside."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[: MAX_SHOWN + 1])
    if len(text) > MAX_SHOWN:
        text = text[: MAX_SHOWN - 3] + "..."
    return f"'{text}'"


def listed(names: Iterable[str]) -> str:
    """Several names in one phrase: the first five, and how many more.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    every = list(names)
    text = ", ".join(shown(name) for name in every[:MAX_LISTED])
    return text if len(every) <= MAX_LISTED else f"{text} and {len(every) - MAX_LISTED} more"
