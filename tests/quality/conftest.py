"""Real data that ships with statsmodels, split once."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def fair() -> dict[str, pd.DataFrame]:
    """The Redbook survey (Fair 1978): two disjoint halves to train and generate on, and a holdout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.datasets import fair as source

        table = source.load_pandas().data
    table["affair"] = (table.pop("affairs") > 0).map({True: "yes", False: "no"})
    rows = table.sample(frac=1, random_state=7).reset_index(drop=True)
    return {
        "real": rows[:2100].reset_index(drop=True),
        "holdout": rows[2100:4200].reset_index(drop=True),
        "fresh": rows[4200:6300].reset_index(drop=True),
    }


@pytest.fixture(scope="session")
def few(fair: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The first 400 rows of each, for what does not depend on how many there are."""
    return {name: table.head(400) for name, table in fair.items()}
