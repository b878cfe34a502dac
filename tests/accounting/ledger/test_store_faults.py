"""A store that cannot be used says why, writes nothing, and leaves what was there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger import errors
from accounting.ledger.entry import Head


def test_a_missing_ledger_is_not_made_by_opening_it(location: Path | str, signer: Signer) -> None:
    for _ in range(2):
        for key in (None, signer):
            with pytest.raises(errors.LedgerNotFound, match="No ledger at"):
                Ledger.open(location, signer=key)


@pytest.mark.parametrize("name", ["our ledger.db", "100% sure?.db", "a#b;c&d.db", "Bücher.db"])
def test_a_path_is_a_path_whatever_it_is_spelled_with(tmp_path: Path, signer: Signer, grant: Any, name: str) -> None:
    path = tmp_path / name
    with Ledger.create(path, signer=signer) as made:
        grant(made)
    with Ledger.open(str(path)) as opened:
        opened.verify(all_signatures=True)
    assert {item.name for item in tmp_path.iterdir()} <= {name, f"{name}-wal", f"{name}-shm"}


def test_a_ledger_is_not_overwritten(ledger: Ledger, location: Path | str, signer: Signer) -> None:
    head = ledger.head()
    with pytest.raises(errors.LedgerExists, match="forget what was spent"):
        Ledger.create(location, signer=signer)
    with Ledger.open(location, signer=signer) as opened:
        opened.verify(anchor=head)


def test_nothing_is_overwritten(ledger: Ledger, path: Path, signer: Signer, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(errors.LedgerExists, match="forget what was spent"):
        Ledger.create(path, signer=signer)
    assert path.read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(errors.LedgerExists):
        Ledger.create(tmp_path / "notes.txt", signer=signer)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(errors.LedgerUnavailable, match="cannot be created"):
        Ledger.create(tmp_path / "absent" / "ledger.db", signer=signer)


@pytest.mark.parametrize("content", [b"just text, and more than a header of it " * 5, b"", b"SQLite format 3\0"])
@pytest.mark.parametrize("writing", [False, True])
def test_another_file_is_not_a_ledger(path: Path, signer: Signer, content: bytes, writing: bool) -> None:
    path.write_bytes(content)
    with pytest.raises(errors.NotALedger):
        Ledger.open(path, signer=signer if writing else None)


def test_another_database_is_not_a_ledger(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(errors.NotALedger, match="a database, but not a ledger"):
        Ledger.open(path)


def test_a_folder_is_not_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(errors.LedgerUnavailable):
        Ledger.open(tmp_path)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("mysql://host/db", "No ledger store for 'mysql'"),
        ("sqlite://", "memory forgets"),
        ("sqlite:///:memory:", "memory forgets"),
        ("sqlite:///x.db?mode=memory", "memory forgets"),
        ("://", "cannot be read"),
    ],
)
def test_urls_that_keep_nothing_or_are_not_known_are_refused(url: str, match: str, signer: Signer) -> None:
    with pytest.raises(errors.LedgerUnavailable, match=match):
        Ledger.create(url, signer=signer)


def test_a_newer_ledger_is_left_alone(ledger: Ledger, path: Path, signer: Signer) -> None:
    ledger.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO ledger_versions VALUES (2)")
    connection.commit()
    connection.close()
    for key in (None, signer):
        with pytest.raises(errors.LedgerNewer, match="version 2; this release knows 1"):
            Ledger.open(path, signer=key)


def test_a_held_lock_is_waited_for_and_then_reported(
    ledger: Ledger, path: Path, signer: Signer, grant: Any, reserve: Any
) -> None:
    budget = grant(ledger)
    with Ledger.open(path, signer=signer, timeout_s=0.05) as hurried:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.LedgerLocked, match="write lock"):
            reserve(hurried, budget)
        with pytest.raises(errors.LedgerLocked, match="write lock"):
            Ledger.open(path, signer=signer, timeout_s=0.05)
        assert hurried.balance(budget).epsilon.left == 1  # reading goes on
        holder.execute("ROLLBACK")
        reserve(hurried, budget)
        holder.close()


def test_a_full_disk_refuses_the_entry_and_keeps_what_was_there(
    ledger: Ledger, path: Path, grant: Any, reserve: Any
) -> None:
    budget = grant(ledger)
    head = ledger.head()
    pages = sqlite3.connect(path).execute("PRAGMA page_count").fetchone()[0]
    with ledger._store._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # what SQLite sees of a full disk
    with pytest.raises(errors.LedgerFull, match="No space is left"):
        for _ in range(50):
            ledger.append("attempt", {"budget_id": budget, "note": "x" * 500})
    full = ledger.head()
    ledger.verify(all_signatures=True, anchor=head)
    with ledger._store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    reserve(ledger, budget)
    ledger.verify(all_signatures=True, anchor=full)
    assert ledger.head().seq == full.seq + 1


def _reads_but_does_not_write(path: Path, signer: Signer, head: Head) -> bool:
    with Ledger.open(path) as ledger:
        ledger.verify(all_signatures=True, anchor=head)
    try:
        Ledger.open(path, signer=signer)
    except errors.LedgerReadOnly as error:
        return "cannot be written" in str(error)
    return False


@pytest.mark.parametrize("folder_mode", [0o755, 0o555], ids=["file", "file and folder"])
def test_a_read_only_ledger_can_be_read_and_says_at_once_that_it_cannot_be_written(
    ledger: Ledger, path: Path, signer: Signer, folder_mode: int
) -> None:
    head = ledger.head()
    ledger.close()
    medium = Path(tempfile.mkdtemp())
    try:
        shutil.copy(path, medium / "ledger.db")
        (medium / "ledger.db").chmod(0o444)
        if os.geteuid() == 0:
            os.chown(medium, 65534, 65534)
        medium.chmod(folder_mode)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if os.geteuid() == 0:  # root writes to everything
                    os.setuid(65534)
                status = 0 if _reads_but_does_not_write(medium / "ledger.db", signer, head) else 2
            except errors.LedgerError as error:
                print(error)
                status = 3
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        medium.chmod(0o755)
        shutil.rmtree(medium)


def test_a_creation_that_fails_leaves_no_file(path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise errors.LedgerFull("No space is left.")

    monkeypatch.setattr("accounting.ledger.store.Transaction.append", fail)
    with pytest.raises(errors.LedgerFull):
        Ledger.create(path, signer=signer)
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == []
    Ledger.create(path, signer=signer).close()


def test_an_entry_that_did_not_reach_the_disk_is_not_believed(
    ledger: Ledger, grant: Any, reserve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = grant(ledger)
    head = ledger.head()

    def fail(*_: object) -> None:
        raise errors.LedgerUnavailable("The disk is gone.")

    monkeypatch.setattr("accounting.ledger.store.Transaction.append", fail)
    with pytest.raises(errors.LedgerUnavailable, match="disk is gone"):
        reserve(ledger, budget)
    monkeypatch.undo()
    assert ledger.head() == head
    assert ledger.balance(budget).epsilon.left == 1


def _driver_connection(ledger: Ledger) -> object:
    with ledger._store._engine.connect() as connection:
        return connection.connection.dbapi_connection


def test_a_child_process_does_not_use_its_parents_connection(ledger: Ledger, grant: Any, reserve: Any) -> None:
    budget = grant(ledger)
    reserve(ledger, budget)
    parents = _driver_connection(ledger)
    assert _driver_connection(ledger) is parents
    child = os.fork()
    if child == 0:
        status = 1
        try:
            reserve(ledger, budget)
            status = 0 if _driver_connection(ledger) is not parents else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    reserve(ledger, budget)
    assert str(ledger.balance(budget).epsilon) == "0.7 left of 1 (spent 0, reserved 0.3)"
    ledger.verify(all_signatures=True)


def test_threads_share_a_ledger(ledger: Ledger, grant: Any, reserve: Any) -> None:
    budget = grant(ledger, "1")
    refused: list[BaseException] = []

    def work() -> None:
        for _ in range(5):
            try:
                reserve(ledger, budget)
            except errors.BudgetExceeded as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10
    assert ledger.balance(budget).epsilon.left == 0
    ledger.verify(all_signatures=True)


def test_an_unknown_failure_of_the_driver_is_still_typed(ledger: Ledger) -> None:
    with (
        pytest.raises(errors.LedgerUnavailable, match="database refused"),
        ledger._store.writing() as transaction,
    ):
        transaction.connection.exec_driver_sql("SELECT no_such_function()")


def test_the_log_is_on_and_every_commit_is_synced(ledger: Ledger, path: Path) -> None:
    with ledger._store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
