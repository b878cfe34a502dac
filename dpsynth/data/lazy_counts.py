"""Counts of single columns, asked for together, and not before one of them is needed.

A run that goes on has released the counts of its first columns already. So nothing is asked until a column comes whose
counts are needed; then that column and all after it are asked for in one go, and an engine reads its rows once.

>>> import pyarrow as pa
>>> from dpsynth.data.table import Table
>>> counts = LazyCounts(Table.from_arrow(pa.table({"a": [1, 1], "b": ["x", "y"]})), {"a": (None,), "b": (None,)})
>>> counts.of("b")[0].counts.tolist()
[1, 1]

Not guaranteed: privacy; every figure is exact and private, as with `Table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from dpsynth.data.table import Codec, CountTable, ValueCounts


@final
class LazyCounts:
    """What a table answers about its columns, one after the other.

    Args:
        table: the private rows.
        asked: column -> codecs to count it by, None for the values themselves; in the order of use.
    """

    def __init__(self, table: CountTable, asked: Mapping[str, Sequence[Codec | None]]) -> None:
        self._table, self._asked = table, asked
        self._answers: dict[str, list[ValueCounts]] | None = None

    def __repr__(self) -> str:
        return f"LazyCounts({len(self._asked)} columns; counts are private)"

    def of(self, column: str) -> list[ValueCounts]:
        """The answers about a column, one for each codec; columns before the first that is needed are never asked."""
        if self._answers is None:
            names = list(self._asked)
            rest = names[names.index(column) :]
            answers = iter(self._table.value_counts_of([(name, codec) for name in rest for codec in self._asked[name]]))
            self._answers = {name: [next(answers) for _ in self._asked[name]] for name in rest}
        return self._answers[column]
