"""Rows of mixed type as points and as identities.

An attack asks two things of two rows: are they equal in every column, and if not, how far apart are they? `ids` answer
the first: sums of 64-bit hashes of the cells, so that equal rows have equal ids in whatever block they stand, and two
others share one by a chance of about 5e-20 a pair. `points` answer the second: squared Euclidean
distance is the sum over columns of 1 for two different categories (or for missing against present), and of the squared
difference of numbers measured in units of the column's central 90 % range. Beyond one such unit the scale turns
logarithmic, so a censoring code of 99,999 stays an outlier without drowning every other column.

The scale comes from the real holdout alone: neither the training rows nor the release can bend it. It is the same for
a column and for its negation or any affine image, and for any relabelling of categories. A `Coding` is made once from
the real tables (and the texts of the release); it then encodes a release block by block, each block by itself.

>>> import pandas as pd
>>> real = pd.DataFrame({"age": [20, 30, 40, 50], "city": list("aabb")})
>>> encoded, _ = encode({"real": real}, scale_on="real")
>>> round(float(((encoded["real"].points[0] - encoded["real"].points[3]) ** 2).sum()), 2)   # both columns differ
2.23

Not guaranteed: columns with more than 64 categories get random codes, whose distances are 1 only within about 0.2.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.errors import AttackInputError

ONE_HOT_MAX = 64
_CODE_SEED = 20_231  # the random codes of wide categorical columns carry no secret
NANOSECONDS: Mapping[str, float] = MappingProxyType({"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0})
_LARGEST = float(np.finfo(np.float64).max)
_MISSING = np.uint64(0x7FF8000000000001)  # of a number; no number that is there has these bits


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Encoded:
    """One table: `ids` uint64 (n,), `points` float32 (n, d), `codes` int32 (n, c) with -1 for missing.

    `ids` are sums over columns of `cells` uint64 (n, c), hashes of the values. `codes` of numbers that no real row has
    stand for all values between two neighbouring ones of the holdout, which have the same rank.
    """

    ids: NDArray[np.uint64]
    points: NDArray[np.float32]
    codes: NDArray[np.int32]
    cells: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> Encoded:
        """The given rows, in the given order."""
        return Encoded(ids=self.ids[rows], points=self.points[rows], codes=self.codes[rows], cells=self.cells[rows])

    def ids_without(self, column: int) -> NDArray[np.uint64]:
        """What equal rows have in common if this column does not count."""
        return np.asarray(self.ids - self.cells[:, column])

    def codes_of(self, column: int) -> NDArray[np.int32]:
        """Codes of one column."""
        return self.codes[:, column]

    def points_of(self, rows: NDArray[np.intp] | slice, dims: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some dimensions of some rows."""
        return self.points[rows][:, dims]


