"""Rows of mixed type as points and as identities.

An attack asks two things of two rows: are they equal in every column, and if not, how far apart are they? `ids` answer
the first exactly, by jointly factorized codes. `points` answer the second: squared Euclidean distance is the sum over
columns of 1 for two different categories (or for missing against present), and of the squared difference of numbers
measured in units of the column's central 90 % range. Beyond one such unit the scale turns logarithmic, so a censoring
code of 99,999 stays an outlier without drowning every other column.

The scale comes from the real holdout alone: neither the training rows nor the release can bend it. It is the same for
a column and for its negation or any affine image, and for any relabelling of categories.

>>> import pandas as pd
>>> real = pd.DataFrame({"age": [20, 30, 40, 50], "city": list("aabb")})
>>> encoded, _ = encode({"real": real}, scale_on="real")
>>> round(float(((encoded["real"].points[0] - encoded["real"].points[3]) ** 2).sum()), 2)   # both columns differ
2.23

Not guaranteed: columns with more than 64 categories get random codes, whose distances are 1 only within about 0.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.errors import AttackInputError

ONE_HOT_MAX = 64
_CODE_SEED = 20_231  # the random codes of wide categorical columns carry no secret


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Encoded:
    """One table: `ids` int64 (n,), `points` float32 (n, d), `codes` int32 (n, c) with -1 for missing."""

    ids: NDArray[np.int64]
    points: NDArray[np.float32]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> Encoded:
        """The given rows, in the given order."""
        return Encoded(ids=self.ids[rows], points=self.points[rows], codes=self.codes[rows])


def joined(first: Encoded, second: Encoded) -> Encoded:
    """The rows of both, in this order."""
    return Encoded(
        ids=np.concatenate([first.ids, second.ids]),
        points=np.concatenate([first.points, second.points]),
        codes=np.concatenate([first.codes, second.codes]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Layout:
    """What the columns of `codes` and the dimensions of `points` mean; `ranks` order each numeric column's codes."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    dims: tuple[slice, ...]
    ranks: tuple[NDArray[np.float64] | None, ...]

    def dims_without(self, column: str) -> NDArray[np.intp]:
        """Dimensions of `points` that do not belong to `column`."""
        gone = self.dims[self.columns.index(column)]
        width = self.dims[-1].stop
        return np.array([d for d in range(width) if not gone.start <= d < gone.stop], dtype=np.intp)


def kind_of(series: pd.Series) -> str:
    """`number`, `time`, `boolean`, `text`, or `missing` for a column without a single value."""
    if series.isna().all():
        return "missing"
    if pd.api.types.is_bool_dtype(series.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_complex_dtype(series.dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(series.dtype) or pd.api.types.is_timedelta64_dtype(series.dtype):
        return "time"
    return "text"


def numbers_of(series: pd.Series) -> NDArray[np.float64]:
    """A column of numbers, booleans or times as float64, missing as NaN."""
    if kind_of(series) == "time":
        return np.asarray(np.where(series.isna(), np.nan, series.astype("int64").to_numpy(dtype=np.float64)))
    return np.asarray(pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def _unit_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Centre and width of the central 90 % of the present values; wider where that is a single point."""
    present = values[np.isfinite(values)]
    if len(present) == 0:
        return 0.0, 1.0
    for tail in (0.05, 0.01, 0.0):
        low, high = np.quantile(present, [tail, 1.0 - tail])
        if high > low:
            return float((low + high) / 2.0), float(high - low)
    return float(present[0]), max(abs(float(present[0])), 1.0)


def _numeric_points(values: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float32]:
    z = (values - centre) / width
    size = np.abs(z)
    z = np.where(size > 1.0, np.sign(z) * (1.0 + np.log(np.maximum(size, 1.0))), z)
    missing = np.isnan(values)
    return np.stack([np.where(missing, 0.0, z), missing.astype(np.float64)], axis=1).astype(np.float32)


def _category_points(codes: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    table = np.eye(count + 1, dtype=np.float32)
    if count > ONE_HOT_MAX:
        signs = np.random.default_rng(_CODE_SEED).choice([-1.0, 1.0], size=(count + 1, ONE_HOT_MAX))
        table = (signs / np.sqrt(ONE_HOT_MAX)).astype(np.float32)
    return table[codes] * np.float32(np.sqrt(0.5))  # code -1 (missing) is the last row: a category of its own


def encode(frames: Mapping[str, pd.DataFrame], *, scale_on: str) -> tuple[dict[str, Encoded], Layout]:
    """Encodes aligned tables (same columns, compatible types) together.

    Args:
        frames: tables by name; `attacks.inputs` has aligned them.
        scale_on: name of the table whose ranges set the scale of numeric columns.

    Raises:
        AttackInputError: a column holds lists or other values that cannot be compared.
    """
    names, sizes = list(frames), [len(f) for f in frames.values()]
    columns = tuple(str(c) for c in frames[names[0]].columns)
    start = names.index(scale_on)
    scale_rows = slice(sum(sizes[:start]), sum(sizes[: start + 1]))
    codes, points, numeric, dims, at = [], [], [], [], 0
    ranks: list[NDArray[np.float64] | None] = []
    for column in columns:
        parts = [frames[name][column] for name in names]
        kinds = {kind_of(part) for part in parts} - {"missing"}
        is_number = bool(kinds) and kinds <= {"number", "boolean", "time"} and kinds != {"boolean"}
        if is_number:
            values = np.concatenate([numbers_of(part) for part in parts])
            code, levels = pd.factorize(values, use_na_sentinel=True)
            block = _numeric_points(values, *_unit_range(values[scale_rows]))
            ranks.append(_midranks(values[scale_rows], levels))
        else:
            code, levels = _factorize_text(column, parts)
            block = _category_points(code.astype(np.int32), len(levels))
            ranks.append(None)
        codes.append(code.astype(np.int32))
        points.append(block)
        numeric.append(is_number)
        dims.append(slice(at, at + block.shape[1]))
        at += block.shape[1]
    code_matrix, point_matrix = np.stack(codes, axis=1), np.concatenate(points, axis=1)
    ids, encoded, row = _row_ids(code_matrix), {}, 0
    for name, size in zip(names, sizes, strict=True):
        part = slice(row, row + size)
        encoded[name] = Encoded(ids=ids[part], points=point_matrix[part], codes=code_matrix[part])
        row += size
    return encoded, Layout(columns=columns, numeric=tuple(numeric), dims=tuple(dims), ranks=tuple(ranks))


def _factorize_text(column: str, parts: list[pd.Series]) -> tuple[NDArray[np.intp], pd.Index]:
    joined = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    try:
        codes, levels = pd.factorize(joined, use_na_sentinel=True)
    except TypeError as error:
        raise AttackInputError(
            f"Column {column!r} holds lists, dictionaries or other values that cannot be compared.",
            "Turn it into text or numbers, or drop it from all tables.",
        ) from error
    return codes, pd.Index(levels)


def _midranks(reference: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of reference values below each level plus half of those equal to it: flips under negation, else fixed."""
    ordered = np.sort(reference[~np.isnan(reference)])
    if len(ordered) == 0:
        return np.full(len(levels), 0.5)
    low = np.searchsorted(ordered, levels, side="left")
    return np.asarray((low + np.searchsorted(ordered, levels, side="right")) / (2.0 * len(ordered)))


def _row_ids(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """The same number for equal rows: columns are folded in one after the other, so no hash can collide."""
    ids = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        levels = int(column.max(initial=-1)) + 2
        ids = pd.factorize(ids * levels + (column.astype(np.int64) + 1))[0].astype(np.int64)
    return ids
