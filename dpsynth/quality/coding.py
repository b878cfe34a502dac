"""Tables as small integers: one code a cell, the same coding for every table that is compared.

Categories keep one code each. A number gets one code for every *exact spike* (a value that alone holds as
much mass as a whole bin: zero inflation, censoring codes such as 99,999) and otherwise the index of its bin
between fixed cuts at quantiles of the real training table. Dates are numbers of days. Missing is a category
of its own in every column. A category that only one of the tables has keeps its own code, so that invented
values are seen.

The coding reads exact values of the real table: it is for evaluation and never leaves the workspace.

>>> import pandas as pd
>>> real = pd.DataFrame({"age": range(100), "sex": ["f", "m"] * 50})
>>> coded = code_tables({"real": real, "synthetic": real.head(10)})
>>> coded.sizes
(21, 3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, SchemaError

MAX_BINS = 20
Kind = Literal["categorical", "number", "date"]
_DECLARED: Mapping[str, Kind] = {
    "categorical": "categorical",
    "boolean": "categorical",
    "integer": "number",
    "float": "number",
    "date": "date",
    "datetime": "date",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coded:
    """Coded tables over the same columns.

    Attributes:
        columns: column names, in the order of the real table.
        kinds: how each column was read.
        sizes: number of codes a column, missing included; the last code is "missing".
        tables: table name -> codes, int64, shape (columns, rows).
        labels: of each column, what its codes stand for, as text; empty where nobody asked.
    """

    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sizes: tuple[int, ...]
    tables: Mapping[str, NDArray[np.int64]]
    labels: tuple[Sequence[str], ...] = ()

    def with_tables(self, extra: Mapping[str, NDArray[np.int64]]) -> Coded:
        """The same coding with more tables, for instance halves or permutations of those here."""
        return replace(self, tables={**self.tables, **extra})

    def label(self, place: int, code: int) -> str:
        """What a code of a column stands for: a cell's value, or a range of them."""
        return "missing" if code == self.sizes[place] - 1 else self.labels[place][code]


def check_columns(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """The common columns, in the order of the first table.

    Raises:
        DataError: a table is empty or has two columns of one name.
        SchemaError: two tables have different columns.
    """
    (first_name, first), *others = tables.items()
    for name, frame in tables.items():
        if frame.shape[1] == 0 or len(frame) == 0:
            raise DataError(f"The {name} table has no rows or no columns.", "Give a table with data.")
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise DataError(f"The {name} table has two columns named {twice!r}.", "Rename one of them.")
    for name, frame in others:
        absent = [str(c) for c in first.columns if c not in frame.columns]
        extra = [str(c) for c in frame.columns if c not in first.columns]
        if absent or extra:
            raise SchemaError(
                f"The {first_name} and {name} tables have different columns: "
                f"missing in {name}: {absent or 'none'}; only in {name}: {extra or 'none'}.",
                "Evaluate tables with the same columns: drop or rename them in one of the two.",
            )
    return tuple(str(c) for c in first.columns)


def column_kind(column: pd.Series, declared: str | None = None) -> Kind:
    """How a column is read: as declared, else by its pandas type."""
    if declared is not None and declared in _DECLARED:
        return _DECLARED[declared]
    if pd.api.types.is_bool_dtype(column):
        return "categorical"
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "date"
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in {"date", "datetime"}:
        return "date"
    return "categorical"


def _days(column: pd.Series) -> NDArray[np.float64]:
    """Days since 1970 at microsecond resolution, so that the year 9999 is a date too."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert(None)
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = column.to_numpy().astype("datetime64[us]")
    else:
        stamps = column.astype(object).where(column.notna(), None).to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 86_400e6)


def as_float(column: pd.Series, kind: Kind, *, table: str) -> NDArray[np.float64]:
    """Numbers, or days since 1970 for dates; missing is NaN; shape (rows,).

    Raises:
        DataError: the column holds something that is neither a number nor a date.
    """
    try:
        if kind == "date":
            return _days(column)
        numbers: NDArray[np.float64] = pd.to_numeric(column, errors="raise").to_numpy(np.float64, na_value=np.nan)
        return numbers
    except (ValueError, TypeError, OverflowError, AttributeError):
        wanted = "dates" if kind == "date" else "numbers"
        raise DataError(
            f"Column {column.name!r} of the {table} table holds something else than {wanted}.",
            f"Write it as {wanted}, or declare the column categorical in the schema.",
        ) from None  # pandas names the cell


def _spikes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that alone hold a bin's share of the rows, looked for twice: overall and among what remains."""
    spikes = np.empty(0)
    for _ in range(2):
        rest = values[~np.isin(values, spikes)]
        if rest.size == 0:
            break
        distinct, counts = np.unique(rest, return_counts=True)
        spikes = np.union1d(spikes, distinct[counts * MAX_BINS >= rest.size])
    return spikes


def _code_numbers(
    columns: Sequence[NDArray[np.float64]], kind: Kind
) -> tuple[list[NDArray[np.int64]], int, Sequence[str]]:
    """Codes for one numeric column in all tables, and labels; cuts and spikes come from the first, the real one."""
    real = columns[0][~np.isnan(columns[0])]
    distinct = np.unique(real)
    exact = distinct if distinct.size <= MAX_BINS else _spikes(real)
    rest = real[~np.isin(real, exact)]
    bins = int(np.clip(np.ceil(MAX_BINS * rest.size / max(real.size, 1)), 4, MAX_BINS)) if rest.size else 1
    cuts = np.unique(np.quantile(rest, np.linspace(0, 1, bins + 1)[1:-1])) if rest.size else np.empty(0)
    size = exact.size + cuts.size + 2  # one bin more than cuts, and missing
    out = []
    for values in columns:
        code = exact.size + np.searchsorted(cuts, values, side="left")
        if exact.size:
            at = np.minimum(np.searchsorted(exact, values), exact.size - 1)
            code = np.where(exact[at] == values, at, code)
        out.append(np.where(np.isnan(values), size - 1, code).astype(np.int64))
    if not rest.size and not any((c == exact.size).any() for c in out):  # no value between the exact ones
        out = [np.where(c == size - 1, size - 2, c) for c in out]
        size -= 1
    return out, size, _ranges(exact, cuts, kind)


def _ranges(exact: NDArray[np.float64], cuts: NDArray[np.float64], kind: Kind) -> list[str]:
    """Labels of exact values and of the bins between cuts."""

    def said(value: float) -> str:
        if kind == "number":
            return f"{value:.6g}"
        return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(value)), "D"))

    ends = [said(cut) for cut in cuts]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    bins = [f"up to {ends[0]}", *between, f"above {ends[-1]}"] if ends else ["other"]
    return [*(said(value) for value in exact), *bins]


