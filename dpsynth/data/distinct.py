"""The distinct texts of a column, with how often and where each occurs.

Type inference asks many questions of a column ("does every cell match this pattern?"); each is answered on
distinct values, so a column of a million cells and forty categories costs forty.

>>> cells = Distinct.of("x", pa.chunked_array([["a", "b", "a", ""]]))
>>> cells.count(cells.matches("^a$"))
2

Not guaranteed: speed for a column whose cells all differ; then it costs as much as the cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import array_of, text_of, values_of
from dpsynth.data.warning import shown

INTEGER = "^(?:0|-?[1-9][0-9]*)$"
FLOAT = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
DECIMAL_COMMA = r"^-?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]+$"
Mask = NDArray[np.bool_]


def no_lines(row: int) -> None:
    """The line of a row of a table that was no text file."""
    del row


def beyond_64_bits(name: str) -> DataError:
    """The refusal of a column of digits."""
    return DataError(
        f"Column {shown(name)} holds integers beyond 64 bits; they would wrap around.",
        "Declare it categorical in the schema if it is a code, or float if it may be rounded.",
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Distinct:
    """Distinct texts of one column.

    Attributes:
        name: the column's.
        values: distinct texts.
        codes: position in `values` of each cell, shape (rows,).
        times: how often each distinct text occurs.
        present: which distinct texts are not missing.
        line_of: row -> line in the file, or None.
    """

    name: str
    values: pa.StringArray
    codes: NDArray[np.int32]
    times: NDArray[np.int64]
    present: Mask
    line_of: Callable[[int], int | None]

    @classmethod
    def of(
        cls,
        name: str,
        texts: pa.ChunkedArray,
        missing: Collection[str] = (),
        line_of: Callable[[int], int | None] = no_lines,
    ) -> Self:
        """Encode a column; null, "" and the words `missing` are missing."""
        whole = pc.fill_null(texts, text_of([""])[0]).combine_chunks()
        encoded = (whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)).dictionary_encode()
        codes = values_of(encoded.indices)
        absent = pc.is_in(encoded.dictionary, value_set=text_of(["", *missing]))
        return cls(
            name=name,
            values=encoded.dictionary,
            codes=codes,
            times=np.bincount(codes, minlength=len(encoded.dictionary)).astype(np.int64),
            present=~values_of(absent),
            line_of=line_of,
        )

    def matches(self, pattern: str) -> Mask:
        """Which present texts match a pattern (RE2)."""
        found = pc.match_substring_regex(self.values, pattern)
        return values_of(found) & self.present

    def among(self, words: Collection[str]) -> Mask:
        """Which present texts are one of these words, case and blanks around aside."""
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(self.values))
        found = pc.is_in(plain, value_set=text_of(sorted(words)))
        return values_of(found) & self.present

    def all(self, mask: Mask) -> bool:
        """Whether every present text is in the mask, and there is one."""
        return bool(self.present.any()) and not bool((self.present & ~mask).any())

    def any(self, mask: Mask) -> bool:
        """Whether a present text is in the mask."""
        return bool((self.present & mask).any())

    def count(self, mask: Mask) -> int:
        """How many cells hold a present text of the mask."""
        return int(self.times[self.present & mask].sum())

    def first_line(self, mask: Mask) -> str:
        """`, the first on line N`, or nothing where there are no lines."""
        rows = np.flatnonzero((self.present & mask)[self.codes])
        line = self.line_of(int(rows[0])) if len(rows) else None
        return "" if line is None else f", the first on line {line}"

    def shown_values(self, limit: int) -> list[str]:
        """Present texts, at most `limit`: for comparison with known words, never for a message."""
        return [str(v) for v in self.values.filter(array_of(self.present, pa.bool_())).slice(0, limit).to_pylist()]

    def spread(self, values: pa.Array) -> pa.ChunkedArray:
        """Cells from one value for each distinct text; missing cells null."""
        held = pc.if_else(array_of(self.present, pa.bool_()), values, pa.nulls(1, values.type)[0])
        return pa.chunked_array([held.take(array_of(self.codes, pa.int32()))], values.type)

    def texts(self) -> pa.ChunkedArray:
        """Cells as text."""
        return self.spread(self.values)

    def integers(self) -> pa.ChunkedArray:
        """Cells as int64; raises `DataError` beyond 64 bits. Every present text is an integer."""
        held = pc.if_else(array_of(self.present, pa.bool_()), self.values, text_of(["0"])[0])
        try:
            return self.spread(held.cast(pa.int64()))
        except pa.ArrowInvalid:
            raise beyond_64_bits(self.name) from None

    def floats(self) -> pa.ChunkedArray:
        """Cells as float64. Every present text is a number."""
        return self.spread(self._as_floats(~self.present))

    def overflowed(self) -> Mask:
        """Which texts are numbers in form, but too large for a float."""
        number = self.matches(FLOAT)
        infinite: Mask = np.isinf(values_of(self._as_floats(~number)))
        return number & infinite

    def rewritten(self, pattern: str, by: str) -> Distinct:
        """The same cells with matches of a pattern replaced."""
        return replace(self, values=pc.replace_substring_regex(self.values, pattern, by))

    def _as_floats(self, skip: Mask) -> pa.Array:
        return pc.if_else(array_of(skip, pa.bool_()), text_of(["0"])[0], self.values).cast(pa.float64())
