"""Which attacks a policy asks of a table, of texts, and of both."""

from __future__ import annotations

from dpsynth.release.asked import attacks_asked
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import default_policy
from tests.conformance.rule import changed


def test_columns_and_texts_are_asked_for_what_is_theirs() -> None:
    policy = default_policy()
    text = policy.text
    assert text is not None
    table, texts, both = (
        attacks_asked(policy, columns=c, text=t) for c, t in ((True, False), (False, True), (True,) * 2)
    )
    assert (table.required, texts.required) == (policy.attacks.required, text.required)
    assert set(both.required) == {*table.required, *texts.required} and len(both.required) == len(set(both.required))
    assert dict(table.limits) == dict(policy.attacks.limits)
    assert dict(table.excused) == dict(policy.attacks.may_be_not_applicable)
    assert dict(both.limits) == {**table.limits, **texts.limits}
    assert dict(texts.excused) == dict(text.may_be_not_applicable)


def test_a_policy_without_texts_asks_nothing_of_them() -> None:
    policy = default_policy().model_copy(update={"text": None})
    nothing = attacks_asked(policy, columns=False, text=True)
    assert (nothing.required, dict(nothing.limits), dict(nothing.excused)) == ((), {}, {})
    assert attacks_asked(policy, columns=True, text=True) == attacks_asked(policy, columns=True, text=False)


def test_canaries_of_texts_are_judged_by_the_limit_of_tables() -> None:
    policy = default_policy()
    assert policy.text is not None and "canary" in policy.text.required
    assert attacks_asked(policy, columns=False, text=True).limits["canary.auc"] == policy.attacks.limits["canary.auc"]
    without = changed(policy, "text", required=[name for name in policy.text.required if name != "canary"])
    assert "canary.auc" not in attacks_asked(without, columns=False, text=True).limits


def test_what_nobody_recorded_is_named_as_missing() -> None:
    nothing = Evidence.assemble(draft=None, attack=None, quality=None, ledger=None)
    assert nothing.problems["ledger"] == "the ledger knows no commit of this draft"
