"""A text generator from words, as a command line or a run file gives them; settings take their fields' types.

>>> Request(column="note", method="dpsgd", settings={"steps": "100"}).settings
{'steps': '100'}

Not guaranteed: that a model named here is public. Whoever names it declares that.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.generator import TextGenerator

OWN = frozenset({"model", "structure"})
"""Fields of a method that a request says in other words."""


class Request(BaseModel):
    """What a person asks for of a text.

    Attributes:
        column: the column of prose.
        method: of `dpsynth.text.METHODS`.
        model: folder or hub id of a public language model, `tiny` or `ngram`.
        settings: fields of the method, such as `tokens`.
        beside: columns that are made with the text; see `schema.draft.with_text`.
        topic: columns that a text is conditioned on; default the target.
        regex: a regular expression that every text must match.
        json_schema: file of a JSON schema that every text must obey.
        filters: checks that texts must pass, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1)
    method: str = "private-prediction"
    model: str = "tiny"
    settings: dict[str, str] = Field(default_factory=dict)
    beside: tuple[str, ...] = ()
    topic: tuple[str, ...] = ()
    regex: str | None = None
    json_schema: Path | None = None
    filters: tuple[str, ...] = ()

    @field_validator("settings", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {str(name).replace("-", "_"): str(found) for name, found in value.items()}

    def generator(self) -> TextGenerator:
        """The generator that it describes.

        Raises:
            ParameterError: an unknown method, setting or filter, two forms, or a form that cannot be read.
        """
        from dpsynth.text import class_of
        from dpsynth.text.generator import TextGenerator

        made = class_of(self.method)
        given: dict[str, Any] = {"model": self.model, **settings_of(made, self.settings)}
        if self.regex is not None and self.json_schema is not None:
            raise ParameterError("A regular expression and a JSON schema are two forms; a text has one.", "Drop one.")
        form = f"regex:{self.regex}" if self.regex is not None else None
        form = f"json-schema:{self.json_schema}" if self.json_schema is not None else form
        if form is not None:
            from dpsynth.text.structure import structure_from

            given["structure"] = structure_from(form)
        if "structure" in given and "structure" not in {field.name for field in fields(made)}:
            raise ParameterError(f"{self.method} cannot hold a text to a form.", "Use private-prediction or dpsgd.")
        from dpsynth.text.filters import filters_from

        return TextGenerator(writer=made(**given), topic=self.topic, filters=filters_from(self.filters))


def settings_of(made: type[Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a method's class, each of its field's type.

    Raises:
        ParameterError: an unknown name, answered with the nearest known one, or a value of another type.
    """
    kinds = {field.name: field.type for field in fields(made)}
    known = [name for name in kinds if name not in OWN]
    found: dict[str, Any] = {}
    for name, value in words.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]!r}?" if near else f"Settings: {', '.join(known)}."
            raise ParameterError(f"There is no setting {name[:60]!r}.", hint)
        try:
            found[name] = TypeAdapter(_evaluated(made, name, kinds[name])).validate_python(value)
        except NameError:
            raise ParameterError(f"The setting {name!r} is no word; it is given in Python.", "Leave it out.") from None
        except ValidationError:
            raise ParameterError(f"The setting {name!r} cannot be {value[:60]!r}.", "See the method's page.") from None
    return found


def _evaluated(made: type[Any], name: str, kind: Any) -> Any:
    """A field's type; of one field alone, since others may be of types that are known to type checkers only."""
    return get_type_hints(type("One", (), {"__annotations__": {name: kind}, "__module__": made.__module__}))[name]
