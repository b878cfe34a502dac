"""Ways to tamper with a ledger, as changes to its entries: the same cases for database, export and slice.

`STRANGER`: somebody who can write to the file or to what is sent, and holds no key, or a retired one.
`OWNER`: the holder of the ledger's key, who signs everything anew; only a head kept elsewhere is out of reach.
Each case: how, and the reason that must be given; where surfaces differ, by surface.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.amendment import approval_message
from accounting.ledger.amounts import Grant, parse_delta, parse_epsilon
from accounting.ledger.entry import Head, Kind, body_digest, budget_tag, canonical, entry_hash, signed_message, stamp
from accounting.ledger.errors import Reason
from accounting.ledger.evidence.checkpoint import Checkpoint
from accounting.ledger.rotation import LedgerKey, rotation_fields

Chain = list[dict[str, Any]]
Change = Callable[["Story", Chain], Chain]
Expected = Reason | dict[str, Reason]

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
PLAN = EventTree(events=(PureDP(epsilon="0.1", count=2),), **TERMS)

# Places in the story.
GENESIS, KEY, POLICY, BUDGET, OTHER, RESERVE, OTHER_RUN, ACCESS, COMMIT, OPEN, ROTATE, ATTEMPT, RELEASE = range(13)


@dataclass(frozen=True)
class Story:
    """A genuine chain of two budgets, signed by two keys in turn, and what was kept of it elsewhere."""

    entries: Chain
    keys: tuple[LedgerKey, ...]
    first: Signer
    second: Signer
    approver: Signer
    budget: str
    other: str
    ledger_id: str
    kept: Checkpoint


def tell(path: Path) -> Story:
    """Make the chain with a real ledger."""
    first, second, release = Signer.generate(), Signer.generate(), Signer.generate()
    with Ledger.create(path, signer=first) as ledger:
        key = {"key_id": release.key_id, "public_key": release.public_bytes.hex(), "role": "release"}
        ledger.append("key.add", key)
        ledger.append("policy", {"digest": "5c" * 32})
        budget, other = (
            ledger.create_budget(dataset=f"Zoë's {n}", commitment=f"data-{n}", epsilon="1", delta="1e-6", **TERMS)
            for n in (1, 2)
        )
        about = {"delta": "1e-9", "purpose": "test", "policy_digest": "5c" * 32}
        run = ledger.reserve(budget, PLAN, run_id="run-1", **about)
        ledger.reserve(other, PLAN, run_id="run-2", **about)
        ledger.check_token(run.id, run.token)
        ledger.commit(run.id, PLAN, facts={"rows": "100"})
        ledger.reserve(budget, PLAN, run_id="run-3", **about)
        ledger.rotate(second, "the yearly change")
        ledger.append("attempt", {"budget_id": budget, "draft": "d"})
        ledger.append("release", {"budget_id": budget, "root": "00"})
        approver = Signer.generate()
        key = {"key_id": approver.key_id, "public_key": approver.public_bytes.hex(), "role": "budget"}
        ledger.append("key.add", key)
        entries = [{**entry.to_json(), "body": canonical(entry.body).decode()} for entry in ledger.entries()]
        return Story(
            entries=entries, keys=ledger.ledger_keys(), first=first, second=second, approver=approver, budget=budget,
            other=other, ledger_id=ledger.ledger_id, kept=ledger.checkpoint(),
        )  # fmt: skip


# --- hands ---------------------------------------------------------------------------------------------------------


def _text(old: str, new: str, *places: int) -> Change:
    """Replace words in bodies; hashes and signatures stay."""

    def change(_: Story, chain: Chain) -> Chain:
        for place in places:
            if old not in chain[place]["body"]:
                raise LookupError(f"{old} is not in entry {place}")
            chain[place]["body"] = chain[place]["body"].replace(old, new, 1)
        return chain

    return change


def _field(place: int, name: str, value: Any) -> Change:
    """Set a field beside the body."""
    return lambda _, chain: [entry | {name: value} if i == place else entry for i, entry in enumerate(chain)]


def _put(place: int, name: str, value: Any) -> Change:
    """Set a field of a body, written as the standard library would."""

    def change(_: Story, chain: Chain) -> Chain:
        chain[place]["body"] = json.dumps(json.loads(chain[place]["body"]) | {name: value}, separators=(",", ":"))
        return chain

    return change


def _swap_budgets(story: Story, chain: Chain) -> Chain:
    for entry in chain:
        body = entry["body"].replace(story.budget, "BUDGET").replace(story.other, story.budget)
        entry["body"] = body.replace("BUDGET", story.other)
    return chain


def _renumbered(chain: Chain) -> Chain:
    return [entry | {"seq": seq} for seq, entry in enumerate(chain)]


def _without(place: int) -> Change:
    return lambda _, chain: chain[:place] + chain[place + 1 :]


def linked(chain: Chain, body: str, signer: Signer | None, *, signature: str = "00" * 64, key_id: str = "") -> Chain:
    """One more entry with the right place and hash, signed by whom it may be."""
    last = chain[-1] if chain else {"seq": -1, "hash": "00" * 32}
    hash_ = entry_hash(last["hash"], body_digest(body.encode("utf-8", "surrogatepass")))
    if signer is not None:
        try:
            budget = json.loads(body).get("budget_id")
        except (ValueError, RecursionError, AttributeError):
            budget = None
        tag = budget_tag(budget if isinstance(budget, str) else None, last["hash"])
        signature, key_id = signer.sign(signed_message(tag, hash_)).hex(), signer.key_id
    return [
        *chain,
        {"seq": last["seq"] + 1, "prev_hash": last["hash"], "body": body, "hash": hash_, "signature": signature,
         "key_id": key_id},
    ]  # fmt: skip


def _note(**fields: Any) -> str:
    return canonical(stamp(Kind.POLICY, fields or {"digest": "laxer"})).decode()


def resealed(story: Story, bodies: list[str], by: tuple[Signer, Signer] | None = None) -> Chain:
    """All bodies chained and signed anew, the rotation countersigned for its new place."""
    first, second = by or (story.first, story.second)
    chain: Chain = []
    signer = first
    for text in bodies:
        body = json.loads(text)
        if body["kind"] == "key.rotate":
            body |= rotation_fields(
                ledger_id=json.loads(bodies[0])["ledger_id"], head=Head(chain[-1]["seq"], chain[-1]["hash"]),
                signer=first, new=second, reason=body["reason"], recovery=False)  # fmt: skip
            text = canonical(body).decode()
        chain = linked(chain, text, signer)
        if body["kind"] == "key.rotate":
            signer = second
    return chain


def _anew(change: Change) -> Change:
    """The same change by the owner, who signs everything anew."""
    return lambda story, chain: resealed(story, [entry["body"] for entry in change(story, chain)])


def _more(body: str) -> Change:
    """The owner goes on with an entry that says this, word for word."""
    return lambda story, chain: linked(chain, body, story.second)


def _relinked_replay(story: Story, chain: Chain) -> Chain:
    old = chain[COMMIT]
    return linked(chain, old["body"], None, signature=old["signature"], key_id=old["key_id"])


def _inserted(_: Story, chain: Chain) -> Chain:
    return _renumbered([*linked(chain[:RESERVE], _note(), Signer.generate()), *chain[RESERVE:]])


def _fork(at: int) -> Change:
    """The owner, or who restored a backup, goes on from an earlier entry."""
    return lambda story, chain: linked(chain[:at], _note(), story.first)


def _foreign(story: Story, chain: Chain) -> Chain:
    keys = Signer.generate(), Signer.generate()
    bodies = [entry["body"] for entry in chain]
    bodies[0] = bodies[0].replace(story.first.public_bytes.hex(), keys[0].public_bytes.hex())
    return resealed(story, bodies, keys)


def _mallory(story: Story, chain: Chain) -> Chain:
    return resealed(story, [entry["body"] for entry in chain], (Signer.generate(), Signer.generate()))


def amended(signer: str, *, epsilon: str = "9", signed: str = "", since: int = 0, named: str = "approver") -> Change:
    """The owner writes an amendment: who signed it, for which amount, and how many entries before."""

    def change(story: Story, chain: Chain) -> Chain:
        made = json.loads(chain[BUDGET]["body"])
        before = Grant(epsilon=parse_epsilon("1"), delta=parse_delta("1e-6"))
        after = Grant(epsilon=parse_epsilon(epsilon), delta=parse_delta("1e-6"))
        covered = after if not signed else Grant(epsilon=parse_epsilon(signed), delta=parse_delta("1e-6"))
        said = approval_message(
            ledger_id=story.ledger_id, budget_id=story.budget, before=before, after=covered, reason="more",
            last_hash=chain[-1 - since]["hash"])  # fmt: skip
        fields = {"budget_id": story.budget, "granted": after.to_json(), "filter": made["filter"], "reason": "more",
                  "key_id": getattr(story, named).key_id,
                  "signature": getattr(story, signer).sign(said).hex()}  # fmt: skip
        return linked(chain, canonical(stamp(Kind.BUDGET_AMEND, fields)).decode(), story.second)

    return change


def _deep(levels: int) -> str:
    return _note()[:-1] + ',"note":' + "[" * levels + "]" * levels + "}"


MALFORMED_IN_DOCUMENTS = {"database": Reason.CHAIN_BROKEN, "documents": Reason.MALFORMED}
"""Stored bytes are hashed before they are read; a document is read before it can be hashed."""

STRANGER: dict[str, tuple[Change, Expected]] = {
    "charge of a commit lowered": (_text('"epsilon":"0.2"', '"epsilon":"0.1"', COMMIT), Reason.CHAIN_BROKEN),
    "grant raised": (_text('"epsilon":"1"', '"epsilon":"9"', BUDGET), Reason.CHAIN_BROKEN),
    "plan altered": (_text('"count":2', '"count":9', RESERVE), Reason.CHAIN_BROKEN),
    "committed events altered": (_text('"count":2', '"count":1', COMMIT), Reason.CHAIN_BROKEN),
    "token hash altered": (_put(RESERVE, "token_hash", "00" * 32), Reason.CHAIN_BROKEN),
    "policy digest of a reservation swapped": (_text("5c5c", "0000", RESERVE), Reason.CHAIN_BROKEN),
    "policy digest swapped everywhere": (_text("5c5c", "0000", POLICY, RESERVE, OPEN), Reason.CHAIN_BROKEN),
    "relation exchanged": (_text("add_remove", "replace_one", BUDGET), Reason.CHAIN_BROKEN),
    "two budgets' ids swapped": (_swap_budgets, Reason.CHAIN_BROKEN),
    "public key of the first entry exchanged": (
        _put(GENESIS, "public_key", "11" * 32), {"database": Reason.CHAIN_BROKEN, "documents": Reason.CHAIN_BROKEN}),
    "clock: a claimed time edited": (_put(RESERVE, "time", "2001-01-01T00:00:00Z"), Reason.CHAIN_BROKEN),
    "nonce edited": (_put(RESERVE, "nonce", "0" * 32), Reason.CHAIN_BROKEN),
    "kind edited": (_put(ATTEMPT, "kind", "release"), Reason.CHAIN_BROKEN),
    "name in another Unicode form": (
        lambda s, c: _text("Zoë", unicodedata.normalize("NFD", "Zoë"), BUDGET)(s, c), Reason.CHAIN_BROKEN),
    "float in a body": (_put(COMMIT, "facts", {"rows": 0.5}), MALFORMED_IN_DOCUMENTS),
    "integer beyond 2^53 in a body": (_put(COMMIT, "facts", {"rows": 2**53 + 1}), MALFORMED_IN_DOCUMENTS),
    "integer of four thousand digits": (_put(COMMIT, "facts", {"rows": 10**4000}), MALFORMED_IN_DOCUMENTS),
    "unpaired surrogate in a body": (_put(COMMIT, "facts", {"rows": "\ud800"}), MALFORMED_IN_DOCUMENTS),
    "body nested thirty deep": (_put(COMMIT, "facts", {"rows": json.loads("[" * 30 + "]" * 30)}),
                                MALFORMED_IN_DOCUMENTS),
    "commit dropped": (_without(COMMIT), Reason.CHAIN_BROKEN),
    "commit dropped and the gap closed": (lambda s, c: _renumbered(_without(COMMIT)(s, c)), Reason.CHAIN_BROKEN),
    "first entry dropped": (_without(GENESIS), Reason.CHAIN_BROKEN),
    "rotation dropped": (_without(ROTATE), Reason.CHAIN_BROKEN),
    "two entries exchanged": (
        lambda _, c: _renumbered([*c[:COMMIT], c[OPEN], c[COMMIT], *c[ROTATE:]]), Reason.CHAIN_BROKEN),
    "order reversed": (lambda _, c: _renumbered(c[::-1]), Reason.CHAIN_BROKEN),
    "seq used twice": (lambda _, c: [*c[: COMMIT + 1], c[COMMIT], *c[OPEN:]], Reason.CHAIN_BROKEN),
    "seq negative": (_field(COMMIT, "seq", -1), Reason.CHAIN_BROKEN),
    "commit replayed after the head": (lambda _, c: _renumbered([*c, c[COMMIT]]), Reason.CHAIN_BROKEN),
    "commit replayed and linked": (_relinked_replay, {"database": Reason.RULE_BROKEN, "documents": Reason.RULE_BROKEN}),
    "entry inserted in the middle": (_inserted, Reason.SIGNATURE_INVALID),
    "entry after the head, unsigned": (lambda _, c: linked(c, _note(), None), Reason.SIGNATURE_INVALID),
    "entry after the head, signed by a key of one's own": (
        lambda _, c: linked(c, _note(), Signer.generate()), Reason.SIGNATURE_INVALID),
    "downgraded key: an entry by the retired key": (
        lambda s, c: linked(c, _note(), s.first), Reason.SIGNATURE_INVALID),
    "downgraded key: the retired key's id beside a genuine signature": (
        lambda s, c: _field(RELEASE, "key_id", s.first.key_id)(s, c), Reason.SIGNATURE_INVALID),
    "signature removed": (_field(RELEASE, "signature", ""), Reason.SIGNATURE_INVALID),
    "signature of another entry": (
        lambda s, c: _field(RELEASE, "signature", c[ATTEMPT]["signature"])(s, c), Reason.SIGNATURE_INVALID),
    "signature of an inner entry removed": (_field(COMMIT, "signature", "00" * 64), Reason.SIGNATURE_INVALID),
    "hash edited": (_field(COMMIT, "hash", "0" * 64), Reason.CHAIN_BROKEN),
    "previous hash edited": (_field(COMMIT, "prev_hash", "0" * 64), Reason.CHAIN_BROKEN),
    "signed anew by a key of one's own": (_mallory, {
        "database": Reason.SIGNATURE_INVALID, "documents": Reason.SIGNATURE_INVALID}),
    "signed anew, key of the first entry exchanged too": (_foreign, {
        "database": Reason.ROLLED_BACK, "documents": Reason.FOREIGN_LEDGER}),
    "end cut off": (lambda _, c: c[:COMMIT], {"database": Reason.ROLLED_BACK, "documents": Reason.ROLLED_BACK}),
    "everything cut off": (lambda _, c: [], {"database": Reason.CHAIN_BROKEN, "documents": Reason.HEAD_MISMATCH}),
}  # fmt: skip

OWNER: dict[str, tuple[Change, Expected]] = {
    "backup restored, spent again": (_fork(COMMIT), Reason.ROLLED_BACK),
    "fork right before the rotation": (_fork(ROTATE), Reason.ROLLED_BACK),
    "policy digest swapped, all signed anew": (
        _anew(_text("5c5c", "0000", POLICY, RESERVE, OPEN)), Reason.ROLLED_BACK),
    "token hash altered, all signed anew": (_anew(_put(RESERVE, "token_hash", "00" * 32)), Reason.ROLLED_BACK),
    "clock set back, all signed anew": (_anew(_put(RESERVE, "time", "2001-01-01T00:00:00Z")), Reason.ROLLED_BACK),
    "grant raised, all signed anew": (_anew(_text('"epsilon":"1"', '"epsilon":"9"', BUDGET)), Reason.ROLLED_BACK),
    "two budgets' ids swapped, all signed anew": (_anew(_swap_budgets), Reason.ROLLED_BACK),
    "charge below its guarantee, all signed anew": (
        _anew(_put(COMMIT, "charge", {"delta": "1e-9", "epsilon": "0.1"})),
        Reason.RULE_BROKEN),
    "plan smaller than what was committed, all signed anew": (
        _anew(_text('"count":2', '"count":1', RESERVE)), Reason.PLAN_EXCEEDED),
    "first entry dropped, all signed anew": (
        lambda s, c: _headless(s, c), Reason.RULE_BROKEN),
    "reservation dropped, its commit kept, all signed anew": (_anew(_without(RESERVE)), Reason.RULE_BROKEN),
    "key of the future: a ledger schema that is unknown": (
        _anew(_text("dpsynth.ledger/1", "dpsynth.ledger/9", GENESIS)), Reason.UNKNOWN_SCHEMA),
    "amendment signed by the ledger's own key": (amended("second", named="second"), Reason.RULE_BROKEN),
    "amendment in the approver's name, signed by the ledger's key": (amended("second"), Reason.SIGNATURE_INVALID),
    "amendment to more than the approver signed": (amended("approver", signed="2"), Reason.SIGNATURE_INVALID),
    "amendment whose approval was given at another place": (amended("approver", since=1), Reason.SIGNATURE_INVALID),
    "amendment to less than what is held": (amended("approver", epsilon="0.3"), Reason.OVERSPENT),
    "kind of the future": (_more(_note().replace('"policy"', '"budget.refill"')), Reason.UNKNOWN_KIND),
    "kind that is an import path": (
        _more(_note().replace('"policy"', '"os:system"')), Reason.UNKNOWN_KIND),
    "body with a space in its spelling": (
        _more(_note().replace('":', '": ', 1)), {"database": Reason.MALFORMED, "documents": Reason.CHAIN_BROKEN}),
    "body with fields in another order": (
        lambda s, c: linked(c, json.dumps(dict(reversed(json.loads(_note()).items())), separators=(",", ":")),
                            s.second),
        {"database": Reason.MALFORMED, "documents": Reason.CHAIN_BROKEN}),
    "body that names a field twice": (
        _more(_note()[:-1] + ',"kind":"policy"}'), {"database": Reason.MALFORMED, "documents": Reason.MALFORMED}),
    "letter spelled as an escape": (
        _more(_note().replace("laxer", "\\u006caxer")),
        {"database": Reason.MALFORMED, "documents": Reason.CHAIN_BROKEN}),
    "body that holds a float, signed": (_more(_note()[:-1] + ',"z":0.5}'), Reason.MALFORMED),
    "body nested a hundred thousand deep, signed": (_more(_deep(100_000)), Reason.MALFORMED),
    "body that is no object": (_more("[]"), Reason.MALFORMED),
    "body that is no JSON": (_more("{"), Reason.MALFORMED),
}  # fmt: skip


def _headless(story: Story, chain: Chain) -> Chain:
    made: Chain = []
    for entry in chain[1:ROTATE]:
        made = linked(made, entry["body"], story.first)
    return made
