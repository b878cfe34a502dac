"""No sample of any generator breaks a declared constraint, and what the private rows obey stays where it was."""

from __future__ import annotations

import itertools
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import broken, violations
from dpsynth.tabular import GENERATORS, generator
from dpsynth.tabular.constraints.enforcement import Enforcement

OWN = sorted(set(GENERATORS) - {"auto"})  # which is one of the others
CHAIN = [
    {"kind": "inequality", "low": "a", "high": "b", "strict": True},
    {"kind": "inequality", "low": "b", "high": "c"},
    {"kind": "not_applicable", "when": {"dead": False}, "column": "c", "value": None, "iff": True},
    {"kind": "functional_dependency", "determinant": ["city"], "dependent": "state"},
    {"kind": "functional_dependency", "determinant": ["state", "dead"], "dependent": "office"},
    {"kind": "forbidden_combinations", "columns": ["state", "dead"], "rows": [["s1", True]]},
    {"kind": "range", "column": "age", "when": {"dead": True}, "min": 30},
    {"kind": "sum", "total": "all", "parts": ["age", "more"]},
]
CHAIN_COLUMNS = {
    **{name: {"kind": "date", "min": "2019-01-01", "max": "2021-12-31"} for name in "abc"},
    "dead": {"kind": "boolean"},
    "city": {"kind": "categorical", "values": [f"c{i}" for i in range(12)]},
    "state": {"kind": "categorical", "values": ["s0", "s1", "s2"]},
    "office": {"kind": "categorical"},
    "age": {"kind": "integer", "min": 0, "max": 110},
    "more": {"kind": "integer", "min": 0, "max": 40},
    "all": {"kind": "integer", "min": 0, "max": 150},
}


def chain_table(rows: int, seed: int = 0) -> Table:
    """Rows that obey CHAIN; city i lies in state i % 3."""
    rng = np.random.default_rng(seed)
    start = np.array([date(2019, 6, 1) + timedelta(int(k)) for k in rng.integers(0, 500, rows)])
    later = np.array([timedelta(int(k)) for k in rng.integers(1, 30, rows)])
    end = np.array([timedelta(int(k)) for k in rng.integers(0, 60, rows)])
    city = rng.integers(0, 12, rows)
    dead = (rng.random(rows) < 0.4) & (city % 3 != 1)
    age, more = np.where(dead, rng.integers(30, 90, rows), rng.integers(0, 90, rows)), rng.integers(0, 40, rows)
    office = [f"o{state}{int(gone)}" for state, gone in zip(city % 3, dead, strict=True)]
    return Table.from_arrow(
        pa.table(
            {
                "a": pa.array(start),
                "b": pa.array(start + later),
                "c": pa.array([None if not gone else day for gone, day in zip(dead, start + later + end, strict=True)]),
                "dead": pa.array(dead),
                "city": [f"c{i}" for i in city],
                "state": [f"s{i % 3}" for i in city],
                "office": office,
                "age": age,
                "more": more,
                "all": age + more,
            }
        )
    )


