"""Every rule of the gate, through the conformance suite, and its boundary."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import dpsynth.release.rules as rules
from accounting import NeighboringRelation, PrivacyUnit
from accounting.ledger.entry import Entry
from attacks.report import NegativeControlRecord, PositiveControlRecord
from dpsynth.quality.report import PairQuality
from dpsynth.release.evidence import LineageFacts
from dpsynth.release.gate import gate
from dpsynth.release.policy import LineageLimits, default_policy
from tests.conformance.rule import (
    AT_HOME,
    RuleConformance,
    changed,
    with_attack,
    with_draft,
    with_ledger,
    with_quality,
)
from tests.release.figure_world import figure


def test_table_and_folder_agree():
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__", "protocol"}
    assert set(rules.RULES) == files
    assert all(where == f"dpsynth.release.rules.{name}:RULE" for name, where in rules.RULES.items())


WORDS = {
    "attack_verdicts": ("pass", "pass"), "guarantee_given": ("given", "given"), "noise_exact": ("exact", "exact"),
    "real_anchor": ("no parents declared", "real rows among them"), "recipient": ("public", "any"),
    "relation_and_unit": ("add_remove, record", "add_remove, record or user"),
}  # fmt: skip
REJECT = {
    "attempts", "delta", "documents_bound", "empirical_epsilon", "epsilon_per_release", "epsilon_total",
    "guarantee_given", "guarantee_recorded", "noise_exact", "policy_reserved", "real_anchor", "recipient",
    "relation_and_unit",
}  # fmt: skip


def test_words_that_decisions_are_read_by(evidence):
    """Reports, cards and receivers' own scripts compare them; what a failure leads to is the policy's business."""
    found = {rule.name: rule for rule in gate(evidence, default_policy()).rules}
    assert {name: (found[name].value, found[name].limit) for name in WORDS} == WORDS
    assert {name for name, rule in found.items() if rule.on_fail == "reject"} == REJECT
    assert {name for name, rule in found.items() if rule.on_fail == "warn"} == {"tails"}
    assert {name for name, rule in found.items() if rule.confidential} == AT_HOME - {"later"}


def test_what_is_at_its_limit_is_within_it(evidence):
    """In the limits' own decimals: a policy that allows exactly what there is lets it pass, and no less does."""
    facts, rows = evidence.ledger, evidence.draft.row_total
    delta = facts.guarantee.delta
    for name, section, key, at in (
        ("delta", "guarantee", "max_delta", delta),
        ("delta", "guarantee", "max_delta_times_rows", delta * rows),
        ("epsilon_per_release", "guarantee", "max_epsilon_per_release", facts.guarantee.epsilon),
        ("epsilon_total", "guarantee", "max_epsilon_total", facts.granted_epsilon),
        ("canary_share", "attacks", "max_canary_share", evidence.draft.canaries.share),
    ):
        for share, passed in ((Decimal(1), True), (Decimal("0.999999"), False)):
            policy = changed(default_policy(), section, **{key: str(at * share)})
            (found,) = gate(evidence, policy, rules=[rules.load_rule(name)]).rules
            assert found.passed == passed, (name, key, share)
    for attempt, passed in ((3, True), (4, False)):
        policy = changed(default_policy(), "attempts", max_attempts=3)
        (found,) = gate(with_ledger(evidence, attempt=attempt), policy, rules=[rules.load_rule("attempts")]).rules
        assert found.passed == passed


class TestEvidenceComplete(RuleConformance):
    name = "evidence_complete"
    needs = ("draft", "attack", "quality", "ledger")

    def spoil(self, evidence, policy):
        for piece in self.needs:
            yield piece, replace(evidence, **{piece: None}), policy


