"""The demo's tables in memory are those on disk, with the schema that their files have."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dpsynth import demo
from dpsynth.schema.model import Schema


@pytest.mark.parametrize("name", sorted(demo.DATASETS))
def test_rows_and_schema_in_memory_are_those_of_the_files(name: str, tmp_path: Path) -> None:
    frame, schema = demo.load(name)
    table, written = demo.write(name, tmp_path)
    assert frame.equals(pd.read_csv(table))
    assert schema.digest() == Schema.from_yaml(written).digest()
    assert list(schema.columns) == list(frame.columns)
