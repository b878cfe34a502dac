"""Train, holdout and later rows, decided by secret coins and a public date before anything is looked at.

Each row (with a unit column: each unit) goes to the holdout by an independent coin that depends on a secret key and
on the row's position (the unit's identifier) alone. The guarantee for the training part is one for the whole table.
Give each record (each unit) of the larger of two neighbours its coin, and the same coin to it in the smaller: both
splits have the law that they should, and for any such coins the training parts are neighbours or equal. Divergences
are convex, so the mixture over coins is no worse, and no worse over several runs that share one split. That needs
coins nobody knows: positions behind a removed row move up, and the key is one for each content. A split of fixed size
would not do: one more row would move others across.

>>> is_holdout = row_coins(10_000, 0.3, key=bytes(32))
>>> bool(abs(is_holdout.mean() - 0.3) < 0.02)
True

A time column and a cutoff that a person gives (public; never a quantile of the rows) set later rows aside as well.
Whether a row is later depends on its own cell alone, so training loses rows of the same people in both neighbours and
the argument stands. Rows are later whatever their coin. With a unit column the coin is the person's: past rows of those
held out are the holdout, their later rows the later part; later rows of those trained on are in no part, because
nobody may be on both sides of training. Both parts are thus fair samples of their time.

Coins are AES-256-CTR words, a pseudo-random function of the position; for units, keyed BLAKE2b of the identifier.

Not guaranteed: protection from people who know the key and the file; they may know who was in which part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import values_of
from dpsynth.data.table import CountTable, Table

AnyTable = TypeVar("AnyTable", bound=CountTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Generic[AnyTable]):
    """The parts of a private table, in memory or in an engine.

    Attributes:
        train: what generators are fitted to.
        holdout: what no generator sees; attacks and quality compare with it.
        later: rows from the public cutoff on, which no generator sees; quality compares with them once more. None
            without a cutoff.
    """

    train: AnyTable
    holdout: AnyTable
    later: AnyTable | None = None


def split(
    table: Table,
    *,
    holdout_share: float,
    key: bytes,
    unit_column: str | None = None,
    later: NDArray[np.bool_] | None = None,
) -> Split[Table]:
    """Split a table by secret coins, and by time.

    Args:
        table: the private rows.
        holdout_share: probability that a row (unit) is held out, strictly between 0 and 1.
        key: 32 secret bytes, one for each data set, so that every run sees the same split.
        unit_column: if given, no unit has rows in training and elsewhere.
        later: which rows are of the later time, each by its own cells alone; shape (rows,).

    Raises:
        ParameterError: if `holdout_share` is outside (0, 1) or the key is not 32 bytes.
    """
    if unit_column is None:
        held = row_coins(table.unsafe_num_rows, holdout_share, key=key)
    else:
        held = unit_coins(table.column(unit_column), holdout_share, key=key)
    if later is None:
        return Split(train=table.take(np.flatnonzero(~held)), holdout=table.take(np.flatnonzero(held)))
    aside = later if unit_column is None else later & held
    parts = (~held & ~later, held & ~later, aside)
    train, holdout, after = (table.take(np.flatnonzero(part)) for part in parts)
    return Split(train=train, holdout=holdout, later=after)


def row_coins(rows: int, share: float, *, key: bytes) -> NDArray[np.bool_]:
    """One coin for each position; True with probability `share`; shape (rows,)."""
    stream = Cipher(algorithms.AES(_checked(key, share)), modes.CTR(bytes(16))).encryptor().update(bytes(8 * rows))
    return np.frombuffer(stream, dtype="<u8") < _threshold(share)


def unit_coins(units: pa.ChunkedArray, share: float, *, key: bytes) -> NDArray[np.bool_]:
    """The coin of each row's unit; shape (rows,)."""
    _checked(key, share)
    encoded = units.combine_chunks().dictionary_encode()
    coins = np.fromiter(
        (
            int.from_bytes(hashlib.blake2b(str(name).encode(), key=key, digest_size=8).digest(), "little")
            for name in encoded.dictionary.to_pylist()
        ),
        dtype=np.uint64,
        count=len(encoded.dictionary),
    )
    held: NDArray[np.bool_] = coins < _threshold(share)
    rows: NDArray[np.bool_] = held[values_of(encoded.indices)]
    return rows


def _threshold(share: float) -> np.uint64:
    return np.uint64(int(share * 2**53) << 11)


def _checked(key: bytes, share: float) -> bytes:
    if not 0.0 < share < 1.0:
        raise ParameterError(f"Expected holdout_share={share} strictly between 0 and 1.", "Use 0.3, for example.")
    if len(key) != 32:
        raise ParameterError("The split's key is not 32 bytes.", "Derive it from the vault.")
    return key
