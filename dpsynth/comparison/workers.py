"""As many servers as runs may go at once, and a thread for each that hands out jobs.

A run that fails is an answer, not an exception: its reason is the last line of its log. Whatever ends the sweep, the
servers and what they run end with it: they are process groups of their own, and are killed as such.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dpsynth.core.errors import DpsynthError

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

JOBS_PER_SERVER = 4
"""Runs that are worth the start of one more server, which is about two seconds of loading libraries."""


def answers(jobs: Sequence[dict[str, Any]], *, workers: int) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Run all jobs.

    Args:
        jobs: for `cell.run`, with `log`.
        workers: how many at once, each on one thread.

    Yields:
        (job, None) as runs finish, or (job, reason) for one that failed.
    """
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[dict[str, Any], str | None]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    servers = [_start() for _ in range(min(workers, -(-len(jobs) // JOBS_PER_SERVER)))]
    try:
        for server in servers:
            threading.Thread(target=_hand_out, args=(server, waiting, done), daemon=True).start()
        for _ in jobs:
            yield done.get()
    finally:
        for server in servers:
            _stop(server)


def _start() -> subprocess.Popen[str]:
    environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "OMP_WAIT_POLICY": "PASSIVE"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    environment.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    return subprocess.Popen(
        [sys.executable, "-m", "dpsynth.comparison.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )


def _hand_out(
    server: subprocess.Popen[str],
    waiting: queue.SimpleQueue[dict[str, Any]],
    done: queue.SimpleQueue[tuple[dict[str, Any], str | None]],
) -> None:
    """Give one server jobs until there are none; jobs of a server that died fail, so nobody waits for them."""
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        done.put((job, _ask(server, job)))


def _ask(server: subprocess.Popen[str], job: dict[str, Any]) -> str | None:
    if server.stdin is None or server.stdout is None:
        raise DpsynthError("A server has no pipes.")
    line = ""
    with contextlib.suppress(OSError, ValueError):  # it died, or was stopped
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        line = server.stdout.readline()
    if not line:
        return "The process that starts runs has ended."
    code = json.loads(line)["code"]
    return None if code == 0 else reason(Path(job["log"]), code)


def reason(log: Path, code: int) -> str:
    """Why a run ended with an exit code that is not 0, in one line."""
    if code < 0:
        killed = signal.Signals(-code).name
        return f"Killed by {killed}" + (": perhaps there was too little memory." if killed == "SIGKILL" else ".")
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:500] if lines else f"Ended with exit code {code}."


def _stop(server: subprocess.Popen[str]) -> None:
    if server.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    for pipe in (server.stdin, server.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
