"""Whether a column of text is prose: long cells of many words that hardly ever repeat.

Generators of tables model text as categories. Of prose nothing would be left but `other`, while its cells may say
anything about anybody, so such a column is refused with a pointer to what fits. Three figures decide, all at once: half
of the cells have at least five words, half at least thirty characters, and at least half of the cells are different.
Codes, identifiers and names have fewer words; answers from a list repeat.

>>> notes = [f"seen on day {i}, no complaints, next visit in {i} weeks" for i in range(200)]
>>> is_free_text(pa.chunked_array([notes])), is_free_text(pa.chunked_array([["strongly disagree"] * 200]))
(True, False)

Reads exact private data, for the operator only: see `checks`. Not guaranteed: that shorter text is harmless.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MANY_WORDS = 5
LONG = 30
MOSTLY_DIFFERENT = 0.5


def is_free_text(column: pa.ChunkedArray) -> bool:
    """Whether the present cells of a string column look like prose (private)."""
    present = column.drop_null()
    if not len(present) or _median(pc.utf8_length(present)) < LONG:
        return False
    if _median(pc.count_substring_regex(present, r"\S+")) < MANY_WORDS:
        return False
    return int(pc.count_distinct(present).as_py()) >= MOSTLY_DIFFERENT * len(present)


def _median(numbers: pa.ChunkedArray) -> float:
    return float(pc.quantile(numbers, q=0.5)[0].as_py())
