"""What Spark says no with, told apart: a table that cannot be used, or a cluster that went away.

Its own words hold cells, plans and paths, so none of them is repeated; and PySpark's loggers, which write the words of
refused SQL to the error stream whatever the log level, are silenced with `silence`.

Not guaranteed: the logs of a cluster that was set up to keep events or plans; its owner has the rows anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    """PySpark writes what it refuses, cells among it, to loggers of its own: they say nothing from now on."""
    from pyspark.logger import PySparkLogger

    for name in LOGGERS:
        PySparkLogger.getLogger(name).disabled = True


@contextmanager
def refused(what: str, session: Any | None) -> Iterator[None]:
    """Spark's refusals without its words.

    Args:
        what: what was asked, after "refused to".
        session: who was asked; None while there is none.

    Raises:
        EngineLost: session, cluster, executors, memory or disk went away.
        DataError: anything else.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, OSError, EOFError) as error:
        kind = type(error).__name__
        if session is None:
            raise EngineLost(
                f"No session of Spark could be started ({kind}); its own words are left out.",
                "Check that Java 17 is installed, and the address of the cluster.",
            ) from None
        if _is_loss(error, session):
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
