"""Which column names a table may have: any text that is short, not blank and not repeated.

Names such as `index`, `../../x` or `<img …>` are fine, because no name ever becomes a path, an attribute or
markup.

>>> require_names(["age", "city"], ReadOptions())

Not guaranteed: that two names look different; `name_warnings` says when they do not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from dpsynth.core.errors import DataError
from dpsynth.data.options import ReadOptions
from dpsynth.data.warning import DataWarning, listed, shown


def require_names(names: Sequence[str], options: ReadOptions) -> None:
    """Raise `DataError` for too many columns, and for blank, repeated or overlong names."""
    if len(names) > options.max_columns:
        raise DataError(
            f"The table has {len(names)} columns; the limit is {options.max_columns}.",
            "Keep the columns that are needed, or raise ReadOptions.max_columns.",
        )
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise DataError(
                f"Column {position} has no name.",
                "Name it in the header; an index written by pandas is left out with to_csv(index=False).",
            )
        if "\0" in name:  # columns of our own begin with it, and no engine's catalogue holds it
            raise DataError(f"The name of column {position} holds the character NUL.", "Rename it.")
        if len(name) > options.max_name:
            raise DataError(
                f"The name of column {position}, {shown(name)}, has more than {options.max_name} characters.",
                "Shorten it; if it is not a name, the file lacks a header.",
            )
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if list(names).count(n) > 1})
        raise DataError(f"Two columns are called {listed(twice)}.", "Rename one of them.")


def name_warnings(names: Sequence[str]) -> list[DataWarning]:
    """Names equal but for blanks, case or Unicode form, and names with unprintable characters."""
    found: list[DataWarning] = []
    seen: dict[str, str] = {}
    for name in names:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if key in seen:
            text = (
                f"Columns {shown(seen[key])} and {shown(name)} differ only in blanks, case or Unicode form; "
                "both are kept. Rename one."
            )
            found.append(DataWarning(code="names_alike", column=name, message=text))
        seen.setdefault(key, name)
        if not name.isprintable():
            text = f"The name of column {shown(name)} holds unprintable characters. Rename it."
            found.append(DataWarning(code="name_unprintable", column=name, message=text))
    return found
