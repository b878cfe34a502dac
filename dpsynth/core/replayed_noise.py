"""Words that the same process, or a later one, can draw again: an AES-256 keystream under a key of the system's own.

A run that can be interrupted measures before it trains. When it goes on, the same measurements are made on the same
rows with the same words, and come out the same: one release, not two. The key is secret until the run is committed and
is destroyed then (`dpsynth.workspace.interrupted`), so that afterwards nobody can subtract the noise.

>>> key = bytes(32)
>>> bool((ReplayedNoise(key).uint64(3) == ReplayedNoise(key).uint64(3)).all())
True

Not guaranteed: anything if other rows are measured with the same key, or if the key is kept; who makes one sees to it.
"""

from __future__ import annotations

from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError


@final
class ReplayedNoise:
    """A `NoiseSource` that starts anew with each object.

    Args:
        key: 32 bytes from the operating system.
    """

    kind: Literal["exact", "seeded"] = "exact"

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(key) != 32:
            raise ParameterError("Expected a key of 32 bytes.")
        self._stream: Any = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()

    def __repr__(self) -> str:
        return "ReplayedNoise()"

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """The stream's next `n` words, shape (n,), dtype uint64."""
        return np.frombuffer(self._stream.update(bytes(8 * n)), dtype=np.uint64)