class TestDocumentsBound(RuleConformance):
    name = "documents_bound"
    needs = ("draft", "attack", "quality", "ledger")

    def spoil(self, evidence, policy):
        yield "other draft", with_draft(evidence, draft="draft-2"), policy
        yield "other rows", with_draft(evidence, draft_digest="00" * 32), policy
        recorded = evidence.ledger.recorded
        for kind in ("attempt", "attack", "quality"):
            yield f"never recorded {kind}", with_ledger(evidence, recorded={**recorded, kind: ()}), policy
            later = {**recorded, kind: (*recorded[kind], "11" * 32)}
            yield f"stale {kind}", with_ledger(evidence, recorded=later), policy
        optional = changed(policy, "quality", required=False)
        stale = {**recorded, "quality": (*recorded["quality"], "11" * 32)}
        yield "stale quality that nobody asked for", with_ledger(evidence, recorded=stale), optional
        for name in ("draft", "attack", "quality"):
            others = {key: value for key, value in evidence.commitments.items() if key != name}
            yield f"no commitment of {name}", replace(evidence, commitments=others), policy


class TestPolicyReserved(RuleConformance):
    name = "policy_reserved"
    needs = ("draft", "ledger")

    def spoil(self, evidence, policy):
        yield "lowered", evidence, changed(policy, "attempts", max_attempts=100)
        yield "other reserve", with_ledger(evidence, reserved_policy="00" * 32), policy
        yield "no policy reserved", with_ledger(evidence, reserved_policy=None), policy
        yield "other draft policy", with_draft(evidence, policy_digest="00" * 32), policy


class TestGuaranteeRecorded(RuleConformance):
    name = "guarantee_recorded"
    needs = ("draft", "ledger")

    def spoil(self, evidence, policy):
        smaller = {**evidence.draft.guarantee, "epsilon": "0.1"}
        yield "smaller claim", with_draft(evidence, guarantee=smaller), policy
        for field, value in (("events_digest", "00" * 32), ("budget_id", "b"), ("reservation_id", "r"), ("run_id", "x"),
                             ("dataset", "other"), ("source_commitment", "00" * 32)):  # fmt: skip
            yield field, with_draft(evidence, **{field: value}), policy


class TestRelationAndUnit(RuleConformance):
    name = "relation_and_unit"
    needs = ("draft", "ledger")

    def spoil(self, evidence, policy):
        yield "budget of another relation", with_ledger(evidence, relation="replace_one"), policy
        yield "budget of another unit", with_ledger(evidence, unit={"kind": "user"}), policy
        guarantee = {**evidence.draft.guarantee, "relation": "replace_one"}
        both = with_ledger(with_draft(evidence, guarantee=guarantee), relation="replace_one")
        yield "relation that the policy refuses", both, policy
        unit = PrivacyUnit(kind="user", column="id", max_records=4).to_json()
        user = with_ledger(with_draft(evidence, guarantee={**evidence.draft.guarantee, "unit": unit}), unit=unit)
        yield "unit that the policy refuses", user, changed(policy, "guarantee", units=["record"])

    def tighten(self, policy):
        return changed(policy, "guarantee", units=["user"])


class TestGuaranteeGiven(RuleConformance):
    name = "guarantee_given"
    needs = ("ledger",)

    def spoil(self, evidence, policy):
        baseline = evidence.draft.generator.model_copy(update={"name": "sdv-ctgan"})
        yield "a draft without a guarantee", with_draft(evidence, guarantee=None), policy
        yield "a draft of a baseline", with_draft(evidence, generator=baseline), policy
        yield "a run without protection", with_ledger(evidence, unprotected=True), policy

    def test_no_policy_switches_it_off(self, evidence):
        """The laxest values that a policy file can hold."""
        lax = default_policy()
        lax = changed(lax, "guarantee", max_epsilon_per_release=10**9, max_epsilon_total=10**9, max_delta=1,
                      max_delta_times_rows=10**9, allow_seeded_noise=True, units=["record", "user"],
                      relations=["add_remove", "replace_one", "zero_out"])  # fmt: skip
        lax = changed(lax, "attempts", max_attempts=1000)
        lax = changed(lax, "quality", required=False)
        for label, spoilt, _ in self.spoil(evidence, lax):
            assert gate(spoilt, lax).decision == "reject", label
            assert gate(replace(spoilt, ledger=None), lax).decision == "reject" or "draft" not in label


