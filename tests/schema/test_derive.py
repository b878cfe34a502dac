"""Derived domains: charged only where the schema is silent, planned without data, within the promised margin."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from accounting.event import DiscreteGaussian, PartitionSelection
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.decimals import MOST_PLACES
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.derive import derive, open_questions, plan_derive, unknown_columns
from dpsynth.schema.domain import CategoryDomain, GridDomain, grid
from dpsynth.schema.model import MAX_DECIMALS, ColumnSpec, Schema
from dpsynth.tabular.independent import Independent

NOISE = DeriveNoise(sigma=Decimal(10), threshold=70)


def schema(**columns):
    return Schema.from_dict({"version": 1, "columns": columns})


def derived(name, values, spec, seed=1, allotment=NOISE):
    table = Table.from_arrow(pa.table({name: values}))
    domains, events = derive(table, schema(**{name: spec}), allotment, noise=unsafe_SeededNoise(seed))
    return domains[name], events


def test_a_public_schema_costs_nothing_and_needs_no_allotment():
    public = schema(
        a={"kind": "integer", "min": 0, "max": 9},
        b={"kind": "boolean"},
        c={"kind": "float", "min": 0, "max": 9, "precision": 6},
    )
    assert plan_derive(public, None) == () and unknown_columns(public) == () and open_questions(public) == ()
    table = Table.from_arrow(pa.table({"a": [1], "b": [True], "c": [0.123456789]}))
    domains, events = derive(table, public, None, noise=unsafe_SeededNoise(1))
    assert events == () and list(domains) == ["a", "b", "c"]
    assert domains["c"].scale == Fraction(1, 10**6)


def test_unknown_columns_without_allotment_are_refused():
    with pytest.raises(ParameterError, match="no budget was allotted"):
        plan_derive(schema(a={"kind": "integer"}), None)


@pytest.mark.parametrize("rows", [0, 1, 5000])
def test_events_are_those_of_the_plan_whatever_the_rows(rows):
    of = schema(
        a={"kind": "integer"},
        b={"kind": "categorical"},
        c={"kind": "date"},
        d={"kind": "boolean"},
        e={"kind": "float"},
        f={"kind": "float", "min": 0, "max": 1},
        g={"kind": "float", "precision": 3},
        h={"kind": "float", "min": 0, "max": 1, "precision": 3},
    )
    rng = np.random.default_rng(rows)
    table = Table.from_arrow(
        pa.table(
            {
                "a": pa.array(rng.integers(0, 100, rows), pa.int64()),
                "b": pa.array(rng.choice(["x", "y"], rows), pa.string()),
                "c": pa.array([date(2000, 1, 1)] * rows, pa.date32()),
                "d": pa.array([True] * rows, pa.bool_()),
            }
            | {name: pa.array(rng.uniform(0, 1, rows).round(at)) for at, name in enumerate("efgh", start=3)}
        )
    )
    allotment = DeriveNoise(sigma=Decimal("10.5"), threshold=90, max_records=4)
    _, events = derive(table, of, allotment, noise=unsafe_SeededNoise(1))
    kinds = [type(event) for event in events]
    assert kinds == [DiscreteGaussian, PartitionSelection] + [DiscreteGaussian] * 5
    questions = ["a bounds", "b categories", "c bounds", "e bounds", "e places", "f places", "g bounds"]
    assert [" ".join(question) for question in open_questions(of)] == questions
    planned = plan_derive(of, allotment)
    assert [e.to_json() | {"noise": None} for e in events] == [e.to_json() | {"noise": None} for e in planned]
    assert {event.l2_sensitivity for event in events} == {Decimal(4)}


def test_categories_are_the_frequent_ones_and_the_rest_is_other():
    values = pa.array(["b"] * 500 + ["a"] * 400 + ["mine"] + [None] * 50)
    for seed in range(20):
        domain, _ = derived("x", values, {"kind": "categorical"}, seed)
        assert isinstance(domain, CategoryDomain)
        assert domain.values == ("a", "b") and domain.other


def test_integer_categories_stay_integers():
    domain, _ = derived("x", pa.array([3] * 500 + [1] * 500, pa.int64()), {"kind": "categorical"})
    assert domain.values == (1, 3)


def test_nobody_frequent_gives_a_domain_of_others_only():
    domain, _ = derived("x", pa.array([f"id{i}" for i in range(500)]), {"kind": "categorical"})
    assert domain.values == () and domain.size >= 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(5, 900, (0, 1024)), (-900, -5, (-1024, 0)), (700, 900, (512, 1024)), (-3, 60_000, (-64, 65_536)), (0, 1, (0, 2))],
)
def test_integer_bounds_are_powers_of_two_around_the_data(low, high, expected):
    values = pa.array(np.tile(np.linspace(low, high, 500).round().astype(int), 20), pa.int64())
    domain, _ = derived("x", values, {"kind": "integer"})
    assert isinstance(domain, GridDomain)
    assert domain.low >= expected[0] and domain.high <= expected[1]
    held = np.mean((np.array(values) >= domain.low) & (np.array(values) <= domain.high))
    assert held > 0.9


def test_float_bounds_and_resolution():
    values = pa.array(np.random.default_rng(0).uniform(0.001, 0.3, 5000))
    domain, _ = derived("x", values, {"kind": "float"})
    assert domain.high * domain.scale <= 0.5 and domain.size >= 10**5
    exact, _ = derived("x", values, {"kind": "float", "precision": 2})
    assert exact.scale == domain.scale.__class__(1, 100)


def test_float_precision_too_fine_for_the_range_is_clamped_not_raised():
    domain, _ = derived("x", pa.array([1e15, 2e15] * 500), {"kind": "float", "precision": 12})
    assert domain.size > 0


def test_extreme_integers_make_a_grid_and_no_overflow():
    domain, _ = derived("x", pa.array([-(2**63), 2**63 - 1] * 500, pa.int64()), {"kind": "integer"})
    assert domain.size < 2**63


def test_date_bounds_are_whole_years():
    values = pa.array([date(1984, 5, 1) + timedelta(days=i % 3000) for i in range(4000)], pa.date32())
    domain, _ = derived("x", values, {"kind": "date"})
    ends = domain.decode(np.array([0, domain.size - 1])).to_pylist()
    assert ends == [date(1984, 1, 1), date(1992, 12, 31)]


def test_datetime_bounds_are_whole_years():
    values = pa.array([datetime(2019, 3, 1, 12) + timedelta(hours=i) for i in range(8000)], pa.timestamp("us"))
    domain, _ = derived("x", values, {"kind": "datetime"})
    ends = domain.decode(np.array([0, domain.size - 1])).to_pylist()
    assert ends == [datetime(2019, 1, 1), datetime(2020, 12, 31, 23, 59, 59)] or ends[1].year in (2019, 2020)


@pytest.mark.parametrize("kind", ["integer", "float", "categorical", "date", "datetime"])
def test_a_column_without_a_value_gets_a_domain(kind):
    types = {
        "integer": pa.int64(),
        "float": pa.float64(),
        "categorical": pa.string(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
    }
    for seed in range(10):
        domain, _ = derived("x", pa.nulls(300, types[kind]), {"kind": kind}, seed)
        assert domain.size >= 1
        assert domain.decode(np.array([-1])).null_count == 1


# --- decimal places ------------------------------------------------------------------------------------------------

AT_EPSILON_1 = Independent().plan(schema(x={"kind": "float"}), PrivacyUnit(), epsilon="1", delta="1e-6").settings.derive


ONE_QUESTION = (
    Independent()
    .plan(schema(x={"kind": "float", "min": 0.0, "max": 16.0}), PrivacyUnit(), epsilon="1", delta="1e-6")
    .settings.derive
)


def decimals(rows, places, seed=0, high=16.0):
    return np.random.default_rng(seed).uniform(0, high, rows).round(places)


def test_the_schema_and_the_histogram_end_at_the_same_number_of_places():
    assert MAX_DECIMALS == MOST_PLACES


@pytest.mark.parametrize("spec", [{}, {"min": 0.0, "max": 16.0}], ids=["all unknown", "bounds public"])
@pytest.mark.parametrize("places", [0, 1, 2, 6, 10])
def test_the_places_of_the_cells_are_found_at_epsilon_1(places, spec):
    for seed in range(10):
        values = decimals(5000, places, seed)
        domain, events = derived("x", pa.array(values), {"kind": "float"} | spec, seed, AT_EPSILON_1)
        assert domain.scale == Fraction(1, 10**places)
        assert len(events) == (1 if spec else 2)
        inside = values[(values >= domain.low * domain.scale) & (values <= domain.high * domain.scale)]
        assert len(inside) > 4500  # the smallest are clamped to the derived bound
        cells = pa.chunked_array([pa.array(inside)])
        assert domain.decode(domain.encode(cells)).to_pylist() == inside.tolist()


def test_a_heavy_value_of_six_places_is_released_as_itself():
    """6.160541 came back as 6.16054 when the grid was a millionth of the range."""
    values = np.where(np.arange(5000) % 3 == 0, 6.160541, decimals(5000, 6))
    domain, _ = derived("x", pa.array(values), {"kind": "float"}, allotment=AT_EPSILON_1)
    assert domain.decode(domain.encode(pa.chunked_array([[6.160541]]))).to_pylist() == [6.160541]


def test_a_few_rows_with_more_places_change_nothing():
    values = decimals(5000, 2)
    values[:20] = decimals(20, 9)
    for seed in range(20):
        domain, _ = derived("x", pa.array(values), {"kind": "float"}, seed, AT_EPSILON_1)
        assert domain.scale == Fraction(1, 100)
    values[:2000] = decimals(2000, 9)
    assert derived("x", pa.array(values), {"kind": "float"}, 1, AT_EPSILON_1)[0].scale == Fraction(1, 10**9)


def test_missing_cells_have_no_places():
    values = pa.array([None, float("nan"), 0.25] * 2000)
    of = schema(x={"kind": "float", "min": 0, "max": 1})
    table = Table(pa.table({"x": values}))  # not `from_arrow`, which would make NaN null
    domains, _ = derive(table, of, AT_EPSILON_1, noise=unsafe_SeededNoise(1))
    assert domains["x"].scale == Fraction(1, 100)
    nothing = pa.array([None] * 5000, pa.float64())
    found = [derived("x", nothing, {"kind": "float", "min": 0, "max": 1}, seed, AT_EPSILON_1) for seed in range(20)]
    assert {domain.scale for domain, _ in found} == {Fraction(1, 10**6)}  # a millionth of the range
    assert all(len(events) == 1 for _, events in found)


def test_places_that_doubles_cannot_hold_over_the_derived_range_are_fewer():
    values = decimals(5000, 4, high=1e12)
    domain, _ = derived("x", pa.array(values), {"kind": "float"}, allotment=AT_EPSILON_1)
    assert domain.scale == Fraction(1, 1000) and domain.high <= 2**52


@pytest.mark.parametrize("records", [1, 4])
def test_the_noise_on_places_is_that_of_the_event_and_grows_with_k(monkeypatch, records):
    import dpsynth.mechanisms.decimals as module

    errors, events = [], []
    real = module.discrete_gaussian

    def spy(counts, **options):
        noisy, event = real(counts, **options)
        errors.append(noisy - counts)
        events.append(event)
        return noisy, event

    monkeypatch.setattr(module, "discrete_gaussian", spy)
    unit = PrivacyUnit() if records == 1 else PrivacyUnit(kind="user", column="u", max_records=records)
    of = {"kind": "float", "min": 0.0, "max": 16.0}
    allotment = Independent().plan(schema(x=of), unit, epsilon="1", delta="1e-6").settings.derive
    assert float(allotment.sigma) == pytest.approx(records * float(ONE_QUESTION.sigma), rel=0.02)
    values = pa.array(decimals(100, 2))
    for seed in range(800):
        derived("x", values, of, seed, allotment)
    assert {(event.sigma, event.l2_sensitivity) for event in events} == {(allotment.sigma, Decimal(records))}
    drawn = np.concatenate(errors)

    def has(sigma):  # two-sided at 1e-6; the variance of 10,400 squares is known to 1.4 %
        return abs((drawn**2).mean() / sigma**2 - 1) < 4.9 * np.sqrt(2 / len(drawn))

    assert has(float(allotment.sigma))
    assert not has(0.9 * float(allotment.sigma)) and not has(1.1 * float(allotment.sigma))


def test_progress_is_told_of_each_column():
    heard = []
    of = schema(a={"kind": "float"}, b={"kind": "integer", "min": 0, "max": 1}, c={"kind": "categorical"})
    table = Table.from_arrow(pa.table({"a": [1.5], "b": [1], "c": ["x"]}))
    derive(table, of, NOISE, noise=unsafe_SeededNoise(1), progress=lambda *a, **k: heard.append(a[:3]))
    assert heard == [("derive domains", 1, 2), ("derive domains", 2, 2)]


@pytest.mark.parametrize("kind", ["integer", "float"])
@pytest.mark.parametrize("at", [0, 1, 127, 253, 254])
def test_bounds_from_any_bin_that_noise_may_choose_make_a_grid(kind: str, at: int) -> None:
    """Where no bin stands out the fullest one is taken, and noise may make it an outermost one."""
    from dpsynth.schema.derive import _MagnitudeCodec

    spec = ColumnSpec(kind=kind)
    low, high = _MagnitudeCodec().edges(at, spec)
    assert low <= high
    assert grid(spec, low, high).size >= 1
