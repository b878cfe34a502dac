"""What a receiver checks about a budget and all that it is part of, from a slice and a public key alone.

A slice is the whole chain with the bodies of other families withheld; a family is a root budget with its parts. From it
follows, without trust in whoever sent it: which ledger this is, that no entry was altered, dropped, reordered or added,
that the family's every entry up to the head is shown, that commits stay inside their plans, and that the sums stay
inside every grant up to the root's. Reservations that were never committed count as spent. Order of the checks:

1. shape, schema and size, before anything is computed;
2. the first entry names the key that the slice says;
3. each entry: place, hash, signature by the key in force there, rules of the books (`accounting.ledger.chain`);
4. a withheld entry must not carry this family's tag, nor the tag of entries that everybody may see;
5. `ledger_key`, which the receiver already trusts, is the first key or one that it was rotated to
   (`accounting.ledger.rotation` says what each proves);
6. the last entry is the head that the slice claims, and the chain runs through `anchor`, if one is given.

Standard library, `cryptography` and `rfc8785` only; no database.

Not guaranteed: that the ledger's owner did not sign a second chain, or go on after this head. Compare heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from accounting.ledger.balance import Balance
from accounting.ledger.chain import Chain
from accounting.ledger.entry import GLOBAL_KINDS, HEX32, JSON, Entry, Head, Kind, Withheld, budget_tag
from accounting.ledger.errors import LedgerTampered, Reason, SliceRefused
from accounting.ledger.records import BudgetRecord, KeyRecord, ReservationRecord
from accounting.ledger.rotation import LedgerKey

SCHEMA = "dpsynth.ledger-slice/1"
MAX_ENTRIES = 200_000

_FIELDS = frozenset({"schema", "ledger_id", "public_key", "budget_id", "head", "entries"})
_LINK = frozenset({"seq", "prev_hash", "hash", "signature", "key_id"})
_DISCLOSED = _LINK | {"body"}
_WITHHELD = _LINK | {"body_digest", "tag"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFacts:
    """What a slice proves.

    Attributes:
        ledger_id: random name of the ledger, from its first entry.
        head: last entry of the chain shown.
        budget_id: the budget that the slice was made for.
        budgets: its family by id: the root, and all parts of it.
        balances: of each; reservations never committed are in `reserved`.
        reservations: every run that claimed budget, in order: one per attempt.
        keys: release, review, budget and recovery keys by id, revoked ones with the entry that revoked them.
        ledger_keys: the first key of the ledger and its successors, each with the first entry that it signs.
        entries: all disclosed entries, in order.
    """

    ledger_id: str
    head: Head
    budget_id: str
    budgets: Mapping[str, BudgetRecord]
    balances: Mapping[str, Balance]
    reservations: tuple[ReservationRecord, ...]
    keys: Mapping[str, KeyRecord]
    ledger_keys: tuple[LedgerKey, ...]
    entries: tuple[Entry, ...]

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """Disclosed entries of one kind, in order."""
        return tuple(entry for entry in self.entries if entry.kind is kind)

    @property
    def root(self) -> BudgetRecord:
        """The whole that the slice's budget is part of, or that budget itself."""
        return self.budgets[self.budgets[self.budget_id].root]

    @property
    def commits(self) -> tuple[Entry, ...]:
        """What was spent: events, guarantee, charge and facts in each body."""
        return self.of(Kind.COMMIT)

    @property
    def attempts(self) -> tuple[Entry, ...]:
        """Recorded attempts at a release."""
        return self.of(Kind.ATTEMPT)

    @property
    def releases(self) -> tuple[Entry, ...]:
        """Recorded releases."""
        return self.of(Kind.RELEASE)


def make_slice(entries: list[Entry], books_id: str, public_key: bytes, budget_id: str) -> dict[str, JSON]:
    """The slice of one budget's family from the whole chain."""
    roots = _roots(dict(entry.body) for entry in entries)
    shown: list[JSON] = []
    for entry in entries:
        family = roots.get(entry.budget_id or "")
        if (family is not None and family == roots.get(budget_id)) or entry.kind in GLOBAL_KINDS:
            shown.append(entry.to_json())
        else:
            shown.append(cast("dict[str, JSON]", entry.withheld(family)._asdict()))
    return {
        "schema": SCHEMA,
        "ledger_id": books_id,
        "public_key": public_key.hex(),
        "budget_id": budget_id,
        "head": {"seq": entries[-1].seq, "hash": entries[-1].hash},
        "entries": shown,
    }


