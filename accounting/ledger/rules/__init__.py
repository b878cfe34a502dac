"""Which entries a chain may hold: one rule per kind, whoever signed it.

`apply` reads bodies in chain order and refuses the first one that breaks a rule:

- the first entry, and only it, creates the ledger; keys come and go by entries of their own (`rules.keys`);
- a budget is created once per data commitment, with relation, unit, filter, epsilon and delta above zero; a part of a
  budget has its relation, unit and filter, and no larger grant (`rules.grants`);
- a grant changes only with the signature of a budget key, and never below what is held (`rules.amendments`);
- a reservation has its budget's relation and unit, is charged at least its own guarantee, and fits into its budget and
  into every budget above: spent + reserved + asked <= limit, in the filter's currency and in delta (`rules.runs`);
- a reservation is closed once: by a commit whose events its plan covers and whose charge it covers; by an abort, free
  only if its token was never used; or by an expiry, which is charged in full;
- until then it counts;
- reviews, appeals, approvals, withdrawals and recalls are about what lies on the reviewers' desk (`rules.reviews`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accounting.errors import AccountingError
from accounting.ledger.books import Books
from accounting.ledger.entry import Kind
from accounting.ledger.errors import LedgerTampered, Reason
from accounting.ledger.rules import amendments, grants, keys, reviews, runs
from accounting.ledger.shape import FIELDS, Body, broken

_RULES: Mapping[Kind, Callable[[Books, int, Body], object]] = {
    Kind.LEDGER_CREATE: keys.create_ledger,
    Kind.KEY_ADD: keys.add_key,
    Kind.KEY_REVOKE: keys.revoke_key,
    Kind.KEY_ROTATE: keys.rotate_key,
    Kind.BUDGET_CREATE: grants.create_root,
    Kind.BUDGET_CHILD: grants.create_child,
    Kind.BUDGET_AMEND: amendments.amend,
    Kind.RESERVE: runs.reserve,
    Kind.ACCESS: runs.access,
    Kind.COMMIT: runs.commit,
    Kind.ABORT: runs.abort,
    Kind.EXPIRE: runs.expire,
    Kind.ATTEMPT: reviews.attempt,
    Kind.ATTACK: reviews.evidence,
    Kind.QUALITY: reviews.evidence,
    Kind.DECISION: reviews.evidence,
    Kind.APPEAL: reviews.appeal,
    Kind.REVIEW: reviews.review,
    Kind.APPROVAL: reviews.approve,
    Kind.WITHDRAWAL: reviews.withdraw,
    Kind.RELEASE: reviews.release,
    Kind.RECALL: reviews.recall,
    Kind.UNPROTECTED: grants.budget_of,
}
_CREATE = Kind.LEDGER_CREATE
_Rule = Callable[[Books, int, Body], object]
# By the text in the body, looked up once for each entry of a long ledger.
_BY_NAME: Mapping[str, tuple[Kind, frozenset[str] | None, _Rule | None]] = {
    kind.value: (kind, FIELDS.get(kind), _RULES.get(kind)) for kind in Kind
}


def apply(books: Books, seq: int, body: Body) -> None:
    """Take one more body into account.

    Raises:
        LedgerTampered: the body breaks a rule; `.reason` and `.seq` say which and where.
    """
    name = body.get("kind")
    known = _BY_NAME.get(name) if isinstance(name, str) else None
    if known is None:
        raise broken(seq, Reason.UNKNOWN_KIND, "an entry of a kind that this version does not know")
    kind, fields, rule = known
    if fields is not None and body.keys() != fields:
        raise broken(seq, Reason.RULE_BROKEN, f"a {kind.value} entry with missing or unknown fields")
    if (seq == 0) != (kind is _CREATE):
        raise broken(seq, Reason.RULE_BROKEN, "a ledger is created by its first entry and by no other")
    try:
        if rule is not None:
            rule(books, seq, body)
    except LedgerTampered:
        raise
    except AccountingError as error:
        raise broken(seq, Reason.RULE_BROKEN, f"a {kind.value} entry that cannot be read: {error}") from error