def fitted(name: str, table: Table, of: Schema, *, epsilon: str = "3", seed: int = 1) -> Any:
    made = generator(name)
    plan = made.plan(of, PrivacyUnit(), epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    return made.fit(table, of, domains, plan, noise=noise, progress=silent, spent=spent)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    of = Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": CHAIN})
    return {name: fitted(name, chain_table(3000), of) for name in OWN}


@pytest.mark.parametrize("name", OWN)
def test_chains_of_all_kinds_hold_in_every_row_of_every_sample(models, name):
    of = Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": CHAIN})
    samples = [models[name].sample(rows, np.random.default_rng(seed)) for seed, rows in enumerate((1, 2, 50, 4000))]
    for sample in samples:
        assert not broken(of, sample).any()
    together = pa.concat_tables(samples)  # dependencies hold across samples, not in each alone
    assert [int(violations(c, together, of.columns).sum()) for c in of.constraints] == [0] * len(CHAIN)


@pytest.mark.parametrize("name", OWN)
def test_constraints_are_described_and_cost_nothing(models, name):
    said = models[name].describe()["constraints"]
    assert [entry["kind"] for entry in said["declared"]] == [entry["kind"] for entry in CHAIN]
    assert said["trial"]["rows"] >= said["trial"]["changed"] >= 0
    free = Schema.from_dict({"columns": CHAIN_COLUMNS})
    plans = [
        generator(name).plan(of, PrivacyUnit(), epsilon="3", delta="1e-6").tree.digest()
        for of in (free, Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": CHAIN}))
    ]
    assert plans[0] == plans[1]


def test_a_mapping_is_learned_where_counts_show_it(models):
    sample = models["gibbs"].sample(3000, np.random.default_rng(3))
    held = {(c, s) for c, s in zip(*(sample[n].to_pylist() for n in ("city", "state")), strict=True) if c and s}
    right = [(c, s) for c, s in held if int(c[1:]) % 3 == int(s[1:])]
    assert len(held) == 12 and len(right) >= 11


def test_marginals_stay_where_the_private_rows_obey(models):
    """Ordered dates keep both marginals: by month, no further from the private table than without the constraint."""
    table = chain_table(3000)
    free = fitted("gibbs", table, Schema.from_dict({"columns": CHAIN_COLUMNS}))

    def distance(sample: pa.Table, name: str) -> float:
        counts = []
        for of in (table.to_arrow(), sample):
            months = np.array([day.year * 12 + day.month - 24_228 for day in of[name].to_pylist() if day])
            counts.append(np.bincount(months, minlength=40) / max(len(months), 1))
        return float(np.abs(counts[0] - counts[1]).sum() / 2)

    for name in "ab":
        with_constraint = distance(models["gibbs"].sample(6000, np.random.default_rng(4)), name)
        without = distance(free.sample(6000, np.random.default_rng(4)), name)
        assert with_constraint < without + 0.03, (name, with_constraint, without)
    unordered = free.sample(6000, np.random.default_rng(4))
    assert violations(schema_of(CHAIN[:1]).constraints[0], unordered, {}).mean() > 0.02  # what there was to enforce


def schema_of(declared: list[dict[str, Any]]) -> Schema:
    return Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": declared})


@pytest.mark.parametrize("name", OWN)
def test_a_table_that_breaks_everything_still_gives_rows_that_obey(name):
    rng = np.random.default_rng(0)
    rows = chain_table(400).to_arrow()
    shuffled = pa.table({column: rows[column].take(pa.array(rng.permutation(400))) for column in rows.column_names})
    of = Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": CHAIN})
    model = fitted(name, Table.from_arrow(shuffled), of)
    assert not broken(of, model.sample(500, rng)).any()


def test_a_model_file_keeps_constraints_and_what_was_learned(models, tmp_path: Path):
    from accounting.crosscheck import price
    from dpsynth.tabular.saved.saving import SavedModel, load, save

    of = Schema.from_dict({"columns": CHAIN_COLUMNS, "constraints": CHAIN})
    for name, model in models.items():
        guarantee = price(model.events, "1e-6")
        save(SavedModel(model=model, guarantee=guarantee, schema_digest=of.digest()), tmp_path / name)
        back = load(tmp_path / name).model
        first, again = (m.sample(500, np.random.default_rng(7)) for m in (model, back))
        assert first.equals(again) and back.describe() == model.describe()


def test_penalties_forbid_no_pair_of_codes_that_holds_an_allowed_pair_of_cells():
    """Sound: every row that obeys has allowed codes."""
    rng = np.random.default_rng(5)
    declared = [c for c in CHAIN if c["kind"] != "functional_dependency"]
    of = schema_of(declared)
    rows = chain_table(2000)
    model = fitted("independent", rows, of)
    shapes = {name: binning.size + 1 for name, binning in model.binnings.items()}
    penalties = Enforcement.of(of, model.binnings, shapes).penalties(shapes)
    assert len(penalties) >= 5
    arrow = rows.to_arrow()
    codes = [np.where((c := b.encode(arrow[n])) < 0, b.size, c) for n, b in model.binnings.items()]
    for (left, right), forbidden in penalties.items():
        assert forbidden.any() and not forbidden[codes[left], codes[right]].any()
        assert forbidden[rng.permutation(codes[left]), codes[right]].any()  # and it would see others


@pytest.mark.parametrize("strict", [False, True])
def test_forbidden_codes_of_an_inequality_are_a_triangle_where_each_value_has_its_code(strict):
    """Code pairs cannot tell whether equal values are strictly ordered, so the diagonal is the decoder's."""
    of = Schema.from_dict(
        {
            "columns": {name: {"kind": "integer", "min": 0, "max": 4} for name in ("low", "high")},
            "constraints": [{"kind": "inequality", "low": "low", "high": "high", "strict": strict}],
        }
    )
    model = fitted(
        "independent", Table.from_arrow(pa.table({"low": [0, 1, 2, 3] * 900, "high": [1, 2, 3, 4] * 900})), of
    )
    shapes = {name: binning.size + 1 for name, binning in model.binnings.items()}
    ends = {name: binning.code_of for name, binning in model.binnings.items()}
    (forbidden,) = Enforcement.of(of, model.binnings, shapes).penalties(shapes).values()
    for low, high in itertools.product(range(5), repeat=2):
        beyond = min(np.flatnonzero(ends["low"] == ends["low"][low])) > max(
            np.flatnonzero(ends["high"] == ends["high"][high])
        )
        assert forbidden[ends["low"][low], ends["high"][high]] == beyond
    assert not forbidden[-1].any() and not forbidden[:, -1].any()


SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[4] / "shared"))
COVID = SHARED / "data/tabular/covid_mx/covid_mx_2020-05-27.parquet"
DAY = {"kind": "date", "min": "2020-01-01", "max": "2020-05-27"}
ANSWER = {"kind": "categorical", "values": [1, 2, 97, 98, 99]}
COVID_SCHEMA = Schema.from_dict(
    {
        "columns": {
            "SEXO": {"kind": "categorical", "values": [1, 2, 99]},
            "TIPO_PACIENTE": {"kind": "categorical", "values": [1, 2, 99]},
            "FECHA_SINTOMAS": DAY,
            "FECHA_INGRESO": DAY,
            "FECHA_DEF": DAY | {"missing": ["9999-99-99"]},
            "EDAD": {"kind": "integer", "min": 0, "max": 120},
            **dict.fromkeys(["EMBARAZO", "UCI", "INTUBADO", "NEUMONIA"], ANSWER),
        },
        "constraints": [
            {"kind": "inequality", "low": "FECHA_SINTOMAS", "high": "FECHA_INGRESO"},
            {"kind": "inequality", "low": "FECHA_INGRESO", "high": "FECHA_DEF"},
            {"kind": "not_applicable", "when": {"SEXO": 2}, "column": "EMBARAZO", "value": 97, "iff": True},
            {"kind": "not_applicable", "when": {"TIPO_PACIENTE": 1}, "column": "UCI", "value": 97, "iff": True},
            {"kind": "not_applicable", "when": {"TIPO_PACIENTE": 1}, "column": "INTUBADO", "value": 97, "iff": True},
        ],
    }
)


