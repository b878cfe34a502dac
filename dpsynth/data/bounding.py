"""Which rows of a person stay when each may keep at most k.

The bound on contribution is part of the sensitivity, so the choice for one unit must not depend on any
other unit's rows. Here each row gets a keyed 64-bit hash of its content and each unit keeps its k smallest.
Strings are hashed with keyed BLAKE2b (RFC 7693) once for each distinct value; other types are mixed as
64-bit integers with the finaliser of splitmix64 (Steele, Lea and Flood 2014), started from the key.

Equal rows of one unit are interchangeable, so ties change nothing; the order of the file does not matter.

>>> people = pa.table({"who": [1, 1, 1, 2], "x": [5, 6, 7, 8]})
>>> len(keep_at_most(people, "who", 2, b"0123456789abcdef"))
3

Not guaranteed: that the hash is a pseudo-random function for an adversary who chooses numbers; sensitivity
does not need that, only an even choice does.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import missing_of, values_of

KEY_BYTES = range(16, 65)
BLOCK = 1 << 14
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ROUNDS = tuple(
    (np.uint64(shift), np.uint64(factor))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
)
NULL_WORD = np.uint64(0x6E756C6C)


def keep_at_most(table: pa.Table, unit: str, max_records: int, key: bytes) -> NDArray[np.int64]:
    """Positions, ascending, of the at most `max_records` rows that each unit keeps.

    Args:
        table: canonical columns; `unit` has no nulls.
        unit: name of the column of units.
        max_records: k >= 1.
        key: 16 to 64 bytes.
    """
    units = pc.dictionary_encode(table.column(unit)).combine_chunks()
    codes = values_of(units.indices).astype(np.int64)
    priority = row_hashes(table, key)
    order = np.lexsort((priority, codes))
    ordered = codes[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    rank = np.arange(len(ordered)) - np.repeat(first, np.diff(np.r_[first, len(ordered)]))
    return np.sort(order[rank < max_records])


def first_of_each(table: pa.Table, unit: str, order: str, max_records: int, key: bytes) -> NDArray[np.int64]:
    """Positions of the first `max_records` rows of each unit, units together, each unit's rows in their order.

    Rows of one unit at the same place stand by their keyed hash, so the order of the file does not matter. Which rows
    of a unit are kept, and how they stand to each other, depends on that unit's rows and the key alone.

    Args:
        table: canonical columns; neither `unit` nor `order` has nulls.
        unit: name of the column of units.
        order: name of a column of numbers, dates or times.
        max_records: k >= 1.
        key: 16 to 64 bytes.
    """
    codes = values_of(pc.dictionary_encode(table.column(unit)).combine_chunks().indices).astype(np.int64)
    places = values_of(table.column(order))
    sorted_rows = np.lexsort((row_hashes(table, key), places, codes))
    ordered = codes[sorted_rows]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    rank = np.arange(len(ordered)) - np.repeat(first, np.diff(np.r_[first, len(ordered)]))
    kept: NDArray[np.int64] = sorted_rows[rank < max_records]
    return kept


def row_hashes(table: pa.Table, key: bytes) -> NDArray[np.uint64]:
    """A keyed 64-bit hash of each row's content, equal for equal rows; shape (rows,)."""
    if len(key) not in KEY_BYTES:
        raise ParameterError(f"Expected a key of 16 to 64 bytes, not {len(key)}.")
    hashes = np.zeros(table.num_rows, dtype=np.uint64)
    for position, name in enumerate(table.column_names):
        salt = np.uint64(int.from_bytes(hashlib.blake2b(f"{position}".encode(), key=key, digest_size=8).digest()))
        hashes = _mix(hashes ^ _mix(_words(table.column(name), key) ^ salt))
    return hashes


def _words(column: pa.ChunkedArray, key: bytes) -> NDArray[np.uint64]:
    """One 64-bit word for each cell, equal for equal cells."""
    if pa.types.is_string(column.type):
        encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
        digests = b"".join(
            hashlib.blake2b(b"\0" if v is None else b"\1" + v.encode(), key=key, digest_size=8).digest()
            for v in encoded.dictionary.to_pylist()
        )
        words: NDArray[np.uint64] = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
        return words[values_of(encoded.indices).astype(np.intp)]
    values = values_of(column)
    positive_zero = values + 0.0 if values.dtype == np.float64 else values.astype(np.int64)
    return np.where(missing_of(column), NULL_WORD, _mix(positive_zero.view(np.uint64)))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection of 64-bit words. In blocks that stay in a core's cache."""
    out = np.empty_like(words)
    shifted = np.empty(min(BLOCK, len(words)), dtype=np.uint64)
    for start in range(0, len(words), BLOCK):
        z = out[start : start + BLOCK]
        high = shifted[: len(z)]
        np.add(words[start : start + BLOCK], GOLDEN, out=z)
        for shift, factor in ROUNDS:
            np.right_shift(z, shift, out=high)
            np.bitwise_xor(z, high, out=z)
            np.multiply(z, factor, out=z)
    return out