class _Names(Sequence[str]):
    """Categories as text, made when asked for: a column may have as many as rows."""

    def __init__(self, categories: Sequence[object]) -> None:
        self._categories = categories

    def __len__(self) -> int:
        return len(self._categories)

    def __getitem__(self, at: Any) -> Any:
        return str(self._categories[at])


def _code_categories(columns: Sequence[pd.Series]) -> tuple[list[NDArray[np.int64]], int, Sequence[str]]:
    """Codes for one categorical column in all tables, over the union of their categories, and labels."""
    together = np.concatenate([c.astype(object).to_numpy() for c in columns])
    try:
        codes, categories = pd.factorize(together, use_na_sentinel=True)
    except TypeError as error:
        raise DataError(
            f"Column {columns[0].name!r} holds lists or other containers, which are no categories.",
            "Split it into plain columns, or drop it.",
        ) from error
    codes = np.where(codes < 0, len(categories), codes).astype(np.int64)
    parts = np.split(codes, np.cumsum([len(c) for c in columns])[:-1])
    return parts, len(categories) + 1, _Names(categories)


def code_tables(tables: Mapping[str, pd.DataFrame], *, declared: Mapping[str, str] | None = None) -> Coded:
    """Code all tables alike; the first one is the real training table and fixes cuts and spikes.

    Args:
        tables: name -> frame; all with the same columns.
        declared: column -> kind in the schema (categorical, boolean, integer, float, date, datetime).

    Raises:
        SchemaError: the columns differ.
        DataError: a table is empty, or a column cannot be read as its kind.
    """
    columns = check_columns(tables)
    (_, real), *_ = tables.items()
    names = list(real.columns)
    kinds: list[Kind] = []
    sizes: list[int] = []
    labels: list[Sequence[str]] = []
    codes: dict[str, list[NDArray[np.int64]]] = {table: [] for table in tables}
    for name, column in zip(names, columns, strict=True):
        kind = column_kind(real[name], (declared or {}).get(column))
        if kind == "categorical":
            coded, size, label = _code_categories([frame[name] for frame in tables.values()])
        else:
            values = [as_float(frame[name], kind, table=table) for table, frame in tables.items()]
            coded, size, label = _code_numbers(values, kind)
        kinds.append(kind)
        sizes.append(size)
        labels.append(label)
        for table, code in zip(tables, coded, strict=True):
            codes[table].append(code)
    stacked = {table: np.stack(parts) for table, parts in codes.items()}
    return Coded(columns=columns, kinds=tuple(kinds), sizes=tuple(sizes), tables=stacked, labels=tuple(labels))
