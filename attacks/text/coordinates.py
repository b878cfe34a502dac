"""A text as a few numbers, so that attacks on tables can look at a row and its text together.

Each coordinate is a sum of random signs over the words of a text, one sign a word and coordinate, divided by the root
of their number: a random projection of its word counts (Achlioptas 2003; hashed as by Weinberger et al. 2009). Signs
are bits of the words' hashes, so nothing is fitted: the coordinates know neither members nor a release. Equal texts
have equal coordinates, and texts that share many words near ones.

>>> points = coordinates(["a late fee", "late fee", "my dog"])
>>> points.shape, bool(abs(points[0] - points[1]).sum() < abs(points[0] - points[2]).sum())
((3, 10), True)

Not guaranteed: the order of words, and texts of a few words, which share coordinates by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attacks.text.tokens import encode

DIMENSIONS = 10
"""With two columns beside the text these are enough for `subspace`, which needs twelve."""
DECIMALS = 4


def coordinates(texts: Sequence[str], *, dimensions: int = DIMENSIONS) -> NDArray[np.float64]:
    """Coordinates of texts.

    Args:
        texts: any.
        dimensions: at most 64.

    Returns:
        float64, shape (texts, dimensions), rounded to `DECIMALS`; zeros for a text without a word.
    """
    encoded = encode(texts)
    bits = (encoded.words[:, None] >> np.arange(dimensions, dtype=np.uint64)) & np.uint64(1)
    signs = 2.0 * bits.astype(np.float64) - 1.0
    sums = np.zeros((len(encoded), dimensions))
    np.add.at(sums, np.repeat(np.arange(len(encoded)), encoded.lengths), signs)
    root = np.sqrt(np.maximum(encoded.lengths, 1))
    return np.round(sums / root[:, None], DECIMALS)
