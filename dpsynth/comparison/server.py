"""A process that has the libraries loaded and forks a child for each run; `python -m dpsynth.comparison.server`.

It reads one job a line, forks, waits, and answers with one line: how the child ended. A child therefore starts within
milliseconds, with memory and clocks of its own, and cannot hurt the next one: an error, a kill for want of memory or a
crash of a library ends one run. It imports nothing of the program that started it, so an unguarded script or a
notebook can. What a child prints goes to the run's own log. The end of its input is the end of the server and of
what it runs, so nothing is left behind by a program that was killed.

Jobs come from the process that started it, nobody else; they hold class names, which are imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def serve() -> None:
    """Answer jobs until there are none."""
    from dpsynth.comparison.cell import run

    answers = os.dup(sys.stdout.fileno())
    while line := sys.stdin.readline():
        job: dict[str, Any] = json.loads(line)
        _load(job["generator"])
        ended, alive = os.pipe()  # the child holds `alive` as long as it lives
        child = os.fork()
        if child == 0:
            os.close(ended)
            _child(run, job)
        os.close(alive)
        ready, _, _ = select.select([sys.stdin, ended], [], [])
        if ended not in ready:  # no further job comes before this one is answered: whoever asked is gone
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(ended)
        os.write(answers, f"{json.dumps({'code': os.waitstatus_to_exitcode(status)})}\n".encode())


def _load(generator: dict[str, Any] | None) -> None:
    """Import what a run needs, here and once; the moves of record tables are compiled if its module moves records."""
    if generator is None:
        return
    from importlib import import_module

    with contextlib.suppress(ImportError):  # the run itself says so
        import_module(generator["class"].partition(":")[0])
    if "dpsynth.tabular.records.record_fit" in sys.modules:
        from dpsynth.core.progress import silent
        from dpsynth.tabular.records.compiling import compile_moves

        compile_moves(silent)


def _child(run: Any, job: dict[str, Any]) -> None:
    """Run and leave, whatever happens: nothing of the parent's is cleaned up twice."""
    from dpsynth.core.errors import DpsynthError

    log = os.open(Path(job["log"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    code = 1
    try:
        run(job)
        code = 0
    except DpsynthError as error:
        os.write(log, f"{type(error).__name__}: {error.message}\n".encode())
    except BaseException:  # noqa: BLE001 - the end of this process, said in its log
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
