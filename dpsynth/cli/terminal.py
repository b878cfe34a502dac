"""What a person sees on the terminal, and what a machine reads instead.

With `--json` a command prints one JSON object on standard output and nothing else there; progress, warnings and
everything meant for people go to standard error. On a terminal progress is a bar; elsewhere it is one plain line
when a step begins and one when it ends, so that logs stay readable. Text that came from a file is shown with its
control characters made visible: a category may hold a terminal escape.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dpsynth.cli.columns import BLANKS, fitted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


WIDTH_OF_LOGS = 160


def printable(text: str, limit: int = 300) -> str:
    r"""`text` with control and bidirectional characters escaped, cut to `limit` characters.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


class Terminal:
    """Output of one command.

    Args:
        as_json: print one JSON object on standard output at the end, and nothing else there.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._console: Console | None = None
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}

    @property
    def console(self) -> Console:
        """A rich console on standard output, or on standard error when standard output belongs to JSON."""
        if self._console is None:
            from rich.console import Console

            stream = sys.stderr if self.as_json else sys.stdout
            wide = None if stream.isatty() else WIDTH_OF_LOGS
            self._console = Console(stderr=self.as_json, highlight=False, width=wide)
        return self._console

    def say(self, text: str = "", *, style: str = "") -> None:
        """One line for people, taken literally: brackets in names are not markup."""
        from rich.text import Text

        self.console.print(Text(printable(text, 4000), style=style), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A warning on standard error."""
        print(f"warning: {printable(text, 600)}", file=sys.stderr)  # noqa: T201

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str] = ()
    ) -> None:
        """A table; columns whose name starts with '>' are aligned right, `spare` ones left out where room is short."""
        from rich.box import HEAVY_HEAD, SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        shown = [[printable(cell) for cell in row] for row in rows]
        found = fitted(columns, shown, spare=spare, width=self.console.width)
        table = Table(
            title=Text(title),
            title_justify="left",
            header_style="bold",
            title_style="bold",
            box=HEAVY_HEAD if found.lines else SIMPLE_HEAD,
            show_edge=found.lines,
            pad_edge=found.lines,
            padding=(0, 1) if found.lines else (0, BLANKS - 1, 0, 0),
        )
        for at, head in zip(found.kept, found.cells[0], strict=True):
            table.add_column(Text(head), justify="right" if columns[at].startswith(">") else "left", overflow="fold")
        for row in found.cells[1:]:
            table.add_row(*map(Text, row))
        self.console.print(table)
        away = [name for at, name in enumerate(columns) if at not in found.kept]
        if away:
            self.say(f"No room for: {', '.join(name.lstrip('>') for name in away)} (widen the terminal, or --json).")

    def result(self, document: Mapping[str, Any]) -> None:
        """The one JSON object of `--json`; silent without it."""
        if self.as_json:
            print(json.dumps(document, allow_nan=False, default=str))  # noqa: T201

    @contextmanager
    def progress(self) -> Iterator[ProgressSink]:
        """A `Progress` for the steps inside the block."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description:<34}"),
                BarColumn(30),
                TimeElapsedColumn(),
                TextColumn("{task.fields[detail]}"),
            )
            with Bars(*columns, console=Console(stderr=True)) as bars:
                self._bars, self._tasks = bars, {}
                try:
                    yield self._on_terminal
                finally:
                    self._bars = None
        else:
            yield self._in_log

    def _on_terminal(self, name: str, done: int, total: int, detail: str = "") -> None:
        if self._bars is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, detail="")
        self._bars.update(self._tasks[name], completed=done, total=total, detail=detail if done < total else "")

    def _in_log(self, name: str, done: int, total: int, detail: str = "") -> None:
        now = time.monotonic()
        if name not in self._begun:
            self._begun[name] = now
            if done < total:
                print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201
        if done >= total:
            took = now - self._begun.pop(name, now)
            print(f"{name}: done in {took:.1f} s{' ' + detail if detail else ''}", file=sys.stderr, flush=True)  # noqa: T201


if TYPE_CHECKING:
    from dpsynth.core.progress import Progress as ProgressSink
