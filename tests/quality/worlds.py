"""Tables to sabotage: draws from known populations, with cells that are missing together, and real ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.quality.report import QualityReport
from dpsynth.quality.sabotage import is_number

Split = dict[str, pd.DataFrame]


def with_holes(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Three columns missing together in a tenth of the rows, and one of them alone in another twentieth."""
    chance = rng.random(len(frame))
    out = frame.copy()
    for name in list(frame.columns)[:3]:
        column = out[name].astype(float) if is_number(out[name]) else out[name].astype(object)
        out[name] = column.mask(chance < 0.1)
    out[frame.columns[0]] = out[frame.columns[0]].mask(chance > 0.95)
    return out


def simulated(name: str, rows: int, seed: int, columns: int = 8, population: int | None = None) -> tuple[Split, str]:
    """Training rows, fresh ones and a holdout, each of so many, of the seed's own population or another; target."""
    from dpsynth.simulation import world

    people = world(name, columns=columns, seed=seed if population is None else population)
    drawn = people.draw(3 * rows, seed=seed).table.to_pandas()
    return _split(with_holes(drawn, np.random.default_rng(seed)), rows), "target"


def fair(rows: int, seed: int) -> tuple[Split, str]:
    """The Redbook survey (Fair 1978), numbers with few values read as categories."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.datasets import fair as source

        table = source.load_pandas().data
    table["affair"] = (table.pop("affairs") > 0).map({True: "yes", False: "no"})
    for name in ("religious", "occupation", "occupation_husb", "educ"):
        table[name] = table[name].map("{:g}".format)
    return _shuffled(table, rows, seed), "affair"


def randhie(rows: int, seed: int, half: int = 1) -> tuple[Split, str]:
    """Visits to doctors in the RAND health insurance experiment, of half its rows: choices were made on half 0."""
    from statsmodels.datasets import randhie as source

    table = source.load_pandas().data
    table["fair_or_poor"] = ((table.pop("hlthf") + table.pop("hlthp")) > 0).map({True: "yes", False: "no"})
    table["visits"] = table.pop("mdvis").clip(upper=4).map("{:g}".format)
    mixed = table.sample(frac=1, random_state=8)
    return _shuffled(mixed.iloc[half::2], rows, seed), "fair_or_poor"


def anes96(rows: int, seed: int) -> tuple[Split, str]:
    """American National Election Study of 1996, 944 rows: at most 314 a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.datasets import anes96 as source

        table = source.load_pandas().data
    table["vote"] = (table["vote"] > 0).map({True: "Dole", False: "Clinton"})
    for name in ("PID", "educ"):
        table[name] = table[name].map("{:g}".format)
    return _shuffled(table, rows, seed), "vote"


def adult(rows: int, seed: int) -> tuple[Split, str]:
    """Adult of the shared data, with its question marks as missing; skips where there is none."""
    shared = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
    path = shared / "data/tabular/adult/adult.csv.gz"
    if not path.exists():
        pytest.skip(f"shared data not found: set DPSYNTH_SHARED to the folder that holds {path.name}")
    table = pd.read_csv(path, keep_default_na=False, na_values=["?", " ?"])
    return _shuffled(table, rows, seed, holes=False), "income"


def _shuffled(table: pd.DataFrame, rows: int, seed: int, holes: bool = True) -> Split:
    mixed = table.sample(3 * rows, random_state=seed).reset_index(drop=True)
    return _split(with_holes(mixed, np.random.default_rng(seed)) if holes else mixed, rows)


def _split(frame: pd.DataFrame, rows: int) -> Split:
    names = ("real", "fresh", "holdout")
    return {name: frame[at * rows : (at + 1) * rows].reset_index(drop=True) for at, name in enumerate(names)}


def judged(
    split: Split, synthetic: pd.DataFrame, target: str, *, predict: bool = True, **options: object
) -> QualityReport:
    """The report on a table, every column of categories declared as groups; `predict`: with models of the target."""
    from dpsynth.quality import evaluate

    groups = [name for name in split["real"] if name != target and not is_number(split["real"][name])]
    return evaluate(
        split["real"], synthetic, split["holdout"], groups=groups, target=target if predict else None, **options
    )


SOURCES: dict[str, Callable[[int, int], tuple[Split, str]]] = {
    "network": lambda rows, seed: simulated("network", rows, seed),
    "mixture": lambda rows, seed: simulated("mixture", rows, seed),
    "fair": fair,
    "randhie": randhie,
    "anes96": anes96,
    "adult": adult,
}