class TestNoiseExact(RuleConformance):
    name = "noise_exact"

    def spoil(self, evidence, policy):
        yield "seeded", with_ledger(evidence, seeded_noise=True), policy

    def test_a_policy_may_accept_seeded_noise(self, evidence):
        lax = changed(default_policy(), "guarantee", allow_seeded_noise=True)
        assert self.ask(with_ledger(evidence, seeded_noise=True), lax).passed


class TestRecipient(RuleConformance):
    name = "recipient"

    def spoil(self, evidence, policy):
        for share in ("internal", "restricted", "unheard of"):
            yield f"share for {share}", with_ledger(evidence, recipient=share), policy
        wide = policy.model_copy(update={"recipient": "restricted"})
        yield "policy wider than the share", with_ledger(evidence, recipient="internal"), wide

    def test_a_policy_no_wider_than_the_share_passes(self, evidence):
        for share, asked in (("internal", "internal"), ("restricted", "internal"), ("public", None), ("any", "public")):
            policy = default_policy().model_copy(update={"recipient": asked})
            assert self.ask(with_ledger(evidence, recipient=share), policy).passed, (share, asked)


class TestRealAnchor(RuleConformance):
    name = "real_anchor"
    needs = ("draft",)

    def spoil(self, evidence, policy):
        alone = LineageFacts(parents=("a" * 64,), real_anchor=False)
        yield "synthetic rows alone", with_draft(evidence, lineage=alone), policy

    def test_parents_beside_real_rows_pass_and_a_policy_may_accept_them_alone(self, evidence):
        anchored = LineageFacts(parents=("a" * 64,), real_anchor=True)
        assert self.ask(with_draft(evidence, lineage=anchored), default_policy()).passed
        lax = default_policy().model_copy(update={"lineage": LineageLimits(require_real_anchor=False)})
        alone = LineageFacts(parents=("a" * 64,), real_anchor=False)
        assert self.ask(with_draft(evidence, lineage=alone), lax).passed
        strict = default_policy().model_copy(update={"lineage": LineageLimits(require_real_anchor=True)})
        assert not self.ask(with_draft(evidence, lineage=alone), strict).passed


class TestEpsilonPerRelease(RuleConformance):
    name = "epsilon_per_release"

    def spoil(self, evidence, policy):
        yield (
            "large",
            with_ledger(evidence, guarantee=replace(evidence.ledger.guarantee, epsilon=Decimal("3.000001"))),
            policy,
        )

    def tighten(self, policy):
        return changed(policy, "guarantee", max_epsilon_per_release="0.01")

    def test_the_limit_itself_passes(self, evidence):
        at = with_ledger(evidence, guarantee=replace(evidence.ledger.guarantee, epsilon=Decimal(3)))
        assert self.ask(at, default_policy()).passed


class TestEpsilonTotal(RuleConformance):
    name = "epsilon_total"

    def spoil(self, evidence, policy):
        yield "generous grant", with_ledger(evidence, granted_epsilon=Decimal("10.01")), policy
        yield "overspent", with_ledger(evidence, charged_epsilon=Decimal("3.01")), policy
        yield "overspent delta", with_ledger(evidence, charged_delta=Decimal("1.1e-5")), policy

    def tighten(self, policy):
        return changed(policy, "guarantee", max_epsilon_total="2.9")


