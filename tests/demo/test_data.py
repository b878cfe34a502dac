"""The demo's tables in memory are those on disk, with the schema that their files have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from accounting.relation import PrivacyUnit
from dpsynth import demo
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.pipeline import fit_model
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from dpsynth.workspace.registry.datasets import as_table


@pytest.mark.parametrize("name", sorted(demo.DATASETS))
def test_rows_and_schema_in_memory_are_those_of_the_files(name: str, tmp_path: Path) -> None:
    frame, schema = demo.load(name)
    table, written = demo.write(name, tmp_path)
    assert frame.equals(pd.read_csv(table))
    assert schema.digest() == Schema.from_yaml(written).digest()
    assert list(schema.columns) == list(frame.columns)


@pytest.mark.parametrize("name", sorted(demo.DATASETS))
def test_a_published_table_without_gaps_is_declared_so(name: str) -> None:
    frame, schema = demo.load(name)
    assert not frame.isna().any(axis=None)
    assert [column for column, spec in schema.columns.items() if spec.nullable] == []


def test_noise_makes_no_gaps_in_the_demo_and_these_words_would_have() -> None:
    """Two sigma of noise are a gap, so in one of six releases of nine columns."""
    frame, schema = demo.load("fair")
    found = prepare(as_table(frame), schema)
    silent = found.schema.with_columns(**{column: {"nullable": True} for column in schema.columns})
    assert [gaps(found.table, found.schema, word) for word in range(3)] == [0, 0, 0]
    assert [gaps(found.table, silent, word) > 0 for word in range(3)] == [True, True, False]


def gaps(table: Any, schema: Schema, word: int) -> int:
    made_by = generator("mst")
    plan = made_by.plan(schema, PrivacyUnit(), epsilon=3, delta="1e-6")
    noise = ReplayedNoise(bytes([word]) * 32)
    out = fit_model(table, schema, made_by, plan, noise=noise).model.sample(2000, np.random.default_rng(0))
    return sum(column.null_count for column in out.columns)
