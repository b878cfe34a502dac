"""Reviews in the chain: forged, replayed, opened early or otherwise; each is refused by every reader of the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger import review as form
from accounting.ledger.amendment import last_hash
from accounting.ledger.entry import Entry, Head, Kind
from accounting.ledger.errors import KeyRefused, Reason, ReviewRefused, SliceRefused
from accounting.ledger.slice import verify_slice

BUDGET_ROWS = {"draft": "draft-1", "draft_digest": "aa" * 32}


def _add(ledger: Ledger, key: Signer, role: str) -> None:
    ledger.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": role})


def _evidence(ledger: Ledger, budget: str, *, policy: str = "0b" * 32, **draft: str) -> None:
    about = {"budget_id": budget, **BUDGET_ROWS, **draft}
    ledger.append("attempt", {**about, "run_id": "r", "reservation_id": "x", "document": "01" * 32})
    ledger.append("attack", {**about, "document": "02" * 32, "verdict": "pass"})
    ledger.append("decision", {**about, "document": "03" * 32, "decision": "ship", "policy_digest": policy})


@pytest.fixture
def story(ledger: Ledger, grant: Callable[..., str]) -> dict[str, Any]:
    """A judged draft, and two reviewers."""
    budget = grant(ledger)
    keys = [Signer.generate() for _ in range(3)]
    for key in keys:
        _add(ledger, key, "review")
    _evidence(ledger, budget)
    return {"ledger": ledger, "budget": budget, "keys": keys}


def _vote(story: dict[str, Any], number: int = 0, **changes: Any) -> Entry:
    asked = {"vote": "approve", "reason": "looked", "reviewer": story["keys"][number], **changes}
    return story["ledger"].review(story["budget"], "draft-1", **asked)


def _refuses(story: dict[str, Any], forger: Any, signer: Signer, body: dict[str, Any], reason: Reason) -> None:
    """The ledger's owner signs the entry; a receiver's check of the slice names it."""
    forged = forger(story["ledger"].entries(), signer)
    forged.add(
        str(body["kind"]), **{name: value for name, value in body.items() if name not in ("kind", "nonce", "time")}
    )
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice(story["budget"]), ledger_key=signer.public_bytes)
    assert (refused.value.reason, refused.value.seq) == (reason, forged.entries[-1].seq)


def _body(
    story: dict[str, Any], *, key: Signer | None = None, head: Head | None = None, **changes: Any
) -> dict[str, Any]:
    """A vote as the code writes it, signed by `key` for the place after `head`."""
    ledger, signer = story["ledger"], key or story["keys"][0]
    about = ledger.desk().get(story["budget"], "draft-1").evidence()
    body: dict[str, Any] = {
        "kind": "review", "schema": form.SCHEMA, **about, "step": "vote", "vote": "approve", "reason": "looked",
        "key_id": signer.key_id, **changes,
    }  # fmt: skip
    said = form.message(ledger_id=ledger.ledger_id, last_hash=last_hash(head or ledger.head()), body=body)
    return body | {"signature": signer.sign(said).hex()}


def test_a_vote_as_written_is_accepted(story: dict[str, Any], forger: Any, signer: Signer) -> None:
    """The forger's way of writing one is right, so what is refused below is refused for its own reason."""
    forged = forger(story["ledger"].entries(), signer)
    body = _body(story)
    forged.add("review", **{name: value for name, value in body.items() if name != "kind"})
    verify_slice(forged.slice(story["budget"]), ledger_key=signer.public_bytes)


