"""A public prior of a trained generator: a start from public rows, at no price; and the likelihood that stops it."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import Autoregressive, SavedModel
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.generator import CodesOnly
from tests.conformance.tables import RECORD
from tests.tabular.records.test_public_prior import NAMES, OF, population


def fitted(table, prior, *, seed=1, epsilon="0.3", **settings):
    made = Autoregressive(prior=prior, **({"steps": 100} | settings))
    plan = made.plan(OF, RECORD, epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, OF, plan.settings.derive, noise=noise)
    return plan, made.fit(table, OF, domains, plan, noise=noise, spent=spent)


def error(table, prior, *, runs=2, **settings):
    """Mean total variation distance of all pair tables."""

    def tables(arrow):
        codes = {name: np.array(arrow.column(name)) for name in NAMES}
        return [
            np.bincount(codes[a] * 8 + codes[b], minlength=64) / arrow.num_rows
            for a, b in itertools.combinations(NAMES, 2)
        ]

    truth, distances = tables(table.to_arrow()), []
    for seed in range(runs):
        _, model = fitted(table, prior, seed=seed, **settings)
        made = tables(model.sample(4000, np.random.default_rng(seed)))
        distances += [0.5 * np.abs(a - b).sum() for a, b in zip(truth, made, strict=True)]
    return float(np.mean(distances))


def test_a_good_prior_lowers_the_error_and_one_of_independent_columns_does_not_ruin_it():
    table = population(2000, 0)
    without = error(table, None)
    assert error(table, population(1500, 1)) < 0.75 * without
    alone = Table.from_arrow(pa.table({n: population(1500, 9 + at).to_arrow().column(n) for at, n in enumerate(NAMES)}))
    assert error(table, alone) < 1.15 * without


def test_public_rows_of_another_population_start_nothing(monkeypatch):
    """One row in thirty is like the private ones, the others are all alike: raking leaves few that count."""
    began = []
    monkeypatch.setattr("dpsynth.tabular.networks.pretraining._learn", lambda *parts: began.append(1))
    alike = Table.from_arrow(pa.table({name: pa.array([0] * 2900, pa.int64()) for name in NAMES}))
    public = population(100, 1).concat(alike)
    fitted(population(2000, 0), public, epsilon="3", steps=5)
    assert not began
    fitted(population(2000, 0), population(1500, 1), epsilon="3", steps=5)
    assert began


@pytest.mark.slow
@pytest.mark.parametrize(("network", "options"), [("made", {"width": 4}), ("transformer", {"width": 8, "heads": 2})])
def test_other_networks_start_from_public_rows_too(network, options):
    table, settings = population(2000, 0), {"network": network, "options": options, "steps": 10, "runs": 1}
    assert error(table, population(1500, 1), **settings) < 0.8 * error(table, None, **settings)


def test_plan_and_events_are_those_of_a_run_without_and_the_model_says_that_there_was_one():
    table = population(500, 0)
    plan, model = fitted(CodesOnly(table), population(300, 1))
    bare, other = fitted(table, None)
    assert plan.tree == bare.tree
    assert model.events == other.events
    assert model.describe()["public_prior"] is True and other.describe()["public_prior"] is False
    saved = SavedModel(model=model, guarantee=plan.guarantee, schema_digest=OF.digest())
    assert from_bytes(to_bytes(saved)).model.public_prior


def test_one_public_row_teaches_nothing():
    table = population(500, 0)
    _, model = fitted(table, population(1, 1))
    assert model.rows > 0


def test_a_prior_without_a_column_or_without_rows_is_refused_before_anything_is_planned():
    whole = population(50, 0)
    with pytest.raises(SchemaError, match="no column 'f'"):
        Autoregressive(prior=whole.select(NAMES[:-1])).plan(OF, RECORD, epsilon="1", delta="1e-6")
    with pytest.raises(DataError, match="no rows"):
        Autoregressive(prior=population(0, 0)).plan(OF, RECORD, epsilon="1", delta="1e-6")


def test_likelihoods_add_up_to_one_and_are_the_shares_of_a_sample():
    _, model = fitted(population(3000, 0), None, epsilon="8")
    every = pa.table(dict(zip(NAMES, np.array(list(itertools.product(range(8), repeat=6))).T, strict=True)))
    probability = np.exp(model.log_density(every))
    assert probability.sum() == pytest.approx(1.0, abs=0.03)
    sample = model.sample(50_000, np.random.default_rng(2))
    for a, b in (("a", "b"), ("c", "f")):
        told = np.zeros(64)
        np.add.at(told, np.array(every.column(a)) * 8 + np.array(every.column(b)), probability)
        seen = np.bincount(np.array(sample.column(a)) * 8 + np.array(sample.column(b)), minlength=64) / 50_000
        assert 0.5 * np.abs(told - seen).sum() < 0.03
