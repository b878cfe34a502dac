"""What an automaton of a schema writes is JSON that satisfies it, as code that shares nothing with it says."""

from __future__ import annotations

import json
import socket
import warnings

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.structure.json_schema import JSONSchema, _validator
from tests.conformance.structure import BYTES, MIXED, StructureConformance

pytest.importorskip("llguidance", reason="the extra `text` is not installed")
Unresolvable = pytest.importorskip("referencing.exceptions").Unresolvable

COMPLAINT = {
    "type": "object",
    "properties": {
        "issue": {"enum": ["fees", "fraud", "loan"]},
        "story": {"type": "string", "minLength": 1, "maxLength": 12},
        "amount": {"type": "number", "minimum": 0, "maximum": 9999},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 3},
    },
    "required": ["issue", "story"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "next": {"$ref": "#/$defs/node"}},
            "required": ["n"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}


class TestComplaint(StructureConformance):
    whole = ('{"issue": "fees", "story": "é"}', '{"issue": "loan", "story": "a\\n", "amount": 12.5, "tags": ["x", ""]}')
    broken = (
        "",
        '{"issue": "fees", "story": "x"',
        '{"issue": "fees"}',
        '{"issue": "Fees", "story": "x"}',
        '{"issue": "fees", "story": ""}',
        '{"issue": "fees", "story": "x", "amount": -1}',
        '{"issue": "fees", "story": "x", "more": 1}',
        '{"issue": "fees", "story": "x", "tags": ["a", "b", "c", "d"]}',
        "[]",
    )

    def form(self):
        return JSONSchema(COMPLAINT)


class TestTree(StructureConformance):
    whole = ('{"n": 1}', '{"n": 1, "next": {"n": 0, "next": {"n": 9}}}')
    broken = ("{}", '{"n": 10}', '{"n": 1, "next": {}}', '{"next": {"n": 1}}', "1")

    def form(self):
        return JSONSchema(TREE)


class TestScalars(StructureConformance):
    whole = ('"ab"', "true", "null", "3", "[1, 2]")
    broken = ("", "tru", '"a', "NaN", "3.5", '["a"]')

    def form(self):
        return JSONSchema(
            {
                "anyOf": [
                    {"type": ["boolean", "null", "integer"]},
                    {"type": "string", "pattern": "^[a-z]{2}$"},
                    {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
                ]
            }
        )


KEYWORDS = [
    {"type": "integer", "multipleOf": 7, "minimum": -50, "exclusiveMaximum": 50},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "uuid"},
    {"const": {"a": [1, None, "é"]}},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"enum": ["x"]}], "items": False, "minItems": 2},
    {"allOf": [{"type": "string", "minLength": 2}, {"maxLength": 3}]},
    {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
]


@pytest.mark.parametrize("schema", KEYWORDS, ids=[json.dumps(schema)[:40] for schema in KEYWORDS])
def test_finished_texts_parse_and_satisfy_the_schema(schema):
    form = JSONSchema(schema)
    finished = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        automaton, tokens = form.begin(MIXED), []
        for _ in range(120):
            mask = automaton.allowed()
            end = mask[MIXED.end] and rng.random() < 0.5
            token = MIXED.end if end or mask.sum() == mask[MIXED.end] else int(rng.choice(np.flatnonzero(mask)))
            if token == MIXED.end:
                break
            automaton.advance(token)
            tokens.append(token)
        if token == MIXED.end:
            finished += 1
            text = MIXED.text(tokens)
            json.loads(text)
            assert form.accepts(text), text
    assert finished >= 10


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "string"}}, '"not"'),
        ({"if": {"type": "string"}, "then": {"maxLength": 3}}, '"if"'),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"$ref": "http://elsewhere.example/schema"}, "does not fetch"),
        ({"$ref": "#/nowhere"}, "does not exist"),
        ({"enum": []}, "Unsatisfiable"),
        ({"allOf": [False]}, "Unsatisfiable"),
        ({"type": "strin"}, "Not a JSON schema: at type"),
        ({"minLength": "a"}, "Not a JSON schema: at minLength"),
        ({"type": "string", "format": "nope"}, "Unknown format"),
        ({"default": object()}, "holds what JSON cannot"),
        ({"default": float("nan")}, "holds what JSON cannot"),
        ([], "is an object"),
        ("{}", "is an object"),
    ],
)
def test_schemas_that_cannot_be_held_are_refused_before_anything_is_spent(schema, told):
    with pytest.raises(ParameterError, match=told):
        JSONSchema(schema)


def test_a_form_opens_no_connection(monkeypatch):
    opened: list[str] = []

    def refuse(host, *given, **also):
        opened.append(host)
        raise OSError("no connection here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(ParameterError, match="does not fetch"):
        JSONSchema({"properties": {"a": {"$ref": "https://elsewhere.example/a"}}})
    with warnings.catch_warnings(), pytest.raises(Unresolvable):  # the validator too, were it ever asked first
        warnings.simplefilter("ignore", DeprecationWarning)  # of jsonschema, if it were to fetch
        _validator({"$ref": "https://elsewhere.example/a"}).is_valid(1)
    assert JSONSchema({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "null"}).accepts("null")
    assert opened == []


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "1" * 5_000, "NaN", "Infinity", "{'a': 1}", "\ud800", "[1,]", "\ufeff1"]
)
def test_texts_that_are_no_json_are_refused_quietly(text):
    assert not JSONSchema({}).accepts(text)


def test_calendar_dates_are_held_while_writing():
    automaton = JSONSchema({"type": "string", "format": "date"}).begin(BYTES)
    for byte in b'"2023-02-3':
        if not automaton.allowed()[byte + 1]:
            return
        automaton.advance(byte + 1)
    pytest.fail("the thirtieth of February can be written")


def test_keys_that_come_twice_cannot_stand_for_two():
    """The automaton counts them twice; the validator, which decides, does not."""
    assert not JSONSchema({"type": "object", "minProperties": 2}).accepts('{"a": 1, "a": 2}')
