"""A Spark cluster for the tests: one master and two workers, processes of their own on this machine's loopback.

Executors are Java processes that can be killed like any other. Everything lies in a temporary folder and goes with it.
Without Java or PySpark, tests are skipped with the reason.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WORKERS = 2
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For small data: most of a test's time was Java's optimizing compiler."""
LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": JAVA,
    "spark.sql.shuffle.partitions": "2",
}
"""For a session in this process."""
OPTIONS = {**LOCAL, "spark.executor.memory": "600m", "spark.executor.extraJavaOptions": JAVA}
"""For a session on the cluster."""


def why_not() -> str | None:
    """What Spark lacks here, if anything."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "no Java, which Spark runs on"
    if importlib.util.find_spec("pyspark") is None:
        return "no Spark: pip install 'dpsynth-release[spark]'"
    return None


class Cluster:
    """Processes of a cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._started = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"spark://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Master and workers; returns when the master listens."""
        self._run("master", "master.Master", "--host", "127.0.0.1", "--port", str(self._port), "--webui-port", "0")
        _wait(self._listens, "the master")
        for at in range(WORKERS):
            own = ("--host", "127.0.0.1", "--webui-port", "0", "--work-dir", str(self.folder / f"work-{at}"))
            self._run(f"worker-{at}", "worker.Worker", *own, "--cores", "1", "--memory", "1g", self.url)
        logs = [self.folder / f"worker-{at}.log" for at in range(WORKERS)]
        _wait(lambda: all("registered with master" in log.read_text("utf-8", "replace") for log in logs), "the workers")

    def executors(self) -> list[int]:
        """Process ids of the executors that run now."""
        ours = {process.pid for process in self._started}
        command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = [line.split(None, 2) for line in shown.stdout.splitlines()]
        return sorted(int(p) for p, parent, args in lines if int(parent) in ours and "CoarseGrained" in args)

    def ready(self, session: Any) -> list[int]:
        """The executors, when there are as many as workers and a session knows them all."""
        known = session.sparkContext._jsc.sc().getExecutorMemoryStatus  # with the driver's own
        _wait(lambda: len(self.executors()) == WORKERS and known().size() == WORKERS + 1, "the executors")
        return self.executors()

    def logs(self) -> str:
        """All that executors wrote."""
        return "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("work-*/*/*/std*"))

    def stop(self) -> None:
        """End all that was started here."""
        for pid in self.executors():
            kill(pid)
        for process in self._started:
            process.kill()
            process.wait()
        self._started = []

    def _run(self, name: str, main: str, *arguments: str) -> None:
        import pyspark

        home = Path(pyspark.__file__).parent
        settings = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
        settings["SPARK_DAEMON_JAVA_OPTS"] = JAVA
        settings["SPARK_LOCAL_DIRS"] = str(self.folder / "local")
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{main}", *arguments]
            done = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log, cwd=self.folder)
        self._started.append(done)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def kill(pid: int) -> None:
    """A process that was there is gone, without a last word."""
    os.kill(pid, signal.SIGKILL)


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster of two workers; skips where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="dpsynth-spark-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come up")
        time.sleep(0.2)
