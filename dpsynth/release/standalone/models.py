"""Stand-in for pydantic in `verify_bundle.py`: as much of it as the documents of a bundle use, by its rules.

Covers fields with `Annotated` limits, `Literal`, optional values, tuples, lists, mappings, nested models, strict and
lax numbers, serializers and validators after the fact. A kind of field that is not covered is refused when it is met.

>>> class Row(BaseModel):
...     model_config = ConfigDict(extra="forbid")
...     name: Annotated[str, Field(min_length=1)]
>>> Row.model_validate({"name": "a"}).name
'a'

Not guaranteed: pydantic's messages; the types of its errors and what it accepts are compared in
tests/release/standalone.
"""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

_ABSENT: Any = object()
_NUMBER = re.compile(r"[+-]?\d+(?:_\d+)*(?:\.0*)?")
_YES, _NO = {"1", "on", "t", "true", "y", "yes"}, {"0", "off", "f", "false", "n", "no"}
_Place = tuple[Any, ...]

ConfigDict = dict
SerializerFunctionWrapHandler = Callable[[Any], Any]


class ValidationError(ValueError):
    """What did not fit, and where."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(problems)} problems")
        self._problems = problems

    def errors(self, **_: bool) -> list[dict[str, Any]]:
        """Place, type and message of each."""
        return list(self._problems)


class _Problem(Exception):
    def __init__(self, kind: str, place: _Place, message: str = "") -> None:
        super().__init__(kind)
        self.found = [{"type": kind, "loc": place, "msg": message or kind.replace("_", " ")}]

    @classmethod
    def of(cls, found: list[dict[str, Any]]) -> _Problem:
        """Several at once."""
        made = cls("", ())
        made.found = found
        return made


class FieldInfo:
    """Default, alias and limits of one field."""

    def __init__(self, default: Any = _ABSENT, *, default_factory: Callable[[], Any] | None = None,
                 alias: str | None = None, **limits: Any) -> None:  # fmt: skip
        self.default, self.default_factory, self.alias, self.limits = default, default_factory, alias, limits

    def make(self) -> Any:
        """The default."""
        return self.default if self.default_factory is None else self.default_factory()

    @property
    def required(self) -> bool:
        """Whether there is none."""
        return self.default is _ABSENT and self.default_factory is None


Field: Any = FieldInfo


class BeforeValidator:
    """A function that sees the raw value first."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function


class PlainSerializer:
    """A function that writes the value."""

    def __init__(self, function: Callable[[Any], Any], return_type: Any = None) -> None:
        self.function, self.return_type = function, return_type


def model_serializer(*, mode: str) -> Callable[[Any], Any]:
    """Mark a method that writes the model."""
    return _marked("_serializes", mode)


def model_validator(*, mode: str) -> Callable[[Any], Any]:
    """Mark a method that checks the model when its fields are known."""
    return _marked("_validates", mode)


def _marked(name: str, mode: str) -> Callable[[Any], Any]:
    if mode != {"_serializes": "wrap", "_validates": "after"}[name]:
        raise NotImplementedError(mode)

    def mark(function: Any) -> Any:
        setattr(function, name, True)
        return function

    return mark


