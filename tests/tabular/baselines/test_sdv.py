"""SDV's synthesizers through our interface: its own rows for a seed, canonical types, nothing left behind."""

from __future__ import annotations

import importlib
import logging
import socket
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dpsynth.tabular as tabular
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.table import Table
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.tabular.baselines.interchange import metadata, to_arrow, to_frame
from dpsynth.tabular.baselines.sdv import SDV, SYNTHESIZERS

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = Schema(
    columns={
        "age": ColumnSpec(kind="integer"),
        "children": ColumnSpec(kind="integer"),
        "pay": ColumnSpec(kind="float"),
        "town": ColumnSpec(kind="categorical"),
        "code": ColumnSpec(kind="categorical", values=(1, 2, 7)),
        "died": ColumnSpec(kind="boolean"),
        "moved": ColumnSpec(kind="boolean"),
        "born": ColumnSpec(kind="date"),
        "seen": ColumnSpec(kind="datetime"),
    }
)


def table(rows: int = 240) -> Table:
    rng = np.random.default_rng(5)

    def gaps(values, share=0.1):
        return [None if rng.random() < share else value for value in values]

    days = rng.integers(0, 9000, rows)
    return Table.from_arrow(
        pa.table(
            {
                "age": pa.array(rng.integers(17, 90, rows), pa.int64()),
                "children": pa.array(gaps(rng.integers(0, 6, rows).tolist()), pa.int64()),
                "pay": pa.array(gaps(rng.lognormal(size=rows).round(2).tolist()), pa.float64()),
                "town": pa.array(gaps(rng.choice(["a", "b", "c"], rows).tolist()), pa.string()),
                "code": pa.array(rng.choice([1, 2, 7], rows), pa.int64()),
                "died": pa.array((rng.random(rows) < 0.3).tolist(), pa.bool_()),
                "moved": pa.array(gaps((rng.random(rows) < 0.3).tolist()), pa.bool_()),
                "born": pa.array([date.fromordinal(700_000 + int(day)) for day in days], pa.date32()),
                "seen": pa.array(gaps([datetime(2020, 1, 1 + int(day) % 28, 12) for day in days]), pa.timestamp("us")),
            }
        )
    )


def through_us(name: str, seed: int, rows: int, **options: int) -> pa.Table:
    return SDV(name=name, **options).fit(table(), SCHEMA, seed=seed).sample(rows, seed=seed)


def by_sdv_itself(name: str, seed: int, rows: int, **options: object) -> pd.DataFrame:
    """A script that knows nothing of ours but the columns."""
    import torch
    from sdv.metadata import Metadata

    frame = to_frame(table(), SCHEMA)
    synthesizer = getattr(importlib.import_module("sdv.single_table"), SYNTHESIZERS[name])(
        Metadata.load_from_dict(metadata(SCHEMA)), **options
    )
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    synthesizer.fit({"table": frame})
    synthesizer._set_random_state(seed)
    return synthesizer.sample(rows)["table"]


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("sdv-gaussian-copula", {}, {}),
        ("sdv-ctgan", {"epochs": 1}, {"epochs": 1, "enable_gpu": False}),
        ("sdv-tvae", {"epochs": 1}, {"epochs": 1, "enable_gpu": False}),
    ],
)
def test_rows_are_the_bytes_that_sdv_gives_for_the_seed(name, ours, theirs):
    mine = through_us(name, 7, 60, **ours)
    frame = by_sdv_itself(name, 7, 60, **theirs)
    assert mine.equals(to_arrow(frame, table(), SCHEMA))
    for column in ("age", "pay", "town", "died"):  # and against SDV's frame, without the way back
        theirs_plain = [None if pd.isna(cell) else cell for cell in frame[column].tolist()]
        assert mine.column(column).to_pylist() == theirs_plain
    assert mine.schema.types == list(table().to_arrow().schema.types)


def test_another_seed_gives_other_rows_and_the_same_seed_the_same_again():
    model = SDV(name="sdv-gaussian-copula").fit(table(), SCHEMA, seed=1)
    first = model.sample(40, seed=1)
    assert model.sample(40, seed=1).equals(first)
    assert not model.sample(40, seed=2).equals(first)


