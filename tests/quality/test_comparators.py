"""Private models beside a table: their neighbours, their bounds, their spends; and the faults that are designed out."""

from __future__ import annotations

import warnings
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from accounting.adapters import from_diffprivlib
from accounting.errors import EventError
from accounting.ledger.containment import uncovered
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.quality import evaluate
from dpsynth.quality.comparators import models
from dpsynth.quality.comparators.features import Encoding
from dpsynth.quality.comparators.models import STEPS, PrivacyLeak, accountant, fitted
from dpsynth.quality.comparators.score import Comparators, _sized

KINDS = {"age": "number", "town": "categorical"}


def people(rows: int, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, town = rng.integers(18, 90, rows), rng.choice(["a", "b", "c"], rows)
    sick = rng.random(rows) < 1 / (1 + np.exp(-(age - 55) / 8 - (town == "a")))
    return pd.DataFrame({"age": age, "town": town, "sick": np.where(sick, "yes", "no")} | columns)


def test_a_table_is_held_against_private_models_at_the_same_epsilon():
    asked = Comparators(epsilon=Decimal(1), draws=3)
    report = evaluate(people(2000), people(1500, 1), people(800, 2), target="sick", comparators=asked)
    found = {(one.model, one.score): one for one in report.utility.comparators}
    assert {model for model, _ in found} == set(STEPS)
    assert found["logistic", "auc"].mean > 0.8 > 0.5 < found["trees", "auc"].mean
    for one in found.values():
        assert len(one.draws) == 3 and one.ci_low <= one.mean <= one.ci_high and one.relation == "add_remove"
    assert type(report).from_json(report.to_json()) == report
    assert evaluate(people(300), people(300, 1), people(300, 2), target="age", comparators=asked).utility


def test_the_ledger_gets_what_the_library_counted_in_the_budgets_own_neighbours():
    """Naive Bayes charges once for a label that moves two classes; a user of three rows is three steps."""
    unit = PrivacyUnit(kind="user", column="id", max_records=3)
    asked = Comparators(epsilon=Decimal("0.6"), draws=2, unit=unit)
    frames = {"real": people(300), "synthetic": people(300, 1), "holdout": people(100, 2)}
    asked.run(frames, kinds=KINDS, target="sick", classes=np.array(["no", "yes"]), scored=lambda s: {"x": s.mean()})
    counted = {name: [spend[0] for spend in one.spent_budget] for name, one in asked.accountants.items()}
    assert counted["logistic"] == pytest.approx([0.2, 0.2])
    assert counted["trees"] == pytest.approx([0.2, 0.2])
    assert counted["naive_bayes"] == pytest.approx([0.1, 0.1])
    spent, plan = asked.spent.to_json(), asked.plan.to_json()
    assert spent["relation"] == plan["relation"] == "add_remove" and spent["unit"] == plan["unit"]
    assert [event["count"] for event in spent["events"]] == [2, 2, 2]
    assert all(0.6 * (1 - 1e-8) < float(event["epsilon"]) <= 0.6 for event in spent["events"])
    assert uncovered(spent["events"], plan["events"]) is None


def test_the_adapter_multiplies_steps_and_refuses_what_it_cannot():
    spent = SimpleNamespace(spent_budget=[(0.5, 0), (0.5, 0)])
    tree = from_diffprivlib(spent, relation=NeighboringRelation.ADD_REMOVE, steps=2)
    assert 1 <= tree.events[0].epsilon < Decimal("1.0000001") and tree.events[0].count == 2
    for pairs, steps in (([(0.5, 1e-6)], 2), ([(0.5, 0)], 0)):
        with pytest.raises(EventError, match="steps >= 1"):
            from_diffprivlib(SimpleNamespace(spent_budget=pairs), relation=NeighboringRelation.ADD_REMOVE, steps=steps)


@pytest.mark.parametrize("rows", [0, 1, 7, 40, 41, 90])
def test_the_trained_table_has_the_public_number_of_rows_whatever_the_real_one_has(rows):
    released = people(50, 1, mark=0)
    made = _sized(people(rows, 2, mark=1) if rows else people(1, 2, mark=1).iloc[:0], released, 40)
    assert len(made) == 40 and int(made["mark"].sum()) == min(rows, 40)


def test_rows_of_wide_features_have_norm_at_most_one_even_where_cells_are_unknown():
    released = people(60)
    released.loc[:5, "age"] = np.nan
    encoding = Encoding.of(released, KINDS, target="sick", bounds={})
    far = pd.DataFrame({"age": [1e9, -1e9, np.nan, 50], "town": ["a", "nowhere", None, "c"]})
    assert np.linalg.norm(encoding.wide(far), axis=1).max() <= 1
    narrow = encoding.narrow(far)
    assert narrow.min() >= 0 and narrow.max() <= 1


def test_bounds_are_declared_or_released_and_never_the_real_tables():
    """Two real tables, one with an outlier: nothing of the encoding can tell them apart, because it sees neither."""
    released = people(60)
    encoding = Encoding.of(released, KINDS, target="sick", bounds={"age": (0.0, 120.0)})
    assert encoding.ranges == {"age": (0.0, 120.0)}
    with pytest.raises(DataError, match="nothing bounds it"):
        Encoding.of(released.assign(age=np.nan), KINDS, target="sick", bounds={})


def test_a_leak_that_the_library_only_warns_of_is_an_error():
    from diffprivlib.models import GaussianNB

    with pytest.raises(PrivacyLeak, match="would have read"), models._strict():
        GaussianNB(epsilon=1.0).fit(np.random.default_rng(0).random((20, 2)), np.arange(20) % 2)


def test_no_seed_of_numpy_decides_the_noise():
    """The forest of the library takes 31 bits from numpy's generator for all its noise; ours do not."""
    x, y = np.random.default_rng(0).random((60, 2)), np.arange(60) % 2

    def draw(name):
        np.random.seed(1)  # noqa: NPY002
        scaled = x / 2 if name == "logistic" else x
        return fitted(name, scaled, y, 2, epsilon=0.2, accountant=accountant())(scaled)

    for name in ("logistic", "naive_bayes"):
        assert not np.array_equal(draw(name), draw(name)), name
    assert any(not np.array_equal(draw("trees"), draw("trees")) for _ in range(5))


def test_a_class_that_no_real_row_has_is_no_error_and_no_answer():
    """Which classes occur would be read from the data; a released row of each is there."""
    asked = Comparators(epsilon=Decimal(1), draws=1)
    one = people(200)
    one["sick"] = "no"
    frames = {"real": one, "synthetic": people(200, 1), "holdout": people(100, 2)}
    asked.run(frames, kinds=KINDS, target="sick", classes=np.array(["no", "yes"]), scored=lambda s: {"x": s.mean()})


def test_bad_questions_are_refused_before_anything_is_trained(monkeypatch):
    for options in ({"models": ("forest",)}, {"models": ()}, {"draws": 0}, {"epsilon": Decimal("NaN")}):
        with pytest.raises(ParameterError):
            Comparators(**{"epsilon": Decimal(1)} | options)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"dpsynth-release\[comparators\]"):
        _ = Comparators(epsilon=Decimal(1)).plan


def test_settings_hold_the_theorems_assumptions(monkeypatch):
    """No unpenalised intercept, norm one, bounds and classes given: as the library is called."""
    import diffprivlib.models as theirs

    seen = {}

    def spy(cls, name):
        def make(**options):
            seen[name] = options
            return cls(**options)

        return make

    for name in ("LogisticRegression", "GaussianNB", "DecisionTreeClassifier"):
        monkeypatch.setattr(theirs, name, spy(getattr(theirs, name), name))
    x, y = np.random.default_rng(0).random((60, 2)) / 2, np.arange(60) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in STEPS:
            fitted(name, x, y, 2, epsilon=1.0, accountant=accountant())
    assert seen["LogisticRegression"]["fit_intercept"] is False and seen["LogisticRegression"]["data_norm"] == 1.0
    assert all("bounds" in seen[name] for name in ("GaussianNB", "DecisionTreeClassifier"))
    assert "classes" in seen["DecisionTreeClassifier"] and all("random_state" not in one for one in seen.values())
