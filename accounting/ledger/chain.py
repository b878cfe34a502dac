"""Reading a chain: each entry's place, hash and signature, and the rules of the books, in that order.

`Chain` is the only reader. It holds no I/O: rows come from the store, links from a slice, and both end up in
the same checks. Order of the checks for one entry:

1. its seq is the next one, and its prev_hash is the hash read before it;
2. its hash follows from prev_hash and the digest of its body;
3. its body keeps the rules of `accounting.ledger.rules`;
4. its signature was made over tag and hash by the ledger key in force at its place. The caller decides for which
   entries; a rotation's is always checked, since it says which key the head's must be of.

Changing one byte of one body therefore changes every later hash, and the ledger key would have to sign all of
them again. Cutting off the end changes nothing that remains: whoever kept a later
head (a bundle, a checkpoint) must compare it.

Not guaranteed: that no second chain with the same key exists. Two heads from two places show a fork.
"""

from __future__ import annotations

import json

from accounting.ledger import rules, signing
from accounting.ledger.books import Books
from accounting.ledger.entry import (
    GENESIS_PREV,
    HEX32,
    HEX64,
    Entry,
    Head,
    Kind,
    Row,
    Withheld,
    body_digest,
    budget_tag,
    canonical,
    entry_hash,
    signed_message,
)
from accounting.ledger.errors import EntryRefused, LedgerTampered, Reason
from accounting.ledger.shape import Body

_ROTATE = Kind.KEY_ROTATE.value
_START = Head(-1, GENESIS_PREV)
_DECODER = json.JSONDecoder()  # raw_decode: canonical JSON has no space around it to look for


class Chain:
    """The verified prefix read so far.

    Attributes:
        books: what the disclosed entries add up to.
        head: the last entry, None before the first.
    """

    def __init__(self) -> None:
        self.books = Books()
        self.head: Head | None = None
        self._last: Row | None = None
        self._last_body: Body = {}

    def read(self, row: Row, *, thorough: bool = False) -> Body:
        """Check a stored row and take it in; `thorough` adds its signature and its spelling.

        Raises:
            LedgerTampered: the row does not continue the chain.
        """
        data = row.body.encode()
        self._link(row.seq, row.prev_hash, body_digest(data), row.hash)
        try:
            body, end = _DECODER.raw_decode(row.body)
            # A body in another spelling would hash differently once a slice carries it as JSON.
            spelled = canonical(body) if thorough else data
        except (ValueError, RecursionError, AttributeError) as error:
            raise _tampered(row.seq, Reason.MALFORMED, "is not canonical JSON") from error
        if not isinstance(body, dict) or end != len(row.body) or spelled != data:
            raise _tampered(row.seq, Reason.MALFORMED, "is not canonical JSON")
        rules.apply(self.books, row.seq, body)
        if thorough or body["kind"] == _ROTATE:
            tag = budget_tag(self.books.family(body), row.prev_hash)
            self.check_signature(row.seq, tag, row.hash, row.signature, row.key_id)
        self._last, self._last_body = row, body
        self._advance(row.seq, row.hash)
        return body

    def check_head(self) -> Head:
        """The last stored row, after checking its signature, which vouches for the hashes before it.

        Raises:
            LedgerTampered: there is no entry, or the ledger key did not sign the last.
        """
        row = self._last
        if row is None:
            raise no_genesis()
        tag = budget_tag(self.books.family(self._last_body), row.prev_hash)
        self.check_signature(row.seq, tag, row.hash, row.signature, row.key_id)
        return Head(row.seq, row.hash)

    def read_disclosed(self, entry: Entry) -> None:
        """Check an entry of a slice, signature included, and take it in.

        Raises:
            LedgerTampered: the entry does not continue the chain.
        """
        try:
            digest = body_digest(canonical(entry.body))
        except EntryRefused as error:
            raise _tampered(entry.seq, Reason.MALFORMED, "is not canonical JSON") from error
        self._link(entry.seq, entry.prev_hash, digest, entry.hash)
        rules.apply(self.books, entry.seq, entry.body)
        tag = budget_tag(self.books.family(entry.body), entry.prev_hash)
        self.check_signature(entry.seq, tag, entry.hash, entry.signature, entry.key_id)
        self._advance(entry.seq, entry.hash)

    def read_withheld(self, link: Withheld) -> None:
        """Check an entry of a slice whose body is withheld; its signature binds its tag.

        Raises:
            LedgerTampered: the entry does not continue the chain.
        """
        if not HEX32.fullmatch(link.body_digest):
            raise _tampered(link.seq, Reason.MALFORMED, "has no digest")
        self._link(link.seq, link.prev_hash, bytes.fromhex(link.body_digest), link.hash)
        self.check_signature(link.seq, link.tag, link.hash, link.signature, link.key_id)
        self._advance(link.seq, link.hash)

    def check_signature(self, seq: int, tag: str, hash_: str, signature: str, key_id: str) -> None:
        """Check one signature against the ledger key in force at this place.

        Raises:
            LedgerTampered: it was not made by that key over this tag and hash.
        """
        public_key = self.books.signer_of(seq)
        if (
            not HEX64.fullmatch(signature)
            or key_id != signing.key_id(public_key)
            or not signing.verify(public_key, bytes.fromhex(signature), signed_message(tag, hash_))
        ):
            raise _tampered(seq, Reason.SIGNATURE_INVALID, "was not signed by the ledger's key of that time")

    def _advance(self, seq: int, hash_: str) -> None:
        self.head = self.books.head = Head(seq, hash_)

    def _link(self, seq: int, prev_hash: str, digest: bytes, hash_: str) -> None:
        expected = _START if self.head is None else self.head
        if seq != expected.seq + 1 or prev_hash != expected.hash:
            raise _tampered(seq, Reason.CHAIN_BROKEN, f"does not follow entry {expected.seq}")
        if entry_hash(prev_hash, digest) != hash_:
            raise _tampered(seq, Reason.CHAIN_BROKEN, "does not have the hash that stands beside it")


def no_genesis() -> LedgerTampered:
    """The answer to a store without entries: a ledger is created with one."""
    return LedgerTampered(Reason.CHAIN_BROKEN, "The ledger has no first entry.", "Restore a backup.")


def rolled_back() -> LedgerTampered:
    """The answer to a chain that lost entries which somebody has seen."""
    return LedgerTampered(
        Reason.ROLLED_BACK,
        "The ledger does not contain an entry that was there before: it was cut, restored or replaced.",
        "Find out who did, and go on only from the longest copy.",
    )


def _tampered(seq: int, reason: Reason, what: str) -> LedgerTampered:
    return LedgerTampered(
        reason,
        f"Entry {seq} {what}, so no entry from there on proves anything.",
        "Compare with a backup or with the heads in bundles released earlier.",
        seq=seq,
    )
