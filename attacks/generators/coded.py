"""Tables of mixed type as small arrays, so that hundreds of releases fit in memory and on disk.

A codebook is made once from the real tables: numbers stay numbers, every other column becomes codes of the values that
were seen. A release is read with it; a value that no real row has is its own code, and a release that lacks a column is
refused.

>>> book = Codebook.of([pd.DataFrame({"age": [20, 30], "city": ["a", None]})])
>>> coded = book.code(pd.DataFrame({"age": [40], "city": ["z"]}))
>>> coded.numbers.tolist(), coded.categories.tolist()
([[40.0]], [[-2]])

Not guaranteed: two unseen values of a category are told apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.encoding import kind_of, numbers_of
from attacks.errors import AttackInputError

MISSING, UNSEEN = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coded:
    """One table: `numbers` float64 (n, c1), missing NaN; `categories` int32 (n, c2), missing -1, unseen -2."""

    numbers: NDArray[np.float64]
    categories: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> Coded:
        """The given rows."""
        return Coded(numbers=self.numbers[rows], categories=self.categories[rows])

    def joined(self, other: Coded) -> Coded:
        """The rows of both, in this order."""
        return Coded(
            numbers=np.concatenate([self.numbers, other.numbers]),
            categories=np.concatenate([self.categories, other.categories]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Codebook:
    """Names of the columns of numbers and of the others, and the values of the latter."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    values: tuple[pd.Index, ...]

    @classmethod
    def of(cls, tables: Sequence[pd.DataFrame]) -> Codebook:
        """The codebook of aligned tables."""
        numeric, categorical, values = [], [], []
        for column in tables[0].columns:
            parts = [table[column] for table in tables]
            kinds = {kind_of(part) for part in parts} - {"missing"}
            if kinds and kinds <= {"number", "boolean", "time"} and kinds != {"boolean"}:
                numeric.append(str(column))
                continue
            categorical.append(str(column))
            seen = pd.concat([_plain(part) for part in parts], ignore_index=True)
            values.append(pd.Index(seen.dropna().unique()))
        return cls(numeric=tuple(numeric), categorical=tuple(categorical), values=tuple(values))

    def digest(self) -> str:
        """SHA-256 of names and values in their order: what was coded by another book is other numbers."""
        said = repr((self.numeric, self.categorical, [list(known) for known in self.values]))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def code(self, table: Any) -> Coded:
        """A table with these columns, in any order; one with a method `to_pandas` is converted.

        Raises:
            AttackInputError: no table, or a column is missing.
        """
        frame = table.to_pandas() if not isinstance(table, pd.DataFrame) and hasattr(table, "to_pandas") else table
        if not isinstance(frame, pd.DataFrame):
            raise AttackInputError(f"The fit returned a {type(frame).__name__}.", "Return a table of synthetic rows.")
        absent = [name for name in (*self.numeric, *self.categorical) if name not in frame.columns]
        if absent:
            raise AttackInputError(
                f"The fit returned a table without the column {absent[0]!r}.", "Return all columns that were fitted."
            )
        rows = len(frame)
        numbers, categories = np.empty((rows, len(self.numeric))), np.empty((rows, len(self.categorical)), np.int32)
        for at, name in enumerate(self.numeric):
            numbers[:, at] = numbers_of(frame[name])
        for at, (name, known) in enumerate(zip(self.categorical, self.values, strict=True)):
            plain = _plain(frame[name])
            found = known.get_indexer(pd.Index(plain))
            categories[:, at] = np.where(found >= 0, found, np.where(plain.isna(), MISSING, UNSEEN))
        return Coded(numbers=numbers, categories=categories)


def _plain(series: pd.Series) -> pd.Series:
    """Values that compare alike whatever the column's storage."""
    return series.astype(object)
