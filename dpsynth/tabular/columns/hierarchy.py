"""Rare hierarchical codes share a model code with their siblings, before they share one with everything else.

Codes below the noise are merged with the others of their longest prefix, if together they stand out of the pooled
noise; what is left is tried at the next shorter prefix, and the rest becomes one code as for any other categories. So
a rare diagnosis is modelled as its chapter, not as "some rare diagnosis". Post-processing of released counts.

>>> counts = np.array([900.0, 30, 25, 28, 5])
>>> merge_rare_codes(counts, np.full(5, 400.0), ("401", "250.1", "250.2", "250.3", "V1"), (3,), most=128).tolist()
[0, 1, 1, 1, 2]

Not guaranteed: the best merging; prefixes are taken greedily by their counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpsynth.schema.domain import CategoryDomain

FLOOR = 2.0
"""Sigmas of the pooled noise that a code has to reach."""


def prefix_texts(domain: CategoryDomain) -> tuple[str, ...]:
    """What stands for each outcome in its hierarchy: values and released prefixes as they are, `other` as nothing."""
    return (*(str(value) for value in domain.values), *domain.groups, *("",) * domain.other)


def merge_rare_codes(
    noisy: NDArray[np.float64],
    variance: NDArray[np.float64],
    texts: tuple[str, ...],
    lengths: tuple[int, ...],
    *,
    most: int,
) -> NDArray[np.int64]:
    """Model code of each outcome, 0 .. codes - 1, shape (outcomes,).

    Args:
        noisy: released rows of each outcome.
        variance: of their noise.
        texts: as `prefix_texts` gives them.
        lengths: prefix lengths, ascending.
        most: largest number of codes, one of which is for what is left.
    """
    keep = noisy >= FLOOR * np.sqrt(variance)
    keep[np.argsort(-noisy, kind="stable")[most - 1 :]] = False
    code_of = np.where(keep, np.cumsum(keep) - 1, -1)
    used = int(keep.sum())
    for length in reversed(lengths):
        members: dict[str, list[int]] = {}
        for at in np.flatnonzero(code_of < 0).tolist():
            if len(texts[at]) >= length:
                members.setdefault(texts[at][:length], []).append(at)
        rows = {prefix: float(noisy[held].sum()) for prefix, held in members.items()}
        for prefix in sorted(members, key=lambda prefix: (-rows[prefix], prefix)):
            held = members[prefix]
            if used < most - 1 and len(held) > 1 and rows[prefix] >= FLOOR * float(np.sqrt(variance[held].sum())):
                code_of[held] = used
                used += 1
    code_of[code_of < 0] = used
    return code_of
