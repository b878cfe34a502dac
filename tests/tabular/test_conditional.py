"""Rows under a condition, in equal shares, and around known cells: the model's conditional law and the very values."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import date, datetime
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.table import Table
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.schema.model import Schema
from dpsynth.tabular.conditions import conditional
from dpsynth.tabular.conditions.conditional_forest import condition_forest, fill_forest
from dpsynth.tabular.conditions.conditional_records import Field, conditional_blocks, fill_records, matching
from dpsynth.tabular.conditions.evidence import draw_allowed, shares_of_codes
from dpsynth.tabular.conditions.given import Between, allowed_in, conditions, from_text, where
from dpsynth.tabular.forests.tree import Forest
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.generator import MIXED, mixed_table, schema
from tests.tabular.test_saving import fitted

AGE = GridDomain(kind="integer", low=0, high=110)
MONEY = GridDomain(kind="float", low=0, high=10_000, scale=Fraction(1, 100))
DAY = GridDomain(kind="date", low=10_000, high=20_000)
TIME = GridDomain(kind="datetime", low=0, high=10**9)
SEX = CategoryDomain(values=("f", "m"))
REGION = CategoryDomain(values=("north", "east"), other=True)
FLAG = CategoryDomain(values=(False, True))
CODE = CategoryDomain(values=(1, 2, 9))
DOMAINS = {"age": AGE, "money": MONEY, "day": DAY, "time": TIME, "sex": SEX, "region": REGION, "flag": FLAG,
           "code": CODE}  # fmt: skip


# --- what is asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted", "text"),
    [
        ("age", 37, ("37",)),
        ("age", [37, 38, 40], ("37..38", "40")),
        ("age", Between(100, None), ("100..110",)),
        ("age", [None, Between(None, 17)], ("0..17", "")),
        ("age", np.int64(5), ("5",)),
        ("money", 1.5, ("1.5",)),
        ("money", Between(0.001, 0.029), ("0.01..0.02",)),
        ("day", date(2000, 1, 1), ("2000-01-01",)),
        ("time", Between(datetime(1980, 1, 1), datetime(1980, 1, 1, 0, 0, 1)),
         ("1980-01-01T00:00:00..1980-01-01T00:00:01",)),
        ("sex", "f", ("f",)),
        ("sex", None, ("",)),
        ("region", ["other", "north"], ("north", "other")),
        ("flag", True, ("true",)),
        ("code", [9, 1], ("1", "9")),
    ],
)  # fmt: skip
def test_a_condition_is_the_same_as_value_and_as_text(name, wanted, text):
    allowed = conditions({name: wanted}, DOMAINS)[name]
    assert allowed.text(DOMAINS[name]) == text
    again = from_text({name: text}, DOMAINS)[name]
    assert again.runs.tolist() == allowed.runs.tolist() and again.missing == allowed.missing
    spoken = where([f"{name}={word}" for word in text], DOMAINS)[name]
    assert spoken.runs.tolist() == allowed.runs.tolist() and spoken.missing == allowed.missing


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ag": 1}, "no column 'ag' to hold fixed. The model has 'age', 'money'"),
        ({"age": 111}, "'age' asks for a value that is not in its domain.*values from 0 to 110, or be missing"),
        ({"age": -1}, "'age' asks for a value that is not in its domain"),
        ({"age": 3.5}, "'age' holds values of kind integer"),
        ({"age": True}, "'age' holds values of kind integer"),
        ({"age": "37"}, "'age' holds values of kind integer"),
        ({"age": Between(200, 300)}, "'age' asks for a value that is not in its domain"),
        ({"age": Between(9, 3)}, "'age' ends before it begins"),
        ({"age": []}, "'age' allows nothing"),
        ({"money": 0.001}, "in steps of 0.01"),
        ({"money": float("nan")}, "not in its domain"),
        ({"day": datetime(2000, 1, 1)}, "'day' holds values of kind date"),
        ({"sex": "x"}, "declared impossible, or never released. Column 'sex' may hold f, m, or be missing"),
        ({"sex": 1}, "'sex' asks for a value"),
        ({"sex": Between("f", "m")}, "'sex' has categories and no ranges"),
        ({"code": True}, "'code' asks for a value"),
        ({"region": "south"}, "may hold north, east, other"),
    ],
)
def test_a_value_that_was_never_released_is_refused_by_column_with_what_is_allowed(asked, message):
    with pytest.raises(ParameterError, match=message):
        conditions(asked, DOMAINS)


@pytest.mark.parametrize(
    ("word", "message"), [("age", "form COLUMN=VALUE"), ("age=old", "is no integer"), ("day=3", "is no date")]
)
def test_a_word_that_is_no_condition_is_refused(word, message):
    with pytest.raises(ParameterError, match=message):
        where([word], DOMAINS)


@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 110)), min_size=1, max_size=6), st.booleans())
def test_runs_hold_count_and_number_what_a_set_does(pairs, missing):
    wanted = [Between(min(pair), max(pair)) for pair in pairs] + ([None] if missing else [])
    allowed = allowed_in("age", AGE, wanted)
    members = sorted({code for a, b in pairs for code in range(min(a, b), max(a, b) + 1)})
    codes = np.arange(-1, 112)
    expected = [missing if code < 0 else code in members for code in codes.tolist()]
    assert allowed.holds(codes).tolist() == expected
    assert allowed.below(codes[1:]).tolist() == [sum(m < code for m in members) for code in codes[1:].tolist()]
    assert allowed.numbered(np.arange(len(members))).tolist() == members


# --- forests are exact -----------------------------------------------------------------------------------------


def random_forest(rng: np.random.Generator) -> Forest:
    """A random forest with some zeros, codes 1-3 a column."""
    columns = int(rng.integers(1, 5))
    sizes = {f"c{i}": int(rng.integers(1, 4)) for i in range(columns)}
    order, given_, oneway = [], {}, {}
    for i, (name, size) in enumerate(sizes.items()):
        parent = f"c{rng.integers(i)}" if i and rng.random() < 0.8 else None
        order.append((name, parent))
        oneway[name] = rng.random(size) * 10 + 0.1
        if parent is not None:
            given_[name] = rng.random((sizes[parent], size)) * (rng.random((sizes[parent], size)) < 0.8)
    return Forest(order=tuple(order), oneway=oneway, given=given_)


def joint(forest: Forest) -> dict[tuple[int, ...], float]:
    """Every row's probability by the definition."""
    names = [name for name, _ in forest.order]
    out = {}
    for codes in itertools.product(*(range(len(forest.oneway[name])) for name in names)):
        row, p = dict(zip(names, codes, strict=True)), 1.0
        for name, parent in forest.order:
            law = forest.oneway[name] if parent is None else forest.given[name][row[parent]]
            p *= law[row[name]] / law.sum() if law.sum() else 1 / len(law)
        out[codes] = p
    return out


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_a_conditioned_forest_is_the_exact_conditional(seed):
    rng = np.random.default_rng(seed)
    forest = random_forest(rng)
    evidence = {
        name: rng.random(len(counts)) * (rng.random(len(counts)) < 0.7)
        for name, counts in forest.oneway.items()
        if rng.random() < 0.6
    }
    names = [name for name, _ in forest.order]
    weighted = {
        codes: p * np.prod([evidence[n][c] for n, c in zip(names, codes, strict=True) if n in evidence])
        for codes, p in joint(forest).items()
    }
    found, probability = condition_forest(forest, evidence)
    assert probability == pytest.approx(sum(weighted.values()), abs=1e-12)
    if probability > 1e-9:
        for codes, p in joint(found).items():
            assert p == pytest.approx(weighted[codes] / probability, abs=1e-9)


