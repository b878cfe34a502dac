"""Streams: the law of a row is the model's, partitions are streams of their own, memory is that of a block."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from dpsynth.core.errors import ParameterError
from dpsynth.schema.violations import broken
from dpsynth.tabular.columns.decoding import shares_within_codes
from dpsynth.tabular.conditions.given import Between
from dpsynth.tabular.streams.forest_columns import BLOCK
from dpsynth.tabular.streams.row_stream import RowStream
from tests.tabular.saved.fits import fitted
from tests.tabular.sequences.panel import FOUR, PANEL, panel
from tests.tabular.streams import worlds

SEED = "5a" * 32
ALPHA = 1e-6


def drawn(saved, rows, partitions=1, block=BLOCK, **options) -> pa.Table:
    stream = replace(RowStream.of(saved.model, rows, partitions=partitions, seed=SEED, **options), block=block)
    return pa.concat_tables(block for part in range(partitions) for block in stream.batches(part))


def law(model) -> dict[tuple, float]:
    """Probability of every row of `chain`, by the forest's own counts and the shares of values inside codes."""
    names, out = list(model.domains), {}
    values = {}
    for name, binning in model.binnings.items():
        shares = shares_within_codes(binning)
        labels = model.domains[name].decode(np.arange(model.domains[name].size)).to_pylist()
        values[name] = [
            [(labels[cell], shares[cell]) for cell in np.flatnonzero(binning.code_of == code)]
            for code in range(binning.size)
        ] + [[(None, 1.0)]]
    for codes in product(*(range(len(values[name])) for name in names)):
        at, chance = dict(zip(names, codes, strict=True)), 1.0
        for name, parent in model.forest.order:
            counts = model.forest.oneway[name] if parent is None else model.forest.given[name][at[parent]]
            chance *= counts[at[name]] / counts.sum() if counts.sum() > 0 else 1 / len(counts)
        for row in product(*(values[name][at[name]] for name in names)):
            key = tuple(value for value, _ in row)
            out[key] = out.get(key, 0.0) + chance * float(np.prod([share for _, share in row]))
    return out


def surprise(table: pa.Table, chances: dict[tuple, float]) -> float:
    """P-value of Pearson's statistic; cells that expect fewer than five rows are taken together."""
    seen = Counter(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))
    assert set(seen) <= {key for key, chance in chances.items() if chance > 0}
    expected = {key: chance * len(table) for key, chance in chances.items()}
    big = [key for key, rows in expected.items() if rows >= 5]
    rest = sum(rows for rows in expected.values()) - sum(expected[key] for key in big)
    left = len(table) - sum(seen[key] for key in big)
    statistic = sum((seen[key] - expected[key]) ** 2 / expected[key] for key in big)
    statistic += (left - rest) ** 2 / rest if rest >= 5 else 0.0
    return float(stats.chi2.sf(statistic, len(big) - (rest < 5)))


def test_whole_rows_of_a_stream_have_the_law_of_rows_drawn_at_once():
    model = worlds.chain().model
    chances = law(model)
    assert sum(chances.values()) == pytest.approx(1.0) and None in {stage for _, stage, _ in chances}
    once = model.sample(60_000, np.random.default_rng(3))
    stream = drawn(worlds.chain(), 60_000, 3, 5_000)
    assert surprise(once, chances) > ALPHA and surprise(stream, chances) > ALPHA
    # power: a column dealt without its parent, and two rows in a hundred moved, are both seen
    shuffled = stream.set_column(
        2, "kin", stream.column("kin").take(pa.array(np.random.default_rng(0).permutation(60_000)))
    )
    assert surprise(shuffled, chances) < ALPHA
    moved = stream.set_column(0, "town", pc.if_else(pa.array(np.arange(60_000) % 50 == 0), "a", stream.column("town")))
    assert surprise(moved, chances) < ALPHA


