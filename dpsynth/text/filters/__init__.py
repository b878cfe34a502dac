"""Declared checks of generated texts, one file each.

`FILTERS` is the whole list: name -> "module:class". `filters_from` reads words of the command line:

>>> [step.name for step in filters_from(["length:min_words=5,max_words=200", "near-duplicates"])]
['length', 'near-duplicates']

Filters run in the order given, each on what the ones before let through; put `near-duplicates` last, so that a text
that goes for another reason takes no double with it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.filters.protocol import Filter

FILTERS: dict[str, str] = {
    "language": "dpsynth.text.filters.language:Language",
    "length": "dpsynth.text.filters.length:Length",
    "near-duplicates": "dpsynth.text.filters.near_duplicates:NearDuplicates",
    "parses": "dpsynth.text.filters.parses:Parses",
    "pii": "dpsynth.text.filters.pii:PersonalIdentifiers",
    "repetition": "dpsynth.text.filters.repetition:Repetition",
    "symbols": "dpsynth.text.filters.symbols:Symbols",
    "verifier": "dpsynth.text.filters.verifier:NamedVerifier",
}
__all__ = ["FILTERS", "filters_from"]


def filters_from(words: Sequence[str]) -> tuple[Filter, ...]:
    """Filters that words ask for: NAME or NAME:setting=value,setting=value; several values of a setting with +.

    `verifier:check=module:attribute` runs the code of that name; see `verifier`.

    Raises:
        ParameterError: an unknown name or setting, a value that cannot be read, or two filters of one name.
    """
    from dpsynth.text.filters.admission import admitted

    return admitted(_made(word) for word in words)


def _made(word: str) -> Filter:
    name, _, rest = word.partition(":")
    if name not in FILTERS:
        raise ParameterError(f"Unknown filter {name!r}.", _nearest(name, sorted(FILTERS)))
    module, attribute = FILTERS[name].split(":")
    kind = getattr(import_module(module), attribute)
    hints = get_type_hints(kind)
    offered = {key: hints[key] for key in inspect.signature(kind).parameters}
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if key not in offered:
            raise ParameterError(f"The filter {name!r} has no setting {key!r}.", _nearest(key, sorted(offered)))
        if not equals or key in settings:
            raise ParameterError(f"Expected {key}=VALUE once for the filter {name!r}.", f"Write {name}:{key}=VALUE.")
        settings[key] = _read(name, key, offered[key], value.strip())
    missing = [
        key
        for key, given in inspect.signature(kind).parameters.items()
        if given.default is inspect.Parameter.empty and key not in settings
    ]
    if missing:
        raise ParameterError(f"The filter {name!r} needs {missing[0]}.", f"Write {name}:{missing[0]}=VALUE.")
    made: Filter = kind(**settings)
    return made


def _read(name: str, key: str, hint: Any, value: str) -> Any:
    """A value as its setting's type wants it."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    try:
        if get_origin(hint) is tuple:
            return tuple(part.strip() for part in value.split("+"))
        return hint(value)
    except ValueError:
        raise ParameterError(
            f"Expected {name}:{key}={value!r} to be {'a number' if hint is float else 'a whole number'}.", "Correct it."
        ) from None


def _nearest(given: str, known: list[str]) -> str:
    near = get_close_matches(given, known, n=1)
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Known are {', '.join(known)}."
