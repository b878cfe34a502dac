"""The ledger: no private table is read before its worst case is reserved, and nothing spent is forgotten.

    reserve(plan)  -> charged at the worst case, one secret token      refused here if the budget is short
    check_token    -> a capability to read this data once              from now on no refund
    commit(events) -> what really ran, inside the plan, priced anew    or abort(reason)

A crash between the steps leaves the reservation, and the reservation counts. Across runs the budget is a composition
filter (`accounting.ledger.composition`), and a run is charged to its budget and to all above it. Inside a run, events
are priced together by `accounting.crosscheck.price`, before the lock is taken, so a slow accountant never holds it.

>>> import tempfile
>>> from accounting import EventTree, Laplace, NeighboringRelation, PrivacyUnit, Signer
>>> terms = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
>>> plan = EventTree(events=(Laplace(scale="2", l1_sensitivity="1"),), **terms)
>>> with tempfile.TemporaryDirectory() as d, Ledger.create(f"{d}/l.db", signer=Signer.generate()) as ledger:
...     budget = ledger.create_budget(dataset="claims", commitment="c", epsilon="3", delta="1e-6", **terms)
...     run = ledger.reserve(budget, plan, delta="1e-9", run_id="run-1", purpose="first look")
...     print(ledger.commit(run.id, plan).kind, ledger.balance(budget).delta.spent)
commit 1E-9

Not guaranteed: anything about a program that reads the table without a token, or about a second ledger
beside this one. The receiver's side of the proof is `accounting.ledger.slice`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import final

from accounting.event import EventTree
from accounting.guarantee import Guarantee
from accounting.ledger import bodies, granting
from accounting.ledger.amounts import Grant, parse_delta, parse_epsilon
from accounting.ledger.books import Books
from accounting.ledger.capability import Capabilities, ReadCapability
from accounting.ledger.chain import no_genesis
from accounting.ledger.composition import Composition, FilterName
from accounting.ledger.entry import JSON, SCHEMA, Entry, Kind, Row, seal, stamp
from accounting.ledger.errors import BudgetRefused, CapabilityRefused
from accounting.ledger.evidence.checkpoint import Checkpoint, sign_head
from accounting.ledger.pricing import price_run
from accounting.ledger.reviewing import ReviewedLedger
from accounting.ledger.rotation import rotation_fields
from accounting.ledger.signing import Signer
from accounting.ledger.store import Store
from accounting.relation import NeighboringRelation, PrivacyUnit

LOCK_TIMEOUT_S = 30.0

Number = str | int | float | Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A granted worst case. The token is shown once and is stored nowhere but here."""

    id: str
    budget_id: str
    token: str = field(repr=False)
    guarantee: Guarantee
    plan: EventTree


