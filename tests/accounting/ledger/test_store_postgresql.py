"""What a server can do to a ledger: each a typed error, the state unchanged, and no credential in sight."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger import errors
from accounting.ledger.store import Transaction, postgresql
from tests.postgresql import Server, schema_of, wait_until

SECRET = "correct-horse"


@pytest.fixture
def server(postgresql: Server) -> Server:
    """A server that may be stopped and changed."""
    if not postgresql.owned:
        pytest.skip("the server named by the environment is not ours to change")
    return postgresql


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    made = postgresql.fresh()
    yield made
    postgresql.drop(made)


@pytest.fixture
def team(url: str, signer: Signer) -> Iterator[Ledger]:
    """A ledger on the server."""
    with Ledger.create(url, signer=signer) as opened:
        yield opened


def _as(url: str, role: str) -> str:
    return url.replace("//team@", f"//{role}@")


@pytest.mark.parametrize(
    ("rest", "match"),
    [
        ("?schema=Claims", "lower-case"),
        ("?schema=pg_catalog", "lower-case"),
        ("?schema=a;drop", "lower-case"),
        ("?schema=a&schema=b", "lower-case"),
        ("?options=-csynchronous_commit%3Doff", "does not take 'options'"),
        (f"?password={SECRET}", "does not take 'password'"),
    ],
)
def test_urls_that_say_too_much_are_refused(rest: str, match: str, signer: Signer) -> None:
    with pytest.raises(errors.LedgerUnavailable, match=match) as refused:
        Ledger.create(f"postgresql://me:{SECRET}@127.0.0.1:1/db{rest}", signer=signer)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ("127.0.0.1:1/db", "dpsynth_ledger at 127.0.0.1:1/db cannot be reached"),
        ("127.0.0.1:port/db", "cannot be read"),
        ("127.0.0.1:99999/db", "cannot be reached"),
        ("no-such-host.invalid/db", "cannot be reached"),
        ("127.0.0.1:1/db?sslmode=sometimes", "cannot be reached"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(place: str, match: str, signer: Signer) -> None:
    for call in (Ledger.create, Ledger.open):
        with pytest.raises(errors.LedgerUnavailable, match=match) as refused:
            call(f"postgresql://me:{SECRET}@{place}", signer=signer)
        assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_another_driver_is_refused_and_a_missing_one_names_the_extra(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.LedgerUnavailable, match="through psycopg"):
        Ledger.open("postgresql+asyncpg://host/db", signer=signer)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(errors.LedgerUnavailable, match=r"dpsynth-release\[postgresql\]"):
        Ledger.open("postgresql://host/db", signer=signer)


def test_a_database_or_a_role_that_is_not_there_is_typed(server: Server, url: str, signer: Signer) -> None:
    for wrong in (url.replace("/team?", "/absent?"), _as(url, "nobody_here")):
        with pytest.raises(errors.LedgerUnavailable, match="cannot be reached, or refused the login"):
            Ledger.create(wrong, signer=signer)


def test_no_credential_is_written_or_shown(server: Server, url: str, signer: Signer) -> None:
    secret = url.replace("//team@", f"//team:{SECRET}@")  # the server trusts its socket and asks for none
    with Ledger.create(secret, signer=signer) as ledger:
        shown = f"{ledger!r} {ledger._store!r} {ledger._store._engine!r} {ledger.entries()}"
    stored = server.sql(f'SELECT body FROM "{schema_of(url)}".ledger_entries')
    assert SECRET not in f"{shown} {stored}"


def test_a_schema_in_use_is_left_alone(postgresql: Server, url: str, signer: Signer) -> None:
    schema = schema_of(url)
    postgresql.sql(f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.patients (x int)")
    with pytest.raises(errors.LedgerExists, match="in use"):
        Ledger.create(url, signer=signer)
    with pytest.raises(errors.NotALedger, match="a schema, but not a ledger"):
        Ledger.open(url, signer=signer)
    postgresql.sql(f"DROP TABLE {schema}.patients")
    Ledger.create(url, signer=signer).close()  # an empty one, made by an administrator, is taken


def test_of_two_that_create_it_at_once_one_does(url: str) -> None:
    done: list[object] = []

    def create() -> None:
        try:
            Ledger.create(url, signer=Signer.generate()).close()
            done.append("created")
        except errors.LedgerError as error:
            done.append(type(error))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, done)) == sorted(["created", *[str(errors.LedgerExists)] * 3])


def test_ledgers_share_a_database_and_nothing_else(postgresql: Server, url: str, team: Ledger, grant: Any) -> None:
    budget = grant(team)
    other = postgresql.fresh()
    with Ledger.create(other, signer=Signer.generate()) as second:
        assert second.ledger_id != team.ledger_id
        with pytest.raises(errors.BudgetRefused):
            second.balance(budget)
        with postgresql.connect() as connection, connection.transaction():
            connection.execute(team._store._database._lock.text)
            second.append("policy", {"digest": "0"})  # the other's lock is the other's
    postgresql.drop(other)


def test_a_newer_ledger_is_left_alone(postgresql: Server, url: str, team: Ledger, signer: Signer) -> None:
    postgresql.sql(f'INSERT INTO "{schema_of(url)}".ledger_versions VALUES (2)')
    for key in (None, signer):
        with pytest.raises(errors.LedgerNewer, match="version 2; this release knows 1"):
            Ledger.open(url, signer=key)


def test_a_held_lock_is_waited_for_and_then_reported(
    postgresql: Server, url: str, team: Ledger, signer: Signer, grant: Any, reserve: Any
) -> None:
    budget = grant(team)
    with Ledger.open(url, signer=signer, timeout_s=0.05) as hurried, postgresql.connect() as holder:
        with holder.transaction():
            holder.execute(team._store._database._lock.text)
            with pytest.raises(errors.LedgerLocked, match="write lock"):
                reserve(hurried, budget)
            with pytest.raises(errors.LedgerLocked, match="write lock"):
                Ledger.open(url, signer=signer, timeout_s=0.05)
            assert hurried.balance(budget).epsilon.left == 1  # reading goes on
        reserve(hurried, budget)


def test_a_statement_timeout_is_typed(server: Server, url: str, team: Ledger, signer: Signer, grant: Any) -> None:
    head = team.head()
    server.sql("ALTER ROLE team SET statement_timeout = '50ms'")
    try:
        with Ledger.open(url, signer=signer) as slow, server.connect() as holder, holder.transaction():
            holder.execute(team._store._database._lock.text)
            with pytest.raises(errors.LedgerUnavailable, match="cancelled the statement"):
                grant(slow)
    finally:
        server.sql("ALTER ROLE team RESET statement_timeout")
    team.verify(anchor=head)
    assert team.head() == head


def test_who_stalls_with_the_lock_loses_it(
    team: Ledger, grant: Any, reserve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = grant(team)
    append = Transaction.append

    def stall(transaction: Transaction, row: Any) -> None:
        time.sleep(0.5)
        append(transaction, row)

    monkeypatch.setattr(postgresql, "IDLE_LOCK_S", 0.2)
    monkeypatch.setattr(Transaction, "append", stall)
    with pytest.raises(errors.LedgerUnavailable, match=r"took longer|was lost"):
        reserve(team, budget)
    monkeypatch.undo()
    reserve(team, budget)
    assert len(team.reservations(budget)) == 1


def test_a_connection_dropped_between_two_calls_is_replaced(
    server: Server, team: Ledger, grant: Any, reserve: Any
) -> None:
    budget = grant(team)
    _drop_connections(server)
    reserve(team, budget)
    server.stop()
    with pytest.raises(errors.LedgerUnavailable, match="cannot be reached"):
        reserve(team, budget)
    server.start()
    reserve(team, budget)
    assert str(team.balance(budget).epsilon) == "0.8 left of 1 (spent 0, reserved 0.2)"
    team.verify(all_signatures=True)


@pytest.mark.parametrize("before", [True, False], ids=["before the insert", "before the commit"])
def test_a_connection_lost_while_writing_writes_nothing(
    server: Server, team: Ledger, grant: Any, reserve: Any, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    budget = grant(team)
    head = team.head()
    append = Transaction.append

    def lose(transaction: Transaction, row: Any) -> None:
        if not before:
            append(transaction, row)
        _drop_connections(server)
        if before:
            append(transaction, row)

    monkeypatch.setattr(Transaction, "append", lose)
    with pytest.raises(errors.LedgerUnavailable, match=r"was lost|shutting down"):
        reserve(team, budget)
    monkeypatch.undo()
    assert team.head() == head
    reserve(team, budget)
    assert str(team.balance(budget).epsilon) == "0.9 left of 1 (spent 0, reserved 0.1)"


def test_a_program_that_writes_without_the_lock_overwrites_nothing(
    postgresql: Server, url: str, team: Ledger, grant: Any, reserve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = grant(team)
    append = Transaction.append

    def overtaken(transaction: Transaction, row: Any) -> None:
        values = tuple(row._replace(key_id="x"))
        with postgresql.connect() as rogue:
            rogue.execute(f'INSERT INTO "{schema_of(url)}".ledger_entries VALUES (%s, %s, %s, %s, %s, %s)', values)
        append(transaction, row)

    monkeypatch.setattr(Transaction, "append", overtaken)
    with pytest.raises(errors.LedgerLocked, match="without its lock"):
        reserve(team, budget)
    monkeypatch.undo()
    with pytest.raises(errors.LedgerTampered, match="signed"):  # its entry stands, and was not signed by the key
        team.head()


def test_a_standby_is_read_and_not_written(
    server: Server, url: str, team: Ledger, signer: Signer, grant: Any, reserve: Any
) -> None:
    budget = grant(team)
    head = team.head()
    server.stop()
    signal = server.file("data/standby.signal")
    signal.touch()
    server.start()
    try:
        with pytest.raises(errors.LedgerReadOnly, match="standby"):
            reserve(team, budget)
        with pytest.raises(errors.LedgerReadOnly, match="standby"):
            Ledger.open(url, signer=signer)
        with Ledger.open(url) as reader:
            reader.verify(all_signatures=True, anchor=head)
    finally:
        server.stop()
        signal.unlink()
        server.start()
    reserve(team, budget)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_would_forget_in_a_crash_is_not_written_to(
    server: Server, url: str, team: Ledger, signer: Signer, grant: Any, setting: str
) -> None:
    head = team.head()
    with server.restarted(f"-c {setting}=off"):
        with pytest.raises(errors.LedgerUnavailable, match="would forget what was spent"):
            grant(team)
        with Ledger.open(url) as reader:
            reader.verify(anchor=head)
    grant(team)


def test_writes_wait_for_the_disk_whatever_the_role_prefers(server: Server, url: str, signer: Signer) -> None:
    Ledger.create(url, signer=signer).close()
    for preferred, used in (("off", "on"), ("remote_apply", "remote_apply")):
        server.sql(f"ALTER ROLE team SET synchronous_commit = {preferred}")
        with Ledger.open(url, signer=signer) as ledger, ledger._store.writing() as transaction:
            assert transaction.connection.exec_driver_sql("SHOW synchronous_commit").scalar() == used
    server.sql("ALTER ROLE team RESET synchronous_commit")


def test_an_unlogged_table_is_refused(server: Server, url: str, team: Ledger, signer: Signer) -> None:
    server.sql(f'ALTER TABLE "{schema_of(url)}".ledger_entries SET UNLOGGED')
    with pytest.raises(errors.LedgerUnavailable, match="unlogged"):
        Ledger.open(url, signer=signer)


def test_privileges_decide_who_reads_and_who_writes(
    server: Server, url: str, team: Ledger, signer: Signer, grant: Any, reserve: Any
) -> None:
    budget = grant(team)
    schema = schema_of(url)
    colleague, auditor, stranger = (f"{name}_{schema}" for name in ("colleague", "auditor", "stranger"))
    server.sql(*(f"CREATE ROLE {role} LOGIN" for role in (colleague, auditor, stranger)), admin=True)
    server.sql(
        f"GRANT USAGE ON SCHEMA {schema} TO {colleague}, {auditor}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {colleague}, {auditor}",
        f"GRANT INSERT ON {schema}.ledger_entries TO {colleague}",
    )
    with Ledger.open(_as(url, colleague), signer=signer) as opened:
        reserve(opened, budget)
    with Ledger.open(_as(url, auditor)) as opened:
        opened.verify(all_signatures=True)
    with pytest.raises(errors.LedgerReadOnly, match="not append"):
        Ledger.open(_as(url, auditor), signer=signer)
    for key in (None, signer):
        with pytest.raises(errors.LedgerUnavailable, match="may not read"):
            Ledger.open(_as(url, stranger), signer=key)
    with pytest.raises(errors.LedgerReadOnly, match="lacks a privilege"):
        Ledger.create(_as(server.fresh(), stranger), signer=signer)


@pytest.mark.parametrize("role", ["owner", "superuser", "superuser as replica"])
def test_the_tables_only_grow_whoever_writes(server: Server, url: str, team: Ledger, grant: Any, role: str) -> None:
    import psycopg

    grant(team)
    table = f'"{schema_of(url)}".ledger_entries'
    columns = "prev_hash, body, hash, signature, key_id"
    statements = [
        f"UPDATE {table} SET body = '{{}}' WHERE seq = 1",
        f"DELETE FROM {table} WHERE seq = 1",
        f"TRUNCATE {table}",
        f"INSERT INTO {table} SELECT 9, {columns} FROM {table} LIMIT 1",
        f"INSERT INTO {table} SELECT 1, {columns} FROM {table} LIMIT 1",
        f"UPDATE {table.replace('entries', 'versions')} SET version = 2",
    ]
    refusals = (psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege)
    for statement in statements:
        with server.connect(admin=role != "owner") as connection:
            if role == "superuser as replica":
                connection.execute("SET session_replication_role = replica")
            with pytest.raises(refusals, match=r"append-only|in order|permission denied"):
                connection.execute(statement)
    team.verify(all_signatures=True)


def test_a_database_that_cannot_hold_every_text_is_refused(server: Server, signer: Signer) -> None:
    server.sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0", admin=True)
    try:
        with pytest.raises(errors.LedgerUnavailable, match="not UTF8"):
            Ledger.create(_as(server.fresh(), "postgres").replace("/team?", "/ascii?"), signer=signer)
    finally:
        server.sql("DROP DATABASE ascii WITH (FORCE)", admin=True)


def test_a_full_disk_refuses_the_entry_and_keeps_what_was_there(
    server: Server, url: str, team: Ledger, grant: Any, reserve: Any
) -> None:
    budget = grant(team)
    with _tiny_disk() as folder:
        shutil.chown(folder, server.owner())
        name = f"tiny_{schema_of(url)}"
        server.sql(
            f"CREATE TABLESPACE {name} LOCATION '{folder}'",
            f'ALTER TABLE "{schema_of(url)}".ledger_entries SET TABLESPACE {name}',
            admin=True,
        )
        with pytest.raises(errors.LedgerFull, match="No space is left"):
            for _ in range(2000):
                team.append("attempt", {"budget_id": budget, "note": "x" * 1500})
        full = team.head()
        team.verify(all_signatures=True)
        server.sql(f'ALTER TABLE "{schema_of(url)}".ledger_entries SET TABLESPACE pg_default', admin=True)
        server.sql(f"DROP TABLESPACE {name}", admin=True)
    reserve(team, budget)
    team.verify(all_signatures=True, anchor=full)
    assert team.head().seq == full.seq + 1


class _tiny_disk:
    """A disk of 512 kB, or a skip where none may be mounted."""

    def __enter__(self) -> Path:
        self.folder = Path(tempfile.mkdtemp(prefix="dpsynth-tiny-"))
        mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(self.folder)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            self.folder.rmdir()
            pytest.skip("no small disk: mounting is not permitted here")
        return self.folder

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)
        self.folder.rmdir()


def _drop_connections(server: Server) -> None:
    """End every session of the ledgers' role, and see them gone."""
    others = "FROM pg_stat_activity WHERE usename = 'team' AND pid <> pg_backend_pid()"
    server.sql(f"SELECT pg_terminate_backend(pid) {others}", admin=True)
    wait_until(lambda: not server.sql(f"SELECT pid {others}", admin=True))
