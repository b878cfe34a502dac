"""Drafts with a column of text: what the default policy asks of them, and that nothing missing passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attacks.limits import DEFAULT_LIMITS
from attacks.report import NotApplicable
from attacks.text.auditing import TEXT_ATTACKS
from dpsynth.quality.report import Metric, TextSettings
from dpsynth.quality.text.labels import LEARNERS
from dpsynth.quality.text.names import HEADLINES, LABELS, TAILS
from dpsynth.release.evidence import Evidence, TextFacts
from dpsynth.release.gate import gate
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.public_view import public_decision, public_evidence
from dpsynth.release.remedies import TEXT_REMEDY
from dpsynth.release.rules import load_rule
from dpsynth.release.rules.quality import WORDS
from tests.conformance.rule import changed, with_attack, with_draft, with_quality

FACTS = TextFacts(column="narrative", model="tiny", fingerprint="ab" * 32)
ABSENT = tuple(
    NotApplicable(name=name, reason="Nothing to ask.")
    for name in ("identifiers:card", "identifiers:email", "contamination")
)
OWNERS = {"near_duplicate": "text_near_duplicate", "verbatim": "text_verbatim", "ngram": "text_ngram",
          "overlap": "text_overlap", "embedding": "text_embedding"}  # fmt: skip
WORST = {"text_js2": 0.7, "text_coverage": 0.0, "text_self_bleu4": 1.0}
RULES = ("attacks_required", "attack_limits", "attack_level", "attack_verdicts", "attack_controls", "quality", "tails")


def text_rows(evidence: Evidence, policy: Policy):
    """A row well within each text limit, and the canaries' row."""
    plain = evidence.attack.report.attacks[0]
    for limit_id, limit in policy.text.limits.items():
        attack = OWNERS.get(limit_id.split(".")[1])
        if attack is not None:
            at = float(limit)
            yield plain.model_copy(update={"name": attack, "limit_id": limit_id, "limit": at, "estimate": at / 4,
                                           "ci_low": 0.0, "ci_high": at / 2})  # fmt: skip
    yield from (row for row in evidence.attack.report.attacks if row.name == "canary")


def text_metrics():
    """Both headlines a quarter of the way to words at random, one band of the tail."""
    yield Metric(name="text_js2", group="text", value=0.4, reference=0.3, floor=0.3, shuffle=0.7, better="low")
    yield Metric(name="text_coverage", group="text", value=0.8, reference=0.9, floor=0.9, shuffle=0.0, better="high")
    yield Metric(name="text_self_bleu4", group="text", value=0.3, reference=0.1, floor=0.1, shuffle=1.0, better="low")
    yield Metric(name=TAILS[0], group="text", value=0.7, reference=0.8, floor=0.8, shuffle=None, better="high")


def with_metrics(evidence: Evidence, metrics) -> Evidence:
    report = evidence.quality.report.model_copy(update={"metrics": tuple(metrics)})
    return replace(evidence, quality=evidence.quality.model_copy(update={"report": report}))


@pytest.fixture
def text_only(evidence: Evidence) -> Evidence:
    """A draft of texts alone that passes."""
    rows = tuple(text_rows(evidence, default_policy()))
    found = with_attack(with_draft(evidence, text=FACTS, columns=("narrative",)), _attacks=rows, _not_applicable=ABSENT)
    return with_metrics(found, text_metrics())


@pytest.fixture
def mixed(evidence: Evidence) -> Evidence:
    """A draft of columns and a text that passes."""
    report = evidence.attack.report
    rows = (*report.attacks, *(r for r in text_rows(evidence, default_policy()) if r.name != "canary"))
    found = with_draft(evidence, text=FACTS, columns=(*evidence.draft.columns, "narrative"))
    found = with_attack(found, _attacks=rows, _not_applicable=(*report.not_applicable, *ABSENT))
    return with_metrics(found, (*evidence.quality.report.metrics, *text_metrics()))


def findings(evidence: Evidence, policy: Policy | None = None) -> dict[str, bool]:
    decision = gate(evidence, policy or default_policy(), rules=[load_rule(name) for name in RULES])
    return {found.name: found.passed for found in decision.rules}


def test_the_default_limits_are_the_public_tier_and_its_attacks_exist() -> None:
    section = default_policy().text
    ids = {name for name in DEFAULT_LIMITS["public"] if name.startswith("text.")}
    assert {name: float(value) for name, value in section.limits.items()} == {
        name: DEFAULT_LIMITS["public"][name].value for name in ids
    }
    assert set(section.required) == {*TEXT_ATTACKS, "canary"}
    assert set(section.may_be_not_applicable) <= set(section.limits)
    assert set(WORDS) == set(TEXT_REMEDY) == set(HEADLINES)


def test_a_draft_of_texts_needs_no_attack_on_a_table_and_a_mixed_one_needs_both(text_only, mixed, evidence) -> None:
    assert all(findings(text_only).values())
    assert all(findings(mixed).values())
    assert all(findings(evidence).values())  # and a table none on texts
    for part in (text_only.attack, evidence.attack):
        assert not findings(replace(mixed, attack=part))["attacks_required"]
    for part in (text_only.quality, evidence.quality):
        assert not findings(replace(mixed, quality=part))["quality"]


