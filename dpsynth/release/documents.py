"""Documents as bytes: strict JSON and YAML in, one canonical form out.

A bundle is untrusted input and a signature covers bytes, so a document may have one reading only. Duplicate
keys, NaN, infinities, integers that a double cannot hold, deep nesting and oversized files are refused
before any field is looked at; YAML is read without anchors, aliases and tags. Digests are SHA-256 over RFC
8785, so two programs that agree on the value agree on the digest.

>>> digest({"b": 1, "a": "x"})[:16]
'cdab067e9f3beb32'

Not guaranteed: that a document means anything. Schemas are checked by whoever asked for it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

import rfc8785
import yaml

from dpsynth.core.errors import VerificationError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

MAX_DEPTH: Final = 32
MAX_BYTES: Final = 64 * 2**20
_MAX_INT: Final = 2**53 - 1


class Refusal(VerificationError):
    """A document, archive or claim is refused; `code` is stable and meant for scripts."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


def parse_json(raw: bytes, *, name: str, limit: int = MAX_BYTES) -> dict[str, JSON]:
    """The one object that `raw` holds.

    Args:
        raw: UTF-8 bytes without byte order mark.
        name: what to call the document in a refusal.
        limit: largest accepted length in bytes.

    Raises:
        Refusal: with code `document_too_large`, `not_utf8`, `duplicate_key`, `not_finite`, `number_too_large`,
            `too_deep`, `not_json` or `not_an_object`.
    """
    text = _text(raw, name, limit)

    def pairs(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
        found = dict(items)
        if len(found) != len(items):
            raise Refusal("duplicate_key", f"{name} names a key twice, so it has two readings.")
        return found

    def constant(text: str) -> float:
        raise Refusal("not_finite", f"{name} holds {text}, which is no JSON number.")

    def real(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise Refusal("not_finite", f"{name} holds a number beyond the range of a double.")
        return value

    def integer(text: str) -> int:
        if len(text) > 17 or abs(int(text)) > _MAX_INT:
            raise Refusal("number_too_large", f"{name} holds an integer beyond 2^53 - 1.")
        return int(text)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=real, parse_int=integer)
    except RecursionError:
        raise Refusal("too_deep", f"{name} is nested too deeply.") from None
    except ValueError:
        raise Refusal("not_json", f"{name} is not JSON.") from None
    return _plain_object(value, name)


def parse_yaml(raw: bytes, *, name: str, limit: int = 2**20) -> dict[str, JSON]:
    """The one mapping that `raw` holds: YAML without anchors, aliases, tags and duplicate keys.

    Raises:
        Refusal: as `parse_json`, or `not_yaml`, `yaml_alias`.
    """
    text = _text(raw, name, limit)
    try:
        for depth, token in _depths(text):
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken, yaml.DirectiveToken)):
                raise Refusal("yaml_alias", f"{name} uses an anchor, alias, tag or directive; write it out.")
            if depth > MAX_DEPTH:
                raise Refusal("too_deep", f"{name} is nested too deeply.")
        value = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that also refuses duplicates
    except RecursionError:
        raise Refusal("too_deep", f"{name} is nested too deeply.") from None
    except _DuplicateKey:
        raise Refusal("duplicate_key", f"{name} names a key twice, so it has two readings.") from None
    except (yaml.YAMLError, ValueError):
        raise Refusal("not_yaml", f"{name} is not YAML.") from None
    return _plain_object(value, name)


def canonical(value: JSON) -> bytes:
    """RFC 8785 bytes of `value`.

    Raises:
        Refusal: `not_canonical` if a number or string has no canonical form.
    """
    try:
        return rfc8785.dumps(cast("dict[str, object]", value))  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, ValueError) as error:
        raise Refusal("not_canonical", f"The document has no canonical form: {type(error).__name__}.") from None


def digest(value: JSON) -> str:
    """SHA-256 of the canonical form, hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def pretty(value: JSON) -> bytes:
    """Deterministic bytes for people: sorted keys, two spaces, one newline at the end."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_yaml(value: JSON) -> bytes:
    """Deterministic YAML in the order of the keys given."""
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=100).encode()


def _text(raw: bytes, name: str, limit: int) -> str:
    if len(raw) > limit:
        raise Refusal("document_too_large", f"{name} has {len(raw)} bytes; the limit is {limit}.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("not_utf8", f"{name} is not UTF-8.") from None


def _plain_object(value: object, name: str) -> dict[str, JSON]:
    """Walk without recursion: depth, finiteness, string keys, no lone surrogates, no foreign types."""
    if not isinstance(value, dict):
        raise Refusal("not_an_object", f"{name} is not one object.")
    stack: list[tuple[object, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise Refusal("too_deep", f"{name} is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(item, dict):
            stack.extend((part, depth + 1) for pair in item.items() for part in pair)
            if not all(isinstance(key, str) for key in item):
                raise Refusal("not_an_object", f"{name} has a key that is not a string.")
        elif isinstance(item, list):
            stack.extend((part, depth + 1) for part in item)
        elif isinstance(item, str):
            _whole_characters(item, name)
        elif isinstance(item, float) and not math.isfinite(item):
            raise Refusal("not_finite", f"{name} holds a number that is not finite.")
        elif not isinstance(item, (int, float, type(None))):
            raise Refusal("not_an_object", f"{name} holds a {type(item).__name__}; quote it to make it a string.")
    return value


def _whole_characters(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("not_utf8", f"{name} holds half of a surrogate pair.") from None


class _PlainDumper(yaml.SafeDumper):
    """SafeDumper that writes repeated values out instead of referring to them."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's signature
        return True


class _DuplicateKey(ValueError):
    """Raised inside the loader; turned into a `Refusal` by `parse_yaml`."""


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(keys):
            raise _DuplicateKey
        return cast("dict[object, object]", super().construct_mapping(node, deep=deep))


_OPEN = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken,
         yaml.FlowSequenceStartToken)  # fmt: skip
_CLOSE = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def _depths(text: str) -> Iterator[tuple[int, yaml.Token]]:
    """Tokens of a YAML text, each with the depth of nesting after it."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        depth += isinstance(token, _OPEN) - isinstance(token, _CLOSE)
        yield depth, token
