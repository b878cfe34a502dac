from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.quality import QualityReport, evaluate
from dpsynth.quality.ablation import PUBLISHED, Ablation, ablate, advise
from dpsynth.quality.ablation.halves import holm, interval, p_above_zero, standard_error
from dpsynth.quality.ablation.mixes import draws, plan
from dpsynth.simulation import network

LINEAR = ("linear",)


def rows_of(law: int, rows: int, seed: int) -> pd.DataFrame:
    return network(columns=6, seed=law, modes=0).draw(rows, seed=seed).table.to_pandas()


def no_labels(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame.assign(target=np.random.default_rng(seed).permutation(frame["target"].to_numpy()))


# --- the answer ------------------------------------------------------------------------------------------------------


def test_more_rows_of_the_right_law_beat_few_real_rows() -> None:
    """Power: 120 real rows of six columns leave much to learn, and as many fresh rows of their law teach it."""
    real, fresh, holdout = rows_of(5, 120, 0), rows_of(5, 120, 1), rows_of(5, 4000, 2)
    found = ablate(real, fresh, holdout, target="target", learners=LINEAR, shares=(0, 0.5), jobs=1)
    assert [m.share for m in found.mixes if m.mode == "extra" and m.score == "auc"] == [0.0, 0.5]
    assert found.mix("linear", 0.5, mode="extra").gain > 0.01
    assert found.mix("linear", 0.5, mode="extra").p_value < 0.05
    better = ablate(no_labels(real, 0), fresh, holdout, target="target", learners=LINEAR, shares=(0, 0.5, 1), jobs=1)
    answer = better.answer()
    assert answer.beats_real
    assert answer.p_value < 0.01
    assert better.best[0].share == 1.0


@pytest.mark.parametrize("law", [1, 2])
def test_rows_whose_labels_were_permuted_never_beat_real_ones(law: int) -> None:
    real, fresh, holdout = (rows_of(law, 600, seed) for seed in range(3))
    found = ablate(real, no_labels(fresh, law), holdout, target="target", learners=LINEAR, shares=(0, 0.5, 1), jobs=1)
    assert not found.answer().beats_real
    assert {best.share for best in found.best} == {0.0}
    assert found.mix("linear", 1.0).gain_high < 0


@pytest.mark.slow
def test_the_answer_is_rarely_yes_where_all_mixes_are_worth_the_same() -> None:
    """Null at its edge: synthetic rows are fresh real ones. P(more than 3 of 30 | 5 %) < 0.06 a look, one look."""
    yes = 0
    for run in range(30):
        real, fresh, holdout = (rows_of(run, 200, 3 * run + part) for part in range(3))
        found = ablate(real, fresh, holdout, target="target", learners=LINEAR, shares=(0, 0.5, 1), jobs=1, seed=run)
        fixed = [m.p_value for m in found.mixes if m.score == "auc" and m.mode == "fixed" and m.share > 0]
        yes += min(holm(fixed)) <= 0.05
    assert yes <= 3


def test_figures_do_not_depend_on_the_number_of_threads_and_repeat_from_the_seed() -> None:
    tables = [rows_of(5, 60, seed) for seed in range(3)]
    one = ablate(*tables, target="target", shares=(0, 1), splits=3, jobs=1, seed=4)
    assert one == ablate(*tables, target="target", shares=(0, 1), splits=3, jobs=2, seed=4)
    linear = ablate(*tables, target="target", learners=LINEAR, shares=(0, 1), splits=3, seed=5)
    assert linear.mix("linear", 1.0) != one.mix("linear", 1.0)


# --- statistics ------------------------------------------------------------------------------------------------------


def test_the_standard_error_is_that_of_a_mean_of_independent_rows() -> None:
    """A mean of n rows has variance 1/n; halves of many tables must give it on average, and never see the mean."""
    rng = np.random.default_rng(0)
    squared = []
    for _ in range(400):
        sample = rng.normal(5.0, 1.0, 100)
        order = [rng.permutation(100) for _ in range(4)]
        halves = np.array([[sample[o[:50]].mean(), sample[o[50:]].mean()] for o in order])
        squared.append(standard_error(halves) ** 2)
    assert np.mean(squared) == pytest.approx(1 / 100, rel=0.1)


def test_p_values_of_a_mean_are_uniform_where_it_is_zero() -> None:
    rng = np.random.default_rng(1)
    small = 0
    for _ in range(2000):
        sample = rng.normal(0.0, 1.0, 60)
        order = [rng.permutation(60) for _ in range(6)]
        halves = np.array([[sample[o[:30]].mean(), sample[o[30:]].mean()] for o in order])
        small += p_above_zero(float(sample.mean()), halves) <= 0.05
    assert 60 <= small <= 145  # 100 expected, 4.6 standard deviations


def test_too_few_cuts_that_could_be_scored_say_nothing() -> None:
    halves = np.array([[0.1, 0.2], [np.nan, 0.1], [0.3, 0.1]])
    assert interval(0.1, halves) is None
    assert p_above_zero(0.1, halves) is None
    assert p_above_zero(0.0, np.zeros((4, 2))) == 1.0


def test_halves_are_complementary_and_mixes_of_a_draw_share_rows() -> None:
    cuts = draws(101, 60, {"holdout": 31}, splits=3, rng=np.random.default_rng(0))
    for cut in range(3):
        left, right = (draw for draw in cuts if draw.cut == cut)
        assert not set(left.real) & set(right.real)
        assert left.real.size == right.real.size == 50
        assert not set(left.tests["holdout"]) & set(right.tests["holdout"])
    mixes = plan((0, 0.25, 0.5, 0.75, 1), real=90, synthetic=200)
    assert {(m.mode, m.share): (m.real, m.synthetic) for m in mixes} == {
        ("fixed", 0): (90, 0), ("fixed", 0.25): (68, 22), ("fixed", 0.5): (45, 45), ("fixed", 0.75): (22, 68),
        ("fixed", 1): (0, 90), ("extra", 0): (90, 0), ("extra", 0.25): (90, 30), ("extra", 0.5): (90, 90),
    }  # fmt: skip
    few = plan((0, 0.5, 1), real=90, synthetic=10)
    assert {(m.real + m.synthetic) for m in few if m.mode == "fixed"} == {10}
    assert [m.share for m in few if m.mode == "extra"] == [0]


# --- learners and targets --------------------------------------------------------------------------------------------


def test_a_pipeline_of_the_users_gets_the_columns_as_they_are() -> None:
    tables = [rows_of(2, 300, seed) for seed in range(3)]
    words = [name for name in tables[0] if tables[0][name].dtype == object and name != "target"]
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), words), remainder="passthrough")
    own = make_pipeline(encoder, RandomForestClassifier(n_estimators=5, n_jobs=1))
    found = ablate(*tables, target="target", learners=(own, "linear"), shares=(0, 1), splits=3)
    assert found.learners == ("RandomForestClassifier", "linear")
    assert found.mix("RandomForestClassifier", 1.0).value > 0.6
    assert {m.score for m in found.mixes} == {"auc", "average_precision", "accuracy"}
    margin = make_pipeline(encoder, LinearSVC())
    assert ablate(*tables, target="target", learners=(margin,), shares=(0, 1), splits=3).mixes[0].value > 0.6
    assert ablate(*tables, target="target", learners=(margin, margin), shares=(0, 1), splits=3).learners == (
        "LinearSVC", "LinearSVC'",
    )  # fmt: skip


