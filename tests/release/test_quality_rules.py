"""The rules over quality: models learn, later holds, rarer values stay, rows are diverse; and what each remedy says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.quality.ablation.document import Ablation, Answer, MixScore
from dpsynth.quality.report import ColumnQuality, Metric, PairQuality, QualityReport, Resolution, TextSettings
from dpsynth.quality.text.names import HEADLINES
from dpsynth.release.evidence import Evidence, TextFacts, TimeFacts
from dpsynth.release.gate import gate
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.public_view import public_decision
from dpsynth.release.remedies import DIVERGING, TEXT_REMEDY, other_generator, remedy
from dpsynth.release.rules import load_rule
from dpsynth.tabular import GENERATORS
from tests.conformance.rule import RuleConformance, with_draft, with_quality

SECTIONS = {"utility": ("max_loss",), "later": ("max_loss", "max_fall"), "tails": ("min_recall",),
            "diversity": ("min_share",)}  # fmt: skip
NEW = ("utility", "later", "tail_recall", "diversity")
TIME = TimeFacts(column="day", since="2024-07-01")


def limited(policy: Policy, section: str, **limits: Any) -> Policy:
    """The policy with limits of one section of `quality` changed."""
    body = policy.model_dump(mode="json")
    body["quality"][section] = {**body["quality"][section], **limits}
    return Policy.model_validate(body)


def without(policy: Policy, *sections: str) -> Policy:
    body = policy.model_dump(mode="json")
    for section in sections:
        del body["quality"][section]
    return Policy.model_validate(body)


def reported(evidence: Evidence, **changes: Any) -> Evidence:
    report = evidence.quality.report.model_copy(update=changes)
    return replace(evidence, quality=evidence.quality.model_copy(update={"report": report}))


def dropped(evidence: Evidence, *names: str) -> Evidence:
    kept = tuple(m for m in evidence.quality.report.metrics if m.name not in names)
    return reported(evidence, metrics=kept)


def _later_metrics(gap: float = 0.03, added: float = 0.02) -> tuple[Metric, ...]:
    near: dict[str, Any] = {"group": "time", "better": "low", "confidentiality": "internal", "floor": 0.02}
    return (
        Metric(name="later_tvd2_mean", value=0.05 + added, reference=0.05, ci_low=0.045 + added, ci_high=0.055 + added,
               reference_low=0.045, reference_high=0.055, **near),
        Metric(name="later_tstr_auc_gap", value=gap, reference=0.0, shuffle=0.3, ci_low=gap - 0.02, ci_high=gap + 0.02,
               **near),
    )  # fmt: skip


def with_later(evidence: Evidence, **figures: float) -> Evidence:
    """A draft whose later rows were set aside, and its figures of that time."""
    report = evidence.quality.report
    metrics = tuple(
        m.model_copy(update={"ci_low": 0.045, "ci_high": 0.055, "reference_low": 0.025, "reference_high": 0.035})
        if m.name == "tvd2_mean"
        else m
        for m in report.metrics
    )
    found = reported(evidence, metrics=(*metrics, *_later_metrics(**figures)),
                     rows=report.rows.model_copy(update={"later": 900}))  # fmt: skip
    return with_draft(found, time=TIME)


class TestUtility(RuleConformance):
    name = "utility"
    needs = ("quality", "draft")

    def spoil(self, evidence: Evidence, policy: Policy) -> Iterator[tuple[str, Evidence, Policy]]:
        yield "nothing learned", with_quality(evidence, "tstr_auc_gap", value=0.42, ci_low=0.4, ci_high=0.44), policy
        yield "no interval", with_quality(evidence, "tstr_auc_gap", ci_low=None), policy
        yield "no room", with_quality(evidence, "tstr_auc_gap", shuffle=None), policy
        yield "no gap, though a target", dropped(evidence, "tstr_auc_gap"), policy
        yield "a gap, though no target", reported(evidence, utility=None), policy

    def tighten(self, policy: Policy) -> Policy:
        return limited(policy, "utility", max_loss="0.01")

    def test_what_may_be_lost_counts_only_where_the_policy_says_so(self, evidence: Evidence) -> None:
        wide = with_quality(evidence, "tstr_auc_gap", value=0.1, ci_low=-0.2, ci_high=0.4)
        assert self.ask(wide, default_policy()).passed
        strict = limited(default_policy(), "utility", max_possible_loss="0.5")
        found = self.ask(wide, strict)
        assert not found.passed and found.effect == "regenerate" and "upper end" in found.reason
        assert self.ask(evidence, strict).passed

    def test_where_real_rows_teach_next_to_nothing_all_of_it_may_go(self, evidence: Evidence) -> None:
        faint = with_quality(evidence, "tstr_auc_gap", value=0.02, ci_low=0.019, ci_high=0.03, shuffle=0.01)
        assert self.ask(faint, default_policy()).passed

    def test_without_a_target_quality_judges_and_nobody_outside_hears_why(self, evidence: Evidence) -> None:
        found = self.ask(reported(dropped(evidence, "tstr_auc_gap"), utility=None), default_policy())
        assert found.passed and found.confidential


class TestLater(RuleConformance):
    name = "later"
    needs = ("draft",)

    def spoil(self, evidence: Evidence, policy: Policy) -> Iterator[tuple[str, Evidence, Policy]]:
        whole = with_later(evidence)
        yield "falls later", with_later(evidence, gap=0.25), policy
        yield "drifts further than real rows", with_later(evidence, added=0.2), policy
        yield "cut, and no figures", with_draft(evidence, time=TIME), policy
        for name in ("later_tvd2_mean", "later_tstr_auc_gap", "tvd2_mean", "tstr_auc_gap"):
            yield f"no {name}", dropped(whole, name), policy
        for name in ("ci_low", "ci_high", "value"):
            yield f"no {name} later", with_quality(whole, "later_tstr_auc_gap", **{name: None}), policy
            yield f"no {name} of distance", with_quality(whole, "later_tvd2_mean", **{name: None}), policy
        yield "none, though asked", evidence, limited(policy, "later", required=True)
        yield "cut after the fit", with_draft(whole, time=None), limited(policy, "later", required=True)

    def tighten(self, policy: Policy) -> Policy:
        return limited(policy, "later", required=True, max_loss="0.01", max_fall="0.0001")

    def test_missing_quality_is_missing(self, evidence: Evidence) -> None:
        assert not self.ask(replace(evidence, quality=None), default_policy()).passed

    def test_what_holds_later_ships(self, evidence: Evidence) -> None:
        found = self.ask(with_later(evidence), default_policy())
        assert found.passed and found.confidential

    def test_a_good_figure_today_that_falls_later_is_a_reject(self, evidence: Evidence) -> None:
        """The figure that everybody looks at improves while the real later holdout falls."""
        better = with_quality(with_later(evidence, gap=0.25), "tstr_auc_gap", value=-0.03, ci_low=-0.05, ci_high=-0.01)
        decision = gate(better, default_policy(), rules=[load_rule(name) for name in ("utility", "quality", "later")])
        assert decision.decision == "reject"
        (found,) = decision.failed
        assert found.name == "later" and DIVERGING in found.reason

    def test_what_fails_today_as_much_as_later_is_no_fall(self, evidence: Evidence) -> None:
        poor = with_quality(with_later(evidence, gap=0.4), "tstr_auc_gap", value=0.39, ci_low=0.38, ci_high=0.4)
        found = self.ask(poor, default_policy())
        assert not found.passed and found.effect == "regenerate"

    def test_being_better_than_real_rows_is_nothing_to_fall_from(self, evidence: Evidence) -> None:
        """A holdout with fewer rows than the draft is further from everything: no merit of the draft."""
        further = {"reference": 0.1, "reference_low": 0.095, "reference_high": 0.105, "matched": None, "shuffle": 0.2}
        lucky = with_quality(with_later(evidence), "tvd2_mean", **further)
        assert self.ask(lucky, default_policy()).passed

    def test_a_fall_that_chance_explains_is_none(self, evidence: Evidence) -> None:
        shaky = with_quality(with_later(evidence, gap=0.12), "later_tstr_auc_gap", ci_low=-0.1, ci_high=0.35)
        assert self.ask(shaky, default_policy()).passed
        clear = with_quality(with_later(evidence, gap=0.15), "tstr_auc_gap", ci_low=0.02, ci_high=0.04)
        assert self.ask(clear, default_policy()).effect == "reject"
        unsure = with_quality(with_later(evidence, gap=0.15), "tstr_auc_gap", ci_low=-0.1, ci_high=0.16)
        assert self.ask(unsure, default_policy()).passed

    @pytest.mark.parametrize(("gain_high", "effect"), [(-0.01, "reject"), (0.01, "ship"), (None, "ship")])
    def test_a_mix_that_helps_today_and_harms_later_is_a_reject(
        self, evidence: Evidence, gain_high: float | None, effect: str
    ) -> None:
        mixed = reported(with_later(evidence), ablation=_ablation(gain_high))
        found = self.ask(mixed, default_policy())
        assert found.effect == effect
        assert effect == "ship" or "harm those of the later time" in found.reason

    def test_texts_are_held_too(self, evidence: Evidence) -> None:
        texts = with_draft(
            evidence, time=TIME, columns=("note",), text=TextFacts(column="note", model="m", fingerprint="ab" * 32)
        )
        metrics = tuple(_text_metrics())
        good = reported(texts, metrics=metrics, utility=None, text=_SETTINGS,
                        rows=evidence.quality.report.rows.model_copy(update={"later": 900}))  # fmt: skip
        assert self.ask(good, default_policy()).passed
        for name in ("text_js2_later", "text_tstr_linear_later", "text_tstr_bayes"):
            assert not self.ask(dropped(good, name), default_policy()).passed, name
        low = {"value": 0.4, "ci_low": 0.37, "ci_high": 0.43}
        fallen = self.ask(with_quality(good, "text_tstr_linear_later", **low), default_policy())
        assert fallen.effect == "reject" and "text_tstr_linear" in fallen.reason
        few = {"value": 0.4, "ci_low": 0.1, "ci_high": 0.7}  # a label of two texts
        assert self.ask(with_quality(good, "text_tstr_linear_later", **few), default_policy()).passed
        for field in ("ci_low", "ci_high", "reference_low", "reference_high", "shuffle"):
            assert not self.ask(with_quality(good, "text_tstr_bayes_later", **{field: None}), default_policy()).passed
        assert not self.ask(reported(good, text=None), default_policy()).passed


_SETTINGS = TextSettings(embedding="words", texts=500, clusterings=5, scored=False, labelled=True)


def _text_metrics() -> Iterator[Metric]:
    for name in ("text_js2", "text_js2_later"):
        yield Metric(name=name, group="text", value=0.4, reference=0.3, floor=0.3, shuffle=0.7, better="low")
    for name in ("text_coverage", "text_tstr_linear", "text_tstr_bayes"):
        for when in ("", "_later"):
            yield Metric(
                name=name + when, group="text", value=0.8, reference=0.9, floor=None, shuffle=0.3, better="high",
                ci_low=0.77, ci_high=0.83, reference_low=0.87, reference_high=0.93,
            )  # fmt: skip


def _ablation(gain_high: float | None) -> Ablation:
    best: dict[str, Any] = {"learner": "boosting", "mode": "extra", "share": 0.5}
    low = None if gain_high is None else gain_high - 0.02
    return Ablation(
        target="t", task="classification", primary="auc", learners=("boosting",), shares=(0.5,), splits=2, alpha=0.05,
        fixed_rows=10, real_rows=10, best=(),
        answers=(Answer(test="holdout", beats_real=True, p_value=0.01, **best),
                 Answer(test="later", beats_real=False, p_value=0.9, learner=None, mode=None, share=None)),
        mixes=(MixScore(test="later", score="auc", value=0.6, ci_low=None, ci_high=None, gain=low, gain_low=low,
                        gain_high=gain_high, p_value=0.9, p_adjusted=0.9, **best),),
    )  # fmt: skip


class TestTailRecall(RuleConformance):
    name = "tail_recall"
    needs = ("quality", "draft")

    def spoil(self, evidence: Evidence, policy: Policy) -> Iterator[tuple[str, Evidence, Policy]]:
        for field in ("tails", "tails1"):
            (band,) = getattr(evidence.quality.report, field)
            lost = band.model_copy(update={"kept": 0.5, "kept_matched": 0.5})
            yield f"half of {field} lost", reported(evidence, **{field: (lost,)}), policy
            yield f"no {field}", reported(evidence, **{field: ()}), policy
            yield f"{field} twice", reported(evidence, **{field: (band, band)}), policy
            for name in ("kept_matched", "kept_reference"):
                none = band.model_copy(update={name: None})
                yield f"no {name} of {field}", reported(evidence, **{field: (none,)}), policy

    def tighten(self, policy: Policy) -> Policy:
        return limited(policy, "tails", min_recall="1")

    def test_cells_that_noise_hides_count_as_kept_each_once(self, evidence: Evidence) -> None:
        (band,) = evidence.quality.report.tails
        lost = band.model_copy(update={"kept_matched": 0.5, "unresolved": 10, "excused_matched": 1.0})
        assert self.ask(reported(evidence, tails=(lost,)), default_policy()).passed
        # the ten that noise hides are there by luck, and the ten that it does not are gone
        gone = lost.model_copy(update={"excused_matched": 0.5})
        assert not self.ask(reported(evidence, tails=(gone,)), default_policy()).passed
        unsaid = lost.model_copy(update={"excused_matched": None})  # a report from before it was counted
        assert not self.ask(reported(evidence, tails=(unsaid,)), default_policy()).passed

    def test_a_band_without_cells_asks_nothing(self, evidence: Evidence) -> None:
        (band,) = evidence.quality.report.tails
        empty = band.model_copy(update={"cells": 0, "kept_matched": None, "kept_reference": None})
        assert self.ask(reported(evidence, tails=(empty,), tails1=(empty,)), default_policy()).passed


class TestDiversity(RuleConformance):
    name = "diversity"
    needs = ("quality", "draft")

    def spoil(self, evidence: Evidence, policy: Policy) -> Iterator[tuple[str, Evidence, Policy]]:
        for name in ("precision", "recall", "density", "coverage"):
            yield f"no {name}", dropped(evidence, name), policy
            yield f"little {name}", with_quality(evidence, name, value=0.2), policy
            yield f"no real {name}", with_quality(evidence, name, reference=None), policy

    def tighten(self, policy: Policy) -> Policy:
        return limited(policy, "diversity", min_share="1")

    def test_texts_that_repeat_themselves_are_found_where_the_policy_asks(self, evidence: Evidence) -> None:
        text = TextFacts(column="note", model="m", fingerprint="ab" * 32)
        texts = with_draft(evidence, columns=("note",), text=text)
        said = (
            Metric(name="text_coverage", group="text", value=0.8, reference=0.9, floor=0.9, better="high"),
            Metric(name="text_self_bleu4", group="text", value=0.7, reference=0.1, floor=0.1, better="low"),
        )
        repeated = reported(texts, metrics=said)
        assert self.ask(repeated, default_policy()).passed
        found = self.ask(repeated, limited(default_policy(), "diversity", min_text_share="0.5"))
        assert not found.passed and found.value == pytest.approx(1 / 3)
        assert TEXT_REMEDY["text_self_bleu4"] in found.reason


# --- laws over all of them --------------------------------------------------------------------------------------------


def test_a_policy_without_the_sections_asks_nothing_and_has_the_digest_of_before(evidence: Evidence) -> None:
    old = without(default_policy(), *SECTIONS)
    assert set(old.model_dump(mode="json")["quality"]) == {"required", "max_tvd2_shortfall", "warn_tail_shortfall"}
    bad = reported(with_later(evidence, gap=0.3), tails=(), tails1=(), utility=None)
    for name in NEW:
        found = gate(dropped(bad, "coverage"), old, rules=[load_rule(name)]).rules[0]
        assert found.passed and found.value is None, name
    assert set(old.unasked) == set(NEW) and not default_policy().unasked


def test_the_digest_of_a_policy_from_before_is_what_it_was() -> None:
    text = (
        "{version: 1, name: old, guarantee: {relations: [add_remove], units: [record], max_epsilon_per_release: 1, "
        "max_epsilon_total: 2, max_delta: 1e-6, max_delta_times_rows: 1, allow_seeded_noise: false}, attempts: "
        "{max_attempts: 3, alpha: 0.1}, attacks: {required: [verbatim], may_be_not_applicable: {}, limits: {a.b: 0.1}, "
        "require_positive_control: true, require_negative_control: true, max_canary_share: 0.05}, quality: {required: "
        "true, max_tvd2_shortfall: 1.5, warn_tail_shortfall: 0.5}}"
    )
    assert Policy.from_yaml(text).digest() == "f55f8e0b42ce06ffaa936aab7f0f6df45ccd33ac6f216c4bc7e5ff62c6ad5e58"


@given(
    gap=st.floats(-0.2, 0.5), later=st.floats(-0.2, 0.5), half=st.floats(0.001, 0.2), added=st.floats(0, 0.3),
    kept=st.floats(0, 1), diverse=st.floats(0, 1), share=st.floats(0.01, 0.999),
    limit=st.sampled_from([(section, key) for section, keys in SECTIONS.items() for key in keys]),
)  # fmt: skip
def test_tightening_a_limit_over_quality_never_turns_into_ship(
    evidence: Evidence, gap: float, later: float, half: float, added: float, kept: float, diverse: float, share: float,
    limit: tuple[str, str],
) -> None:  # fmt: skip
    judged = with_later(evidence, gap=later, added=added)
    judged = with_quality(judged, "tstr_auc_gap", value=gap, ci_low=gap - half, ci_high=gap + half)
    judged = with_quality(judged, "density", value=diverse)
    (band,) = judged.quality.report.tails
    judged = reported(judged, tails=(band.model_copy(update={"kept_matched": kept}),))
    section, key = limit
    before = default_policy()
    old = float(before.model_dump(mode="json")["quality"][section][key])
    new = old * share if key.startswith("max") else old + (1 - old) * (1 - share)
    after = limited(before, section, **{key: str(new)})
    rules = [load_rule(name) for name in NEW]
    assert gate(judged, before, rules=rules).decision == "ship" or gate(judged, after, rules=rules).decision != "ship"


def test_removing_any_figure_of_the_later_time_never_ships(evidence: Evidence) -> None:
    whole = with_later(evidence)
    rules = [load_rule(name) for name in NEW]
    assert gate(whole, default_policy(), rules=rules).decision == "ship"
    for metric in whole.quality.report.metrics:
        read = metric.name not in {"tail_kept"}
        assert (gate(dropped(whole, metric.name), default_policy(), rules=rules).decision != "ship") == read, (
            metric.name
        )
        for field in ("value", "reference", "ci_low", "ci_high", "shuffle"):
            spoilt = gate(with_quality(whole, metric.name, **{field: None}), default_policy(), rules=rules)
            if metric.name.startswith("later_") and field in ("value", "ci_low", "ci_high"):
                assert spoilt.decision != "ship", (metric.name, field)


def test_figures_of_these_rules_stay_in_the_workspace(evidence: Evidence) -> None:
    decision = gate(with_later(evidence, gap=0.2345), default_policy())
    shown = {rule["name"]: rule for rule in public_decision(decision)["rules"]}  # type: ignore[index,union-attr]
    for name in NEW:
        assert shown[name]["value"] in ("within the limit", "beyond the limit")
        assert shown[name]["limit"] is None and "workspace" in shown[name]["reason"]


# --- remedies ---------------------------------------------------------------------------------------------------------


def _lossy(evidence: Evidence, lost: tuple[float, ...], sigma: float | None) -> QualityReport:
    pair: dict[str, Any] = {
        "left": "age",
        "ci_low": 0.0,
        "ci_high": 1.0,
        "reference": 0.0,
        "floor": 0.0,
        "shuffle": 0.5,
    }
    pairs = tuple(PairQuality(right=f"c{i}", tvd=tvd, **pair) for i, tvd in enumerate(lost))
    one: dict[str, Any] = {"kind": "number", "tvd": 0.0, "ci_low": 0.0, "ci_high": 0.0, "reference": 0.0, "floor": 0.0,
                           "missing_real": 0.0, "missing_synthetic": 0.0, "lost": 0, "invented": 0.0}  # fmt: skip
    columns = tuple(ColumnQuality(name=name, cells=10, **one) for name in ("age", *(p.right for p in pairs)))
    found = None if sigma is None else Resolution(sigma=sigma, rows=2.5 * sigma)
    return evidence.quality.report.model_copy(update={"pairs": pairs, "columns": columns, "resolution": found})


NOISY = (0.08, 0.01, 0.01, 0.01, 0.01)
ADVICE: dict[str, tuple[tuple[float, ...], float | None, float, str]] = {
    # 0.4 * 100 cells * sigma 10 / 4012 rows: 0.1 by noise alone
    "noise, and little more budget": (NOISY, 10.0, 1.84, "about 1.9 times the epsilon"),
    "noise, and too much of it": (NOISY, 10.0, 9.0, "fewer columns, about 2 of 4"),
    "one pair, beyond its noise": (NOISY, 1.0, 2.0, "'age' and 'c0', beyond its noise, so the model did not keep it"),
    "one pair, and noise that is not known": (NOISY, None, 2.0, "'age' and 'c0', so the model did not keep it"),
    "all pairs, beyond noise": (
        (0.08,) * 5,
        1.0,
        2.0,
        "more than noise explains: use another generator, such as gibbs",
    ),
    "all pairs, and noise that is not known": ((0.08,) * 5, None, 2.0, "'c0', over many pairs: use another generator"),
    "nothing lost": ((-0.01, -0.02), 1.0, 2.0, "'c0', by no more than its noise: use about 2 times the epsilon"),
    "noise, at the edge of advice": (NOISY, 10.0, 4.0, "about 4 times the epsilon"),
    "noise, beyond the edge of advice": (NOISY, 10.0, 4.1, "5 times the epsilon would be needed"),
    "no pairs": ((), None, 2.0, "Use more epsilon or fewer columns, or use another generator"),
}


@pytest.mark.parametrize(("lost", "sigma", "times", "said"), ADVICE.values(), ids=ADVICE.keys())
def test_the_remedy_follows_from_the_numbers(
    evidence: Evidence, lost: tuple[float, ...], sigma: float | None, times: float, said: str
) -> None:
    assert said in remedy(_lossy(evidence, lost, sigma), evidence.draft, times=times)


def test_texts_are_told_another_method_and_no_generator_of_tables(evidence: Evidence) -> None:
    written = evidence.draft.model_copy(update={"text": TextFacts(column="note", model="m", fingerprint="ab" * 32)})
    for lost, sigma in (((0.08,) * 5, 1.0), ((), None)):
        said = remedy(_lossy(evidence, lost, sigma), written, times=2.0)
        assert "better public model or another method of `dpsynth text synthesize`" in said and "gibbs" not in said


def test_another_generator_is_one_of_the_table_and_another_one() -> None:
    for name in GENERATORS:
        assert other_generator(name) in GENERATORS and other_generator(name) != name
    assert set(TEXT_REMEDY) == set(HEADLINES)


def test_limits_are_numbers_of_their_range() -> None:
    for section, key, value in (
        ("diversity", "min_share", "1.1"),
        ("later", "max_fall", "0"),
        ("tails", "min_recall", -1),
    ):
        with pytest.raises(ValueError, match=key):
            limited(default_policy(), section, **{key: value})
    assert default_policy().quality.utility is not None
    assert default_policy().quality.utility.max_loss == Decimal("1.2")