def test_gaps_of_a_forest_follow_the_exact_conditional_of_each_row():
    """20,000 copies of each pattern of known codes; largest distance of any pattern within the noise of as many."""
    rng = np.random.default_rng(3)
    forest = Forest(
        order=(("a", None), ("b", "a"), ("c", "b"), ("d", None)),
        oneway={"a": rng.random(3), "b": rng.random(4), "c": rng.random(3), "d": rng.random(2)},
        given={"b": rng.random((3, 4)) ** 3, "c": rng.random((4, 3)) ** 3},
    )
    law = joint(forest)
    for pattern in ((1, -1, -1, -1), (-1, -1, 0, -1), (0, -1, 1, -1), (-1, 2, -1, 0), (-1, -1, -1, -1)):
        copies = {name: np.full(20_000, code) for name, code in zip("abcd", pattern, strict=True)}
        filled = fill_forest(forest, copies, rng)
        # a gap is never filled with the last code, which is missing
        fits = {
            codes: p
            for codes, p in law.items()
            if all((k == c) if k >= 0 else c < len(forest.oneway[n]) - 1
                   for n, k, c in zip("abcd", pattern, codes, strict=True))
        }  # fmt: skip
        total = sum(fits.values())
        counts = Counter(zip(*(filled[name].tolist() for name in "abcd"), strict=True))
        assert set(counts) <= set(fits)
        assert sum(abs(counts[codes] / 20_000 - p / total) for codes, p in fits.items()) / 2 < 0.02


# --- record tables ---------------------------------------------------------------------------------------------

SIZES = (4, 5, 3, 6)


