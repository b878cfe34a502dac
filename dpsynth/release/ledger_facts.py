"""From a verified slice to what the gate and the verifier need to know about one draft.

Nothing is taken from a caller that the chain can say: grants, prices, relation, unit, policy at the reservation,
which documents were recorded, how often somebody tried. What a share of a budget may is judged by the whole: the
totals are the root's, and tries count over all shares of the same data. The same function serves the workspace before a
release and the receiver after it.

Not guaranteed: that the chain is complete beyond its head; see `accounting.ledger.slice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.errors import AccountingError
from accounting.event import EventTree
from accounting.guarantee import Guarantee
from accounting.ledger.amounts import Charge
from accounting.ledger.entry import Entry, Kind
from accounting.ledger.pricing import undercharged
from accounting.ledger.slice import SliceFacts
from dpsynth.release.documents import Refusal
from dpsynth.release.entries import attempts, of_same_data
from dpsynth.release.evidence import LedgerFacts
from dpsynth.release.family import budget_section, chain_notes
from dpsynth.release.figures import NO_ROWS, bought
from dpsynth.tabular import BASELINES


def ledger_facts(
    slice_facts: SliceFacts, *, budget_id: str, reservation_id: str, draft: str, before: int | None = None
) -> LedgerFacts:
    """What the ledger says about the draft that `reservation_id` paid for.

    Args:
        slice_facts: what `verify_slice` accepted.
        budget_id: the budget that was charged.
        reservation_id: the reservation that the draft was made under.
        draft: id of the draft.
        before: look at attempts and recorded documents before this seq only; default all.

    Raises:
        Refusal: `commit_missing` if the slice has no such budget, reservation or commit, or two of them;
            `events_malformed` if the committed events or guarantee cannot be read; `figure_malformed`.
    """
    entries = [entry for entry in slice_facts.entries if entry.budget_id == budget_id]
    budget = slice_facts.budgets.get(budget_id)
    reserve = _only(entries, Kind.RESERVE, reservation_id)
    commit = _only(entries, Kind.COMMIT, reservation_id)
    if budget is None or reserve is None or commit is None:
        raise Refusal("commit_missing", "The ledger has no commit that paid for this draft.",
                      "A draft that was never charged cannot be released.")  # fmt: skip
    if reserve.body.get("purpose") in NO_ROWS:
        raise Refusal("commit_missing", "The commit that this draft names paid for a figure or a model, not for rows.",
                      "A draft that was never charged cannot be released.")  # fmt: skip
    tree, guarantee = committed(commit)
    earlier = [entry for entry in entries if before is None or entry.seq < before]
    tries = of_same_data(slice_facts.entries, slice_facts.budgets.values(), budget_id)
    balance = slice_facts.balances[budget.root]
    policy = reserve.body.get("policy_digest")
    return LedgerFacts(
        ledger_id=slice_facts.ledger_id,
        head_seq=slice_facts.head.seq,
        head_hash=slice_facts.head.hash,
        budget_id=budget_id,
        dataset=budget.dataset,
        source_commitment=budget.commitment,
        relation=budget.relation,
        unit=_unit(budget.unit),
        granted_epsilon=balance.epsilon.granted,
        granted_delta=balance.delta.granted,
        charged_epsilon=balance.epsilon.spent + balance.epsilon.reserved,
        charged_delta=balance.delta.spent + balance.delta.reserved,
        recipient=budget.recipient.value,
        budget=budget_section(slice_facts, budget_id),
        notes=tuple(chain_notes(slice_facts)),
        events=tree,
        reservation_id=reservation_id,
        run_id=str(reserve.body.get("run_id")),
        reserved_policy=policy if isinstance(policy, str) else None,
        commit_seq=commit.seq,
        commit_hash=commit.hash,
        events_digest=tree.digest(),
        guarantee=guarantee,
        unprotected=_unprotected(slice_facts, commit, tree, str(reserve.body.get("run_id")), draft),
        seeded_noise=any(event.noise != "exact" for event in tree.events) or _inner_seeded(tree),
        attempt=max(attempts((entry for entry in tries if before is None or entry.seq < before), draft)),
        figures=bought(earlier, draft),
        recorded={
            kind.value: tuple(
                str(entry.body.get("document"))
                for entry in earlier
                if entry.kind is kind and entry.body.get("draft") == draft
            )
            for kind in (Kind.ATTEMPT, Kind.ATTACK, Kind.QUALITY, Kind.DECISION)
        },
    )


def committed(commit: Entry) -> tuple[EventTree, Guarantee]:
    """Events and guarantee of a commit entry.

    Raises:
        Refusal: `events_malformed`.
    """
    try:
        return EventTree.from_json(commit.body.get("events")), Guarantee.from_json(commit.body.get("guarantee"))
    except AccountingError as error:
        raise Refusal("events_malformed", f"The committed events cannot be read: {error.message}") from None


def check_charge(slice_facts: SliceFacts, commit: Entry) -> None:
    """A commit was charged what its events cost in its budget's filter; in epsilon the chain's rules say so already.

    Raises:
        Refusal: `charge_wrong` if it was charged less, `events_malformed` as `committed`.
    """
    composition = slice_facts.budgets[str(commit.budget_id)].composition
    tree, guarantee = committed(commit)
    charge = Charge.from_json(commit.body["charge"], composition.currency)
    if undercharged(charge, tree, guarantee, composition):
        raise Refusal("charge_wrong", f"The committed events cost more {composition.currency.value} or delta than the "
                      f"{charge} that the budget was charged.")  # fmt: skip


def _unprotected(slice_facts: SliceFacts, commit: Entry, tree: EventTree, run_id: str, draft: str) -> bool:
    """Whether the ledger itself says that nothing protected the data in this run."""
    facts = commit.body.get("facts")
    made_by = facts.get("generator") if isinstance(facts, Mapping) else None
    reads = {entry.body.get("run_id") for entry in slice_facts.of(Kind.UNPROTECTED)}
    return not tree.events or made_by in BASELINES or not reads.isdisjoint({run_id, draft})


def _inner_seeded(tree: EventTree) -> bool:
    return any(getattr(getattr(event, "event", None), "noise", "exact") != "exact" for event in tree.events)


def _only(entries: list[Entry], kind: Kind, reservation_id: str) -> Entry | None:
    found = [entry for entry in entries if entry.kind is kind and entry.body.get("reservation_id") == reservation_id]
    return found[0] if len(found) == 1 else None


def _unit(unit: Any) -> str | Mapping[str, Any]:
    return unit if isinstance(unit, Mapping) else str(unit)
