"""A fitted model as JSON and a list of arrays, and back: a closed set of types, checked against their annotations.

Writing walks a model's dataclasses; every class that may occur has a name in `KINDS`, and any other is refused. Reading
follows the *annotations* of those classes, not the file: where a class says `NDArray[np.int64]` the file must hold an
array of 64-bit integers, where it says `Mapping[str, Domain]` an object of one of the domains. So a file decides
values, never types: nothing is imported by a name it gives, nothing is unpickled, and a field too many or too few is an
error. A field that is added to a class is written and checked from then on without a line here; one with a default may
be absent, as it is in files from before it was added.

An object that occurs twice (a column's domain) is written once and referred to by its number.

>>> arrays = []
>>> from dpsynth.schema.domain import GridDomain
>>> written = encode(GridDomain(kind="integer", low=0, high=9), arrays)
>>> decode(written, GridDomain, arrays).size
10

Not guaranteed: that the values make sense together; `model_checks` asks that.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from accounting.errors import AccountingError
from accounting.event import EventTree
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable

KINDS: Mapping[str, str] = {
    "binning": "dpsynth.tabular.columns.binning:Binning",
    "category_domain": "dpsynth.schema.domain:CategoryDomain",
    "cells": "dpsynth.tabular.columns.cells:Cells",
    "column_model": "dpsynth.tabular.networks.column_model:ColumnModel",
    "enforced": "dpsynth.tabular.constraints.enforced:Enforced",
    "forest": "dpsynth.tabular.forests.tree:Forest",
    "forest_model": "dpsynth.tabular.forests.forest_model:ForestModel",
    "grid_domain": "dpsynth.schema.domain:GridDomain",
    "latent_model": "dpsynth.tabular.gan.latent_model:LatentModel",
    "latent_rows": "dpsynth.tabular.gan.latent_rows:LatentRows",
    "network_state": "dpsynth.tabular.networks.protocol:NetworkState",
    "one_way": "dpsynth.tabular.columns.oneway:OneWay",
    "part_counts": "dpsynth.tabular.columns.parts:PartCounts",
    "raked_table": "dpsynth.tabular.finishing.raking:RakedTable",
    "people_model": "dpsynth.tabular.sequences.people_model:PeopleModel",
    "record_model": "dpsynth.tabular.records.record_model:RecordModel",
    "sweep": "dpsynth.tabular.records.chains:Sweep",
    "transition_state": "dpsynth.tabular.sequences.transitions:TransitionState",
}
"""Name in the file -> class; the only classes that a file can make."""

Arrays: TypeAlias = "list[NDArray[Any]]"
JSON: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
PLAIN = (bool, int, float, str, type(None))
MAX_COLUMNS = 4_096
MAX_CODES = 32_000
DEPTH = 24
"""Deepest nesting of a model's parts."""


def encode(value: Any, arrays: Arrays) -> JSON:
    """`value` as JSON; its arrays are appended to `arrays` and referred to by number.

    Raises:
        ModelError: a part is of a class that no file may hold.
    """
    return _Writer(arrays).write(value)


def decode(written: Any, wanted: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """What `encode` wrote, if it is of the type `wanted`.

    Raises:
        ModelError: any part is of another type than its annotation says, or an array is not referred to.
    """
    reader = _Reader(arrays)
    made = reader.read(written, wanted, "model", 0)
    if len(reader.used) != len(arrays):
        raise _refused("model", "an array that nothing refers to")
    return made


def kind_of(name: str) -> type:
    """The class behind a name in `KINDS`."""
    module, attribute = KINDS[name].split(":")
    return cast("type", getattr(import_module(module), attribute))


class _Writer:
    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._known: dict[int, int] = {}
        self._names = {kind_of(name): name for name in KINDS}

    def write(self, value: Any) -> JSON:
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) in PLAIN:
            return cast("JSON", value)
        if isinstance(value, np.ndarray):
            self._arrays.append(value)
            return {"array": len(self._arrays) - 1}
        if isinstance(value, Fraction):
            return {"fraction": [value.numerator, value.denominator]}
        if isinstance(value, EventTree):
            return {"events": value.to_json()}
        if isinstance(value, RecordTable):
            return {"records": self.write(value.records), "sizes": list(value.sizes)}
        if isinstance(value, PairTables):
            return {"pair_tables": self.write(value.flat), "sizes": list(value.sizes)}
        if isinstance(value, Mapping):
            return {"map": [[self.write(key), self.write(item)] for key, item in value.items()]}
        if isinstance(value, (list, tuple)):
            return [self.write(item) for item in value]
        return self._object(value)

    def _object(self, value: Any) -> JSON:
        if id(value) in self._known:
            return {"same": self._known[id(value)]}
        name = self._names.get(type(value))
        if name is None:
            raise ModelError(
                f"A {type(value).__name__} cannot be written into a model file.",
                "Save a model of dpsynth's own generators; a new part of a model is listed in model_codec.KINDS.",
            )
        fields = {field.name: self.write(getattr(value, field.name)) for field in dataclasses.fields(value)}
        self._known[id(value)] = len(self._known)
        return {"kind": name, "fields": fields}


