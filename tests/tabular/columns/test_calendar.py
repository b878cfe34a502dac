"""Calendar parts: weekdays, hours and heaping come back; a column without them is left alone; noise as planned."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.event import DiscreteGaussian
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.domain import GridDomain, known_domain
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.tabular.allocation import PART_SHARE, Shares, allocate
from dpsynth.tabular.columns.calendar import calendar_parts, clock_of, outcome_of_days, parts_within
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.denoising import denoised
from dpsynth.tabular.columns.oneway import measure_oneways
from dpsynth.tabular.columns.part_queries import PartCodec
from dpsynth.tabular.columns.parts import SIZES
from dpsynth.tabular.independent import Independent

ROWS = 20_000
NONE = np.zeros(0, dtype=np.int64)
START = (date(2000, 1, 1) - date(1970, 1, 1)).days
DATE = {"kind": "date", "min": "2000-01-01", "max": "2020-12-31"}
MOMENT = {"kind": "datetime", "min": "2000-01-01T00:00:00", "max": "2004-12-31T23:59:59"}
SECONDS = 5 * 365 * 86_400


def days_of(days):
    return pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())


def moments_of(seconds):
    return pa.array(seconds.astype(np.int64) * 10**6, pa.int64()).cast(pa.timestamp("us"))


def synthetic(cells, spec, *, seed=1, epsilon="1"):
    """The column `x` drawn again, as days or seconds since 1970."""
    schema = Schema.from_dict({"columns": {"x": spec, "y": {"kind": "boolean"}}})
    table = Table.from_arrow(pa.table({"x": cells, "y": pa.array(np.arange(len(cells)) % 2 == 0)}))
    made = Independent()
    plan = made.plan(schema, PrivacyUnit(), epsilon=epsilon, delta="1e-9")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, schema, plan.settings.derive, noise=noise)
    model = made.fit(table, schema, domains, plan, noise=noise, spent=spent)
    drawn = model.sample(len(cells), np.random.default_rng(seed)).column("x").drop_null().combine_chunks()
    if pa.types.is_date32(drawn.type):
        return drawn.cast(pa.int32()).to_numpy().astype(np.int64)
    return drawn.cast(pa.int64()).to_numpy() // 10**6


def distance(left, right, size):
    return (
        0.5
        * np.abs(np.bincount(left, minlength=size) / len(left) - np.bincount(right, minlength=size) / len(right)).sum()
    )


def expected_noise(outcomes, sigma, rows):
    """Total variation distance that independent noise of that scale on each outcome makes, in the mean."""
    return 0.5 * outcomes * 0.8 * sigma / rows


# --- what comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [DATE, {"kind": "date"}], ids=["declared", "derived"])
def test_a_column_of_working_days_has_hardly_a_sunday(spec):
    days = START + np.random.default_rng(0).integers(0, 7600, ROWS)
    out = synthetic(days_of(days[(days + 3) % 7 < 5]), spec)
    assert np.mean((out + 3) % 7 == 6) < 0.02  # a uniform draw has 0.14
    assert distance((days[(days + 3) % 7 < 5] + 3) % 7, (out + 3) % 7, 7) < 0.03


def test_what_stands_on_the_first_of_the_month_stays_there():
    rng = np.random.default_rng(0)
    days = START + rng.integers(0, 7600, ROWS)
    first = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    out = synthetic(days_of(first), DATE)
    assert np.mean(np.isin(outcome_of_days("day", out), [0, 31])) > 0.85  # intervals without a first hold noise
    half = synthetic(days_of(np.where(rng.random(ROWS) < 0.4, first, days)), DATE)
    assert abs(np.mean(np.isin(outcome_of_days("day", half), [0, 31])) - 0.42) < 0.08


def test_dates_of_which_only_the_year_is_known_stay_on_the_first_of_january():
    rng = np.random.default_rng(0)
    days = START + rng.integers(0, 7600, ROWS)
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    out = synthetic(days_of(np.where(rng.random(ROWS) < 0.3, years, days)), DATE)
    assert abs(np.mean(outcome_of_days("day", out) == 31) - 0.3) < 0.05


def test_office_hours_and_full_hours_come_back():
    rng = np.random.default_rng(0)
    seconds = START * 86_400 + rng.integers(0, SECONDS, ROWS) // 86_400 * 86_400
    seconds += (8 + rng.integers(0, 10, ROWS)) * 3600
    seconds += np.where(rng.random(ROWS) < 0.5, 0, rng.integers(0, 3600, ROWS))
    out = synthetic(moments_of(seconds), MOMENT)
    sigma = float(allocation(MOMENT).parts["x"].sigma)
    bound = 2 * expected_noise(24, sigma * 6**0.5, ROWS) + 0.01
    assert bound < 0.35  # a uniform draw has 0.58
    assert distance(seconds // 3600 % 24, out // 3600 % 24, 24) < bound
    assert abs(np.mean(out % 3600 == 0) - 0.5) < 0.05


def test_midnights_among_true_times_do_not_round_the_others():
    rng = np.random.default_rng(0)
    seconds = START * 86_400 + rng.integers(0, SECONDS, ROWS)
    seconds = np.where(rng.random(ROWS) < 0.5, seconds // 86_400 * 86_400, seconds)
    out = synthetic(moments_of(seconds), MOMENT)
    assert abs(np.mean(out % 86_400 == 0) - 0.5) < 0.05
    others = out[out % 86_400 != 0]
    assert np.mean(others % 60 == 0) < 0.08


@pytest.mark.parametrize("days", [50, 3], ids=["intervals of hours", "intervals of minutes"])
def test_heaping_comes_back_inside_intervals_shorter_than_a_day(days):
    rng = np.random.default_rng(0)
    seconds = START * 86_400 + rng.integers(0, days * 86_400, ROWS)
    seconds = seconds // 900 * 900  # quarters of an hour
    last = (datetime(2000, 1, days) if days < 30 else datetime(2000, 2, 19)).strftime("%Y-%m-%dT23:59:59")
    out = synthetic(moments_of(seconds), {**MOMENT, "max": last})
    assert np.mean(out % 900 == 0) > 0.9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_uniform_column_is_drawn_as_if_nothing_had_been_asked(seed):
    rng = np.random.default_rng(seed)
    days = START + rng.integers(0, 7600, ROWS)
    out = synthetic(days_of(days), DATE, seed=seed)
    floor = {"weekday": 0.02, "day": 0.03}
    for part, most in floor.items():
        assert distance(outcome_of_days(part, days), outcome_of_days(part, out), SIZES[part]) < most
    seconds = START * 86_400 + rng.integers(0, SECONDS, ROWS)
    out = synthetic(moments_of(seconds), MOMENT, seed=seed)
    assert distance(seconds // 3600 % 24, out // 3600 % 24, 24) < 0.04
    assert np.mean(out % 60 == 0) < 0.08


def test_dates_beyond_the_years_of_the_calendar_end_like_any_other():
    days = START + np.random.default_rng(0).integers(0, 3000, 2000)
    out = synthetic(days_of(days), {"kind": "date", "min": "0001-01-01", "max": "9999-12-31"}, epsilon="4")
    assert abs(np.mean(out == START)) < 0.5 and abs(np.median(out) - np.median(days)) < 9000


# --- what it costs -------------------------------------------------------------------------------------------------


def allocation(spec, max_records=1):
    return allocate(Schema.from_dict({"columns": {"x": spec}}), max_records, rho=0.02, delta=1e-9, shares=Shares())


def test_parts_follow_from_public_facts_alone():
    def asked(**spec):
        return calendar_parts(ColumnSpec(**spec))

    assert asked(kind="integer") == asked(kind="categorical") == ()
    assert asked(kind="date") == ("weekday", "day", "month")
    assert asked(kind="datetime") == ("weekday", "day", "month", "clock")
    assert asked(kind="date", min="2020-01-01", max="2021-05-01") == ()  # every day is counted
    assert asked(kind="date", min="2000-01-01", max="2020-12-31") == ("weekday", "day", "month")
    assert asked(kind="date", min="2010-01-01", max="2020-12-31") == ("weekday", "day")
    assert asked(kind="datetime", min="2010-01-01", max="2010-06-30") == ("clock",)  # intervals of hours
    assert asked(kind="datetime", min="2010-01-01T00:00:00", max="2010-01-01T04:00:00") == ()  # of seconds


def test_parts_take_a_share_of_their_own_column_alone():
    with_date = allocation(DATE)
    spent = sum(
        event.count / (2 * float(event.sigma) ** 2)
        for event in with_date.events(Schema.from_dict({"columns": {"x": DATE}}))
    )
    assert spent == pytest.approx(0.02, rel=1e-3) and spent <= 0.02
    own = with_date.parts["x"]
    assert len(own.parts) / (2 * float(own.sigma) ** 2) == pytest.approx(3 * PART_SHARE * 0.02, rel=1e-3)


def test_released_parts_carry_the_noise_of_their_event_and_grow_with_k():
    schema = Schema.from_dict({"columns": {"x": DATE}})
    table = Table.from_arrow(pa.table({"x": days_of(START + np.arange(7000))}))
    domains = {"x": known_domain(schema.columns["x"])}
    deviation = {}
    for k in (1, 5):
        plan = allocation(DATE, k)
        noises = []
        for seed in range(60):
            oneways, events = measure_oneways(table, domains, plan, noise=unsafe_SeededNoise(seed))
            released = oneways["x"]
            for held in released.parts:
                exact = next(table.counts({"x": PartCodec(cells=released.cells, part=held.part)}, [("x",)]))[:-1]
                noises.append(held.counts - exact)
        event = events[-1]
        assert isinstance(event, DiscreteGaussian)
        assert (event.count, event.l2_sensitivity, event.sigma) == (3, Decimal(k), plan.parts["x"].sigma)
        drawn = np.concatenate(noises)  # 60 x 51 draws: the deviation is known to 1.3 %, alpha 1e-6 is 6.3 %
        deviation[k] = drawn.std()
        assert abs(deviation[k] / float(event.sigma) - 1) < 0.063
        assert abs(deviation[k] / (1.3 * float(event.sigma)) - 1) > 0.063  # power: 30 % more would be seen
    assert 4.5 < deviation[5] / deviation[1] < 5.5


def test_each_row_of_an_interval_is_counted_once_in_each_part_and_others_never():
    domain = known_domain(ColumnSpec(**DATE))
    spike = np.array([10], dtype=np.int64)
    cells = Cells.of(domain, spike)
    values = pa.chunked_array([days_of(START + np.array([10, 10, 11, 12, 7000]))])
    for part in ("weekday", "day", "month"):
        codes = PartCodec(cells=cells, part=part).encode(values)
        assert np.array_equal(codes[:2], [-1, -1]) and np.all((codes[2:] >= 0) & (codes[2:] < SIZES[part]))
    missing = PartCodec(cells=cells, part="day").encode(pa.chunked_array([pa.nulls(3, pa.date32())]))
    assert missing.tolist() == [-1, -1, -1]


# --- the pieces ----------------------------------------------------------------------------------------------------


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
@settings(max_examples=200, deadline=None)
def test_parts_of_a_day_are_those_of_the_calendar(day):
    number = np.array([(day - date(1970, 1, 1)).days])
    assert outcome_of_days("weekday", number) == day.weekday()
    assert outcome_of_days("month", number) == day.month - 1
    assert outcome_of_days("day", number) == (31 if (day.month, day.day) == (1, 1) else day.day - 1)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
@settings(max_examples=200, deadline=None)
def test_hour_and_roundness_are_those_of_the_clock(moment):
    since = moment - datetime(1970, 1, 1)
    micro = (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
    expected = 5 if moment.microsecond else 4 if moment.second else 0 if moment.minute == 0 else None
    if expected is None:
        expected = 1 if moment.minute % 15 == 0 else 2 if moment.minute % 5 == 0 else 3
    assert clock_of(np.array([micro]), 10**6) == moment.hour * 6 + expected


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(0, 40 * 365 * 86_400),
    st.integers(0, 6),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_intervals_of_datetimes_cut_no_hour_and_no_day(start, seconds, precision, seed):
    start = start.replace(microsecond=0)
    low = int((start - datetime(1970, 1, 1)).total_seconds()) * 10**precision
    domain = GridDomain(
        kind="datetime",
        low=low,
        high=low + seconds * 10**precision,
        scale=known_domain(
            ColumnSpec(kind="datetime", min=datetime(2000, 1, 1), max=datetime(2000, 1, 2), precision=precision)
        ).scale,
    )
    cells = Cells.of(domain, NONE)
    assert cells.intervals <= 513
    codes = np.random.default_rng(seed).integers(0, domain.size, 300)
    asked = cells.of_codes(codes)
    drawn = cells.draw(asked, np.random.default_rng(seed))
    assert np.array_equal(cells.of_codes(drawn), asked)
    if "clock" in parts_within(domain):
        minute = 60 * 10**precision
        edges = np.unique((codes + domain.low) // minute)[:, None] * minute + np.array([0, minute - 1])
        inside = np.clip(edges - domain.low, 0, domain.size - 1)
        assert np.array_equal(*cells.of_codes(inside).T)


def test_denoising_keeps_what_stands_out_and_flattens_what_does_not():
    rng = np.random.default_rng(1)
    flat = np.full(31, 1000.0)
    alone = np.array([np.abs(denoised(flat + rng.normal(0, 30, 31), 30.0, flat) - flat).mean() for _ in range(50)])
    assert alone.mean() < 0.4 * 24  # the noise's mean deviation is 24
    heaped = flat.copy()
    heaped[0] = 9000
    kept = np.array([denoised(heaped + rng.normal(0, 30, 31), 30.0, flat) for _ in range(50)])
    assert abs(kept[:, 0].mean() - 9000) < 30 and np.abs(kept[:, 1:] - 1000).mean() < 0.5 * 24
