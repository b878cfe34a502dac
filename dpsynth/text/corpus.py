"""Private texts as writers read them: text, topic, whose it is, and a keyed hash that assigns it to a bin.

The hash of a unit depends on that unit's own content and the key alone: for records on the whole row, for people on the
unit's cell. So `hash mod bins` moves nobody else when a unit comes or goes, whatever the order of the file.

>>> table = Table.from_arrow(pa.table({"note": ["late fee", None, "late fee"], "who": ["a", "b", "a"]}))
>>> corpus = Corpus.of(table, "note", unit="who", key=bytes(32))
>>> corpus
Corpus(texts are private)
>>> corpus.texts, corpus.units.tolist(), bool(corpus.hashes[0] == corpus.hashes[1])
(('late fee', '', 'late fee'), [0, 1, 0], False)

Not guaranteed: privacy. Everything here is exact and private; only mechanisms turn it into something to release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import values_of
from dpsynth.data.bounding import row_hashes
from dpsynth.data.table import Table


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Corpus:
    """Private texts.

    Attributes:
        texts: one a row; a missing cell is an empty text.
        topics: index of each text's topic, int64, shape (texts,).
        units: number of each text's unit, 0 … m-1, int64, shape (texts,); None if every text is a unit.
        hashes: keyed hash of each unit, uint64, shape (units,).
    """

    texts: tuple[str, ...]
    topics: NDArray[np.int64]
    units: NDArray[np.int64] | None
    hashes: NDArray[np.uint64]

    @classmethod
    def of(
        cls,
        table: Table,
        text: str,
        *,
        unit: str | None,
        key: bytes,
        topics: NDArray[np.int64] | None = None,
    ) -> Self:
        """The texts of one column.

        Args:
            table: private rows.
            text: name of a column of strings.
            unit: the column that names each row's unit; a row whose cell is null is a unit of its own.
            key: 16 to 64 secret bytes that do not depend on the data.
            topics: index of each row's topic; 0 for all if left out.
        """
        texts = tuple("" if cell is None else cell for cell in table.column(text).to_pylist())
        topic = np.zeros(len(texts), dtype=np.int64) if topics is None else topics
        rows = row_hashes(table.to_arrow(), key)
        if unit is None:
            return cls(texts=texts, topics=topic, units=None, hashes=rows)
        _, numbers = table.codes({}, unit)
        units = np.zeros(len(texts), dtype=np.int64) if numbers is None else numbers
        cells = table.column(unit)
        whole = row_hashes(pa.table({unit: cells}), key)
        own = np.where(values_of(cells.is_null().combine_chunks()).astype(bool), rows, whole)
        hashes = np.zeros(int(units.max()) + 1 if len(units) else 0, dtype=np.uint64)
        hashes[units] = own
        return cls(texts=texts, topics=topic, units=units, hashes=hashes)

    def __repr__(self) -> str:
        return "Corpus(texts are private)"

    def __len__(self) -> int:
        raise TypeError("a Corpus' length is private; a released total stands in `Released`")
