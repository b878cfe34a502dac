"""What a receiver judges again, part by part: each claim of an accepted bundle changed alone is refused by its code.

The checks are given the documents that a verifier accepted, so no signature or hash stands before them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from accounting.errors import AccountingError
from dpsynth.release.agreement import check_agreement
from dpsynth.release.check_decision import check_decision, check_policy
from dpsynth.release.check_guarantee import check_guarantee
from dpsynth.release.documents import Refusal, canonical, digest
from dpsynth.release.figures import figure_of
from dpsynth.release.ledger_facts import committed, ledger_facts
from dpsynth.release.policy import Policy
from dpsynth.release.verify import Verifier, examine, verify


@dataclass(frozen=True)
class Parts:
    """The documents of one accepted bundle."""

    policy: Policy
    claims: Any
    decision: dict[str, Any]
    evidence: dict[str, Any]
    facts: Any
    card: Any
    chain: Any

    def agreed(self, policy: Policy) -> Parts:
        """All of them name this policy."""
        name = policy.digest()
        return replace(
            self,
            policy=policy,
            claims=self.claims.model_copy(update={"policy_digest": name}),
            decision={**self.decision, "policy_digest": name},
            facts=replace(self.facts, reserved_policy=name),
            card=self.card.model_copy(update={"policy": self.card.policy.model_copy(update={"digest": name})}),
        )

    def under(self, section: str, **limits: Any) -> Parts:
        """Judged under another policy that everybody names."""
        body = self.policy.model_dump(mode="json")
        body[section].update(limits)
        return self.agreed(Policy.model_validate(body))

    def policy_holds(self, **more: Any) -> None:
        check_policy(self.policy, self.claims, self.decision, self.evidence, self.facts, self.card, **more)

    def decision_holds(self, **more: Any) -> None:
        check_decision(self.decision, self.claims, self.facts, self.card, policy=self.policy, **more)

    def decided(self, **changes: Any) -> Parts:
        """Another decision, which the ledger recorded and the statement names."""
        body = {**copy.deepcopy(self.decision), **changes}
        recorded = {**self.facts.recorded, "decision": (digest(body),)}
        claims = self.claims.model_copy(update={"decision_digest": digest(body), "decision": body["decision"]})
        return replace(self, decision=body, claims=claims, facts=replace(self.facts, recorded=recorded))

    def agreement_holds(self) -> None:
        check_agreement(self.card, self.claims, self.facts, self.chain, self.evidence, self.decision)


@pytest.fixture(scope="module")
def verifier(released: Any) -> Verifier:
    world, folder, _ = released
    found = examine(folder, world.signer.public_bytes)[1]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def parts(verifier: Verifier) -> Parts:
    return Parts(
        policy=verifier.policy, claims=verifier.statement.predicate, decision=dict(verifier.decision),
        evidence=dict(verifier.evidence), facts=verifier.facts, card=verifier.card, chain=verifier.slice,
    )  # fmt: skip


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as found:
        call()
    assert str(found.value)
    return found.value.code


def test_what_was_accepted_is_accepted_part_by_part(parts: Parts) -> None:
    parts.policy_holds()
    parts.decision_holds()
    parts.agreement_holds()
    parts.agreed(parts.policy).policy_holds()


def test_everybody_names_the_policy(parts: Parts) -> None:
    other = "0d" * 32
    card = parts.card.model_copy(update={"policy": parts.card.policy.model_copy(update={"digest": other})})
    for who, changed in {
        "statement": replace(parts, claims=parts.claims.model_copy(update={"policy_digest": other})),
        "decision": replace(parts, decision={**parts.decision, "policy_digest": other}),
        "reservation": replace(parts, facts=replace(parts.facts, reserved_policy=other)),
        "card": replace(parts, card=card),
    }.items():
        with pytest.raises(Refusal, match=who) as found:
            changed.policy_holds()
        assert found.value.code == "policy_mismatch"


def test_limits_that_the_card_and_the_ledger_show_are_held_again(parts: Parts) -> None:
    delta, rows, share = parts.facts.guarantee.delta, parts.card.row_total, parts.card.canaries.share
    for section, name, at, code in (
        ("guarantee", "max_delta", delta, "policy_delta"),
        ("guarantee", "max_delta_times_rows", delta * rows, "policy_delta"),
        ("attacks", "max_canary_share", share, "policy_canary_share"),
        ("guarantee", "max_epsilon_per_release", parts.facts.guarantee.epsilon, "policy_epsilon_per_release"),
        ("guarantee", "max_epsilon_total", parts.facts.granted_epsilon, "policy_epsilon_total"),
    ):
        parts.under(section, **{name: str(at)}).policy_holds()
        assert refused(parts.under(section, **{name: str(at * Decimal("0.999"))}).policy_holds) == code, name
    for changes in ({"relations": ["replace_one"]}, {"units": ["user"]}):
        assert refused(parts.under("guarantee", **changes).policy_holds) == "policy_relation_and_unit"
    many = replace(parts, facts=replace(parts.facts, attempt=99))
    assert refused(many.policy_holds) == "policy_attempts"
    many.policy_holds(waived=frozenset({"attempts"}))


def test_every_attack_that_was_asked_for_is_there_and_passed(parts: Parts) -> None:
    rows = parts.evidence["attacks"]

    def shown(changed: list[dict[str, Any]]) -> Parts:
        return replace(parts, evidence={**parts.evidence, "attacks": changed})

    excused = parts.policy.attacks.may_be_not_applicable
    for name in set(parts.policy.attacks.required) - set(excused.values()):
        without = [row for row in rows if row["name"].partition(":")[0] != name]
        assert refused(shown(without).policy_holds) == "attack_missing", name
    for limit in {row["limit_id"] for row in rows} - set(excused):
        renamed = [row for row in rows if row["limit_id"] != limit] + [
            {**row, "limit_id": next(one["limit_id"] for one in rows if one["limit_id"] != limit),
             "limit": 0.0} for row in rows if row["limit_id"] == limit
        ]  # fmt: skip
        assert refused(shown(renamed).policy_holds) == "attack_missing", limit
    for at, row in enumerate(rows):
        allowed = float(parts.policy.judged()[row["limit_id"]])
        for change, fine in (
            ({"verdict": "fail"}, False), ({"verdict": "inconclusive"}, False), ({"verdict": None}, False),
            ({"limit": allowed}, True), ({"limit": allowed / 2}, True), ({"limit": allowed * 1.001}, False),
            ({"limit": None}, False), ({"limit": str(allowed)}, False), ({"limit": False}, False),
        ):  # fmt: skip
            changed = shown([*rows[:at], {**row, **change}, *rows[at + 1 :]])
            if fine:
                changed.policy_holds()
            else:
                assert refused(changed.policy_holds) == "attack_not_passed", change
    unknown = shown([*rows, {**rows[0], "limit_id": "membership.of.the.moon"}])
    assert refused(unknown.policy_holds) == "attack_not_passed"
    for nothing in (None, [], {}, "rows", [5]):
        assert refused(shown(nothing).policy_holds) == "attack_missing"  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["more", None, True, "0.1", [], float(10**9)])
def test_canaries_do_not_contradict_the_claim(parts: Parts, value: Any) -> None:
    epsilon = float(parts.facts.guarantee.epsilon)
    bound = {"value": epsilon * 1.001 if value == "more" else value}
    changed = replace(parts, evidence={**parts.evidence, "epsilon_lower_bound": bound})
    assert refused(changed.policy_holds) == "empirical_epsilon"
    for nothing in (None, 0.1, []):
        changed = replace(parts, evidence={**parts.evidence, "epsilon_lower_bound": nothing})
        assert refused(changed.policy_holds) == "empirical_epsilon"
    replace(parts, evidence={**parts.evidence, "epsilon_lower_bound": {"value": epsilon}}).policy_holds()


def test_the_decision_is_the_last_on_record_and_judged_the_last_evidence(parts: Parts) -> None:
    parts.decided().decision_holds()
    assert refused(replace(parts, decision={**parts.decision, "at": "x"}).decision_holds) == "decision_mismatch"
    for last in ((), ("0e" * 32,), (digest(parts.decision), "0e" * 32)):
        facts = replace(parts.facts, recorded={**parts.facts.recorded, "decision": last})
        assert refused(replace(parts, facts=facts).decision_holds) == "decision_mismatch"
    for word in ("reject", "regenerate", "sell"):
        assert refused(parts.decided(decision=word).decision_holds) == "decision_not_ship"
    otherwise = parts.decided(decision="reject")
    claims = otherwise.claims.model_copy(update={"decision": "ship"})
    assert refused(replace(otherwise, claims=claims).decision_holds) == "decision_not_ship"
    for kind in ("attempt", "attack", "quality"):
        for last in ((), (*parts.facts.recorded[kind], "0e" * 32)):
            facts = replace(parts.facts, recorded={**parts.facts.recorded, kind: last})
            assert refused(replace(parts, facts=facts).decision_holds) == "stale_evidence", kind
    for name in ("draft", "attack", "quality"):
        judged = {**parts.decision["commitments"], name: "0e" * 32}
        assert refused(parts.decided(commitments=judged).decision_holds) == "stale_evidence"
    assert refused(parts.decided(commitments=[]).decision_holds) == "stale_evidence"


def test_every_rule_was_asked_and_passed_or_was_waived(parts: Parts) -> None:
    rules = parts.decision["rules"]
    free = {"guarantee_given", "recipient", "published_figures", "real_anchor", *parts.policy.unasked}
    for at, rule in enumerate(rules):
        without = parts.decided(rules=[*rules[:at], *rules[at + 1 :]])
        if rule["name"] in free:
            without.decision_holds()
        else:
            with pytest.raises(Refusal, match=rule["name"]) as found:
                without.decision_holds()
            assert found.value.code == "rule_missing"
        for passed in (False, None, "yes", 1):
            failed = parts.decided(rules=[*rules[:at], {**rule, "passed": passed}, *rules[at + 1 :]])
            failed.decision_holds(waived=frozenset({rule["name"]}))
            if rule["on_fail"] == "warn":
                failed.decision_holds()
            else:
                with pytest.raises(Refusal, match=rule["name"]) as found:
                    failed.decision_holds(waived=frozenset({"another"}))
                assert found.value.code == "rule_failed"
    for nothing in (None, {}, [], "rules"):
        assert refused(parts.decided(rules=nothing).decision_holds) == "rule_missing"
    refusal = parts.decided(decision="reject")
    assert refused(refusal.decision_holds) == "decision_not_ship"
    refusal.decision_holds(waived=frozenset({"quality"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("release", "release-0"), ("dataset", "other"), ("source_commitment", "0e" * 32), ("noise", "seeded"),
     ("decision", "reject"), ("attempts", 2), ("prior_sha256", "0e" * 32)]
)  # fmt: skip
def test_card_statement_and_ledger_tell_one_story(parts: Parts, name: str, value: Any) -> None:
    changed = replace(parts, card=parts.card.model_copy(update={name: value}))
    assert refused(changed.agreement_holds) == "card_mismatch"


def test_evidence_shows_the_attempt_the_figures_and_what_the_card_repeats(parts: Parts) -> None:
    def shown(**changes: Any) -> Callable[[], None]:
        return replace(parts, evidence={**parts.evidence, **changes}).agreement_holds

    for attempt in (None, 0, 2, "1"):
        assert refused(shown(attempt=attempt)) == "evidence_mismatch"
    assert refused(shown(figures=[{"statistic": "copies"}])) == "figures_mismatch"
    assert refused(shown(quality=parts.evidence["quality"][1:])) == "card_mismatch"
    rules = [{**rule, "reason": "Because."} for rule in parts.decision["rules"]]
    assert refused(replace(parts, decision={**parts.decision, "rules": rules}).agreement_holds) == "card_mismatch"
    old = parts.card.model_copy(update={"evals": None, "reasons": None})
    replace(parts, card=old, decision={**parts.decision, "rules": rules}).agreement_holds()


def test_relation_and_unit_are_those_of_events_guarantee_and_budget(parts: Parts) -> None:
    def check(facts: Any) -> Any:
        return check_guarantee(parts.card, parts.claims, facts, parts.chain)

    assert check(parts.facts) == (parts.facts.guarantee, ())
    for changes in ({"relation": "replace_one"}, {"unit": {"kind": "user"}}):
        assert refused(lambda changes=changes: check(replace(parts.facts, **changes))) == "relation_or_unit"


def test_without_the_commit_that_paid_there_are_no_facts(parts: Parts) -> None:
    asked = {"budget_id": parts.claims.budget_id, "reservation_id": parts.claims.reservation_id, "draft": "draft-1"}
    assert ledger_facts(parts.chain, **asked).commit_hash == parts.facts.commit_hash
    for name in ("budget_id", "reservation_id"):
        assert refused(lambda name=name: ledger_facts(parts.chain, **{**asked, name: "other"})) == "commit_missing"
    commit = next(entry for entry in parts.chain.commits if entry.hash == parts.facts.commit_hash)
    twice = replace(parts.chain, entries=(*parts.chain.entries, commit))
    assert refused(lambda: ledger_facts(twice, **asked)) == "commit_missing"
    for name in ("events", "guarantee"):
        wrong = replace(commit, body={**commit.body, name: {}})
        assert refused(lambda wrong=wrong: committed(wrong)) == "events_malformed"
    assert refused(lambda: figure_of(commit)) == "figure_malformed"


def test_codes_for_what_is_not_there_or_has_no_form(released: Any, tmp_path: Any, monkeypatch: Any) -> None:
    world, folder, _ = released
    key = world.signer.public_bytes
    failure = verify(tmp_path / "none", key).failure
    assert failure is not None and (failure.name, failure.code) == ("layout", "missing_bundle")
    assert refused(lambda: canonical(float("nan"))) == refused(lambda: canonical("\ud800")) == "not_canonical"

    def unpriced(*_: Any) -> None:
        raise AccountingError("No accountant prices this.", "Ask.")

    monkeypatch.setattr(Verifier, "_guarantee", unpriced)
    failure = verify(folder, key).failure
    assert failure is not None and (failure.name, failure.code) == ("guarantee", "accounting_refused")