class TestPublishedFigures(RuleConformance):
    name = "published_figures"

    def spoil(self, evidence, policy):
        yield "exact copies", with_ledger(evidence, figures=(figure((900, 0, 6100, 6, 2, 2992)),)), policy
        yield "near ones", with_ledger(evidence, figures=(figure((2, 900, 6100, 6, 2, 2992)),)), policy
        clean = figure((20, 10, 7000, 6, 2, 2992))
        yield "one of two", with_ledger(evidence, figures=(clean, figure((900, 0, 6100, 6, 2, 2992)))), policy

    def test_no_copies_and_noise_alone_pass(self, evidence):
        for counts in ((20, 10, 7000, 6, 2, 2992), (40, -30, 12, -9, 5, 60)):
            judged = with_ledger(evidence, figures=(figure(counts),))
            assert self.ask(judged, default_policy()).passed

    def test_its_answer_is_public(self, evidence):
        judged = with_ledger(evidence, figures=(figure((900, 0, 6100, 6, 2, 2992)),))
        assert not self.ask(judged, default_policy()).confidential


class TestDelta(RuleConformance):
    name = "delta"
    needs = ("draft", "ledger")

    def spoil(self, evidence, policy):
        yield (
            "large",
            with_ledger(evidence, guarantee=replace(evidence.ledger.guarantee, delta=Decimal("1.1e-5"))),
            policy,
        )
        yield "many rows", with_draft(evidence, row_total=2_000_000), policy

    def tighten(self, policy):
        return changed(policy, "guarantee", max_delta="1e-12")


class TestAttempts(RuleConformance):
    name = "attempts"

    def spoil(self, evidence, policy):
        yield "sixth", with_ledger(evidence, attempt=6), policy
        yield "none recorded", with_ledger(evidence, attempt=0), policy

    def tighten(self, policy):
        return None

    def test_the_limit_itself_passes(self, evidence):
        assert self.ask(with_ledger(evidence, attempt=5), default_policy()).passed


class TestAttacksRequired(RuleConformance):
    name = "attacks_required"
    needs = ("attack",)

    def spoil(self, evidence, policy):
        yield "one attack only", with_attack(evidence, name="verbatim"), policy
        yield "nothing excused", with_attack(evidence, _not_applicable=()), policy
        yield "not an excuse", evidence, changed(policy, "attacks", may_be_not_applicable={})

    def tighten(self, policy):
        return changed(policy, "attacks", required=["reconstruction", *policy.attacks.required])

    def test_every_limit_must_have_been_asked_for(self, evidence):
        rows = evidence.attack.report.attacks
        for left_out in rows:
            others = tuple(row for row in rows if row is not left_out)
            assert not self.ask(with_attack(evidence, _attacks=others), default_policy()).passed, left_out.limit_id

    def test_an_attack_per_column_counts_by_its_name(self, evidence):
        rows = evidence.attack.report.attacks
        column = rows[0].model_copy(update={"name": "attribute_inference:affairs", "limit_id": "inference.attribute"})
        others = tuple(item for item in evidence.attack.report.not_applicable if item.name != "attribute_inference")
        per_column = with_attack(evidence, _not_applicable=others, _attacks=(*rows, column))
        assert self.ask(per_column, default_policy()).passed


class TestAttackVerdicts(RuleConformance):
    name = "attack_verdicts"
    needs = ("attack",)

    def spoil(self, evidence, policy):
        yield "fail", with_attack(evidence, verdict="fail"), policy
        yield "inconclusive", with_attack(evidence, verdict="inconclusive"), policy
        yield "report says fail", with_attack(evidence, _verdict="fail"), policy
        yield "no attack", with_attack(evidence, _attacks=()), policy

    def test_fail_rejects_and_inconclusive_sends_back(self, evidence):
        assert self.ask(with_attack(evidence, verdict="fail"), default_policy()).effect == "reject"
        assert self.ask(with_attack(evidence, verdict="inconclusive"), default_policy()).effect == "regenerate"


