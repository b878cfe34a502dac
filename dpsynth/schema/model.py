"""The schema: everything about a table that is public, written down by a person.

Column names, kinds and roles are public. So are the values and bounds that a person adds, because the
person vouches for knowing them without looking at this table. What stays `null` is unknown: it is derived
with differential privacy and charged to the budget. Nothing in a schema may be copied from the data.

    kind         known domain               unknown domain
    categorical  values: [a, b]             values: null  (DP partition selection)
    boolean      always                     -
    integer      min, max                   null          (DP bounds)
    float        min, max, precision        null          (DP bounds; DP decimal places)
    date         min, max                   null
    datetime     min, max, precision        null          (precision: decimals of a second, 0 if null)
    text         prose, for writers (`dpsynth.text`); generators of tables do not see it

Rules that every row obeys stand beside the columns, in `constraints`; they too are public knowledge.

>>> Schema(columns={"age": ColumnSpec(kind="integer", min=0, max=110)}).modelled
('age',)

Not guaranteed: that a declared value or bound was really known beforehand; a schema copied from the data
leaks it.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from dpsynth.core.errors import SchemaError
from dpsynth.data.warning import listed, shown
from dpsynth.schema.constraints import MAX_CONSTRAINTS, Constraint

Kind = Literal["categorical", "boolean", "integer", "float", "date", "datetime", "text"]
Role = Literal["target", "sensitive", "quasi_identifier", "identifier", "unit", "order"]
Value = StrictStr | StrictInt
Bound = int | float | date | datetime
BoundField = Annotated[
    Bound | None,
    SkipValidation,  # _bound_of_kind has given it the column's own type; a union would turn midnight into a date
    WithJsonSchema({"type": ["integer", "number", "string", "null"], "description": "dates in ISO 8601"}),
]

MAX_VALUES = 100_000
MAX_DECIMALS = 12
EXACT_FLOAT_TICKS = 2**52
NOT_MODELLED: frozenset[str | None] = frozenset({"identifier", "unit", "order"})
ORDERS = ("integer", "float", "date", "datetime")
"""Kinds that can say which of a person's rows comes first; text would put 10 before 9."""


