"""diffprivlib: the list of spent (epsilon, delta), as black boxes.

A `BudgetAccountant` keeps one pair for each query and composes them by advanced composition, in memory only. Here each
pair becomes an event, `PureDP` where delta is zero and else `ApproxDP`, so that it can be charged to a ledger together
with all else.

>>> from types import SimpleNamespace
>>> spent = SimpleNamespace(spent_budget=[(0.1, 0), (0.1, 0), (0.5, 1e-7)])
>>> [event.count for event in from_diffprivlib(spent, relation=NeighboringRelation.REPLACE_ONE).events]
[2, 1]

Not guaranteed: more than the library's own statement a query. Its tools and models differ in what they call
neighbours, so the relation is the caller's to name: take it from the documentation of what was called.
"""

from __future__ import annotations

import itertools
from typing import Any

from accounting.adapters.numbers import loss_of
from accounting.errors import EventError
from accounting.event import ApproxDP, Event, EventTree, PureDP
from accounting.relation import NeighboringRelation, PrivacyUnit

RECORD = PrivacyUnit()


def from_diffprivlib(
    accountant: Any, *, relation: NeighboringRelation, unit: PrivacyUnit = RECORD, steps: int = 1
) -> EventTree:
    """Events of all queries that a `BudgetAccountant` has counted.

    Args:
        accountant: a `diffprivlib.BudgetAccountant`, or anything with its `spent_budget`.
        relation: the neighbouring relation that the queries' documentation states.
        unit: whose data one query protects.
        steps: how many of the query's own neighbouring steps one change of `unit` under `relation` is: 2 where a query
            is for adding a row and one is replaced, k for k rows of a user; epsilon is multiplied by it.

    Raises:
        EventError: no list of pairs, a pair outside its range, or several steps of a query with a delta.
    """
    spent = getattr(accountant, "spent_budget", None)
    if not isinstance(spent, list) or any(not isinstance(pair, tuple) or len(pair) != 2 for pair in spent):
        raise EventError(
            "Expected a diffprivlib BudgetAccountant, whose `spent_budget` is a list of (epsilon, delta).",
            "Hand over the accountant itself, after the queries.",
        )
    if steps < 1 or (steps > 1 and any(delta for _, delta in spent)):
        raise EventError("Expected steps >= 1, and 1 for queries with a delta.", "Reserve their composition by hand.")
    events: list[Event] = []
    for (epsilon, delta), alike in itertools.groupby(spent):
        count = sum(1 for _ in alike)
        loss = loss_of(epsilon, "epsilon") * steps
        events.append(
            ApproxDP(epsilon=loss, delta=loss_of(delta, "delta"), count=count)
            if delta
            else PureDP(epsilon=loss, count=count)
        )
    return EventTree(relation=relation, unit=unit, events=tuple(events))
