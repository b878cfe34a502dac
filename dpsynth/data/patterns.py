r"""What text is searched for, in words that RE2, PostgreSQL and Java read alike.

One pattern serves Arrow (RE2), DuckDB (RE2), PostgreSQL (ARE) and Spark (Java), which differ in what `\s`, `\d`, `.`
and word boundaries mean and in look-arounds. So classes are written out, and `$` stands only at the end of an
alternative, where it means the end of the text: an engine in which it also means the place before a last line feed
says it otherwise (`Engine.matches`). Blanks are the five of RE2's `\s`.

>>> import pyarrow as pa, pyarrow.compute as pc
>>> pc.match_substring_regex(pa.array(["+49 30 1234567", "030 12"]), CONTACTS["telephone numbers"]).to_pylist()
[True, False]

Not guaranteed: that everything which reaches a person is found; each pattern is one known form.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

BLANK = r"\t\n\f\r "
CONTACTS: Mapping[str, str] = MappingProxyType(
    {
        "e-mail addresses": rf"^[^@{BLANK}]+@[^@{BLANK}]+\.[^@{BLANK}]+$",
        "telephone numbers": r"^(?:\+|00)[0-9][0-9 ()/.-]{6,}[0-9]$",
        "social security numbers": r"^[0-9]{3}-[0-9]{2}-[0-9]{4}$",
    }
)
CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f]"
FORMULA = rf"^[\t\r ]*[=+@][^{BLANK}]|^[\t\r ]*-[^{BLANK}0-9.][^{BLANK}]|^-[0-9]+[-+*/]"
MANY_WORDS = 5
WORDY = rf"(?:[^{BLANK}]+[{BLANK}]+){{{MANY_WORDS - 1}}}[^{BLANK}]"
"""At least `MANY_WORDS` words."""
SURROGATES = range(0xD800, 0xE000)
ALPHABETS = ("LATIN", "CYRILLIC", "GREEK")


def alphabet_of(letter: str) -> str:
    """Which of `ALPHABETS` a letter is of, or nothing."""
    name = unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() else ""
    return name if name in ALPHABETS else ""


def is_invisible(letter: str) -> bool:
    """Whether a character only steers how others are shown."""
    return unicodedata.category(letter) == "Cf"


@cache
def invisible() -> str:
    """A character that is not seen."""
    return f"[{_class(is_invisible)}]"


@cache
def mixed() -> str:
    r"""Letters of two alphabets in one word, words being Python's `\w+`."""
    latin, cyrillic, greek = (_class(lambda c, of=of: alphabet_of(c) == of) for of in ALPHABETS)  # type: ignore[misc]
    word = _class(lambda c: c.isalnum() or c == "_")
    pairs = ((latin, cyrillic + greek), (cyrillic + greek, latin), (cyrillic, greek), (greek, cyrillic))
    return "|".join(f"[{one}][{word}]*[{other}]" for one, other in pairs)


def _class(holds: Callable[[str], bool]) -> str:
    """The inside of a bracket expression of all characters for which it holds, in ranges."""
    parts: list[str] = []
    first: int | None = None
    for point in range(sys.maxunicode + 2):
        inside = point <= sys.maxunicode and point not in SURROGATES and holds(chr(point))
        if inside and first is None:
            first = point
        elif not inside and first is not None:
            parts.append(chr(first) if first == point - 1 else f"{chr(first)}-{chr(point - 1)}")
            first = None
    return "".join(parts)
