"""A writer from words, as a command line or a file gives them: `tokens=100`, `batch_size=7`.

Values take the type of the writer's own field; an unknown name is answered with the nearest known one.

>>> from dataclasses import dataclass
>>> @dataclass
... class Toy:
...     tokens: int = 64
>>> settings_of(Toy, ["tokens=100"])
{'tokens': 100}
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from dpsynth.core.errors import ParameterError

OWN_OPTIONS = frozenset({"model", "structure", "checkpoints"})
"""Fields that are no words, or have an option of their own."""


def settings_of(made: type[Any], words: Sequence[str]) -> dict[str, Any]:
    """Arguments of a writer's class.

    Args:
        made: a dataclass.
        words: `name=value` each.

    Raises:
        ParameterError: not of that form, an unknown name, one given twice, or a value of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    kinds = get_type_hints(made)
    known = [field.name for field in fields(made) if field.name not in OWN_OPTIONS]
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise ParameterError(f"A setting is name=value, not {word[:60]!r}.", f"Names: {', '.join(known)}.")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]!r}?" if near else f"Names: {', '.join(known)}."
            raise ParameterError(f"There is no setting {name[:60]!r}.", hint)
        if name in found:
            raise ParameterError(f"The setting {name!r} is given twice.", "Give it once.")
        try:
            found[name] = TypeAdapter(kinds[name]).validate_python(value.strip())
        except ValidationError:
            raise ParameterError(f"The setting {name!r} cannot be {value[:60]!r}.", "See the method's page.") from None
    return found
