"""A first schema from names and types alone.

No cell is looked at beyond what its column's type needed: values, bounds and decimal places stay unknown, to be
declared by a person or derived with differential privacy (a column type of decimals declares its places). The only
hint taken from a name is that a column called exactly `target` is the target, unless another was asked for.

>>> import pyarrow as pa
>>> from dpsynth.data.table import Table
>>> draft(Table.from_arrow(pa.table({"age": [31, 40], "sex": ["f", "m"]}))).columns["sex"].kind
'categorical'

Not guaranteed: that a type found in a text file is public. Whether a column of digits holds one other word
is a fact about the data; a declared schema removes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from dpsynth.core.errors import SchemaError
from dpsynth.data.table import CountTable
from dpsynth.data.warning import listed, shown
from dpsynth.schema.model import MAX_DECIMALS, Schema

KIND: Mapping[str, str] = MappingProxyType(
    {
        "string": "categorical",
        "integer": "integer",
        "float": "float",
        "boolean": "boolean",
        "date": "date",
        "datetime": "datetime",
    }
)
TARGET_NAME = "target"


def draft(table: CountTable, *, target: str | None = None, unit: str | None = None, order: str | None = None) -> Schema:
    """A schema in which everything but names, kinds and the given roles is unknown.

    Args:
        table: names, types and declared decimal places are used.
        target: the column to be predicted; by default the one called `target`, if any.
        unit: the column that names the person.
        order: the column that says which of a person's rows comes first.
    """
    columns: dict[str, dict[str, Any]] = {}
    for name in table.columns:
        spec: dict[str, Any] = {"kind": KIND[table.types[name]]}
        if 0 < table.decimals.get(name, 0) <= MAX_DECIMALS:
            spec["precision"] = table.decimals[name]
        columns[name] = spec
    if target is None and TARGET_NAME in columns and TARGET_NAME not in (unit, order):
        target = TARGET_NAME
    return with_roles(Schema.from_dict({"columns": columns}), target=target, unit=unit, order=order)


def with_roles(
    schema: Schema, *, target: str | None = None, unit: str | None = None, order: str | None = None
) -> Schema:
    """The schema with these columns as target, unit and order, in place of any that it had."""
    named = [(role, name) for role, name in (("target", target), ("unit", unit), ("order", order)) if name is not None]
    for (role, name), (other, same) in itertools.combinations(named, 2):
        if name == same:
            raise SchemaError(f"Column {shown(name)} cannot be both {role} and {other}.", "Choose two columns.")
    changes: dict[str, dict[str, Any]] = {}
    for role, name in named:
        if name not in schema.columns:
            raise SchemaError(
                f"The {role} {shown(name)} is not a column of the table.", f"It has {listed(schema.columns)}."
            )
        for other, spec in schema.columns.items():
            if spec.role == role and other != name:
                changes[other] = {"role": None}
        changes[name] = {"role": role}
    return schema.with_columns(**changes) if changes else schema


def with_text(schema: Schema, text: str, *, beside: Collection[str], declared: bool, unit: str | None) -> Schema:
    """The schema with one column of prose; of the others only those beside it, and the unit's, are kept.

    Args:
        schema: declared by a person, or a draft.
        text: the column of prose.
        beside: columns that are made with it; if none are named, all of a declared schema, the target of a draft.
        declared: whether a person wrote the schema.
        unit: the column that names the person.

    Raises:
        SchemaError: a column that is not there, or a text column of numbers.
    """
    absent = [name for name in (text, *sorted(beside)) if name not in schema.columns]
    if absent:
        raise SchemaError(f"The table has no column {shown(absent[0])}.", f"It has {listed(schema.columns)}.")
    if schema.columns[text].kind not in ("categorical", "text"):
        raise SchemaError(
            f"Column {shown(text)} is {schema.columns[text].kind}; a writer writes prose.", "Name a column of text."
        )
    target = () if schema.target is None else (schema.target,)
    named = {name for name, spec in schema.columns.items() if not spec.drop} if declared else set(target)
    kept = {*(beside or named), text, *(() if unit is None else (unit,))}
    document = schema.model_dump(mode="json")
    for name, fields in document["columns"].items():
        if name == text:
            document["columns"][name] = {"kind": "text"}
        elif name not in kept:
            fields |= {"drop": True, "role": None, "constant": False}
    document["constraints"] = [
        rule.model_dump(mode="json") for rule in schema.constraints if set(rule.columns) <= kept - {text}
    ]
    return with_roles(Schema.from_dict(document), unit=unit)
