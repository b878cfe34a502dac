"""What an author of private prediction has: a pool of released texts, each handed out once.

>>> pool = Pool(texts=["a", "b", "c"], topics=[0, 0, 1], events=(), facts={})
>>> pool.most, len(pool.write(2, np.random.default_rng(0)).texts), len(pool.write(5, np.random.default_rng(0)).texts)
(3, 2, 1)

Not guaranteed: as many texts as there were records; there are as many as bins have sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from accounting.event import Event
from dpsynth.text.protocol import Written


@final
class Pool:
    """An `Author`.

    Args:
        texts: released.
        topics: of each, an index into the released topics.
        events: what was spent.
        facts: public, for `describe`.
    """

    def __init__(
        self, *, texts: Sequence[str], topics: Sequence[int], events: tuple[Event, ...], facts: Mapping[str, Any]
    ) -> None:
        self._texts, self._topics = tuple(texts), np.array(topics, dtype=np.int64)
        self._events, self._facts = events, dict(facts)
        self._left: list[int] | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """What was spent, in time order."""
        return self._events

    @property
    def most(self) -> int:
        """How many texts there are."""
        return len(self._texts)

    def write(self, count: int, rng: np.random.Generator) -> Written:
        """The next `count` of a random order, or as many as are left; topics come in the shares that bins have."""
        if self._left is None:
            self._left = rng.permutation(len(self._texts)).tolist()
        taken, self._left = self._left[:count], self._left[count:]
        return Written(texts=tuple(self._texts[i] for i in taken), topics=self._topics[taken])

    def describe(self) -> dict[str, Any]:
        """Public facts about the run."""
        return self._facts | {"texts": self.most}
