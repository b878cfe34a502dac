"""Where randomness for privacy comes from.

Mechanisms draw uniform 64-bit words from a `NoiseSource` and nothing else. `SystemNoise` reads the operating
system's generator, has no seed and leaves nothing to replay. A seed makes noise removable: whoever knows it can
subtract the noise. `unsafe_SeededNoise` therefore exists for tests and for data that is public anyway; it says
`kind == "seeded"`, which events carry into the ledger and the default policy refuses.

>>> unsafe_SeededNoise(1).uint64(2).dtype
dtype('uint64')
"""

from __future__ import annotations

import os
import warnings
from typing import Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray


class NoiseSource(Protocol):
    """Independent uniform bits."""

    @property
    def kind(self) -> Literal["exact", "seeded"]:
        """What events say about this source."""

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """`n` independent uniform words, shape (n,), dtype uint64."""


@final
class SystemNoise:
    """Uniform bits from the operating system's generator (`os.urandom`)."""

    kind: Literal["exact", "seeded"] = "exact"

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """`n` independent uniform words, shape (n,), dtype uint64."""
        return np.frombuffer(os.urandom(8 * n), dtype=np.uint64)


@final
class unsafe_SeededNoise:  # noqa: N801 - the lower-case prefix is the warning
    """Reproducible bits for tests and public data; never for a release of private data."""

    kind: Literal["exact", "seeded"] = "seeded"

    def __init__(self, seed: int) -> None:
        warnings.warn("seeded noise can be subtracted by whoever knows the seed", stacklevel=2)
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """`n` words of the seeded stream, shape (n,), dtype uint64."""
        return self._rng.integers(0, 2**64, size=n, dtype=np.uint64)
