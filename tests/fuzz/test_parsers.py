"""No parser crashes, whatever it is given: a typed refusal or a value. Structure-aware changes of valid documents."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, attempt

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**53, 10**400, -0.0, 0.5, 1e308, "", "x", "nan", "Infinity", "-1", "0", "1e999999999",
    "9" * 5000, "\x00", "\ud7ff", "💥", "a" * 70000, [], {}, [[]], [None], {"": None}, {"schema": "x"}, ["x"] * 300,
]  # fmt: skip
INSERTED = [b"\x00", b"\xff" * 4, b"\x7f" * 8, b"[" * 50, b"&a ", b"*a", b"{}", b"\n", b'"']
SLOW = {"bundle", "signed ledger", "signed card", "signed decision", "signed evidence", "parquet", "export", "slice"}


def _changed(document: Any, rng: random.Random) -> Any:
    """One place of a JSON-like value replaced, dropped, doubled or renamed."""
    places: list[tuple[Any, Any]] = []
    stack = [document]
    while stack:
        item = stack.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else []
        for key in keys:
            places.append((item, key))
            stack.append(item[key])
    if not places:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case 2:
            other, at = rng.choice(places)
            if at in (other if isinstance(other, dict) else range(len(other))):
                holder[key] = json.loads(json.dumps(other[at]))
        case _:
            holder[key] = rng.choice(ODD)
    return document


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """The document changed in its own structure where it has one, else in its bytes."""
    kind = rng.randrange(4)
    if kind:
        for load, dump in ((json.loads, json.dumps), (yaml.safe_load, yaml.safe_dump)):
            try:
                document = load(seed)
            except (ValueError, yaml.YAMLError):
                continue
            if isinstance(document, (dict, list)):
                for _ in range(kind):
                    document = _changed(document, rng)
                return dump(document, allow_nan=True).encode() if dump is json.dumps else dump(document).encode()
    raw = bytearray(seed)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0:
                raw[at : at + rng.randrange(1, 9)] = b""
            case 1:
                raw[at:at] = rng.choice(INSERTED)
            case 2 if raw:
                raw[at % len(raw)] ^= 1 << rng.randrange(8)
            case _:
                raw[at : at + 4] = rng.randrange(2**32).to_bytes(4, "little")
    return bytes(raw)


@pytest.mark.parametrize("name", TARGETS)
def test_valid_documents_are_accepted(name):
    if name in ("checkpoints", "recalls", "evidence"):
        pytest.skip("its seed is only the beginning of a document")
    assert all(attempt(name, seed) for seed in TARGETS[name].seeds())


def _fuzz(name: str, number: int, raw: bytes) -> None:
    seeds = TARGETS[name].seeds()
    attempt(name, mutated(seeds[number % len(seeds)], random.Random(number)))
    attempt(name, raw)


def _law(examples: int):  # type: ignore[no-untyped-def]
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=quiet)


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
@_law(15)
@given(number=st.integers(0, 2**32), raw=st.binary(max_size=300))
@example(number=0, raw=b"")
def test_a_changed_document_ends_in_a_value_or_a_typed_refusal(name, number, raw):
    _fuzz(name, number, raw)


@pytest.mark.parametrize("name", sorted(SLOW))
@_law(5)
@given(number=st.integers(0, 2**32), raw=st.binary(max_size=300))
@example(number=0, raw=b"")
def test_a_changed_bundle_ends_in_a_value_or_a_typed_refusal(name, number, raw):
    _fuzz(name, number, raw)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@_law(400)
@given(number=st.integers(0, 2**32), raw=st.binary(max_size=2000))
def test_many_changes_too(name, number, raw):
    _fuzz(name, number, raw)
