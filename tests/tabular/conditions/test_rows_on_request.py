"""Rows under a condition, in equal shares, and around known cells: the very values, through every generator."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.tabular.conditions import conditional
from dpsynth.tabular.conditions.evidence import draw_allowed, shares_of_codes
from dpsynth.tabular.conditions.given import Between, conditions
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.tables import MIXED, mixed_table, schema
from tests.tabular.saved.fits import fitted


@pytest.fixture(scope="module", params=["independent", "mst", "gibbs"])
def model(request):
    return fitted(request.param, mixed_table(3000), MIXED, epsilon="4").model


ASKED = {
    "one year inside a code": {"age": 37},
    "a range that cuts codes": {"age": Between(33, 41), "weight": Between(60.05, 61.0)},
    "a list": {"colour": ["red", "blue"], "code": [1, 9]},
    "a spike": {"gain": 0},
    "everything but the spike": {"gain": Between(1, None)},
    "missing": {"age": None},
    "missing or old": {"age": [None, Between(60, None)]},
    "a truth value": {"member": True},
    "one day": {"joined": date(2010, 5, 5)},
    "one hour": {"seen": Between(datetime(2021, 6, 1, 8), datetime(2021, 6, 1, 9))},
    "three columns": {"colour": "green", "member": False, "age": Between(20, 50)},
}


@pytest.mark.parametrize("case", ASKED)
def test_every_row_has_exactly_the_values_that_were_asked_for(model, case):
    asked = conditions(ASKED[case], model.domains)
    rows = model.sample(150, np.random.default_rng(0), given=ASKED[case])
    assert rows.num_rows == 150
    assert rows.schema == model.sample(1, np.random.default_rng(0)).schema
    for name, allowed in asked.items():
        assert allowed.matches(rows.column(name), model.domains[name]).all()


def test_other_columns_depend_on_the_condition_as_they_do_without_it(model):
    """member is age > 50; the model's own unconditional rows say how often."""
    free = model.sample(6000, np.random.default_rng(0)).to_pandas()
    old = model.sample(2000, np.random.default_rng(0), given={"age": Between(60, 80)}).to_pandas()
    matching = free[(free.age >= 60) & (free.age <= 80)]
    assert abs(old.member.mean() - matching.member.mean()) < 0.08
    assert abs(old.age.mean() - matching.age.mean()) < 1.0
    missing = model.sample(2000, np.random.default_rng(0), given={"age": None}).to_pandas()
    assert abs(missing.member.mean() - free[free.age.isna()].member.mean()) < 0.08


def test_the_share_of_a_condition_is_that_among_free_rows(model):
    free = model.sample(8000, np.random.default_rng(0)).to_pandas()
    assert conditional.share(model, {"age": Between(60, 80)}) == pytest.approx(
        free.age.between(60, 80).mean(), abs=0.02
    )
    assert conditional.share(model, None) == pytest.approx(1.0)


def test_balanced_classes_take_equal_shares_of_values_that_stand_out(model):
    rows = model.sample(101, np.random.default_rng(0), balance="colour")
    counts = Counter(rows.column("colour").to_pylist())
    assert set(counts) == {"red", "green", "blue"} and max(counts.values()) - min(counts.values()) <= 1
    both = model.sample(100, np.random.default_rng(0), balance="code", given={"code": [1, 9], "member": True})
    assert Counter(both.column("code").to_pylist()) == {1: 50, 9: 50}
    assert both.column("member").to_pylist() == [True] * 100
    first = rows.column("colour").to_pylist()
    assert first != sorted(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balance": "colours"}, "no column 'colours' to balance"),
        ({"balance": "gain", "given": {"gain": Between(1, 99_999)}}, "too many values"),
        ({"given": {"colour": "purple"}}, "'colour' asks for a value"),
    ],
)
def test_what_cannot_be_asked_is_refused(model, options, message):
    with pytest.raises(ParameterError, match=message):
        model.sample(10, np.random.default_rng(0), **options)


def test_a_class_of_noise_is_not_balanced_unless_it_is_named(model):
    """`never` is declared and held by no row: it is left out, or drawn if somebody insists."""
    rows = model.sample(30, np.random.default_rng(0), balance="colour", given={"colour": ["red", "never"]})
    assert Counter(rows.column("colour").to_pylist()) == {"red": 15, "never": 15}


