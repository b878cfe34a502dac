"""Rules of review: who may say what about which draft, and when.

- A review is by a key of role `review` in use that never signed the ledger; roles are one a key, so it is neither a
  release key nor the generator's: nobody reviews what they made with the same key.
- It is about the evidence that the chain recorded last, the machine's decision included, and signed for this place.
- One reviewer has one vote on one state of the evidence. A sealed vote may be sealed anew until the first is opened.
- A vote is opened only when as many lie sealed as its reviewer asked for, and only to what was sealed.
- An appeal names one rule of the last decision; an approval names exactly the approving votes, and none rejects.
- What was withdrawn is neither reviewed, released nor recorded as a draft again, under any name of its budget; what was
  released is not withdrawn but recalled.
- A recall is signed by a release key in use. How many votes a draft needs is the policy's (`dpsynth.release.states`).

Entries of kind `review` and `recall` without a schema are of ledgers from before there were such rules: notes.
"""

from __future__ import annotations

from accounting.ledger import review as form
from accounting.ledger import signing
from accounting.ledger.amendment import last_hash
from accounting.ledger.books import Books
from accounting.ledger.desk import OnDesk
from accounting.ledger.entry import HEX32, HEX64
from accounting.ledger.errors import LedgerTampered, Reason
from accounting.ledger.records import KeyRecord
from accounting.ledger.review import Step, Vote
from accounting.ledger.rules.grants import budget_of
from accounting.ledger.shape import Body, broken, text

MAX_SEALED = 16

_STAMP = {"kind", "nonce", "time"}
_DRAFT = {"budget_id", "schema", "draft", "draft_digest"}
_ABOUT = _STAMP | _DRAFT | {"documents", "policy_digest", "appeals"}
_SIGNED = {"key_id", "signature"}
_STEPS = {
    Step.VOTE.value: _ABOUT | _SIGNED | {"step", "vote", "reason"},
    Step.SEAL.value: _ABOUT | _SIGNED | {"step", "of", "commitment"},
    Step.OPEN.value: _ABOUT | _SIGNED | {"step", "vote", "reason", "salt"},
}
_APPEAL = _STAMP | _DRAFT | {"decision", "rule", "owner", "reason"}
_APPROVAL = _ABOUT | {"reviews"}
_WITHDRAWAL = _STAMP | _DRAFT | {"reason"}
_RECALL = _STAMP | _SIGNED | {"budget_id", "schema", "ledger_id", "release", "root", "reason", "issued"}


def attempt(books: Books, seq: int, body: Body) -> None:
    """A draft was sealed; where its record is signed, by a key that generates."""
    budget_of(books, seq, body)
    if "generator_key" in body or "signature" in body:
        key = books.keys.get(str(body.get("generator_key")))
        if key is None or key.role != "generate" or key.revoked is not None:
            raise _broken(seq, "a draft whose record names a key that may not generate")
        _check_signed(books, seq, body, key, context=form.ATTEMPT_CONTEXT)
    if books.desk.withdrawn(str(body.get("budget_id")), str(body.get("draft_digest"))) is not None:
        raise _broken(seq, "rows that were withdrawn, recorded as a draft again")
    books.desk.file(seq, body)


def evidence(books: Books, seq: int, body: Body) -> None:
    """A report or a decision on a draft; votes on what there was before are put away."""
    budget_of(books, seq, body)
    books.desk.file(seq, body)


def release(books: Books, seq: int, body: Body) -> None:
    """A bundle is about to leave; not of a draft that was withdrawn."""
    budget_of(books, seq, body)
    found = books.desk.get(str(body.get("budget_id")), str(body.get("draft")))
    if found is not None and found.withdrawn is not None:
        raise _broken(seq, "a release of a draft that was withdrawn")
    books.desk.file(seq, body)


def appeal(books: Books, seq: int, body: Body) -> None:
    """Somebody, by name, asks for one rule of the last decision to be waived, and says why."""
    found = _on_desk(books, seq, body, form.APPEAL_SCHEMA, _APPEAL)
    if body["decision"] != found.documents.get("decision"):
        raise _broken(seq, "an appeal against another decision than the last on its draft")
    rule = text(seq, body, "rule")
    text(seq, body, "owner")
    _reason(seq, body)
    if rule in found.appeals:
        raise _broken(seq, "a second appeal against one rule of one decision")
    books.desk.file(seq, body)


def review(books: Books, seq: int, body: Body) -> None:
    """A vote, open or sealed, or the opening of one."""
    if "schema" not in body:
        budget_of(books, seq, body)
        return
    step = body.get("step")
    fields = _STEPS.get(step) if isinstance(step, str) else None
    if fields is None:
        raise _broken(seq, "a review whose step is none")
    found = _on_desk(books, seq, body, form.SCHEMA, fields)
    _check_about(seq, body, found)
    key = _reviewer(books, seq, body)
    _check_signed(books, seq, body, key)
    if key.key_id in found.votes:
        raise _broken(seq, "a second vote by one reviewer on the same evidence")
    if step == Step.SEAL.value:
        _check_sealed(seq, body, found, key)
    else:
        if body["vote"] not in set(Vote):
            raise _broken(seq, "a review whose vote is none")
        _reason(seq, body)
        if step == Step.OPEN.value:
            _check_opened(books, seq, body, found, key)
        elif key.key_id in found.sealed:
            raise _broken(seq, "an open vote by a reviewer whose vote lies sealed")
    books.desk.file(seq, body)


