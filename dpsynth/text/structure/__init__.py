r"""Forms that texts must have, and the automata that hold decoding to them.

>>> structure_from(r"regex:[A-Z]{2}-\d{4}").describe()
{'form': 'regex', 'pattern': '[A-Z]{2}-\\d{4}'}
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.structure.protocol import Structure

STRUCTURES: dict[str, str] = {
    "json-schema": "dpsynth.text.structure.json_schema:JSONSchema",
    "regex": "dpsynth.text.structure.regex:Regex",
}
MOST_BYTES = 1 << 20
__all__ = ["STRUCTURES", "structure_from"]


def structure_from(word: str) -> Structure:
    """The form that a word of the command line asks for: `regex:PATTERN` or `json-schema:FILE`.

    Raises:
        ParameterError: no such form, a file that cannot be read, or a form that cannot be held while writing.
    """
    name, colon, given = word.partition(":")
    if name not in STRUCTURES or not colon:
        raise ParameterError(f"Unknown form {name!r}.", "Write regex:PATTERN or json-schema:FILE.")
    module, attribute = STRUCTURES[name].split(":")
    made: Structure = getattr(import_module(module), attribute)(given if name == "regex" else _schema(Path(given)))
    return made


def _schema(path: Path) -> Any:
    """A file of JSON, at most 1 MiB."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ParameterError(f"The schema {path} is larger than 1 MiB.", "Describe a smaller form.")
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ParameterError(f"The schema {path} cannot be read: {error.strerror}.", "Name a file of JSON.") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"The schema {path} is no JSON.", "Name a file of JSON.") from None