def test_known_cells_stay_and_gaps_are_filled(model):
    rng = np.random.default_rng(0)
    whole = model.sample(600, rng).to_pandas()
    gaps = whole.mask(rng.random(whole.shape) < 0.4)
    types = model.sample(1, rng).schema
    table = pa.Table.from_pandas(gaps, schema=types, preserve_index=False).append_column(
        "note", pa.array([str(i) for i in range(600)])
    )
    full = model.complete(table, np.random.default_rng(0))
    assert full.column_names == table.column_names and full.schema.field("age").type == pa.int64()
    assert full.column("note").equals(table.column("note"))
    for name in types.names:
        assert full.column(name).null_count == 0
        before, after = table.column(name).to_pylist(), full.column(name).to_pylist()
        assert all(a == b for a, b in zip(before, after, strict=True) if a is not None)


def test_gaps_follow_what_is_known():
    """member is age > 50: of rows without age, those known to be members must turn out old."""
    for name in ("mst", "gibbs"):
        model = fitted(name, mixed_table(3000), MIXED, epsilon="8").model
        ages = {}
        for member in (True, False):
            table = pa.table({"member": pa.array([member] * 500), "age": pa.nulls(500, pa.int64())})
            ages[member] = np.array(model.complete(table, np.random.default_rng(0)).column("age"))
        assert np.mean(ages[True] >= 48) > 0.85 and np.mean(ages[False] <= 53) > 0.85


def test_columns_that_the_table_lacks_are_drawn_whole(model):
    full = model.complete(pa.table({"colour": pa.array(["red", None])}), np.random.default_rng(0))
    assert full.column_names[0] == "colour" and set(full.column_names) == set(model.domains)
    assert full.num_rows == 2 and full.column("colour").to_pylist()[0] == "red"
    assert model.complete(full.slice(0, 0), np.random.default_rng(0)).num_rows == 0


@pytest.mark.parametrize(
    ("column", "message"),
    [(pa.array(["SECRET-TOWN"]), "outside its domain"), (pa.array([[1]]), "cannot be read as string")],
)
def test_a_cell_that_the_model_cannot_know_is_refused_and_not_shown(model, column, message):
    with pytest.raises(DataError, match=message) as caught:
        model.complete(pa.table({"colour": column}), np.random.default_rng(0))
    assert "SECRET" not in str(caught.value)


def test_of_a_column_that_is_never_missing_nobody_gets_missing_cells():
    table = Table.from_arrow(pa.table({"a": pa.array([0, 1] * 2000), "b": pa.array([0, 1] * 2000)}))
    of = schema(**{name: {"kind": "categorical", "values": [0, 1]} for name in "ab"})
    model = fitted("gibbs", table, of, epsilon="8").model
    assert model.table.sizes[0] == 2
    with pytest.raises(ParameterError, match="'a': its probability is zero"):
        model.sample(10, np.random.default_rng(0), given={"a": None})


def test_the_same_request_gives_the_same_rows(model):
    first, again = (model.sample(50, np.random.default_rng(3), given={"member": True}) for _ in range(2))
    assert first.equals(again)


# --- inside a code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(1000, 30_000), (1010, 1070)], ids=["many intervals", "part of one"])
def test_the_law_inside_a_code_is_that_of_unconditional_draws(low, high):
    """Of many free draws of the column those that are allowed, code by code, against conditional draws."""
    from dpsynth.tabular.columns.decoding import draw_values

    model = fitted("mst", mixed_table(4000), MIXED).model
    binning, rng = model.binnings["gain"], np.random.default_rng(0)
    allowed = conditions({"gain": Between(low, high)}, model.domains)["gain"]
    shares = shares_of_codes(binning, allowed)
    codes = np.flatnonzero(shares[:-1])
    assert len(codes)
    for code in codes[:4]:
        free = draw_values(binning, np.full(200_000, code), rng)
        good = allowed.holds(free)
        assert abs(good.mean() / shares[code] - 1) < 0.02 + 5 / np.sqrt(good.sum())
        held = draw_allowed(binning, np.full(20_000, code), allowed, rng)
        assert allowed.holds(held).all()
        edges = np.linspace(low, high + 1, 12)
        a, b = (np.histogram(values, edges)[0] / len(values) for values in (free[good], held))
        assert 0.5 * np.abs(a - b).sum() < 0.03 + 2 / np.sqrt(good.sum())


# --- with constraints ----------------------------------------------------------------------------------------------