def test_a_row_says_nothing_of_the_next():
    """Rows are dealt without replacement, so what could go wrong is their order."""
    town = np.asarray(drawn(worlds.chain(), 80_000).column("town").to_pylist())
    table = np.array([[((town[:-1] == a) & (town[1:] == b)).sum() for b in "abcd"] for a in "abcd"])
    assert stats.chi2_contingency(table).pvalue > ALPHA
    ordered = np.sort(town.reshape(-1, 4), axis=1).ravel()  # power: order within four rows is seen
    table = np.array([[((ordered[:-1] == a) & (ordered[1:] == b)).sum() for b in "abcd"] for a in "abcd"])
    assert stats.chi2_contingency(table).pvalue < ALPHA


def test_every_pair_of_the_forest_is_within_one_row_of_the_model_in_each_block():
    model = worlds.chain().model
    table = drawn(worlds.chain(), 7_000)
    codes = {name: binning.encode(table.column(name)) % (binning.size + 1) for name, binning in model.binnings.items()}
    for name, parent in model.forest.order:
        if parent is None:
            expected = model.forest.oneway[name] / model.forest.oneway[name].sum() * len(table)
            assert np.abs(np.bincount(codes[name], minlength=len(expected)) - expected).max() < 1 + 1e-6
            continue
        for code, counts in enumerate(model.forest.given[name]):
            own = codes[name][codes[parent] == code]
            expected = counts / max(counts.sum(), 1e-300) * len(own)
            if counts.sum() > 0:
                assert np.abs(np.bincount(own, minlength=len(counts)) - expected).max() < 1 + 1e-6


def test_values_of_every_kind_are_those_of_rows_drawn_at_once():
    model = worlds.mixed().model
    once, stream = model.sample(30_000, np.random.default_rng(3)), drawn(worlds.mixed(), 30_000)
    assert stream.schema.equals(once.schema)
    for name, domain in model.domains.items():
        left, right = domain.encode(once.column(name)), domain.encode(stream.column(name))
        assert (left < 0).any() == (right < 0).any()
        cuts = np.unique(np.quantile(left, np.linspace(0, 1, 41)))
        counts = [
            np.bincount(np.searchsorted(cuts, side, side="right"), minlength=len(cuts) + 1) for side in (left, right)
        ]
        both = np.stack(counts)[:, np.sum(counts, axis=0) > 0]
        assert stats.chi2_contingency(both).pvalue > ALPHA, name


@pytest.mark.parametrize("name", ["gain", "seen"])
def test_values_inside_an_interval_are_spread_evenly(name):
    table, model = drawn(worlds.mixed(), 40_000), worlds.mixed().model
    cells, codes = model.binnings[name].oneway.cells, model.domains[name].encode(table.column(name))
    codes = codes[(codes >= 0) & ~np.isin(codes, cells.spikes)]
    at = np.searchsorted(cells.edges, codes, side="right") - 1
    low, width = cells.edges[at], np.diff(cells.edges)[at]
    wide = width >= 20
    assert wide.sum() > 2_000
    places = np.random.default_rng(0).random(int(wide.sum()))  # of a code inside its tick
    part = np.floor(10 * ((codes - low)[wide] + places) / width[wide]).astype(int)
    assert stats.chisquare(np.bincount(part, minlength=10)).pvalue > ALPHA


def test_partitions_are_streams_of_their_own():
    stream = RowStream.of(worlds.mixed().model, 6_000, partitions=3, seed=SEED)
    parts = [pa.concat_tables(stream.batches(part)) for part in range(3)]
    whole = [set(zip(*part.to_pydict().values(), strict=True)) for part in parts]
    assert all(len(rows) == 2_000 for rows in whole)  # a second of a year and seven columns more: no row twice
    assert not whole[0] & whole[1] and not whole[0] & whole[2] and not whole[1] & whole[2]
    # nor are rows of equal place alike beyond chance
    left, right = (np.asarray(part.column("colour").to_pylist(), dtype=str) for part in parts[:2])
    shares = np.unique(left, return_counts=True)[1] / 2_000
    alike, chance = int((left == right).sum()), float((shares**2).sum())
    assert stats.binomtest(alike, 2_000, chance).pvalue > ALPHA
    again = RowStream.of(worlds.mixed().model, 6_000, partitions=3, seed=SEED)
    assert pa.concat_tables(again.batches(2)).equals(parts[2])
    other = RowStream.of(worlds.mixed().model, 6_000, partitions=3)
    assert not pa.concat_tables(other.batches(2)).equals(parts[2])