@final
class Ledger(ReviewedLedger):
    """One append-only, hash-chained, signed ledger; safe to share between threads and between processes."""

    def __init__(self, store: Store, genesis: Row, signer: Signer | None) -> None:
        super().__init__(store, genesis, signer)
        self._capabilities = Capabilities()

    @classmethod
    def create(cls, path: str | Path, *, signer: Signer, timeout_s: float = LOCK_TIMEOUT_S) -> Ledger:
        """A new ledger at a path, or a `sqlite:///` or `postgresql://` URL, owned by `signer`'s key.

        Raises:
            LedgerExists: something is there.
            LedgerUnavailable: the file cannot be made.
        """
        fields: dict[str, JSON] = {
            "schema": SCHEMA,
            "ledger_id": "ledger-" + secrets.token_hex(16),
            "public_key": signer.public_bytes.hex(),
        }
        genesis = seal(stamp(Kind.LEDGER_CREATE, fields), None, signer)
        return cls(Store.create(path, genesis, timeout_s=timeout_s), genesis, signer)

    @classmethod
    def open(cls, path: str | Path, *, signer: Signer | None = None, timeout_s: float = LOCK_TIMEOUT_S) -> Ledger:
        """An existing ledger; without a signer it is read only.

        Args:
            path: file, or `sqlite:///` or `postgresql://` URL.
            signer: the key in force: the one that created it, or what that was rotated to.
            timeout_s: seconds to wait for another process's write.

        Raises:
            LedgerUnavailable: not found, not a ledger, newer, read-only, locked or damaged.
            LedgerTampered: its first entry does not verify.
            KeyRefused: `signer` is not the key in force.
        """
        return cls._opened(path, timeout_s, writable=signer is not None, then=lambda ledger: ledger._take(signer))

    def __repr__(self) -> str:
        return f"Ledger({self.ledger_id!r}, {'writable' if self._signer else 'read only'})"

    def create_budget(
        self,
        *,
        dataset: str,
        commitment: str | None = None,
        unit: PrivacyUnit,
        relation: NeighboringRelation,
        epsilon: Number,
        delta: Number,
        filter: str | None = None,  # noqa: A002 - the field's word
        order: Number | None = None,
        conversion_delta: Number | None = None,
        parent: str | None = None,
        purpose: str | None = None,
        recipient: str = "any",
    ) -> str:
        """Grant a budget, once per data commitment, or a part of one, and return its id.

        Args:
            dataset: name that people know it by; public to receivers of this family's slices.
            commitment: keyed commitment to the data's content, never a plain hash of a small table, or to its place,
                where rows may change under one budget; None for a share.
            unit: whose data one step of the relation changes; every plan, and every part, must have the same.
            relation: every plan, and every part, must have the same.
            epsilon: total over all runs, same unit and relation, > 0.
            delta: total over all runs, in (0, 1).
            filter: what adds up across runs: basic (default), zcdp or rdp; frozen. A part has its parent's.
            order: alpha of an rdp filter.
            conversion_delta: the part of delta that zcdp and rdp take for the conversion; default half of it.
            parent: budget that this one is a part of; what the part spends, every budget above it spends too.
            purpose: what a share is for.
            recipient: whom a share is for: any, internal, restricted or public.

        Raises:
            AmountRefused: epsilon, delta or a number of the filter is out of range.
            BudgetRefused: the data has a budget already, the part does not suit its parent, or the filter is unknown.
        """
        granted = Grant(epsilon=parse_epsilon(epsilon), delta=parse_delta(delta))
        if parent is not None and filter is None:
            above = self.budget(parent).composition
            filter, order = above.name.value, above.order  # noqa: A001
        wanted = granting.Wanted(
            budget_id="budget-" + secrets.token_hex(16),
            dataset=dataset,
            commitment=commitment,
            unit=unit,
            relation=NeighboringRelation(relation),
            granted=granted,
            composition=Composition.chosen(
                filter or "basic", order=order, conversion_delta=conversion_delta, delta=granted.delta
            ),
        )
        if parent is None:
            if purpose is not None or recipient != "any":
                raise BudgetRefused("A lineage's own budget is for every purpose.", "Take a share of it: parent=….")
            self._append(Kind.BUDGET_CREATE, lambda books: granting.root_fields(books, wanted))
        else:
            self._append(
                Kind.BUDGET_CHILD,
                lambda books: granting.child_fields(books, wanted, parent=parent, purpose=purpose, recipient=recipient),
            )
        return wanted.budget_id

    def amend(self, budget_id: str, *, epsilon: Number, delta: Number, reason: str, approver: Signer) -> Entry:
        """Change a grant, with the signature of a second person; every later balance and report shows it.

        Args:
            budget_id: whose grant.
            epsilon: the new total, not below what is spent and reserved, nor above the budget's parent.
            delta: likewise.
            reason: in words; published.
            approver: a key of role `budget` (key.add), never the ledger's own.

        Raises:
            AmountRefused: epsilon or delta out of range.
            BudgetRefused: no such budget, no reason, nothing changed, or the new grant does not hold what is held.
            KeyRefused: the approver's key may not approve.
        """
        granted = Grant(epsilon=parse_epsilon(epsilon), delta=parse_delta(delta))
        return self._append(
            Kind.BUDGET_AMEND,
            lambda books: granting.amend_fields(books, budget_id, granted=granted, reason=reason, approver=approver),
        )

    def reserve(
        self,
        budget_id: str,
        plan: EventTree,
        *,
        delta: Number,
        run_id: str,
        purpose: str,
        policy_digest: str | None = None,
    ) -> Reservation:
        """Hold the price of the worst case, or refuse, in one step for all processes.

        Args:
            budget_id: budget with the plan's unit and relation.
            plan: worst case of everything that the run may do to the private table.
            delta: this run's share of the budget's delta, in (0, 1).
            run_id: the caller's name for the run.
            purpose: why, in words; printed in the audit trail.
            policy_digest: digest of the policy in force, so that a laxer one cannot be swapped in later.

        Raises:
            AmountRefused: delta out of range.
            BudgetRefused: no such budget, or another unit or relation.
            BudgetExceeded: loss or delta does not fit, here or in a budget above; nothing was written.
            UnsupportedEventError: the budget's filter has no price for an event.
        """
        share = parse_delta(delta)
        budget = self.budget(budget_id)
        bodies.check_same_terms(budget, plan)
        guarantee, charge = price_run(plan, share, budget.composition)
        reservation_id, token = "run-" + secrets.token_hex(16), secrets.token_urlsafe(32)
        self._append(
            Kind.RESERVE,
            lambda books: bodies.reserve_fields(
                books,
                budget_id=budget_id,
                reservation_id=reservation_id,
                run_id=run_id,
                purpose=purpose,
                policy_digest=policy_digest,
                plan=plan,
                guarantee=guarantee,
                charge=charge,
                token=token,
            ),
        )
        return Reservation(id=reservation_id, budget_id=budget_id, token=token, guarantee=guarantee, plan=plan)

    def check_token(self, reservation_id: str, token: str) -> ReadCapability:
        """Use up a reservation's token, for leave to read the reservation's data once.

        Raises:
            ReservationRefused: unknown or closed reservation, wrong token, or the token was used before.
        """
        with self._lock:
            self._append(Kind.ACCESS, lambda books: bodies.access_fields(books, reservation_id, token))
            books = self._chain.books
            run = books.reservations[reservation_id]
            return self._capabilities.grant(
                reservation_id=reservation_id,
                budget_id=run.budget_id,
                commitment=books.budgets[run.budget_id].commitment,
                plan_digest=EventTree.from_json(run.plan).digest(),
            )

    def redeem(self, capability: ReadCapability, *, commitment: str, plan: EventTree) -> None:
        """Use up a capability: what a loader of private data asks for before it hands out a row.

        Args:
            capability: of this object's `check_token`; gone afterwards, whatever comes of it.
            commitment: of the data that would be read.
            plan: the events that would run.

        Raises:
            CapabilityRefused: not handed out by this object, used before, or for other data or another plan.
            ReservationRefused: the reservation was closed meanwhile.
        """
        self._capabilities.take(capability, commitment=commitment, plan_digest=plan.digest())
        bodies.open_reservation(self._read(), capability.reservation_id)

    def redeem_again(self, reservation_id: str, token: str, *, commitment: str, plan: EventTree) -> None:
        """Return if an interrupted run may read on: its reservation is open and was read under this very token.

        No entry is written: the read was recorded, the price is held, and only one commit can close it. That nothing is
        released twice is the caller's proof (`dpsynth.workspace.runs.interrupted`).

        Args:
            reservation_id: an open reservation.
            token: which `check_token` used up.
            commitment: of the data that would be read.
            plan: the events that would run.

        Raises:
            ReservationRefused: closed, never read, or the token is not its own.
            CapabilityRefused: it is for other data or another plan.
        """
        books = self._read()
        bodies.check_read_before(books, reservation_id, token)
        run = books.reservations[reservation_id]
        of = books.budgets[run.budget_id].commitment, EventTree.from_json(run.plan).digest()
        if of != (commitment, plan.digest()):
            raise CapabilityRefused(
                "The reservation is for another data set or another plan than the run that would go on.",
                "Go on with the settings that it was reserved for.",
            )

    def commit(self, reservation_id: str, events: EventTree, *, facts: Mapping[str, JSON] | None = None) -> Entry:
        """Charge what ran and free the rest of the reservation.

        The events are priced and cross-checked again, at the reservation's delta, before the lock is taken. Whether a
        run stops early may depend on what it saw; rho and divergences of what ran add up all the same, epsilons of loss
        distributions do not. So under basic composition a run that did less than its plan is committed as its plan.

        Args:
            reservation_id: an open reservation.
            events: what ran; each must be covered by the plan (`accounting.ledger.containment`).
            facts: what may be published with the entry; decimals as strings. Receivers see it.

        Raises:
            ReservationRefused: unknown or closed reservation.
            PlanExceeded: an event that the plan does not cover, or a price above the reserved one. The
                reservation stays open and counts; nothing made by this run may be used.
        """
        with self._lock:
            books = self._read()
            reservation = bodies.open_reservation(books, reservation_id)
            budget = books.budgets[reservation.budget_id]
            bodies.check_same_terms(budget, events)
        bodies.check_covered(reservation, events)
        if budget.composition.name is FilterName.BASIC and events.to_json() != reservation.plan:
            events = EventTree.from_json(reservation.plan)
        guarantee, charge = price_run(events, reservation.delta, budget.composition)
        return self._append(
            Kind.COMMIT,
            lambda books: bodies.commit_fields(
                books, reservation_id, events=events, guarantee=guarantee, charge=charge, facts=facts or {}
            ),
        )

    def abort(self, reservation_id: str, reason: str, *, data_was_read: bool) -> Entry:
        """Close a run that failed. Free if no private row was read; else the plan's price is spent.

        Raises:
            ReservationRefused: unknown or closed, or a refund was asked for although the token was used.
            EntryRefused: no reason was given.
        """
        return self._append(
            Kind.ABORT,
            lambda books: bodies.abort_fields(books, reservation_id, reason, data_was_read=data_was_read),
        )

    def expire(self, reservation_id: str, reason: str) -> Entry:
        """A person closes a reservation left by a crash. The plan's price is spent; there is no refund.

        Raises:
            ReservationRefused: unknown or closed.
            EntryRefused: no reason was given.
        """
        return self._append(Kind.EXPIRE, lambda books: bodies.expire_fields(books, reservation_id, reason))

    def append(self, kind: str, body: Mapping[str, JSON]) -> Entry:
        """Record something that moves no budget: an attempt, a decision, a release, a key.

        Args:
            kind: unprotected, attempt, attack, quality, decision or release, whose body names its `budget_id`; or
                policy, checkpoint, key.add (key_id, public_key, role) or key.revoke (key_id, reason), which every
                slice shows in full. What people say of a draft is written by `accounting.ledger.reviewing`.
            body: JSON without floats; published with slices, so no confidential figure belongs here.

        Raises:
            EntryRefused: another kind, not canonical JSON, or the ledger's rules refuse it.
            BudgetRefused: no such budget.
        """
        fields = bodies.record_fields(self._read(), kind, body)
        return self._append(Kind(kind), lambda _: fields)

    def rotate(self, new_signer: Signer, reason: str) -> Entry:
        """Hand over to another key, which signs from the next entry on, here too. See `accounting.ledger.rotation`.

        Args:
            new_signer: never before a key of this ledger, of whatever role. Save it first.
            reason: why; kept for ever.

        Raises:
            EntryRefused: no reason, or the key served already.
            KeyRefused: the new key is the old one, or this ledger's key was rotated away meanwhile.
        """
        with self._lock:
            entry = self._hand_over(self._writer(), new_signer, reason)
            self._signer = new_signer
            return entry

    @classmethod
    def recover(
        cls,
        path: str | Path,
        *,
        recovery: Signer,
        new_signer: Signer,
        reason: str,
        timeout_s: float = LOCK_TIMEOUT_S,
    ) -> Ledger:
        """Open a ledger whose key is lost, with a key of role `recovery` that it knows, and rotate to a new one.

        Raises:
            EntryRefused: no reason, or `recovery` is no such key of this ledger, or was revoked.
            LedgerUnavailable: as `open`.
        """

        def take_over(ledger: Ledger) -> None:
            ledger._hand_over(recovery, new_signer, reason, recovery=True)
            ledger._signer = new_signer

        return cls._opened(path, timeout_s, writable=True, then=take_over)

    def checkpoint(self) -> Checkpoint:
        """The head, signed, to be kept in a second place; `LedgerReadOnly` without a signer."""
        return sign_head(self.ledger_id, self.head(), self._writer())

    @classmethod
    def _opened(cls, path: str | Path, timeout_s: float, *, writable: bool, then: Callable[[Ledger], None]) -> Ledger:
        store = Store.open(path, timeout_s=timeout_s, writable=writable)
        try:
            with store.reading() as transaction:
                genesis = next(transaction.rows(), None)
            if genesis is None:
                raise no_genesis()
            ledger = cls(store, genesis, None)
            then(ledger)
        except BaseException:
            store.close()
            raise
        return ledger

    def _hand_over(self, signer: Signer, new: Signer, reason: str, *, recovery: bool = False) -> Entry:
        def fields(books: Books) -> Mapping[str, JSON]:
            if books.head is None:
                raise no_genesis()
            return rotation_fields(
                ledger_id=books.ledger_id, head=books.head, signer=signer, new=new, reason=reason, recovery=recovery
            )

        return self._append(Kind.KEY_ROTATE, fields, recovery=signer if recovery else None)