def verify_slice(slice: Mapping[str, object], *, ledger_key: bytes, anchor: Head | None = None) -> SliceFacts:  # noqa: A002
    """Check a slice against a public key that the receiver trusts.

    Args:
        slice: parsed JSON, untrusted.
        ledger_key: raw Ed25519 public key of the ledger, 32 bytes: the first, or one that it was rotated to.
        anchor: a head seen earlier (another bundle, a checkpoint) that this chain must run through.

    Raises:
        SliceRefused: with the `Reason` of the first thing that is wrong.
    """
    budget_id, claimed, items = _shape(slice)
    # Whose tag to look for; the bodies are not checked yet, so the books must say the same in the end.
    family = _roots(item.get("body") for item in items).get(budget_id, budget_id)
    chain, disclosed, anchored = Chain(), [], anchor is None
    try:
        for position, item in enumerate(items):
            if item.keys() == _DISCLOSED:
                disclosed.append(_read_disclosed(chain, item, family))
            else:
                _read_withheld(chain, item, position, family)
            if position == 0 and chain.books.public_key.hex() != slice["public_key"]:
                raise _refused(Reason.FOREIGN_LEDGER, "The chain's first entry names another key.", 0)
            anchored = anchored or chain.head == anchor
    except LedgerTampered as error:
        raise _refused(error.reason, error.message.partition("] ")[2], error.seq) from error
    books = chain.books
    if items and all(key.public_key != ledger_key for key in books.ledger_keys):
        raise _refused(Reason.FOREIGN_LEDGER, "The slice is of a ledger with another key.")
    if chain.head is None or chain.head != claimed or slice["ledger_id"] != books.ledger_id:
        raise _refused(Reason.HEAD_MISMATCH, "The chain does not end, or begin, where the slice says it does.")
    if not anchored:
        raise _refused(Reason.ROLLED_BACK, "The chain does not contain a head that was seen earlier.")
    if budget_id not in books.budgets or books.budgets[budget_id].root != family:
        raise _refused(Reason.MALFORMED, "The slice does not show the creation of its budget.")
    return SliceFacts(
        ledger_id=books.ledger_id,
        head=chain.head,
        budget_id=budget_id,
        budgets=dict(books.budgets),
        balances={name: books.balance(name) for name in books.budgets},
        reservations=tuple(books.reservations.values()),
        keys=dict(books.keys),
        ledger_keys=tuple(books.ledger_keys),
        entries=tuple(disclosed),
    )


def _shape(slice_: Mapping[str, object]) -> tuple[str, Head, list[dict[str, object]]]:
    if not isinstance(slice_, Mapping):
        raise _refused(Reason.MALFORMED, "The slice is not a JSON object.")
    if slice_.get("schema") != SCHEMA:
        raise _refused(Reason.UNKNOWN_SCHEMA, f"Expected schema {SCHEMA!r}.")
    if slice_.keys() != _FIELDS:
        raise _refused(Reason.MALFORMED, "The slice has missing or unknown fields.")
    budget_id, head, items = slice_["budget_id"], slice_["head"], slice_["entries"]
    if not isinstance(budget_id, str) or not isinstance(head, dict) or not isinstance(items, list):
        raise _refused(Reason.MALFORMED, "The slice's budget_id, head or entries have the wrong type.")
    if head.keys() != {"seq", "hash"} or type(head["seq"]) is not int or not isinstance(head["hash"], str):
        raise _refused(Reason.MALFORMED, "The slice's head is not a seq and a hash.")
    if len(items) > MAX_ENTRIES:
        raise _refused(Reason.TOO_LARGE, f"The slice has more than {MAX_ENTRIES} entries.")
    for item in items:
        if not isinstance(item, dict) or item.keys() not in (_DISCLOSED, _WITHHELD):
            raise _refused(Reason.MALFORMED, "An entry has missing or unknown fields.")
        if type(item["seq"]) is not int or not all(
            isinstance(item[name], str) for name in item.keys() - {"seq", "body"}
        ):
            raise _refused(Reason.MALFORMED, "An entry's fields have the wrong type.")
    return budget_id, Head(head["seq"], head["hash"]), items


def _roots(bodies: Iterable[object]) -> dict[str, str]:
    """Root of each budget, from the entries that create them, in order."""
    roots: dict[str, str] = {}
    for body in bodies:
        if not isinstance(body, dict):
            continue
        name, parent = body.get("budget_id"), body.get("parent")
        if isinstance(name, str) and body.get("kind") == Kind.BUDGET_CREATE.value:
            roots.setdefault(name, name)
        elif isinstance(name, str) and isinstance(parent, str) and body.get("kind") == Kind.BUDGET_CHILD.value:
            roots.setdefault(name, roots.get(parent, parent))
    return roots


def _read_disclosed(chain: Chain, item: dict[str, object], family: str) -> Entry:
    if not isinstance(item["body"], dict):
        raise _refused(Reason.MALFORMED, "An entry's body is not an object.", cast("int", item["seq"]))
    entry = Entry(**item)  # type: ignore[arg-type]  # names and types were checked by _shape
    chain.read_disclosed(entry)
    if entry.kind not in GLOBAL_KINDS and chain.books.family(entry.body) != family:
        raise _refused(Reason.MALFORMED, "The slice discloses an entry of another budget.", entry.seq)
    return entry


def _read_withheld(chain: Chain, item: dict[str, object], position: int, family: str) -> None:
    link = Withheld(**item)  # type: ignore[arg-type]  # names and types were checked by _shape
    if position == 0:
        raise _refused(Reason.REDACTED_GLOBAL_ENTRY, "The entry that creates the ledger is withheld.", 0)
    if not HEX32.fullmatch(link.tag):
        raise _refused(Reason.MALFORMED, "A withheld entry's tag is not 32 bytes of hex.", link.seq)
    chain.read_withheld(link)
    if link.tag == budget_tag(family, link.prev_hash):
        raise _refused(Reason.REDACTED_OWN_ENTRY, "An entry of the slice's own budget family is withheld.", link.seq)
    if link.tag == budget_tag(None, link.prev_hash):
        raise _refused(Reason.REDACTED_GLOBAL_ENTRY, "A key, policy or checkpoint entry is withheld.", link.seq)


def _refused(reason: Reason, message: str, seq: int | None = None) -> SliceRefused:
    return SliceRefused(reason, message, "Do not rely on it; ask the releasing party for a fresh bundle.", seq=seq)
