"""What every rule of the gate must keep. A rule's test subclasses this and says how its evidence goes bad.

    class TestAttempts(RuleConformance):
        name = "attempts"
        def spoil(self, evidence, policy): yield "too many", with_ledger(evidence, attempt=99), policy
        def tighten(self, policy): return changed(policy, "attempts", max_attempts=1)

The fixture `evidence` ships under the default policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from dpsynth.release.evidence import Evidence
from dpsynth.release.gate import gate
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.rules import RULES, load_rule
from dpsynth.release.rules.protocol import EvidenceMissing

AT_HOME = {
    "attack_level",
    "attack_limits",
    "attack_verdicts",
    "diversity",
    "later",
    "quality",
    "tail_recall",
    "tails",
    "utility",
}
PIECES = ("draft", "attack", "quality", "ledger")


def with_ledger(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, ledger=replace(evidence.ledger, **changes))


def with_draft(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, draft=evidence.draft.model_copy(update=changes))


def with_attack(evidence: Evidence, **changes: Any) -> Evidence:
    """Every row of the attack report changed; the report's own fields with a leading underscore."""
    own = {name[1:]: changes.pop(name) for name in list(changes) if name.startswith("_")}
    report = evidence.attack.report
    rows = tuple(row.model_copy(update=changes) for row in report.attacks)
    report = report.model_copy(update={"attacks": rows, **own})
    return replace(evidence, attack=evidence.attack.model_copy(update={"report": report}))


def with_quality(evidence: Evidence, metric: str, /, **changes: Any) -> Evidence:
    report = evidence.quality.report
    metrics = tuple(m.model_copy(update=changes) if m.name == metric else m for m in report.metrics)
    report = report.model_copy(update={"metrics": metrics})
    return replace(evidence, quality=evidence.quality.model_copy(update={"report": report}))


def changed(policy: Policy, section: str, **changes: Any) -> Policy:
    body = policy.model_dump(mode="json")
    body[section].update(changes)
    return Policy.model_validate(body)


class RuleConformance:
    """Checks that each rule inherits."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("ledger",)  # pieces without which it must not pass

    def spoil(self, evidence: Evidence, policy: Policy) -> Iterator[tuple[str, Evidence, Policy]]:
        """Name and evidence (or policy) under which the rule must fail."""
        raise NotImplementedError

    def tighten(self, policy: Policy) -> Policy | None:
        """The policy with this rule's limit as tight as it goes; None if the rule has no limit."""
        return None

    @property
    def rule(self) -> Any:
        return load_rule(self.name)

    def ask(self, evidence: Evidence, policy: Policy) -> Any:
        return gate(evidence, policy, rules=[self.rule]).rules[0]

    def test_table_names_the_rule(self):
        assert self.rule.name == self.name
        assert self.name in RULES
        assert self.rule.on_fail in {"warn", "regenerate", "reject"}

    def test_passes_on_good_evidence(self, evidence):
        found = self.ask(evidence, default_policy())
        assert found.passed, found.reason
        assert found.effect == "ship"

    def test_fails_on_every_spoilt_evidence(self, evidence):
        cases = list(self.spoil(evidence, default_policy()))
        assert cases
        for label, spoilt, policy in cases:
            found = self.ask(spoilt, policy)
            assert not found.passed, label
            assert found.on_fail == "warn" or found.effect != "ship", label

    def test_a_report_that_need_not_be_there_is_judged_if_it_is(self, evidence):
        for label, spoilt, policy in self.spoil(evidence, default_policy()):
            lax = changed(policy, "quality", required=False)
            if spoilt.quality is not None:
                assert not self.ask(spoilt, lax).passed, label

    def test_values_from_real_records_stay_at_home_and_no_others(self, evidence):
        """Whatever they came to; what a policy does not ask, or what was never set aside, has no value."""
        good = [("good", evidence, default_policy())]
        for label, judged, policy in [*good, *self.spoil(evidence, default_policy())]:
            found = self.ask(judged, policy)
            assert found.confidential == (self.name in AT_HOME) or found.value is None, label

    def test_a_failure_says_what_to_do(self, evidence):
        for label, spoilt, policy in self.spoil(evidence, default_policy()):
            reason = self.ask(spoilt, policy).reason
            assert reason.endswith("."), label
            assert reason.count(". ") >= 1, f"{label}: no remedy in {reason!r}"

    @pytest.mark.parametrize("piece", PIECES)
    def test_missing_evidence_fails_and_never_raises(self, evidence, piece):
        found = self.ask(replace(evidence, **{piece: None}), default_policy())
        if piece in self.needs:
            assert not found.passed

    def test_nothing_at_all_fails(self):
        nothing = Evidence.assemble(draft=None, attack=None, quality=None, ledger=None)
        assert not self.ask(nothing, default_policy()).passed

    def test_asked_without_the_gate_it_raises_for_what_is_missing(self, evidence):
        empty = replace(evidence, **dict.fromkeys(self.needs))
        try:
            assert not self.rule.check(empty, default_policy()).passed
        except EvidenceMissing as missing:
            assert str(missing)

    def test_tightening_never_lets_pass(self, evidence):
        tight = self.tighten(default_policy())
        if tight is None:
            return
        assert not self.ask(evidence, tight).passed
        for label, spoilt, policy in self.spoil(evidence, default_policy()):
            if policy is default_policy():
                assert not self.ask(spoilt, tight).passed, label

    def test_finding_is_json_without_surprises(self, evidence):
        for _, spoilt, policy in [("good", evidence, default_policy()), *self.spoil(evidence, default_policy())]:
            body = self.ask(spoilt, policy).to_json()
            assert json.loads(json.dumps(body, allow_nan=False)) == body
            assert set(body) == {"name", "value", "limit", "passed", "reason", "on_fail", "confidential"}

    def test_same_evidence_same_answer(self, evidence):
        assert self.ask(evidence, default_policy()) == self.ask(evidence, default_policy())
