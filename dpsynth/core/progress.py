"""Progress as one callable, so that mechanisms, attacks and reports need no terminal.

A step is announced with its name, how far it is and how far it goes; the caller decides whether that becomes a
bar, a line in a log, or nothing. No detail text may depend on a private value: it would leave through the terminal.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives `(name, done, total, detail)`; `done == total` ends the step."""

    def __call__(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Report that `done` of `total` units of step `name` are finished."""


def silent(name: str, done: int, total: int, detail: str = "") -> None:
    """A `Progress` that says nothing."""
