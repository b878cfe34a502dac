"""Prints docs/assurance/tampering.md from the tables of the tamper tests."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from accounting.ledger.errors import Reason

STOPS: dict[Reason, str] = {
    Reason.MALFORMED: "one spelling (RFC 8785), one reading; closed shapes",
    Reason.TOO_LARGE: "sizes and counts are bounded before anything is built",
    Reason.UNKNOWN_SCHEMA: "closed list of schemas",
    Reason.UNKNOWN_KIND: "closed list of kinds: nothing is skipped, nothing is imported",
    Reason.FOREIGN_LEDGER: "the key that the reader pinned is none of this chain",
    Reason.CHAIN_BROKEN: "each hash covers the body and the hash before it",
    Reason.SIGNATURE_INVALID: "Ed25519 by the ledger key in force at that place, over hash and tag",
    Reason.HEAD_MISMATCH: "the document names ledger and head",
    Reason.ROLLED_BACK: "a head that was kept elsewhere: in a bundle, a checkpoint, a running process",
    Reason.REDACTED_OWN_ENTRY: "the signed tag, which whoever knows the budget's id recognises",
    Reason.REDACTED_GLOBAL_ENTRY: "the signed tag of entries that everybody may see",
    Reason.RULE_BROKEN: "the rules of the books, applied again by every reader",
    Reason.ROTATION_INVALID: "the new key's countersignature over ledger, place, previous hash and reason",
    Reason.PLAN_EXCEEDED: "each committed event inside its plan, each charge inside its reservation",
    Reason.OVERSPENT: "sums against the grant, applied again by every reader",
}

HEAD = """# Tampering: what is tried, what stops it

Every way to tamper with a ledger that the tests know, with the reason that the refusal names. This page is made from
the tables of the tests (`python -m tests.accounting.ledger.catalogue`), and a test holds the two together: a case that
is listed here is a case that runs.

*Stranger*: holds no key, or a retired one. *Owner*: holds the ledger's key and signs whatever helps.
A kept head is one line that lies where the owner cannot change it; cases with `rolled-back` need one, and nothing else
finds them. What no case can show is that a lie is impossible which nobody thought of.

| reason | what stops it |
|---|---|
"""

CLOCK = """
## A clock that is set back

Order is by position, and `time` is what a machine claimed. An edited time breaks the chain like any other word. A
genuine entry with an old time is refused by nothing: `ledger verify` and `verify` warn of each entry that claims to be
more than a second older than one before it.
"""


class Row(NamedTuple):
    """One case on one surface."""

    surface: str
    who: str
    name: str
    reason: str


def rows() -> list[Row]:
    """All cases of all tables."""
    return [*_everywhere(), *_databases(), *_exports(), *_slices(), *_rotations(), *_reviews(), *_bundles()]


def page() -> str:
    """The page's text."""
    text = HEAD + "".join(f"| `{reason.value}` | {how} |\n" for reason, how in STOPS.items())
    found = rows()
    text += f"\n{len(found)} cases on {len({row.surface for row in found})} surfaces.\n" + CLOCK
    for surface in dict.fromkeys(row.surface for row in found):
        text += f"\n## {surface}\n\n| who | case | reason |\n|---|---|---|\n"
        text += "".join(f"| {row.who} | {row.name} | `{row.reason}` |\n" for row in found if row.surface == surface)
    return text


def _everywhere() -> Iterator[Row]:
    from tests.accounting.ledger.tampering import OWNER, STRANGER

    surfaces = (
        ("database", "Entries in the database, SQLite and PostgreSQL"),
        ("documents", "Entries in an export and in a slice"),
    )
    for key, surface in surfaces:
        for who, table in (("stranger", STRANGER), ("owner", OWNER)):
            for name, (_, expected) in table.items():
                yield Row(surface, who, name, (expected[key] if isinstance(expected, dict) else expected).value)


def _databases() -> Iterator[Row]:
    from tests.accounting.ledger.test_tamper_database import EDITS

    for name, (_, reason) in EDITS.items():
        yield Row("Statements against the SQLite file", "stranger", name, reason.value)


def _exports() -> Iterator[Row]:
    from tests.accounting.ledger.test_evidence import TAMPERED

    for name, (_, reason) in TAMPERED.items():
        yield Row("Lines of an export", "stranger", name, reason.value)


def _slices() -> Iterator[Row]:
    from tests.accounting.ledger.test_tamper_slice import OWNER, STRANGER

    for name, (_, reason) in STRANGER.items():
        yield Row("Slices", "stranger", name, reason.value)
    for name, case in OWNER.items():
        yield Row("Slices", "owner", name, case[3].value)


def _rotations() -> Iterator[Row]:
    from tests.accounting.ledger.test_rotation import TAKEOVERS

    for name, (_, reason) in TAKEOVERS.items():
        yield Row("Rotation of the ledger's key", "thief", name, reason.value)


def _reviews() -> Iterator[Row]:
    from tests.accounting.ledger.test_reviews import FORGED

    for name, (_, reason) in FORGED.items():
        yield Row("Reviews, approvals and recalls", "owner", name, reason.value)


def _bundles() -> Iterator[Row]:
    tables = ("bundle_cases", "bundle_cases_insider", "bundle_cases_owner", "bundle_cases_text", "bundle_cases_reviews")
    for table in tables:
        import_module(f"tests.release.{table}")  # each registers its cases
    from tests.release.bundle_tools import CASES

    who: dict[str, Any] = {"insider": "holder of the release key", "owner": "holder of both keys"}
    places = {f"tests.release.{table}": place for place, table in enumerate(tables)}
    for case in sorted(CASES, key=lambda case: places[case.make.__module__]):  # whatever was imported before
        yield Row("Bundles", who.get(case.who, case.who), case.name.replace("_", " "), case.code)


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
