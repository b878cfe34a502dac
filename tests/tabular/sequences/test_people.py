"""Whole people: what is spent, who is made, what is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpsynth.sgd.training as training_module
from accounting.crosscheck import price
from accounting.event import DiscreteGaussian, PoissonSampled
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ModelError, ParameterError, SchemaError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.checks import prepare
from dpsynth.schema.derive import derive
from dpsynth.tabular import SavedModel, generator
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.tabular.conditions.given import Between
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from dpsynth.workspace.private.bounding import bounded
from tests.conformance.tables import schema
from tests.tabular.sequences.panel import FOUR, PANEL, STAYS, panel

KEY = bytes(range(32))


def fitted(table, *, unit=FOUR, of=PANEL, epsilon="8", steps=60, seed=1):
    made, noise = Autoregressive(steps=steps), unsafe_SeededNoise(seed)
    plan = made.plan(of, unit, epsilon=epsilon, delta="1e-6")
    kept = bounded(table, unit, KEY, of.order).select((*of.modelled, unit.column))
    domains, spent = derive(kept, of, plan.settings.derive, noise=noise)
    return plan, made.fit(kept, of, domains, plan, noise=noise, spent=spent)


@pytest.fixture(scope="module")
def model():
    return fitted(panel(3000), steps=400)[1]


def rows_of(table):
    return table.to_pandas().groupby("who", sort=False)


def test_rows_of_an_engine_which_have_no_order_are_refused_before_anything_is_measured(tmp_path):
    pytest.importorskip("duckdb")
    from dpsynth.data.engines.duckdb import DuckDB

    pq.write_table(panel(50).to_arrow(), tmp_path / "rows.parquet")
    engine, made = DuckDB(threads=1), Autoregressive(steps=2)
    table = engine.parquet([tmp_path / "rows.parquet"])
    plan = made.plan(PANEL, FOUR, epsilon="8", delta="1e-6")
    with pytest.raises(UnsupportedByEngine, match="no order within a person"):
        made.fit(table, PANEL, {}, plan, noise=SystemNoise())
    engine.close()


@pytest.mark.parametrize("people", [1, 40, 600])
def test_what_is_spent_is_what_was_planned_whatever_the_table(people):
    made = Autoregressive(steps=20)
    plan = made.plan(PANEL, FOUR, epsilon="8", delta="1e-6")
    kept = bounded(panel(people), FOUR, KEY, "day")
    model = fit_model(kept, PANEL, made, plan, noise=SystemNoise(), canaries=20).model
    assert model.events.events == plan.tree.events
    assert price(model.events, "1e-6").epsilon <= 8 and model.rows >= 1


def test_seeded_noise_is_marked_in_every_event(model):
    assert {event.noise for event in model.events.events} == {"seeded"}


def test_sensitivities_are_those_of_one_person():
    plan = Autoregressive().plan(PANEL, FOUR, epsilon="1", delta="1e-6")
    *tables, lengths, stays, steps = plan.tree.events
    assert {event.l2_sensitivity for event in tables} == {4}
    assert lengths == DiscreteGaussian(sigma=lengths.sigma, l2_sensitivity=1)
    assert (stays.l2_sensitivity, stays.count) == (3, 2)  # stage and score; sex is constant
    assert isinstance(steps, PoissonSampled) and steps.event.l2_sensitivity == 1
    assert 0.999 <= float(plan.guarantee.epsilon) <= 1


def test_steps_draw_and_clip_people_with_all_their_rows_and_divide_by_a_released_number(monkeypatch):
    seen, sizes = [], []
    summed, divided = training_module.clipped_total, training_module.noisy_mean

    def with_units(network, units, *rest):
        seen.append(units)
        return summed(network, units, *rest)

    def with_size(network, total, schedule, size, normals):
        sizes.append(size)
        return divided(network, total, schedule, size, normals)

    monkeypatch.setattr(training_module, "clipped_total", with_units)
    monkeypatch.setattr(training_module, "noisy_mean", with_size)
    table = bounded(panel(90), FOUR, KEY, "day")
    _, made = fitted(table, steps=3, epsilon="1")
    assert seen[0].count == 90 < len(seen[0].codes)
    people = Counter(table.to_arrow().column("who").to_pylist())
    assert Counter(np.diff(seen[0].starts).tolist()) == Counter(people.values())
    assert {round(size) for size in sizes} == {made.people} != {90}


def test_people_come_whole_in_order_and_no_longer_than_the_bound(model):
    out = model.sample(2001, np.random.default_rng(1))
    assert out.num_rows == 2001 and out.column_names == ["who", "day", "sex", "stage", "score"]
    frame = out.to_pandas()
    assert frame["who"].ne(frame["who"].shift()).sum() == frame["who"].nunique()  # each in one piece
    assert all(group.tolist() == list(range(1, len(group) + 1)) for _, group in rows_of(out)["day"])
    assert rows_of(out).size().max() <= 4
    assert (rows_of(out)["sex"].nunique() == 1).all()


def test_a_synthetic_name_is_text_beside_real_numbers(model):
    names = set(model.sample(300, np.random.default_rng(1)).column("who").to_pylist())
    assert all(name.startswith("synthetic-") for name in names)
    assert not names & set(map(str, panel(3000).to_arrow().column("who").to_pylist()))


def test_numbers_of_rows_and_transitions_are_those_of_the_people(model):
    real, out = bounded(panel(3000), FOUR, KEY, "day").to_arrow(), model.sample(9000, np.random.default_rng(1))
    shares = [rows_of(table).size().value_counts(normalize=True).sort_index() for table in (real, out)]
    assert np.abs(shares[0] - shares[1]).max() < 0.03
    stays = []
    for table in (real, out):
        frame = table.to_pandas()
        same = frame["who"].eq(frame["who"].shift())
        stays.append(float((frame["stage"].eq(frame["stage"].shift()))[same].mean()))
    assert stays[0] == pytest.approx(STAYS + (1 - STAYS) / 3, abs=0.03)
    assert stays[1] == pytest.approx(stays[0], abs=0.08)
    close = out.to_pandas()
    assert (close["score"] - 20 * close["stage"]).between(-3, 30).mean() > 0.8  # score follows stage in a row


def test_a_person_of_ten_thousand_rows_counts_as_one_of_k():
    many = panel(400).to_arrow()
    extra = {
        "who": [10**6] * 10_000,
        "day": list(range(10_000)),
        "sex": ["f"] * 10_000,
        "stage": [2] * 10_000,
        "score": [70] * 10_000,
    }
    heavy = Table.from_arrow(pa.concat_tables([many, pa.table(extra, schema=many.schema)]))
    kept = bounded(heavy, FOUR, KEY, "day").to_arrow()
    own = kept.filter(pa.compute.equal(kept.column("who"), 10**6))
    assert own.column("day").to_pylist() == [0, 1, 2, 3]
    _, model = fitted(heavy, steps=10)
    assert model.people < 600 and len(model.lengths) == 4


def test_the_same_noise_gives_the_same_people_and_leaves_the_model_as_it_was(model):
    one, two = (model.sample(500, np.random.default_rng(3)) for _ in range(2))
    assert one.equals(two)
    assert not one.equals(model.sample(500, np.random.default_rng(4)))
    blocks = list(model.batches(500, np.random.default_rng(3)))
    assert len(blocks[0]) == 0 and pa.concat_tables(blocks).equals(one)


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 333])
def test_any_number_of_rows_can_be_drawn(model, rows):
    out = model.sample(rows, np.random.default_rng(rows))
    assert out.num_rows == rows and out.schema == model.sample(3, np.random.default_rng(1)).schema
    with pytest.raises(ParameterError, match="Expected rows=-1"):
        model.sample(-1, np.random.default_rng(1))


def test_a_condition_on_a_constant_column_picks_people(model):
    men = model.sample(400, np.random.default_rng(1), given={"sex": "m"})
    assert set(men.column("sex").to_pylist()) == {"m"} and len(men) == 400
    even = model.sample(2000, np.random.default_rng(1), balance="sex")
    share = Counter(even.column("sex").to_pylist())["m"] / 2000
    assert share == pytest.approx(0.5, abs=0.01)
    assert rows_of(even).size().max() <= 4
    assert model.probability({"sex": np.array([0.0, 1.0, 0.0])}) == pytest.approx(0.3, abs=0.05)


def test_a_condition_on_a_column_that_may_change_is_refused(model):
    for asked in ({"given": {"score": Between(3, 9)}}, {"balance": "stage"}):
        with pytest.raises(ParameterError, match="may differ between the rows of a person"):
            model.sample(5, np.random.default_rng(1), **asked)
    with pytest.raises(ParameterError, match="does not fill gaps"):
        model.complete(pa.table({"sex": ["f", None]}), np.random.default_rng(1))
    with pytest.raises(ParameterError, match="hardly anybody"):
        model.sample(5, np.random.default_rng(1), given={"sex": None})


def test_a_saved_model_draws_the_same_people(model):
    plan = Autoregressive(steps=400).plan(PANEL, FOUR, epsilon="8", delta="1e-6")
    saved = SavedModel(model=model, guarantee=plan.guarantee, schema_digest=PANEL.digest())
    found = from_bytes(to_bytes(saved)).model
    assert found.sample(300, np.random.default_rng(2)).equals(model.sample(300, np.random.default_rng(2)))
    assert json.loads(json.dumps(model.describe()))["constant"] == ["sex"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lengths": np.array([0.5, 0.5, 0.5, 0.5])}, "do not add up"),
        ({"lengths": np.array([0.5, 0.5])}, "impossible numbers of rows"),
        ({"people": 0}, "number of people"),
        ({"unit": "sex"}, "column of their own"),
        ({"unit": "whose"}, "not the units"),
        ({"order": ("sex", "score")}, "other columns"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(model, change, why):
    plan = Autoregressive(steps=400).plan(PANEL, FOUR, epsilon="8", delta="1e-6")
    broken = SavedModel(model=replace(model, **change), guarantee=plan.guarantee, schema_digest=PANEL.digest())
    with pytest.raises(ModelError, match=why):
        from_bytes(to_bytes(broken))


# --- what is refused before anything is planned --------------------------------------------------------------------


@pytest.mark.parametrize("unit", [PrivacyUnit(), replace(FOUR, max_records=1)], ids=["no unit", "one row a person"])
def test_an_order_without_a_second_row_is_refused(unit):
    with pytest.raises(ParameterError, match=r"nobody has a second row.*|--max-per-unit"):
        Autoregressive().plan(PANEL, unit, epsilon="1", delta="1e-6")


@pytest.mark.parametrize("name", ["mst", "gibbs", "independent", "aim", "dpctgan"])
def test_generators_of_single_rows_refuse_an_order(name):
    with pytest.raises(ParameterError, match="makes single rows"):
        generator(name).plan(PANEL, FOUR, epsilon="1", delta="1e-6")


def test_networks_of_single_rows_and_constraints_refuse_an_order():
    with pytest.raises(ParameterError, match="made network makes single rows"):
        Autoregressive(network="made").plan(PANEL, FOUR, epsilon="1", delta="1e-6")
    rules = PANEL.model_dump(mode="json") | {
        "constraints": [{"kind": "range", "when": {"sex": ["f"]}, "column": "score", "max": 50}]
    }
    with pytest.raises(SchemaError, match="Constraints are rules about single rows"):
        Autoregressive().plan(type(PANEL).from_dict(rules), FOUR, epsilon="1", delta="1e-6")


def test_a_table_without_the_order_or_with_gaps_in_it_is_refused():
    table = panel(300)
    with pytest.raises(SchemaError, match="no column 'day'"):
        prepare(table.select(["who", "sex", "stage", "score"]), PANEL)
    with pytest.raises(SchemaError, match="'week' is not a column"):
        prepare(table, PANEL, order="week")
    arrow = table.to_arrow()
    gaps = pa.array([None, *arrow.column("day").to_pylist()[1:]], pa.int64())
    holed = Table.from_arrow(arrow.set_column(1, "day", gaps))
    with pytest.raises(DataError, match="order column 'day' has missing cells"):
        prepare(holed, PANEL)
    with pytest.raises(DataError, match="no place among a person's"):
        holed.in_order("who", "day", 4, KEY)


def test_an_order_of_text_and_a_constant_that_is_not_modelled_are_refused():
    with pytest.raises(SchemaError, match="ordered by a number, a date or a time"):
        schema(x={"kind": "categorical", "role": "order"}, y={"kind": "boolean"})
    with pytest.raises(SchemaError, match="`constant` belongs to columns that are modelled"):
        schema(x={"kind": "integer", "role": "unit", "constant": True}, y={"kind": "boolean"})
    with pytest.raises(SchemaError, match="all have the role order"):
        schema(x={"kind": "integer", "role": "order"}, z={"kind": "date", "role": "order"}, y={"kind": "boolean"})


def test_a_schema_keeps_order_and_constants_through_yaml_and_older_digests_stay():
    again = type(PANEL).from_yaml(PANEL.to_yaml())
    assert (again.order, again.unit, again.constant, again.digest()) == ("day", "who", ("sex",), PANEL.digest())
    plain = schema(a={"kind": "boolean"}, b={"kind": "boolean"})
    assert plain.digest() == schema(a={"kind": "boolean", "constant": False}, b={"kind": "boolean"}).digest()
    assert plain.digest() != schema(a={"kind": "boolean", "constant": True}, b={"kind": "boolean"}).digest()


# --- which rows are kept, and in which order ------------------------------------------------------------------------


def test_the_first_k_rows_are_kept_whatever_the_order_of_the_file():
    table = panel(200)
    kept = [table.take(np.random.default_rng(seed).permutation(table.unsafe_num_rows)) for seed in range(2)]
    frames = [part.in_order("who", "day", 3, KEY).to_pandas() for part in kept]
    frames = [frame.sort_values("who", kind="stable").reset_index(drop=True) for frame in frames]
    assert frames[0].equals(frames[1])
    wanted = table.to_pandas().sort_values(["who", "day"]).groupby("who").head(3).reset_index(drop=True)
    assert frames[0].equals(wanted)


def test_ties_are_broken_by_keyed_hash_and_no_other_person_matters():
    same = pa.table({"who": [1] * 6 + [2] * 6, "day": [5] * 12, "x": [*range(6), *range(6)]})
    rng = np.random.default_rng(0)

    def of_person(rows, key, who=1):
        out = Table.from_arrow(rows.take(rng.permutation(len(rows)))).in_order("who", "day", 4, key).to_arrow()
        return out.filter(pa.compute.equal(out.column("who"), who)).column("x").to_pylist()

    first = of_person(same, KEY)
    assert all(of_person(same, KEY) == first for _ in range(5))
    assert of_person(same.slice(0, 6), KEY) == first  # without the other person
    assert len({tuple(of_person(same, bytes([n]) * 32)) for n in range(8)}) > 1  # by key, not by file or value


@pytest.mark.parametrize(
    "places",
    [
        [date(2021, 1, 2), date(2019, 5, 1), date(2020, 1, 1)],
        [datetime(2020, 1, 1, 12), datetime(2020, 1, 1, 3), datetime(2020, 1, 1, 4)],
        [2.5, -1.0, 0.0],
    ],
    ids=["dates", "times", "floats"],
)
def test_rows_are_ordered_by_dates_times_and_numbers(places):
    table = Table.from_arrow(pa.table({"who": ["a"] * 3, "day": places, "x": [0, 1, 2]}))
    assert table.in_order("who", "day", 2, KEY).to_arrow().column("x").to_pylist() == [1, 2]
    with pytest.raises(DataError, match="text would put 10 before 9"):
        table.in_order("x", "who", 2, KEY)
    with pytest.raises(ParameterError, match="max_records=0"):
        table.in_order("who", "day", 0, KEY)


def test_a_run_that_goes_on_repeats_what_it_measured_and_no_step():
    made, kept = Autoregressive(steps=5), bounded(panel(200), FOUR, KEY, "day").select((*PANEL.modelled, "who"))
    plan = made.plan(PANEL, FOUR, epsilon="8", delta="1e-6")
    domains, spent = derive(kept, PANEL, None, noise=SystemNoise())
    one, two = (made.fit(kept, PANEL, domains, plan, noise=ReplayedNoise(KEY), spent=spent) for _ in range(2))
    assert np.array_equal(one.lengths, two.lengths) and one.people == two.people
    assert not np.array_equal(one.state.arrays["bias"], two.state.arrays["bias"])