def test_numbers_and_several_classes_are_targets_too() -> None:
    tables = [rows_of(4, 300, seed) for seed in range(3)]
    found = ablate(*tables, target="c0", learners=LINEAR, shares=(0, 1), splits=3)
    assert (found.task, found.primary) == ("regression", "r2")
    assert found.mix("linear", 1.0, score="mean_absolute_error").gain == pytest.approx(
        found.mix("linear", 0.0, score="mean_absolute_error").value
        - found.mix("linear", 1.0, score="mean_absolute_error").value
    )
    many = ablate(*tables, target="c1", learners=LINEAR, shares=(0, 1), splits=3)
    assert {m.score for m in many.mixes} == {"auc", "accuracy"}


def test_texts_teach_their_labels() -> None:
    rng = np.random.default_rng(0)

    def notes(rows: int) -> pd.DataFrame:
        sick = rng.random(rows) < 0.5
        words = [rng.choice(["fever", "cough", "pain"] if s else ["rent", "loan", "bank"]) for s in sick]
        return pd.DataFrame({"note": [f"about {w} today" for w in words], "label": np.where(sick, "sick", "money")})

    real, synthetic, holdout = notes(200), notes(200), notes(200)
    found = ablate(real, synthetic, holdout, target="label", text=("note",), shares=(0, 1), splits=3)
    for learner in ("boosting", "linear"):
        assert found.mix(learner, 1.0).value > 0.95, learner
    blind = ablate(real, no_words(synthetic), holdout, target="label", text=("note",), shares=(0, 1), splits=3)
    assert blind.mix("linear", 1.0).value == pytest.approx(0.5, abs=0.1)


