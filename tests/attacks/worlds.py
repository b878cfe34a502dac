"""Small real and simulated populations, and releases whose leaks are known, for the tests of the attacks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def people(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Mixed columns with dependence: two numbers, an integer, two categories, some missing."""
    age = rng.integers(18, 90, rows)
    income = np.exp(rng.normal(9.5 + age / 100, 0.5)).round(2)
    city = rng.choice(["Aach", "Bern", "Cork", "Dole"], rows, p=[0.5, 0.3, 0.15, 0.05])
    job = np.where(age > 66, "retired", rng.choice(["clerk", "nurse", "smith"], rows))
    hours = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(38, 8, rows).round(1))
    return pd.DataFrame({"age": age, "income": income, "city": city, "job": job, "hours": hours})


def split(table: pd.DataFrame, rng: np.random.Generator, shares: tuple[float, ...]) -> list[pd.DataFrame]:
    """Random disjoint parts."""
    cuts = np.cumsum([round(s * len(table)) for s in shares])[:-1]
    return [table.iloc[part].reset_index(drop=True) for part in np.split(rng.permutation(len(table)), cuts)]


def independent(members: pd.DataFrame, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Columns resampled each by itself: no row of it is anybody's."""
    return pd.DataFrame({c: rng.choice(members[c].to_numpy(), rows) for c in members})


def leaking(members: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """An independent release in which that share of the rows are copies of members."""
    count = round(share * len(members))
    clean = independent(members, len(members) - count, rng)
    return pd.concat([members.iloc[rng.permutation(len(members))[:count]], clean], ignore_index=True)


def statsmodels_table(name: str) -> pd.DataFrame:
    """`fair` or `randhie`, which ship inside statsmodels."""
    datasets = pytest.importorskip("statsmodels.datasets", reason="needs statsmodels (extra `demo`)")
    return getattr(datasets, name).load_pandas().data


def adult() -> pd.DataFrame:
    """Adult from the shared folder, or a skip that says where it was looked for."""
    root = Path(os.environ.get("DPSYNTH_SHARED", REPOSITORY.parent / "shared"))
    path = root / "data" / "tabular" / "adult" / "adult.csv.gz"
    if not path.is_file():
        pytest.skip(f"needs Adult at {path} (set DPSYNTH_SHARED)")
    return pd.read_csv(path, na_values="?")
