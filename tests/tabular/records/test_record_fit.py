"""Laws of a fit by records: no order of columns, missing as missing, convergence told, blocks that change nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

import dpsynth.tabular.records.finishing as finishing
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular.gibbs import Gibbs
from dpsynth.tabular.records.chains import Sweep
from dpsynth.tabular.records.record_fit import CHAINS, FIRST, LATER, _most_records
from tests.conformance.tables import schema
from tests.tabular.test_mst import CHAIN, chain

GAPS = schema(
    half={"kind": "integer", "min": 0, "max": 9},
    tenth={"kind": "categorical", "values": ["x", "y"]},
    never={"kind": "integer", "min": 0, "max": 9},
    always={"kind": "categorical", "values": ["x", "y"]},
)


def fitted(table: Table, of, *, seed: int = 1, plan=None, progress=silent):
    plan = plan or Gibbs().plan(of, PrivacyUnit(), epsilon="5", delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    return Gibbs().fit(table, of, domains, plan, noise=noise, progress=progress, spent=spent)


def with_gaps(rows: int) -> Table:
    """Missing half of the time, in a tenth, always, never; the first two together more often than by chance."""
    rng = np.random.default_rng(0)
    half = rng.random(rows) < 0.5
    tenth = half & (rng.random(rows) < 0.2)
    return Table.from_arrow(
        pa.table(
            {
                "half": pa.array(rng.integers(0, 10, rows), pa.int64(), mask=half),
                "tenth": pa.array(rng.choice(["x", "y"], rows), mask=tenth),
                "never": pa.nulls(rows, pa.int64()),
                "always": pa.array(rng.choice(["x", "y"], rows)),
            }
        )
    )


def distances(table: Table, order: str, seeds: range) -> dict[frozenset[str], list[float]]:
    """Pair -> total variation distance of its sampled table, run by run, with the columns in that order."""
    of = schema(**{name: CHAIN.columns[name].model_dump(include={"kind", "values"}) for name in order})
    plan = Gibbs().plan(of, PrivacyUnit(), epsilon="1", delta="1e-6")
    out: dict[frozenset[str], list[float]] = {frozenset(pair): [] for pair in itertools.combinations(order, 2)}
    for seed in seeds:
        model = fitted(table.select(list(order)), of, seed=seed, plan=plan)
        made = model.sample(model.rows, np.random.default_rng(seed))
        for pair, found in out.items():
            found.append(0.5 * float(np.abs(joint(table.to_arrow(), pair) - joint(made, pair)).sum()))
    return out


def joint(table: pa.Table, pair: frozenset[str]) -> np.ndarray:
    """Shares of the 16 cells of two columns of four codes; missing, which noise may bring, counts as the first."""
    a, b = (np.array(table.column(name).fill_null(0)) for name in sorted(pair))
    return np.bincount(a * 4 + b, minlength=16) / table.num_rows


def test_the_order_of_the_columns_makes_no_difference():
    """Five runs each way: mean errors of all pairs differ by no more than chance (alpha 1e-6, t with 8 degrees)."""
    table = chain(2000)
    forward, backward = (distances(table, order, range(5)) for order in ("abcde", "edcba"))
    a, b = (np.array([each[pair] for pair in sorted(forward, key=sorted)]).mean(axis=0) for each in (forward, backward))
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 5)
    assert abs(a.mean() - b.mean()) < 12.2 * error
    assert 12.2 * error < a.mean()


@pytest.mark.parametrize("block", [40_000, 700])
def test_missing_rates_are_reproduced_and_an_all_missing_column_stays_missing(monkeypatch, block):
    """In one block and in many; at epsilon 5 the noise is a few rows of 4,000, of which many blocks keep
    what one block rounds away."""
    monkeypatch.setattr(finishing, "BLOCK", block)
    table = with_gaps(4000)
    made = fitted(table, GAPS).sample(4000, np.random.default_rng(0))
    for name in ("half", "tenth", "always"):
        assert abs(made.column(name).null_count - table.to_arrow().column(name).null_count) < 60, name
    assert made.column("never").null_count >= 3995
    both = (np.asarray(made.column(name).is_null()) for name in ("half", "tenth"))
    assert sum(np.logical_and(*both)) > 0.8 * made.column("tenth").null_count


@pytest.mark.parametrize("rows", [0, 1, 9, 5000])
def test_any_number_of_rows_may_be_asked_of_a_model(monkeypatch, rows):
    monkeypatch.setattr(finishing, "BLOCK", 1000)
    made = fitted(with_gaps(500), GAPS).sample(rows, np.random.default_rng(0))
    assert made.num_rows == rows
    assert made.schema.names == list(GAPS.modelled)


def test_one_column_is_enough():
    of = schema(only={"kind": "categorical", "values": ["x", "y"]})
    table = Table.from_arrow(pa.table({"only": ["x"] * 300 + ["y"] * 700}))
    made = fitted(table, of).sample(1000, np.random.default_rng(0))
    assert abs(made.column("only").to_pylist().count("x") - 300) < 30


def test_convergence_is_described_and_progress_says_how_long_it_takes():
    heard = []

    def listen(name: str, done: int, total: int, detail: str = "") -> None:
        heard.append((name, done, total, detail))

    model = fitted(chain(2000), CHAIN, progress=listen)
    told = model.describe()["fit"]
    assert [len(run["loss"]) for run in told] == [s.annealed + s.averaged for s in (FIRST, LATER)]
    assert all(run["loss"][-1] < run["loss"][0] for run in told[:1])
    assert all(0 < run["chains_apart"][-1] < 0.2 for run in told)
    details = [detail for name, _, _, detail in heard if name.startswith("fit records")]
    assert len(details) == sum(len(run["loss"]) for run in told)
    assert all("loss" in detail and "chains" in detail and "s left" in detail for detail in details)
    assert details[-1].endswith("about 0 s left")
    assert isinstance(model.history[0][0], Sweep) and CHAINS == 2


def test_chains_grow_with_the_released_rows_over_the_noise_and_at_most_to_twice_their_size():
    def most(columns: int, sigma: float, total: float) -> int:
        return _most_records({f"c{at}": np.full(3, sigma**2) for at in range(columns)}, total)

    assert most(15, 47.0, 32_561.0) == 20_000  # Adult, epsilon 1: as before
    assert most(33, 98.7, 164_054.0) == most(33, 1.0, 1e9) == 25_000  # COVID, and no more than twice
    sizes = [most(10, 100.0, total) for total in (1e3, 7e4, 1e5, 1.2e5, 1e7)]
    assert sizes == [20_000, 20_000, round(2e4 / 0.7), round(2.4e4 / 0.7), 40_000]
