"""Public tables, split once, with their public schemas, and the form in which the shared scorer reads them.

    table = load("covid")                  # writes two folders below `benchmarks/results/tables`, then reuses them
    table.train, table.schema              # what a generator gets: CSV with dates, missing words and unit column
    table.scored                           # folder with NAME.json, NAME_train.csv.gz, NAME_test.csv.gz
    table.to_scored(frame)                 # a synthetic table in the scorer's form

The scorer knows text categories and integers. So there a date is a day number, a missing number is one step below the
public minimum, a missing category is a category of its own, categories carry the mark `v:` (so that `01` stays text),
and a target is yes or no (of COVID's date of death, whether there is one). Open sets and unknown bounds are taken from
the whole table: the scorer must know them, generators under test do not, and rivals, who need them, get them as a gift.

Splits: Adult and KDD as published; diabetes by patient; otherwise a fixed permutation, 67 % to train.

>>> BenchmarkTable.__dataclass_fields__["unit"].name
'unit'

Not guaranteed: comparability with figures in papers, whose splits and cuts differ.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table_schemas as schemas
from embedded import EMBEDDED, embedded_cells, embedded_schema

from dpsynth.schema.model import ColumnSpec, Schema

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CACHE = Path(__file__).resolve().parent / "results" / "tables"
TRAIN_SHARE = 0.67
SEED = 0
MARK = "v:"
GZIP: dict[str, Any] = {"method": "gzip", "compresslevel": 3, "mtime": 0}
MISSING = "missing"
NAMES = ("adult", "nist", "coil", "credit", "covid", "diabetes", "communities", "kdd", *EMBEDDED)
FILES = {
    "nist": "nist_acs/national2019.csv.gz",
    "coil": "coil2000_caravan/caravan.csv.gz",
    "credit": "credit_default/credit_default.csv.gz",
    "covid": "covid_mx/covid_mx_2020-05-27.parquet",
    "diabetes": "diabetes130/diabetic_data.parquet",
    "communities": "communities_crime/communities_crime.csv.gz",
    "kdd": "kdd99/kdd99_10pct_train.parquet",
}
POSITIVES: dict[str, tuple[str, ...]] = {
    "nist": ("8", "9"),
    "coil": ("Yes",),
    "credit": ("1",),
    "diabetes": ("<30",),
    "kdd": ("normal",),
    "anes96": ("1",),
    "digits": ("8",),
    "cancer": ("1",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkTable:
    """One table, ready for a run.

    Attributes:
        name: short name.
        train, test: what a generator gets, and the rows that it never sees.
        schema: public facts, from the data dictionary.
        target: column that models predict.
        positive: cells of it that count as positive; empty for a date (present) and a number (above its median).
        unit: column of the privacy unit; None for one record.
        max_per_unit: most rows of one unit.
        scored: folder of the scorer's files.
        wide: whether three-way tables are sampled for the score (`--tri 300`).
    """

    name: str
    train: Path
    test: Path
    schema: Schema
    target: str
    positive: tuple[str, ...]
    unit: str | None
    max_per_unit: int
    scored: Path
    wide: bool

    def to_scored(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table (all cells text, `""` missing) in the scorer's form; Adult's files are the scorer's already."""
        if self.name == "adult":
            return frame
        meta = json.loads((self.scored / f"{self.name}.json").read_text("utf-8"))
        return scored_frame(self.schema, frame, meta)


def load(name: str, folder: Path | None = None) -> BenchmarkTable:
    """The table of that name; the first call writes its files below `folder`.

    Args:
        name: one of `NAMES`.
        folder: where files are kept; default `benchmarks/results/tables`, which git ignores.

    Raises:
        FileNotFoundError: the shared data are not there (`DPSYNTH_SHARED`).
    """
    base = (folder or CACHE) / name
    if name == "adult":
        return _adult()
    train, test, scored, kept = base / "train.csv.gz", base / "test.csv.gz", base / "scored", base / "schema.yaml"
    if not (scored / f"{name}.json").exists() or _schema(name, _header(train)) != Schema.from_yaml(kept):
        scored.mkdir(parents=True, exist_ok=True)
        _write(name, base)
    schema = Schema.from_yaml(kept)
    return BenchmarkTable(
        name=name,
        train=train,
        test=test,
        schema=schema,
        target=schema.target or "",
        positive=POSITIVES.get(name, ()),
        unit=schema.unit,
        max_per_unit=4 if schema.unit else 1,
        scored=scored,
        wide=len(schema.modelled) > 20,
    )


def read_text(path: Path) -> pd.DataFrame:
    """A CSV with every cell as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def scored_frame(schema: Schema, frame: pd.DataFrame, meta: dict[str, Any]) -> pd.DataFrame:
    """Text cells of the schema's form -> cells of the scorer's form."""
    out = {}
    for name, spec in schema.columns.items():
        if not spec.modelled:
            continue
        known = meta["columns"][name]
        if "binary" in known:
            out[name] = _binary(spec, frame[name], known["binary"])
        elif known["type"] == "cat":
            cells = frame[name].where(~frame[name].isin(["", *spec.missing]), MISSING)
            out[name] = MARK + cells.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)
        else:
            numbers = _numbers(spec, frame[name])
            out[name] = numbers.fillna(known["min"]) if known["gaps"] else numbers
            if known["type"] == "int" and not out[name].isna().any():
                out[name] = out[name].astype(np.int64)
    return pd.DataFrame(out)


def _adult() -> BenchmarkTable:
    """Adult as the shared harness has it, which other notes and rivals' figures refer to."""
    data = SHARED / "bench" / "tabular" / "data"
    meta = json.loads((data / "adult.json").read_text("utf-8"))
    columns: dict[str, Any] = {
        name: schemas.among(*spec["values"]) if spec["type"] == "cat" else schemas.whole(spec["min"], spec["max"])
        for name, spec in meta["columns"].items()
    }
    return BenchmarkTable(
        name="adult",
        train=data / "adult_train.csv.gz",
        test=data / "adult_test.csv.gz",
        schema=Schema.from_dict(schemas.document(columns, target=meta["target"])),
        target=meta["target"],
        positive=(meta["positive"],),
        unit=None,
        max_per_unit=1,
        scored=data,
        wide=False,
    )


