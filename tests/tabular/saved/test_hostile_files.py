"""A hostile, damaged or foreign model file is a typed error, and nothing in it runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from dpsynth.core.errors import ModelError
from dpsynth.tabular import load, save
from dpsynth.tabular.saved.saving import MAGIC, TYPES, from_bytes, to_bytes


def rebuilt(raw: bytes, change) -> bytes:
    """The file after `change(header, arrays)`, with all digests right again: an attacker can compute them too."""
    length = int.from_bytes(raw[8:16], "little")
    header, data = json.loads(raw[48 : 48 + length]), raw[48 + length :]
    arrays, start = [], 0
    for kind, shape in header["arrays"]:
        size = int(np.prod(shape)) * TYPES[kind].itemsize
        arrays.append(np.frombuffer(data[start : start + size], TYPES[kind]).reshape(shape).copy())
        start += size
    before = [(a.dtype.str, list(a.shape)) for a in arrays]
    outcome = change(header, arrays)
    data = b"".join(a.tobytes() for a in arrays)
    if [(a.dtype.str, list(a.shape)) for a in arrays] != before:
        header["arrays"] = [[a.dtype.str, list(a.shape)] for a in arrays]
    header.setdefault("data", "")
    header["data"] = hashlib.sha256(data).hexdigest()
    head = outcome if isinstance(outcome, bytes) else json.dumps(header).encode()
    return MAGIC + len(head).to_bytes(8, "little") + hashlib.sha256(head).digest() + head + data


def at(header, *path):
    """The part of the model's tree at a path of field names."""
    part = header["model"]
    for name in path:
        part = part["fields"][name] if isinstance(part, dict) and "fields" in part else part["map"][name][1]
    return part


def first_array(header, arrays, *path):
    return arrays[at(header, *path)["array"]]


ONEWAY = ("binnings", 0, "oneway")


def put(value, *path):
    def change(header, arrays):
        parent = header["model"]
        for name in path[:-1]:
            parent = parent["fields"][name] if "fields" in parent else parent["map"][name][1]
        if "fields" in parent:
            parent["fields"][path[-1]] = value
        else:
            parent["map"][path[-1]][1] = value

    return change


def fill(value, *path, index=0):
    def change(header, arrays):
        first_array(header, arrays, *path).flat[index] = value

    return change


def swap(make, *path):
    def change(header, arrays):
        number = at(header, *path)["array"]
        arrays[number] = make(arrays[number])

    return change


def top(**fields):
    def change(header, arrays):
        header.update(fields)

    return change


class Boom:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def pickled(header, arrays):
    arrays[0] = np.frombuffer(pickle.dumps(Boom()), np.uint8).copy()


