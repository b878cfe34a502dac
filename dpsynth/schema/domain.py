"""What a column looks like once its categories or bounds are known, and how its cells become integers.

A domain is a codec: cells to codes 0 … size-1, a missing cell to -1, and back. Two kinds:

- `CategoryDomain`: a tuple of values. A cell outside them gets the outcome "other", the last code, which is
  written as the text `other` (`other_2` … if that is a value). A closed domain without `other` has no such
  outcome: cells outside it were refused before, and any that come later count as missing. Integer
  categories have no spelling for "other", so there too it counts as missing. Of hierarchical codes, prefixes may be
  outcomes: `250*` is any code that begins with 250 and is no value of its own.
- `GridDomain`: the public grid `low, low + 1, … high` of ticks; a tick times `scale` is the value. Cells
  are rounded to the grid and clamped into it: clamping is part of the mechanism, and is why bounds must be
  public or derived.

>>> grid = GridDomain(kind="float", low=0, high=1000, scale=Fraction(1, 100))
>>> grid.decode(grid.encode(pa.chunked_array([[1.5, None, 99.0]]))).to_pylist()
[1.5, None, 10.0]

Not guaranteed: a spread-out use of the grid; `size` may be 2^60, so bin it before counting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Literal, cast, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import array_of, literals, missing_of, values_of
from dpsynth.data.recipe import Kind, Lookup, Ticks, thresholds
from dpsynth.schema.model import EXACT_FLOAT_TICKS, MAX_DECIMALS, ColumnSpec

GridKind = Literal["integer", "float", "date", "datetime"]
EPOCH = date(1970, 1, 1)
TICKS_IN_RANGE = 10**6
OTHER = "other"
STAR = "*"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryDomain:
    """Named outcomes, missing, and (if `other`) one outcome for every other text.

    Attributes:
        values: distinct and of one type: str, int or bool.
        other: whether cells outside `values` have an outcome of their own; text only.
        groups: prefixes with an outcome of their own, for texts that begin with them and are no value; the longest
            that fits is taken. They come after the values and before `other`.
        hierarchy: prefix lengths at which codes of the column have a meaning, ascending; public.
    """

    values: tuple[str, ...] | tuple[int, ...] | tuple[bool, ...]
    other: bool = False
    groups: tuple[str, ...] = ()
    hierarchy: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.values)) != len(self.values) or len({type(v) for v in self.values}) > 1:
            raise ParameterError("The values of a category domain are distinct and of one type.")
        if self.other and any(not isinstance(v, str) for v in self.values):
            raise ParameterError("Only text categories can have an outcome `other`: integers have no word for it.")
        if (self.groups or self.hierarchy) and self.arrow_type != pa.string():
            raise ParameterError("Only text categories have prefixes.", "Declare the values as text.")

    @property
    def size(self) -> int:
        """Number of outcomes, missing not counted."""
        return len(self.values) + len(self.groups) + self.other

    @property
    def group_labels(self) -> tuple[str, ...]:
        """The texts of the prefix outcomes: the prefix and `*`, with more stars where that is a value."""
        taken, labels = set(self.values), []
        for prefix in self.groups:
            label = prefix + STAR
            while label in taken:
                label += STAR
            taken.add(label)
            labels.append(label)
        return tuple(labels)

    @property
    def other_label(self) -> str | None:
        """The text of the outcome `other`: `other`, or the first of `other_2`, … that is not a value."""
        if not self.other:
            return None
        label, n = OTHER, 1
        taken = {*self.values, *self.group_labels}
        while label in taken:
            n += 1
            label = f"{OTHER}_{n}"
        return label

    @property
    def arrow_type(self) -> pa.DataType:
        """string, int64 or bool."""
        kind = type(self.values[0]) if self.values else str
        return {str: pa.string(), int: pa.int64(), bool: pa.bool_()}[kind]

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Codes, shape (rows,), int64; missing -1; a value outside is its prefix, else the last code, else -1.

        Args:
            values: of the domain's Arrow type; other types are cast where that is exact.
        """
        cells = values if values.type == self.arrow_type else values.cast(self.arrow_type)
        found = pc.index_in(cells, value_set=self._labels())  # a label stands for its outcome, whatever its prefix
        outside = missing_of(found)
        codes = values_of(found).astype(np.int64)
        codes[outside] = -1
        if self.groups:
            codes = np.where(outside, self._group_of(cells), codes)
        if self.other:
            codes[(codes < 0) & ~missing_of(cells)] = self.size - 1
        return codes

    def _group_of(self, cells: pa.ChunkedArray) -> NDArray[np.int64]:
        """Code of the longest prefix that each text begins with, -1 without; shape (rows,)."""
        codes = np.full(len(cells), -1, dtype=np.int64)
        for length in sorted({len(prefix) for prefix in self.groups}):
            own = [(at, prefix) for at, prefix in enumerate(self.groups) if len(prefix) == length]
            cut = pc.utf8_slice_codeunits(cells, 0, length)
            found = pc.index_in(cut, value_set=literals([prefix for _, prefix in own], pa.string()))
            places = np.array([at for at, _ in own]) + len(self.values)
            codes = np.where(missing_of(found), codes, places[values_of(found)])
        return codes

    def decode(self, codes: NDArray[np.integer[Any]]) -> pa.Array:
        """Cells of the domain's Arrow type; -1 becomes null."""
        _within(codes, self.size)
        return self._labels().take(array_of(codes, pa.int64(), missing=np.asarray(codes) < 0))

    def recipe(self) -> Lookup:
        """For engines: labels, prefixes, and `other`."""
        labels = (*self.values, *coarser_outcomes(self))
        own: Kind = {str: "string", int: "integer", bool: "boolean"}[type(labels[0]) if labels else str]  # type: ignore[assignment]
        return Lookup(
            kind=own,
            values=labels,
            codes=np.arange(len(labels)),
            prefixes=self.groups,
            prefix_codes=np.arange(len(self.groups)) + len(self.values),
            otherwise=self.size - 1 if self.other else -1,
        )

    def _labels(self) -> pa.Array:
        """What is written for each outcome, shape (size,)."""
        return literals([*self.values, *coarser_outcomes(self)], self.arrow_type)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GridDomain:
    """Ticks `low … high` of width `scale`; missing beside them.

    Attributes:
        kind: decides the Arrow type of cells.
        low: first tick.
        high: last tick, >= low.
        scale: value of one tick: 1 for integers and days; a fraction of the unit for floats; seconds for
            datetimes.
    """

    kind: GridKind
    low: int
    high: int
    scale: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ParameterError("Expected low <= high (ticks of a grid).")
        if self.scale <= 0 or (self.kind in ("integer", "date") and self.scale.denominator != 1):
            raise ParameterError("The scale of a grid is positive, and whole for integers and dates.")
        if self.kind == "datetime" and (self.scale * 10**6).denominator != 1:
            raise ParameterError("The scale of a datetime grid is a whole number of microseconds.")
        if self.kind == "float" and max(-self.low, self.high) > EXACT_FLOAT_TICKS:
            raise ParameterError(
                "A float grid ends at 2^52 ticks, beyond which doubles cannot hold it; use a wider scale."
            )
        unit = self._unit
        if not -(2**63) <= self.low * unit <= self.high * unit < 2**63 or self.size >= 2**63:
            raise ParameterError("A grid ends within 64 bits, and has fewer than 2^63 ticks.")

    @property
    def size(self) -> int:
        """Number of ticks; may be far too many to count one by one."""
        return self.high - self.low + 1

    @property
    def arrow_type(self) -> pa.DataType:
        """int64, float64, date32 or timestamp[us]."""
        return {
            "integer": pa.int64(),
            "float": pa.float64(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us"),
        }[self.kind]

    @property
    def _unit(self) -> int:
        """Integers a tick: of the integer that stands behind an Arrow cell (unit, day, microsecond)."""
        if self.kind == "float":
            return 1
        return int(self.scale * (10**6 if self.kind == "datetime" else 1))

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Codes `tick - low`, shape (rows,), int64; rounded to the grid, clamped into it; missing -1."""
        cells = values if values.type == self.arrow_type else values.cast(self.arrow_type)
        missing = missing_of(cells)
        if self.kind == "float":
            raw = values_of(cells)
            missing |= np.isnan(raw)
            raw[missing] = 0.0
            with np.errstate(over="ignore"):  # an overflow is infinite and then clamped, which is meant
                steps = np.rint(raw * float(self.scale.denominator) / float(self.scale.numerator))
            held = np.clip(steps, self.low, self.high).astype(np.int64)
        else:
            whole = values_of(cells).astype(np.int64)
            unit = self._unit
            # clamped before and after: so neither the half step nor the difference below can overflow
            ticks, rest = np.divmod(np.clip(whole, self.low * unit, self.high * unit), unit)
            held = np.clip(ticks + (rest >= (unit + 1) // 2 if unit > 1 else 0), self.low, self.high)
        codes: NDArray[np.int64] = held - self.low
        codes[missing] = -1
        return codes

    def recipe(self) -> Ticks:
        """For engines: the ticks' arithmetic."""
        if self.kind != "float":
            return Ticks(kind=self.kind, low=self.low, high=self.high, unit=self._unit)
        first, last = self.raw_thresholds(np.array([1, self.size - 1])).tolist() if self.size > 1 else (0.0, 0.0)
        return Ticks(
            kind=self.kind,
            low=self.low,
            high=self.high,
            numerator=self.scale.numerator,
            denominator=self.scale.denominator,
            reach=(float(np.nextafter(first, -np.inf)), last),
        )

    def raw_thresholds(self, cuts: NDArray[np.int64]) -> NDArray[Any]:
        """The smallest number (day, microsecond) that has each of these codes or more, as `recipe.thresholds`."""

        def codes_of(raw: NDArray[Any]) -> NDArray[np.int64]:
            return self.encode(pa.chunked_array([array_of(raw, self.arrow_type)]))

        return thresholds(codes_of, self.kind, cuts)

    def decode(self, codes: NDArray[np.integer[Any]]) -> pa.Array:
        """Cells of the kind's Arrow type; floats are the doubles nearest to the decimal; -1 is null."""
        _within(codes, self.size)
        ticks = np.asarray(codes, dtype=np.int64) + self.low
        mask = np.asarray(codes) < 0
        if self.kind == "float":
            numbers = ticks * float(self.scale.numerator) / float(self.scale.denominator)  # integers would overflow
            return array_of(numbers, pa.float64(), mask)
        return array_of(np.where(mask, 0, ticks) * self._unit, self.arrow_type, mask)


Domain = CategoryDomain | GridDomain


def ticks_of(value: float | date | datetime, scale: Fraction) -> int:
    """The whole number of `scale` nearest to a value: a number, days since 1970, or seconds since 1970.

    >>> ticks_of(date(1970, 2, 1), Fraction(1))
    31
    """
    if isinstance(value, datetime):
        since = value - datetime(1970, 1, 1)
        exact = Fraction((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds, 10**6)
    elif isinstance(value, date):
        exact = Fraction((value - EPOCH).days)
    else:
        exact = Fraction(value)
    return math.floor(exact / scale + Fraction(1, 2))


def scale_of(spec: ColumnSpec, low: float = 0.0, high: float = 0.0, places: int | None = None) -> Fraction:
    """The width of a tick, from public or released facts.

    Integers and dates: 1. Datetimes: `precision` decimals of a second, whole seconds if null. Floats:
    `precision` decimals; if null, the derived decimal places, fewer where doubles cannot hold that many in the
    range `low … high`. Without derived places, and where cells have `MAX_DECIMALS` or more, the power of ten that
    gives the range at least 10^6 ticks.

    Args:
        spec: what is public about the column.
        low: lower bound, floats only.
        high: upper bound, floats only.
        places: derived decimal places of a float column; None if nothing stood out of the noise.
    """
    if spec.kind in ("integer", "date"):
        return Fraction(1)
    if spec.precision is not None or spec.kind == "datetime":
        return Fraction(1, 10 ** (spec.precision or 0))
    width = max(high - low, abs(high), abs(low)) or 1.0
    enough = math.ceil(math.log10(TICKS_IN_RANGE) - math.log10(width))
    if places is None:
        return Fraction(10) ** -enough
    finest = max(places, enough) if places == MAX_DECIMALS else places
    farthest = Fraction(max(abs(low), abs(high)))
    while farthest * Fraction(10) ** finest > EXACT_FLOAT_TICKS:
        finest -= 1
    return Fraction(10) ** -finest


def known_domain(spec: ColumnSpec) -> Domain | None:
    """The domain of a column whose specification leaves nothing to derive, else None. Costs nothing."""
    if spec.kind == "boolean":
        return CategoryDomain(values=(False, True))
    if spec.kind == "categorical":
        if spec.values is None:
            return None
        text = isinstance(spec.values[0], str)
        return CategoryDomain(values=spec.values, other=spec.other and text, hierarchy=spec.hierarchy)  # type: ignore[arg-type]
    if spec.min is None or spec.max is None or not spec.known:
        return None
    return grid(spec, spec.min, spec.max)


def open_domain(
    values: tuple[str, ...] | tuple[int, ...], groups: tuple[str, ...] = (), hierarchy: tuple[int, ...] = ()
) -> CategoryDomain:
    """The domain of an open-set column after partition selection: released values and prefixes, `other` for text."""
    text = not values or isinstance(values[0], str)
    return CategoryDomain(values=values, other=text, groups=groups, hierarchy=hierarchy)


def coarser_outcomes(domain: Domain) -> tuple[str, ...]:
    """Texts that a sample may hold and no register of codes knows: prefixes of rare codes, and `other`."""
    if not isinstance(domain, CategoryDomain):
        return ()
    return (*domain.group_labels, *([] if domain.other_label is None else [domain.other_label]))


def grid(
    spec: ColumnSpec, low: float | date | datetime, high: float | date | datetime, places: int | None = None
) -> GridDomain:
    """The grid of a column between two bounds, public or derived, both included; `places` as in `scale_of`."""
    if spec.kind in ("categorical", "boolean"):
        raise ParameterError(f"A {spec.kind} column has no bounds.")
    numeric = isinstance(low, int | float) and isinstance(high, int | float)
    scale = scale_of(spec, float(low), float(high), places) if numeric else scale_of(spec)  # type: ignore[arg-type]
    kind = cast("GridKind", spec.kind)
    return GridDomain(kind=kind, low=ticks_of(low, scale), high=ticks_of(high, scale), scale=scale)


def _within(codes: NDArray[np.integer[Any]], size: int) -> None:
    if len(codes) and (int(np.min(codes)) < -1 or int(np.max(codes)) >= size):
        raise ParameterError(f"A code is outside -1 … {size - 1}.")
