"""Which filters a run may use: differently named ones that hold no private rows.

A filter sees written texts and those that it is given when it is made. One that compares with private texts answers a
query about them: whether a text stays then depends on a record, and nothing pays for that. So there is no argument
through which a filter gets private texts, and one that holds them, in a field, in a list, in what a function closes
over, is refused. To compare with training texts, use the attacks, which run behind the gate; to release such a
comparison, charge it as a mechanism.

Not guaranteed: that a user's code opens no file of private texts by itself. No program can prove that of another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.filters.protocol import Filter

PRIVATE = frozenset(
    {
        "dpsynth.data.table.Table",
        "dpsynth.text.corpus.Corpus",
        "dpsynth.workspace.private.room.PrivateRows",
        "dpsynth.workspace.private.room.Checked",
    }
)
"""Types that hold private rows, by name: a filter is checked without importing a workspace."""
REHEARSAL = ("", "The fee was late.", '{"fees": 35}', "Zwei Gebühren, 35 €\n\nund kein Rückruf.")
_MOST_OBJECTS = 10_000
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, ModuleType)


def admitted(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """The filters, in order.

    Raises:
        ParameterError: two have one name, one is no filter, or one holds private rows.
    """
    steps = tuple(filters)
    names = []
    for step in steps:
        if not all(hasattr(step, part) for part in ("name", "keep", "describe")):
            raise ParameterError(
                f"{type(step).__name__} is no filter: it lacks name, keep or describe.",
                "Wrap a check of your own in `Verified`.",
            )
        refuse_private(step)
        names.append(step.name)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(
            f"Two filters are called {twice[0]!r}, and the card counts by name.", "Give them different names."
        )
    return steps


def rehearsed(filters: Iterable[Filter]) -> None:
    """Let each filter judge a few public sentences, so that one that cannot run says so before anything is paid.

    Raises:
        ParameterError: a filter raised, or judged another number of texts than it was shown.
    """
    for step in filters:
        if np.shape(step.keep(REHEARSAL, ())) != (len(REHEARSAL),):
            raise ParameterError(
                f"The filter {step.name!r} judged another number of texts than it was shown.",
                "Return one answer for each text.",
            )


def refuse_private(step: object) -> None:
    """Refuse what holds private rows.

    Raises:
        ParameterError: it does.
    """
    for held in _reached(step):
        kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(held).__mro__}
        if kinds & PRIVATE:
            raise ParameterError(
                f"This filter holds a {type(held).__name__} of private rows. A filter that looks at private text is "
                "refused or charged, and a filter has no event to charge.",
                "Compare with training texts by an attack, behind the gate.",
            )


def _reached(start: object) -> Iterator[object]:
    """Everything that an object holds: fields, items, closures, globals that its functions name."""
    seen: set[int] = set()
    waiting = deque([start])
    while waiting and len(seen) < _MOST_OBJECTS:  # nearest first, so that a large model hides nothing beside it
        held = waiting.popleft()
        if id(held) in seen or isinstance(held, _PLAIN):
            continue
        seen.add(id(held))
        yield held
        waiting += _inside(held)


def _inside(held: Any) -> list[Any]:
    if isinstance(held, dict):
        return [*held.keys(), *held.values()]
    if isinstance(held, (list, tuple, set, frozenset)):
        return list(held)
    if isinstance(held, partial):
        return [held.func, *held.args, *held.keywords.values()]
    if isinstance(held, MethodType):
        return [held.__self__, held.__func__]
    if isinstance(held, FunctionType):
        return _of_function(held)
    own = list(getattr(held, "__dict__", {}).values())
    for kind in type(held).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        own += [
            getattr(held, name) for name in names if name not in ("__dict__", "__weakref__") and hasattr(held, name)
        ]
        own += [member for member in kind.__dict__.values() if isinstance(member, FunctionType)]
    return own


def _of_function(function: FunctionType) -> list[Any]:
    """Closure, defaults, and the globals that its code names."""
    closed = []
    for cell in function.__closure__ or ():
        try:
            closed.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    globals_ = [function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__]
    return [*closed, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *globals_]