def approve(books: Books, seq: int, body: Body) -> None:
    """The review is over: exactly the approving votes on the desk, and no rejecting one."""
    found = _on_desk(books, seq, body, form.APPROVAL_SCHEMA, _APPROVAL)
    _check_about(seq, body, found)
    counted: list[int] = [cast.seq for cast in found.by(Vote.APPROVE)]
    if not counted or body["reviews"] != counted or found.by(Vote.REJECT):
        raise _broken(seq, "an approval that is not that of the votes on its draft")
    books.desk.file(seq, body)


def withdraw(books: Books, seq: int, body: Body) -> None:
    """A draft is taken back before it left, for ever."""
    found = _on_desk(books, seq, body, form.WITHDRAWAL_SCHEMA, _WITHDRAWAL)
    if found.releases:
        raise _broken(seq, "a withdrawal of a draft that was released")
    _reason(seq, body)
    books.desk.file(seq, body)


def recall(books: Books, seq: int, body: Body) -> None:
    """A release is called back, by a key that may release."""
    budget = budget_of(books, seq, body)
    if "schema" in body:
        if body["schema"] != form.RECALL_SCHEMA:
            raise broken(seq, Reason.UNKNOWN_SCHEMA, "a recall in a form that this version does not know")
        if body.keys() != _RECALL or body["ledger_id"] != books.ledger_id:
            raise _broken(seq, "a recall with missing or unknown fields, or of another ledger")
        _reason(seq, body)
        if books.desk.of_release(budget.budget_id, text(seq, body, "release")) is None:
            raise _broken(seq, "a recall of what was never released")
        key = books.keys.get(text(seq, body, "key_id"))
        if key is None or key.role != "release" or key.revoked is not None:
            raise _broken(seq, "a recall by a key that may not release")
        if not form.recall_holds(body, key.public_key):
            raise broken(seq, Reason.SIGNATURE_INVALID, "a recall that its key did not sign")
    books.desk.file(seq, body)


def _on_desk(books: Books, seq: int, body: Body, schema: str, fields: set[str]) -> OnDesk:
    """The draft that an entry is about, which must have been sealed and not withdrawn."""
    budget = budget_of(books, seq, body)
    if body.get("schema") != schema:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, f"one in another form than {schema!r}")
    if body.keys() != fields:
        raise _broken(seq, "one with missing or unknown fields")
    found = books.desk.get(budget.budget_id, text(seq, body, "draft"))
    if found is None or found.draft_digest != body["draft_digest"]:
        raise _broken(seq, "one about a draft that was never sealed, or about other rows")
    if found.withdrawn is not None:
        raise _broken(seq, "one about a draft that was withdrawn")
    return found


def _check_about(seq: int, body: Body, found: OnDesk) -> None:
    if any(body[name] != value for name, value in found.evidence().items()):
        raise _broken(seq, "a review of other evidence, another policy or other appeals than the last")
    if found.verdict is None:
        raise _broken(seq, "a review of a draft that the machine has not judged")


def _reviewer(books: Books, seq: int, body: Body) -> KeyRecord:
    key = books.keys.get(text(seq, body, "key_id"))
    ledger_keys = [one.public_key for one in books.ledger_keys]
    if key is None or key.role != "review" or key.revoked is not None or key.public_key in ledger_keys:
        raise _broken(seq, "a review by a key that may not review")
    return key


def _check_signed(books: Books, seq: int, body: Body, key: KeyRecord, context: bytes = form.SCHEMA.encode()) -> None:
    signature = text(seq, body, "signature") if "signature" in body else ""
    said = form.message(ledger_id=books.ledger_id, last_hash=last_hash(books.head), body=body, context=context)
    if not HEX64.fullmatch(signature) or not signing.verify(key.public_key, bytes.fromhex(signature), said):
        raise broken(seq, Reason.SIGNATURE_INVALID, "one that its key did not sign for this place")


def _check_sealed(seq: int, body: Body, found: OnDesk, key: KeyRecord) -> None:
    of = body["of"]
    if isinstance(of, bool) or not isinstance(of, int) or not 1 <= of <= MAX_SEALED:
        raise _broken(seq, f"a sealed vote that waits for other than 1 to {MAX_SEALED}")
    if not HEX32.fullmatch(text(seq, body, "commitment")):
        raise _broken(seq, "a sealed vote whose commitment is not 32 bytes of hex")
    if key.key_id in found.sealed and found.votes:
        raise _broken(seq, "a vote sealed anew after others were opened")


def _check_opened(books: Books, seq: int, body: Body, found: OnDesk, key: KeyRecord) -> None:
    waiting = found.sealed.get(key.key_id)
    if waiting is None:
        raise _broken(seq, "an opening of a vote that was not sealed")
    if len(found.sealed) < waiting.of:
        raise _broken(seq, "a vote opened before the others were sealed")
    salt = text(seq, body, "salt")
    found_commitment = form.sealed(
        ledger_id=books.ledger_id,
        evidence=found.evidence(),
        key_id=key.key_id,
        vote=text(seq, body, "vote"),
        reason=text(seq, body, "reason"),
        salt=salt,
    )
    if not HEX32.fullmatch(salt) or found_commitment != waiting.commitment:
        raise _broken(seq, "an opening of another vote than was sealed")


def _reason(seq: int, body: Body) -> str:
    said = text(seq, body, "reason")
    if not said.strip() or len(said) > form.MAX_REASON:
        raise _broken(seq, f"one whose reason is empty, or longer than {form.MAX_REASON} characters")
    return said


def _broken(seq: int, what: str) -> LedgerTampered:
    return broken(seq, Reason.RULE_BROKEN, what)