STAYS = {
    "version": 1,
    "columns": {
        "ward": {"kind": "categorical", "values": ["a", "b", "c"]},
        "sex": {"kind": "categorical", "values": ["f", "m"]},
        "admitted": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
        "left": {"kind": "date", "min": "2020-01-01", "max": "2021-06-30"},
    },
    "constraints": [
        {"kind": "inequality", "low": "admitted", "high": "left"},
        {"kind": "forbidden_combinations", "columns": ["ward", "sex"], "rows": [["c", "m"]]},
    ],
}


def stays(rows: int) -> Table:
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], rows)
    ward = np.where(sex == "f", rng.choice(["a", "b", "c"], rows), rng.choice(["a", "b"], rows))
    admitted = np.datetime64("2020-01-01") + rng.integers(0, 300, rows)
    return Table.from_arrow(
        pa.table({
            "ward": pa.array(ward), "sex": pa.array(sex), "admitted": pa.array(admitted, pa.date32()),
            "left": pa.array(admitted + rng.integers(0, 60, rows), pa.date32()),
        })
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mst", "gibbs"])
def test_rows_under_a_condition_and_filled_gaps_break_no_constraint(name):
    model = fitted(name, stays(3000), Schema.from_dict(STAYS), epsilon="8").model
    march = Between(date(2020, 3, 1), date(2020, 3, 31))
    rows = model.sample(300, np.random.default_rng(0), given={"left": march}).to_pandas()
    assert (rows.admitted <= rows.left).all() and not ((rows.ward == "c") & (rows.sex == "m")).any()
    both = model.sample(200, np.random.default_rng(0), given={"left": march, "admitted": march, "sex": "m"})
    assert set(both.column("ward").to_pylist()) <= {"a", "b"}
    assert all(
        a <= b for a, b in zip(both.column("admitted").to_pylist(), both.column("left").to_pylist(), strict=True)
    )
    gaps = pa.table({
        "admitted": pa.array([date(2020, 5, 5), None] * 200, pa.date32()),
        "left": pa.array([None, date(2020, 2, 2)] * 200, pa.date32()),
        "ward": pa.array(["c"] * 400),
    })  # fmt: skip
    full = model.complete(gaps, np.random.default_rng(0)).to_pandas()
    assert (full.admitted <= full.left).all() and set(full.sex) == {"f"}
    with pytest.raises(ParameterError, match=r"knows no row that meets the condition on 'ward', 'sex'"):
        model.sample(10, np.random.default_rng(0), given={"ward": "c", "sex": "m"})


def test_a_condition_that_constraints_rule_out_is_given_up_in_few_rounds(monkeypatch):
    """Each round learns the condition anew, which takes most of the time."""
    model = fitted("gibbs", stays(3000), Schema.from_dict(STAYS), epsilon="8").model
    asked: list[int] = []
    draw_codes = type(model).draw_codes

    def counting(self, rows, evidence, rng):
        asked.append(rows)
        return draw_codes(self, rows, evidence, rng)

    monkeypatch.setattr(type(model), "draw_codes", counting)
    with pytest.raises(ParameterError, match="knows no row"):
        model.sample(10, np.random.default_rng(0), given={"ward": "c", "sex": "m"})
    assert len(asked) <= 3 and sum(asked) >= 1000


def test_cells_that_contradict_each_other_free_only_what_hangs_on_them():
    """Nobody can leave before admission, so that row's gap of a third constrained column is still filled."""
    model = fitted("mst", stays(3000), Schema.from_dict(STAYS), epsilon="8").model
    torn = pa.table({
        "admitted": pa.array([date(2020, 5, 5)] * 200, pa.date32()),
        "left": pa.array([date(2020, 2, 2)] * 200, pa.date32()),
        "sex": pa.array(["m"] * 200),
    })  # fmt: skip
    full = model.complete(torn, np.random.default_rng(0))
    assert full.column("left").to_pylist() == torn.column("left").to_pylist(), "what was known stays"
    assert set(full.column("ward").to_pylist()) == {"a", "b"}


def test_a_loaded_model_still_breaks_no_constraint():
    saved = fitted("gibbs", stays(2000), Schema.from_dict(STAYS), epsilon="8")
    found = from_bytes(to_bytes(saved)).model
    assert found.sample(200, np.random.default_rng(2)).equals(saved.model.sample(200, np.random.default_rng(2)))
    rows = found.sample(2000, np.random.default_rng(0)).to_pandas()
    assert (rows.admitted <= rows.left).all()