HOSTILE = {
    "another version": (top(schema="dpsynth.model/2"), "of a version"),
    "no version": (lambda h, a: h.pop("schema"), "of a version"),
    "an unknown field in the header": (top(run="rm"), "unknown fields"),
    "a field of the header is missing": (lambda h, a: h.pop("guarantee"), "unknown fields, or too few"),
    "a malformed schema digest": (top(schema_digest="../../etc"), "schema digest is malformed"),
    "a guarantee that is none": (top(guarantee={"epsilon": "0"}), "cannot be priced"),
    "an epsilon that is not finite": (lambda h, a: h["guarantee"].update(epsilon="NaN"), "cannot be priced"),
    "a model that is no object": (top(model=[1, 2]), "no model that this version knows"),
    "a class by its import path": (
        lambda h, a: h["model"].update(kind="os:system"), "no model that this version knows"),
    "a class that is no model": (lambda h, a: h["model"].update(kind="cells"), "no model that this version knows"),
    "an unknown field in a part": (put(1, *ONEWAY, "shell"), "unknown field 'shell'"),
    "a field of a part is missing": (
        lambda h, a: at(h, *ONEWAY)["fields"].pop("cells"), "a field is missing"),
    "a part of another kind": (
        lambda h, a: at(h, *ONEWAY).update(kind="binning"), "a part of another kind"),
    "text where a number belongs": (put("9", "rows"), "expected int"),
    "a truth value where a number belongs": (put(True, "rows"), "expected int"),
    "rows below zero": (put(-1, "rows"), "row total is impossible"),
    "rows without end": (put(10**18, "rows"), "row total is impossible"),
    "an integer beyond 64 bits": (
        lambda h, a: json.dumps(h).replace('"rows": ', '"rows": 1' + "0" * 30).encode(), "beyond 64 bits"),
    "a number that is not finite in the header": (
        lambda h, a: json.dumps(h).replace('"rows": ', '"rows": NaN, "n": ').encode(), "not finite"),
    "a key given twice": (
        lambda h, a: json.dumps(h).replace("{", '{"schema": "x", ', 1).encode(), "a key occurs twice"),
    "a header that is not JSON": (lambda h, a: b"{'a': print(1)}", "not JSON"),
    "a header that is not UTF-8": (lambda h, a: b"\xff\xfe{}", "not JSON in UTF-8"),
    "nesting without end": (lambda h, a: b'{"a":' * 100_000, "not JSON"),
    "NaN in an array": (fill(np.nan, *ONEWAY, "counts"), "not finite"),
    "infinity in an array": (fill(np.inf, *ONEWAY, "variance"), "not finite"),
    "a variance below zero": (fill(-1.0, *ONEWAY, "variance"), "has no noise"),
    "a code out of range": (fill(999, "binnings", 0, "code_of"), "code out of range"),
    "a code below zero": (fill(-1, "binnings", 0, "code_of"), "code out of range"),
    "counts of another shape": (swap(lambda a: a[:-1], *ONEWAY, "counts"), "counts of another shape"),
    "counts in two dimensions": (swap(lambda a: a[None], *ONEWAY, "counts"), "counts of another shape"),
    "counts of another type": (swap(lambda a: a.astype(np.int64), *ONEWAY, "counts"), "array of int64"),
    "an array of an unknown type": (lambda h, a: h.update(arrays=[["|O", [1]], *h["arrays"][1:]]), "unknown type"),
    "an array of text": (lambda h, a: h.update(arrays=[["<U9", [1]], *h["arrays"][1:]]), "unknown type"),
    "a pickled array": (pickled, "array of uint8"),
    "an array larger than the file": (
        lambda h, a: h.update(arrays=[["<f8", [2**30]], *h["arrays"][1:]]), "shorter than it says"),
    "an array whose size overflows": (
        lambda h, a: h.update(arrays=[["<f8", [2**31, 2**31, 2**31]], *h["arrays"][1:]]), "shorter than it says"),
    "an array with a negative side": (
        lambda h, a: h.update(arrays=[["<f8", [-1]], *h["arrays"][1:]]), "impossible shape"),
    "an array of many dimensions": (
        lambda h, a: h.update(arrays=[["<f8", [1] * 40], *h["arrays"][1:]]), "impossible shape"),
    "arrays that nothing describes": (lambda h, a: a.append(np.zeros(9)), "nothing refers to"),
    "fewer arrays than described": (lambda h, a: h["arrays"].append(["<f8", [1]]), "shorter than it says"),
    "a reference to no array": (put({"array": 10**6}, *ONEWAY, "counts"), "not in the file"),
    "a reference to no part": (
        lambda h, a: at(h, *ONEWAY, "cells")["fields"].update(domain={"same": 77}),
        "another type than belongs there"),
    "a grid that ends before it starts": (
        lambda h, a: h["model"]["fields"]["domains"]["map"][1][1]["fields"].update(low=9, high=1), "low <= high"),
    "a scale without denominator": (
        lambda h, a: h["model"]["fields"]["domains"]["map"][1][1]["fields"].update(scale={"fraction": [1, 0]}),
        "expected a fraction"),
    "a huge domain for few cells": (
        lambda h, a: h["model"]["fields"]["domains"]["map"][1][1]["fields"].update(low=-(2**60), high=2**60),
        "shape|path|impossible"),
    "a parent that comes later": (
        lambda h, a: at(h, "forest", "order").reverse(), "stands before its parent"),
    "a column of the forest twice": (
        lambda h, a: at(h, "forest", "order").append(at(h, "forest", "order")[0]), "forest is of other columns"),
    "a probability below zero": (fill(-3.0, "forest", "given", 0), "impossible counts"),
    "a table of another shape": (swap(lambda a: a[:, :-1].copy(), "forest", "given", 0), "table of another shape"),
    "events that are none": (lambda h, a: at(h, "events").update(events={"run": 1}), "events cannot be read"),
    "events of no kind": (
        lambda h, a: at(h, "events")["events"]["events"][0].update(type="free"), "events cannot be read"),
    "fewer events than were spent": (lambda h, a: at(h, "events")["events"]["events"].pop(), "but its events cost"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_a_typed_error_and_nothing_runs(small, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, message = HOSTILE[case]
    raw = rebuilt(to_bytes(small), change)
    (tmp_path / "m").write_bytes(raw)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "m")
    assert not (tmp_path / "pwned").exists()


RECORDS = {
    "a record with a code out of range": (fill(500, "table"), "code out of range"),
    "a record with a negative code": (fill(-1, "table"), "code out of range"),
    "records of another shape": (swap(lambda a: a[:, :-1].copy(), "table"), "another shape"),
    "no records": (swap(lambda a: a[:0], "table"), "another shape"),
    "records as floats": (swap(lambda a: a.astype(float), "table"), "array of float64"),
    "sizes that are not those of the codes": (
        lambda h, a: at(h, "table")["sizes"].__setitem__(0, 9), "of another size"),
    "expected tables of another shape": (
        swap(lambda a: a[:-1].copy(), "expected"), "pair tables of another shape"),
    "expected tables of other columns": (
        lambda h, a: at(h, "expected")["sizes"].append(1), "pair tables of another shape|other columns"),
    "sizes without end": (lambda h, a: at(h, "expected").update(sizes=[10**9] * 9), "impossible sizes"),
    "an expected count below zero": (fill(-5.0, "expected"), "impossible counts"),
    "a measurement of a column that is not there": (
        lambda h, a: at(h, "measured")["map"][0].__setitem__(0, ["sex", "ssn"]), "columns that it lacks"),
    "a measurement without noise": (lambda h, a: at(h, "measured")["map"][0].__setitem__(1, 0.0), "without noise"),
    "a total of nothing": (put(0.0, "total"), "row total is impossible"),
}  # fmt: skip


ALIAS = {"table": "records", "expected": "pair_tables"}


@pytest.mark.parametrize("case", RECORDS)
def test_a_hostile_file_of_records_is_a_typed_error(records, case):
    change, message = RECORDS[case]

    def by_table(header, arrays):
        parts = [(header["model"]["fields"][name], held) for name, held in ALIAS.items()]
        for part, held in parts:
            part["array"] = part[held]["array"]  # so that paths lead to their arrays
        done = change(header, arrays)
        for part, _ in parts:
            del part["array"]
        return done

    with pytest.raises(ModelError, match=message):
        from_bytes(rebuilt(to_bytes(records), by_table))


@pytest.mark.parametrize("where", [0, 9, 20, 60, 500, -1, -400])
def test_one_byte_changed_is_found(small, where):
    raw = bytearray(to_bytes(small))
    raw[where] ^= 1
    with pytest.raises(ModelError):
        from_bytes(bytes(raw))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_found(small, share):
    raw = to_bytes(small)
    with pytest.raises(ModelError):
        from_bytes(raw[: int(len(raw) * share)])


def test_other_files_are_refused_by_their_first_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("../../escape", b"0" * 10**7)
    np.savez(tmp_path / "numpy", a=np.array([Boom()], dtype=object), allow_pickle=True)
    (tmp_path / "pickle").write_bytes(pickle.dumps(Boom()))
    (tmp_path / "empty").write_bytes(b"")
    for name in ("bomb", "numpy.npz", "pickle", "empty"):
        with pytest.raises(ModelError, match="no model file of dpsynth"):
            load(tmp_path / name)
    assert not (tmp_path / "pwned").exists()


def test_only_a_regular_file_of_a_bounded_size_is_opened(small, tmp_path):
    save(small, tmp_path / "m")
    (tmp_path / "link").symlink_to(tmp_path / "m")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**31 + 1)
    for name, message in (
        ("link", "can be read"), ("pipe", "not a regular file"), ("sparse", "larger than"), ("absent", "can be read"),
        (".", "regular file"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=message):
            load(tmp_path / name)
