"""Texts that are JSON and satisfy a schema.

>>> form = JSONSchema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
>>> form.accepts('{"n": 3}'), form.accepts('{"n": 3.5}'), form.accepts('{"n": 3')
(True, False, False)

While writing, an automaton compiled from the schema holds every text to it, with one space after comma and colon.
Whether a finished text satisfies the schema is decided by code that shares nothing with that automaton: the standard
library reads it and jsonschema validates it.

Keywords that the automaton does not know, such as `uniqueItems`, `not` or `if`, are refused by name before anything is
spent. Bound strings and arrays (`maxLength`, `maxItems`) and set `additionalProperties: false`: a weak model wanders as
far as the schema lets it, and a text that runs out of tokens is no JSON.

Not guaranteed: more than the schema says. Numbers are compared in binary floating point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, final

from dpsynth.core.errors import ParameterError
from dpsynth.text.structure.automaton import Grammar, GrammarAutomaton

if TYPE_CHECKING:
    from dpsynth.text.backends.protocol import LanguageModel

_WRITING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


@final
class JSONSchema:
    """A form; see the module.

    Args:
        schema: a JSON Schema object, by default of draft 2020-12; references stay inside it.

    Raises:
        ParameterError: no such schema, keywords that cannot be held while writing, or one that nothing satisfies.
    """

    __slots__ = ("_bytes", "_grammar", "_made", "_validator", "schema")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = _canonical(schema)
        self._validator = _validator(json.loads(self.schema))
        self._grammar = f"%json {json.dumps(json.loads(self.schema) | {'x-guidance': _WRITING})}"
        self._bytes = Grammar.over_bytes(self._grammar)
        self._made: dict[str, Grammar] = {}

    def __repr__(self) -> str:
        return f"JSONSchema({self.schema})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONSchema) and other.schema == self.schema

    def __hash__(self) -> int:
        return hash(self.schema)

    def begin(self, model: LanguageModel) -> GrammarAutomaton:
        """At the start of a text; compiled once for each fingerprint."""
        if model.fingerprint not in self._made:
            self._made[model.fingerprint] = Grammar.over(model, self._grammar)
        return self._made[model.fingerprint].begin()

    def accepts(self, text: str) -> bool:
        """Whether the text is JSON and satisfies the schema."""
        try:
            value = json.loads(text, parse_constant=_no_constant)
            return bool(self._validator.is_valid(value))
        except (ValueError, RecursionError):
            return False

    def describe(self) -> dict[str, str]:
        """Public, for the card."""
        return {"form": "json-schema", "schema": self.schema}


def _canonical(schema: Mapping[str, Any]) -> str:
    """The schema as JSON, keys in order of the schema: an object is written in that order."""
    if not isinstance(schema, Mapping):
        raise ParameterError("A JSON schema is an object.", "Pass a mapping, such as a pydantic model's schema.")
    try:
        return json.dumps(dict(schema), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ParameterError("The schema holds what JSON cannot.", "Use objects, lists, texts, numbers.") from None


def _validator(schema: dict[str, Any]) -> Any:
    """Jsonschema's validator of the schema; it fetches nothing."""
    try:
        import jsonschema
        from referencing import Registry
    except ModuleNotFoundError:
        raise ParameterError(
            "JSON schemas need jsonschema, which is not installed.", "pip install 'dpsynth-release[text]'"
        ) from None
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        at = "/".join(str(part) for part in error.absolute_path) or "its root"
        raise ParameterError(f"Not a JSON schema: at {at}, {error.message}.", "Correct it there.") from None
    return kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