def test_every_text_attack_and_every_limit_must_have_been_asked(text_only) -> None:
    rows = text_only.attack.report.attacks
    for left_out in rows:
        others = tuple(row for row in rows if row is not left_out)
        assert not findings(with_attack(text_only, _attacks=others))["attacks_required"], left_out.limit_id
    assert not findings(with_attack(text_only, _not_applicable=ABSENT[:2]))["attacks_required"]
    assert not findings(with_attack(text_only, _not_applicable=ABSENT[2:]))["attacks_required"]


def test_a_text_attack_beyond_its_limit_is_refused(text_only) -> None:
    for at, row in enumerate(text_only.attack.report.attacks):
        over = row.model_copy(
            update={"ci_high": float(default_policy().judged()[row.limit_id]) + 0.001, "verdict": "fail"}
        )
        rows = tuple(over if i == at else other for i, other in enumerate(text_only.attack.report.attacks))
        assert not findings(with_attack(text_only, _attacks=rows))["attack_limits"], row.limit_id


def test_a_policy_without_text_limits_refuses_texts_and_says_so(text_only, mixed, evidence) -> None:
    silent = default_policy().model_copy(update={"text": None})
    for asked in (text_only, mixed):
        found = {one.name: one for one in gate(asked, silent).rules}
        for name in ("attacks_required", "quality"):
            assert not found[name].passed and found[name].effect == "regenerate"
            assert found[name].reason.startswith("The policy names no text limits")
    assert all(findings(evidence, silent).values())


@pytest.mark.parametrize("name", HEADLINES)
def test_each_headline_alone_refuses_texts_as_bad_as_words_at_random(text_only, name) -> None:
    for changes in ({"value": WORST[name]}, {"value": None}, {"name": "other"}):
        spoilt = with_quality(text_only, name, **changes)
        assert not findings(spoilt)["quality"], changes
    assert not findings(text_only, changed(default_policy(), "text", max_text_shortfall="0.1"))["quality"]
    same = with_quality(text_only, name, shuffle=text_only.quality.report.metric(name).reference)
    assert findings(with_quality(same, name, value=same.quality.report.metric(name).reference))["quality"]
    assert not findings(with_quality(same, name, value=WORST[name]))["quality"]


def test_rare_words_lost_warn(text_only) -> None:
    lost = with_quality(text_only, TAILS[0], value=0.1)
    assert not findings(lost)["tails"] and gate(lost, default_policy(), rules=[load_rule("tails")]).decision == "ship"


def test_policies_without_a_text_section_keep_their_digest() -> None:
    old = default_policy().model_copy(update={"text": None})
    assert "text" not in old.model_dump(mode="json")
    assert Policy.from_yaml(old.to_yaml()) == old and old.digest() != default_policy().digest()


def test_which_bands_real_words_fall_into_is_not_published(text_only) -> None:
    shown = {row["name"]: row["class"] for row in public_evidence(text_only)["quality"]}
    assert {shown[name] for name in TAILS} == {"not published"}, "of a band that has words, and of one that has none"
    assert shown["text_js2"] == "close to real" and 0.4 not in shown.values()
    none = with_metrics(text_only, [m for m in text_only.quality.report.metrics if m.name not in TAILS])
    assert public_evidence(none)["quality"] == public_evidence(text_only)["quality"]


def test_which_identifiers_stand_in_private_texts_is_not_published(text_only) -> None:
    """One person's twentieth address makes a row: neither its name nor the number of rows may leave."""
    rows = text_only.attack.report.attacks
    at = float(default_policy().text.limits["text.identifiers"])
    found = {"limit_id": "text.identifiers", "limit": at, "estimate": 0.0, "ci_low": 0.0, "ci_high": at / 2}
    views = []
    for kinds in ((), ("email",), ("email", "iban")):
        asked = tuple(rows[0].model_copy(update={"name": f"identifiers:{kind}", **found}) for kind in kinds)
        absent = tuple(one for one in ABSENT if one.name.partition(":")[2] not in kinds)
        seen = with_attack(text_only, _attacks=(*rows, *asked), _not_applicable=absent)
        decision = gate(seen, default_policy(), rules=[load_rule(name) for name in RULES])
        assert decision.decision == "ship"
        views.append((public_evidence(seen), public_decision(decision)["rules"]))
    assert views[0] == views[1] == views[2]


def test_whether_held_out_rows_have_two_labels_is_not_published(text_only) -> None:
    settings = TextSettings(embedding="x", texts=200, clusterings=5, scored=False, labelled=True)
    plain = next(text_metrics())
    names = []
    for found in ((), tuple(plain.model_copy(update={"name": name}) for name in LABELS)):
        seen = with_metrics(text_only, (*text_metrics(), *found))
        report = seen.quality.report.model_copy(update={"text": settings})
        quality = seen.quality.model_copy(update={"report": report})
        names.append([row["name"] for row in public_evidence(replace(seen, quality=quality))["quality"]])
    assert names[0] == names[1] and set(LABELS) == {"text_label_shares", "text_labels_kept"} | {
        f"text_tstr_{learner}" for learner in LEARNERS
    }
