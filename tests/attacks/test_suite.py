"""The suite as a whole: releases of known kind get the verdict they deserve, and registration is complete."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.errors import AttackParameterError
from attacks.protocol import Endpoint, ThreatModel
from attacks.suite import ATTACKS, SUITES
from tests.attacks.worlds import REPOSITORY, independent, leaking, people, split, statsmodels_table


def test_every_attack_file_is_in_the_table_and_every_entry_exists():
    root = Path(attacks.__file__).parent
    files = {
        p for f in ("membership", "linkage", "inference") for p in (root / f).glob("*.py") if p.name != "__init__.py"
    }
    listed = {root.parent / (entry.partition(":")[0].replace(".", "/") + ".py") for entry in ATTACKS.values()}
    assert listed == files
    for entry in ATTACKS.values():
        module, _, name = entry.partition(":")
        assert callable(getattr(import_module(module), name))
    assert {name for suite in SUITES.values() for name in suite.attacks} <= set(ATTACKS)


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"numpy", "pandas", "scipy", "sklearn", "pydantic"}
    code = f"import sys, attacks; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves_and_no_other_does():
    for name in attacks.__all__:
        assert getattr(attacks, name) is not None
        assert name in dir(attacks)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = attacks.nonsense


def test_the_demo_table_passes_when_clean_and_fails_when_copied():
    table, rng = statsmodels_table("fair"), np.random.default_rng(5)
    members, holdout = split(table, rng, (0.7, 0.3))
    clean = attacks.audit(members, independent(members, len(members), rng), holdout, sensitive=["affairs"])
    assert clean.verdict == "pass", str(clean)
    assert all(r.positive_control.detected >= 8 for r in clean.attacks)
    copy = attacks.audit(members, members, holdout, sensitive=["affairs"])
    assert {r.verdict for r in copy.attacks} == {"fail"}


def test_a_leak_of_one_percent_on_coarse_rows_is_named_as_below_what_is_seen():
    table, rng = statsmodels_table("fair"), np.random.default_rng(6)
    members, holdout = split(table, rng, (0.7, 0.3))
    report = attacks.audit(members, leaking(members, 0.01, rng), holdout, suite="quick")
    assert report.verdict != "fail"
    assert min(r.detectable for r in report.attacks) > 0.01


def wide(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Six numbers and six categories, the least that is halved."""
    numbers = {f"n{at}": rng.normal(size=rows).round(2) for at in range(6)}
    return pd.DataFrame({**numbers, **{f"c{at}": rng.choice(list("abcde"), rows) for at in range(6)}})


def test_standard_sees_a_wide_table_whose_every_number_was_shifted():
    rng = np.random.default_rng(13)
    members, holdout = split(wide(3000, rng), rng, (0.6, 0.4))
    hidden = members.assign(**{f"n{at}": members[f"n{at}"] + 3.0 for at in range(6)})
    verdicts = {(r.name, r.endpoint): r.verdict for r in attacks.audit(members, hidden, holdout).attacks}
    assert verdicts["subspace", "auc"] == "fail"
    clean = attacks.audit(members, independent(members, 1800, rng), holdout)
    assert next(r for r in clean.attacks if r.name == "subspace").verdict == "pass"


def test_half_of_a_narrow_table_is_not_asked_for():
    rng = np.random.default_rng(14)
    table = wide(900, rng).drop(columns="c5")
    for suite in ("standard", "full"):
        report = attacks.audit(table[:500], table[:500], table[500:].reset_index(drop=True), suite=suite)
        assert not any(r.name == "subspace" for r in report.attacks)
        assert "fewer than 12 columns" in {i.name: i.reason for i in report.not_applicable}["subspace"]


def test_without_plantings_a_leak_fails_all_the_same_and_nothing_passes():
    rng = np.random.default_rng(15)
    members, holdout = split(people(2000, rng), rng, (0.6, 0.4))
    blind = replace(SUITES["quick"], trials=0)
    asked, full = (attacks.audit(members, members, holdout, suite=suite) for suite in (blind, "quick"))
    assert [(r.verdict, r.estimate) for r in asked.attacks] == [(r.verdict, r.estimate) for r in full.attacks]
    assert asked.verdict == "fail"
    clean = attacks.audit(members, independent(members, 900, rng), holdout, suite=blind)
    assert {r.verdict for r in clean.attacks} == {"inconclusive"}


