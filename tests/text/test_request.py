"""A writer from words: settings take their fields' types, and what is wrong is answered with what is known."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from dpsynth.core.errors import ParameterError
from dpsynth.text import METHODS, class_of
from dpsynth.text.request import OWN, Request, settings_of


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_words_for_its_numbers(method: str) -> None:
    made = class_of(method)
    fields = {name: field.default for name, field in made.__dataclass_fields__.items() if name not in OWN}
    numbers = {name: str(value) for name, value in fields.items() if isinstance(value, int | float | Decimal)}
    numbers = {name: value for name, value in numbers.items() if value not in ("True", "False")}
    assert numbers and settings_of(made, numbers) == {name: fields[name] for name in numbers}


def test_a_request_makes_the_generator_that_it_describes() -> None:
    asked = Request(
        column="note", method="dpsgd", settings={"steps": "30", "probability": "0.1"}, topic=("issue",),
        filters=("length:min_words=5",),
    )  # fmt: skip
    made = asked.generator()
    assert (made.writer.steps, made.writer.probability) == (30, Decimal("0.1"))
    assert made.topic == ("issue",) and [step.name for step in made.filters] == ["length"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": "30"}, "Did you mean 'steps'"),
        ({"steps": "many"}, "'steps' cannot be 'many'"),
        ({"structure": "x"}, "no setting 'structure'"),
    ],
)
def test_wrong_words_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Request(column="note", method="dpsgd", settings=settings).generator()


def test_two_forms_an_unknown_method_and_an_unknown_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="two forms"):
        Request(column="note", regex="a+", json_schema=tmp_path / "form.json").generator()
    with pytest.raises(ParameterError, match="Unknown method 'gan'"):
        Request(column="note", method="gan").generator()
    with pytest.raises(ParameterError, match="cannot hold a text to a form"):
        Request(column="note", method="evolution", regex="a+").generator()
    with pytest.raises(ValidationError):
        Request(column="note", modle="tiny")
