"""What every engine must hold: subclass, give one fixture `load`, inherit the checks.

    @pytest.fixture(scope="module")
    def load(): ...          # gives pa.Table -> EngineTable

    class TestMine(EngineConformance): ...

The table in memory is the law: on cells that engines disagree about when they are left to themselves, each gives the
same integers for every codec, and the same noise then gives the same release.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from accounting.event import PoissonSampled
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.engines import keyed, rows
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.engines.version import version_of
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.release.formats import encode_parquet
from dpsynth.schema.derive import _MagnitudeCodec, _PlacesCodec, _YearCodec
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.tabular import generator
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.tabular.columns.binning import Binning, bin_cells
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.merging import CoarseCodec
from dpsynth.tabular.columns.oneway import OneWay
from dpsynth.tabular.columns.part_queries import PartCodec
from tests.conformance.tables import MIXED, OPEN, RECORD, USER, mixed_table, open_table

TEXTS = (
    "",
    "a",
    "A",
    "a ",
    " a",
    "é",
    "e\u0301",
    "ß",
    "SS",
    "İ",
    "\\0",
    "\x01",
    "250.1",
    "250",
    "25",
    "😀",
    "null",
    "NaN",
)
INTEGERS = (0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18, 999_999_999_999, 25, -25, 5 * 10**11)
FLOATS = (0.0, -0.0, 0.05, 0.15, 0.25, 1 / 3, 2.5, 1e300, -1e300, 5e-324, 2.0**53 + 2, 0.1 + 0.2, 12345.678, -7.5, 1e15)
NEW_YORK = timezone(timedelta(hours=-5))


def hostile_table() -> pa.Table:
    """Cells that engines read differently: 15 columns' worth of traps, in a few hundred rows."""
    rng = np.random.default_rng(7)
    rows = 600
    days = [
        date(1, 1, 1),
        date(9999, 12, 31),
        date(1900, 2, 28),
        date(2000, 2, 29),
        date(1969, 12, 31),
        date(2024, 1, 1),
    ]
    days += [date.fromordinal(int(day)) for day in rng.integers(600_000, 760_000, 40)]
    moments = [
        datetime(1, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59, 999_999),
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
    ]
    moments += [datetime(2021, 3, 28, 2, 30), datetime(2021, 1, 1, 12, 15), datetime(2021, 1, 1, 12, 7, 30, 500_000)]
    moments += [datetime(1950, 1, 1) + timedelta(seconds=int(s)) for s in rng.integers(0, 4 * 10**9, 40)]
    aware = [moment.replace(tzinfo=NEW_YORK) for moment in moments[3:]]
    money = [
        Decimal("0.10"),
        Decimal("-7.25"),
        Decimal("99999999.99"),
        Decimal("0.29"),
        Decimal("1.15"),
        Decimal("0.00"),
    ]

    def some(values, kind, every):
        picked = [values[int(at)] for at in rng.integers(0, len(values), rows)]
        return pa.array([None if at % every == 0 else cell for at, cell in enumerate(picked)], kind)

    return pa.table(
        {
            "text": some(TEXTS, pa.string(), 7),
            "whole": some(INTEGERS, pa.int64(), 5),
            "number": some(FLOATS, pa.float64(), 11),
            "nothing": pa.array([float("nan") if at % 3 else None for at in range(rows)], pa.float64()),
            "single": some([0.1, 0.5, 3.25], pa.float32(), 6),
            "money": some(money, pa.decimal128(10, 2), 9),
            "flag": some([True, False], pa.bool_(), 4),
            "day": some(days, pa.date32(), 13),
            "moment": some(moments, pa.timestamp("us"), 10),
            "aware": some([m.astimezone(UTC) for m in aware], pa.timestamp("us", tz="America/New_York"), 8),
            "small": some([-1, 0, 7], pa.int16(), 12),
            'Odd "name; é': some(["x", "y"], pa.string(), 3),
        }
    )


