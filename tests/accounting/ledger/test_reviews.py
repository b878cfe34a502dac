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
    "a draft whose maker is named and signed nothing": (
        lambda s, _: {
            "kind": "attempt", "budget_id": s["budget"], **BUDGET_ROWS, "document": "01" * 32,
            "generator_key": s["keys"][0].key_id,
        },
        Reason.RULE_BROKEN,
    ),
    "a draft that somebody signed who is not named": (
        lambda s, _: {
            "kind": "attempt", "budget_id": s["budget"], **BUDGET_ROWS, "document": "01" * 32, "signature": "00" * 64,
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


def _other(story: dict[str, Any], kind: str, form_: str, **fields: Any) -> dict[str, Any]:
    """An unsigned entry on the draft."""
    return {"kind": kind, "budget_id": story["budget"], **BUDGET_ROWS, "schema": form_, **fields}


def _sealing(story: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A vote under seal; `changes` before it is signed."""
    kept = {"of": 2, "commitment": "cc" * 32, **changes}
    return _signed_body(story, {"step": "seal", **kept})


def _signed_body(story: dict[str, Any], fields: dict[str, Any], number: int = 0) -> dict[str, Any]:
    ledger, signer = story["ledger"], story["keys"][number]
    about = ledger.desk().get(story["budget"], "draft-1").evidence()
    body = {"kind": "review", "schema": form.SCHEMA, **about, "key_id": signer.key_id, **fields}
    said = form.message(ledger_id=ledger.ledger_id, last_hash=last_hash(ledger.head()), body=body)
    return body | {"signature": signer.sign(said).hex()}


def _resealed(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    """The first to vote sees the other's vote, and then changes their own."""
    _seal(story, 0, "approve")
    other = _seal(story, 1, "approve")
    _open(story, 1, other)
    return _sealing(story)


def _openly_beside_a_seal(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    _seal(story, 0, "return")
    return _body(story)


def _opened_otherwise(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    kept, _other_vote = _seal(story, 0, "return"), _seal(story, 1, "approve")
    return _body(story, step="open", salt=kept.salt, vote="approve")


def _appealed(story: dict[str, Any], **changes: Any) -> dict[str, Any]:
    asked = {"decision": "03" * 32, "rule": "quality", "owner": "C. Owner", "reason": "why not", **changes}
    return _other(story, "appeal", form.APPEAL_SCHEMA, **asked)


def _appealed_twice(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    story["ledger"].appeal(story["budget"], "draft-1", rule="quality", owner="C", reason="why not")
    return _appealed(story)


def _approval(story: dict[str, Any], *votes: str, reviews: Callable[[list[int]], list[int]] = list) -> dict[str, Any]:
    cast = [_vote(story, number, vote=vote).seq for number, vote in enumerate(votes)]
    counted = [seq for seq, vote in zip(cast, votes, strict=True) if vote == "approve"]
    about = story["ledger"].desk().get(story["budget"], "draft-1").evidence()
    return {"kind": "approval", "schema": form.APPROVAL_SCHEMA, "reviews": reviews(counted), **about}


def _unjudged(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    story["ledger"].append("attack", {"budget_id": story["budget"], **BUDGET_ROWS, "document": "09" * 32,
                                      "verdict": "pass"})  # fmt: skip
    return _body(story)


def _released(story: dict[str, Any]) -> None:
    body = {"budget_id": story["budget"], **BUDGET_ROWS, "release": "release-1", "root": "00" * 32}
    story["ledger"].append("release", body)


def _withdrawn(story: dict[str, Any], late: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Something about a draft, written after it was taken back."""
    body = late()
    story["ledger"].withdraw(story["budget"], "draft-1", reason="a mistake")
    return body


def _withdrawn_after_release(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    _released(story)
    return _other(story, "withdrawal", form.WITHDRAWAL_SCHEMA, reason="a mistake")


def _recalled(story: dict[str, Any], *, role: str = "release", revoked: bool = False, named: str = "release-1",
              altered: bool = False, **changes: Any) -> dict[str, Any]:  # fmt: skip
    key = Signer.generate()
    _add(story["ledger"], key, role)
    _released(story)
    notice = form.recall_notice(ledger_id=story["ledger"].ledger_id, release=named, root="00" * 32, reason="r",
                                issued="2026-11-23T08:00:00Z", signer=key)  # fmt: skip
    if revoked:
        story["ledger"].append("key.revoke", {"key_id": key.key_id, "reason": "lost"})
    notice |= {"reason": "another"} if altered else {}
    return {"kind": "recall", "budget_id": story["budget"], **notice, **changes}


def _generated(story: dict[str, Any], *, role: str = "generate", revoked: bool = False) -> dict[str, Any]:
    """A draft's record, with a signature of zeros by a key of a role."""
    key = Signer.generate()
    _add(story["ledger"], key, role)
    if revoked:
        story["ledger"].append("key.revoke", {"key_id": key.key_id, "reason": "lost"})
    return {"kind": "attempt", "budget_id": story["budget"], **BUDGET_ROWS, "document": "01" * 32,
            "generator_key": key.key_id, "signature": "00" * 64}  # fmt: skip


def _revoked_reviewer(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    story["ledger"].append("key.revoke", {"key_id": story["keys"][0].key_id, "reason": "left"})
    return _body(story)


def _not_a_reviewer(story: dict[str, Any], _: Signer) -> dict[str, Any]:
    key = Signer.generate()
    _add(story["ledger"], key, "release")
    return _body(story, key=key)


FORGED |= {
    name: (make, Reason.RULE_BROKEN)
    for name, make in {
        "a vote by a key of another role": _not_a_reviewer,
        "a vote by a key that was revoked": _revoked_reviewer,
        "a vote on evidence that the machine has not judged": _unjudged,
        "a review whose step is none": lambda s, _: _body(s, step="hint"),
        "a review whose step is a list": lambda s, _: _body(s, step=["vote"]),
        "an open vote beside a sealed one": _openly_beside_a_seal,
        "a vote sealed anew after another was opened": _resealed,
        "a sealed vote that waits for nobody": lambda s, _: _sealing(s, of=0),
        "a sealed vote that waits for a crowd": lambda s, _: _sealing(s, of=17),
        "a sealed vote that waits for true": lambda s, _: _sealing(s, of=True),
        "a sealed vote that waits for a word": lambda s, _: _sealing(s, of="2"),
        "a sealed vote whose digest is none": lambda s, _: _sealing(s, commitment="approve"),
        "an opening of what nobody sealed": lambda s, _: _body(s, step="open", salt="11" * 32),
        "an opening of another vote": _opened_otherwise,
        "a vote whose reason fills more than a page": lambda s, _: _body(s, reason="x" * 2001),
        "an approval that leaves a vote out": lambda s, _: _approval(s, "approve", "approve", reviews=lambda n: n[:1]),
        "an approval over a rejection": lambda s, _: _approval(s, "approve", "approve", "reject"),
        "an appeal against another decision": lambda s, _: _appealed(s, decision="04" * 32),
        "an appeal by nobody": lambda s, _: _appealed(s, owner=5),
        "an appeal without a rule": lambda s, _: _appealed(s, rule=None),
        "an appeal without a reason": lambda s, _: _appealed(s, reason=""),
        "a second appeal against one rule": _appealed_twice,
        "a withdrawal of what was released": _withdrawn_after_release,
        "a withdrawal without a reason": lambda s, _: _other(s, "withdrawal", form.WITHDRAWAL_SCHEMA, reason=" "),
        "a second withdrawal": lambda s, _: _withdrawn(
            s, lambda: _other(s, "withdrawal", form.WITHDRAWAL_SCHEMA, reason="again")
        ),
        "an appeal for what was withdrawn": lambda s, _: _withdrawn(s, lambda: _appealed(s)),
        "a release of what was withdrawn": lambda s, _: _withdrawn(
            s, lambda: {"kind": "release", "budget_id": s["budget"], **BUDGET_ROWS, "release": "r", "root": "00" * 32}
        ),
        "a recall of what was never released": lambda s, _: _recalled(s, named="release-2"),
        "a recall by a revoked key": lambda s, _: _recalled(s, revoked=True),
        "a recall by a key of another role": lambda s, _: _recalled(s, role="review"),
        "a recall of another ledger": lambda s, _: _recalled(s, ledger_id="ledger-other"),
        "a recall with a field too many": lambda s, _: _recalled(s, note="x"),
        "a draft by a key that may not generate": lambda s, _: _generated(s, role="release"),
        "a draft by a generator's key that was revoked": lambda s, _: _generated(s, revoked=True),
    }.items()
} | {
    "a draft that its generator did not sign": (lambda s, _: _generated(s), Reason.SIGNATURE_INVALID),
    "a recall in other words than were signed": (lambda s, _: _recalled(s, altered=True), Reason.SIGNATURE_INVALID),
    "a recall in a form of tomorrow": (
        lambda s, _: _recalled(s, schema="dpsynth.recall/9"), Reason.UNKNOWN_SCHEMA
    ),
    "an appeal in a form of tomorrow": (lambda s, _: _appealed(s, schema="dpsynth.appeal/9"), Reason.UNKNOWN_SCHEMA),
}  # fmt: skip


GENUINE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "an appeal": _appealed,
    "a sealed vote": _sealing,
    "a sealed vote that waits for sixteen": lambda s: _sealing(s, of=16),
    "a reason of a page": lambda s: _body(s, reason="x" * 2000),
    "an approval": lambda s: _approval(s, "approve", "approve", "return"),
    "a withdrawal": lambda s: _other(s, "withdrawal", form.WITHDRAWAL_SCHEMA, reason="a mistake"),
    "a recall": _recalled,
}


@pytest.mark.parametrize("name", GENUINE)
def test_the_forger_writes_these_as_they_are_written(
    story: dict[str, Any], forger: Any, signer: Signer, name: str
) -> None:
    """So what is refused is refused for what was changed in it."""
    body = GENUINE[name](story)
    forged = forger(story["ledger"].entries(), signer)
    forged.add(
        str(body["kind"]), **{name: value for name, value in body.items() if name not in ("kind", "nonce", "time")}
    )
    verify_slice(forged.slice(story["budget"]), ledger_key=signer.public_bytes)


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
