"""Twenty named places at which a process can die while it writes: four steps of a run, five positions in each.

The positions are functions that the ledger really calls; a wrapper around one of them stops the process there. What
must be on disk afterwards is known exactly: the entry if and only if the database's commit returned.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from accounting import Ledger
from accounting.ledger import writer as module
from accounting.ledger.store import Transaction

STEPS = ("reserve", "access", "commit", "abort")
POSITIONS = {  # position -> whether the entry is there afterwards
    "lock held": False,  # Database.begin has returned
    "sealed": False,  # the entry is chained and signed (accounting.ledger.entry.seal)
    "inserted": False,  # Transaction.append has returned
    "committing": False,  # the driver is about to commit
    "committed": True,  # the driver's commit has returned, nobody knows yet
}
POINTS = [(step, position) for step in STEPS for position in POSITIONS]
HALTED = "halted"


@contextmanager
def armed(ledger: Ledger, position: str, acks: int, *, halt: bool) -> Iterator[None]:
    """Die at `position` of the next write of this ledger, or say so and stand still until somebody kills."""
    writing = False

    def stop(here: str) -> None:
        if writing and here == position:
            if halt:
                os.write(acks, f"{HALTED} -\n".encode())
                signal.pause()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(target: Any, name: str, before: str | None, after: str | None) -> Any:
        call: Callable[..., Any] = getattr(target, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal writing
            if before is not None:
                stop(before)
            result = call(*args, **kwargs)
            writing = writing or kwargs.get("write", False)
            if after is not None:
                stop(after)
            return result

        return mock.patch.object(target, name, wrapper)

    with ExitStack() as stack:
        stack.enter_context(around(ledger._store._database, "begin", None, "lock held"))
        stack.enter_context(around(module, "seal", None, "sealed"))
        stack.enter_context(around(Transaction, "append", None, "inserted"))
        stack.enter_context(around(ledger._store._engine.dialect, "do_commit", "committing", "committed"))
        yield
