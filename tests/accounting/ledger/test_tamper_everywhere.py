"""The catalogue of tampering, on every surface: database (both stores), export, slice; each refused for its reason.

`docs/assurance/tampering.md` is made from these cases and from those of the other tables; run this file to print it:

    python -m tests.accounting.ledger.catalogue > docs/assurance/tampering.md
"""

from __future__ import annotations

import copy
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.errors import AccountingError
from accounting.ledger.entry import GLOBAL_KINDS, Head, body_digest, budget_tag
from accounting.ledger.errors import LedgerTampered, Reason, SliceRefused
from accounting.ledger.evidence.checkpoint import check_heads
from accounting.ledger.evidence.clock import set_back, times_of
from accounting.ledger.evidence.export import SCHEMA as EXPORT
from accounting.ledger.evidence.export import read_export
from accounting.ledger.evidence.parsing import parse_slice
from accounting.ledger.slice import SCHEMA as SLICE
from accounting.ledger.slice import verify_slice
from tests.accounting.ledger import catalogue
from tests.accounting.ledger.tampering import OWNER, RESERVE, STRANGER, Chain, Expected, Story, amended, linked, tell
from tests.postgresql import schema_of

CASES = {**STRANGER, **OWNER}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("story") / "ledger.db")


# --- surfaces ------------------------------------------------------------------------------------------------------

_COLUMNS = ("seq", "prev_hash", "body", "hash", "signature", "key_id")