def test_the_global_random_states_are_put_back():
    import torch

    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    expected = np.random.random(), float(torch.rand(1))  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    through_us("sdv-gaussian-copula", 9, 5)
    assert (np.random.random(), float(torch.rand(1))) == expected  # noqa: NPY002


def test_canonical_cells_survive_the_way_there_and_back():
    assert to_arrow(to_frame(table(), SCHEMA), table(), SCHEMA).equals(table().to_arrow())


def test_metadata_holds_no_value_of_the_table():
    """SDV's own detection writes minima, maxima and categories; ours follows from the schema alone."""
    fields = {key for column in metadata(SCHEMA)["tables"]["table"]["columns"].values() for key in column}
    assert fields == {"sdtype"}
    model = SDV(name="sdv-gaussian-copula").fit(table(), SCHEMA, seed=1)
    kept = model.synthesizer.metadata.to_dict()["tables"]["table"]["columns"]
    assert {key for column in kept.values() for key in column} == {"sdtype"}


def test_a_date_beyond_nanoseconds_is_refused_without_its_value():
    far = Table.from_arrow(pa.table({"born": pa.array([date(9999, 12, 31)], pa.date32())}))
    with pytest.raises(DataError, match="after 2261") as refused:
        to_frame(far, Schema(columns={"born": ColumnSpec(kind="date")}))
    assert "9999" not in str(refused.value)


def test_what_sdv_cannot_fit_is_refused_without_a_cell():
    words = Table.from_arrow(pa.table({"pay": ["secret-4711"] * 30, "age": list(range(30))}))
    of = Schema(columns={"pay": ColumnSpec(kind="float"), "age": ColumnSpec(kind="integer")})
    with pytest.raises(DataError, match="cannot be fitted") as refused:
        SDV(name="sdv-gaussian-copula").fit(words, of, seed=1)
    assert "4711" not in str(refused.value) and refused.value.__cause__ is None


def test_no_row_count_reaches_a_log_and_nothing_is_printed(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    through_us("sdv-gaussian-copula", 1, 5)
    assert "240" not in caplog.text and capsys.readouterr().out == ""
    assert not logging.getLogger("SingleTableSynthesizer").disabled


def test_a_fit_opens_no_connection(monkeypatch):
    def dial(*args, **kwargs):
        raise OSError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", dial)
    monkeypatch.setattr(socket, "getaddrinfo", dial)
    with pytest.raises(OSError, match="asked for"):
        socket.create_connection(("localhost", 9))
    assert through_us("sdv-gaussian-copula", 1, 5).num_rows == 5


@pytest.mark.slow
def test_importing_sdv_leaves_no_file_behind(tmp_path):
    """A fresh process whose home is empty: SDV by itself writes its configuration there, through us nothing is."""
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}

    def left_by(code: str) -> list[str]:
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
        return [path.name for path in tmp_path.rglob("*") if path.is_file() and "sdv" in str(path)]

    assert left_by("from dpsynth.tabular.baselines.sdv import _library; _library()") == []
    assert left_by("import sdv.single_table")  # the probe can see it


def test_a_missing_extra_is_named_with_its_remedy_and_licence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"not installed.*dpsynth-release\[baselines\].*Business Source"):
        SDV(name="sdv-tvae").fit(table(), SCHEMA, seed=1)


def test_baselines_are_named_and_are_no_generators():
    assert not set(tabular.BASELINES) & set(tabular.GENERATORS)
    assert set(tabular.BASELINES) == set(SYNTHESIZERS)
    assert all(tabular.baseline(name).name == name for name in tabular.BASELINES)
    assert not hasattr(tabular.baseline("sdv-tvae"), "plan")
    with pytest.raises(ParameterError, match="protects nobody"):
        tabular.generator("sdv-ctgan")
    with pytest.raises(ParameterError, match="Unknown baseline 'gan'"):
        tabular.baseline("gan")


@pytest.mark.parametrize("options", [{"name": "sdv"}, {"name": "sdv-ctgan", "epochs": 0},
                                     {"name": "sdv-gaussian-copula", "epochs": 3}])  # fmt: skip
def test_settings_that_sdv_would_not_take_are_refused(options):
    with pytest.raises(ParameterError):
        SDV(**options)
