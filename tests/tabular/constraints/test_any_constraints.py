"""No row of any model breaks any constraints, whichever column is decoded first; the parts that see to it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import plant
from dpsynth.schema.constraints import Constraint
from dpsynth.schema.domain import known_domain
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import broken
from dpsynth.tabular.constraints.enforcement import KINDS, Enforcement
from dpsynth.tabular.constraints.rule import converted
from tests.tabular.constraints.any_constraints import COLUMNS, constraints, random_model, schema


@settings(max_examples=60, deadline=None)
@given(st.lists(constraints(), min_size=1, max_size=5), st.integers(0, 2**32))
def test_no_row_of_any_model_breaks_any_satisfiable_constraints(declared, seed):
    of = schema(declared)
    if of is None:
        return
    enforcement, codes = random_model(of, 300, seed)
    for part in (
        codes,
        {name: held[:1] for name, held in codes.items()},
        {name: held[:0] for name, held in codes.items()},
    ):
        out = enforcement.decode(part, np.random.default_rng(seed))
        assert out.column_names == list(COLUMNS) and len(out) == len(part["u"])
        assert not broken(of, out).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(constraints(), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_row_for_which_every_column_found_a_cell_obeys(declared, seed):
    """The rules themselves, without the repairs that come after: each applies in full at the last of its columns."""
    of = schema(declared)
    if of is None:
        return
    enforcement, codes = random_model(of, 200, seed)
    for group in enforcement.groups:
        names = [n for n in enforcement.order if any(n in enforcement.rules[at].columns for at in group)]
        own = {name: codes[name] for name in names}
        rng, numbers = np.random.default_rng(seed), np.arange(200)
        values, failed = enforcement._draw(group, own, rng, {}, lambda *_: None, numbers)
        assert not enforcement._breaks(group, values)[~failed].any()


def test_power_without_decoding_most_random_rows_break_them():
    """The test above sees what it should: the same codes decoded freely break the same constraints."""
    declared = [
        {"kind": "inequality", "low": "d", "high": "e"},
        {"kind": "fixed_combinations", "columns": ["u", "v"], "rows": [["a", 1], ["b", 2]]},
    ]
    enforcement, codes = random_model(schema(declared), 3000, 1)
    binnings = enforcement.columns.binnings
    free = Enforcement.of(None, binnings, dict.fromkeys(binnings, 0))
    assert broken(schema(declared), free.decode(codes, np.random.default_rng(0))).mean() > 0.5
    assert enforcement.changed["changed"] > 0.5 * enforcement.changed["rows"]


def test_given_values_are_held_and_contradictions_are_refused():
    declared = [{"kind": "range", "column": "x", "when": {"t": True}, "min": 16}]
    enforcement, codes = random_model(schema(declared), 200, 3)
    out = enforcement.decode(codes, np.random.default_rng(0), given={"x": 3})
    assert set(out["x"].to_pylist()) == {3} and True not in out["t"].to_pylist()
    with pytest.raises(ParameterError, match="The given values break a constraint"):
        enforcement.decode(codes, np.random.default_rng(0), given={"x": 3, "t": 1})


@example(
    declared=[
        {"kind": "fixed_combinations", "columns": ["u", "v"], "rows": [["a", 1]]},
        {
            "kind": "functional_dependency",
            "determinant": ["u", "d"],
            "dependent": "y",
            "mapping": [["a", "2020-01-01", -5]],
        },
    ],
    seed=0,
    first="y",
)  # rows drawn again obeyed among themselves, and not with the others
@settings(max_examples=60, deadline=None)
@given(st.lists(constraints(), min_size=1, max_size=4), st.integers(0, 2**32), st.sampled_from(sorted(COLUMNS)))
def test_any_column_may_be_decoded_first(declared, seed, first):
    """Conditional samples fix columns that others decide; rows obey all the same."""
    of = schema(declared)
    if of is None:
        return
    enforcement, codes = random_model(of, 200, seed)
    rng = np.random.default_rng(seed)
    values = enforcement.constrained(codes, rng, lambda *_: None, {first})
    for group in enforcement.groups:
        names = {name for at in group for name in enforcement.rules[at].columns}
        assert not enforcement._breaks(group, {name: values[name] for name in names}).any()


def test_a_dependent_given_first_finds_its_determinants():
    declared = [{"kind": "functional_dependency", "determinant": ["u"], "dependent": "v",
                 "mapping": [["a", 1], ["b", 1], ["c", 2], ["d", 3]]}]  # fmt: skip
    enforcement, codes = random_model(schema(declared), 400, 3)
    out = enforcement.decode(codes, np.random.default_rng(0), given={"v": 0})
    assert set(out["v"].to_pylist()) == {1} and set(out["u"].to_pylist()) == {"a", "b", None}


def test_each_kind_has_one_file_and_one_line():
    kinds = {part.model_fields["kind"].annotation for part in get_args(get_args(Constraint)[0])}
    declared = {get_args(kind)[0] for kind in kinds}
    assert declared == set(KINDS)
    folder = Path(__import__("dpsynth.tabular.constraints", fromlist=["x"]).__file__).parent
    assert all((folder / f"{kind}.py").is_file() and f".{kind}:" in KINDS[kind] for kind in declared)


@pytest.mark.parametrize("up", [True, False])
def test_grids_are_compared_as_fractions(up):
    cents, tens = (known_domain(schema([]).columns[name]) for name in ("z", "w"))
    codes, exact = converted(np.array([0, 5, 10, 4000]), cents, tens, up=up)  # 0.00 0.05 0.10 40.00
    assert (codes + tens.low).tolist() == [0, 1 if up else 0, 1, 400]
    assert exact.tolist() == [True, False, True, True]


def test_a_million_rows_take_seconds():
    import resource

    enforcement, codes = random_model(schema_of_scale(), 100_000, 2)
    start = resource.getrusage(resource.RUSAGE_SELF)
    out = enforcement.decode(codes, np.random.default_rng(0))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert spent.ru_utime + spent.ru_stime - start.ru_utime - start.ru_stime < 4  # measured: 0.4 s
    assert not broken(schema_of_scale(), out).any()


def schema_of_scale() -> Schema:
    made = schema(
        [
            {"kind": "inequality", "low": "d", "high": "e"},
            {"kind": "sum", "total": "w", "parts": ["y", "z"]},
            {"kind": "forbidden_combinations", "columns": ["u", "t"], "rows": [["a", True]]},
            {"kind": "functional_dependency", "determinant": ["x"], "dependent": "v"},
        ]
    )
    assert made is not None
    return made


def test_a_limit_between_two_ticks_is_rounded_into_the_range():
    declared = [{"kind": "range", "column": "w", "when": {"t": [True, False]}, "min": 0.25, "max": 0.45}]
    enforcement, codes = random_model(schema(declared), 500, 4)
    codes["t"] = np.zeros(500, dtype=np.int64)
    assert set(enforcement.decode(codes, np.random.default_rng(0))["w"].to_pylist()) <= {0.3, 0.4, None}


def test_canaries_obey_constraints_that_one_row_can_break():
    """A canary that no sample may repeat has no power."""
    of = Schema.from_dict({"columns": COLUMNS, "constraints": []})
    declared = [
        {"kind": "inequality", "low": "d", "high": "e"},
        {"kind": "fixed_combinations", "columns": ["u", "v"], "rows": [["a", 1], ["b", 2]]},
    ]
    domains = {name: known_domain(spec) for name, spec in of.columns.items()}
    like = Table.from_arrow(pa.table({name: domain.decode(np.zeros(1, np.int64)) for name, domain in domains.items()}))
    share = {}
    for label, held in (("free", of), ("constrained", schema(declared))):
        planted = plant(domains, 200, schema=held, like=like, noise=unsafe_SeededNoise(3))
        share[label] = broken(schema(declared), planted.rows).mean()
        assert len(set(planted.rows["y"].to_pylist())) > 150  # uniform elsewhere
    assert share["constrained"] == 0 and share["free"] > 0.5


def test_pairs_that_would_lock_two_columns_together_are_left_to_the_decoder():
    """With them no move of one column is possible, and records keep the shares that they began with."""
    declared = [{"kind": "not_applicable", "when": {"t": True}, "column": "v", "value": 3, "iff": True}]
    for iff, count in ((True, 0), (False, 1)):
        enforcement, codes = random_model(schema([declared[0] | {"iff": iff}]), 300, 2)
        present = {name: binning.size for name, binning in enforcement.columns.binnings.items()}
        assert len(enforcement.penalties(present)) == count
        assert not broken(enforcement.schema, enforcement.decode(codes, np.random.default_rng(0))).any()