class TestAttackLimits(RuleConformance):
    name = "attack_limits"
    needs = ("attack",)

    def spoil(self, evidence, policy):
        yield "beyond", with_attack(evidence, ci_high=0.99), policy
        yield "no bound", with_attack(evidence, ci_high=None), policy
        yield "laxer limit in the report", with_attack(evidence, limit=0.9), policy
        yield "unknown limit", with_attack(evidence, limit_id="something.else"), policy
        yield "no attack", with_attack(evidence, _attacks=()), policy

    def tighten(self, policy):
        return changed(policy, "attacks", limits=dict.fromkeys(policy.attacks.limits, "0.001"))


class TestAttackLevel(RuleConformance):
    name = "attack_level"
    needs = ("attack", "ledger")

    def spoil(self, evidence, policy):
        yield "fourth attempt", with_ledger(evidence, attempt=4), policy
        yield "no estimate", with_attack(evidence, estimate=None), policy
        yield "no bound", with_attack(evidence, ci_high=None), policy

    def tighten(self, policy):
        return changed(policy, "attempts", alpha="0.00001")

    def test_each_attempt_is_judged_more_strictly(self, evidence):
        margins = [self.ask(with_ledger(evidence, attempt=k), default_policy()).value for k in range(1, 8)]
        assert margins == sorted(margins)
        assert margins[0] < margins[1]

    def test_widening_is_never_less_than_an_exact_bound_needs(self):
        """Poisson and Gaussian upper bounds at the level of attempt k stay below the widened ones."""
        from scipy import stats

        for k in range(1, 12):
            level = float(default_policy().alpha_at(k))
            widening = max(1.0, stats.expon.isf(level) / stats.expon.isf(0.05))
            assert stats.norm.isf(level) <= widening * stats.norm.isf(0.05) + 1e-9
            for hits in (0, 1, 5, 50):
                upper = [stats.gamma.isf(a, hits + 1) for a in (0.05, level)]
                assert upper[1] - hits <= widening * (upper[0] - hits) + 1e-9


class TestAttackControls(RuleConformance):
    name = "attack_controls"
    needs = ("attack",)

    def spoil(self, evidence, policy):
        missed = PositiveControlRecord(kind="random", fraction=0.05, detected=7, trials=10)
        idle = PositiveControlRecord(kind="random", fraction=0.05, detected=0, trials=0)
        blamed = NegativeControlRecord(kind="reference_rows", estimate=0.7, passed=False)
        yield "leak missed", with_attack(evidence, positive_control=missed), policy
        yield "no trials", with_attack(evidence, positive_control=idle), policy
        yield "no positive control", with_attack(evidence, positive_control=None), policy
        yield "null blamed", with_attack(evidence, negative_control=blamed), policy
        yield "no negative control", with_attack(evidence, negative_control=None), policy


class TestEmpiricalEpsilon(RuleConformance):
    name = "empirical_epsilon"
    needs = ("attack", "ledger")

    def spoil(self, evidence, policy):
        bound = evidence.attack.report.epsilon_lower_bound.model_copy(update={"value": 0.3})
        yield "claim is false", with_attack(evidence, _epsilon_lower_bound=bound), policy
        yield "no canaries", with_attack(evidence, _epsilon_lower_bound=None), policy

    def test_a_false_claim_rejects(self, evidence):
        bound = evidence.attack.report.epsilon_lower_bound.model_copy(update={"value": 0.3})
        found = self.ask(with_attack(evidence, _epsilon_lower_bound=bound), default_policy())
        assert found.effect == "reject"
        assert found.reason.startswith("The DP claim is false")


class TestCanaryShare(RuleConformance):
    name = "canary_share"
    needs = ("draft",)

    def spoil(self, evidence, policy):
        canaries = evidence.draft.canaries.model_copy(update={"share": Decimal("0.051")})
        yield "too many", with_draft(evidence, canaries=canaries), policy

    def tighten(self, policy):
        return changed(policy, "attacks", max_canary_share="0.001")


