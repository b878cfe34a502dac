"""One file for a fitted model: a header of JSON and raw arrays behind it. No pickle, no archive, no code.

    bytes 0-7     "dpsmodel"
    bytes 8-15    length of the header, little-endian
    bytes 16-47   SHA-256 of the header
    header        JSON: schema, guarantee, schema digest, arrays (type and shape each), SHA-256 of the arrays, the model
    arrays        their bytes one after the other, C order, little-endian

Not an .npz: that is a zip, which can unfold to any size, and holds a name for every member. Here each byte in memory is
a byte of the file, the sum of the arrays' sizes must be what is left of it, and their types are a closed set. Digests
find damage, not malice: a file is believed because everything in it is checked (`model_codec`, `model_checks`), and its
guarantee because the events in it are priced again.

A model holds released numbers only, so a file of it is post-processing. It is as revealing as a large sample of rows:
whoever has the file can draw as many. Keep it where you would keep the rows; a workspace seals it.

Not guaranteed: that the events are those that were spent. Only a ledger can say that; a signed bundle carries one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.errors import AccountingError
from accounting.guarantee import Guarantee
from dpsynth.core.errors import ModelError
from dpsynth.tabular.saved.model_codec import decode, encode, kind_of

if TYPE_CHECKING:
    from dpsynth.tabular.protocol import Model

SCHEMA = "dpsynth.model/1"
MAGIC = b"dpsmodel"
MODELS = ("column_model", "forest_model", "latent_model", "people_model", "record_model")
MAX_BYTES = 2**31
MAX_HEADER = 2**28
MAX_ARRAYS = 200_000
MAX_DIMENSIONS = 3
PRICE_TOLERANCE = Decimal("1e-4")
"""Relative difference that rounding may make between the stated epsilon and the one computed now."""
TYPES = {kind: np.dtype(kind) for kind in ("|b1", "|u1", "<i2", "<i4", "<i8", "<f4", "<f8")}
_START = len(MAGIC) + 8 + 32
_HEADER = {"arrays", "data", "guarantee", "model", "schema", "schema_digest"}
_REMEDY = "Fetch it again from where it was made, or save the model anew with this version."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """A model, what it guarantees, and the schema that it was fitted under.

    Attributes:
        model: samples rows; released facts only.
        guarantee: the price of `model.events`, in its relation and unit. Sampling adds nothing to it.
        schema_digest: digest of the schema (`Schema.digest`), 64 hexadecimal digits.
    """

    model: Model
    guarantee: Guarantee
    schema_digest: str


def can_be_saved(model: Model) -> bool:
    """Whether a file can hold the model: those of our own generators; a third party's need not be."""
    return type(model) in [kind_of(name) for name in MODELS]


def save(saved: SavedModel, path: str | Path) -> None:
    """Write a model so that a crash leaves the old file or the new one.

    Raises:
        ModelError: the path is a link, or the model is of a class that no file may hold.
    """
    target = Path(path)
    if target.is_symlink():
        raise ModelError(f"'{target.name}' is a link; a model is never written through one.", "Choose another name.")
    scratch = target.with_name(f".{target.name}.part")
    try:
        scratch.write_bytes(to_bytes(saved))
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def load(path: str | Path) -> SavedModel:
    """Read and check a model file.

    Raises:
        ModelError: it cannot be read, is damaged or hostile, or its events do not give the guarantee it states.
    """
    return from_bytes(_read(Path(path)))


