"""A PostgreSQL for the tests: the one that `DPSYNTH_TEST_POSTGRESQL` names, or one started for them and deleted.

A server of our own is made by initdb in a temporary folder (0.9 s), listens on a socket there and on no port, writes
durably, and runs as an unprivileged user where the tests run as root, whom PostgreSQL refuses. Ledgers belong to the
role `team`, which is no superuser. With neither a URL nor binaries, tests are skipped with the reason.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "DPSYNTH_TEST_POSTGRESQL"
_START = "-c listen_addresses='' -c max_connections=60 -c shared_buffers=16MB"


class Server:
    """Where ledgers can be made; `owned` servers can be stopped and changed."""

    def __init__(self, url: str, *, folder: Path | None = None, binaries: Path | None = None) -> None:
        self.url, self._folder, self._binaries = url, folder, binaries
        self.owned = folder is not None

    def fresh(self) -> str:
        """A URL under which nothing is yet."""
        return f"{self.url}{'&' if '?' in self.url else '?'}schema=t_{secrets.token_hex(6)}"

    @contextmanager
    def connect(self, *, admin: bool = False, database: str = "team") -> Iterator[Any]:
        """A connection without a ledger in between, each statement its own transaction."""
        import psycopg

        url = self.url
        if self.owned:
            url = f"postgresql://{'postgres' if admin else 'team'}@/{database}?host={self._folder}"
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    def sql(self, *statements: str, admin: bool = False, database: str = "team") -> list[Any]:
        """Run statements; rows of the last one."""
        with self.connect(admin=admin, database=database) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def drop(self, url: str) -> None:
        """Forget a ledger, on a server that stays."""
        if not self.owned:
            self.sql(f'DROP SCHEMA IF EXISTS "{schema_of(url)}" CASCADE')

    def file(self, name: str) -> Path:
        """A file of the server's folder."""
        assert self._folder is not None
        return self._folder / name

    def owner(self) -> int:
        """Whom the server runs as."""
        return self.file("data").stat().st_uid

    def start(self, *options: str) -> None:
        """Start, with more of the server's options."""
        assert self._folder is not None
        arguments = " ".join([_START, f"-k {self._folder}", *options])
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "30", "-o", arguments, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is what a crash is: no checkpoint, recovery at the next start."""
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    @contextmanager
    def restarted(self, *options: str) -> Iterator[None]:
        """Other settings for a while."""
        self.stop()
        self.start(*options)
        try:
            yield
        finally:
            self.stop()
            self.start()

    def initialise(self) -> None:
        """Make the files, start, and give `team` a database."""
        self._run("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()
        self.sql("CREATE ROLE team LOGIN", "CREATE DATABASE team OWNER team", database="postgres", admin=True)

    def _run(self, program: str, *arguments: str) -> None:
        assert self._folder is not None
        assert self._binaries is not None
        subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self._folder,
            user=_unprivileged(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


def schema_of(url: str) -> str:
    """The schema of a URL that `Server.fresh` made."""
    return url.rpartition("schema=")[2]


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found and (Path(found).parent / "pg_ctl").exists():
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


def _fast_folder() -> str | None:
    """A folder in memory with room enough, else the temporary folder: killed servers recover from either."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else None


@contextmanager
def running() -> Iterator[Server]:
    """A server, or a skip with its reason."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install 'dpsynth-release[postgresql]'")
    if named := os.environ.get(VARIABLE):
        yield Server(named)
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL: {VARIABLE} names none, and no initdb in PATH or /usr/lib/postgresql/*/bin")
    base = Path(tempfile.mkdtemp(prefix="dpsynth-pg-", dir=_fast_folder()))
    try:
        if (user := _unprivileged()) is not None:
            os.chown(base, pwd.getpwnam(user).pw_uid, -1)
        server = Server(f"postgresql://team@/team?host={base}", folder=base, binaries=binaries)
        server.initialise()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def wait_until(condition: Any, timeout_s: float = 10.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
