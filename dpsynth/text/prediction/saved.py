"""Texts of finished bins are kept, so that an interrupted run goes on with the others.

A finished bin's texts are released output: the reservation pays for them, and they are not drawn again. A bin that was
interrupted kept nothing; it is drawn anew, so that one text of it exists at the end and its tokens were paid for once.
The partition must be the same, or a record of a finished bin could be heard by another one: the label binds every bin
with its rows.

Not guaranteed: that a store which anybody can write to brings back what was saved; a workspace hands in a sealed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.text.prediction.engine import Spoken

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints


@final
class Saved:
    """Finished texts in a store; nothing without one.

    Args:
        store: sealed, of one reservation.
        label: of the run.
    """

    def __init__(self, store: Checkpoints | None, *, label: str) -> None:
        self._store, self._label = store, label

    def load(self) -> list[Spoken]:
        """Texts of all bins finished so far, in the order of bins.

        Raises:
            ModelError: the state is of another run.
        """
        from dpsynth.sgd.checkpoint import unpack

        state = None if self._store is None else self._store.load()
        if state is None:
            return []
        _, arrays = unpack(state, self._label)
        parts = np.split(arrays["tokens"], np.cumsum(arrays["lengths"])[:-1])
        return [Spoken(topic=int(t), tokens=part) for t, part in zip(arrays["topics"], parts, strict=True)]

    def keep(self, spoken: Sequence[Spoken]) -> None:
        """Replace what was kept."""
        if self._store is None:
            return
        from dpsynth.sgd.checkpoint import pack

        arrays = {
            "tokens": np.concatenate([text.tokens for text in spoken]),
            "lengths": np.array([len(text.tokens) for text in spoken], dtype=np.int64),
            "topics": np.array([text.topic for text in spoken], dtype=np.int64),
        }
        self._store.save(pack(self._label, len(spoken), arrays))
