"""Reads and checks the fields of every event by their names, the same way for each type.

>>> read_count(3, "count")
3
>>> read_probability("1.5", "probability")
Traceback (most recent call last):
accounting.errors.EventError: Expected probability <= 1.

A field that has no reader of its own is an exact decimal > 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal, cast, get_args

from accounting.decimals import decimal_text, read_positive
from accounting.errors import EventError

MAX_COUNT = 1_000_000_000
MAX_KEYS = 1_000_000_000

Noise = Literal["exact", "seeded"]
Reader = Callable[[object, str], object]


class Checked:
    """Base of the event types."""

    __slots__ = ()
    type_name: ClassVar[str]
    own_readers: ClassVar[Mapping[str, Reader]] = {}

    def __post_init__(self) -> None:
        readers = {**READERS, **self.own_readers}
        for field in fields(cast("Any", self)):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, readers.get(field.name, read_positive)(value, field.name))
        self._check()

    def _check(self) -> None:
        """What a single field cannot tell."""

    def to_json(self) -> dict[str, Any]:
        """The event's object in `dpsynth.events/1`; numbers as decimal strings, count always, noise if not exact."""
        body: dict[str, Any] = {"type": self.type_name}
        for field in fields(cast("Any", self)):
            value = getattr(self, field.name)
            if field.name == "noise" and value == "exact":
                continue
            if isinstance(value, StrEnum):
                value = value.value
            body[field.name] = decimal_text(value) if isinstance(value, Decimal) else value
        return body


def check_integer_change(sensitivity: Decimal, name: str) -> None:
    """Refuse a change below one."""
    if sensitivity < 1:
        raise EventError(f"Expected {name} >= 1: an integer query changes by at least one or not at all.")


def squared_change(sensitivity: Decimal) -> int:
    """The integer N of a change vector whose L2 norm was written as sqrt(N)."""
    # sqrt(2) written with six digits or more still means the integer 2, whichever way it was rounded.
    return int(sensitivity * sensitivity * Decimal("1.000001"))


def read_count(value: object, name: str) -> int:
    """An integer from 1 to the limit of its field."""
    limit = MAX_KEYS if name == "max_keys" else MAX_COUNT
    if type(value) is not int or not 1 <= value <= limit:
        raise EventError(f"Expected {name} to be an integer from 1 to {limit}.")
    return value


def read_noise(value: object, _: str) -> object:
    """Where the random bits came from."""
    if value not in get_args(Noise):
        raise EventError("Expected noise to be 'exact' or 'seeded'.")
    return value


def read_probability(value: object, name: str) -> Decimal:
    """In (0, 1]."""
    probability = read_positive(value, name)
    if probability > 1:
        raise EventError(f"Expected {name} <= 1.")
    return probability


def read_delta(value: object, name: str) -> Decimal:
    """In (0, 1)."""
    delta = read_positive(value, name)
    if delta >= 1:
        raise EventError(f"Expected {name} < 1: at 1 nothing is promised.")
    return delta


READERS: Mapping[str, Reader] = {
    "count": read_count,
    "max_keys": read_count,
    "noise": read_noise,
    "probability": read_probability,
    "delta": read_delta,
}
