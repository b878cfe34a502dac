"""Training that was interrupted goes on from its last checkpoint, under the reservation it began with.

A checkpoint holds the parameters, the optimiser's state and how many steps were taken: functions of noisy sums that the
reservation pays for. It is nevertheless confidential until the run is committed, so a store must seal it; what stands
here is bytes and the contract. Samples and noise of the remaining steps are fresh. Steps that ran after the last
checkpoint are run again: their sums were never kept, so the run as it ends holds each step once, and its event counts
`steps` and no more.

A checkpoint belongs to one run: `label` binds it to the schedule and to the untrained network, whose biases come from
that run's own measurements, and a store binds it to one reservation.

>>> memory = Memory()
>>> memory.save(b"state"); memory.load()
b'state'

Not guaranteed: that a store which anybody can write to brings back what was saved; sealed ones authenticate.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ModelError

MAX_BYTES = 1 << 31


class Checkpoints(Protocol):
    """Where one run's last state is kept, sealed and keyed to its reservation."""

    def load(self) -> bytes | None:
        """What was saved last; None if nothing was."""

    def save(self, state: bytes) -> None:
        """Keep this and forget what was kept before, atomically."""


@final
class Memory:
    """Keeps the state in this process: for tests, and for public data."""

    def __init__(self) -> None:
        self._state: bytes | None = None

    def load(self) -> bytes | None:
        """What was saved last."""
        return self._state

    def save(self, state: bytes) -> None:
        """Replace it."""
        self._state = state


def pack(label: str, step: int, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One state as bytes: arrays in numpy's own format, no pickle."""
    out = io.BytesIO()
    named = {f"array/{name}": array for name, array in arrays.items()}
    np.savez(out, allow_pickle=False, label=np.array(label), step=np.array(step), **named)
    return out.getvalue()


def unpack(state: bytes, label: str) -> tuple[int, dict[str, NDArray[Any]]]:
    """Steps taken and arrays of a state.

    Raises:
        ModelError: it is of another run, or no state.
    """
    try:
        if len(state) > MAX_BYTES:
            raise ValueError
        with np.load(io.BytesIO(state), allow_pickle=False) as found:
            own, step = str(found["label"]), int(found["step"])
            arrays = {name.removeprefix("array/"): found[name] for name in found.files if name.startswith("array/")}
    except (ValueError, KeyError, OSError, EOFError):
        raise ModelError(
            "The checkpoint cannot be read.", "Abort the reservation with a reason and run anew."
        ) from None
    if own != label:
        raise ModelError(
            "The checkpoint belongs to another run: its schedule or its network differs.",
            "Resume with the settings of the reservation, or abort it with a reason.",
        )
    return step, arrays
