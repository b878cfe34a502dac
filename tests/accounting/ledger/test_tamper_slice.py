"""Every way we know to lie with a slice, by name, with the reason it must be refused for.

`STRANGER`: somebody between ledger and receiver, without the key. `OWNER`: the holder of the ledger key, who can
sign anything, but not make a receiver's sums come out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger import slice as slice_module
from accounting.ledger.chain import Chain
from accounting.ledger.entry import Head, Kind, body_digest, budget_tag, canonical
from accounting.ledger.errors import LedgerTampered, Reason, SliceRefused
from accounting.ledger.slice import verify_slice

# Positions in the story below.
GENESIS, KEY, BUDGET, OTHER_BUDGET, RESERVE, OTHER_RESERVE, ACCESS, COMMIT, REVOKE, OPEN, ATTEMPT, RELEASE = range(12)


@pytest.fixture
def story(ledger: Ledger, grant: Any, reserve: Any, plan: Any) -> dict[str, Any]:
    """A chain with two budgets, a revoked key, a commit, an open run, an attempt and a release."""
    key = Signer.generate()
    ledger.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": "release"})
    budget, other = grant(ledger, "1"), grant(ledger, "1", commitment="data-2")
    run, other_run = reserve(ledger, budget, 2), reserve(ledger, other)
    ledger.check_token(run.id, run.token)
    ledger.commit(run.id, plan(2), facts={"rows": "100"})
    ledger.append("key.revoke", {"key_id": key.key_id, "reason": "laptop lost"})
    reserve(ledger, budget, 3)
    ledger.append("attempt", {"budget_id": budget, "number": 1})
    ledger.append("release", {"budget_id": budget, "root": "00"})
    return {"ledger": ledger, "budget": budget, "other": other, "run": run, "other_run": other_run}


def _withhold(item: dict[str, Any]) -> None:
    """What `Entry.withheld` does, for an entry that may not be withheld."""
    body = item.pop("body")
    item["body_digest"] = body_digest(canonical(body)).hex()
    item["tag"] = budget_tag(body.get("budget_id"), item["prev_hash"])


def _fake_tag(slice_: dict[str, Any]) -> None:
    _withhold(slice_["entries"][COMMIT])
    slice_["entries"][COMMIT]["tag"] = budget_tag("budget-of-nobody", slice_["entries"][COMMIT]["prev_hash"])


def _truncate(slice_: dict[str, Any]) -> None:
    del slice_["entries"][COMMIT:]
    last = slice_["entries"][-1]
    slice_["head"] = {"seq": last["seq"], "hash": last["hash"]}


def _swap(slice_: dict[str, Any]) -> None:
    items = slice_["entries"]
    items[RESERVE], items[ACCESS] = items[ACCESS], items[RESERVE]


def _set(slice_: dict[str, Any], *path: Any, value: Any) -> None:
    for step in path[:-1]:
        slice_ = slice_[step]
    slice_[path[-1]] = value


def _edit(position: int, *path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda slice_: _set(slice_, "entries", position, *path, value=value)


STRANGER: dict[str, tuple[Callable[[dict[str, Any]], object], Reason]] = {
    "edited epsilon of a commit": (_edit(COMMIT, "body", "charge", "epsilon", value="0.01"), Reason.CHAIN_BROKEN),
    "edited guarantee": (_edit(COMMIT, "body", "guarantee", "epsilon", value="0.01"), Reason.CHAIN_BROKEN),
    "edited grant": (_edit(BUDGET, "body", "granted", "epsilon", value="100"), Reason.CHAIN_BROKEN),
    "edited facts": (_edit(COMMIT, "body", "facts", "rows", value="99"), Reason.CHAIN_BROKEN),
    "edited time": (_edit(RESERVE, "body", "time", value="2001-01-01T00:00:00Z"), Reason.CHAIN_BROKEN),
    "edited nonce": (_edit(RESERVE, "body", "nonce", value="0" * 32), Reason.CHAIN_BROKEN),
    "edited kind": (_edit(ATTEMPT, "body", "kind", value="release"), Reason.CHAIN_BROKEN),
    "edited hash": (_edit(COMMIT, "hash", value="0" * 64), Reason.CHAIN_BROKEN),
    "edited previous hash": (_edit(COMMIT, "prev_hash", value="0" * 64), Reason.CHAIN_BROKEN),
    "edited seq": (_edit(COMMIT, "seq", value=6), Reason.CHAIN_BROKEN),
    "edited digest of a withheld body": (_edit(OTHER_RESERVE, "body_digest", value="0" * 64), Reason.CHAIN_BROKEN),
    "edited tag of a withheld body": (_edit(OTHER_RESERVE, "tag", value="0" * 64), Reason.SIGNATURE_INVALID),
    "tag that is no hex": (_edit(OTHER_RESERVE, "tag", value="x" * 64), Reason.MALFORMED),
    "dropped entry": (lambda s: s["entries"].pop(RESERVE), Reason.CHAIN_BROKEN),
    "dropped attempt": (lambda s: s["entries"].pop(ATTEMPT), Reason.CHAIN_BROKEN),
    "dropped last entry": (lambda s: s["entries"].pop(), Reason.HEAD_MISMATCH),
    "dropped first entry": (lambda s: s["entries"].pop(0), Reason.CHAIN_BROKEN),
    "doubled entry": (lambda s: s["entries"].insert(COMMIT, s["entries"][COMMIT]), Reason.CHAIN_BROKEN),
    "swapped entries": (_swap, Reason.CHAIN_BROKEN),
    "reversed entries": (lambda s: s["entries"].reverse(), Reason.CHAIN_BROKEN),
    "no entries": (lambda s: s["entries"].clear(), Reason.HEAD_MISMATCH),
    "empty signature": (_edit(COMMIT, "signature", value=""), Reason.SIGNATURE_INVALID),
    "signature of another entry": (
        lambda s: _set(s, "entries", COMMIT, "signature", value=s["entries"][RESERVE]["signature"]),
        Reason.SIGNATURE_INVALID,
    ),
    "signature by another key": (
        _edit(COMMIT, "signature", value=Signer.generate().sign(b"x").hex()),
        Reason.SIGNATURE_INVALID,
    ),
    "downgraded key id": (_edit(COMMIT, "key_id", value="0" * 32), Reason.SIGNATURE_INVALID),
    "own commit withheld": (lambda s: _withhold(s["entries"][COMMIT]), Reason.REDACTED_OWN_ENTRY),
    "own open run withheld": (lambda s: _withhold(s["entries"][OPEN]), Reason.REDACTED_OWN_ENTRY),
    "own attempt withheld": (lambda s: _withhold(s["entries"][ATTEMPT]), Reason.REDACTED_OWN_ENTRY),
    "own last entry withheld": (lambda s: _withhold(s["entries"][RELEASE]), Reason.REDACTED_OWN_ENTRY),
    "own commit withheld under a false tag": (_fake_tag, Reason.SIGNATURE_INVALID),
    "key revocation withheld": (lambda s: _withhold(s["entries"][REVOKE]), Reason.REDACTED_GLOBAL_ENTRY),
    "creation of the ledger withheld": (lambda s: _withhold(s["entries"][GENESIS]), Reason.REDACTED_GLOBAL_ENTRY),
    "head of another chain": (lambda s: _set(s, "head", "hash", value="0" * 64), Reason.HEAD_MISMATCH),
    "head further on": (lambda s: _set(s, "head", "seq", value=99), Reason.HEAD_MISMATCH),
    "ledger renamed": (lambda s: _set(s, "ledger_id", value="ledger-0"), Reason.HEAD_MISMATCH),
    "key of the receiver's choice": (lambda s: _set(s, "public_key", value="0" * 64), Reason.FOREIGN_LEDGER),
    "unknown slice schema": (lambda s: _set(s, "schema", value="dpsynth.ledger-slice/2"), Reason.UNKNOWN_SCHEMA),
    "unknown field": (lambda s: _set(s, "note", value="trust me"), Reason.MALFORMED),
    "missing field": (lambda s: s.pop("head"), Reason.MALFORMED),
    "unknown field of an entry": (_edit(COMMIT, "note", value="trust me"), Reason.MALFORMED),
    "both body and digest": (_edit(COMMIT, "body_digest", value="0" * 64), Reason.MALFORMED),
    "entries as an object": (lambda s: _set(s, "entries", value={}), Reason.MALFORMED),
    "entry as text": (_edit(COMMIT, value="x"), Reason.MALFORMED),
    "body as text": (_edit(COMMIT, "body", value="x"), Reason.MALFORMED),
    "seq as a boolean": (_edit(1, "seq", value=True), Reason.MALFORMED),
    "hash as a number": (_edit(COMMIT, "hash", value=1), Reason.MALFORMED),
    "float in a body": (_edit(COMMIT, "body", "facts", "rows", value=0.5), Reason.MALFORMED),
    "head as text": (lambda s: _set(s, "head", value="x"), Reason.MALFORMED),
    "budget id as a number": (lambda s: _set(s, "budget_id", value=1), Reason.MALFORMED),
    "budget of nobody": (lambda s: _set(s, "budget_id", value="budget-0"), Reason.MALFORMED),
}


def test_the_genuine_slice_verifies_and_counts_the_open_run(story: Any, signer: Signer) -> None:
    facts = verify_slice(story["ledger"].slice(story["budget"]), ledger_key=signer.public_bytes)
    balance = facts.balances[story["budget"]]
    assert str(balance.epsilon) == "0.5 left of 1 (spent 0.2, reserved 0.3)"
    assert facts.head == story["ledger"].head()
    assert [item.status for item in facts.reservations] == ["committed", "open"]
    assert (len(facts.commits), len(facts.attempts), len(facts.releases)) == (1, 1, 1)
    assert [key.revoked for key in facts.keys.values()] == [REVOKE]


def test_a_slice_tells_nothing_of_other_budgets_but_how_many_entries(story: Any) -> None:
    text = str(story["ledger"].slice(story["budget"]))
    for secret in (story["other"], story["other_run"].id, "data-2"):
        assert secret not in text


@pytest.mark.parametrize(("change", "reason"), STRANGER.values(), ids=STRANGER.keys())
def test_a_stranger_is_found_out(
    story: Any, signer: Signer, change: Callable[[dict[str, Any]], object], reason: Reason
) -> None:
    lie = copy.deepcopy(story["ledger"].slice(story["budget"]))
    change(lie)
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=signer.public_bytes)
    assert refused.value.reason == reason
    assert str(refused.value).startswith(f"[{reason.value}]")


def test_a_foreign_body_disclosed_is_refused(story: Any, signer: Signer) -> None:
    lie = story["ledger"].slice(story["budget"])
    lie["entries"][OTHER_BUDGET] = story["ledger"].entries()[OTHER_BUDGET].to_json()
    with pytest.raises(SliceRefused, match="another budget") as refused:
        verify_slice(lie, ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.MALFORMED


def test_the_slice_of_one_budget_does_not_pass_for_another(story: Any, signer: Signer) -> None:
    lie = story["ledger"].slice(story["budget"])
    lie["budget_id"] = story["other"]
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=signer.public_bytes)
    assert refused.value.reason in (Reason.MALFORMED, Reason.REDACTED_OWN_ENTRY)


def test_an_oversized_slice_is_refused_before_it_is_read(
    story: Any, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slice_module, "MAX_ENTRIES", 5)
    with pytest.raises(SliceRefused) as refused:
        verify_slice(story["ledger"].slice(story["budget"]), ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.TOO_LARGE


@pytest.mark.parametrize("junk", [None, [], "x", 1, {}, {"schema": "dpsynth.ledger-slice/1"}])
def test_junk_is_refused(junk: Any, signer: Signer) -> None:
    with pytest.raises(SliceRefused):
        verify_slice(junk, ledger_key=signer.public_bytes)


def test_a_truncated_slice_is_found_out_by_a_later_head(story: Any, signer: Signer) -> None:
    lie = copy.deepcopy(story["ledger"].slice(story["budget"]))
    _truncate(lie)
    verify_slice(lie, ledger_key=signer.public_bytes)  # a prefix is a genuine chain: the head must come from elsewhere
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=signer.public_bytes, anchor=story["ledger"].head())
    assert refused.value.reason == Reason.ROLLED_BACK


def test_a_later_slice_runs_through_the_heads_seen_before(story: Any, signer: Signer) -> None:
    earlier = story["ledger"].head()
    story["ledger"].append("checkpoint", {"note": "x"})
    verify_slice(story["ledger"].slice(story["budget"]), ledger_key=signer.public_bytes, anchor=earlier)


def test_a_fork_by_the_owner_shows_between_two_bundles(story: Any, signer: Signer, forger: Any) -> None:
    entries = story["ledger"].entries()
    fork = forger(entries[:COMMIT], signer)
    fork.add("abort", **_about(story), reason="x", data_was_read=True)
    verify_slice(fork.slice(story["budget"]), ledger_key=signer.public_bytes)
    with pytest.raises(SliceRefused, match="seen earlier"):
        verify_slice(
            fork.slice(story["budget"]),
            ledger_key=signer.public_bytes,
            anchor=Head(entries[COMMIT].seq, entries[COMMIT].hash),
        )


def test_another_ledger_is_refused_even_if_it_claims_the_key(story: Any, signer: Signer, forger: Any) -> None:
    mallory = forger(story["ledger"].entries(), Signer.generate())
    mallory.rewrite(lambda bodies: None)  # same words, signed by another
    with pytest.raises(SliceRefused) as refused:
        verify_slice(mallory.slice(story["budget"]), ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.SIGNATURE_INVALID
    mallory.rewrite(lambda bodies: bodies[0].update(public_key=mallory.signer.public_bytes.hex()))
    lie = mallory.slice(story["budget"])
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.FOREIGN_LEDGER
    lie["public_key"] = signer.public_bytes.hex()
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.FOREIGN_LEDGER


def _about(story: Any) -> dict[str, str]:
    return {"budget_id": story["budget"], "reservation_id": story["run"].id}


def _priced(story: Any, epsilon: str) -> dict[str, Any]:
    guarantee = story["run"].guarantee.to_json() | {"epsilon": epsilon}
    return {"guarantee": guarantee, "charge": {"epsilon": epsilon, "delta": "1e-9"}}


def _reserve_body(story: Any, epsilon: str, **changes: Any) -> dict[str, Any]:
    return {
        "budget_id": story["budget"],
        "reservation_id": "run-forged",
        "run_id": "r",
        "purpose": "p",
        "policy_digest": None,
        "plan": story["run"].plan.to_json(),
        "token_hash": "0" * 64,
        **_priced(story, epsilon),
        **changes,
    }


def _commit_body(story: Any, epsilon: str, **changes: Any) -> dict[str, Any]:
    return _about(story) | {"events": story["run"].plan.to_json(), "facts": {}} | _priced(story, epsilon) | changes


def _tree(story: Any, **changes: Any) -> dict[str, Any]:
    return story["run"].plan.to_json() | changes


# name: (keep entries before, kind, fields, reason)
OWNER: dict[str, tuple[int, str, Callable[[Any], dict[str, Any]], Reason]] = {
    "commit without a reservation": (
        RESERVE, "commit", lambda s: _commit_body(s, "0.2"), Reason.RULE_BROKEN),
    "second commit of one reservation": (
        99, "commit", lambda s: _commit_body(s, "0.2"), Reason.RULE_BROKEN),
    "commit on another budget's reservation": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.2", budget_id=s["other"]), Reason.RULE_BROKEN),
    "commit above its reservation": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.21"), Reason.PLAN_EXCEEDED),
    "commit of events beyond the plan": (
        COMMIT, "commit",
        lambda s: _commit_body(s, "0.2", events=_tree(s, events=[{"type": "pure_dp", "epsilon": "0.2", "count": 2}])),
        Reason.PLAN_EXCEEDED),
    "commit charged less than its guarantee": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.2", charge={"epsilon": "0.1", "delta": "1e-9"}),
        Reason.RULE_BROKEN),
    "commit under another relation": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.2", events=_tree(s, relation="replace_one")),
        Reason.RULE_BROKEN),
    "commit with events of another schema": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.2", events=_tree(s, schema="dpsynth.events/9")),
        Reason.UNKNOWN_SCHEMA),
    "commit with an extra field": (
        COMMIT, "commit", lambda s: _commit_body(s, "0.2", refund="1"), Reason.RULE_BROKEN),
    "reservation beyond the grant": (
        99, "reserve", lambda s: _reserve_body(s, "0.51"), Reason.OVERSPENT),
    "reservation beyond the delta": (
        99, "reserve",
        lambda s: _reserve_body(s, "0.1", charge={"epsilon": "0.1", "delta": "1e-5"}), Reason.OVERSPENT),
    "reservation at a negative price": (
        99, "reserve",
        lambda s: _reserve_body(s, "0.1", charge={"epsilon": "-5", "delta": "1e-9"}), Reason.RULE_BROKEN),
    "reservation at no price": (
        99, "reserve", lambda s: _reserve_body(s, "0.1", charge={}), Reason.RULE_BROKEN),
    "reservation for another unit": (
        99, "reserve",
        lambda s: _reserve_body(
            s, "0.1", plan=_tree(s, unit={"kind": "user", "column": "id", "max_records": 2})),
        Reason.RULE_BROKEN),
    "reservation under a used name": (
        99, "reserve", lambda s: _reserve_body(s, "0.1", reservation_id=s["run"].id), Reason.RULE_BROKEN),
    "refund after the token was used": (
        COMMIT, "abort", lambda s: _about(s) | {"reason": "x", "data_was_read": False}, Reason.RULE_BROKEN),
    "refund that is almost a yes": (
        ACCESS, "abort", lambda s: _about(s) | {"reason": "x", "data_was_read": 1}, Reason.RULE_BROKEN),
    "refund that is neither yes nor no": (
        ACCESS, "abort", lambda s: _about(s) | {"reason": "x", "data_was_read": 0}, Reason.RULE_BROKEN),
    "token used twice": (
        COMMIT, "access", _about, Reason.RULE_BROKEN),
    "second budget for the same data": (
        99, "budget.create",
        lambda s: {
            "budget_id": s["budget"] + "b", "dataset": "d", "commitment": "data-1", "relation": "add_remove",
            "unit": "record", "filter": "basic", "granted": {"epsilon": "9", "delta": "0.1"}},
        Reason.RULE_BROKEN),
    "a kind of the future": (
        99, "budget.refill", lambda s: {"budget_id": s["budget"]}, Reason.UNKNOWN_KIND),
    "a filter of the future": (
        BUDGET, "budget.create",
        lambda s: {
            "budget_id": s["budget"], "dataset": "d", "commitment": "data-1", "relation": "add_remove",
            "unit": "record", "filter": "renyi", "granted": {"epsilon": "9", "delta": "0.1"}},
        Reason.UNKNOWN_SCHEMA),
    "a second creation": (
        99, "ledger.create",
        lambda s: {"schema": "dpsynth.ledger/1", "ledger_id": "x", "public_key": "0" * 64}, Reason.RULE_BROKEN),
    "a key under another's id": (
        99, "key.add", lambda s: {"key_id": "0" * 32, "public_key": "1" * 64, "role": "release"},
        Reason.RULE_BROKEN),
}  # fmt: skip


@pytest.mark.parametrize(("before", "kind", "fields", "reason"), OWNER.values(), ids=OWNER.keys())
def test_the_owner_of_the_key_cannot_make_the_sums_come_out(
    story: Any, signer: Signer, forger: Any, before: int, kind: str, fields: Any, reason: Reason
) -> None:
    forged = forger(story["ledger"].entries()[:before], signer)
    forged.add(kind, **fields(story))
    last = forged.entries[-1]
    with pytest.raises(LedgerTampered) as tampered:
        chain = Chain()
        for entry in forged.entries:
            chain.read_disclosed(entry)
    assert (tampered.value.reason, tampered.value.seq) == (reason, last.seq)
    if last.budget_id in (None, story["budget"]):  # else it is withheld from this receiver
        with pytest.raises(SliceRefused) as refused:
            verify_slice(forged.slice(story["budget"]), ledger_key=signer.public_bytes)
        assert (refused.value.reason, refused.value.seq) == (reason, last.seq)


def test_an_unknown_ledger_schema_is_refused(story: Any, signer: Signer, forger: Any) -> None:
    forged = forger(story["ledger"].entries(), signer)
    forged.rewrite(lambda bodies: bodies[0].update(schema="dpsynth.ledger/9"))
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice(story["budget"]), ledger_key=signer.public_bytes)
    assert refused.value.reason == Reason.UNKNOWN_SCHEMA


def test_every_reason_has_a_case() -> None:
    covered = {reason for _, reason in STRANGER.values()} | {case[3] for case in OWNER.values()}
    elsewhere = {Reason.TOO_LARGE, Reason.ROLLED_BACK, Reason.ROTATION_INVALID}  # above, and test_rotation
    assert covered | elsewhere == set(Reason)
    assert len(Kind) == 25
