"""What the owner of the file can do to it, and which check says so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger.entry import canonical
from accounting.ledger.errors import KeyRefused, LedgerTampered, LedgerUnavailable, Reason


@pytest.fixture
def used(ledger: Ledger, grant: Any, reserve: Any, plan: Any) -> str:
    budget = grant(ledger)
    ledger.commit(reserve(ledger, budget, 2).id, plan(2))
    reserve(ledger, budget, 3)
    return budget


def _sql(location: Path | str, *statements: str) -> None:
    """What the owner of the file, or of the schema, can do: take the triggers away, then write."""
    if isinstance(location, str):
        _sql_on_server(location, statements)
        return
    connection = sqlite3.connect(location)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert connection.execute(statement).rowcount > 0, statement
    connection.commit()
    connection.close()


def _sql_on_server(url: str, statements: tuple[str, ...]) -> None:
    import psycopg

    place, schema = url.rsplit("schema=", 1)
    with psycopg.connect(place.rstrip("?&"), options=f"-csearch_path={schema}") as connection:
        connection.execute("GRANT ALL ON ledger_entries TO CURRENT_USER")
        connection.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement


EDITS: dict[str, tuple[list[str], Reason]] = {
    "edited epsilon": (
        ['UPDATE ledger_entries SET body = replace(body, \'"epsilon":"0.2"\', \'"epsilon":"0.1"\') WHERE seq = 3'],
        Reason.CHAIN_BROKEN,
    ),
    "edited body of the last entry": (
        ["UPDATE ledger_entries SET body = replace(body, 'test', 'tost') WHERE seq = 4"],
        Reason.CHAIN_BROKEN,
    ),
    "edited hash": (["UPDATE ledger_entries SET hash = prev_hash WHERE seq = 3"], Reason.CHAIN_BROKEN),
    "dropped commit": (["DELETE FROM ledger_entries WHERE seq = 3"], Reason.CHAIN_BROKEN),
    "dropped commit, closed gap": (
        ["DELETE FROM ledger_entries WHERE seq = 3", "UPDATE ledger_entries SET seq = 3 WHERE seq = 4"],
        Reason.CHAIN_BROKEN,
    ),
    "swapped entries": (
        [
            "UPDATE ledger_entries SET seq = 9 WHERE seq = 3",
            "UPDATE ledger_entries SET seq = 3 WHERE seq = 4",
            "UPDATE ledger_entries SET seq = 4 WHERE seq = 9",
        ],
        Reason.CHAIN_BROKEN,
    ),
    "head signature removed": (
        ["UPDATE ledger_entries SET signature = '' WHERE seq = 4"],
        Reason.SIGNATURE_INVALID,
    ),
    "head signature of another entry": (
        ["UPDATE ledger_entries SET signature = (SELECT signature FROM ledger_entries WHERE seq = 3) WHERE seq = 4"],
        Reason.SIGNATURE_INVALID,
    ),
    "head key id": (["UPDATE ledger_entries SET key_id = 'x' WHERE seq = 4"], Reason.SIGNATURE_INVALID),
    "emptied": (["DELETE FROM ledger_entries"], Reason.CHAIN_BROKEN),
}


@pytest.mark.parametrize(("statements", "reason"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_found_by_verify_and_before_the_next_spend(
    ledger: Ledger, used: str, location: Path | str, signer: Signer, reserve: Any, statements: list[str], reason: Reason
) -> None:
    ledger.close()
    _sql(location, *statements)
    for call in (
        lambda opened: opened.verify(),
        lambda opened: opened.verify(all_signatures=True),
        lambda opened: reserve(opened, used),
        lambda opened: opened.balance(used),
    ):
        with pytest.raises(LedgerTampered) as refused, Ledger.open(location, signer=signer) as opened:
            call(opened)
        assert refused.value.reason == reason


def test_an_inner_signature_is_looked_at_when_all_are(
    ledger: Ledger, used: str, location: Path | str, signer: Signer
) -> None:
    ledger.close()
    _sql(location, "UPDATE ledger_entries SET signature = '' WHERE seq = 2")
    with Ledger.open(location, signer=signer) as opened:
        opened.verify()  # the signed head vouches for every hash before it
        with pytest.raises(LedgerTampered, match="Entry 2") as refused:
            opened.verify(all_signatures=True)
    assert refused.value.reason == Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("cut", [3, 4])
def test_a_cut_end_is_found_by_a_head_kept_elsewhere_and_by_a_running_process(
    ledger: Ledger, used: str, location: Path | str, signer: Signer, reserve: Any, cut: int
) -> None:
    head = ledger.head()
    _sql(location, f"DELETE FROM ledger_entries WHERE seq >= {cut}")
    for call in (ledger.verify, ledger.head, lambda: reserve(ledger, used)):
        with pytest.raises(LedgerTampered, match="was there before") as refused:
            call()
        assert refused.value.reason == Reason.ROLLED_BACK
    with Ledger.open(location, signer=signer) as opened:
        opened.verify()  # a prefix is a genuine chain
        with pytest.raises(LedgerTampered) as refused:
            opened.verify(anchor=head)
    assert refused.value.reason == Reason.ROLLED_BACK


def test_a_restored_backup_that_was_spent_again_is_found_by_a_head_kept_elsewhere(
    ledger: Ledger, grant: Any, reserve: Any, path: Path, signer: Signer, tmp_path: Path
) -> None:
    budget = grant(ledger, "0.3")
    ledger.close()
    shutil.copy(path, tmp_path / "backup")
    with Ledger.open(path, signer=signer) as opened:
        reserve(opened, budget, 3)
        released = opened.head()
    shutil.copy(tmp_path / "backup", path)
    with Ledger.open(path, signer=signer) as opened:
        reserve(opened, budget, 3)  # the same money, spent twice
        opened.verify(all_signatures=True)
        with pytest.raises(LedgerTampered) as refused:
            opened.verify(anchor=released)
    assert refused.value.reason == Reason.ROLLED_BACK


def test_another_ledger_put_in_its_place_is_found(
    ledger: Ledger, used: str, path: Path, signer: Signer, tmp_path: Path
) -> None:
    head = ledger.head()
    ledger.close()
    with Ledger.create(tmp_path / "other.db", signer=signer) as other:
        other.append("policy", {"digest": "0"})
    shutil.copy(tmp_path / "other.db", path)
    with pytest.raises(LedgerTampered, match="was there before"):
        ledger.head()
    with Ledger.open(path, signer=signer) as opened, pytest.raises(LedgerTampered, match="was there before"):
        opened.verify(anchor=head)


def test_a_ledger_rewritten_with_another_key_does_not_open_for_its_owner(
    ledger: Ledger, used: str, path: Path, signer: Signer, forger: Callable[..., Any]
) -> None:
    mallory = forger(ledger.entries(), Signer.generate())
    mallory.rewrite(lambda bodies: bodies[0].update(public_key=mallory.signer.public_bytes.hex()))
    ledger.close()
    _sql(path, "DELETE FROM ledger_entries")
    connection = sqlite3.connect(path)
    for entry in mallory.entries:
        body = canonical(entry.body).decode()
        row = (entry.seq, entry.prev_hash, body, entry.hash, entry.signature, entry.key_id)
        connection.execute("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    with pytest.raises(KeyRefused, match="did not create"):
        Ledger.open(path, signer=signer)
    with Ledger.open(path) as opened:
        opened.verify(all_signatures=True)
        assert opened.public_key != signer.public_bytes  # receivers compare with the key they trust


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET body = '{}' WHERE seq = 2",
        "DELETE FROM ledger_entries WHERE seq = 4",
        "INSERT INTO ledger_entries SELECT 9, prev_hash, body, hash, signature, key_id FROM ledger_entries LIMIT 1",
        "INSERT INTO ledger_entries SELECT 4, prev_hash, body, hash, signature, key_id FROM ledger_entries LIMIT 1",
        "REPLACE INTO ledger_entries SELECT 4, prev_hash, body, hash, signature, key_id FROM ledger_entries LIMIT 1",
        "UPDATE ledger_versions SET version = 2",
        "DELETE FROM ledger_versions",
    ],
)
def test_the_tables_only_grow_and_only_in_order(ledger: Ledger, used: str, path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|in order"):
        connection.execute(statement)
    connection.close()
    ledger.verify(all_signatures=True)


@pytest.mark.parametrize("place", [b"SQLite", b"CREATE TABLE", b"budget.create", b'"kind":"commit"', b"ledger.create"])
def test_a_damaged_file_is_a_typed_error_never_a_balance(
    ledger: Ledger, used: str, path: Path, signer: Signer, place: bytes
) -> None:
    ledger.close()
    data = bytearray(path.read_bytes())
    offset = data.index(place)
    data[offset : offset + 200] = b"\xa5" * 200
    path.write_bytes(data)
    with pytest.raises((LedgerUnavailable, LedgerTampered)), Ledger.open(path, signer=signer) as opened:
        opened.verify()


def test_a_file_cut_short_is_a_typed_error(ledger: Ledger, used: str, path: Path, signer: Signer) -> None:
    ledger.close()
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises((LedgerUnavailable, LedgerTampered)), Ledger.open(path, signer=signer) as opened:
        opened.balance(used)
