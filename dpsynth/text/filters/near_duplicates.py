"""Texts that repeat none before them, by MinHash over pairs of neighbouring words.

>>> NearDuplicates().keep(["the fee was late", "The fee, was late!", "nobody called"], ["nobody called me"]).tolist()
[True, False, True]

Texts are taken in order; one goes if it has the words of an earlier one, or if the estimated Jaccard similarity of its
set of word pairs with an earlier one reaches `threshold`. Earlier are those kept in rounds before and those just kept.
Texts meet in 32 bands of four hashes (Broder 1997; `attacks.text.minhash`), and a band compares with the first 16 texts
in it, so time is linear in the texts. A pair as alike as 0.7 meets with probability 0.9998, one of 0.5 with 0.87.

Only written texts are compared with each other. Comparison with training texts is what the attacks do, behind the gate.

Not guaranteed: that paraphrases go; they share few pairs of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from attacks.text.minhash import BANDS, MOST_CANDIDATES, ROWS
from attacks.text.tokens import encode
from dpsynth.core.errors import ParameterError

_BAND_BYTES = ROWS * 4
_LEAST = 0.5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """See the module.

    Args:
        threshold: similarity from which a text goes, 0.5 to 1; below one half banding misses too much.
    """

    threshold: float = 0.7

    def __post_init__(self) -> None:
        if not _LEAST <= self.threshold <= 1.0:
            raise ParameterError(f"Expected threshold={self.threshold} in [0.5, 1].", "Choose 0.7, for instance.")

    @property
    def name(self) -> str:
        """For the card."""
        return "near-duplicates"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each text repeats none of `earlier` and none kept before it."""
        encoded = encode([*earlier, *texts])
        signatures, wordless = np.ascontiguousarray(encoded.signatures), encoded.lengths == 0
        rows = signatures.astype("<u4").tobytes()
        bands: list[dict[bytes, list[int]]] = [{} for _ in range(BANDS)]
        exact: set[int | str] = set()
        kept = np.ones(len(texts), dtype=np.bool_)
        size, first = BANDS * _BAND_BYTES, len(earlier)
        ids = encoded.ids.tolist()
        for at in range(first + len(texts)):
            same: int | str = (earlier[at] if at < first else texts[at - first]).strip() if wordless[at] else ids[at]
            keys = [rows[low : low + _BAND_BYTES] for low in range(at * size, (at + 1) * size, _BAND_BYTES)]
            if at >= first and (same in exact or (not wordless[at] and self._met(at, keys, bands, signatures))):
                kept[at - first] = False
                continue
            exact.add(same)
            if wordless[at]:
                continue
            for band, key in zip(bands, keys, strict=True):
                there = band.setdefault(key, [])
                if len(there) < MOST_CANDIDATES:
                    there.append(at)
        return kept

    def describe(self) -> dict[str, Any]:
        """The threshold, and what it is a threshold of."""
        return {"threshold": self.threshold, "similarity": "Jaccard of word pairs, MinHash of 128"}

    def _met(
        self, at: int, keys: list[bytes], bands: list[dict[bytes, list[int]]], signatures: NDArray[np.uint32]
    ) -> bool:
        """Whether a text that shares a band is too much alike."""
        found = {other for band, key in zip(bands, keys, strict=True) for other in band.get(key, ())}
        if not found:
            return False
        alike = (signatures[sorted(found)] == signatures[at]).mean(axis=1)
        return bool((alike >= self.threshold).any())
