"""Whether a column of text is prose: long cells of many words that hardly ever repeat.

Generators of tables model text as categories. Of prose nothing would be left but `other`, while its cells may say
anything about anybody, so such a column is refused with a pointer to what fits. Three figures decide, all at once: half
of the cells have at least five words, half at least thirty characters, and at least half of the cells are different.
Codes, identifiers and names have fewer words; answers from a list repeat. All three are counts, so that an engine says
the same.

>>> notes = [f"seen on day {i}, no complaints, next visit in {i} weeks" for i in range(200)]
>>> is_free_text(pa.chunked_array([notes])), is_free_text(pa.chunked_array([["strongly disagree"] * 200]))
(True, False)

Reads exact private data, for the operator only: see `dpsynth.data.facts`. Not guaranteed: that shorter text is
harmless.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import values_of
from dpsynth.data.patterns import WORDY

LONG = 30
"""Characters of a long cell."""


def is_free_text(column: pa.ChunkedArray) -> bool:
    """Whether the present cells of a string column look like prose (private)."""
    present = column.drop_null()
    if not _half(values_of(pc.utf8_length(present)) >= LONG):
        return False
    if not _half(values_of(pc.match_substring_regex(present, WORDY))):
        return False
    return 2 * int(pc.count_distinct(present).as_py()) >= len(present)


def _half(holds: NDArray[np.bool_]) -> bool:
    return len(holds) > 0 and 2 * int(holds.sum()) >= len(holds)
