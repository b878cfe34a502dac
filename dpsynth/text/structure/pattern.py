r"""A pattern of Python's `re` in the syntax of the engine that masks tokens: the same language, or refused.

The two syntaxes look alike and differ: the engine's `\w` holds marks, and it reads `[a&&b]` as an intersection. So
Python's own parser reads the pattern and every class is written out in code points. Classes such as \d, \w and \s are
ASCII, as under `re.ASCII`. A whole text must match, so anchors may stand at the ends of a pattern and mean nothing.

>>> translated(r"^[\d_]{2,}|n/a$")
'(?:(?:[\\x{30}-\\x{39}\\x{5F}]){2,}|\\x{6E}\\x{2F}\\x{61})'

Refused with a reason: look-around, back references, word boundaries, atomic groups, ignoring case. The parser is
private to CPython (`re._parser`); tests hold this file against `re.fullmatch`, so a Python that changes it turns them
red.

Not guaranteed: that surrogates match; no text that is UTF-8 holds one.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from dpsynth.core.errors import ParameterError

Runs = list[tuple[int, int]]
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_CLASSES: dict[str, Runs] = {
    "CATEGORY_DIGIT": [(48, 57)],
    "CATEGORY_WORD": [(48, 57), (65, 90), (95, 95), (97, 122)],
    "CATEGORY_SPACE": [(9, 13), (32, 32)],
}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")  # lazy or greedy: the same whole texts match
_STARTS = ("AT_BEGINNING", "AT_BEGINNING_STRING")
_ENDS = ("AT_END", "AT_END_STRING")
_REFUSED = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "AT": "an anchor or boundary inside",
    "ATOMIC_GROUP": "an atomic group",
    "GROUPREF": "a back reference",
    "GROUPREF_EXISTS": "a conditional group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}


def translated(pattern: str) -> str:
    """The pattern for the engine.

    Raises:
        ParameterError: Python does not read it, or it holds what no automaton can follow.
    """
    try:
        read = import_module("re._parser").parse(pattern, re.ASCII)
        flags = read.state.flags
        return _sequence(list(read), flags=flags, start=True, end=True)
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"Not a regular expression: {error}.", "Write one that Python's `re` reads.") from None


def _sequence(items: list[Any], *, flags: int, start: bool, end: bool) -> str:
    """Items one after another; `start` and `end` say whether they touch the ends of the whole pattern."""
    if flags & (re.IGNORECASE | re.LOCALE):
        raise _refused("ignoring case")
    while start and items and _name(items[0]) == "AT" and str(items[0][1]) in _STARTS:
        items = items[1:]
    while end and items and _name(items[-1]) == "AT" and str(items[-1][1]) in _ENDS:
        items = items[:-1]
    last = len(items) - 1
    return "".join(
        _item(item, flags=flags, start=start and at == 0, end=end and at == last) for at, item in enumerate(items)
    )


def _item(item: Any, *, flags: int, start: bool, end: bool) -> str:
    name, held = _name(item), item[1]
    if name == "LITERAL":
        return _written([(held, held)], bare=True)
    if name == "NOT_LITERAL":
        return _written(_others([(held, held)]))
    if name == "ANY":
        return _written(_others([] if flags & re.DOTALL else [(10, 10)]))
    if name == "IN":
        return _written(_class(held))
    if name == "BRANCH":
        inner = (_sequence(list(branch), flags=flags, start=start, end=end) for branch in held[1])
        return f"(?:{'|'.join(inner)})"
    if name == "SUBPATTERN":
        _, added, taken, body = held
        return f"(?:{_sequence(list(body), flags=(flags | added) & ~taken, start=start, end=end)})"
    if name in _REPEATS:
        low, high, body = held
        most = "" if str(high) == "MAXREPEAT" else str(int(high))
        return f"(?:{_sequence(list(body), flags=flags, start=False, end=False)}){{{int(low)},{most}}}"
    raise _refused(_REFUSED.get(name, name.lower()))


def _class(items: list[Any]) -> Runs:
    """Code points of a class in brackets."""
    runs: Runs = []
    negated = False
    for name, held in ((_name(item), item[1]) for item in items):
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            runs.append((held, held))
        elif name == "RANGE":
            runs.append(held)
        elif name == "CATEGORY" and str(held) in _CLASSES:
            runs += _CLASSES[str(held)]
        elif name == "CATEGORY" and (plain := str(held).replace("_NOT_", "_")) in _CLASSES:
            runs += _others(_CLASSES[plain])
        else:
            raise _refused(f"a class with {name.lower()}")
    return _others(runs) if negated else runs


def _others(runs: Runs) -> Runs:
    """All code points that are in none of the runs."""
    result, following = [], 0
    for low, high in sorted(runs):
        if low > following:
            result.append((following, low - 1))
        following = max(following, high + 1)
    return [*result, (following, _LAST)] if following <= _LAST else result


def _written(runs: Runs, *, bare: bool = False) -> str:
    """Runs without surrogates, as one class; a single literal bare."""
    low, high = _SURROGATES
    parts = [part for a, b in runs for part in ((a, min(b, low - 1)), (max(a, high + 1), b)) if part[0] <= part[1]]
    parts = [(a, b) for a, b in parts if not (low <= a <= high or low <= b <= high)]
    if not parts:
        raise ParameterError("The pattern asks for a character of an empty class.", "Leave that class out.")
    points = sorted(set(parts))
    text = "".join(f"\\x{{{a:X}}}" if a == b else f"\\x{{{a:X}}}-\\x{{{b:X}}}" for a, b in points)
    return text if bare else f"[{text}]"


def _name(item: Any) -> str:
    return str(item[0])


def _refused(what: str) -> ParameterError:
    return ParameterError(
        f"A pattern with {what} cannot be followed token by token.", "Describe the texts without it, or use a verifier."
    )