def _write(name: str, base: Path) -> None:
    """Split, and write both forms."""
    whole = _read(name)
    schema = _schema(name, list(whole.columns))
    if name == "kdd":
        train, test = whole, _text(pd.read_parquet(SHARED / "data/tabular/kdd99/kdd99_corrected_test.parquet"))
    else:
        chosen = _chosen(whole["patient_nbr"] if name == "diabetes" else pd.Series(range(len(whole))))
        train, test = whole[chosen], whole[~chosen]
    meta = _scorer_meta(name, schema, whole, train)
    for part, rows in (("train", train), ("test", test)):
        rows.to_csv(base / f"{part}.csv.gz", index=False, compression=GZIP)
        scored = scored_frame(schema, rows, meta)
        scored.to_csv(base / "scored" / f"{name}_{part}.csv.gz", index=False, compression=GZIP)
    (base / "schema.yaml").write_text(schema.to_yaml(), "utf-8")
    (base / "scored" / f"{name}.json").write_text(json.dumps(meta), "utf-8")


def _schema(name: str, columns: list[str]) -> Schema:
    """The public schema of a table with these columns."""
    if name in EMBEDDED:
        return Schema.from_dict(embedded_schema(name, columns))
    return Schema.from_dict(schemas.communities(columns) if name == "communities" else getattr(schemas, name)())


def _header(path: Path) -> list[str]:
    return list(pd.read_csv(path, nrows=0).columns)


def _read(name: str) -> pd.DataFrame:
    if name in EMBEDDED:
        return embedded_cells(name)
    path = SHARED / "data" / "tabular" / FILES[name]
    if path.suffix == ".parquet":
        return _text(pd.read_parquet(path))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="latin-1")
    if name == "credit":  # the published copy spells 100000 as 1e+05
        frame = frame.astype(float).astype(int).astype(str)
    return frame


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _chosen(units: pd.Series) -> pd.Series:
    """67 % of the units, by a fixed permutation."""
    names = np.array(sorted(units.unique()))
    kept = np.random.default_rng(SEED).permutation(len(names))[: int(TRAIN_SHARE * len(names))]
    return units.isin(names[kept]).set_axis(units.index)


def _scorer_meta(name: str, schema: Schema, whole: pd.DataFrame, train: pd.DataFrame) -> dict[str, Any]:
    """The scorer's schema, with `gaps` (missing numbers are shifted below the minimum) and `binary` (of the target)."""
    columns: dict[str, Any] = {}
    for column in schema.modelled:
        spec, cells = schema.columns[column], train[column]
        gaps = bool(cells.isin(["", *spec.missing]).any())
        if column == schema.target and spec.kind != "date":
            median = None if name in POSITIVES else float(_numbers(spec, cells).median())
            rule = {"values": POSITIVES.get(name), "above": median}
            columns[column] = {"type": "cat", "values": [f"{MARK}no", f"{MARK}yes"], "binary": rule}
        elif spec.kind == "categorical":
            values = spec.values or sorted(set(whole[column]) - {"", *spec.missing})
            labels = [f"{MARK}{value}" for value in values] + [f"{MARK}{MISSING}"] * gaps
            columns[column] = {"type": "cat", "values": labels}
        else:
            step = 10.0 ** -(spec.precision or 0) if spec.kind == "float" else 1
            known = [str(spec.min), str(spec.max)] if spec.min is not None else whole[column]
            low, high = float(_numbers(spec, pd.Series(known)).min()), float(_numbers(spec, pd.Series(known)).max())
            kind = {"type": "float"} if spec.kind == "float" else {"type": "int"}
            low -= step * gaps
            whole_numbers = kind["type"] == "int"
            columns[column] = kind | {
                "min": int(low) if whole_numbers else low,
                "max": int(high) if whole_numbers else high,
                "gaps": gaps,
            }
    target = columns[schema.target]
    positive = f"{MARK}yes" if "binary" in target else str(target["min"])  # no date: the patient lives
    return {"columns": columns, "target": schema.target, "positive": positive}


def _numbers(spec: ColumnSpec, cells: pd.Series) -> pd.Series:
    """Cells as numbers, dates as days since 1970; NaN where missing."""
    present = cells.where(~cells.isin(["", *spec.missing]))
    if spec.kind == "date":
        return (pd.to_datetime(present) - pd.Timestamp("1970-01-01")).dt.days
    return pd.to_numeric(present)


def _binary(spec: ColumnSpec, cells: pd.Series, rule: dict[str, Any]) -> pd.Series:
    """The target as yes and no: one of some values, or above a number."""
    above, values = rule["above"], rule["values"]
    positive = cells.isin(values) if above is None else _numbers(spec, cells) > above
    return positive.map({True: f"{MARK}yes", False: f"{MARK}no"})
