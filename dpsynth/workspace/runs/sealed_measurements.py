"""What an interrupted run has measured, one sealed file for each measurement.

Values carry their noise and are what the reservation pays for; they are confidential all the same until the run is
committed. Each is encrypted under the run's key with its number as associated data, is written whole or not at all, and
is there before the next question is asked. What is read back is the unbroken beginning; what comes after a gap is
measured again with the same words.

Two processes that go on at once measure the same, so it does not matter which of them writes a number last.

Not guaranteed: that the disk forgets what was deleted; the files need the vault's key to be read.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dpsynth.core.errors import SealError, SourceError

LIMIT = 2**31 - 64
"""Bytes of one sealed text."""


@final
class SealedMeasurements:
    """The folder of one run; what `ReplayedNoise` knows as `Kept`.

    Args:
        folder: where the files lie; made by `begin`.
        cipher: of this reservation alone.
        bound: what the files belong to.
    """

    def __init__(self, folder: Path, cipher: AESGCM, bound: bytes) -> None:
        self._folder, self._cipher, self._bound, self._next = folder, cipher, bound, 0

    def __repr__(self) -> str:
        return "SealedMeasurements()"

    def begin(self) -> None:
        """Nothing is measured yet."""
        self._folder.mkdir(mode=0o700)

    def read(self) -> Iterator[bytes]:
        """All records from the first on, as far as they go without a gap.

        Raises:
            SealError: one was altered, or moved.
        """
        for number in itertools.count():
            try:
                raw = self._path(number).read_bytes()
            except FileNotFoundError:
                return
            try:
                record = self._cipher.decrypt(raw[:12], raw[12:], self._bound_to(number))
            except (InvalidTag, ValueError):
                raise SealError(
                    "A measurement of the interrupted run was altered, or sealed under another vault key.",
                    "Close its reservation with a reason, and run anew.",
                ) from None
            self._next = number + 1
            yield record

    def append(self, record: bytes) -> None:
        """Keep one more; not if the folder is gone, since another process has committed then.

        Raises:
            SealError: it is larger than one file can hold.
            SourceError: the disk is full.
        """
        number, self._next = self._next, self._next + 1
        if len(record) > LIMIT:
            raise SealError("A measurement is larger than 2 GiB.", "Merge categories or bins.")
        nonce = os.urandom(12)
        try:
            handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".sealing-")
            with os.fdopen(handle, "wb") as file:
                file.write(nonce + self._cipher.encrypt(nonce, record, self._bound_to(number)))
                file.flush()
                os.fsync(handle)
            Path(scratch).replace(self._path(number))
        except FileNotFoundError:
            return
        except OSError as error:
            raise SourceError(
                f"The workspace cannot keep a measurement ({error.strerror}), and a run that was interrupted could not "
                "go on.",
                "Make room on its disk.",
            ) from None

    def destroy(self) -> None:
        """Forget all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _bound_to(self, number: int) -> bytes:
        return self._bound + f" measured {number}".encode()
