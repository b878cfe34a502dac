"""Between Arrow and numpy through the buffers themselves.

`pyarrow.array`, `pyarrow.scalar` and `to_numpy` import pandas when it is installed, to look for its types: 0.3 s and
60 MiB that synthesis has no use for. These functions do the same for a table's six types by handing over buffers.

>>> values_of(array_of(np.array([1, 2, 3]), pa.int64(), missing=np.array([False, True, False]))).tolist()
[1, 0, 3]

Not guaranteed: other types than int8 … int64, float64, bool, date32, timestamp[us] and (into Arrow only) string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Column: TypeAlias = pa.Array | pa.ChunkedArray


def values_of(column: Column) -> NDArray[Any]:
    """The values as a new numpy array, 0 where missing: bool, integers, floats; days and microseconds as integers."""
    return _joined(column, _values, np.int64)


def missing_of(column: Column) -> NDArray[np.bool_]:
    """Which cells are null, shape (rows,)."""
    return _joined(column, lambda chunk: ~_bits(chunk, 0), np.bool_)


def array_of(values: NDArray[Any], kind: pa.DataType, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array of a type of fixed width (or bool) from numpy values; null where `missing`."""
    length = len(values)
    if pa.types.is_boolean(kind):
        data = np.packbits(np.asarray(values, dtype=bool), bitorder="little")
    else:
        data = np.ascontiguousarray(values, dtype=_numpy_type(kind))
    valid = None
    if missing is not None and missing.any():
        valid = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, length, [valid, pa.py_buffer(data.tobytes())])


def text_of(texts: Sequence[str]) -> pa.Array:
    """An Arrow array of strings."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(encoded))]
    )


def literals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Python values as an Arrow array: strings, or numbers of a fixed width."""
    return text_of(values) if pa.types.is_string(kind) else array_of(np.array(values, _numpy_type(kind)), kind)


def literal(value: Any, kind: pa.DataType) -> pa.Scalar:
    """One Arrow scalar; None is null."""
    return pa.nulls(1, kind)[0] if value is None else literals([value], kind)[0]


def _joined(column: Column, part: Any, empty: type) -> NDArray[Any]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [part(chunk) for chunk in chunks if len(chunk)]
    if not parts:
        return np.zeros(0, dtype=empty)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _values(chunk: pa.Array) -> NDArray[Any]:
    if pa.types.is_boolean(chunk.type):
        values: NDArray[Any] = _bits(chunk, 1)
    else:
        dtype = _numpy_type(chunk.type)
        stored = np.frombuffer(chunk.buffers()[1], dtype=dtype, count=chunk.offset + len(chunk))
        values = stored[chunk.offset :].copy()
    if chunk.null_count:
        values[~_bits(chunk, 0)] = 0
    return values


def _bits(chunk: pa.Array, number: int) -> NDArray[np.bool_]:
    """The validity (0) or boolean (1) bitmap of a chunk as booleans."""
    bitmap = chunk.buffers()[number]
    if bitmap is None:
        return np.ones(len(chunk), dtype=bool)
    packed = np.frombuffer(bitmap, dtype=np.uint8)
    return np.unpackbits(packed, bitorder="little", count=chunk.offset + len(chunk))[chunk.offset :].astype(bool)


def _numpy_type(kind: pa.DataType) -> np.dtype[Any]:
    if pa.types.is_date32(kind):
        return np.dtype(np.int32)
    if pa.types.is_timestamp(kind):
        return np.dtype(np.int64)
    return np.dtype(str(kind).replace("double", "float64"))
