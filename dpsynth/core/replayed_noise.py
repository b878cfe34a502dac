"""Words that the same process, or a later one, can draw again, and what was measured with them.

Words are an AES-256 keystream under a key of the system's own. A run that can be interrupted keeps that key, sealed,
and each measurement as it is made: its value with the noise in it, and between which words it was drawn. A run that
goes on reads what was measured and draws on from there; what had not been measured is measured with the words that were
meant for it. So the release is the one that would have been made without the interruption, to the byte.

Why one event is spent: the event is one draw of the mechanism M on the rows D. Either its value was kept; then it is
read, and reading a released value again is post-processing of it. Or nothing was kept of it; then M is run on the same
D with the same words, which is the same draw. In no case do two values of M exist. Exact counts are never kept. The key
is secret until the run is committed and is destroyed then (`dpsynth.workspace.runs.interrupted`), so that afterwards
nobody can subtract the noise.

>>> key = bytes(32)
>>> bool((ReplayedNoise(key).uint64(3) == ReplayedNoise(key).uint64(3)).all())
True

Not guaranteed: anything if other rows are measured with the same key, or if the key is kept; who makes one sees to it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError, SealError

BLOCK = 16
"""Bytes of AES."""


class Kept(Protocol):
    """Where one run's measurements are kept, sealed and keyed to its reservation."""

    def read(self) -> Iterable[bytes]:
        """All records, oldest first."""

    def append(self, record: bytes) -> None:
        """Keep one more; it is there when this returns."""


@final
class ReplayedNoise:
    """A `NoiseSource` that starts anew with each object.

    Args:
        key: 32 bytes from the operating system.
        kept: measurements that were made with these words before, and that will be made now; None to keep none.
    """

    kind: Literal["exact", "seeded"] = "exact"

    def __init__(self, key: bytes, kept: Kept | None = None) -> None:
        if len(key) != 32:
            raise ParameterError("Expected a key of 32 bytes.")
        self._key, self._kept = key, kept
        self._known = deque(() if kept is None else kept.read())
        self._go_to(0)

    def __repr__(self) -> str:
        return "ReplayedNoise()"

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """The stream's next `n` words, shape (n,), dtype uint64."""
        self._drawn += n
        return np.frombuffer(self._stream.update(bytes(8 * n)), dtype=np.uint64)

    def once(self, name: str, measure: Callable[[], bytes]) -> bytes:
        """The value of a measurement: as it was kept, or as it is made and kept now.

        Args:
            name: what is measured; the run that goes on must ask for the same in the same order.
            measure: makes it, with words of this source.

        Raises:
            SealError: what was kept at this place is another measurement.
        """
        if not self._known:
            start, value = self._drawn, measure()
            if self._kept is not None:
                head = json.dumps({"name": name, "from": start, "to": self._drawn}).encode()
                self._kept.append(len(head).to_bytes(4, "big") + head + value)
            return value
        record = self._known.popleft()
        length = int.from_bytes(record[:4], "big")
        head = json.loads(record[4 : 4 + length])
        if (head["name"], head["from"]) != (name, self._drawn):
            raise SealError(
                "What was measured before the interruption is not what is asked for now, so neither is used.",
                "Run anew; the reservation counts as spent.",
            )
        self._go_to(head["to"])
        return record[4 + length :]

    def _go_to(self, words: int) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        blocks, rest = divmod(8 * words, BLOCK)
        counter = blocks.to_bytes(BLOCK, "big")
        self._stream: Any = Cipher(algorithms.AES256(self._key), modes.CTR(counter)).encryptor()
        self._stream.update(bytes(rest))
        self._drawn = words
