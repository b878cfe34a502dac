"""Constraints: what every possible row of a table obeys, declared by a person, enforced in every sample.

A constraint is *public knowledge*, like a code list or a legal limit: nobody is admitted before falling ill, a total
is the sum of its parts. It costs no budget, because nothing about it is read from the table. Copied from the data it
leaks.

    inequality               low <= high (or <): two numbers, two dates or two datetimes
    functional_dependency    one to three determinants fix the dependent; what `mapping` does not list is learned
    fixed_combinations       only these rows of values
    forbidden_combinations   none of these rows of values (structural zeros); null is the missing cell
    range                    min <= column <= max for the rows of `when`
    sum                      total = sum of the parts, exact at the declared precision
    not_applicable           the column is `value` (null: missing) for the rows of `when`; `iff`: and for no others

A missing cell satisfies a constraint, as in a CHECK of SQL, unless null is named in it. So a row whose constrained
cells are all missing obeys every set of constraints, and a sample without a violation always exists.

>>> Inequality(kind="inequality", low="fell_ill", high="admitted").columns
('fell_ill', 'admitted')

Not guaranteed: that rows of the private table obey; docs/how-to/constraints.md says what becomes of those that do not.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

MAX_CONSTRAINTS = 200
MAX_ROWS = 20_000


def _text_of_date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


Word = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, BeforeValidator(_text_of_date)]
"""A cell as a schema writes it; dates in ISO 8601."""
Cell = Word | None
Row = Annotated[tuple[Cell, ...], Field(min_length=1, max_length=8)]


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


When = Annotated[
    dict[StrictStr, Annotated[tuple[Cell, ...], BeforeValidator(_several), Field(min_length=1, max_length=MAX_ROWS)]],
    Field(min_length=1, max_length=8),
]
"""Column -> the cells it may hold; a row is meant if it holds one in every column."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inequality(_Declared):
    """`low <= high`, or `low < high` if `strict`."""

    kind: Literal["inequality"]
    low: StrictStr
    high: StrictStr
    strict: StrictBool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Low and high."""
        return (self.low, self.high)


class FunctionalDependency(_Declared):
    """Rows that agree in `determinant` agree in `dependent`.

    Attributes:
        determinant: one to three columns.
        dependent: the column that they fix.
        mapping: rows of public knowledge, the determinants' values and then the dependent's; the rest is learned from
            released counts.
    """

    kind: Literal["functional_dependency"]
    determinant: Annotated[tuple[StrictStr, ...], Field(min_length=1, max_length=3)]
    dependent: StrictStr
    mapping: Annotated[tuple[Annotated[tuple[Word, ...], Field(max_length=4)], ...], Field(max_length=MAX_ROWS)] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Determinants, then the dependent."""
        return (*self.determinant, self.dependent)


class FixedCombinations(_Declared):
    """Rows hold one of `rows` in these columns."""

    kind: Literal["fixed_combinations"]
    columns: Annotated[tuple[StrictStr, ...], Field(min_length=2, max_length=8)]
    rows: Annotated[
        tuple[Annotated[tuple[Word, ...], Field(min_length=2, max_length=8)], ...],
        Field(min_length=1, max_length=MAX_ROWS),
    ]


class ForbiddenCombinations(_Declared):
    """Rows hold none of `rows` in these columns: structural zeros."""

    kind: Literal["forbidden_combinations"]
    columns: Annotated[tuple[StrictStr, ...], Field(min_length=2, max_length=8)]
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_ROWS)]


class Range(_Declared):
    """`min <= column <= max` in the rows of `when`; either side may be open."""

    kind: Literal["range"]
    column: StrictStr
    when: When
    min: Cell = None
    max: Cell = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the condition, then the column."""
        return (*self.when, self.column)


class Sum(_Declared):
    """`total` is the sum of `parts`."""

    kind: Literal["sum"]
    total: StrictStr
    parts: Annotated[tuple[StrictStr, ...], Field(min_length=2, max_length=16)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The total, then the parts."""
        return (self.total, *self.parts)


class NotApplicable(_Declared):
    """`column` holds `value` (null: is missing) in the rows of `when`; with `iff` in no other row."""

    kind: Literal["not_applicable"]
    when: When
    column: StrictStr
    value: Cell = None
    iff: StrictBool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the condition, then the column."""
        return (*self.when, self.column)


Constraint = Annotated[
    Inequality | FunctionalDependency | FixedCombinations | ForbiddenCombinations | Range | Sum | NotApplicable,
    Field(discriminator="kind"),
]
