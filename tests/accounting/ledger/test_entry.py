"""One entry: its bytes, its nonce, its place."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
import rfc8785

from accounting import Ledger, Signer
from accounting.ledger.chain import Chain
from accounting.ledger.entry import (
    Head,
    Kind,
    Row,
    body_digest,
    budget_tag,
    canonical,
    entry_hash,
    seal,
    signed_message,
    stamp,
)
from accounting.ledger.errors import LedgerTampered, Reason
from accounting.ledger.signing import verify


def test_equal_words_have_unlike_digests_so_a_withheld_body_cannot_be_guessed(ledger: Ledger, grant: Any) -> None:
    budget = grant(ledger)
    first, second = (ledger.append("attempt", {"budget_id": budget}) for _ in range(2))
    assert first.body["nonce"] != second.body["nonce"]
    assert len(bytes.fromhex(str(first.body["nonce"]))) == 16
    same_words = dict(second.body) | {"nonce": first.body["nonce"]}
    assert body_digest(canonical(same_words)).hex() != second.withheld().body_digest


def test_an_entry_is_hashed_and_signed_as_documented(ledger: Ledger, signer: Signer, grant: Any) -> None:
    budget = grant(ledger)
    entry = ledger.append("attempt", {"budget_id": budget, "text": "\u00e9 \u2028 \U0001f600"})
    digest = hashlib.sha256(rfc8785.dumps(dict(entry.body))).digest()
    prev = bytes.fromhex(entry.prev_hash)
    hashed = hashlib.sha256(b"dpsynth.entry/1" + prev + digest).digest()
    tag = hmac.new(budget.encode(), b"dpsynth.tag/1" + prev, "sha256").digest()
    assert entry.hash == hashed.hex()
    signature = bytes.fromhex(entry.signature)
    assert verify(signer.public_bytes, signature, b"dpsynth.ledger-signature/1" + tag + hashed)
    assert not verify(signer.public_bytes, signature, hashed)


@pytest.mark.parametrize(
    ("spelling", "thorough"),
    [
        ("{body} ", False),
        ("{body}{body}", False),
        ("[{body}]", False),
        ("not json", False),
        ("[" * 50_000, False),
        (" {body}", True),
        ("pretty", True),
    ],
    ids=["space after", "two bodies", "a list", "text", "deep", "space before", "other spelling"],
)
def test_a_body_in_another_spelling_is_refused_even_from_the_owner(
    ledger: Ledger, signer: Signer, spelling: str, thorough: bool
) -> None:
    genesis = ledger.entries()[0]
    chain = Chain()
    chain.read_disclosed(genesis)
    body = stamp(Kind.POLICY, {"digest": "0"})
    text = canonical(body).decode()
    text = json.dumps(body, indent=1) if spelling == "pretty" else spelling.replace("{body}", text)
    hash_ = entry_hash(genesis.hash, body_digest(text.encode()))
    signature = signer.sign(signed_message(budget_tag(None, genesis.hash), hash_)).hex()
    with pytest.raises(LedgerTampered, match="canonical JSON") as refused:
        chain.read(Row(1, genesis.hash, text, hash_, signature, signer.key_id), thorough=thorough)
    assert refused.value.reason == Reason.MALFORMED


def test_a_sealed_entry_reads_back(ledger: Ledger, signer: Signer) -> None:
    genesis = ledger.entries()[0]
    chain = Chain()
    chain.read_disclosed(genesis)
    row = seal(stamp(Kind.POLICY, {"digest": "0"}), Head(0, genesis.hash), signer)
    assert chain.read(row, thorough=True)["digest"] == "0"
    assert chain.check_head() == Head(1, row.hash)
