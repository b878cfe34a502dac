"""Rows block by block: nothing lost between blocks, nothing decided by threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dpsynth.tabular.records.finishing as finishing
import dpsynth.tabular.records.lanes as lanes_module
from dpsynth.tabular.records.finishing import block_sizes, finished_blocks
from dpsynth.tabular.records.lanes import in_lanes
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Layout

SIZES = (3, 5, 4)
SHARES = [np.array([0.7, 0.2, 0.1]), np.full(5, 0.2), np.array([0.97, 0.01, 0.01, 0.01])]


def fitted(records: int = 2000) -> RecordTable:
    return RecordTable(SIZES, SHARES, records, np.random.default_rng(0))


def finished(rows: int, *, seed: int = 1, expected: PairTables | None = None, **options) -> np.ndarray:
    tables = expected or PairTables.product(SIZES, SHARES, 1000.0)
    blocks = finished_blocks(fitted(), tables, 1000.0, rows, np.random.default_rng(seed), **options)
    return np.concatenate(list(blocks))


def counted(records: np.ndarray) -> PairTables:
    tables = PairTables((*SIZES, 1))
    tables.add(np.column_stack([records, np.zeros(len(records), np.int16)]))
    return tables


@pytest.mark.parametrize("rows", [0, 1, 7, 100, 1001])
def test_blocks_hold_as_many_rows_as_asked_for(monkeypatch, rows):
    monkeypatch.setattr(finishing, "BLOCK", 100)
    assert finished(rows).shape == (rows, 3)
    sizes = block_sizes(rows)
    assert sum(sizes) == rows and max(sizes) <= 100 and max(sizes) - min(sizes) <= 1


def test_a_cell_worth_less_than_half_a_row_a_block_is_not_lost(monkeypatch):
    """100 blocks of 20 rows. Blocks that owed nothing would be 12 rows off, and lose 20 % of the small cells."""
    monkeypatch.setattr(finishing, "BLOCK", 20)
    expected = PairTables.product(SIZES, SHARES, 2000.0)
    made = counted(finished(2000))
    small = expected.flat < 20
    assert small.sum() > 20
    assert made.flat[small].sum() == pytest.approx(expected.flat[small].sum(), rel=0.1)
    assert np.abs(made.flat - expected.flat).max() <= 2 * 2


def test_the_result_does_not_depend_on_the_number_of_cores(monkeypatch):
    monkeypatch.setattr(finishing, "BLOCK", 300)
    results = []
    for cores in (1, 2, 8):
        monkeypatch.setattr(lanes_module, "usable_cores", lambda cores=cores: cores)
        results.append(finished(2000))
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], finished(2000, seed=2))


def test_forbidden_cells_stay_empty_in_every_block(monkeypatch):
    monkeypatch.setattr(finishing, "BLOCK", 300)
    forbidden = np.zeros((3, 5), dtype=bool)
    forbidden[0, 1:] = True
    made = counted(finished(2000, penalties={(0, 1): forbidden}))
    assert made[0, 1][forbidden].sum() == 0
    assert made[0, 1].sum() == 2000


def test_progress_counts_blocks(monkeypatch):
    monkeypatch.setattr(finishing, "BLOCK", 400)
    heard = []
    finished(1000, progress=lambda name, done, total, detail="": heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("steps", "lanes"), [(0, 2), (1, 4), (9, 2), (9, 4), (3, 5)])
def test_lanes_keep_the_order_of_the_steps_and_never_overtake_themselves(steps, lanes):
    busy = [0] * lanes
    seen = []

    def work(lane: int, step: int) -> int:
        busy[lane] += 1
        assert busy[lane] == 1
        seen.append((lane, step))
        busy[lane] -= 1
        return step

    assert list(in_lanes(work, steps=steps, lanes=lanes)) == list(range(steps))
    assert {step % lanes for _, step in seen} == {lane for lane, _ in seen}


def test_pair_tables_are_those_that_are_counted_pair_by_pair():
    records = fitted(500).records
    tables = PairTables((*SIZES, 1))
    tables.add(records)
    counts = Layout((*SIZES, 1), [(pair, ()) for pair in tables]).count(records)
    expected = dict(zip(tables, counts, strict=True))
    assert list(tables) == list(itertools.combinations(range(4), 2)) and len(tables) == 6
    assert all(np.array_equal(tables[pair], expected[pair]) for pair in tables)
    assert tables.scaled(0.5).flat.sum() == pytest.approx(0.5 * 6 * 500)
    for absent in ((1, 0), (0, 4), (2, 2), (-1, 1)):
        with pytest.raises(KeyError):
            tables[absent]
