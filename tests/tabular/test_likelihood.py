"""Likelihoods of forests: they are the law that rows are drawn by, and what an auditor may hold against a fit."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.schema.model import Schema
from dpsynth.tabular.forests.likelihood import log_density
from dpsynth.workspace.runs.procedure import ModelLikelihood, Procedure

COLUMNS = {
    "a": {"kind": "categorical", "values": ["x", "y", "z"]},
    "b": {"kind": "boolean"},
    "n": {"kind": "integer", "min": 0, "max": 6},
}
SMALL = Schema.from_dict({"columns": {name: {**spec, "nullable": False} for name, spec in COLUMNS.items()}})
WIDE = Schema.from_dict({"columns": {**COLUMNS, "w": {"kind": "integer", "min": 0, "max": 9_999}}})


def rows_of(count, seed, *, wide=False):
    rng = np.random.default_rng(seed)
    a = rng.choice(["x", "y", "z"], count, p=[0.6, 0.3, 0.1])
    found = {"a": a, "b": (a == "x") ^ (rng.random(count) < 0.2), "n": rng.binomial(6, np.where(a == "z", 0.8, 0.3))}
    return pd.DataFrame({**found, "w": rng.integers(0, 10_000, count)} if wide else found)


@pytest.mark.parametrize("generator", ["independent", "mst"])
def test_probabilities_of_all_rows_add_up_to_one_and_are_the_shares_of_a_sample(generator):
    model = Procedure(schema=SMALL, generator=generator, epsilon="10", delta="1e-6").model(rows_of(2000, 1))
    every = pd.DataFrame(list(itertools.product("xyz", [False, True], range(7))), columns=["a", "b", "n"])
    probability = np.exp(log_density(model, pa.Table.from_pandas(every)))
    assert probability.sum() == pytest.approx(1.0, abs=1e-6)
    sample = model.sample(60_000, np.random.default_rng(2)).to_pandas()
    shares = sample.value_counts(normalize=True).reindex(pd.MultiIndex.from_frame(every)).fillna(0.0).to_numpy()
    assert np.abs(shares - probability).sum() < 0.03


def test_values_that_share_a_code_share_its_probability():
    names = [f"v{at}" for at in range(30)]
    rare = Schema.from_dict({"columns": {"c": {"kind": "categorical", "values": names, "nullable": False}}})
    rng = np.random.default_rng(9)
    rows = pd.DataFrame({"c": rng.choice(names, 400, p=np.r_[[0.4, 0.3], np.full(28, 0.3 / 28)])})
    model = Procedure(schema=rare, generator="independent", epsilon="0.5", delta="1e-6").model(rows)
    assert model.binnings["c"].size < len(names)
    probability = np.exp(log_density(model, pa.table({"c": names})))
    assert probability.sum() == pytest.approx(1.0, abs=1e-6)


def test_a_wide_column_has_the_probability_of_its_interval_spread_evenly():
    model = Procedure(schema=WIDE, generator="mst", epsilon="10", delta="1e-6").model(rows_of(2000, 3, wide=True))
    asked = rows_of(1, 4, wide=True)
    every = pd.concat([asked] * 10_000, ignore_index=True).assign(w=np.arange(10_000))
    told = np.exp(log_density(model, pa.Table.from_pandas(every)))
    assert 0 < told.sum() < 1 and told.min() > 0 and len(np.unique(told)) < 1200


def test_missing_cells_and_values_that_the_model_lacks_are_finite():
    model = Procedure(schema=WIDE, generator="mst", epsilon="1", delta="1e-6").model(rows_of(500, 5, wide=True))
    odd = pa.table(
        {
            "a": pa.array(["x", None], pa.string()),
            "b": pa.array([None, True], pa.bool_()),
            "n": pa.array([None, 3], pa.int64()),
            "w": pa.array([7, None], pa.int64()),
        }
    )
    assert np.isfinite(log_density(model, odd)).all()


def test_a_procedure_says_what_it_is_and_has_fresh_noise_each_time():
    procedure = Procedure(schema=SMALL, generator="mst", epsilon="1", delta="1e-6")
    other = Procedure(schema=SMALL, generator="mst", epsilon="2", delta="1e-6")
    assert procedure.identity != other.identity and "mst" in procedure.identity
    rows = rows_of(500, 6)
    first, second = procedure(rows, 0), procedure(rows, 0)
    assert not first.equals(second)
    assert list(first.columns) == list(rows.columns)


def test_models_without_likelihoods_are_refused():
    class Silent:
        generator = "gibbs"

    procedure = Procedure(schema=SMALL, generator="mst", epsilon="1", delta="1e-6")
    with pytest.raises(ParameterError, match="'gibbs' give no likelihoods"):
        ModelLikelihood(model=Silent(), procedure=procedure)


def test_a_model_of_another_kind_takes_part_by_its_own_method():
    class Told:
        generator = "other"

        def log_density(self, rows):
            return np.full(rows.num_rows, -3.0)

    made = ModelLikelihood(model=Told(), procedure=Procedure(schema=SMALL, generator="mst", epsilon="1", delta="1e-6"))
    assert made.log_density(rows_of(4, 8)).tolist() == [-3.0] * 4
