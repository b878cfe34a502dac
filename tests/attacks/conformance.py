"""What every attack must satisfy. A test file subclasses this and supplies one instance: `attack`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.evidence import look
from attacks.population import prepare
from attacks.protocol import Attack, QueryAttack, Roles
from tests.attacks.worlds import independent, leaking, people, split

SECRET = "job"


class AttackConformance:
    """Inherit and define the fixture `attack`."""

    @pytest.fixture
    def attack(self) -> Attack:
        raise NotImplementedError

    @pytest.fixture
    def world(self):
        rng = np.random.default_rng(21)
        members, holdout = split(people(4000, rng), rng, (0.6, 0.4))
        return members, holdout, independent(members, len(members), rng)

    def report(self, attack, members, release, holdout, seed=0):
        return attacks.audit(members, release, holdout, suite=[attack], sensitive=[SECRET], seed=seed)

    def test_names_itself_and_its_threat(self, attack):
        assert attack.name and attack.version and attack.threat.knowledge
        assert attack.threat.access in ("no_box", "black_box", "white_box")

    def test_endpoints_have_limits_and_are_fixed(self, attack):
        asked = attack.endpoints(Roles(sensitive=(SECRET,)))
        assert asked and asked == attack.endpoints(Roles(sensitive=(SECRET,)))
        for tier in attacks.DEFAULT_LIMITS.values():
            assert all(e.limit_id in tier for e in asked)

    def test_a_view_shows_no_membership_and_scores_are_deterministic_and_finite(self, attack, world):
        members, holdout, release = world
        people_ = prepare(
            release=release, members=members, nonmembers=holdout, roles=Roles(), rng=np.random.default_rng(1)
        )
        keys = [e.score for e in attack.endpoints(Roles(sensitive=(SECRET,)))]
        for cohort in people_.cohorts(1000, np.random.default_rng(2)):
            half = len(cohort.is_member) // 2  # the order of targets carries no label either: 5 sd of 200 draws
            assert abs(int(cohort.is_member[:half].sum()) - int(cohort.is_member[half:].sum())) < 5 * np.sqrt(half / 2)
            one = look(attack, cohort, cohort.view, keys, np.random.default_rng(3))
            two = look(attack, cohort, cohort.view, keys, np.random.default_rng(3))
            assert not any("member" in name for name in cohort.view.__slots__)
            for key, values in one.items():
                if not isinstance(attack, QueryAttack):
                    assert values.shape == (len(cohort.view.targets),)
                assert np.isfinite(values).all()
                assert (values == two[key]).all()
            assert set(one) >= {e.score for e in attack.endpoints(Roles(sensitive=(SECRET,)))}

    def test_a_copy_fails(self, attack, world):
        members, holdout, _ = world
        assert self.report(attack, members, members.sample(frac=1, random_state=0), holdout).verdict == "fail"

    def test_half_a_copy_fails(self, attack, world):
        members, holdout, _ = world
        half = leaking(members, 0.5, np.random.default_rng(5))
        assert self.report(attack, members, half, holdout).verdict == "fail"

    def test_a_clean_release_does_not_fail_and_its_endpoints_know_their_power(self, attack, world):
        members, holdout, release = world
        report = self.report(attack, members, release, holdout)
        assert report.verdict != "fail"
        assert all(row.positive_control.trials == 10 for row in report.attacks)
        assert all(row.detectable is not None for row in report.attacks)
        assert all(row.negative_control.passed for row in report.attacks)

    def test_real_rows_never_trained_on_do_not_fail(self, attack):
        rng = np.random.default_rng(22)
        members, holdout, spare = split(people(4500, rng), rng, (0.5, 0.25, 0.25))
        assert self.report(attack, members, spare, holdout).verdict != "fail"

    def test_equal_seeds_give_equal_reports(self, attack, world):
        members, holdout, release = world

        def figures(seed):
            rows = self.report(attack, members, release, holdout, seed).attacks
            return [row.model_dump(exclude={"seconds"}) for row in rows]

        assert figures(3) == figures(3)

    @pytest.mark.parametrize("leak", [0.0, 0.5])
    @pytest.mark.parametrize("law", ["rows", "columns", "relabel", "affine", "negate"])
    def test_verdicts_do_not_depend_on_how_the_table_is_written(self, attack, world, law, leak):
        members, holdout, clean = world
        release = leaking(members, leak, np.random.default_rng(6)) if leak else clean

        def changed(t: pd.DataFrame, seed: int) -> pd.DataFrame:
            if law == "rows":
                return t.sample(frac=1, random_state=seed).reset_index(drop=True)
            if law == "columns":
                return t[t.columns[::-1]]
            if law == "relabel":
                cities = {"Aach": "w", "Bern": "a", "Cork": "q", "Dole": "b"}
                jobs = {"retired": "3", "clerk": "1", "nurse": "4", "smith": "2"}
                return t.assign(city=t["city"].map(cities), job=t["job"].map(jobs))
            factor = -1.0 if law == "negate" else 2.5
            return t.assign(income=factor * t["income"] + (40.0 if law == "affine" else 0.0), age=factor * t["age"])

        before = self.report(attack, members, release, holdout)
        after = self.report(attack, changed(members, 1), changed(release, 2), changed(holdout, 3))
        if law == "rows":  # new folds: a bound may fall on the other side of its limit, a leak does not vanish
            assert [r.verdict == "fail" for r in after.attacks] == [r.verdict == "fail" for r in before.attacks]
        else:
            assert [r.verdict for r in after.attacks] == [r.verdict for r in before.attacks]
        if law == "columns":
            assert [r.estimate for r in after.attacks] == pytest.approx([r.estimate for r in before.attacks], abs=0.01)