def test_swapping_members_and_holdout_of_a_copy_does_not_pass():
    rng = np.random.default_rng(7)
    members, holdout = split(people(3000, rng), rng, (0.5, 0.5))
    report = attacks.audit(holdout, members, members, suite="quick")
    assert report.verdict == "inconclusive"
    assert any("swapped" in r.reason for r in report.attacks)


def test_a_holdout_from_another_population_is_called_confounded():
    rng = np.random.default_rng(8)
    table = people(5000, rng)
    later = table["age"] > 60
    members, holdout = table[~later].reset_index(drop=True), table[later].reset_index(drop=True)
    report = attacks.audit(members, independent(members, len(members), rng), holdout, suite="quick")
    assert report.verdict != "pass"
    assert any(r.negative_control and not r.negative_control.passed for r in report.attacks)


def test_threads_change_nothing():
    rng = np.random.default_rng(9)
    members, holdout = split(people(1500, rng), rng, (0.6, 0.4))
    release = independent(members, 900, rng)
    one, two = (
        attacks.audit(members, release, holdout, sensitive=["job"], jobs=jobs).model_dump(
            exclude={"attacks": {"__all__": {"seconds"}}}
        )
        for jobs in (1, 2)
    )
    assert one == two


def test_global_randomness_is_neither_used_nor_changed():
    rng = np.random.default_rng(10)
    members, holdout = split(people(600, rng), rng, (0.6, 0.4))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    attacks.audit(members, members, holdout, suite="quick")
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_progress_reaches_its_end_and_names_no_figure():
    rng, seen = np.random.default_rng(11), []
    members, holdout = split(people(600, rng), rng, (0.6, 0.4))
    attacks.audit(members, members, holdout, suite="quick", progress=lambda *step: seen.append(step))
    assert seen[0][:2] == ("attacks", 0)
    assert ("attacks", 2, 2) in {s[:3] for s in seen}
    assert all(0 <= done <= total for _, done, total, _ in seen)
    assert not any(ch.isdigit() for *_, detail in seen for ch in detail)


class Broken:
    """An attack that returns no number for some target."""

    name, version, max_targets = "broken", "1", None
    threat = ThreatModel(access="no_box", knowledge="nothing")

    def endpoints(self, roles):
        return (Endpoint(name="auc", score="s", statistic="auc", stratum="all", limit_id="membership.nearest.auc"),)

    def score(self, view, rng):
        return {"s": np.full(len(view.targets), np.nan)}


class Guessing(Broken):
    """An attack that knows nothing and cannot catch anything either."""

    def score(self, view, rng):
        return {"s": rng.random(len(view.targets))}


def test_an_attack_that_breaks_is_an_error_and_one_without_power_does_not_pass():
    rng = np.random.default_rng(12)
    members, holdout = split(people(3000, rng), rng, (0.5, 0.5))
    with pytest.raises(AttackParameterError, match="Attack 'broken' returned no finite score"):
        attacks.audit(members, members, holdout, suite=[Broken()])
    report = attacks.audit(members, independent(members, 900, rng), holdout, suite=[Guessing()])
    assert report.verdict == "inconclusive"
    assert "No power" in report.attacks[0].reason


def test_an_empty_suite_is_refused():
    table = pd.DataFrame({"a": range(10)})
    with pytest.raises(attacks.AttackInputError, match="asks nothing"):
        attacks.audit(table[:5], table[:5], table[5:], suite=[])


def test_people_too_few_to_compare_leave_every_endpoint_asked_and_inconclusive():
    rng = np.random.default_rng(9)
    table = people(400, rng)
    release = independent(table, 400, rng)
    asked = attacks.audit(table[:300], release, table[300:])
    report = attacks.run(release=release, members=None, nonmembers=None)
    assert [(r.name, r.endpoint) for r in report.attacks] == [(r.name, r.endpoint) for r in asked.attacks]
    assert {r.verdict for r in report.attacks} == {"inconclusive"} == {report.verdict}
    assert not any(r.n_targets or r.n_controls or r.positive_control or r.negative_control for r in report.attacks)
    assert attacks.AttackReport.from_json(report.to_json()) == report
