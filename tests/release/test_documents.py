"""Strict documents: one reading each, bounded in size and depth; and the envelope that signs them."""

from __future__ import annotations

import base64
import json
import time

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting import Signer
from dpsynth.release.documents import MAX_DEPTH, Refusal, canonical, digest, parse_json, parse_yaml, pretty, to_yaml
from dpsynth.release.dsse import PAYLOAD_TYPE, open_envelope, pae, seal_envelope
from dpsynth.release.statement import read_statement

JSON_CASES = {
    "duplicate key": (b'{"a": 1, "a": 2}', "duplicate_key"),
    "duplicate key inside": (b'{"a": {"b": 1, "b": 1}}', "duplicate_key"),
    "nan": (b'{"a": NaN}', "not_finite"),
    "infinity": (b'{"a": -Infinity}', "not_finite"),
    "number beyond a double": (b'{"a": 1e999}', "not_finite"),
    "integer beyond a double": (b'{"a": 9007199254740992}', "number_too_large"),
    "very long integer": (b'{"a": ' + b"9" * 5000 + b"}", "number_too_large"),
    "deep": (b'{"a":' * 100_000, "too_deep"),
    "deep but closed": (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "too_deep"),
    "half a surrogate": (b'{"a": "\\ud800"}', "not_utf8"),
    "latin-1": (b'{"a": "\xfc"}', "not_utf8"),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}', "not_json"),
    "trailing text": (b'{"a": 1} {"b": 2}', "not_json"),
    "comment": (b'{"a": 1} // fine', "not_json"),
    "array": (b"[1]", "not_an_object"),
    "empty": (b"", "not_json"),
}
YAML_CASES = {
    "duplicate key": (b"a: 1\na: 2", "duplicate_key"),
    "alias bomb": (b"a: &a [x]\nb: [*a, *a]", "yaml_alias"),
    "tag": (b"a: !!python/object/apply:os.system [id]", "yaml_alias"),
    "directive": (b"%YAML 1.1\n---\na: 1", "yaml_alias"),
    "merge key": (b"a: {b: 1}\nc:\n  <<: {b: 2}\n", "ok"),
    "deep": (b"a: " + b"[" * 200, "too_deep"),
    "date": (b"a: 2026-01-01", "not_an_object"),
    "nan": (b"a: .nan", "not_finite"),
    "list": (b"- a", "not_an_object"),
    "number as key": (b"1: a", "not_an_object"),
    "two documents": (b"a: 1\n---\nb: 2", "not_yaml"),
    "unclosed": (b"a: [", "not_yaml"),
}


@pytest.mark.parametrize("name", JSON_CASES)
def test_json_with_two_readings_is_refused(name):
    raw, code = JSON_CASES[name]
    with pytest.raises(Refusal) as refused:
        parse_json(raw, name="a.json")
    assert refused.value.code == code


@pytest.mark.parametrize("name", [name for name, case in YAML_CASES.items() if case[1] != "ok"])
def test_yaml_with_two_readings_is_refused(name):
    raw, code = YAML_CASES[name]
    with pytest.raises(Refusal) as refused:
        parse_yaml(raw, name="a.yaml")
    assert refused.value.code == code


def test_size_is_checked_before_anything_is_parsed():
    with pytest.raises(Refusal, match="the limit is 10") as refused:
        parse_json(b"[" * 11, name="a.json", limit=10)
    assert refused.value.code == "document_too_large"


def test_bombs_are_refused_quickly():
    start = time.perf_counter()
    for raw in (b"[" * 2**22, b'{"a":' * 2**20, b'"' + b"\\" * 2**22):
        with pytest.raises(Refusal):
            parse_json(raw, name="bomb")
    with pytest.raises(Refusal):
        parse_yaml(b"[" * 2**18, name="bomb")
    assert time.perf_counter() - start < 5


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_crash_the_readers(raw):
    for parse in (parse_json, parse_yaml):
        try:
            parse(raw, name="fuzz")
        except Refusal as refusal:
            assert refusal.code


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), VALUES, max_size=4))
@settings(max_examples=200)
def test_what_we_write_we_read_back(value):
    assert parse_json(pretty(value), name="own") == value
    assert parse_json(canonical(value), name="own") == value
    assert digest(parse_json(pretty(value), name="own")) == digest(value)


def test_yaml_that_we_write_has_no_aliases():
    shared = {"a": [1, 2]}
    assert parse_yaml(to_yaml({"x": shared, "y": shared}), name="own") == {"x": shared, "y": shared}


def test_canonical_form_is_rfc_8785():
    """Example of RFC 8785, section 3.2.2 (numbers and order of keys), against the library and by hand."""
    value = {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27], "literals": [None, True, False]}
    by_hand = b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}'
    assert canonical(value) == by_hand == rfc8785.dumps(value)