def joined(first: Encoded, second: Encoded) -> Encoded:
    """The rows of both, in this order."""
    return Encoded(
        ids=np.concatenate([first.ids, second.ids]),
        points=np.concatenate([first.points, second.points]),
        codes=np.concatenate([first.codes, second.codes]),
        cells=np.concatenate([first.cells, second.cells]),
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
    """A column of numbers, booleans or times (nanoseconds, also beyond 64 bits of them) as float64, missing as NaN."""
    if kind_of(series) == "time":
        ticks = series.astype("int64").to_numpy(dtype=np.float64) * NANOSECONDS[series.dt.unit]
        return np.asarray(np.where(series.isna(), np.nan, ticks))
    return np.asarray(pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def _unit_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Centre and width of the central 90 % of the present values; wider where that is a single point."""
    present = values[np.isfinite(values)]
    if len(present) == 0:
        return 0.0, 1.0
    part = 4.0 if float(np.abs(present).max()) > _LARGEST / 4.0 else 1.0  # sums and differences are doubles too
    for tail in (0.05, 0.01, 0.0):
        low, high = np.quantile(present / part, [tail, 1.0 - tail])
        if high > low:
            return part * float((low + high) / 2.0), part * min(float(high - low), _LARGEST / part)
    return float(present[0]), max(abs(float(present[0])), 1.0)


def _numeric_points(values: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        z = (values - centre) / width
    size = np.minimum(np.abs(z), _LARGEST)
    z = np.where(size > 1.0, np.sign(z) * (1.0 + np.log(np.maximum(size, 1.0))), z)
    missing = np.isnan(values)
    return np.stack([np.where(missing, 0.0, z), missing.astype(np.float64)], axis=1).astype(np.float32)


def _category_points(codes: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    table = np.eye(count + 1, dtype=np.float32)
    if count > ONE_HOT_MAX:
        signs = np.random.default_rng(_CODE_SEED).choice([-1.0, 1.0], size=(count + 1, ONE_HOT_MAX))
        table = (signs / np.sqrt(ONE_HOT_MAX)).astype(np.float32)
    return table[codes] * np.float32(np.sqrt(0.5))  # code -1 (missing) is the last row: a category of its own


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Number:
    """A column of numbers: sorted values that are known, sorted distinct values of the holdout, and its scale."""

    name: str
    known: NDArray[np.float64]
    holdout: NDArray[np.float64]
    centre: float
    width: float

    def seen(self, part: pd.Series) -> NDArray[np.float64]:
        """What the other methods take."""
        return numbers_of(part) + 0.0  # one zero

    def codes(self, values: NDArray[Any]) -> NDArray[np.int32]:
        place = np.searchsorted(self.known, values)
        there = place < len(self.known)
        there[there] = self.known[place[there]] == values[there]
        code = np.where(there, place, len(self.known) + np.searchsorted(self.holdout, values)).astype(np.int32)
        return np.asarray(np.where(np.isnan(values), np.int32(-1), code))

    def points(self, values: NDArray[Any]) -> NDArray[np.float32]:
        return _numeric_points(values, self.centre, self.width)

    def cells(self, values: NDArray[Any]) -> NDArray[np.uint64]:
        return mixed(np.where(np.isnan(values), _MISSING, values.view(np.uint64)), self.name)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Category:
    """A column of categories, in order of appearance."""

    name: str
    levels: pd.Index

    def seen(self, part: pd.Series) -> NDArray[np.int32]:
        """What the other methods take: codes."""
        if isinstance(part.dtype, pd.CategoricalDtype):
            places = np.append(self.levels.get_indexer(part.cat.categories.astype(object)), -1)
            code = places[part.cat.codes.to_numpy()].astype(np.int32)
        else:
            code = self.levels.get_indexer(pd.Index(part, dtype=object)).astype(np.int32)
        code[part.isna().to_numpy()] = -1
        return np.asarray(code, dtype=np.int32)

    def codes(self, values: NDArray[Any]) -> NDArray[np.int32]:
        return values

    def points(self, values: NDArray[Any]) -> NDArray[np.float32]:
        return _category_points(values, len(self.levels))

    def cells(self, values: NDArray[Any]) -> NDArray[np.uint64]:
        return mixed(values.astype(np.int64).view(np.uint64), self.name)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coding:
    """How cells become codes, points and hashes; the same for every table and every block of one."""

    columns: tuple[_Number | _Category, ...]
    layout: Layout

    @classmethod
    def of(
        cls, frames: Mapping[str, pd.DataFrame], *, scale_on: str, texts: Sequence[Sequence[pd.Series]] | None = None
    ) -> Coding:
        """The coding of aligned tables.

        Args:
            frames: tables by name; numbers of all of them get codes of their own.
            scale_on: name of the table whose ranges set the scale of numeric columns.
            texts: for each column the texts, in order of appearance, of a release whose sample is the last table.

        Raises:
            AttackInputError: a column holds lists or other values that cannot be compared.
        """
        columns: list[_Number | _Category] = []
        ranks: list[NDArray[np.float64] | None] = []
        dims, at = [], 0
        for number, name in enumerate(frames[scale_on].columns):
            parts = [frame[name] for frame in frames.values()]
            if texts is not None:  # a sample's texts are in another order than those of the whole
                parts = [*parts[:-1], *texts[number], parts[-1]]
            column = _column(str(name), parts, frames[scale_on][name])
            columns.append(column)
            if isinstance(column, _Number):
                values = numbers_of(frames[scale_on][name])
                between = np.append(column.holdout, np.inf)
                ranks.append(np.append(_midranks(values, column.known), _shares_below(values, between)))
                width = 2
            else:
                ranks.append(None)
                width = len(column.levels) + 1 if len(column.levels) <= ONE_HOT_MAX else ONE_HOT_MAX
            dims.append(slice(at, at + width))
            at += width
        layout = Layout(
            columns=tuple(column.name for column in columns),
            numeric=tuple(isinstance(column, _Number) for column in columns),
            dims=tuple(dims),
            ranks=tuple(ranks),
        )
        return cls(columns=tuple(columns), layout=layout)

    def encode(self, frame: pd.DataFrame) -> Encoded:
        """A table, or a block of one, with the columns of this coding."""
        rows = len(frame)
        codes = np.empty((rows, len(self.columns)), dtype=np.int32, order="F")
        points = np.empty((rows, self.layout.dims[-1].stop), dtype=np.float32)
        cells = np.empty((rows, len(self.columns)), dtype=np.uint64, order="F")
        for at, (column, dims) in enumerate(zip(self.columns, self.layout.dims, strict=True)):
            values = column.seen(frame.iloc[:, at])
            codes[:, at], points[:, dims], cells[:, at] = (
                column.codes(values),
                column.points(values),
                column.cells(values),
            )
        return Encoded(ids=cells.sum(axis=1, dtype=np.uint64), points=points, codes=codes, cells=cells)


def encode(frames: Mapping[str, pd.DataFrame], *, scale_on: str) -> tuple[dict[str, Encoded], Layout]:
    """Encodes aligned tables (same columns, compatible types) together.

    Args:
        frames: tables by name; `attacks.inputs` has aligned them.
        scale_on: name of the table whose ranges set the scale of numeric columns.

    Raises:
        AttackInputError: a column holds lists or other values that cannot be compared.
    """
    coding = Coding.of(frames, scale_on=scale_on)
    return {name: coding.encode(frame) for name, frame in frames.items()}, coding.layout


def _column(name: str, parts: Sequence[pd.Series], scale: pd.Series) -> _Number | _Category:
    kinds = {kind_of(part) for part in parts} - {"missing"}
    if not kinds or not kinds <= {"number", "boolean", "time"} or kinds == {"boolean"}:
        return _Category(name=name, levels=_levels(name, parts))
    values = [numbers_of(part) + 0.0 for part in (*parts, scale)]
    known = [np.unique(part[~np.isnan(part)]) for part in values]
    centre, width = _unit_range(values[-1])
    return _Number(name=name, known=np.unique(np.concatenate(known)), holdout=known[-1], centre=centre, width=width)


def _levels(column: str, parts: Iterable[pd.Series]) -> pd.Index:
    """Distinct values in order of appearance."""
    known = pd.Index([], dtype=object)
    for part in parts:
        try:
            values = pd.Index(pd.Series(part.unique()).dropna(), dtype=object)
            known = longer(known, values[~values.isin(known)])
        except TypeError as error:
            raise AttackInputError(
                f"Column {column!r} holds lists, dictionaries or other values that cannot be compared.",
                "Turn it into text or numbers, or drop it from all tables.",
            ) from error
    return known


def longer(known: pd.Index, new: pd.Index) -> pd.Index:
    """Both, as objects whatever they hold."""
    return pd.Index(np.concatenate([known.to_numpy(dtype=object), new.to_numpy(dtype=object)]), dtype=object)


def mixed(bits: NDArray[np.uint64], column: str) -> NDArray[np.uint64]:
    """A hash of each cell (splitmix64), other for every column."""
    salt = zlib.crc32(column.encode("utf-8", "surrogatepass")) * 0x9E3779B97F4A7C15 % 2**64
    x = bits + np.uint64(salt)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _midranks(reference: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of reference values below each level plus half of those equal to it: flips under negation, else fixed."""
    ordered = np.sort(reference[~np.isnan(reference)])
    if len(ordered) == 0:
        return np.full(len(levels), 0.5)
    low = np.searchsorted(ordered, levels, side="left")
    return np.asarray((low + np.searchsorted(ordered, levels, side="right")) / (2.0 * len(ordered)))


def _shares_below(reference: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of reference values below each value; one half where there are none."""
    ordered = np.sort(reference[~np.isnan(reference)])
    if len(ordered) == 0:
        return np.full(len(values), 0.5)
    return np.asarray(np.searchsorted(ordered, values, side="left") / float(len(ordered)))