@pytest.mark.slow
@pytest.mark.skipif(not COVID.exists(), reason=f"the shared table is absent: {COVID}")
@pytest.mark.parametrize(("name", "farthest"), [("gibbs", 0.02), ("mst", 0.04)])
def test_date_order_and_structural_zeros_of_covid_hold_in_every_row(name, farthest):
    """245,000 rows, epsilon 1: dates by day were 0.012 and 0.004 (`gibbs`), 0.010 and 0.003 (`mst`) from the table."""
    from dpsynth.schema.checks import prepare

    declared = COVID_SCHEMA.model_dump(mode="json")
    unused = {"kind": "categorical", "drop": True}
    of = Schema.from_dict(
        declared | {"columns": {n: declared["columns"].get(n, unused) for n in pq.read_schema(COVID).names}}
    )
    table = prepare(str(COVID), of).table.select(of.modelled)
    sample = fitted(name, table, of, epsilon="1").sample(table.to_arrow().num_rows, np.random.default_rng(0))
    assert not broken(of, sample).any()
    for column in ("FECHA_SINTOMAS", "FECHA_INGRESO"):
        shares = []
        for held in (table.to_arrow(), sample):
            days = np.array(held[column].cast(pa.int32()).drop_null())
            shares.append(np.bincount(days - 18_262, minlength=160) / len(days))
        assert np.abs(shares[0] - shares[1]).sum() / 2 < farthest