def no_words(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(note="nothing at all")


def test_later_rows_have_figures_and_an_answer_of_their_own() -> None:
    real, fresh, holdout, later = (rows_of(6, 300, seed) for seed in range(4))
    found = ablate(real, fresh, holdout, later=no_labels(later, 0), target="target", learners=LINEAR, shares=(0, 1))
    assert found.mix("linear", 0.0).value > 0.65
    assert found.mix("linear", 0.0, test="later").value == pytest.approx(0.5, abs=0.12)
    assert [answer.test for answer in found.answers] == ["holdout", "later"]


# --- what is refused, and what is said -------------------------------------------------------------------------------


def test_bad_requests_are_refused_by_name() -> None:
    tables = [rows_of(2, 60, seed) for seed in range(3)]
    with pytest.raises(ParameterError, match="Unknown learner 'forest'"):
        ablate(*tables, target="target", learners=("forest",))
    with pytest.raises(ParameterError, match="A type is not a scikit-learn estimator"):
        ablate(*tables, target="target", learners=(LogisticRegression,))
    with pytest.raises(ParameterError, match="at least one learner"):
        ablate(*tables, target="target", learners=("linear", "linear"))
    with pytest.raises(ParameterError, match="shares of synthetic rows between 0 and 1"):
        ablate(*tables, target="target", shares=(0, 1.5))
    with pytest.raises(ParameterError, match="splits >= 3"):
        ablate(*tables, target="target", splits=2)
    with pytest.raises(ParameterError, match="No published range for the task 'poetry'"):
        ablate(*tables, target="target", task="poetry")
    with pytest.raises(SchemaError, match="'absent' is not a column"):
        ablate(*tables, target="absent")
    with pytest.raises(DataError, match="'target' has one class in the holdout table"):
        ablate(tables[0], tables[1], tables[2].assign(target="target_0"), target="target")
    with pytest.raises(ParameterError, match="Name it as target"):
        evaluate(*tables, ablation=True)

    class Mute:
        def get_params(self, deep: bool = True) -> dict[str, object]:
            return {}

        def set_params(self) -> Mute:
            return self

        def fit(self, frame: pd.DataFrame, y: object) -> Mute:
            return self

    with pytest.raises(ParameterError, match="'Mute' has neither predict_proba nor decision_function"):
        ablate(*tables, target="target", learners=(Mute(),), jobs=1)


@pytest.mark.parametrize("step", ["fitted", "asked to predict"])
def test_what_a_user_s_learner_raises_is_named_and_its_words_stay_behind(step: str) -> None:
    class Careless:
        def get_params(self, deep: bool = True) -> dict[str, object]:
            return {}

        def set_params(self) -> Careless:
            return self

        def fit(self, frame: pd.DataFrame, y: object) -> Careless:
            if step == "fitted":
                raise ValueError("could not convert 'a cell' to float")
            return self

        def predict_proba(self, frame: pd.DataFrame) -> object:
            raise KeyError("a cell")

    tables = (rows_of(3, 200, 0), rows_of(3, 200, 1), rows_of(3, 200, 2))
    with pytest.raises(ParameterError, match=f"'Careless' raised (ValueError|KeyError) when it was {step}") as refused:
        ablate(*tables, target="target", learners=(Careless(),), shares=(0, 1), splits=3, jobs=1)
    assert "a cell" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_holdout_of_ten_rows_is_no_error_and_answers_nothing_loudly() -> None:
    real, fresh, holdout = rows_of(2, 200, 0), rows_of(2, 200, 1), rows_of(2, 10, 2)
    found = ablate(real, fresh, holdout, target="target", learners=LINEAR, shares=(0, 1), splits=6)
    row = found.mix("linear", 1.0)
    assert row.ci_low is None or row.ci_high - row.ci_low > 0.2
    assert not found.answer().beats_real


def test_published_ranges_warn_and_the_measured_share_wins() -> None:
    assert PUBLISHED["mathematics"] == (0.5, 0.8)
    assert "outside" in advise("instruction_tuning", 0.05)
    assert "within" in advise("domain_adaptation", 0.5)
    tables = [rows_of(2, 300, seed) for seed in range(3)]
    found = ablate(
        tables[0], no_labels(tables[1], 0), tables[2], target="target", learners=LINEAR, shares=(0, 0.5), splits=3,
        task="code",
    )  # fmt: skip
    assert found.best[0].share == 0.0
    assert any("outside the published range for code (50 to 80 %); the measured share wins" in n for n in found.notes)


def test_the_report_carries_it_and_is_internal() -> None:
    tables = [rows_of(2, 120, seed) for seed in range(3)]
    report = evaluate(*tables, target="target", ablation={"learners": LINEAR, "shares": (0, 1), "splits": 3})
    assert isinstance(report.ablation, Ablation)
    assert report.ablation.confidentiality == "internal"
    assert QualityReport.from_json(report.to_json()) == report
    assert evaluate(*tables, target="target").ablation is None
