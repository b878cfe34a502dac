"""Which two tables must be hard to tell apart, and whose data that protects.

An epsilon without these two words is not a guarantee: under `replace_one` the same noise costs up to twice the
epsilon of `add_remove` (Canonne, Kamath and Steinke 2020 state theirs for the former, most DP-SGD papers for the
latter). Sensitivities in events are those of the tree's relation; nothing here converts one into another.

>>> str(PrivacyUnit(kind="user", column="patient", max_records=4))
"all records of one user (column 'patient', at most 4)"

Not guaranteed: that the bound `max_records` is enforced. Whoever reads the data must enforce it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from accounting.errors import EventError

MAX_COLUMN_CHARS = 256
MAX_RECORDS_PER_UNIT = 1_000_000


class NeighboringRelation(StrEnum):
    """How two neighbouring tables differ."""

    ADD_REMOVE = "add_remove"  # one is the other plus all records of one unit
    REPLACE_ONE = "replace_one"  # equal number of units; one unit's records are replaced by another's
    ZERO_OUT = "zero_out"  # a unit keeps its slot, its content becomes the public null record

    @property
    def phrase(self) -> str:
        """The relation in plain words, for sentences that people read."""
        return {
            "add_remove": "added or removed",
            "replace_one": "replaced by another",
            "zero_out": "blanked",
        }[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyUnit:
    """Whose data one step of the relation changes.

    Args:
        kind: "record" (one row) or "user" (all rows that share an identifier).
        column: the identifier's column for "user"; column names are public.
        max_records: enforced bound on the rows of one user.

    Raises:
        EventError: if the parts contradict each other.
    """

    kind: Literal["record", "user"] = "record"
    column: str | None = None
    max_records: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("record", "user"):
            raise EventError("Expected unit kind 'record' or 'user'.")
        if self.kind == "record":
            if self.column is not None or self.max_records != 1:
                raise EventError(
                    "A record-level unit has neither a column nor a bound.",
                    "Use kind='user' for rows that share an id.",
                )
            return
        if not isinstance(self.column, str) or not 0 < len(self.column) <= MAX_COLUMN_CHARS:
            raise EventError(f"A user-level unit names its id column in 1 to {MAX_COLUMN_CHARS} characters.")
        if type(self.max_records) is not int or not 1 <= self.max_records <= MAX_RECORDS_PER_UNIT:
            raise EventError(f"Expected max_records to be an integer from 1 to {MAX_RECORDS_PER_UNIT}.")

    def to_json(self) -> str | dict[str, str | int]:
        """`"record"`, or an object with kind, column and max_records."""
        if self.kind == "record":
            return "record"
        return {"kind": "user", "column": str(self.column), "max_records": self.max_records}

    @classmethod
    def from_json(cls, value: object) -> PrivacyUnit:
        """Read what `to_json` writes.

        Raises:
            EventError: for anything else.
        """
        if value == "record":
            return cls()
        if not isinstance(value, Mapping) or set(value) != {"kind", "column", "max_records"}:
            raise EventError('Expected unit to be "record" or an object with exactly kind, column and max_records.')
        if value["kind"] != "user":
            raise EventError("Expected the unit object's kind to be 'user'.", 'Write "record" for record level.')
        return cls(kind="user", column=value["column"], max_records=value["max_records"])

    def __str__(self) -> str:
        if self.kind == "record":
            return "one record"
        return f"all records of one user (column {self.column!r}, at most {self.max_records})"
