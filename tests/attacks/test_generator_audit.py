"""Shadow attacks on procedures: a memoriser is caught, one that ignores its rows is not, and work is never lost."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.errors import AttackInputError, AttackParameterError
from attacks.generators import bench as shadow_bench
from attacks.generators import membership_classifier
from attacks.generators.auditing import plan_audit
from attacks.generators.bench import SHADOW_ATTACKS, built
from attacks.generators.coded import Codebook
from attacks.generators.planning import ShadowPlan
from attacks.shadow.count_queries import CountQueries
from attacks.suite import SUITES
from tests.attacks.worlds import independent, people

SMALL = {"fits": 120, "rows": 80, "each": 2, "delta": 1e-6}
POPULATION = people(700, np.random.default_rng(7))


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """Fewer queries as well: enough for tables of eighty rows, and three times as fast."""
    monkeypatch.setattr(membership_classifier, "TREES", 30)
    monkeypatch.setattr(CountQueries.__init__, "__kwdefaults__", {"queries": 60})


def memoriser(rows, seed):
    return rows.sample(len(rows), replace=True, random_state=seed)


class Ignorant:
    """Rows of a stranger: whoever is in the table, the release is the same in law."""

    def __init__(self, population):
        self.population = population

    def __call__(self, rows, seed):
        return independent(self.population, 90, np.random.default_rng(seed))


IGNORANT = Ignorant(people(400, np.random.default_rng(8)))


def test_a_memorising_generator_is_caught_in_every_stratum_and_shows_an_epsilon():
    found = attacks.audit_generator(memoriser, POPULATION, trials=0, **SMALL)
    assert found.verdict == "fail"
    counts = found.report.attacks
    assert {row.stratum for row in counts if row.verdict == "fail"} == {"tail", "rare", "all"}
    assert 0.7 < found.epsilon.value <= max(found.epsilon.ceiling, found.epsilon.single)
    assert all(row.threat.startswith("black_box") and row.confidentiality == "internal" for row in counts)


def test_a_generator_that_ignores_its_rows_passes_and_its_planted_leaks_are_caught(monkeypatch):
    monkeypatch.setattr(shadow_bench, "LADDER", (0.5,))
    limits = {"shadow.auc": 0.62, "shadow.tpr": 0.25}
    found = attacks.audit_generator(IGNORANT, POPULATION, limits=limits, fits=240, rows=80, each=4, trials=1)
    assert found.verdict == "pass", str(found)
    counts = found.report.attacks
    assert all(row.positive_control.detected == 1 and row.detectable <= 0.5 for row in counts)
    assert all(row.negative_control.kind == "redrawn_coins" and row.negative_control.passed for row in counts)
    assert found.epsilon.value < 0.5


@pytest.mark.slow
def test_procedures_that_ignore_their_rows_hardly_ever_fail():
    verdicts = [
        attacks.audit_generator(IGNORANT, POPULATION, fits=60, rows=60, each=2, trials=0, seed=seed).verdict
        for seed in range(20)
    ]
    assert "fail" not in verdicts


def test_without_auxiliary_rows_a_memoriser_is_caught_from_a_release_alone():
    found = attacks.audit_generator(memoriser, POPULATION, knowledge="release", trials=0, **SMALL)
    assert found.verdict == "fail" and found.knowledge == "release"
    assert all("a release" in row.threat for row in found.report.attacks)
    given = attacks.audit_generator(
        memoriser, POPULATION, knowledge="release", release=memoriser(POPULATION[:500], 3), trials=0, **SMALL
    )
    assert given.verdict == "fail"


def test_auxiliary_rows_train_and_real_rows_judge():
    seen = []

    def fit(rows, seed):
        seen.append(rows)
        return rows

    real, other = POPULATION[:350], POPULATION[350:].assign(city="Elba")
    attacks.audit_generator(fit, real, other, fits=40, rows=60, each=1, trials=0)
    assert len(seen) == 40
    strangers = [(rows["city"] == "Elba").sum() for rows in seen]
    assert all(count == 60 for count in strangers[:20]) and not any(strangers[20:])
    sizes = {len(rows) for rows in seen}
    assert sizes <= {60, 61, 62, 63} and len(sizes) > 1


def test_a_run_that_was_cut_off_goes_on_and_gives_the_same(tmp_path):
    made, told = [], []

    def fit(rows, seed):
        if len(made) == 25 and not told:
            told.append("cut off")
            raise KeyboardInterrupt
        made.append(seed)
        return memoriser(rows, seed)

    settings = {"fits": 60, "rows": 60, "each": 1, "trials": 0, "folder": tmp_path, "identity": "memoriser 1"}
    with pytest.raises(KeyboardInterrupt):
        attacks.audit_generator(fit, POPULATION, **settings)
    kept = len(list(tmp_path.glob("*.fit")))
    assert 20 <= kept <= 25
    (next(iter(tmp_path.glob("*.fit")))).write_bytes(b"cut off while it was written")
    said = []
    resumed = attacks.audit_generator(fit, POPULATION, progress=lambda *step: said.append(step), **settings)
    assert len(made) == 60 + 25 - kept + 1
    assert any("1 damaged, made again" in step[-1] for step in said)
    whole = attacks.audit_generator(memoriser, POPULATION, **{**settings, "folder": None})
    assert [row.estimate for row in resumed.report.attacks] == [row.estimate for row in whole.report.attacks]


def test_a_folder_is_of_one_request_and_says_what_differs(tmp_path):
    """Values are coded in order of appearance, so fits coded by another book would be read as other values."""
    made = []

    def fit(rows, seed):
        made.append(seed)
        return memoriser(rows, seed)

    folder = tmp_path / "fits"
    settings = {"fits": 40, "rows": 60, "each": 1, "trials": 0, "folder": folder, "identity": "memoriser 1"}
    given = memoriser(people(300, np.random.default_rng(9)), 3).assign(city="Elba")
    for _ in range(2):
        attacks.audit_generator(fit, POPULATION, knowledge="release", release=given, **settings)
        assert len(made) == 40
    assert oct(folder.stat().st_mode)[-3:] == "700"
    with pytest.raises(AttackParameterError, match="another request: the tables, coins or settings differ"):
        attacks.audit_generator(fit, POPULATION, given, **settings)  # the same rows as auxiliary ones: another book
    changes = ({"seed": 1}, {"rows": 50}, {"identity": "memoriser 2"})
    words = ("the tables, coins or settings differ", "the tables, coins or settings differ", "the procedure differ")
    for change, wanted in zip(changes, words, strict=True):
        with pytest.raises(AttackParameterError, match=wanted):
            attacks.audit_generator(fit, POPULATION, knowledge="release", release=given, **{**settings, **change})
    (folder / "request.json").write_text("[]")
    with pytest.raises(AttackParameterError, match=r"request\.json is not one of ours"):
        attacks.audit_generator(fit, POPULATION, knowledge="release", release=given, **settings)
    assert len(made) == 40


def test_no_row_is_written_in_the_clear_and_a_fit_is_of_its_own_number(tmp_path):
    marked = POPULATION.assign(city=[f"town-{at}" for at in range(len(POPULATION))], income=123456.5)
    settings = {"fits": 40, "rows": 60, "each": 1, "trials": 0, "folder": tmp_path, "identity": "memoriser 1"}
    first = attacks.audit_generator(memoriser, marked, **settings)
    files = sorted(tmp_path.glob("*.fit"))
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(files) == 40
    assert b"town-" not in written and b"numbers" not in written and np.float64(123456.5).tobytes() not in written
    for path in files:
        with pytest.raises(ValueError, match=r"allow_pickle|Cannot load"):
            np.load(path, allow_pickle=False)
    files[0].write_bytes(files[1].read_bytes())  # another fit in its place: it is made again and not believed
    made = []
    again = attacks.audit_generator(lambda rows, seed: (made.append(1), memoriser(rows, seed))[1], marked, **settings)
    assert len(made) == 1 and [r.estimate for r in again.report.attacks] == [r.estimate for r in first.report.attacks]


def test_processes_give_what_one_process_gives():
    settings = {"fits": 40, "rows": 60, "each": 1, "trials": 0}

    def fit(rows, seed):  # a function of a function goes by value, so that workers need not find this file
        return rows.sample(len(rows), replace=True, random_state=seed)

    alone, many = (attacks.audit_generator(fit, POPULATION, jobs=jobs, **settings) for jobs in (1, 2))
    assert [row.estimate for row in alone.report.attacks] == [row.estimate for row in many.report.attacks]
    assert alone.epsilon == many.epsilon


def test_a_backend_of_joblib_is_used_where_one_is_set():
    import joblib

    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = attacks.audit_generator(memoriser, POPULATION, fits=40, rows=60, each=2, trials=0)
    assert {row.estimate is None for row in found.report.attacks} <= {True, False}


def test_the_budget_is_told_before_the_first_fit():
    told = []

    def fit(rows, seed):
        told.append("fit")
        return rows

    attacks.audit_generator(
        fit, POPULATION, fits=40, rows=60, each=1, trials=0, progress=lambda name, *_rest: told.append(name)
    )
    assert told[:4] == ["budget"] * 4 and told[4:6] == ["shadow fits", "fit"]


def test_a_larger_budget_shows_more():
    small, large = plan_audit(fits=60), plan_audit(fits=600)
    assert small.passes < large.passes and small.ceiling < large.ceiling and small.auc_caught > large.auc_caught
    assert small.shadows + small.placed + small.counted == small.fits


def test_every_attack_file_is_in_the_table_and_shadow_is_in_no_suite():
    root = Path(attacks.__file__).parent
    files = {p for p in (root / "shadow").glob("*.py") if p.name != "__init__.py"}
    assert files == {root.parent / (p.partition(":")[0].replace(".", "/") + ".py") for p in SHADOW_ATTACKS.values()}
    for path in SHADOW_ATTACKS.values():
        module, _, name = path.partition(":")
        assert callable(getattr(import_module(module), name))
    assert not {attack.name for attack in built()} & {name for suite in SUITES.values() for name in suite.attacks}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"fits": 10}, AttackParameterError, "Expected 40 fits"),
        ({"delta": 1.0}, AttackParameterError, "Expected delta"),
        ({"knowledge": "everything"}, AttackParameterError, "Expected knowledge"),
        ({"limits": {"shadow.auc": 0.6}}, AttackParameterError, "No limit is given"),
        ({"folder": Path("x")}, AttackParameterError, "nothing says which procedure"),
        ({"folder": Path("x"), "identity": "m", "knowledge": "release"}, AttackParameterError, "another release"),
        ({"auxiliary": POPULATION}, AttackInputError, "the split is broken"),
        ({"each": 80}, AttackInputError, "fewer rows than there are targets|too few rows"),
        ({"quasi_identifiers": ("nothing",)}, AttackInputError, "A role names the column"),
        ({"fit": lambda rows, seed: rows.drop(columns="age")}, AttackInputError, "without the column 'age'"),
        ({"fit": lambda rows, seed: rows[:0]}, AttackInputError, "without rows"),
        ({"fit": lambda rows, seed: None}, AttackInputError, "returned a NoneType"),
    ],
)
def test_what_cannot_be_audited_is_refused(change, error, words):
    settings = {"fit": memoriser, "auxiliary": None, "fits": 40, "rows": 60, "each": 1, "trials": 0, **change}
    with pytest.raises(error, match=words):
        attacks.audit_generator(settings.pop("fit"), POPULATION, settings.pop("auxiliary"), **settings)


def test_a_budget_too_small_says_how_many_fits_would_do():
    found = attacks.audit_generator(IGNORANT, POPULATION, fits=40, rows=60, each=1, trials=0)
    reasons = {row.reason for row in found.report.attacks}
    assert found.verdict == "inconclusive"
    assert all("fits" in reason and "holdout rows" not in reason for reason in reasons), reasons


def test_the_document_is_a_report_with_epsilon_and_budget():
    found = attacks.audit_generator(memoriser, POPULATION, fits=40, rows=60, each=1, trials=0)
    document = found.to_json()
    assert document["schema"] == "dpsynth.generator_audit/1" and document["verdict"] == found.verdict
    assert document["epsilon"]["confidentiality"] == "internal" and document["plan"]["fits"] == 40
    assert document["epsilon_lower_bound"] is None  # what is public of a release never holds a figure of real rows
    assert "epsilon is at least" in str(found)
    assert isinstance(found.plan, ShadowPlan)


def test_values_that_no_real_row_has_and_other_storage_are_coded_alike():
    table = pd.DataFrame(
        {"n": [1, 2, None], "c": ["a", None, "b"], "t": pd.to_datetime(["2020-01-01", None, "2021-01-01"])}
    )
    book = Codebook.of([table])
    again = book.code(table.astype({"c": "category", "n": "Float64"})[["t", "c", "n"]])
    plain = book.code(table)
    np.testing.assert_array_equal(again.numbers, plain.numbers)
    np.testing.assert_array_equal(again.categories, plain.categories)
    assert book.code(table.assign(c="z")).categories.ravel().tolist() == [-2, -2, -2]