def to_bytes(saved: SavedModel) -> bytes:
    """The file's content; equal for equal models."""
    arrays: list[NDArray[Any]] = []
    tree = encode(saved.model, arrays)
    stored = [np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")) for array in arrays]
    unknown = [array.dtype.str for array in stored if array.dtype.str not in TYPES]
    if unknown:
        raise ModelError(f"An array of type {unknown[0]} cannot be written into a model file.", "Report this.")
    data = b"".join(array.tobytes() for array in stored)
    header = json.dumps(
        {
            "schema": SCHEMA,
            "guarantee": saved.guarantee.to_json(),
            "schema_digest": saved.schema_digest,
            "arrays": [[array.dtype.str, list(array.shape)] for array in stored],
            "data": hashlib.sha256(data).hexdigest(),
            "model": tree,
        },
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()
    if len(header) > MAX_HEADER or len(header) + len(data) > MAX_BYTES - _START:
        raise ModelError("The model is larger than a model file may be (2 GiB).", "Fit with fewer codes or columns.")
    return MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header + data


def from_bytes(raw: bytes) -> SavedModel:
    """Check everything, then the price, then hand the model out.

    Raises:
        ModelError: see `load`.
    """
    from dpsynth.tabular.saved.model_checks import check_model

    header, data = _split(raw)
    digest = header["schema_digest"]
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise _refused("its schema digest is malformed")
    tree = header["model"]
    kind = tree.get("kind") if isinstance(tree, dict) else None
    if kind not in MODELS:
        raise _refused("it holds no model that this version knows")
    model: Model = decode(tree, kind_of(kind), _arrays(header["arrays"], data))
    check_model(model)
    return SavedModel(model=model, guarantee=_guarantee(header["guarantee"], model), schema_digest=digest)


def _split(raw: bytes) -> tuple[dict[str, Any], memoryview]:
    """The parsed header and the arrays' bytes, neither altered since they were written."""
    if raw[: len(MAGIC)] != MAGIC or len(raw) < _START:
        raise _refused("it is no model file of dpsynth")
    length = int.from_bytes(raw[len(MAGIC) : len(MAGIC) + 8], "little")
    if length > min(MAX_HEADER, len(raw) - _START):
        raise _refused("it is shorter than it says")
    head, data = raw[_START : _START + length], memoryview(raw)[_START + length :]
    if hashlib.sha256(head).digest() != raw[_START - 32 : _START]:
        raise _refused("its header was altered or damaged")
    header = _json(head)
    if header.get("schema") != SCHEMA:
        raise _refused("it is of a version that this dpsynth does not know")
    if set(header) != _HEADER:
        raise _refused("its header has unknown fields, or too few")
    if hashlib.sha256(data).hexdigest() != header["data"]:
        raise _refused("its arrays were altered or damaged")
    return header, data


def _json(head: bytes) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise _refused("a key occurs twice in its header")
        return dict(items)

    def real(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise _refused("it holds a number that is not finite")
        return value

    def whole(text: str) -> int:
        if len(text) > 20:
            raise _refused("it holds an integer beyond 64 bits")
        return int(text)

    try:
        found = json.loads(
            head.decode("utf-8"), object_pairs_hook=pairs, parse_constant=real, parse_float=real, parse_int=whole
        )
    except (ValueError, RecursionError):
        raise _refused("its header is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise _refused("its header is not one object")
    return found


def _arrays(described: Any, data: memoryview) -> list[NDArray[Any]]:
    """The arrays, read-only; together they are as long as the data."""
    if not isinstance(described, list) or len(described) > MAX_ARRAYS:
        raise _refused("it holds too many arrays, or no list of them")
    arrays, start = [], 0
    for entry in described:
        kind, shape = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        if not isinstance(kind, str) or kind not in TYPES:
            raise _refused("it holds an array of an unknown type")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
            raise _refused("it holds an array of an impossible shape")
        if any(type(length) is not int or not 0 <= length <= MAX_BYTES for length in shape):
            raise _refused("it holds an array of an impossible shape")
        size = math.prod(shape) * TYPES[kind].itemsize
        if start + size > len(data):
            raise _refused("its arrays are shorter than it says")
        array = np.frombuffer(data[start : start + size], dtype=TYPES[kind]).reshape(shape)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _refused("it holds a number that is not finite")
        if array.dtype.kind == "b" and size and array.view(np.uint8).max() > 1:
            raise _refused("it holds a truth value that is neither true nor false")
        arrays.append(array)
        start += size
    if start != len(data):
        raise _refused("its arrays are longer than it says")
    return arrays


def _guarantee(stated: Any, model: Model) -> Guarantee:
    """The stated guarantee, once the model's events give it."""
    from accounting.crosscheck import price

    try:
        claim = Guarantee.from_json(stated)
        computed = price(model.events, claim.delta)
    except AccountingError as error:
        raise _refused(f"its guarantee cannot be priced ({error.message.rstrip('.')})") from None
    if (claim.relation, claim.unit) != (computed.relation, computed.unit):
        raise _refused("its guarantee is of another relation or unit than its events")
    if abs(claim.epsilon - computed.epsilon) > PRICE_TOLERANCE * max(claim.epsilon, computed.epsilon):
        raise ModelError(
            f"The model states epsilon {claim.epsilon}, but its events cost epsilon {computed.epsilon} at delta "
            f"{claim.delta} ({claim.unit}, {claim.relation.value}).",
            "Do not use it: its guarantee is not the one that it was fitted with.",
        )
    return claim


def _read(path: Path) -> bytes:
    """A regular file's bytes, at most `MAX_BYTES`; links and pipes are refused."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise ModelError(f"There is no model file '{path.name}' that can be read.", "Check the path.") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise ModelError(f"'{path.name}' is not a regular file.", "Give the path of a model file.")
    with os.fdopen(handle, "rb") as file:
        if about.st_size > MAX_BYTES:
            raise ModelError(f"'{path.name}' is larger than a model file may be (2 GiB).", "Give another file.")
        return file.read(MAX_BYTES)


def _refused(why: str) -> ModelError:
    return ModelError(f"The model file cannot be used: {why}.", _REMEDY)
