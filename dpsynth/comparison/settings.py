"""A generator as plain data: its class by name, and the settings that differ from the defaults.

The text goes to the process that runs it and into the digest that names the run. Settings are numbers, text, files and
frozen dataclasses of those; a file enters with the digest of its content, so that another content is another run.

>>> from dpsynth.tabular import Gibbs
>>> described(Gibbs(codes=16))
{'class': 'dpsynth.tabular.gibbs:Gibbs', 'settings': {'codes': 16}}
>>> restored(described(Gibbs(codes=16))) == Gibbs(codes=16)
True

Not guaranteed: that another version of a generator with the same settings does the same; its version stands beside.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from dpsynth.core.errors import ParameterError

PLAIN = (str, int, float, bool, type(None))


def described(made: Any) -> dict[str, Any]:
    """A dataclass instance as JSON values.

    Raises:
        ParameterError: it is no dataclass, is defined in a script, or holds something that has no plain form.
    """
    kind = type(made)
    if not dataclasses.is_dataclass(made) or kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise ParameterError(
            f"A {kind.__name__} cannot be handed to another process: it must be a dataclass of a module.",
            "Define the generator as a dataclass in a file that can be imported.",
        )
    changed = {
        field.name: _plain(getattr(made, field.name), f"{kind.__name__}.{field.name}")
        for field in dataclasses.fields(made)
        if getattr(made, field.name) != _default(field)
    }
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "settings": changed}


def restored(document: Mapping[str, Any]) -> Any:
    """The instance that `described` described; for documents of this process's own parent only."""
    module, _, name = str(document["class"]).partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found(**{key: _restored(value) for key, value in document["settings"].items()})


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, Path):
        if not value.is_file():
            raise ParameterError(f"There is no file '{value}' ({place}).", "Give the path of a file.")
        return {"file": str(value.resolve()), "sha256": hashlib.sha256(value.read_bytes()).hexdigest()}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_plain(part, place) for part in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(k, place), _plain(v, place)] for k, v in value.items()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"object": described(value)}
    raise ParameterError(
        f"The setting {place} is a {type(value).__name__}, which has no plain form.",
        "Use numbers, text, or the path of a file.",
    )


def _restored(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner), *_) = value.items()
    if kind == "object":
        return restored(inner)
    if kind == "mapping":
        return {_restored(k): _restored(v) for k, v in inner}
    if kind in ("tuple", "list"):
        parts = [_restored(part) for part in inner]
        return tuple(parts) if kind == "tuple" else parts
    return Path(inner) if kind == "file" else Decimal(inner)
