"""Canaries obey what one row can break, and nothing of the private table but its types is read for them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import attacks
from attacks.canary import attack_canaries
from attacks.limits import Limit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import PlantedCanaries, plant
from dpsynth.schema.domain import CategoryDomain, known_domain
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import broken

WIDE = {"kind": "integer", "min": 0, "max": 10_000}
MONEY = {"kind": "float", "min": 0, "max": 10_000, "precision": 2}
ZIPS, CITIES = [f"z{n}" for n in range(60)], [f"c{n}" for n in range(20)]
PLACES = {
    "zip": {"kind": "categorical", "values": ZIPS},
    "city": {"kind": "categorical", "values": CITIES},
    "state": {"kind": "categorical", "values": ["n", "s", "w"]},
}
CITY_OF = [[name, CITIES[at // 3]] for at, name in enumerate(ZIPS)]
STATE_OF = [[name, "nsw"[at % 3]] for at, name in enumerate(CITIES)]
RULES = {
    "sum": ({"a": WIDE, "b": WIDE, "c": WIDE}, [{"kind": "sum", "total": "c", "parts": ["a", "b"]}]),
    "cents": (
        {"a": MONEY, "b": MONEY, "c": MONEY, "d": MONEY | {"max": 30_000}},
        [{"kind": "sum", "total": "d", "parts": ["a", "b", "c"]}],
    ),
    "chain of mappings, last link first": (
        PLACES,
        [
            {"kind": "functional_dependency", "determinant": ["city"], "dependent": "state", "mapping": STATE_OF},
            {"kind": "functional_dependency", "determinant": ["zip"], "dependent": "city", "mapping": CITY_OF},
        ],
    ),
    "part of a mapping": (
        PLACES,
        [{"kind": "functional_dependency", "determinant": ["zip"], "dependent": "city", "mapping": CITY_OF[:7]}],
    ),
    "combinations": (
        PLACES | {"a": WIDE},
        [{"kind": "fixed_combinations", "columns": ["zip", "city", "a"], "rows": [["z1", "c1", 7], ["z2", "c2", 8]]}],
    ),
    "not applicable": (
        PLACES | {"a": WIDE},
        [
            {"kind": "not_applicable", "when": {"state": ["n", "s"]}, "column": "a", "value": None},
            {"kind": "not_applicable", "when": {"state": "w"}, "column": "zip", "value": "z9", "iff": True},
        ],
    ),
}


def canaries(columns, constraints, *, count=100, table=None, domains=None) -> tuple[Schema, PlantedCanaries]:
    of = Schema.from_dict({"columns": columns, "constraints": constraints})
    known = {name: known_domain(spec) for name, spec in of.columns.items()}
    like = (
        pa.table({n: domain.decode(np.zeros(1, np.int64)) for n, domain in known.items()}) if table is None else table
    )
    return of, plant(domains or known, count, schema=of, like=Table.from_arrow(like), noise=unsafe_SeededNoise(3))


@pytest.mark.parametrize("rule", RULES)
def test_every_canary_obeys_and_none_is_lost(rule):
    of, planted = canaries(*RULES[rule])
    assert planted.rows.num_rows == len(planted.included) == 100
    assert not broken(of, planted.rows).any()
    assert 25 < planted.planted < 75


@pytest.mark.parametrize("rule", ["sum", "cents", "chain of mappings, last link first"])
def test_canaries_that_obey_are_still_spread_out(rule):
    _, planted = canaries(*RULES[rule])
    assert len(set(planted.rows[planted.rows.column_names[0]].to_pylist())) > 40


def test_canaries_and_their_number_depend_on_no_row_of_the_table():
    """The neighbour argument: for given noise they are the same beside any two tables of the same types."""
    columns, rules = RULES["sum"]
    one, other = (pa.table({n: np.full(rows, value) for n in columns}) for rows, value in ((1, 0), (500, 9)))
    (_, here), (_, there) = (canaries(columns, rules, table=table) for table in (one, other))
    assert here.rows.equals(there.rows)
    assert np.array_equal(here.included, there.included)


def test_canaries_that_cannot_obey_are_left_out_before_the_coins():
    """None of the listed combinations is in the released domain: no canary, and no coin."""
    columns = PLACES | {"a": WIDE}
    rule = {"kind": "fixed_combinations", "columns": ["zip", "city"], "rows": [["z1", "c1"]]}
    domains = {name: known_domain(spec) for name, spec in Schema.from_dict({"columns": columns}).columns.items()}
    domains["zip"] = CategoryDomain(values=("z5", "z6"))
    _, planted = canaries(columns, [rule], domains=domains)
    assert planted.rows.num_rows == len(planted.included) == planted.planted == 0
    assert planted.rows.column_names == list(columns)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_few_canaries_decide_nothing(count):
    columns, rules = RULES["sum"]
    _, planted = canaries(columns, rules, count=count)
    _, release = canaries(columns, rules, count=200)
    few = attacks.Canaries(rows=planted.rows.to_pandas(), included=planted.included)
    evidence = attack_canaries(
        few, release.rows.to_pandas(), limit=Limit(value=0.75, planted=0.2), family=5, trials=2,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert evidence.measurement.effect is None
    assert evidence.bound.value == 0