class BaseModel:
    """A document with declared fields."""

    model_config: ClassVar[dict[str, Any]] = {}
    model_fields: ClassVar[dict[str, FieldInfo]] = {}
    _serializer: Any = None
    _validators: tuple[Any, ...] = ()

    def __init_subclass__(cls, **_: Any) -> None:
        cls.model_config = {**cls.model_config, **cls.__dict__.get("model_config", {})}
        cls.model_fields = dict(cls.model_fields)
        for name in inspect.get_annotations(cls):
            if name.startswith("_") or name in ("model_config", "model_fields"):
                continue
            given = cls.__dict__.get(name, _ABSENT)
            cls.model_fields[name] = given if isinstance(given, FieldInfo) else FieldInfo(given)
        for value in list(cls.__dict__.values()):
            if getattr(value, "_serializes", False):
                cls._serializer = value
            if getattr(value, "_validates", False):
                cls._validators = (*cls._validators, value)

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(_fields(type(self), values, ()))
        self._finish(())

    @classmethod
    def model_validate(cls, value: Any) -> Any:
        """The document that `value` holds, or `ValidationError`."""
        try:
            return _model(cls, value, ())
        except _Problem as problem:
            raise ValidationError(problem.found) from None

    def model_dump(self, *, mode: str = "python", by_alias: bool = False, exclude: Any = ()) -> dict[str, Any]:
        """Plain values; with mode "json" as JSON holds them."""

        def fields(this: Any) -> dict[str, Any]:
            kinds = _kinds(type(this))
            return {
                (info.alias or name) if by_alias else name: _plain(kinds[name], getattr(this, name), mode, by_alias)
                for name, info in type(this).model_fields.items()
                if name not in exclude
            }

        return fields(self) if self._serializer is None else type(self)._serializer(self, fields)

    def _finish(self, place: _Place) -> None:
        for check in self._validators:
            try:
                check(self)
            except ValueError as error:
                raise _Problem("value_error", place, str(error)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class TypeAdapter:
    """One kind of value on its own."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def validate_python(self, value: Any) -> Any:
        """The value, or `ValidationError`."""
        try:
            return _value(self.kind, value, (), {}, {})
        except _Problem as problem:
            raise ValidationError(problem.found) from None


def _kinds(model: type[BaseModel]) -> dict[str, Any]:
    kinds: dict[str, Any] | None = model.__dict__.get("_hints")
    if kinds is None:
        kinds = typing.get_type_hints(model, include_extras=True)
        model._hints = kinds  # type: ignore[attr-defined]
    return kinds


def _model(model: type[BaseModel], value: Any, place: _Place) -> BaseModel:
    if isinstance(value, model):
        return value
    if not isinstance(value, dict):
        raise _Problem("model_type", place)
    made = object.__new__(model)
    made.__dict__.update(_fields(model, value, place))
    made._finish(place)
    return made


def _fields(model: type[BaseModel], value: dict[str, Any], place: _Place) -> dict[str, Any]:
    kinds, found, known = _kinds(model), {}, set()
    problems: list[dict[str, Any]] = []
    for name, info in model.model_fields.items():
        key = info.alias or name
        known.add(key)
        if key not in value:
            if info.required:
                problems += _Problem("missing", (*place, key)).found
            else:
                found[name] = info.make()
            continue
        try:
            found[name] = _value(kinds[name], value[key], (*place, key), info.limits, model.model_config)
        except _Problem as problem:
            problems += problem.found
    if model.model_config.get("extra") == "forbid":
        problems += [p for key in value if key not in known for p in _Problem("extra_forbidden", (*place, key)).found]
    if problems:
        raise _Problem.of(problems)
    return found


def _value(kind: Any, value: Any, place: _Place, limits: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *marks = get_args(kind)
        for mark in marks:
            if isinstance(mark, BeforeValidator):
                try:
                    value = mark.function(value)
                except ValueError as error:
                    raise _Problem("value_error", place, str(error)) from None
            elif isinstance(mark, FieldInfo):
                limits = {**mark.limits, **limits}
        return _value(inner, value, place, limits, config)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        [other] = [arg for arg in get_args(kind) if arg is not type(None)]
        return _value(other, value, place, limits, config)
    if origin is Literal:
        if not any(type(value) is type(arg) and value == arg for arg in get_args(kind)):
            raise _Problem("literal_error", place)
        return value
    if origin in (tuple, list):
        return _sequence(origin, get_args(kind)[0], value, place, limits, config)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _Problem("dict_type", place)
        names, items = get_args(kind)
        made = {
            _value(names, key, (*place, key), {}, config): _value(items, item, (*place, key), {}, config)
            for key, item in value.items()
        }
        return _held(made, place, limits)
    if kind is Any:
        return value
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model(kind, value, place)
    reader = _READERS.get(kind)
    if reader is None:
        raise NotImplementedError(f"fields of kind {kind}")
    return _held(reader(value, place, bool(config.get("strict")), limits, config), place, limits)


def _sequence(origin: Any, item: Any, value: Any, place: _Place, limits: Mapping[str, Any],
              config: Mapping[str, Any]) -> Any:  # fmt: skip
    if not isinstance(value, origin if config.get("strict") else (list, tuple)):
        raise _Problem(f"{origin.__name__}_type", place)
    made = origin(_value(item, one, (*place, at), {}, config) for at, one in enumerate(value))
    return _held(made, place, limits)


def _held(value: Any, place: _Place, limits: Mapping[str, Any]) -> Any:
    """The value, if it is within its limits."""
    for name, limit in limits.items():
        match name:
            case "ge" | "gt" | "le" | "lt":
                kept = {"ge": value >= limit, "gt": value > limit, "le": value <= limit, "lt": value < limit}[name]
                kind = {"ge": "greater_than_equal", "gt": "greater_than", "le": "less_than_equal", "lt": "less_than"}
                if not kept:
                    raise _Problem(kind[name], place, f"input should be {kind[name].replace('_', ' ')} {limit}")
            case "min_length" | "max_length":
                if (len(value) < limit) if name == "min_length" else (len(value) > limit):
                    what = "string" if isinstance(value, str) else ""
                    raise _Problem(f"{what}_too_{'short' if name == 'min_length' else 'long'}".lstrip("_"), place)
            case "pattern":
                # There `$` is the end of the text; here it would also stand before a last line feed.
                if re.search(re.sub(r"\$$", r"\\Z", limit), value) is None:
                    raise _Problem("string_pattern_mismatch", place)
            case "allow_inf_nan":
                continue
            case _:
                raise NotImplementedError(name)
    return value


def _text(value: Any, place: _Place, *_: Any) -> str:
    if not isinstance(value, str):
        raise _Problem("string_type", place)
    return value


def _flag(value: Any, place: _Place, strict: bool, *_: Any) -> bool:
    if isinstance(value, bool):
        return value
    if not strict:
        if isinstance(value, (int, float, Decimal)):
            if value in (0, 1):
                return bool(value)
            raise _Problem("bool_parsing" if isinstance(value, int) else "bool_type", place)
        if isinstance(value, str):
            if value.lower() in _YES | _NO:
                return value.lower() in _YES
            raise _Problem("bool_parsing", place)
    raise _Problem("bool_type", place)


def _whole(value: Any, place: _Place, strict: bool, *_: Any) -> int:
    if isinstance(value, int) and not (strict and isinstance(value, bool)):
        return int(value)
    if not strict:
        if isinstance(value, (float, Decimal)):
            if not math.isfinite(value):
                raise _Problem("finite_number", place)
            if value != int(value):
                raise _Problem("int_from_float", place)
            return int(value)
        if isinstance(value, str):
            if len(value) > 4300 or not _NUMBER.fullmatch(value.strip()):
                raise _Problem("int_parsing", place)
            return int(value.strip().partition(".")[0])
    raise _Problem("int_type", place)


def _real(value: Any, place: _Place, strict: bool, limits: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    if isinstance(value, (str, bool)) and strict:
        raise _Problem("float_type", place)
    if not isinstance(value, (int, float, str, Decimal)):
        raise _Problem("float_type", place)
    try:
        made = float(value)
    except (ValueError, OverflowError):
        raise _Problem("float_parsing", place) from None
    if not limits.get("allow_inf_nan", config.get("allow_inf_nan", True)) and not math.isfinite(made):
        raise _Problem("finite_number", place)
    return made


def _decimal(value: Any, place: _Place, strict: bool, *_: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal if strict else (int, float, str, Decimal)):
        raise _Problem("decimal_type", place)
    try:
        made = Decimal(str(value).strip())
    except InvalidOperation:
        raise _Problem("decimal_parsing", place) from None
    if not made.is_finite():
        raise _Problem("finite_number", place)
    return made


_READERS: dict[Any, Callable[..., Any]] = {str: _text, bool: _flag, int: _whole, float: _real, Decimal: _decimal}


def _plain(kind: Any, value: Any, mode: str, by_alias: bool) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *marks = get_args(kind)
        writer = next((mark.function for mark in marks if isinstance(mark, PlainSerializer)), None)
        return _plain(inner, value, mode, by_alias) if writer is None else writer(value)
    if value is None:
        return None
    if origin in (Union, types.UnionType):
        [kind] = [arg for arg in get_args(kind) if arg is not type(None)]
        return _plain(kind, value, mode, by_alias)
    if origin in (tuple, list) and isinstance(value, (tuple, list)):
        made = [_plain(get_args(kind)[0], item, mode, by_alias) for item in value]
        return made if mode == "json" or origin is list else tuple(made)
    if isinstance(value, dict):
        item = get_args(kind)[1] if origin is dict else Any
        return {key: _plain(item, one, mode, by_alias) for key, one in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(mode=mode, by_alias=by_alias)
    if mode == "json":
        if isinstance(value, Decimal):
            return str(value)
        if isinstance(value, (list, tuple)):
            return [_plain(Any, one, mode, by_alias) for one in value]
    return value
