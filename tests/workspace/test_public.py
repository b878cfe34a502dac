"""Public rows are written as they are drawn: the file holds the sample, and no sample stands in memory whole."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.workspace.runs import public
from dpsynth.workspace.runs.public import PublicSample, synthesize_public, write_rows

SCHEMA = Schema.from_dict(
    {"columns": {"a": {"kind": "categorical", "values": ["x", "y"]}, "b": {"kind": "integer", "min": 0, "max": 9}}}
)


@pytest.fixture(scope="module", params=["gibbs", "mst"])
def made(request: pytest.FixtureRequest) -> PublicSample:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 500)
    table = Table.from_arrow(pa.table({"a": np.where(a > 0, "x", "y"), "b": 5 * a + rng.integers(0, 5, 500)}))
    return synthesize_public(table, request.param, epsilon=1, delta="1e-6", schema=SCHEMA, rows=90_000)


def test_the_file_holds_the_sample_and_a_second_look_is_the_same(made: PublicSample, tmp_path) -> None:
    made.write(tmp_path / "rows.parquet")
    made.write(tmp_path / "rows.csv")
    rows = made.rows
    assert rows.num_rows == made.number == 90_000
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").equals(rows)
    gaps = pyarrow.csv.ConvertOptions(strings_can_be_null=True)  # noise may leave a cell or two missing
    assert pyarrow.csv.read_csv(tmp_path / "rows.csv", convert_options=gaps).equals(rows.combine_chunks())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.parquet"]


def test_blocks_are_bounded_however_many_rows_are_asked_for(made: PublicSample) -> None:
    model = made.saved.model
    sizes = [block.num_rows for block in model.batches(90_000, np.random.default_rng(0))]
    assert sizes[0] == 0 and sum(sizes) == 90_000
    assert model.generator == "mst" or max(sizes) <= 40_000
    with pytest.raises(ParameterError, match="rows=-1"):
        next(model.batches(-1, np.random.default_rng(0)))


def test_few_blocks_are_held_at_a_time(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "GROUP", 10)
    drawn: list[int] = []

    def blocks():
        for start in range(0, 60, 6):
            drawn.append(start)
            yield pa.table({"n": np.arange(start, start + 6)})

    write_rows(blocks(), tmp_path / "n.parquet")
    found = pyarrow.parquet.ParquetFile(tmp_path / "n.parquet")
    assert found.read().column("n").to_pylist() == list(range(60)) and len(drawn) == 10
    assert [found.metadata.row_group(i).num_rows for i in range(found.num_row_groups)] == [12] * 5


def test_a_draw_that_fails_leaves_no_file(tmp_path) -> None:
    def blocks():
        yield pa.table({"n": [1]})
        raise ParameterError("no more")

    with pytest.raises(ParameterError, match="no more"):
        write_rows(blocks(), tmp_path / "n.csv")
    assert not list(tmp_path.iterdir())


def test_more_rows_of_a_public_model_are_others_and_meet_what_was_asked(made: PublicSample) -> None:
    few = made.more(200, given={"a": "x"})
    assert few.number == 200 and set(few.to_pandas()["a"]) == {"x"}
    assert few.guarantee is made.guarantee
    assert not few.rows.equals(made.more(200, given={"a": "x"}).rows)
    with pytest.raises(ParameterError, match="number=0"):
        made.more(0)


def test_a_data_frame_is_public_data_too_and_the_noise_of_its_counts_is_told() -> None:
    rng = np.random.default_rng(0)
    frame = pa.table({"a": rng.choice(["x", "y"], 500), "b": rng.integers(0, 10, 500)}).to_pandas()
    fine, coarse = (synthesize_public(frame, "mst", epsilon=e, delta="1e-6", schema=SCHEMA) for e in (10, 1))
    assert fine.sigma is not None and coarse.sigma is not None
    assert 5 < coarse.sigma / fine.sigma < 12
    assert coarse.resolution == pytest.approx(2.4865 * coarse.sigma, rel=1e-3)
    alone = synthesize_public(frame, "independent", epsilon=1, delta="1e-6", schema=SCHEMA)
    assert alone.sigma is None and alone.resolution is None
