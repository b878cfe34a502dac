"""Leave to read private rows: genuine, bound to data and plan, worth one read, and gone however it is used."""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

import pytest

from accounting import Ledger
from accounting.ledger.capability import Capabilities, ReadCapability
from accounting.ledger.errors import CapabilityRefused, ReservationRefused

SAID = {"reservation_id": "run-1", "budget_id": "budget-1", "commitment": "data-1", "plan_digest": "plan-1"}
ASKED = {"commitment": "data-1", "plan_digest": "plan-1"}


def test_a_capability_says_what_it_is_for_and_is_never_changed() -> None:
    made = Capabilities().grant(**SAID)
    assert {name: getattr(made, name) for name in SAID} == SAID and "run-1" in repr(made)
    for name in SAID:
        with pytest.raises(CapabilityRefused, match="not changed"):
            setattr(made, name, "other")
        with pytest.raises(CapabilityRefused, match="not changed"):
            delattr(made, name)
    with pytest.raises(CapabilityRefused, match="Only a ledger"):
        ReadCapability(**SAID)
    with pytest.raises(TypeError, match="subclasses"):
        type("Mine", (ReadCapability,), {})
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="copied"):
            copied(made)


def test_a_capability_is_worth_one_read_by_whoever_handed_it_out() -> None:
    ours, others = Capabilities(), Capabilities()
    made = ours.grant(**SAID)
    with pytest.raises(CapabilityRefused, match="not handed out"):
        others.take(made, **ASKED)
    ours.take(made, **ASKED)
    with pytest.raises(CapabilityRefused, match="used before"):
        ours.take(made, **ASKED)


@pytest.mark.parametrize(("changed", "word"), [("commitment", "data set"), ("plan_digest", "plan")])
def test_what_was_offered_for_something_else_is_gone_too(changed: str, word: str) -> None:
    ours = Capabilities()
    made = ours.grant(**SAID)
    with pytest.raises(CapabilityRefused, match=f"another {word}"):
        ours.take(made, **{**ASKED, changed: "other"})
    with pytest.raises(CapabilityRefused, match="used before"):
        ours.take(made, **ASKED)


def test_a_forked_child_does_not_redeem_what_its_parent_was_given() -> None:
    ours = Capabilities()
    made = ours.grant(**SAID)
    child = os.fork()
    if child == 0:
        try:
            ours.take(made, **ASKED)
        except CapabilityRefused:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    ours.take(made, **ASKED)


def test_redeeming_reads_the_ledger_again(ledger: Ledger, grant: Any, reserve: Any, plan: Any) -> None:
    run = reserve(ledger, grant(ledger))
    leave = ledger.check_token(run.id, run.token)
    assert (leave.commitment, leave.plan_digest) == ("data-1", plan().digest())
    assert (leave.reservation_id, leave.budget_id) == (run.id, run.budget_id)
    ledger.expire(run.id, "closed meanwhile")
    with pytest.raises(ReservationRefused):
        ledger.redeem(leave, commitment="data-1", plan=plan())


def test_an_interrupted_run_reads_on_under_its_own_used_token_only(
    ledger: Ledger, grant: Any, reserve: Any, plan: Any
) -> None:
    budget = grant(ledger)
    run, other = reserve(ledger, budget), reserve(ledger, budget)
    asked = {"commitment": "data-1", "plan": plan()}
    with pytest.raises(ReservationRefused, match="never read"):
        ledger.redeem_again(run.id, run.token, **asked)
    for one in (run, other):
        ledger.check_token(one.id, one.token)
    head = ledger.head()
    for _ in range(2):
        ledger.redeem_again(run.id, run.token, **asked)
    with pytest.raises(ReservationRefused, match="does not belong"):
        ledger.redeem_again(run.id, other.token, **asked)
    for changed in ({"commitment": "data-2"}, {"plan": plan(2)}):
        with pytest.raises(CapabilityRefused, match="another data set or another plan"):
            ledger.redeem_again(run.id, run.token, **{**asked, **changed})
    assert ledger.head() == head, "no entry is written"
    ledger.commit(run.id, plan())
    with pytest.raises(ReservationRefused):
        ledger.redeem_again(run.id, run.token, **asked)