@pytest.mark.parametrize(("rows", "partitions"), [(1, 1), (10, 10), (10, 3), (2_000_001, None)])
def test_partitions_add_up_and_none_is_empty(rows, partitions):
    stream = RowStream.of(worlds.chain().model, rows, partitions=partitions)
    sizes = [stream.rows_of(part) for part in range(stream.partitions)]
    assert sum(sizes) == rows and min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    assert len(sizes) == (partitions or 3)


@pytest.mark.parametrize(
    "asked", [{"rows": 0}, {"rows": 3, "partitions": 4}, {"rows": 3, "partitions": 0}, {"rows": 3, "seed": "f"}]
)
def test_impossible_streams_are_refused(asked):
    with pytest.raises(ParameterError):
        RowStream.of(worlds.chain().model, **asked)
    with pytest.raises(ParameterError, match="no partition 4"):
        RowStream.of(worlds.chain().model, 10, partitions=4).rows_of(4)


def test_conditions_and_constraints_hold_in_every_partition():
    late = drawn(worlds.constrained(), 3_000, 2, 700, given={"began": Between(20, None)})
    free = drawn(worlds.constrained(), 3_000, 2, 700)
    assert len(late) == len(free) == 3_000
    assert pc.min(late.column("began")).as_py() >= 20 > pc.min(free.column("began")).as_py()
    schema = worlds.constrained().model.enforced.schema()
    assert not any(broken(schema, late)) and not any(broken(schema, free))


def test_record_tables_stream_their_own_blocks():
    saved = fitted("gibbs", *_small())
    table = drawn(saved, 3_000, 2)
    assert len(table) == 3_000 and table.schema.equals(saved.model.sample(5, np.random.default_rng(0)).schema)
    assert table.slice(0, 1_500) != table.slice(1_500)


def _small():
    from tests.tabular.saved.fits import SMALL, small_table

    return small_table(), SMALL


def test_people_of_different_partitions_are_different_people():
    from dpsynth.core.noise import unsafe_SeededNoise
    from dpsynth.core.progress import silent
    from dpsynth.schema.derive import derive
    from dpsynth.tabular import SavedModel, generator

    made, table, noise = generator("autoregressive"), panel(300), unsafe_SeededNoise(1)
    plan = made.plan(PANEL, FOUR, epsilon="3", delta="1e-6")
    domains, spent = derive(table, PANEL, plan.settings.derive, noise=noise)
    model = made.fit(table, PANEL, domains, plan, noise=noise, progress=silent, spent=spent)
    saved = SavedModel(model=model, guarantee=plan.guarantee, schema_digest=PANEL.digest())
    stream = RowStream.of(saved.model, 400, partitions=2, seed=SEED)
    first, second = (pa.concat_tables(stream.batches(part)) for part in range(2))
    people = [set(part.column("who").to_pylist()) for part in (first, second)]
    assert len(first) == len(second) == 200 and not people[0] & people[1]
    assert first.column("who")[0].as_py() == "synthetic-0-1" and second.column("who")[0].as_py() == "synthetic-1-1"
    assert pc.max(first.column("day")).as_py() <= 4


def test_memory_is_that_of_a_block_however_many_rows():
    def streamed(blocks: int) -> RowStream:
        made = RowStream.of(worlds.mixed().model, blocks * 8_192, partitions=1)
        return replace(made, block=8_192)

    list(streamed(1).batches(0))  # compiled, imported

    def peak(blocks: int) -> int:
        tracemalloc.start()
        for block in streamed(blocks).batches(0):
            del block
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(4), peak(40)
    assert many < 1.1 * few < 20 * 2**20
    tracemalloc.start()
    held = list(streamed(40).batches(0))  # power: holding the blocks shows
    assert tracemalloc.get_traced_memory()[1] > 3 * few and held
    tracemalloc.stop()
