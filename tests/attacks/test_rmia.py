"""RMIA: a model that remembers is caught, one that does not is not, and the cut is honest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.errors import AttackInputError, AttackParameterError
from attacks.generators.rmia import ENDPOINTS

RNG = np.random.default_rng(4)
POPULATION = pd.DataFrame(
    {"a": RNG.integers(0, 60, 4800), "b": RNG.integers(0, 40, 4800), "c": RNG.choice(list("uvwxyz"), 4800)}
).assign(d=lambda t: (t.a + RNG.integers(0, 3, 4800)) % 60)
MEMBERS, OTHERS = POPULATION[:1600], POPULATION[1600:]


class Histogram:
    """Share of each row among those it was fitted on, mixed with the uniform law."""

    def __init__(self, rows, weight):
        self.shares = rows.value_counts(normalize=True)
        self.weight = weight

    def log_density(self, rows):
        own = self.shares.reindex(pd.MultiIndex.from_frame(rows)).fillna(0.0).to_numpy()
        return np.log(self.weight * own + (1.0 - self.weight) / (60 * 40 * 6 * 60))


def remembers(rows, seed):
    return Histogram(rows, 0.5)


def forgets(rows, seed):
    return Histogram(rows, 0.0)


def test_a_model_that_remembers_is_caught():
    found = attacks.audit_likelihood(remembers(MEMBERS, 0), remembers, MEMBERS, OTHERS)
    assert found.verdict == "fail" and found.suite == "likelihood"
    assert {row.endpoint: row.verdict for row in found.attacks}["auc"] == "fail"
    assert all(row.threat.startswith("white_box") and row.confidentiality == "internal" for row in found.attacks)


def test_a_model_that_knows_nobody_does_not_fail_and_planted_copies_are_caught():
    found = attacks.audit_likelihood(forgets(MEMBERS, 0), forgets, MEMBERS, OTHERS)
    assert "fail" not in {row.verdict for row in found.attacks}
    everybody = [row for row in found.attacks if row.stratum == "all"]
    assert everybody[0].verdict == "pass", str(found)
    assert all(row.detectable <= 0.35 and row.negative_control.kind == "reference_model" for row in everybody)


def test_models_of_other_rows_hardly_ever_fail():
    """Twelve fits on strangers: the members were in none of them."""
    strangers = np.random.default_rng(6)
    verdicts = [
        attacks.audit_likelihood(
            remembers(OTHERS.iloc[strangers.permutation(1600)], 0), remembers, MEMBERS, OTHERS[1600:], seed=seed
        ).verdict
        for seed in range(6)
    ]
    assert "fail" not in verdicts


def test_references_may_be_given():
    models = [remembers(OTHERS[:800], 0), remembers(OTHERS[800:1600], 0)]
    assert attacks.audit_likelihood(remembers(MEMBERS, 0), models, MEMBERS, OTHERS[1600:]).verdict == "fail"


class Uneven(Histogram):
    def log_density(self, rows):
        return super().log_density(rows) + 12.0 * (rows.a.to_numpy() % 2)


def test_rows_that_are_likely_for_everybody_are_no_members_for_that():
    """What all models agree on cancels: without references half of the rows would drown the others."""
    plain, uneven = (
        attacks.audit_likelihood(
            model(MEMBERS, 0.5), [model(OTHERS[:800], 0.5), model(OTHERS[800:1600], 0.5)], MEMBERS, OTHERS[1600:]
        )
        for model in (Histogram, Uneven)
    )
    assert [r.estimate for r in plain.attacks] == pytest.approx(
        [r.estimate for r in uneven.attacks], abs=0.02
    )  # rounding splits ties


def test_references_are_fitted_on_rows_that_are_no_targets():
    seen = []

    def fit(rows, seed):
        seen.append(rows)
        return forgets(rows, seed)

    found = attacks.audit_likelihood(forgets(MEMBERS, 0), fit, MEMBERS, OTHERS)
    assert len(seen) == 4 and all(len(rows) == 1600 for rows in seen)
    assert found.attacks[0].n_controls == 1600


class Broken(Histogram):
    def log_density(self, rows):
        return np.full(len(rows), -np.inf)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"references": [forgets(MEMBERS, 0)]}, AttackParameterError, "two reference models"),
        ({"model": Broken(MEMBERS, 0.5)}, AttackInputError, "not one finite number a row"),
        ({"limits": {"likelihood.auc": 0.55}}, AttackParameterError, "No limit is given"),
        ({"nonmembers": MEMBERS}, AttackInputError, "the split is broken"),
        ({"nonmembers": MEMBERS.drop(columns="a")}, AttackInputError, "lacks the column"),
    ],
)
def test_what_cannot_be_attacked_is_refused(change, error, words):
    settings = {"model": forgets(MEMBERS, 0), "references": forgets, "members": MEMBERS, "nonmembers": OTHERS, **change}
    with pytest.raises(error, match=words):
        attacks.audit_likelihood(**settings)


def test_every_endpoint_has_a_limit_in_both_tiers():
    for tier in attacks.DEFAULT_LIMITS.values():
        assert {endpoint.limit_id for endpoint in ENDPOINTS} | {"shadow.auc", "shadow.tpr"} <= set(tier)
