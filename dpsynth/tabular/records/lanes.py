"""Threads that never change a result.

Compiled moves hold no lock, so several record tables can move at once. What each of them does must not depend on how
many cores there are or on who finishes first: work is divided into a fixed number of lanes, each with random numbers of
its own, and results are taken in the order of the work. Cores only decide how many lanes run at the same time.

>>> list(in_lanes(lambda lane, step: (lane, step), steps=5, lanes=2))
[(0, 0), (1, 1), (0, 2), (1, 3), (0, 4)]
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_lanes(work: Callable[[int, int], Result], *, steps: int, lanes: int) -> Iterator[Result]:
    """Results of `work(lane, step)` for steps 0, 1, …, in order; step s belongs to lane s mod `lanes`.

    A lane does its steps one after the other, and is at most one step ahead of what was taken from the iterator.
    """
    if min(lanes, steps) <= 1:
        yield from (work(0, step) for step in range(steps))
        return
    with ThreadPoolExecutor(max_workers=min(lanes, steps, usable_cores())) as pool:
        running: deque[Future[Result]] = deque()
        for step in range(steps):
            if step >= lanes:
                yield running.popleft().result()
            running.append(pool.submit(work, step % lanes, step))
        while running:
            yield running.popleft().result()
