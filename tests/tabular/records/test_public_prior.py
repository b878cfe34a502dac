"""A public prior: it changes how released numbers are read, never what is asked of the private table."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, SchemaError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular.columns.binning import bin_cells
from dpsynth.tabular.gibbs import Gibbs
from dpsynth.tabular.records.public_prior import public_codes, public_rows, raked_tables, towards
from dpsynth.tabular.records.record_fit import RecordFit
from tests.conformance.generator import CountsOnly
from tests.conformance.tables import schema
from tests.tabular.test_rooms import released

NAMES = "abcdef"
OF = schema(**{name: {"kind": "categorical", "values": list(range(8))} for name in NAMES})


def population(rows: int, seed: int, *, step: int = 0) -> Table:
    """Six columns that follow one hidden value, shifted by `step` from column to column."""
    rng = np.random.default_rng(seed)
    hidden = rng.choice(8, rows, p=np.arange(8, 0, -1) / 36)
    columns = {
        name: np.where(rng.random(rows) < 0.7, (hidden + step * at) % 8, rng.integers(0, 8, rows))
        for at, name in enumerate(NAMES)
    }
    return Table.from_arrow(pa.table({name: pa.array(codes, pa.int64()) for name, codes in columns.items()}))


def shuffled(table: Table, seed: int) -> Table:
    rng, arrow = np.random.default_rng(seed), table.to_arrow()
    return Table(
        pa.table({n: arrow.column(n).take(pa.array(rng.permutation(arrow.num_rows))) for n in arrow.column_names})
    )


def fitted(table, prior, *, seed: int = 1, epsilon: str = "0.2"):
    made = Gibbs(prior=prior)
    plan = made.plan(OF, PrivacyUnit(), epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, OF, plan.settings.derive, noise=noise)
    return plan, made.fit(table, OF, domains, plan, noise=noise, spent=spent)


def error(table: Table, prior: Table | None, *, runs: int = 3) -> float:
    """Mean total variation distance of all pair tables, over runs at epsilon 0.2."""

    def tables(arrow: pa.Table) -> list[np.ndarray]:
        codes = {name: np.array(arrow.column(name)) for name in NAMES}
        pairs = itertools.combinations(NAMES, 2)
        return [np.bincount(codes[a] * 8 + codes[b], minlength=64) / arrow.num_rows for a, b in pairs]

    truth, distances = tables(table.to_arrow()), []
    for seed in range(runs):
        _, model = fitted(table, prior, seed=seed)
        made = tables(model.sample(model.rows, np.random.default_rng(seed)))
        distances += [0.5 * np.abs(a - b).sum() for a, b in zip(truth, made, strict=True)]
    return float(np.mean(distances))


def test_a_good_prior_lowers_the_error_and_a_bad_one_does_not_ruin_it():
    """2,000 rows at epsilon 0.2. Bad: columns shuffled, or a population with its columns shifted against each other."""
    table = population(2000, 0)
    without = error(table, None)
    assert error(table, population(1500, 1)) < 0.75 * without
    assert error(table, shuffled(population(1500, 1), 2)) < 1.15 * without
    assert error(table, population(1500, 3, step=3)) < 1.15 * without


def test_plan_and_events_are_those_of_a_run_without():
    table = population(500, 0)
    plan, model = fitted(CountsOnly(table), population(300, 1))
    bare, other = fitted(table, None)
    assert plan.tree == bare.tree
    assert model.events == other.events


@pytest.mark.parametrize("distance", [0.0, 3.0, 30.0, 3000.0])
def test_pulling_towards_any_guess_has_no_larger_squared_error(distance):
    """James and Stein: 4,000 draws of 20 cells; noise alone has 20 x 25, and at distance 0 most of it is gone."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, 20)
    guess = truth + distance * rng.standard_normal(20)
    variance = np.full(20, 25.0)
    errors = [((towards(guess, truth + rng.normal(0, 5, 20), variance)[0] - truth) ** 2).sum() for _ in range(4000)]
    assert np.mean(errors) < 20 * 25 + 5 * np.std(errors) / np.sqrt(4000)
    if distance == 0.0:
        assert np.mean(errors) < 0.3 * 20 * 25


def test_two_cells_are_left_as_they_are():
    noisy = np.array([3.0, 9.0])
    pulled, share = towards(np.array([5.0, 5.0]), noisy, np.ones(2))
    assert share == 1.0 and np.array_equal(pulled, noisy)


def binnings_of(counts: dict[str, list[int]]):
    return {name: bin_cells(released(values, 2.0), codes=8) for name, values in counts.items()}


def test_raked_tables_keep_the_released_columns():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (400, 2)).astype(np.int16)
    shares = {"a": np.array([0.7, 0.2, 0.1]), "b": np.array([0.1, 0.1, 0.8])}
    tables = raked_tables(codes, shares, 1000.0)
    assert np.allclose(tables[0, 1].sum(axis=1), 1000 * shares["a"], rtol=1e-3)
    assert np.allclose(tables[0, 1].sum(axis=0), 1000 * shares["b"], rtol=1e-3)
    assert np.allclose(tables[0, 2].ravel(), 1000 * shares["a"], rtol=1e-3)


def test_cells_that_the_release_does_not_know_follow_its_shares():
    binnings = binnings_of({"a": [600, 300, 0]})
    values = pa.chunked_array([pa.array([0, 1, None, None] * 500, pa.int64())])
    table = Table(pa.table({"a": values}))
    codes = public_codes(table, binnings, {"a": 2}, {"a": np.array([0.9, 0.1])}, np.random.default_rng(0))
    assert codes.max() == 1
    assert np.bincount(codes[:, 0]).tolist() == pytest.approx([500 + 900, 500 + 100], abs=60)


def test_public_tables_stand_in_only_where_they_are_nearer_than_independence():
    """Equal columns in public. A score of a tenth of the distance is trusted, one of 0.6 of it is not."""
    binnings = binnings_of({name: [500, 500, 0] for name in "abc"})
    codes = np.arange(1000) % 2
    public = Table(pa.table({name: pa.array(codes, pa.int64()) for name in "abc"}))
    fit = RecordFit(binnings, 1000.0, 100.0, np.random.default_rng(0), silent, public=public)
    assert fit.expected()["a", "b"][0, 0] > 490
    apart = fit.trust({("a", "b"): 100.0, ("a", "c"): 600.0, ("b", "c"): 480.0}, sigma=20.0)
    assert set(fit._trusted) == {("a", "b")}
    assert apart["a", "b"] == pytest.approx(1000, rel=0.01)


def test_a_prior_without_a_column_or_without_rows_is_refused_before_anything_is_planned(tmp_path):
    whole = population(50, 0)
    with pytest.raises(SchemaError, match=r"The public prior has no column 'f'"):
        Gibbs(prior=whole.select(["a", "b", "c", "d", "e"])).plan(OF, PrivacyUnit(), epsilon="1", delta="1e-6")
    with pytest.raises(DataError, match="The public prior has no rows"):
        Gibbs(prior=Table(whole.to_arrow().slice(0, 0))).plan(OF, PrivacyUnit(), epsilon="1", delta="1e-6")


def test_a_file_and_a_table_are_the_same_prior(tmp_path):
    import pyarrow.csv

    whole = population(200, 0)
    path = tmp_path / "public.csv"
    pyarrow.csv.write_csv(whole.to_arrow().append_column("note", [["x"] * 200]), path)
    assert public_rows(path, OF).to_arrow().equals(public_rows(whole, OF).to_arrow())