class _Reader:
    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self.used: set[int] = set()
        self._known: list[Any] = []
        self._kinds = {kind_of(name): name for name in KINDS}

    def read(self, written: Any, wanted: Any, where: str, depth: int) -> Any:
        if depth > DEPTH:
            raise _refused(where, "nested too deeply")
        origin = typing.get_origin(wanted)
        if origin in (types.UnionType, typing.Union):
            return self._one_of(written, typing.get_args(wanted), where, depth)
        if origin is Literal:
            if written not in typing.get_args(wanted) or not isinstance(written, str):
                raise _refused(where, "a word that is not known here")
            return written
        if origin is np.ndarray or wanted is np.ndarray:
            return self._array(written, wanted, where)
        if origin is tuple:
            return self._tuple(written, typing.get_args(wanted), where, depth)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(written, typing.get_args(wanted), where, depth)
        if wanted in PLAIN or wanted is None:
            return _plain(written, wanted, where)
        if wanted is Fraction:
            top, bottom = (_plain(part, int, where) for part in _list(_only(written, {"fraction"}, where)[0], 2, where))
            if bottom < 1:
                raise _refused(where, "expected a fraction")
            return Fraction(top, bottom)
        if wanted is EventTree:
            return _events(_only(written, {"events"}, where)[0], where)
        if wanted is RecordTable:
            return self._records(written, where)
        if wanted is PairTables:
            return self._pair_tables(written, where)
        return self._object(written, wanted, where, depth)

    def _one_of(self, written: Any, options: tuple[Any, ...], where: str, depth: int) -> Any:
        """The first option that fits; of several classes only the one that the file names is tried."""
        named = written.get("kind") if isinstance(written, dict) else None
        fitting = [part for part in options if named is None or self._kinds.get(part) in (None, named)]
        known = len(self._known)
        for option in fitting:
            try:
                return self.read(written, option, where, depth + 1)
            except ModelError:
                if self._kinds.get(option) is not None and named is not None:
                    raise
                del self._known[known:]
        raise _refused(where, "another type than belongs there")

    def _array(self, written: Any, wanted: Any, where: str) -> NDArray[Any]:
        number = _plain(_only(written, {"array"}, where)[0], int, where)
        if not 0 <= number < len(self._arrays):
            raise _refused(where, "an array that is not in the file")
        self.used.add(number)
        array: NDArray[Any] = self._arrays[number]
        scalar = typing.get_args(typing.get_args(wanted)[1])[0] if typing.get_args(wanted) else np.generic
        if not np.issubdtype(array.dtype, typing.get_origin(scalar) or scalar):
            raise _refused(where, f"an array of {array.dtype} does not belong there")
        return array

    def _tuple(self, written: Any, parts: tuple[Any, ...], where: str, depth: int) -> tuple[Any, ...]:
        if len(parts) == 2 and parts[1] is Ellipsis:
            items = _list(written, None, where)
            parts = (parts[0],) * len(items)
        else:
            items = _list(written, len(parts), where)
        return tuple(self.read(item, part, where, depth + 1) for item, part in zip(items, parts, strict=True))

    def _mapping(self, written: Any, parts: tuple[Any, ...], where: str, depth: int) -> dict[Any, Any]:
        pairs = [_list(pair, 2, where) for pair in _list(_only(written, {"map"}, where)[0], None, where)]
        made: dict[Any, Any] = {}
        for key, item in pairs:
            read = self.read(key, parts[0], where, depth + 1)
            made[read] = self.read(item, parts[1], f"{where}.{len(made)}", depth + 1)
        if len(made) != len(pairs):
            raise _refused(where, "a key occurs twice")
        return made

    def _records(self, written: Any, where: str) -> RecordTable:
        records, sizes = _only(written, {"records", "sizes"}, where)
        numbers = _sizes(sizes, where)
        array = self._array(records, NDArray[np.int16], where)
        if array.ndim != 2 or array.shape[1] != len(numbers) or not len(array):
            raise _refused(where, "a table of records of another shape")
        if (array < 0).any() or (array >= np.array(numbers)).any():
            raise _refused(where, "a record with a code out of range")
        return RecordTable.of_records(numbers[:-1], array)

    def _pair_tables(self, written: Any, where: str) -> PairTables:
        flat, sizes = _only(written, {"pair_tables", "sizes"}, where)
        numbers = _sizes(sizes, where)
        array = self._array(flat, NDArray[np.float32], where)
        cells = (sum(numbers) ** 2 - sum(size**2 for size in numbers)) // 2
        if array.shape != (cells,):
            raise _refused(where, "pair tables of another shape")
        return PairTables(numbers, array)

    def _object(self, written: Any, wanted: Any, where: str, depth: int) -> Any:
        name = self._kinds.get(wanted)
        if name is None:
            raise _refused(where, "a type that no model file may hold")
        if isinstance(written, dict) and set(written) == {"same"}:
            number = _plain(written["same"], int, where)
            if not 0 <= number < len(self._known) or type(self._known[number]) is not wanted:
                raise _refused(where, "a part that is not in the file")
            return self._known[number]
        fields, kind = _only(written, {"fields", "kind"}, where)
        if kind != name:
            raise _refused(where, "a part of another kind")
        hints = typing.get_type_hints(wanted)
        wanted_fields = dataclasses.fields(wanted)
        added = {field.name for field in wanted_fields if _has_default(field)}  # since the file's version, if absent
        named = [field.name for field in wanted_fields if not (field.name in added and _lacks(fields, field.name))]
        _only(fields, set(named), f"{where} ({name})")
        # in the order in which they were written, which is the order of the numbers that `same` refers to
        values = {field: self.read(fields[field], hints[field], f"{where}.{field}", depth + 1) for field in named}
        try:
            made = wanted(**values)
        except ParameterError as error:
            raise _refused(where, error.message.rstrip(".")) from None
        self._known.append(made)
        return made


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _lacks(fields: Any, name: str) -> bool:
    return isinstance(fields, dict) and name not in fields


