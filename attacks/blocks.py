"""A block of a release, of which only that is encoded what a question asks for.

A pass that looks for copies needs hashes of cells and no point; one that looks for the nearest row needs the points of
few rows, where categories repeat (`attacks.search`). Points take most of the time and memory of encoding, so a block
makes none before somebody asks, and then those of the columns and rows that are asked about. Hashes and points are
those of `Coding.encode`, to the byte.

>>> real = pd.DataFrame({"age": [20.0, 30.0, 40.0], "city": list("aab")})
>>> coding = Coding.of({"real": real}, scale_on="real")
>>> block, whole = Block(coding, real), coding.encode(real)
>>> bool((block.ids == whole.ids).all()), bool((block.points_of(slice(1), np.arange(2)) == whole.points[:1, :2]).all())
(True, True)

Not guaranteed: speed for who asks for everything; `Coding.encode` is quicker then.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.encoding import Coding, Encoded


class Block:
    """Rows with the columns of a coding; stands in for an `Encoded`.

    Args:
        coding: made with the columns of `frame`.
        frame: the rows.
    """

    def __init__(self, coding: Coding, frame: pd.DataFrame) -> None:
        self._coding = coding
        self._frame = frame
        self._seen: dict[int, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        return "Block()"

    @cached_property
    def cells(self) -> NDArray[np.uint64]:
        """As in `Encoded`."""
        cells = np.empty((len(self), len(self._coding.columns)), dtype=np.uint64, order="F")
        for at, column in enumerate(self._coding.columns):
            cells[:, at] = column.cells(self._values(at))
        return cells

    @cached_property
    def ids(self) -> NDArray[np.uint64]:
        """As in `Encoded`."""
        return np.asarray(self.cells.sum(axis=1, dtype=np.uint64))

    @property
    def codes(self) -> NDArray[np.int32]:
        """Codes of all columns."""
        return np.stack([self.codes_of(at) for at in range(len(self._coding.columns))], axis=1)

    @property
    def points(self) -> NDArray[np.float32]:
        """All dimensions of all rows."""
        return self.points_of(slice(None), np.arange(self._coding.layout.dims[-1].stop))

    def take(self, rows: NDArray[np.intp]) -> Encoded:
        """The given rows, in the given order, with all that an `Encoded` has."""
        return self._coding.encode(self._frame.iloc[rows])

    def ids_without(self, column: int) -> NDArray[np.uint64]:
        """What equal rows have in common if this column does not count."""
        return np.asarray(self.ids - self.cells[:, column])

    def codes_of(self, column: int) -> NDArray[np.int32]:
        """Codes of one column."""
        return self._coding.columns[column].codes(self._values(column))

    def points_of(self, rows: NDArray[np.intp] | slice, dims: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some dimensions of some rows; made anew each time."""
        count = len(self._values(0)[rows])
        found = np.empty((count, len(dims)), dtype=np.float32)
        for at, part in enumerate(self._coding.layout.dims):
            wanted = np.flatnonzero((dims >= part.start) & (dims < part.stop))
            if len(wanted):
                made = self._coding.columns[at].points(self._values(at)[rows])
                found[:, wanted] = made[:, dims[wanted] - part.start]
        return found

    def _values(self, column: int) -> NDArray[Any]:
        if column not in self._seen:
            self._seen[column] = self._coding.columns[column].seen(self._frame.iloc[:, column])
        return self._seen[column]