def _forged(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    return _body(story) | {"signature": "00" * 64}


def _turned_round(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    return _body(story, vote="reject") | {"vote": "approve"}


def _other_words(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    return _body(story) | {"reason": "I love it"}


def _in_another_name(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    return _body(story) | {"key_id": story["keys"][1].key_id}


def _earlier_place(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    before = story["ledger"].entries()[-2]
    return _body(story, head=Head(before.seq, before.hash))


def _other_ledger(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    body = _body(story)
    said = form.message(ledger_id="ledger-other", last_hash=last_hash(story["ledger"].head()), body=body)
    return body | {"signature": story["keys"][0].sign(said).hex()}


FORGED: dict[str, tuple[Callable[[dict[str, Any], Signer], dict[str, Any]], Reason]] = {
    "a vote that nobody signed": (_forged, Reason.SIGNATURE_INVALID),
    "a rejection turned into an approval": (_turned_round, Reason.SIGNATURE_INVALID),
    "other words in a reviewer's mouth": (_other_words, Reason.SIGNATURE_INVALID),
    "a vote in another reviewer's name": (_in_another_name, Reason.SIGNATURE_INVALID),
    "a vote that was signed for an earlier place": (_earlier_place, Reason.SIGNATURE_INVALID),
    "a vote that was signed for another ledger": (_other_ledger, Reason.SIGNATURE_INVALID),
    "a vote by the ledger's own key": (lambda s, owner: _body(s, key=owner), Reason.RULE_BROKEN),
    "a vote by a key that nobody knows": (lambda s, _: _body(s, key=Signer.generate()), Reason.RULE_BROKEN),
    "a vote on another draft": (lambda s, _: _body(s, draft="draft-2"), Reason.RULE_BROKEN),
    "a vote on other rows": (lambda s, _: _body(s, draft_digest="bb" * 32), Reason.RULE_BROKEN),
    "a vote under another policy": (lambda s, _: _body(s, policy_digest="0c" * 32), Reason.RULE_BROKEN),
    "a vote on another attack report": (
        lambda s, _: _body(s, documents={"attempt": "01" * 32, "attack": "ff" * 32, "decision": "03" * 32}),
        Reason.RULE_BROKEN,
    ),
    "a vote that saw an appeal which nobody made": (lambda s, _: _body(s, appeals=[1]), Reason.RULE_BROKEN),
    "a vote for what is no vote": (lambda s, _: _body(s, vote="maybe"), Reason.RULE_BROKEN),
    "a vote without a reason": (lambda s, _: _body(s, reason=" "), Reason.RULE_BROKEN),
    "a review with a field too many": (lambda s, _: _body(s, weight=2), Reason.RULE_BROKEN),
    "a review in a form of tomorrow": (lambda s, _: _body(s, schema="dpsynth.review/9"), Reason.UNKNOWN_SCHEMA),
    "an approval without votes": (
        lambda s, _: {
            "kind": "approval", "schema": form.APPROVAL_SCHEMA, "reviews": [],
            **s["ledger"].desk().get(s["budget"], "draft-1").evidence(),
        },
        Reason.RULE_BROKEN,
    ),
    "an approval that counts votes which are none": (
        lambda s, _: {
            "kind": "approval", "schema": form.APPROVAL_SCHEMA, "reviews": [1, 2],
            **s["ledger"].desk().get(s["budget"], "draft-1").evidence(),
        },
        Reason.RULE_BROKEN,
    ),
    "a draft in the name of a generator who did not make it": (
        lambda s, _: {
            "kind": "attempt", "budget_id": s["budget"], **BUDGET_ROWS, "document": "01" * 32,
            "generator_key": s["keys"][0].key_id, "signature": "00" * 64,
        },
        Reason.RULE_BROKEN,
    ),
    "a recall that no release key signed": (
        lambda s, _: {
            "kind": "recall", "budget_id": s["budget"],
            **form.recall_notice(ledger_id=s["ledger"].ledger_id, release="release-1", root="00", reason="r",
                                 issued="2026-11-23T08:00:00Z", signer=s["keys"][0]),
        },
        Reason.RULE_BROKEN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_an_owner_who_writes_one_is_found(story: dict[str, Any], forger: Any, signer: Signer, name: str) -> None:
    make, reason = FORGED[name]
    _refuses(story, forger, signer, make(story, signer), reason)


def test_a_genuine_vote_is_good_once_and_for_its_own_place(story: dict[str, Any], forger: Any, signer: Signer) -> None:
    """Replay: the very bytes of a vote, after the evidence changed to something else and back."""
    kept = dict(_vote(story).body)
    _evidence(story["ledger"], story["budget"])
    _refuses(story, forger, signer, kept, Reason.SIGNATURE_INVALID)


def test_a_second_vote_by_one_key_is_refused_by_readers_too(story: dict[str, Any], forger: Any, signer: Signer) -> None:
    _vote(story)
    _refuses(story, forger, signer, _body(story), Reason.RULE_BROKEN)


# --- blinding ---


def _seal(story: dict[str, Any], number: int, vote: str, of: int = 2) -> Any:
    return story["ledger"].seal_vote(
        story["budget"], "draft-1", vote=vote, reason="looked", of=of, reviewer=story["keys"][number]
    )


def _open(story: dict[str, Any], number: int, kept: Any, **changes: Any) -> Entry:
    said = {"vote": kept.vote, "reason": kept.reason, "salt": kept.salt, **changes}
    return story["ledger"].open_vote(story["budget"], "draft-1", reviewer=story["keys"][number], **said)


def test_a_sealed_vote_tells_nothing(story: dict[str, Any]) -> None:
    """What the chain holds is the same for every vote but for 32 bytes that a random salt decides."""
    bodies = [dict(_seal(story, 0, vote).entry.body) for vote in ("approve", "approve", "reject")]
    hidden = [body.pop("commitment") for body in bodies]
    assert len(set(hidden)) == 3
    for body in bodies:
        for name in ("nonce", "time", "signature"):
            body.pop(name)
    assert bodies[0] == bodies[1] == bodies[2]
    assert not any(word in str(bodies[2]) for word in ("approve", "return", "reject", "looked"))


@pytest.mark.parametrize("changes", [{"vote": "approve"}, {"reason": "other words"}, {"salt": "11" * 32}])
def test_a_sealed_vote_cannot_be_opened_otherwise(story: dict[str, Any], changes: dict[str, str]) -> None:
    kept, _ = _seal(story, 0, "return"), _seal(story, 1, "approve")
    with pytest.raises(Exception, match="another vote than was sealed"):
        _open(story, 0, kept, **changes)
    _open(story, 0, kept)


def test_no_vote_is_opened_before_all_are_in(story: dict[str, Any], forger: Any, signer: Signer) -> None:
    kept = _seal(story, 0, "approve")
    with pytest.raises(ReviewRefused, match="Expected 2 sealed votes"):
        _open(story, 0, kept)
    early = _body(story, step="open", salt=kept.salt)
    _refuses(story, forger, signer, early, Reason.RULE_BROKEN)


def test_a_sealed_vote_is_exchanged_only_before_the_first_is_opened(story: dict[str, Any]) -> None:
    _seal(story, 0, "approve")
    again, other = _seal(story, 0, "return"), _seal(story, 1, "approve")
    _open(story, 1, other)
    with pytest.raises(ReviewRefused, match="opened already"):
        _seal(story, 0, "approve")
    assert _open(story, 0, again).body["vote"] == "return"


def test_whose_vote_lies_sealed_does_not_vote_openly(story: dict[str, Any]) -> None:
    _seal(story, 0, "return")
    with pytest.raises(ReviewRefused, match="lies sealed"):
        _vote(story, 0)


def test_new_evidence_puts_sealed_votes_away(story: dict[str, Any]) -> None:
    kept, _ = _seal(story, 0, "approve"), _seal(story, 1, "approve")
    _evidence(story["ledger"], story["budget"])
    with pytest.raises(ReviewRefused, match="something"):
        _open(story, 0, kept)


# --- old ledgers, and every reader ---


def test_reviews_and_recalls_from_before_there_were_rules_stay_valid_and_count_for_nothing(
    story: dict[str, Any],
) -> None:
    ledger, budget = story["ledger"], story["budget"]
    ledger.append("review", {"budget_id": budget, "draft": "draft-1", "vote": "approve", "by": "somebody"})
    ledger.append("recall", {"budget_id": budget, "release": "release-9", "reason": "old form"})
    ledger.verify(all_signatures=True)  # and they count for nothing
    assert not ledger.desk().get(budget, "draft-1").votes


def test_a_slice_shows_the_same_desk_as_the_ledger(story: dict[str, Any], signer: Signer) -> None:
    from accounting.ledger.desk import Desk

    _vote(story, 0)
    _vote(story, 1, vote="return")
    story["ledger"].appeal(story["budget"], "draft-1", rule="quality", owner="C", reason="why not")
    _vote(story, 2)
    known = verify_slice(story["ledger"].slice(story["budget"]), ledger_key=signer.public_bytes)
    assert Desk(known.entries).get(story["budget"], "draft-1") == story["ledger"].desk().get(story["budget"], "draft-1")
    assert Kind.APPEAL in {entry.kind for entry in known.entries}


def test_a_reader_without_a_key_writes_nothing(story: dict[str, Any], location: Any) -> None:
    from accounting.ledger.errors import LedgerReadOnly

    with Ledger.open(location) as reader, pytest.raises(LedgerReadOnly):
        reader.review(story["budget"], "draft-1", vote="approve", reason="r", reviewer=story["keys"][0])


@pytest.mark.parametrize("vote", ["maybe", "", "APPROVE"])
def test_a_vote_is_one_of_three(story: dict[str, Any], vote: str) -> None:
    with pytest.raises(ReviewRefused, match="Expected a vote"):
        _vote(story, vote=vote)


def test_a_reason_is_there_and_fits_a_page(story: dict[str, Any]) -> None:
    for reason in ("", "  ", "x" * (form.MAX_REASON + 1)):
        with pytest.raises(ReviewRefused, match="reason"):
            _vote(story, reason=reason)


def test_revoked_keys_vote_no_more(story: dict[str, Any]) -> None:
    story["ledger"].append("key.revoke", {"key_id": story["keys"][0].key_id, "reason": "left"})
    with pytest.raises(KeyRefused, match="revoked"):
        _vote(story)
