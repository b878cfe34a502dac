"""What Spark says no with, told apart: a table that cannot be used, or a cluster that went away.

Its own words hold cells, plans and paths, so none of them is repeated; and PySpark's loggers, which write the words of
refused SQL to the error stream whatever the log level, are silenced with `silence`.

Spark waits for ever for executors to come back. While a statement runs, a thread of ours looks whether there is one,
and cancels it when there has been none for a while, though there was one before.

Not guaranteed: the executors' own logs, where a view of somebody's that cannot cast a cell says which. They are the
cluster's, and so are the rows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import EngineLost

LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
LOST = (
    "CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND",
    "Checkpoint block",
    "ExecutorLostFailure",
    "FetchFailed",
    "SparkContext was shut down",
    "cancelled because SparkContext",
    "stopped SparkContext",
    "No space left",
    "OutOfMemory",
    "UNABLE_TO_ACQUIRE_MEMORY",
)
"""Words of a failure that is no fault of the rows."""


def silence() -> None:
    """PySpark writes what it refuses, and what it sends, cells among it, to loggers of its own: they are silent now."""
    from pyspark.logger import PySparkLogger

    for name in LOGGERS:
        PySparkLogger.getLogger(name).disabled = True
    logging.getLogger("py4j").setLevel(logging.WARNING)  # DEBUG shows every statement and every answer


@final
class Watch:
    """Whether a cluster still has executors.

    Args:
        session: whose.
        patience: seconds without any, until it counts as lost.
    """

    def __init__(self, session: Any, patience: float) -> None:
        self._context, self._patience = session.sparkContext, patience
        self._group = f"dpsynth_{id(self)}"
        self._alone = bool(self._context._jsc.sc().isLocal())
        self._had = False
        self.gave_up = False

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch while a statement runs."""
        if self._alone:
            yield
            return
        self.gave_up = False
        self._context.setJobGroup(self._group, "")
        done = threading.Event()
        looking = threading.Thread(target=self._look, args=(done,), daemon=True)
        looking.start()
        try:
            yield
        finally:
            done.set()

    def _look(self, done: threading.Event) -> None:
        from py4j.protocol import Py4JError

        seen = time.monotonic()
        pause = min(2.0, self._patience / 4)
        try:
            while not done.wait(pause):
                there = self._context._jsc.sc().getExecutorMemoryStatus().size() > 1  # the driver is one
                self._had |= there
                if there or not self._had:
                    seen = time.monotonic()
                elif time.monotonic() - seen > self._patience:
                    self.gave_up = True
                    self._context.cancelJobGroup(self._group)
                    seen = time.monotonic()
        except (Py4JError, OSError, AttributeError):  # the session ended; the statement says so itself
            return


@contextmanager
def refused(what: str, session: Any | None, watch: Watch | None) -> Iterator[None]:
    """Spark's refusals without its words.

    Args:
        what: what was asked, after "refused to".
        session: who was asked; None while there is none.
        watch: who looks for executors meanwhile.

    Raises:
        EngineLost: session, cluster, executors, memory or disk went away.
        DataError: anything else.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        if watch is None:
            yield
        else:
            with watch.over():
                yield
    except (PySparkException, Py4JError, OSError, EOFError) as error:
        kind = type(error).__name__
        if session is None:
            raise EngineLost(
                f"No session of Spark could be started ({kind}); its own words are left out.",
                "Check that Java 17 is installed, and the address of the cluster.",
            ) from None
        if (watch is not None and watch.gave_up) or _is_loss(error, session):
            raise EngineLost(
                f"Spark was lost or gave up when asked to {what} ({kind}); its own words are left out, since they may"
                " hold cells.",
                "Check the cluster, its memory and its disks.",
            ) from None
        raise DataError(
            f"Spark refused to {what} ({kind}); its own words are left out, since they may hold cells.",
            "Check the table's name and permissions, and that numbers fit 64 bits.",
        ) from None


def _is_loss(error: Exception, session: Any) -> bool:
    from py4j.protocol import Py4JError, Py4JNetworkError

    if isinstance(error, OSError | EOFError | Py4JNetworkError):
        return True
    try:
        if session.sparkContext._jsc.sc().isStopped():
            return True
    except (Py4JError, OSError, AttributeError):  # the virtual machine is gone, or `stop` was called here
        return True
    words = str(error)
    return any(mark in words for mark in LOST)
