"""Predicates are asked of members and nonmembers alike: what is counted, against what, and who counts once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import attacks
from attacks.controls import negative_scores
from attacks.encoding import Encoded
from attacks.evidence import MIN_GROUP, answers, look, measure
from attacks.population import prepare
from attacks.protocol import AttackView, Endpoint, QueryAttack, Roles, ThreatModel
from attacks.statistics import PairedDifference
from tests.attacks.worlds import independent, people, split

ENDPOINT = Endpoint(
    name="singled_excess", score="row", statistic="singled_excess", stratum="all", limit_id="membership.verbatim.all"
)


@dataclass(frozen=True)
class Rows:
    """Each predicate is one whole row."""

    ids: np.ndarray

    def singled(self, table: Encoded) -> np.ndarray:
        known, first, counts = np.unique(table.ids, return_index=True, return_counts=True)
        at = np.minimum(np.searchsorted(known, self.ids), len(known) - 1)
        return np.where((known[at] == self.ids) & (counts[at] == 1), first[at], -1)


class WholeRows:
    """Singles out by all columns; remembers what it was shown."""

    name, version, max_targets = "whole_rows", "1", None
    threat = ThreatModel(access="no_box", knowledge="the release")

    def __init__(self, most: int = 500) -> None:
        self.most = most
        self.seen: list[AttackView] = []

    def endpoints(self, roles: Roles):
        return (ENDPOINT,)

    def queries(self, view: AttackView, keys, rng: np.random.Generator):
        self.seen.append(view)
        ids = view.release.ids if view.planted is None else np.append(view.release.ids, view.planted.ids)
        return {"row": Rows(rng.permutation(np.unique(ids))[: self.most])}


def world(release: str, rows: int = 3000):
    rng = np.random.default_rng(4)
    members, holdout = split(people(rows, rng), rng, (0.6, 0.4))
    made = {"copy": members, "clean": independent(members, len(members), rng)}[release]
    return members, made, holdout


def cohort_of(release: str):
    members, made, holdout = world(release)
    people_ = prepare(
        release=made, members=members, nonmembers=holdout, roles=Roles(), rng=np.random.default_rng(1), strata=()
    )
    return people_, people_.together(None, np.random.default_rng(2))


def test_a_query_attack_sees_no_target_and_no_holdout_row():
    _, cohort = cohort_of("copy")
    attack = WholeRows()
    assert isinstance(attack, QueryAttack)
    look(attack, cohort, cohort.view, ["row"], np.random.default_rng(0))
    assert len(attack.seen[0].targets) == len(attack.seen[0].reference) == len(attack.seen[0].isolation) == 0


def test_members_are_thinned_to_as_many_rows_as_the_holdout():
    _, cohort = cohort_of("copy")
    sizes = []

    class Counting:
        def singled(self, table: Encoded) -> np.ndarray:
            sizes.append(len(table))
            return np.zeros(MIN_GROUP, dtype=np.intp)

    answers(Counting(), cohort)
    assert sizes == [int((~cohort.is_member).sum())] * 2
    assert sizes[0] < int(cohort.is_member.sum())


def test_one_person_found_by_many_predicates_is_one_finding():
    _, cohort = cohort_of("copy")

    class Fixed:
        def singled(self, table: Encoded) -> np.ndarray:
            return np.array([7, 7, -1, 3, 7, -1])

    assert answers(Fixed(), cohort).tolist() == [[1, 0, 0, 1, 0, 0]] * 2


def test_the_denominator_is_the_predicates_made():
    """anonymeter 1.1.0 divides by the 500 that were asked for where 27 were made."""
    people_, cohort = cohort_of("copy")
    wanted = WholeRows(most=10**6)
    scores = [look(wanted, cohort, cohort.view, ["row"], np.random.default_rng(0))]
    effect = measure(ENDPOINT, [cohort], scores)
    assert effect.trials == len(np.unique(people_.release.ids))
    report = attacks.audit(*world("copy"), suite=[wanted])
    assert report.attacks[0].n_targets == report.attacks[0].n_controls == effect.trials
    assert report.attacks[0].estimate == pytest.approx(effect.estimate, abs=0.05)


def test_copies_fail_a_clean_release_does_not_and_the_holdout_reads_nothing():
    assert attacks.audit(*world("copy"), suite=[WholeRows()]).verdict == "fail"
    clean = attacks.audit(*world("clean"), suite=[WholeRows()])
    assert clean.verdict == "pass", str(clean)
    assert clean.attacks[0].positive_control.detected >= 8
    people_, _ = cohort_of("copy")
    folds = people_.cohorts(None, np.random.default_rng(3))
    read = measure(ENDPOINT, folds, negative_scores(WholeRows(), [ENDPOINT], folds, np.random.default_rng(5)))
    assert read.trials == 5 * 500 and abs(read.estimate) < 0.01


def test_too_few_predicates_or_people_decide_nothing():
    _, cohort = cohort_of("copy")
    few = WholeRows(most=MIN_GROUP - 1)
    assert measure(ENDPOINT, [cohort], [look(few, cohort, cohort.view, ["row"], np.random.default_rng(0))]) is None
    members, made, holdout = world("copy")
    report = attacks.audit(members, made, holdout[: MIN_GROUP - 1], suite=[WholeRows()])
    assert report.verdict == "inconclusive"


def test_equal_rates_under_no_leak_are_judged_by_mcnemar_and_by_the_likelihood():
    """At difference 0 Tango's statistic is McNemar's; elsewhere its nuisance rate maximises the likelihood."""
    assert PairedDifference(first=30, second=12, trials=500).z(0.0) == pytest.approx(18 / np.sqrt(42))
    n, b, c, delta = 500, 30, 12, 0.02
    grid = np.linspace(1e-6, (1 - delta) / 2 - 1e-6, 400_001)
    likelihood = b * np.log(grid + delta) + c * np.log(grid) + (n - b - c) * np.log(1 - 2 * grid - delta)
    rate = grid[likelihood.argmax()]
    expected = (b - c - n * delta) / np.sqrt(n * (2 * rate + delta * (1 - delta)))
    assert PairedDifference(first=b, second=c, trials=n).z(delta) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("p", "q"), [(0.02, 0.02), (0.10, 0.04), (0.01, 0.0), (0.3, 0.3)])
def test_paired_bounds_cover_the_truth(p, q):
    """5,000 worlds; a one-sided bound misses at most 5 % of them but for 4 standard errors of the count."""
    rng, n, worlds = np.random.default_rng(17), 400, 5000
    counts = rng.multinomial(n, [p, q, 1 - p - q], size=worlds)
    pairs, weight = np.unique(counts[:, :2], axis=0, return_counts=True)
    low = high = 0
    for (b, c), times in zip(pairs, weight, strict=True):
        effect = PairedDifference(first=int(b), second=int(c), trials=n)
        low += times * (effect.p_exceeds(p - q) <= 0.05)
        high += times * (effect.upper(0.05) < p - q - 1e-9)
    slack = 4 * np.sqrt(0.05 * 0.95 / worlds)
    assert low / worlds <= 0.05 + slack + 0.01  # the score interval is asymptotic: one point is allowed
    assert high / worlds <= 0.05 + slack + 0.01


def test_bounds_enclose_the_estimate_and_agree_with_the_test():
    for b, c, n in [(0, 0, 50), (5, 0, 50), (0, 5, 50), (50, 0, 50), (20, 18, 40)]:
        effect = PairedDifference(first=b, second=c, trials=n)
        assert -1.0 <= effect.lower(0.05) <= effect.estimate <= effect.upper(0.05) <= 1.0
        if 0 < b < n:
            assert effect.p_exceeds(effect.lower(0.05)) == pytest.approx(0.05, abs=1e-5)
