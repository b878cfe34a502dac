"""Gaussian noise for sums of gradients: float64 normals from cryptographic words, never from a framework's generator.

Words come from an AES-256 keystream in counter mode under a key that the operating system draws for this object in
this process (a seeded source gives its own words, and its runs are marked). Two words make two normals (Box and
Muller 1958): the radius from 53 bits of one, never zero, the angle from 53 bits of the other. Sums are formed in
float64 before the result is rounded to a network's float32.

>>> from dpsynth.core.noise import SystemNoise
>>> GaussianNoise(SystemNoise()).normals(3).dtype
dtype('float64')

Not guaranteed: exactness. Real-valued noise in floating point is not the Gaussian of the proofs: its low bits depend on
the value it is added to (Mironov 2012), and it ends at 8.6 standard deviations. Counts take the discrete Gaussian
instead; a sum of float32 gradients has no integer grid to put it on. The ledger says `gaussian`, not
`discrete_gaussian`, and this is the caveat.
"""

from __future__ import annotations

import os
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.noise import NoiseSource

BITS = 53


@final
class GaussianNoise:
    """A stream of independent standard normals.

    Args:
        noise: says whether the stream is seeded; its words are the stream's then.
    """

    def __init__(self, noise: NoiseSource) -> None:
        self._noise = noise
        self._stream: Any = None
        self._process = 0

    def normals(self, n: int) -> NDArray[np.float64]:
        """`n` independent standard normals, float64, shape (n,)."""
        pairs = (n + 1) // 2
        words = self._words(2 * pairs)
        uniform = ((words >> np.uint64(64 - BITS)).astype(np.float64) + 1.0) * 2.0**-BITS  # in (0, 1]
        radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
        angle = (2.0 * np.pi) * uniform[pairs:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n]

    def _words(self, n: int) -> NDArray[np.uint64]:
        if self._noise.kind != "exact":
            return self._noise.uint64(n)
        if self._process != os.getpid():  # a forked child would repeat its parent's noise
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

            cipher = Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(os.urandom(16)))
            self._stream, self._process = cipher.encryptor(), os.getpid()
        return np.frombuffer(self._stream.update(bytes(8 * n)), dtype=np.uint64)
