import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.quality.report import Metric
from dpsynth.report import assemble
from dpsynth.report.html import environment
from dpsynth.report.spending import budget_view
from dpsynth.report.views import attack_lines, clean, event_lines, flatten, grade_of
from dpsynth.report.words import attack_words, endpoint_words, metric_words, rule_words


def balance(granted: str, spent: str, reserved: str, left: str) -> dict[str, Any]:
    amounts = {"granted": granted, "spent": spent, "reserved": reserved, "left": left}
    return {"epsilon": amounts, "delta": {**amounts, "granted": "1e-6"}}


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_budget_bar_adds_up_to_the_grant(before: int, this: int, reserved: int, left: int) -> None:
    total = before + this + reserved + left
    view = budget_view(balance(str(total), str(before + this), str(reserved), str(left)), this=str(this))
    assert sum(float(amount) for _, amount, _ in view.parts) == total
    assert total == 0 or sum(share for *_, share in view.parts) == pytest.approx(100, abs=0.03)


def test_overspent_budget_still_fits_its_bar() -> None:
    view = budget_view(balance("1", "1.5", "0", "0"), this="0.5")
    assert sum(share for *_, share in view.parts) == pytest.approx(100, abs=0.03)


@given(st.text(max_size=80))
def test_clean_text_is_printable_and_stays_clean(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not {unicodedata.category(c) for c in once} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def metric(value: float, reference: float, shuffle: float | None, better: str = "low") -> Metric:
    return Metric(
        name="m", group="fidelity", value=value, reference=reference, floor=None, shuffle=shuffle, better=better
    )


@pytest.mark.parametrize(
    ("figure", "word"),
    [
        (metric(0.021, 0.020, 0.1), "as good as real"),
        (metric(0.066, 0.052, 0.108), "close to real"),
        (metric(0.40, 0.418, 0.410, "high"), "not better than useless"),
        (metric(0.564, 0.624, 0.5, "high"), "nearer to real"),
        (metric(0.09, 0.02, 0.1), "rough"),
        (metric(0.2, 0.02, 0.1), "not better than useless"),
        (metric(0.107, 0.021, None), "far from real"),
        (metric(0.03, 0.021, None), "as good as real"),
        (metric(0.045, 0.021, None), "close to real"),
        (metric(0.012, 0.0, None), "close to real"),
    ],
)
def test_reading_never_flatters(figure: Metric, word: str) -> None:
    assert grade_of(figure)[0] == word


def test_events_carry_their_share_of_the_loss(internal: dict[str, Any]) -> None:
    lines = event_lines(internal["events"])
    assert sum(line.share for line in lines) == pytest.approx(1)
    assert all(line.seeded for line in lines)
    sampled = {
        "schema": "dpsynth.events/1", "relation": "add_remove", "unit": "record",
        "events": [{"type": "poisson_sampled", "probability": "0.01", "count": 10,
                    "event": {"type": "gaussian", "sigma": "1", "l2_sensitivity": "1"}}],
    }  # fmt: skip
    (line,) = event_lines(sampled)
    assert (line.rho, line.share, line.count) == (None, None, 10)
    assert line.noise == "sigma 1, probability 0.01"


@pytest.mark.parametrize(
    ("control", "word"),
    [
        (None, "not run"),
        ({"kind": "random", "fraction": 0.1, "detected": 0, "trials": 0}, "not run"),
        ({"kind": "random", "fraction": 0.1, "detected": 9, "trials": 10}, "9/10 caught"),
        ({"kind": "random", "caught": True}, "caught"),
        ({"kind": "random", "caught": False}, "missed"),
    ],
)
def test_positive_control_is_said_as_it_came_out(internal: dict[str, Any], control: Any, word: str) -> None:
    row = {**internal["attacks"]["attacks"][0], "positive_control": control}
    assert attack_lines([row], exact=True)[0].positive == word


@pytest.mark.parametrize(
    ("control", "word"),
    [
        (None, "not run"),
        ({"detected": 0, "trials": 0}, "not run"),
        ({"detected": 0, "trials": 20}, "silent"),
        ({"detected": 1, "trials": 20}, "false alarm"),
        ({"kind": "reference_rows", "estimate": 0.5, "passed": True}, "silent"),
        ({"kind": "reference_rows", "estimate": 0.9, "passed": False}, "false alarm"),
    ],
)
def test_negative_control_is_said_as_it_came_out(internal: dict[str, Any], control: Any, word: str) -> None:
    row = {**internal["attacks"]["attacks"][0], "negative_control": control}
    assert attack_lines([row], exact=True)[0].negative == word


def test_criteria_without_an_attack_are_listed_as_not_run(internal: dict[str, Any]) -> None:
    titles = [w.title for w in assemble(**internal).untested]
    assert {"Singling out", "Linkability", "Canary audit"} == set(titles)
    assert len(titles) == 3
    nothing = [w.title for w in assemble().untested]
    assert {"Membership", "Attribute inference"} <= set(nothing)


def test_names_become_words_and_unknown_names_stay_readable() -> None:
    assert metric_words("tail_kept_10_99").title == "Combinations of 10–99 rows, kept"
    assert metric_words("tstr_auc_gap").title == "Prediction, ROC AUC: loss"
    assert metric_words("something_new").title == "Something new"
    assert attack_words("attribute_inference:income").title == "Attribute inference: income"
    assert attack_words("<b>").title == "<b>"
    assert endpoint_words("tpr_excess@fpr=0.001") == "members found beyond chance, at 0.1 % false alarms"
    assert endpoint_words("odd@fpr=x") == "odd (x)"
    assert endpoint_words("success_gap@scarce") == "right guesses beyond those for others, where the secret is scarce"
    assert (
        endpoint_words("at_risk_excess@0.09") == "members linked to their own row beyond others, at a risk above 0.09"
    )
    assert endpoint_words("singled_excess") == "members described alone beyond others, of all descriptions"
    assert rule_words("epsilon_total") == "Epsilon of all releases of this data"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.000"), (0.0004, "<0.001"), (-0.0004, ">−0.001"), (-0.5, "−0.500"), (0.12345, "0.123")],
)
def test_figures_are_printed_alike(value: float | None, text: str) -> None:
    assert environment().filters["num"](value) == text


def test_nested_documents_become_rows() -> None:
    assert flatten({"a": {"b": [1, 2.5], "c": None}, "d": True}) == (("a.b", "1, 2.5"), ("a.c", "–"), ("d", "yes"))
