"""The closed list of files that a bundle consists of: nothing may be added, and only old bundles lack the verifier.

Two files prove the others. `statement.dsse.json` is signed and names the SHA-256 of every other file;
`ledger.json` holds the release entry, which names the *root*: one digest over the files that existed before
that entry was written. So both the release key and the ledger key have to agree on every byte of data, card
and report.

>>> sorted(set(MEMBERS) - set(ROOTED))
['ledger.json', 'statement.dsse.json']
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dpsynth.release.documents import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a bundle.

    Attributes:
        what: what it is, for people.
        limit: largest accepted size in bytes.
        streamed: hashed in blocks and never held in memory.
        since_verifier: absent from bundles of before there was a verifier in one file; written ever since.
    """

    what: str
    limit: int
    streamed: bool = False
    since_verifier: bool = False


STATEMENT: Final = "statement.dsse.json"
LEDGER: Final = "ledger.json"
VERIFIER: Final = "verify_bundle.py"

MEMBERS: Final[Mapping[str, Member]] = {
    "data.parquet": Member(what="the synthetic rows, exact", limit=2**36, streamed=True),
    "data.csv": Member(what="the same rows as text, formulas made harmless", limit=2**36, streamed=True),
    "card.yaml": Member(what="the data card", limit=2**20),
    "report.html": Member(what="the public report", limit=2**24),
    "decision.json": Member(what="the gate's decision with every rule", limit=2**20),
    "evidence.json": Member(what="what of the evidence may be published", limit=2**22),
    "policy.yaml": Member(what="the policy that was applied", limit=2**18),
    "README.txt": Member(what="how to check this bundle", limit=2**16),
    VERIFIER: Member(what="the verifier in one file; take yours from the project", limit=2**22, since_verifier=True),
    "release.pub": Member(what="the key that signed; proves nothing by itself", limit=2**12),
    LEDGER: Member(what="the budget's ledger entries, others redacted", limit=2**26),
    STATEMENT: Member(what="signed in-toto statement over all of it", limit=2**20),
}

ROOTED: Final = tuple(name for name in MEMBERS if name not in {LEDGER, STATEMENT})


def root(digests: Mapping[str, str]) -> str:
    """One SHA-256 over names and digests of the files that the ledger's release entry vouches for."""
    return digest({name: digests[name] for name in present(digests, ROOTED)})


def present(held: Container[str], names: Iterable[str] = MEMBERS) -> tuple[str, ...]:
    """`names` in order, without those that may be absent and are."""
    return tuple(name for name in names if name in held or not MEMBERS[name].since_verifier)