def _plain(written: Any, wanted: Any, where: str) -> Any:
    if wanted is float and type(written) is int:
        return float(written)
    if type(written) is not (type(None) if wanted is None else wanted):
        raise _refused(where, f"expected {getattr(wanted, '__name__', 'nothing')}")
    return written


def _only(written: Any, keys: set[str], where: str) -> list[Any]:
    """The values of an object that has these keys and no others, in the order of the keys' names."""
    if not isinstance(written, dict) or set(written) != keys:
        unknown = sorted(set(written) - keys)[:1] if isinstance(written, dict) else []
        raise _refused(where, f"unknown field {str(unknown[0])[:40]!r}" if unknown else "a field is missing")
    return [written[key] for key in sorted(keys)]


def _sizes(written: Any, where: str) -> tuple[int, ...]:
    """Codes of each column of a record table, the constant one last."""
    numbers = tuple(_plain(size, int, where) for size in _list(written, None, where))
    if not 2 <= len(numbers) <= MAX_COLUMNS or min(numbers) < 1 or max(numbers) > MAX_CODES or numbers[-1] != 1:
        raise _refused(where, "columns of records with impossible sizes")
    return numbers


def _list(written: Any, length: int | None, where: str) -> list[Any]:
    if not isinstance(written, list) or (length is not None and len(written) != length):
        raise _refused(where, "expected a list of another length")
    return written


def _events(written: Any, where: str) -> EventTree:
    try:
        return EventTree.from_json(written)
    except AccountingError as error:
        raise _refused(where, f"the events cannot be read: {error.message}") from None


def _refused(where: str, what: str) -> ModelError:
    return ModelError(
        f"The model file cannot be used: {where[:120]}: {what}.",
        "Fetch it again from where it was made, or save the model anew with this version.",
    )
