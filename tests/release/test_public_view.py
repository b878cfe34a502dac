"""What leaves: only what is on the list, whatever the evidence holds."""

from __future__ import annotations

import json
from dataclasses import replace

from dpsynth.quality.report import Metric
from dpsynth.quality.tails import BANDS
from dpsynth.release.gate import gate
from dpsynth.release.policy import default_policy
from dpsynth.release.public_view import public_decision, public_evidence
from tests.conformance.rule import with_attack, with_quality

EVIDENCE_FIELDS = {
    "schema",
    "draft",
    "draft_digest",
    "attempt",
    "canaries",
    "attacks",
    "epsilon_lower_bound",
    "quality",
}
ATTACK_FIELDS = {
    "name", "version", "threat", "stratum", "endpoint", "verdict", "limit_id", "limit", "class", "positive_control",
    "negative_control", "confidentiality",
}  # fmt: skip
CANARY_FIELDS = {"estimate", "ci_low", "ci_high"}
DECISION_FIELDS = {"schema", "decision", "draft", "draft_digest", "policy_digest", "at", "commitments", "rules"}
RULE_FIELDS = {"name", "value", "limit", "passed", "reason", "on_fail", "confidential"}


def test_no_field_outside_the_list_leaves(evidence):
    body = public_evidence(evidence)
    assert set(body) == EVIDENCE_FIELDS
    for row in body["attacks"]:
        assert set(row) == ATTACK_FIELDS | (CANARY_FIELDS if row["confidentiality"] == "canary_only" else set())
        assert set(row["positive_control"]) == {"kind", "caught"}
        assert set(row["negative_control"]) == {"kind", "passed"}
    for metric in body["quality"]:
        assert set(metric) == {"name", "group", "class"}
    decision = public_decision(gate(evidence, default_policy()))
    assert set(decision) == DECISION_FIELDS
    assert all(set(rule) == RULE_FIELDS for rule in decision["rules"])


def test_figures_on_private_rows_do_not_change_what_leaves(evidence):
    """Two reports with other exact figures but the same verdicts and classes look the same from outside."""
    other = with_attack(evidence, detectable=0.123, n_targets=12345, n_controls=54321, seconds=9.0,
                        reason="The upper bound 0.0213 is below the limit.")  # fmt: skip
    other = with_quality(other, "tvd2_mean", matched=0.0493, value=0.0494)
    rows = [row if row.confidentiality == "canary_only" else row.model_copy(update={"estimate": row.estimate / 2})
            for row in other.attack.report.attacks]  # fmt: skip
    other = with_attack(other, _attacks=tuple(rows))
    assert public_evidence(other) == public_evidence(evidence)
    views = []
    for judged in (evidence, other):
        body = public_decision(gate(judged, default_policy()))
        views.append(json.dumps(body["rules"]))
    assert views[0] == views[1]


def test_the_limit_that_leaves_does_not_name_the_attack_that_came_nearest_to_its_own(evidence):
    """Which upper bound is nearest to its limit is decided by exact figures on private rows."""
    inside, outside = set(), set()
    for at, row in enumerate(evidence.attack.report.attacks):
        near = tuple(r.model_copy(update={"ci_high": r.limit - 1e-6}) if i == at else r
                     for i, r in enumerate(evidence.attack.report.attacks))  # fmt: skip
        if row.confidentiality == "internal":
            decision = gate(with_attack(evidence, _attacks=near), default_policy())
            inside.add(next(rule.limit for rule in decision.rules if rule.name == "attack_limits"))
            rules = public_decision(decision)["rules"]
            outside.add(next(rule["limit"] for rule in rules if rule["name"] == "attack_limits"))
    assert len(inside) > 1
    assert len(outside) == 1


def test_confidential_findings_keep_value_and_reason_at_home(evidence):
    decision = gate(with_attack(evidence, ci_high=0.7654), default_policy())
    inside, outside = json.dumps(decision.to_json()), json.dumps(public_decision(decision))
    assert "0.7654" in inside
    assert "0.7654" not in outside
    hidden = [rule for rule in public_decision(decision)["rules"] if rule["confidential"]]
    assert {rule["name"] for rule in hidden} == {
        "attack_limits", "attack_level", "attack_verdicts", "quality", "tails", "utility", "tail_recall", "diversity",
    }  # fmt: skip
    assert {rule["value"] for rule in hidden} <= {"within the limit", "beyond the limit"}


def test_quality_classes_are_four_and_coarse(evidence):
    seen = set()
    for value in (0.031, 0.06, 0.09, 0.5):
        body = public_evidence(with_quality(evidence, "tvd2_mean", matched=value))
        seen.add(next(m["class"] for m in body["quality"] if m["name"] == "tvd2_mean"))
    assert len(seen) == 4


def test_names_of_metrics_do_not_tell_how_many_values_the_target_has_or_which_bands_are_empty(evidence):
    """A third class that one person holds turns average precision into accuracy; a rare pair fills a band."""

    def seen(scores, bands):
        report = evidence.quality.report
        anchors = {"value": 0.9, "reference": 0.95, "floor": None, "better": "high"}
        extra = [Metric(name=f"tstr_{name}", group="utility", shuffle=0.5, **anchors) for name in scores]
        extra += [
            Metric(name=f"tail_{figure}_{low}_{high}", group="tails", **anchors)
            for low, high in bands
            for figure in ("kept", "overlap")
        ]
        other = report.model_copy(update={"metrics": (*report.metrics, *extra)})
        quality = evidence.quality.model_copy(update={"report": other})
        return [row["name"] for row in public_evidence(replace(evidence, quality=quality))["quality"]]

    names = seen(("auc", "average_precision"), BANDS)
    assert names == seen(("auc", "accuracy"), BANDS[:1])
    assert names == seen(("r2", "mean_absolute_error"), ())
    assert {"tstr", "tail_kept_1_9", "tail_overlap_100_999"} <= set(names)


def test_prediction_shows_the_class_of_its_one_headline(evidence):
    """The area under the curve, or R2; what else was scored would tell the target's form."""

    def shown(**scores):
        rows = [Metric(name=f"tstr_{name}", group="utility", shuffle=0.5, value=value, reference=0.9, floor=None,
                       better="high") for name, value in scores.items()]  # fmt: skip
        others = tuple(metric for metric in evidence.quality.report.metrics if metric.group != "utility")
        report = evidence.quality.report.model_copy(update={"metrics": (*others, *rows)})
        other = replace(evidence, quality=evidence.quality.model_copy(update={"report": report}))
        return next(row["class"] for row in public_evidence(other)["quality"] if row["name"] == "tstr")

    assert shown(auc=0.88, average_precision=0.5) == shown(r2=0.88, mean_absolute_error=0.5) == "close to real"
    assert shown(auc=0.65, accuracy=0.9) == shown(r2=0.65) == "rough"
    assert shown(accuracy=0.9) == "not published"
