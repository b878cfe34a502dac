"""A user's check in a process of its own, asked one text at a time: it can be ended, and it prints nowhere.

    python -m dpsynth.text.filters.child checks:polite        # started by `Child`, in the current folder

Both sides speak lines of JSON: {"text": …} and {"answer": true} or {"raised": "ValueError", "place": "checks.py:12"}.
What the user's code prints is thrown away: it may hold texts of a sealed draft.

Not guaranteed: a sandbox. Their code has the rights of who runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, final

START_SECONDS = 120.0
"""For importing what was named: classifiers load models."""


@final
class ChildFailed(Exception):
    """What went wrong there, in words without any text of the draft."""

    def __init__(self, message: str, *, importing: bool = False) -> None:
        super().__init__(message)
        self.importing = importing


@final
class Child:
    """A process that answers; entered and left like a file."""

    def __init__(self, check: str) -> None:
        self._check = check
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, text: str, *, seconds: float) -> bool:
        """Whether the check says yes; no if it takes longer, and then its process is ended.

        Raises:
            ChildFailed: it cannot be imported, raised, answered neither True nor False, or its process died.
        """
        process = self._process or self._start()
        try:
            print(json.dumps({"text": text}), file=process.stdin, flush=True)
            told = self._line(seconds)
        except BrokenPipeError:
            told = {}
        except queue.Empty:
            self._end()
            return False
        if "answer" in told:
            return bool(told["answer"])
        self._end()
        raise ChildFailed(_said(told))

    def _start(self) -> subprocess.Popen[str]:
        """A fresh process that has imported what was named."""
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        process = subprocess.Popen(  # noqa: S603 - what a person named on the command line, as identifiers
            [sys.executable, "-m", "dpsynth.text.filters.child", self._check],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONIOENCODING": "utf-8:backslashreplace"},  # what it prints vanishes, whatever it is
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        self._process, self._lines = process, lines
        try:
            told = self._line(START_SECONDS)
        except queue.Empty:
            told = {"raised": f"nothing within {START_SECONDS:g} s"}
        if told.get("answer") is not True:
            self._end()
            raise ChildFailed(f"cannot be imported: it {_said(told)}", importing=True)
        return process

    def _line(self, seconds: float) -> dict[str, Any]:
        """The next line as JSON; {} if the process ended."""
        line = self._lines.get(timeout=seconds)
        told: dict[str, Any] = json.loads(line) if line else {}
        return told

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _read(pipe: IO[str], lines: queue.SimpleQueue[str]) -> None:
    with contextlib.suppress(OSError, ValueError):  # closed by the other thread
        for line in pipe:
            lines.put(line)
    lines.put("")


def _said(told: dict[str, Any]) -> str:
    if "raised" in told:
        return f"raised {told['raised']}" + (f" ({told['place']})" if told.get("place") else "")
    if "other" in told:
        return f"answered {told['other']} instead of True or False"
    return "ended its process"


def serve(answer: Callable[[str], object], asked: IO[str], tell: Callable[[dict[str, Any]], None]) -> None:
    """Answer every line until there is none, or an answer is neither yes nor no."""
    for line in asked:
        said = answer(json.loads(line)["text"])
        if type(said).__name__ not in ("bool", "bool_"):  # NumPy's too, which is not imported here
            tell({"other": type(said).__name__})
            return
        tell({"answer": bool(said)})


def found(check: str) -> Callable[[str], object]:
    """The check that "module:attribute" names."""
    module, attribute = check.split(":")
    target: Any = import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    if isinstance(target, type):
        target = target()
    made: Callable[[str], object] = target.check if hasattr(target, "check") else target
    return made


def place(error: BaseException) -> str:
    """File and line that raised, without anything that was said."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def main() -> None:
    """Keep the pipe for answers, let whatever else is printed vanish, and tell of an error its type and place alone."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")

    def tell(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    def raised(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:  # noqa: ARG001
        tell({"raised": kind.__name__, "place": place(error)})

    sys.excepthook = raised
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        answer = found(sys.argv[1])
        tell({"answer": True})
        serve(answer, sys.stdin, tell)


if __name__ == "__main__":
    main()