class TestQuality(RuleConformance):
    name = "quality"
    needs = ("quality",)

    def spoil(self, evidence, policy):
        yield "useless", with_quality(evidence, "tvd2_mean", value=0.3, matched=0.3), policy
        yield "no reference", with_quality(evidence, "tvd2_mean", reference=None), policy
        yield "other metric", with_quality(evidence, "tvd2_mean", name="tvd1_mean"), policy

    def tighten(self, policy):
        return changed(policy, "quality", max_tvd2_shortfall="0.1")

    def test_a_table_without_dependence_is_held_against_the_holdout(self, evidence):
        flat = with_quality(evidence, "tvd2_mean", reference=0.07, shuffle=0.06, matched=0.09)
        assert self.ask(flat, default_policy()).passed
        far = with_quality(evidence, "tvd2_mean", reference=0.07, shuffle=0.06, matched=0.3)
        found = self.ask(far, default_policy())
        assert not found.passed
        assert "no dependence to keep" in found.reason

    def test_the_reason_names_where_most_was_lost_and_the_public_one_does_not(self, evidence):
        far = with_quality(evidence, "tvd2_mean", value=0.3, matched=0.3)
        assert "The pair" not in self.ask(far, default_policy()).reason
        pair = {"ci_low": 0.0, "ci_high": 1.0, "reference": 0.1, "floor": 0.0, "shuffle": 0.5}
        pairs = tuple(PairQuality(left="age", right=right, tvd=tvd, **pair) for right, tvd in (("a", 0.2), ("b", 0.4)))
        report = far.quality.report.model_copy(update={"pairs": pairs})
        quality = far.quality.model_copy(update={"report": report})
        found = self.ask(replace(far, quality=quality), default_policy())
        assert "The pair that lost most is 'age' and 'b'" in found.reason and found.confidential

    def test_a_policy_may_ask_for_no_quality(self, evidence):
        lax = changed(default_policy(), "quality", required=False)
        assert self.ask(replace(evidence, quality=None), lax).passed


class TestTails(RuleConformance):
    name = "tails"
    needs = ("quality",)

    def spoil(self, evidence, policy):
        yield "tails lost", with_quality(evidence, "tail_kept", value=0.0), policy

    def tighten(self, policy):
        return changed(policy, "quality", warn_tail_shortfall="0.01")

    def test_lost_tails_warn_and_do_not_refuse(self, evidence):
        found = self.ask(with_quality(evidence, "tail_kept", value=0.0), default_policy())
        assert not found.passed
        assert found.effect == "ship"


@pytest.mark.parametrize("relation", list(NeighboringRelation))
def test_every_relation_can_be_named_in_a_policy(relation):
    assert changed(default_policy(), "guarantee", relations=[relation.value])


def test_further_drafts_of_one_commit_are_attempts_and_the_same_rows_are_none():
    """A commit and its draft are one try; each other draft of it is one more; recording one again is not."""
    from dpsynth.release.entries import attempts

    def entry(kind: str, **body: str) -> Entry:
        return Entry(seq=0, prev_hash="", body={"kind": kind, **body}, hash="", signature="", key_id="")

    fit = [entry("commit", reservation_id="r1"), entry("attempt", reservation_id="r1", draft="a", draft_digest="d1")]
    more = [entry("attempt", reservation_id="r1", draft=f"b{i}", draft_digest=f"e{i}") for i in range(3)]
    assert attempts(fit) == (1, 0)
    assert attempts([*fit, fit[1]]) == (1, 0)
    assert attempts([*fit, *more]) == (4, 0)
    assert attempts([*fit, *more, entry("release", draft="a")], "b1") == (4, 0)
    assert attempts([*fit, entry("release", draft="a"), *more], "b1") == (4, 0)
    assert attempts([*fit, entry("commit", reservation_id="r2"), *more]) == (5, 0)
    assert attempts([entry("attempt", reservation_id="r9", draft="x", draft_digest="y")]) == (1, 0)