def codecs_of(rng):
    """One codec of each kind a column can have, by column."""
    wide = CategoryDomain(values=tuple(f"v{at}" for at in range(99_980)) + TEXTS, other=True)
    grids = {
        "whole": GridDomain(kind="integer", low=-(2**62), high=2**62 - 2),
        "number": GridDomain(kind="float", low=-(10**7), high=10**6, scale=Fraction(1, 10)),
        "day": GridDomain(kind="date", low=-700_000, high=2_000_000),
        "moment": GridDomain(kind="datetime", low=-(10**10), high=3 * 10**9, scale=Fraction(1)),
        "aware": GridDomain(kind="datetime", low=-(10**12), high=3 * 10**12, scale=Fraction(1, 1000)),
    }
    spiked = {name: Cells.of(grid, np.array([0, 7, grid.size // 2, grid.size - 1])) for name, grid in grids.items()}
    categories = {
        "text": [
            CategoryDomain(values=("a", "é", "25", "other"), other=True, groups=("250", "2", "a"), hierarchy=(1, 3)),
            CategoryDomain(values=("", "a ", "A")),
            CategoryDomain(values=(), other=True),
            wide,
        ],
        "whole": [
            CategoryDomain(values=(0, 2**53 + 1, 2**63 - 1, -(2**63))),
            CategoryDomain(values=tuple(range(-30, 31))),
        ],
        "flag": [CategoryDomain(values=(False, True)), CategoryDomain(values=("true",), other=True)],
        "small": [
            GridDomain(kind="integer", low=0, high=6),
            GridDomain(kind="integer", low=-3, high=5, scale=Fraction(3)),
            GridDomain(kind="float", low=-5, high=60, scale=Fraction(1, 8)),
            CategoryDomain(values=("7", "-1"), other=True),
        ],
        "single": [GridDomain(kind="float", low=0, high=30, scale=Fraction(1, 10))],
        "money": [GridDomain(kind="float", low=-1000, high=10**10, scale=Fraction(1, 100)), _PlacesCodec()],
        "nothing": [GridDomain(kind="float", low=0, high=1), _MagnitudeCodec()],
    }
    found = [(name, codec) for name, own in categories.items() for codec in own]
    found += list(grids.items())
    found += list(spiked.items())
    found += [
        (name, Cells.of(GridDomain(kind="integer", low=-9, high=40), np.array([3]))) for name in ("whole", "small")
    ]
    for name in ("whole", "number", "money"):
        found.append((name, _MagnitudeCodec()))
    found += [("number", _PlacesCodec()), ("single", _PlacesCodec()), ("day", _YearCodec("date"))]
    found += [("moment", _YearCodec("datetime")), ("aware", _YearCodec("datetime"))]
    found += [(name, PartCodec(cells=spiked[name], part="round")) for name in ("whole", "number")]
    found += [("day", PartCodec(cells=spiked["day"], part=part)) for part in ("weekday", "day", "month")]
    for name in ("moment", "aware"):
        found += [(name, PartCodec(cells=spiked[name], part=part)) for part in ("weekday", "day", "month", "clock")]
    for name, cells in (*spiked.items(), ("text", Cells.of(categories["text"][0], np.zeros(0, dtype=np.int64)))):
        counts = rng.integers(0, 50, cells.size + 1).astype(float)
        binning = bin_cells(OneWay(cells=cells, counts=counts, variance=np.full(cells.size + 1, 4.0)), codes=12)
        found += [(name, binning), (name, CoarseCodec.of(binning)), (name, CoarseCodec.halved(binning))]
    return found


def known_to(engine_table, table):
    """The codecs whose column the two tables hold."""
    return [(name, codec) for name, codec in codecs_of(np.random.default_rng(3)) if name in table.columns]


def described(counts):
    values = counts.values.to_pylist() if isinstance(counts.values, pa.Array) else counts.values.tolist()
    return values, counts.counts.tolist(), counts.missing


def people_table() -> Table:
    """People with several rows each, some of them equal but for a double."""
    rng = np.random.default_rng(2)
    rows = 400
    who = rng.integers(0, 90, rows)
    amount = rng.choice([0.5, 1 / 3, 2.5, -1e9], rows)
    seen = [datetime(2020, 1, 1) + timedelta(hours=int(h)) for h in rng.integers(0, 50, rows)]
    return Table.from_arrow(
        pa.table(
            {
                "name": pa.array([f"{TEXTS[at % len(TEXTS)]}{at}" for at in who], pa.string()),
                "number": pa.array(who.astype(np.int64) - 40, pa.int64()),
                "row": pa.array(np.arange(rows), pa.int64()),
                "amount": pa.array(amount, pa.float64(), mask=rng.random(rows) < 0.2),
                "gap": pa.array(["x", None] * (rows // 2), pa.string()),
                "seen": pa.array(seen, pa.timestamp("us")),
                "flag": pa.array(rng.random(rows) < 0.5, pa.bool_(), mask=rng.random(rows) < 0.1),
            }
        )
    )


def seeded(plan):
    """The plan of a run with seeded noise: training draws its own otherwise."""

    def marked(event):
        if isinstance(event, PoissonSampled):
            event = replace(event, event=marked(event.event))
        return replace(event, noise="seeded")

    return replace(plan, tree=replace(plan.tree, events=tuple(marked(event) for event in plan.tree.events)))


def by_first_row(numbers):
    _, first, number = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


class InOneOrder:
    """A table in memory whose rows come out as codes in the order that engines give: units by identity, then codes."""

    def __init__(self, table, extra=None):
        self._table, self._extra = table, extra
        self._joined = table if extra is None else table.concat(extra)

    def __getattr__(self, name):
        return getattr(self._joined, name)

    def select(self, columns):
        return InOneOrder(self._table.select(columns), None if self._extra is None else self._extra.select(columns))

    def concat(self, other):
        return InOneOrder(self._table, other)

    def codes(self, codecs, unit=None):
        table = self._table
        if unit is not None:
            table = table.take(pc.sort_indices(table.column(unit)).to_numpy())  # nulls last
        codes, units = table.codes(codecs, unit)
        known = [] if unit is None else [np.minimum(units, pc.count_distinct(table.column(unit)).as_py())]
        order = np.lexsort([*codes.T[::-1], *known]) if codes.size else slice(None)
        table = table.take(np.arange(len(codes))[order])
        return (table if self._extra is None else table.concat(self._extra)).codes(codecs, unit)


class Unpushable:
    """A codec that only this process can run."""

    size = 2

    def encode(self, values):
        return np.zeros(len(values), dtype=np.int64)


class EngineConformance:
    """The checks."""

    @classmethod
    def hostile(cls) -> pa.Table:
        """Traps that this engine's storage can hold at all."""
        return hostile_table()

    @pytest.fixture(scope="class")
    @classmethod
    def pair(cls, load):
        rows = cls.hostile()
        return Table.from_arrow(rows), load(rows)

    def test_columns_and_types_are_those_of_the_table_in_memory(self, pair):
        memory, engine = pair
        assert engine.columns == memory.columns
        assert dict(engine.types) == dict(memory.types)
        assert dict(engine.decimals) == dict(memory.decimals)

    def test_distinct_values_and_their_counts_are_the_same_in_the_same_order(self, pair):
        memory, engine = pair
        for name in memory.columns:
            assert described(engine.value_counts(name)) == described(memory.value_counts(name)), name

    def test_every_codec_counts_the_same_integers(self, pair):
        memory, engine = pair
        for name, codec in known_to(engine, memory):
            (expected,) = memory.counts({name: codec}, [(name,)]) if codec.size < 10**6 else (None,)
            what = (name, type(codec).__name__, getattr(codec, "part", ""))
            if isinstance(codec, (CategoryDomain, GridDomain)):  # what spikes and partition selection ask
                assert described(engine.value_counts(name, codec)) == described(memory.value_counts(name, codec)), what
            if expected is not None:
                (found,) = engine.counts({name: codec}, [(name,)])
                assert found.dtype == np.int64
                assert np.array_equal(found, expected), what

    def test_many_columns_and_codecs_at_once_are_what_each_is_alone(self, pair):
        memory, engine = pair
        asked = [(name, None) for name in memory.columns] + [
            (name, codec) for name, codec in known_to(engine, memory) if codec.size < 10**6
        ]
        asked += [(name, codec) for name, codec in known_to(engine, memory) if isinstance(codec, GridDomain)]
        both = zip(asked, engine.value_counts_of(asked), memory.value_counts_of(asked), strict=True)
        for (name, codec), found, expected in both:
            assert described(found) == described(expected), (name, type(codec).__name__)
            assert str(found.values.dtype if codec else found.values.type) == str(
                expected.values.dtype if codec else expected.values.type
            )
        assert engine.value_counts_of([]) == ()

    def test_all_pairs_and_some_triples_are_the_same_however_the_clique_is_ordered(self, pair):
        memory, engine = pair
        codecs = {
            name: codec
            for name, codec in known_to(engine, memory)
            if codec.size < 1000 and not isinstance(codec, GridDomain)
        }
        cliques = [
            *itertools.combinations(codecs, 2),
            *list(itertools.permutations(list(codecs)[:3], 3)),
            (next(iter(codecs)),),
        ]
        small = [c for c in cliques if np.prod([codecs[name].size + 1.0 for name in c]) < 10**7]
        for clique, found, expected in zip(
            small, engine.counts(codecs, small), memory.counts(codecs, small), strict=True
        ):
            assert np.array_equal(found, expected), clique

    def test_merged_codes_are_the_same_from_the_codes_that_they_merge(self, pair):
        memory, engine = pair
        fine = {name: codec for name, codec in known_to(engine, memory) if isinstance(codec, Binning)}
        fresh = engine.select(list(fine))
        pairs = list(itertools.combinations(fine, 2))
        list(fresh.counts(fine, pairs))
        for made in (CoarseCodec.of, CoarseCodec.halved):
            merged = {name: made(codec) for name, codec in fine.items()}
            both = zip(fresh.counts(merged, pairs), memory.counts(merged, pairs), strict=True)
            assert all(np.array_equal(found, expected) for found, expected in both)

    def test_rows_in_memory_are_added(self, pair):
        memory, engine = pair
        extra = Table(memory.to_arrow().slice(0, 50))
        codecs = dict(known_to(engine, memory))
        small = {name: codec for name, codec in codecs.items() if codec.size < 1000}
        cliques = list(itertools.combinations(small, 2))[:5]
        joined, both = memory.concat(extra), engine.concat(extra)
        for name in memory.columns:
            assert described(both.value_counts(name)) == described(joined.value_counts(name)), name
        for found, expected in zip(both.counts(small, cliques), joined.counts(small, cliques), strict=True):
            assert np.array_equal(found, expected)

    def test_selected_columns_are_counted_and_others_are_not_known(self, pair):
        memory, engine = pair
        one = engine.select([memory.columns[1]])
        assert one.columns == (memory.columns[1],)
        with pytest.raises(DataError, match="no column"):
            one.value_counts(memory.columns[0])

    def test_a_codec_that_cannot_be_pushed_down_is_refused_by_name(self, pair):
        _, engine = pair
        with pytest.raises(UnsupportedByEngine, match="Unpushable"):
            list(engine.counts({"text": Unpushable()}, [("text",)]))

    def test_a_codec_for_another_kind_is_refused_by_column(self, pair):
        _, engine = pair
        with pytest.raises(UnsupportedByEngine, match="'text' holds string"):
            list(engine.counts({"text": GridDomain(kind="integer", low=0, high=9)}, [("text",)]))

    def test_a_histogram_too_large_is_refused(self, pair):
        _, engine = pair
        codec = GridDomain(kind="integer", low=0, high=10**5)
        with pytest.raises(ParameterError, match="cells; the limit"):
            list(engine.counts({"whole": codec, "small": codec}, [("whole", "small")]))

    @pytest.mark.parametrize("identity", ["name", "number"])
    def test_the_same_rows_are_trained_on_and_held_out(self, load, identity):
        memory = people_table()
        ours, theirs = (
            keyed.split(table, identity, holdout_share=0.3, key=bytes(range(32)))
            for table in (memory, load(memory.to_arrow()))
        )
        for mine, part in zip(ours, theirs, strict=True):
            for name in memory.columns:
                assert described(part.value_counts(name)) == described(mine.value_counts(name))
        assert 0.1 < ours[1].unsafe_num_rows / memory.unsafe_num_rows < 0.5
        assert not set(ours[0].column(identity).to_pylist()) & set(ours[1].column(identity).to_pylist())

    @pytest.mark.parametrize("row_key", [None, "row"])
    def test_the_same_rows_of_a_person_are_kept(self, load, row_key):
        memory = people_table()
        engine = load(memory.to_arrow())
        for k in (1, 3):
            mine = keyed.bounded(memory, "name", k, bytes(range(32)), row_key=row_key)
            kept = keyed.bounded(engine, "name", k, bytes(range(32)), row_key=row_key)
            for name in memory.columns:
                assert described(kept.value_counts(name)) == described(mine.value_counts(name)), (k, name)
            assert max(kept.value_counts("name").counts) == k

    def test_an_identity_with_missing_cells_or_doubles_is_refused(self, load):
        memory = people_table()
        for table in (memory, load(memory.to_arrow())):
            with pytest.raises(DataError, match="missing cells"):
                keyed.split(table, "gap", holdout_share=0.3, key=bytes(32))
            with pytest.raises(DataError, match="neither text nor integer"):
                keyed.bounded(table, "amount", 2, bytes(32))

    def test_a_row_key_that_repeats_is_refused(self, load):
        engine = load(people_table().to_arrow())
        keyed.require_key(engine, "row")
        with pytest.raises(DataError, match="same for two records"):
            keyed.require_key(engine, "name")

    @pytest.mark.parametrize("identity", ["name", "number", "row"])
    def test_the_same_targets_come_out_whole_units_in_one_order(self, load, identity):
        memory = people_table()
        engine = load(memory.to_arrow())
        mine = rows.sampled(memory, identity, about=150, key=bytes(range(32)))
        assert rows.sampled(engine, identity, about=150, key=bytes(range(32))).to_arrow().equals(mine.to_arrow())
        coins = [
            keyed.digest(str(w), keyed.keys_of(bytes(range(32)), "targets")) for w in mine.column(identity).to_pylist()
        ]
        assert coins == sorted(coins)
        taken, whole = mine.value_counts(identity), memory.value_counts(identity)
        sizes = dict(zip(whole.values.to_pylist(), whole.counts, strict=True))
        assert all(sizes[who] == n for who, n in zip(taken.values.to_pylist(), taken.counts, strict=True))
        assert 75 < mine.unsafe_num_rows < 300
        other = rows.sampled(memory, identity, about=150, key=bytes(32))
        assert other.column(identity).to_pylist() != mine.column(identity).to_pylist()
        assert rows.sampled(engine, identity, about=400, key=bytes(32)).unsafe_num_rows == 400

    def test_a_unit_with_a_large_part_of_all_rows_makes_no_sample_that_is_larger_than_asked(self, load):
        memory = Table.from_arrow(pa.table({"who": [0] * 1990 + list(range(1, 11)), "x": range(2000)}))
        engine = load(memory.to_arrow())
        kept = refused = 0
        for at in range(40):
            for table in (memory, engine) if at < 2 else (memory,):
                try:
                    kept = max(kept, rows.sampled(table, "who", about=600, key=bytes([at] * 32)).unsafe_num_rows)
                except DataError as error:
                    refused += 1
                    assert "Bound the rows" in str(error)
                    assert "1990" not in str(error) and "2000" not in str(error)
        assert kept <= 1800
        assert refused

    def test_a_small_table_comes_out_whole_with_the_types_of_a_table_in_memory(self, pair):
        memory, engine = pair
        out = rows.everything(engine)
        assert (out.columns, dict(out.types), dict(out.decimals)) == (
            memory.columns,
            dict(memory.types),
            dict(memory.decimals),
        )
        for name in memory.columns:
            assert described(out.value_counts(name)) == described(memory.value_counts(name)), name
        names = memory.columns[2:0:-1]
        extra = Table(memory.to_arrow().slice(0, 9))
        both = rows.everything(engine.concat(extra), names)
        assert both.columns == names
        assert described(both.value_counts(names[0])) == described(memory.concat(extra).value_counts(names[0]))
        with pytest.raises(DataError, match="more than 500 rows"):
            rows.everything(engine, most=500)

    def test_targets_are_drawn_before_rows_in_memory_are_added(self, load):
        memory = people_table()
        with pytest.raises(ParameterError, match="before canaries"):
            rows.sampled(load(memory.to_arrow()).concat(memory), "name", about=150, key=bytes(32))
        with pytest.raises(ParameterError, match="about=99"):
            rows.sampled(memory, "name", about=99, key=bytes(32))

    def test_nothing_shows_a_row_or_their_number(self, pair):
        _, engine = pair
        assert "600" not in repr(engine)
        with pytest.raises(TypeError, match="private"):
            len(engine)

    @pytest.mark.parametrize("unit", [None, "name", "number", "gap"])
    @pytest.mark.parametrize("some", [True, False], ids=["codes", "units-only"])
    def test_rows_come_out_as_codes_in_one_order(self, load, unit, some):
        memory = people_table()
        codecs = {
            "amount": GridDomain(kind="float", low=0, high=300, scale=Fraction(1, 100)),
            "flag": CategoryDomain(values=(False, True)),
            "name": CategoryDomain(values=("a1", "é5"), other=True, groups=("a",)),
            "seen": GridDomain(kind="datetime", low=438_000, high=438_400, scale=Fraction(3600)),
        }
        if not some:
            codecs = {}
        engine = load(memory.to_arrow())
        extra = Table(memory.to_arrow().slice(0, 40))
        stranger = Table.from_arrow(
            pa.table(
                {
                    **{name: [None] * 5 for name in ("row", "amount", "seen", "flag")},
                    "name": ["?", None, "?", "!", None],
                    "number": [10**6, None, 10**6, -(10**6), None],
                    "gap": ["?", None, "?", "x", None],
                }
            )
            .select(memory.columns)
            .cast(memory.to_arrow().schema)
        )
        for added in (None, extra, extra.concat(stranger), stranger):
            mine, units = InOneOrder(memory, added).codes(codecs, unit)
            codes, numbers = (engine if added is None else engine.concat(added)).codes(codecs, unit)
            assert codes.dtype == mine.dtype and np.array_equal(codes, mine)
            assert (numbers is None) == (unit is None)
            if numbers is not None:
                assert np.array_equal(by_first_row(numbers), by_first_row(units))
                assert unit == "gap" or np.array_equal(numbers, units)
                assert set(numbers.tolist()) == set(range(int(numbers.max()) + 1))

    def test_small_integers_leave_the_engine_and_no_cell_or_identity(self, load, monkeypatch):
        engine = load(people_table().to_arrow())
        left = []
        stream, fetch = engine.engine.stream, engine.engine.fetch
        monkeypatch.setattr(
            engine.engine, "stream", lambda query, rows: (left.append(b) or b for b in stream(query, rows))
        )
        monkeypatch.setattr(engine.engine, "fetch", lambda query: left.append(fetch(query)) or left[-1])
        engine.codes({"name": CategoryDomain(values=("a1", "é5"), other=True)}, "name")
        engine.codes({"flag": CategoryDomain(values=(False, True))}, "number")
        assert left
        for batch in left:
            for column in batch.columns:
                assert pa.types.is_integer(column.type)
                assert set(column.to_pylist()) <= set(range(401))

    def test_no_rows_are_codes_too(self, load):
        engine = load(people_table().to_arrow().slice(0, 0))
        for unit in (None, "name", "number"):
            codes, units = engine.codes({"flag": CategoryDomain(values=(False, True))}, unit)
            assert codes.shape == (0, 1)
            assert units is None if unit is None else units.shape == (0,)

    def test_codes_of_what_is_not_there_or_names_nobody_are_refused(self, load):
        engine = load(people_table().to_arrow())
        with pytest.raises(DataError, match="neither text nor integer"):
            engine.codes({}, "amount")
        with pytest.raises(DataError, match="no column 'who'"):
            engine.codes({}, "who")
        with pytest.raises(UnsupportedByEngine, match="Unpushable"):
            engine.codes({"gap": Unpushable()}, "name")

    @pytest.mark.parametrize("unit", [RECORD, USER], ids=["record", "user"])
    def test_a_model_trained_on_rows_is_the_same_for_the_same_noise(self, load, unit):
        memory = mixed_table(600, seed=4)
        if unit is USER:
            people = pa.array([f"u{at * 7 % 200}" for at in range(600)], pa.string())
            memory = Table(memory.to_arrow().append_column("person", people))
        made = Autoregressive(steps=8, codes=8)
        plan = seeded(made.plan(MIXED, unit, epsilon="4", delta="1e-6"))
        outcomes = []
        for table in (InOneOrder(memory), load(memory.to_arrow())):
            fitted = fit_model(table, MIXED, made, plan, noise=unsafe_SeededNoise(5), canaries=20)
            assert fitted.canaries.included.any()
            outcomes.append((fitted.model.events, encode_parquet(fitted.model.sample(200, np.random.default_rng(5)))))
        assert outcomes[0] == outcomes[1]

    @pytest.mark.parametrize(("of", "make"), [(MIXED, mixed_table), (OPEN, open_table)], ids=["declared", "derived"])
    def test_the_same_noise_gives_the_same_release(self, load, of, make):
        memory = make(1500, seed=4)
        samples = []
        for table in (memory, load(memory.to_arrow())):
            made = generator("mst")
            plan = made.plan(of, RECORD, epsilon="4", delta="1e-6")
            fitted = fit_model(table, of, made, plan, noise=ReplayedNoise(bytes(range(32))), canaries=20)
            samples.append((fitted, fitted.model.sample(500, np.random.default_rng(5))))
        (first, rows), (second, same) = samples
        assert first.model.events == second.model.events
        assert first.canaries.rows.equals(second.canaries.rows)
        assert encode_parquet(rows) == encode_parquet(same)

    def test_a_version_is_of_the_rows_and_not_of_their_order(self, load):
        rows = self.hostile()
        table = load(rows)
        if table.engine.content() is not None:
            return  # files are told apart by their bytes: `tests/data/engines/test_unchanged.py`
        version = version_of(table)
        assert re.fullmatch("[0-9a-f]{64}", version)
        assert version_of(load(rows.take(np.arange(rows.num_rows)[::-1]))) == version
        cells = [None if cell is None else cell + 1 for cell in rows["small"].to_pylist()]
        others = {
            "a cell": rows.set_column(rows.column_names.index("small"), "small", pa.array(cells, pa.int16())),
            "a row less": rows.slice(1),
            "a row twice": pa.concat_tables([rows, rows.slice(0, 1)]),
            "two rows for two others": pa.concat_tables([rows.slice(2), rows.slice(2, 1), rows.slice(2, 1)]),
            "a name": rows.rename_columns([*rows.column_names[:-1], "another"]),
        }
        found = {what: version_of(load(other)) for what, other in others.items()}
        assert version not in found.values()
        assert len(set(found.values())) == len(found)

    def test_a_table_without_rows_has_a_version(self, load):
        empty = pa.table({"x": pa.array([], pa.int64())})
        table, again = load(empty), load(empty)
        assert version_of(table) == version_of(again)