class ColumnSpec(BaseModel):
    """What is public about one column.

    Attributes:
        kind: what the cells are.
        values: categorical only: the closed public domain, all text or all integers; None if unknown.
            other: categorical only: cells outside `values` are counted together as one outcome instead of
            refused.
        min: smallest possible value, or None if unknown. Cells below it are clamped to it.
        max: largest possible value, or None if unknown. Cells above it are clamped to it.
        precision: float: decimal places, or None if unknown; datetime: decimal places of the seconds, None is 0.
        format: date and datetime only: the strptime format of the file's text, such as `%d.%m.%Y`.
        missing: words that mean "missing" in this column, beside the empty cell.
        hierarchy: categorical text only: prefix lengths at which the codes have a meaning, such as [3] for ICD-9 or
            [2, 3, 4] for NAICS; rare codes are counted at the longest prefix that is not rare.
        role: what the column is for; at most one target, one unit and one order in a schema. An `order` says which of a
            person's rows comes first; it is read, never modelled.
        constant: every row of one person has the same cell, such as a birth year; of use where there is an order.
        nullable: whether cells may be missing; False is a public fact, and then no synthetic cell is.
        drop: leave the column out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=MAX_VALUES)] | None = None
    other: StrictBool = False
    min: BoundField = None
    max: BoundField = None
    precision: Annotated[StrictInt, Field(ge=0, le=MAX_DECIMALS)] | None = None
    format: Annotated[StrictStr, Field(min_length=1, max_length=100)] | None = None
    missing: tuple[StrictStr, ...] = ()
    hierarchy: Annotated[tuple[Annotated[StrictInt, Field(ge=1, le=100)], ...], Field(max_length=8)] = ()
    role: Role | None = None
    nullable: StrictBool = True
    constant: StrictBool = False
    drop: StrictBool = False

    @field_validator("min", "max", mode="before")
    @classmethod
    def _bound_of_kind(cls, value: Any, info: Any) -> Bound | None:
        kind = info.data.get("kind")
        return None if value is None or kind is None else as_bound(value, kind)

    @field_serializer("min", "max", when_used="json")
    def _bound_as_text(self, value: Bound | None) -> int | float | str | None:
        return value.isoformat() if isinstance(value, date) else value

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.kind != "categorical" and (self.values is not None or self.other):
            raise ValueError(f"`values` and `other` belong to categorical columns, not to {self.kind}")
        if self.values is not None:
            if len({type(v) for v in self.values}) > 1:
                raise ValueError("`values` mixes text and integers; quote all of them or none")
            if len(set(self.values)) != len(self.values):
                raise ValueError("`values` names a value twice")
        if self.hierarchy and (self.kind != "categorical" or (self.values and isinstance(self.values[0], int))):
            raise ValueError("`hierarchy` belongs to categorical columns of text")
        if list(self.hierarchy) != sorted(set(self.hierarchy)):
            raise ValueError("the prefix lengths of `hierarchy` ascend")
        if self.other and self.values is None:
            raise ValueError("`other` needs `values`; an open set has its outcome for other values anyway")
        bounded = self.kind in ("integer", "float", "date", "datetime")
        if not bounded and (self.min is not None or self.max is not None):
            raise ValueError(f"`min` and `max` do not belong to {self.kind} columns")
        if (self.min is None) != (self.max is None):
            raise ValueError("give both `min` and `max`, or neither")
        if self.min is not None and self.max is not None and self.min > self.max:  # type: ignore[operator]
            raise ValueError("`min` is above `max`")
        self._range_is_exact()
        if self.precision is not None and self.kind not in ("float", "datetime"):
            raise ValueError(f"`precision` belongs to float and datetime columns, not to {self.kind}")
        if self.kind == "datetime" and self.precision is not None and self.precision > 6:
            raise ValueError("`precision` of a datetime is at most 6 (microseconds)")
        if self.format is not None and self.kind not in ("date", "datetime"):
            raise ValueError(f"`format` belongs to date and datetime columns, not to {self.kind}")
        if self.role == "order" and self.kind not in ORDERS:
            raise ValueError(f"rows are ordered by a number, a date or a time, not by a {self.kind} column")
        if self.kind == "text" and self.role is not None:
            raise ValueError("a text column has no role; it is written, not modelled")
        if self.constant and not self.modelled:
            raise ValueError("`constant` belongs to columns that are modelled")
        return self

    def _range_is_exact(self) -> None:
        if isinstance(self.min, int) and isinstance(self.max, int) and self.max - self.min >= 2**63 - 1:
            raise ValueError("`min` and `max` are further apart than 63 bits")
        floats = isinstance(self.min, float) and isinstance(self.max, float) and self.precision is not None
        if floats and max(-self.min, self.max) * 10.0**self.precision > EXACT_FLOAT_TICKS:  # type: ignore[operator,type-var]
            raise ValueError("a double cannot hold that many decimals of numbers so large; lower `precision`")

    @property
    def modelled(self) -> bool:
        """Whether a generator of tables sees this column."""
        return not self.drop and self.kind != "text" and self.role not in NOT_MODELLED

    @property
    def known(self) -> bool:
        """Whether nothing about the domain has to be derived."""
        if self.kind == "categorical":
            return self.values is not None
        bounded = self.kind == "boolean" or self.min is not None
        return bounded and (self.kind != "float" or self.precision is not None)


class Schema(BaseModel):
    """Kinds, public domains and roles of a table's columns, in the table's order, and what every row obeys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    columns: Annotated[dict[StrictStr, ColumnSpec], Field(min_length=1)]
    constraints: Annotated[tuple[Constraint, ...], Field(max_length=MAX_CONSTRAINTS)] = ()

    @model_validator(mode="after")
    def _one_target_one_unit(self) -> Self:
        for role in ("target", "unit", "order"):
            names = [n for n, c in self.columns.items() if c.role == role]
            if len(names) > 1:
                raise ValueError(f"columns {listed(names)} all have the role {role}; one may")
        if self.target is not None and self.columns[self.target].drop:
            raise ValueError(f"the target {shown(self.target)} is dropped")
        if self.order is not None and self.columns[self.order].drop:
            raise ValueError(f"the order {shown(self.order)} is dropped")
        texts = [n for n, c in self.columns.items() if c.kind == "text" and not c.drop]
        if len(texts) > 1:
            raise ValueError(f"columns {listed(texts)} are all texts; one may, drop the others")
        if not self.modelled and not texts:
            raise ValueError("no column is left to model")
        return self

    @model_validator(mode="after")
    def _constraints_fit(self) -> Self:
        if self.constraints:
            from dpsynth.schema.constraint_checks import check_constraints

            check_constraints(self.columns, self.constraints)
        return self

    @property
    def modelled(self) -> tuple[str, ...]:
        """Columns that a generator of tables sees: neither dropped nor text, identifier, unit or order."""
        return tuple(n for n, c in self.columns.items() if c.modelled)

    @property
    def text(self) -> str | None:
        """The column of prose that a writer writes, if any."""
        return next((n for n, c in self.columns.items() if c.kind == "text" and not c.drop), None)

    @property
    def target(self) -> str | None:
        """The column that models are trained to predict, if any."""
        return next((n for n, c in self.columns.items() if c.role == "target"), None)

    @property
    def unit(self) -> str | None:
        """The column that names the person (or other privacy unit), if any."""
        return next((n for n, c in self.columns.items() if c.role == "unit"), None)

    @property
    def order(self) -> str | None:
        """The column that says which of a unit's rows comes first, if any: then generators make whole units."""
        return next((n for n, c in self.columns.items() if c.role == "order"), None)

    @property
    def constant(self) -> tuple[str, ...]:
        """Columns that are the same in all rows of a unit."""
        return tuple(n for n, c in self.columns.items() if c.constant)

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Columns whose value an attacker would like to learn."""
        return tuple(n for n, c in self.columns.items() if c.role == "sensitive")

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Columns that an attacker may know about a person."""
        return tuple(n for n, c in self.columns.items() if c.role == "quasi_identifier")

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON; comments in the YAML do not change it, nor do later fields unused."""
        document = self.model_dump(mode="json")
        columns = document["columns"].items()
        unused = {"hierarchy": [], "nullable": True, "constant": False}
        said = [[name, {k: v for k, v in spec.items() if k not in unused or v != unused[k]}] for name, spec in columns]
        meant = {"version": self.version, "columns": said}
        if self.constraints:
            meant["constraints"] = document["constraints"]
        body = json.dumps(meant, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()

    def with_columns(self, /, **changes: dict[str, Any]) -> Schema:
        """A copy with other fields in some columns, as in `with_columns(age={"min": 0, "max": 110})`."""
        unknown = [n for n in changes if n not in self.columns]
        if unknown:
            raise SchemaError(f"The schema has no column {listed(unknown)}.", f"It has {listed(self.columns)}.")
        document = self.model_dump(mode="json")
        for name, fields in changes.items():
            document["columns"][name] |= fields
        return self.from_dict(document)

    @classmethod
    def from_dict(cls, document: Any, *, source: str = "schema") -> Schema:
        """Validate plain data; raises `SchemaError` that names the column and field, never a value."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            # A misspelt field explains the missing one, so it comes first.
            first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
            place = ".".join(shown(str(p)) for p in first["loc"] if str(p) not in ("columns", "values"))
            place = place or ".".join(map(str, first["loc"]))
            what = first["msg"].removeprefix("Value error, ").replace("valid tuple", "list").replace("Tuple", "List")
            if first["type"] == "union_tag_not_found":
                what = "It has no `kind`"
            if first["type"] == "extra_forbidden":
                what = "There is no such field"
            pages = [] if first["loc"][:1] == ("constraints",) else ["docs/concepts/data-and-schema.md"]
            pages += [] if first["loc"][:1] == ("columns",) else ["docs/how-to/constraints.md"]
            raise SchemaError(
                f"The {source} cannot be used: {f'{place}: ' if place else ''}{what}.",
                f"See `dpsynth schema draft` for a file that works, and {' and '.join(pages)}.",
            ) from None

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read YAML: a path (`Path`) or the text itself (`str`)."""
        from dpsynth.schema.yaml_text import load

        return cls.from_dict(load(source))

    def to_yaml(self) -> str:
        """YAML with comments that say what is public, what is unknown and what each costs."""
        from dpsynth.schema.yaml_text import dump

        return dump(self)


def as_bound(value: Any, kind: str) -> Bound:
    """The bound in the column's own type, so that comparisons and JSON are exact."""
    if kind == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("a bound of an integer column is an integer")
        if not -(2**63) <= value < 2**63:
            raise ValueError("a bound is beyond 64 bits")
        return value
    if kind == "float":
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("a bound of a float column is a finite number")
        return float(value)
    try:
        if kind == "date":
            if isinstance(value, datetime):
                raise ValueError
            return value if isinstance(value, date) else date.fromisoformat(value)
        if kind == "datetime":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, TypeError):
        raise ValueError(f"a bound of a {kind} column is an ISO 8601 {kind}") from None
    raise ValueError(f"`min` and `max` do not belong to {kind} columns")