class Database:
    """A ledger whose rows are replaced behind its back."""

    def __init__(self, location: Path | str, server: Any) -> None:
        self.location, self._server = location, server
        Ledger.create(location, signer=Signer.generate()).close()

    def plant(self, chain: Chain) -> None:
        """Put these rows in the place of the table's, without keys, triggers and checks."""
        rows = [tuple(entry[name] for name in _COLUMNS) for entry in chain]
        table = "CREATE TABLE {0}ledger_entries (seq integer, prev_hash text, body text, hash text, signature text, "
        if self._server is None:
            connection = sqlite3.connect(self.location)
            connection.execute("DROP TABLE ledger_entries")
            connection.execute(table.format("") + "key_id text)")
            connection.executemany("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.commit()
            connection.close()
            return
        schema = schema_of(str(self.location)) + "."
        with self._server.connect() as connection:
            connection.execute(f"DROP TABLE {schema}ledger_entries")
            connection.execute(table.format(schema) + "key_id text)")
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {schema}ledger_entries VALUES (%s, %s, %s, %s, %s, %s)", rows)

    def check(self, story: Story, chain: Chain) -> None:
        self.plant(chain)
        with Ledger.open(self.location) as opened:
            opened.verify(all_signatures=True, anchor=story.kept.head)


def _head(chain: Chain, story: Story) -> dict[str, Any]:
    last = (chain or story.entries)[-1]
    return {"seq": last["seq"], "hash": last["hash"]}


def _raw(entry: dict[str, Any], **more: Any) -> str:
    """An entry as JSON whose body stands there word for word."""
    beside = json.dumps({name: value for name, value in {**entry, **more}.items() if name != "body"})
    return beside[:-1] + ', "body": ' + entry["body"] + "}"


def check_export(story: Story, chain: Chain) -> None:
    first = story.first.public_bytes.hex()
    header = {"schema": EXPORT, "ledger_id": story.ledger_id, "public_key": first, "head": _head(chain, story)}
    lines = [json.dumps(header), *map(_raw, chain)]
    found = read_export(lines, ledger_key=story.first.public_bytes)
    check_heads(
        [Head(entry.seq, entry.hash) for entry in found.entries],
        [story.kept],
        ledger_id=story.ledger_id,
        ledger_key=story.keys,
    )


def _shown(entry: dict[str, Any], story: Story) -> str:
    try:
        body = json.loads(entry["body"])
        named = body.get("budget_id", story.budget)
        shown = body["kind"] in {kind.value for kind in GLOBAL_KINDS} or named == story.budget
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        shown = True
    if shown:
        return _raw(entry)
    link = {name: value for name, value in entry.items() if name != "body"}
    digest = body_digest(entry["body"].encode()).hex()
    tag = budget_tag(named if isinstance(named, str) else None, entry["prev_hash"])
    return json.dumps({**link, "body_digest": digest, "tag": tag})


def slice_text(story: Story, chain: Chain) -> bytes:
    about = {"schema": SLICE, "ledger_id": story.ledger_id, "public_key": story.first.public_bytes.hex()}
    head = {**about, "budget_id": story.budget, "head": _head(chain, story)}
    return (json.dumps(head)[:-1] + ', "entries": [' + ", ".join(_shown(e, story) for e in chain) + "]}").encode()


def check_slice(story: Story, chain: Chain) -> None:
    verify_slice(parse_slice(slice_text(story, chain)), ledger_key=story.first.public_bytes, anchor=story.kept.head)


# --- the suite -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "sqlite":
        yield Database(tmp_path_factory.mktemp("planted") / "ledger.db", None)
        return
    server = request.getfixturevalue("postgresql")
    url = server.fresh()
    yield Database(url, server)
    server.drop(url)


def _tampered(story: Story, name: str) -> Chain:
    change, _ = CASES[name]
    return change(story, copy.deepcopy(story.entries))


def _expected(expected: Expected, surface: str) -> Reason:
    return expected[surface] if isinstance(expected, dict) else expected


def test_the_genuine_chain_passes_everywhere(story: Story, database: Database) -> None:
    for check in (database.check, check_export, check_slice):
        check(story, copy.deepcopy(story.entries))
        check(story, amended("approver")(story, copy.deepcopy(story.entries)))  # what forged ones are near to


@pytest.mark.parametrize("name", CASES)
def test_tampering_with_the_database_is_found_and_named(story: Story, database: Database, name: str) -> None:
    with pytest.raises(LedgerTampered) as refused:
        database.check(story, _tampered(story, name))
    assert refused.value.reason == _expected(CASES[name][1], "database")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", [check_export, check_slice])
def test_tampering_with_a_document_is_found_and_named(story: Story, check: Any, name: str) -> None:
    with pytest.raises((LedgerTampered, SliceRefused)) as refused:
        check(story, _tampered(story, name))
    assert refused.value.reason == _expected(CASES[name][1], "documents")


def test_every_reason_is_given_somewhere_and_the_catalogue_counts_its_cases() -> None:
    rows = catalogue.rows()
    assert {row.reason for row in rows} >= {reason.value for reason in Reason}
    assert len({(row.surface, row.name) for row in rows}) == len(rows)
    assert len(CASES) >= 60 and len(rows) >= 200, (len(CASES), len(rows))


def test_the_page_is_the_catalogue() -> None:
    page = (ROOT / "docs/assurance/tampering.md").read_text("utf-8")
    assert page == catalogue.page(), "run: python -m tests.accounting.ledger.catalogue > docs/assurance/tampering.md"


def test_a_clock_that_was_set_back_is_shown_and_refused_by_nothing(story: Story, database: Database) -> None:
    """The owner's machine claims an old time from some entry on; the chain is genuine."""
    chain = copy.deepcopy(story.entries)
    body = json.loads(chain[RESERVE]["body"]) | {"kind": "policy", "time": "2001-01-01T00:00:00Z"}
    text = json.dumps({k: body[k] for k in ("digest", "kind", "nonce", "time") if k in body}, separators=(",", ":"))
    chain = linked(chain, text, story.second)
    for check in (database.check, check_export, check_slice):
        check(story, chain)
    with Ledger.open(database.location) as opened:
        steps = set_back(times_of(opened.entries()))
    assert [step.seq for step in steps] == [len(chain) - 1]
    assert "2001-01-01" in steps[0].sentence()


def test_nothing_but_typed_refusals_leaves_the_readers(story: Story) -> None:
    """Every cut of a slice's text, and single bytes replaced, end in a refusal or in the same chain."""
    text = slice_text(story, story.entries)
    for at in range(0, len(text), 97):
        for lie in (text[:at], text[:at] + b"\xff" + text[at + 1 :], text[:at] + b'"' + text[at:]):
            with pytest.raises(AccountingError):
                check_bytes(story, lie)


def check_bytes(story: Story, text: bytes) -> None:
    verify_slice(parse_slice(text), ledger_key=story.first.public_bytes, anchor=story.kept.head)