def test_depth_limit_is_where_it_says():
    nested = {}
    for _ in range(MAX_DEPTH - 1):
        nested = {"a": nested}
    assert parse_json(json.dumps(nested).encode(), name="deep") == nested
    with pytest.raises(Refusal):
        parse_json(json.dumps({"a": nested}).encode(), name="deep")


@pytest.mark.parametrize("kind", ["{a: %s}", "[%s]", "blocks"])
def test_the_depth_limit_of_yaml_is_that_of_json(kind):
    def text(depth):
        """As many mappings and lists, one in the other; the innermost is empty."""
        if kind == "blocks":
            return "".join(" " * level + "a:\n" for level in range(depth - 2)) + " " * depth + "a: []\n"
        inner = kind.replace("a: %s", "") if "a" in kind else "[]"
        for _ in range(depth - 2):
            inner = kind % inner
        return f"a: {inner}"

    found = parse_yaml(text(MAX_DEPTH).encode(), name="deep")
    for _ in range(MAX_DEPTH - 1):
        found = found["a"] if isinstance(found, dict) else found[0]
    assert not found
    with pytest.raises(Refusal) as refused:
        parse_yaml(text(MAX_DEPTH + 1).encode(), name="deep")
    assert refused.value.code == "too_deep"


def test_depth_counts_what_is_open_not_what_there_is():
    assert parse_yaml(b"a:\n" + b"- [[1], {b: 2}]\n" * 50, name="long") == {"a": [[[1], {"b": 2}]] * 50}


@pytest.mark.parametrize(("parse", "most"), [(parse_json, 64 * 2**20), (parse_yaml, 2**20)], ids=["json", "yaml"])
def test_size_is_bounded_where_no_limit_is_named(parse, most):
    for size, code in ((most + 1, "document_too_large"), (most, "not_utf8")):
        with pytest.raises(Refusal) as refused:
            parse(b"\xff" * size, name="large")
        assert refused.value.code == code


def test_a_statement_is_read_up_to_a_mebibyte():
    for size, code in ((2**20 + 1, "document_too_large"), (2**20, "not_utf8")):
        with pytest.raises(Refusal) as refused:
            read_statement(b"\xff" * size)
        assert refused.value.code == code


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, 2**53, -(2**53)])
def test_integers_end_where_doubles_do(value):
    raw = b'{"a": %d}' % value
    if abs(value) < 2**53:
        assert parse_json(raw, name="number") == {"a": value}
    else:
        with pytest.raises(Refusal) as refused:
            parse_json(raw, name="number")
        assert refused.value.code == "number_too_large"


# --- DSSE: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md ---------------------------------------


def test_pre_authentication_encoding_is_the_protocol_s_example():
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_bytes_and_keep_pairs_apart():
    assert pae("\u00fc", b"") == b"DSSEv1 2 \xc3\xbc 0 "
    assert pae("a", b"b 1 c") != pae("a 5 b", b"c")


@given(st.text(max_size=10), st.binary(max_size=20), st.text(max_size=10), st.binary(max_size=20))
def test_no_two_pairs_share_an_encoding(kind, payload, other_kind, other_payload):
    try:
        same = pae(kind, payload) == pae(other_kind, other_payload)
    except UnicodeEncodeError:
        return
    assert same == ((kind, payload) == (other_kind, other_payload))


def test_envelope_opens_under_its_key_and_no_other():
    signer, other = Signer.generate(), Signer.generate()
    raw = seal_envelope(b'{"a": 1}', signer)
    assert open_envelope(raw, public_key=signer.public_bytes) == b'{"a": 1}'
    with pytest.raises(Refusal) as refused:
        open_envelope(raw, public_key=other.public_bytes)
    assert refused.value.code == "wrong_key"


def test_envelope_has_the_fields_of_the_standard():
    body = json.loads(seal_envelope(b"payload", Signer.generate()))
    assert set(body) == {"payload", "payloadType", "signatures"}
    assert body["payloadType"] == PAYLOAD_TYPE
    assert base64.b64decode(body["payload"]) == b"payload"
    assert set(body["signatures"][0]) == {"keyid", "sig"}


def test_base64_has_one_spelling():
    signer = Signer.generate()
    body = json.loads(seal_envelope(b"ab", signer))
    assert body["payload"] == "YWI="
    for spelling in ("YWJ=", "YWI", "YW I=", "YWI=\n", "YWI=="):
        with pytest.raises(Refusal):
            open_envelope(pretty({**body, "payload": spelling}), public_key=signer.public_bytes)
