"""Parts: drawn in any order, again, or after a crash, they have the same bytes; what is not theirs is left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError
from dpsynth.tabular.conditions.given import Between
from dpsynth.tabular.streams.parts import PLAN, part_path, write_part, write_parts
from dpsynth.tabular.streams.row_stream import RowStream
from tests.tabular.streams import worlds

SEED = "5a" * 32


def stream(rows: int = 4_001, partitions: int = 4, **options) -> RowStream:
    made = RowStream.of(worlds.mixed().model, rows, partitions=partitions, seed=SEED, **options)
    return replace(made, block=400)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_parts_hold_the_rows_of_the_stream_as_plain_types_without_metadata(tmp_path):
    written = write_parts(worlds.mixed(), stream(), tmp_path / "out")
    assert (written.rows, written.drawn, written.kept) == (4_001, (0, 1, 2, 3), 0)
    assert written.size == sum(len(raw) for name, raw in contents(tmp_path / "out").items() if name != PLAN)
    for part in range(4):
        found = pq.read_table(part_path(tmp_path / "out", part))
        assert found.equals(pa.concat_tables(stream().batches(part)))
        assert found.schema.metadata is None and not pq.read_metadata(part_path(tmp_path / "out", part)).metadata
    assert len(pq.read_table(tmp_path / "out")) == 4_001  # readers of folders skip the plan
    plan = json.loads((tmp_path / "out" / PLAN).read_text("utf-8"))
    assert plan["seed"] == SEED and plan["guarantee_if_private"] == worlds.mixed().guarantee.to_json()


def test_a_part_drawn_alone_or_in_another_order_has_the_same_bytes(tmp_path):
    write_parts(worlds.mixed(), stream(), tmp_path / "out")
    before = contents(tmp_path / "out")
    part_path(tmp_path / "out", 1).unlink()
    again = write_parts(worlds.mixed(), stream(), tmp_path / "out")
    assert (again.drawn, again.kept) == ((1,), 3) and contents(tmp_path / "out") == before
    (tmp_path / "other").mkdir()
    for part in (3, 0, 2, 1):
        write_part(stream(), tmp_path / "other", part)
    assert contents(tmp_path / "other") == {name: raw for name, raw in before.items() if name != PLAN}


@pytest.mark.slow
def test_workers_change_no_byte(tmp_path):
    write_parts(worlds.mixed(), stream(), tmp_path / "one")
    write_parts(worlds.mixed(), stream(), tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_broken_run_is_taken_up_with_its_own_seed(tmp_path):
    class Crash(Exception):
        pass

    def crash(name: str, done: int, total: int, detail: str = "") -> None:
        if done == 2:
            raise Crash

    with pytest.raises(Crash):
        write_parts(worlds.mixed(), stream(), tmp_path / "out", progress=crash)
    assert len(contents(tmp_path / "out")) == 3  # two parts and the plan
    half = part_path(tmp_path / "out", 1)
    half.write_bytes(half.read_bytes()[:-7])  # what a full disk or a copy broken off leaves
    part_path(tmp_path / "out", 3).write_bytes(part_path(tmp_path / "out", 0).read_bytes())  # a row too many
    unseeded = replace(RowStream.of(worlds.mixed().model, 4_001, partitions=4), block=400)
    written = write_parts(worlds.mixed(), unseeded, tmp_path / "out")
    assert (written.drawn, written.kept) == ((1, 2, 3), 1)
    write_parts(worlds.mixed(), stream(), tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_part_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    class Full(Exception):
        pass

    def short(self: RowStream, partition: int):
        yield pa.table({"a": [1]})
        raise Full

    monkeypatch.setattr(RowStream, "encoded_batches", short)
    with pytest.raises(Full):
        write_part(stream(), tmp_path, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [{"rows": 4_002}, {"partitions": 5}, {"given": {"age": Between(30, None)}}],
    ids=["rows", "partitions", "given"],
)
def test_a_folder_of_another_sample_is_refused_and_left_alone(tmp_path, other):
    write_parts(worlds.mixed(), stream(), tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match=f"another sample: {next(iter(other))} differ"):
        write_parts(worlds.mixed(), stream(**other), tmp_path / "out")
    model = replace(RowStream.of(worlds.chain().model, 4_001, partitions=4), block=400)
    with pytest.raises(DataError, match=r"another sample.*model"):
        write_parts(worlds.chain(), model, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_folder_with_other_files_a_file_a_link_and_a_hostile_plan_are_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / PLAN).write_text("[1]")
    said = {"full": "not empty", "file": "is a file", "link": "is a link", "damaged": "cannot be read"}
    for name, word in {**said, "nowhere/out": "cannot be made"}.items():
        with pytest.raises(DataError, match=word):
            write_parts(worlds.mixed(), stream(), tmp_path / name)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    write_parts(worlds.mixed(), stream(), tmp_path / "out")
    part_path(tmp_path / "out", 2).unlink()
    part_path(tmp_path / "out", 2).symlink_to(tmp_path / "file")
    with pytest.raises(DataError, match="is a link"):
        write_parts(worlds.mixed(), stream(), tmp_path / "out")
    assert (tmp_path / "file").read_text() == "mine"
