"""Progress as one callable, so that mechanisms, attacks and reports need no terminal.

A step is announced with its name, how far it is and how far it goes; the caller decides whether that becomes a
bar, a line in a log, or nothing. No detail text may depend on a private value: it would leave through the terminal.
"""

from __future__ import annotations

import time
from typing import Protocol, final


class Progress(Protocol):
    """Receives `(name, done, total, detail)`; `done == total` ends the step."""

    def __call__(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Report that `done` of `total` units of step `name` are finished."""


def silent(name: str, done: int, total: int, detail: str = "") -> None:
    """A `Progress` that says nothing."""


@final
class Clock:
    """How long a step of equal parts will still take, judged by those that are done.

    Args:
        total: number of parts.
    """

    def __init__(self, total: int) -> None:
        self._total, self._start = total, time.monotonic()

    def left(self, done: int) -> str:
        """In words, after `done` parts (at least 1)."""
        return f"about {(time.monotonic() - self._start) / done * (self._total - done):.0f} s left"