def world(seed: int, strength: float) -> np.ndarray:
    """A random pairwise maximum-entropy distribution over `SIZES`: what pair tables determine and no more."""
    rng = np.random.default_rng(seed)
    logs = np.zeros(SIZES)
    for columns in [*itertools.combinations(range(4), 2), *[(a,) for a in range(4)]]:
        shape = [SIZES[a] if a in columns else 1 for a in range(4)]
        logs = logs + rng.normal(0, strength if len(columns) == 2 else 1.0, shape)
    p = np.exp(logs)
    return p / p.sum()


def records_of(p: np.ndarray, rows: int, rng: np.random.Generator) -> tuple[RecordTable, PairTables]:
    """Fitted records drawn from a distribution, and its exact pair tables."""
    drawn = rng.permutation(np.repeat(np.arange(p.size), rng.multinomial(rows, p.ravel())))
    codes = np.stack([*np.unravel_index(drawn, SIZES), np.zeros(rows, int)], axis=1).astype(np.int16)
    tables = PairTables((*SIZES, 1))
    padded = p[..., None]
    for pair, table in tables.items():
        table[:] = rows * padded.sum(axis=tuple(axis for axis in range(5) if axis not in pair))
    return RecordTable.of_records(SIZES, codes), tables


def histogram(codes: np.ndarray) -> np.ndarray:
    counts = np.zeros(SIZES)
    np.add.at(counts, tuple(codes[:, at] for at in range(4)), 1)
    return counts / counts.sum()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return 0.5 * float(np.abs(a - b).sum())


def under(p: np.ndarray, condition: dict[int, int]) -> tuple[np.ndarray, float]:
    """The exact conditional, and the probability of the condition."""
    kept = np.zeros_like(p)
    at = tuple(condition.get(axis, slice(None)) for axis in range(4))
    kept[at] = p[at]
    return kept / kept.sum(), float(kept.sum())


def picked(p: np.ndarray, kind: str) -> dict[int, int]:
    if kind == "common":  # one code of one column, as near to a half as there is
        return {0: int(np.argmin(np.abs(p.sum((1, 2, 3)) - 0.5)))}
    if kind == "rare":  # a pair of codes of about 1 %
        pair = p.sum((2, 3))
        return dict(enumerate(int(i) for i in np.unravel_index(np.argmin(np.abs(pair - 0.01)), pair.shape)))
    pair = p.sum((0, 2))  # the least likely codes of two columns
    return dict(zip((1, 3), (int(i) for i in np.unravel_index(np.argmin(pair), pair.shape)), strict=True))


def one_hot(condition: dict[int, int]) -> dict[int, np.ndarray]:
    return {axis: np.eye(SIZES[axis])[code] for axis, code in condition.items()}


@pytest.mark.parametrize(("kind", "bound"), [("common", 0.05), ("rare", 0.06), ("hardly ever", 0.1)])
@pytest.mark.parametrize("strength", [0.7, 1.5])
def test_records_under_a_condition_follow_the_exact_conditional(kind, bound, strength):
    """Total variation over all columns; independent columns are 0.2 to 0.6 off, the draw itself about 0.02."""
    p, rng = world(0, strength), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    condition = picked(p, kind)
    exact, _ = under(p, condition)
    made = np.concatenate(list(conditional_blocks(table, tables, 20_000.0, 4000, one_hot(condition), rng)))
    assert len(made) == 4000
    assert all((made[:, axis] == code).all() for axis, code in condition.items())
    assert distance(histogram(made), exact) < bound
    marginals = [p.sum(tuple(a for a in range(4) if a != axis)) for axis in range(4)]
    product = marginals[0][:, None, None, None] * marginals[1][:, None, None] * marginals[2][:, None] * marginals[3]
    assert distance(under(product, condition)[0], exact) > 2 * bound


def test_the_field_gives_the_conditional_that_hardly_a_record_has_shown():
    """One row in 70,000, and two of 20,000 records match at most; the pairs still say what such a row looks like."""
    p, rng = world(1, 1.5), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    condition = picked(p, "hardly ever")
    exact, probability = under(p, condition)
    assert probability < 2e-5 and matching(table, one_hot(condition)).sum() <= 2
    field = Field.learned(table, tables, 20_000.0, rng)
    made = field.settle(np.zeros((20_000, 5), dtype=np.int16), rng, evidence=one_hot(condition))
    assert distance(histogram(made), exact) < 0.24  # columns drawn apart: 0.48


def test_gaps_of_records_follow_the_exact_conditional():
    p, rng = world(0, 0.7), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    known = np.full((8000, 4), -1)
    known[:4000, 0], known[4000:, 1] = 2, 3
    known[4000:, 3] = 1
    made = fill_records(table, tables, 20_000.0, known, {}, rng)
    assert distance(histogram(made[:4000]), under(p, {0: 2})[0]) < 0.08
    assert distance(histogram(made[4000:]), under(p, {1: 3, 3: 1})[0]) < 0.08


# --- values, through every generator -----------------------------------------------------------------------------


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
