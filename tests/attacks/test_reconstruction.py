"""Secrets solved from the counts of a release."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import attacks
from attacks.evidence import measure
from attacks.inference.attribute import attribute_score
from attacks.inference.reconstruction import reconstruction_score, ridge_solution
from attacks.population import prepare
from attacks.protocol import Roles
from tests.attacks.conformance import SECRET, AttackConformance
from tests.attacks.worlds import split


@pytest.mark.slow
class TestReconstruction(AttackConformance):
    @pytest.fixture
    def attack(self):
        return reconstruction_score(SECRET)


def wide(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Ten columns and a secret, all independent."""
    numbers = {f"x{i}": rng.normal(size=rows).round(2) for i in range(5)}
    names = {f"k{i}": rng.choice(list("abcdef"), rows) for i in range(5)}
    return pd.DataFrame({**numbers, **names, "secret": rng.choice(list("pqrs"), rows)})


def partly_copied(members: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every member: the secret with three of the columns beside it, all other columns exchanged between people."""
    kept = ("x0", "x1", "k0", "secret")
    return members.assign(**{c: rng.permutation(members[c].to_numpy()) for c in members if c not in kept})


def gap(attack, members, release, holdout):
    """The first endpoint's effect, without controls."""
    people = prepare(release=release, members=members, nonmembers=holdout, roles=Roles(), rng=np.random.default_rng(0))
    cohorts = people.cohorts(attack.max_targets, np.random.default_rng(1))
    scores = [attack.score(c.view, np.random.default_rng(2)) for c in cohorts]
    return measure(attack.endpoints(Roles())[0], cohorts, scores)


def test_counts_of_few_columns_betray_what_no_row_does():
    rng = np.random.default_rng(41)
    members, holdout = split(wide(5000, rng), rng, (0.6, 0.4))
    release = partly_copied(members, rng)
    assert gap(reconstruction_score("secret"), members, release, holdout).lower(1e-6) > 0.3
    assert gap(attribute_score("secret"), members, release, holdout).upper(1e-3) < 0.06


def test_everybody_is_guessed_alike_from_rows_never_trained_on():
    rng = np.random.default_rng(43)
    members, holdout, spare = split(wide(6000, rng), rng, (0.4, 0.3, 0.3))
    found = gap(reconstruction_score("secret"), members, spare, holdout)
    assert found.lower(1e-6) < 0.0 < found.upper(1e-6)


def test_a_leak_reported_as_a_failure_was_within_the_power_of_its_control():
    rng = np.random.default_rng(44)
    members, holdout = split(wide(2500, rng), rng, (0.6, 0.4))
    row = attacks.audit(members, partly_copied(members, rng), holdout, suite=[reconstruction_score("secret")]).attacks[
        0
    ]
    assert row.verdict == "fail"
    assert row.detectable is not None
    assert row.negative_control.passed


def test_the_solution_is_that_of_ridge_regression():
    rng = np.random.default_rng(42)
    A, b = rng.normal(size=(30, 8)), rng.normal(size=(30, 3))
    exact = np.linalg.solve(A.T @ A + np.eye(8), A.T @ b)
    assert ridge_solution(csr_matrix(A), b) == pytest.approx(exact, abs=1e-8)
