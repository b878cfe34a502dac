"""Stand-in for numpy in `verify_bundle.py`: arrays of one or two dimensions as plain lists, by numpy's rules.

The accountants of `accounting` run on it unchanged, slower and to the last few bits the same, so that the single file
has no second accountant. What they do not use is not here: an unknown function is an AttributeError, never a guess.

>>> row = array([1.0, 2.0, 3.0])
>>> list(row[:, None].__mul__(row[None, :])[1]), float((row > 1.5).sum())
([2.0, 4.0, 6.0], 2.0)

Not guaranteed: speed beyond some hundred thousand cells, in-place views, or integer types of fixed width.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

float64, int64, complex128 = float, int, complex


class Array:
    """Values in row order and a shape of one or two numbers."""

    __slots__ = ("shape", "values")

    def __init__(self, values: list[Any], shape: tuple[int, ...] | None = None) -> None:
        self.values, self.shape = values, (len(values),) if shape is None else shape

    def __class_getitem__(cls, _: Any) -> type[Array]:
        return cls

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values) if len(self.shape) == 1 else (self[at] for at in range(self.shape[0]))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return self._cell(key)
        if len(self.shape) == 2:
            width = self.shape[1]
            if isinstance(key, int):
                return Array(self.values[key * width : (key + 1) * width])
            rows = [self.values[at * width : (at + 1) * width] for at in range(self.shape[0])[key]]
            return Array([value for row in rows for value in row], (len(rows), width))
        if isinstance(key, slice):
            return Array(self.values[key])
        if isinstance(key, (Array, list)):
            chosen = plain(key)
            if chosen and isinstance(chosen[0], bool):
                return Array(list(itertools.compress(self.values, chosen)))
            return Array([self.values[at] for at in chosen])
        return self.values[key]

    def _cell(self, key: tuple[Any, ...]) -> Any:
        match key:
            case (None, slice()):
                return Array(self.values, (1, len(self.values)))
            case (slice(), None):
                return Array(self.values, (len(self.values), 1))
            case (Array() as rows, columns):
                width = self.shape[1]
                across = plain(columns) if isinstance(columns, Array) else [columns] * len(rows)
                return Array([self.values[r * width + c] for r, c in zip(rows.values, across, strict=True)])
        raise IndexError("this array is not read so")

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            at = range(len(self.values))[key]
            self.values[key] = plain(value) if isinstance(value, (Array, list)) else [value] * len(at)
        else:
            self.values[key] = value

    def _with(self, other: Any, function: Callable[[Any, Any], Any], *, swapped: bool = False) -> Array:
        if not isinstance(other, Array):
            mine, same = self.values, itertools.repeat(other)
            return Array(list(map(function, same, mine) if swapped else map(function, mine, same)), self.shape)
        if self.shape == other.shape:
            return Array(list(map(function, self.values, other.values)), self.shape)
        left, right, shape = _spread(self, other)
        return Array(list(map(function, left, right)), shape)

    def __add__(self, other: Any) -> Array:
        return self._with(other, operator.add)

    def __radd__(self, other: Any) -> Array:
        return self._with(other, operator.add)

    def __sub__(self, other: Any) -> Array:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Array:
        return self._with(other, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> Array:
        return self._with(other, operator.mul)

    def __rmul__(self, other: Any) -> Array:
        return self._with(other, operator.mul)

    def __truediv__(self, other: Any) -> Array:
        return self._with(other, _divide)

    def __rtruediv__(self, other: Any) -> Array:
        return self._with(other, _divide, swapped=True)

    def __mod__(self, other: Any) -> Array:
        return self._with(other, operator.mod)

    def __pow__(self, other: Any) -> Array:
        return self._with(other, operator.pow)

    def __neg__(self) -> Array:
        return Array([-x for x in self.values], self.shape)

    def __and__(self, other: Any) -> Array:
        return self._with(other, operator.and_)

    def __lt__(self, other: Any) -> Array:
        return self._with(other, operator.lt)

    def __le__(self, other: Any) -> Array:
        return self._with(other, operator.le)

    def __gt__(self, other: Any) -> Array:
        return self._with(other, operator.gt)

    def __ge__(self, other: Any) -> Array:
        return self._with(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Array:
        """The same values apart."""
        return Array(list(self.values), self.shape)

    def astype(self, kind: Callable[[Any], Any]) -> Array:
        """Each value as `kind`."""
        return Array([kind(x) for x in self.values], self.shape)

    def reshape(self, *shape: int) -> Array:
        """The same values in another shape."""
        return Array(self.values, shape)

    def sum(self, axis: int | None = None) -> Any:
        """Of all values, or along an axis."""
        return self._along(axis, _total)

    def max(self, axis: int | None = None) -> Any:
        """Of all values, or along an axis."""
        return self._along(axis, max)

    def min(self, axis: int | None = None) -> Any:
        """Of all values, or along an axis."""
        return self._along(axis, min)

    def _along(self, axis: int | None, reduce: Callable[[Any], Any]) -> Any:
        if axis is None:
            return reduce(self.values)
        rows = [row.values for row in self]
        return Array([reduce(row) for row in (rows if axis == 1 else zip(*rows, strict=True))])


ndarray = NDArray = Array


class _Pairwise:
    """`minimum` and `maximum` with their reductions."""

    def __init__(self, choose: Callable[[Any, Any], Any]) -> None:
        self._choose = choose

    def __call__(self, left: Any, right: Any, out: Array | None = None) -> Any:
        if not isinstance(left, Array) and not isinstance(right, Array):
            return self._choose(left, right)
        made = left._with(right, self._choose) if isinstance(left, Array) else right._with(left, self._choose)
        if out is not None:
            out.values[:] = made.values
        return made

    def accumulate(self, values: Array) -> Array:
        """Running extreme."""
        return Array(list(itertools.accumulate(values.values, self._choose)))

    def at(self, target: Array, places: Array, values: Array) -> None:
        """In place, repeated places included."""
        for place, value in zip(places.values, values.values, strict=True):
            target.values[place] = self._choose(target.values[place], value)


minimum = _Pairwise(lambda a, b: a if a < b else b)
maximum = _Pairwise(lambda a, b: a if a > b else b)


def plain(values: Any) -> list[Any]:
    """As a list."""
    return values.values if isinstance(values, Array) else list(values)


def array(values: Any, dtype: Any = None) -> Array:
    """Of numbers, or of rows."""
    if isinstance(values, Array):
        return values.copy()
    items = list(values)
    if items and isinstance(items[0], (Array, list, tuple)):
        rows = [plain(row) for row in items]
        return Array([x for row in rows for x in row], (len(rows), len(rows[0])))
    return Array(items if dtype is None else [dtype(x) for x in items])


def asarray(values: Any, dtype: Any = None) -> Any:
    """As it is, if it is one."""
    return values if isinstance(values, (Array, float, int)) else array(values, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Array:
    """From `start` in steps."""
    start, stop = (0, start) if stop is None else (start, stop)
    values: list[Any] = [start + at * step for at in range(max(0, math.ceil((stop - start) / step)))]
    return Array(values if dtype is None else [dtype(x) for x in values])


def zeros(size: int, dtype: Any = float) -> Array:
    """Zeros."""
    return Array([dtype(0)] * size)


empty = zeros


def ones(size: int, dtype: Any = float) -> Array:
    """Ones."""
    return Array([dtype(1)] * size)


def logspace(start: float, stop: float, num: int) -> Array:
    """Powers of ten with evenly spaced exponents."""
    return Array([10.0 ** (start + (stop - start) * at / (num - 1)) for at in range(num)])


def geomspace(start: float, stop: float, num: int) -> Array:
    """From `start` to `stop` in equal ratios."""
    low, high = math.log10(start), math.log10(stop)
    inner = [10.0 ** (low + (high - low) * at / (num - 1)) for at in range(1, num - 1)]
    return Array([start, *inner, stop])


def concatenate(parts: Sequence[Any]) -> Array:
    """One after the other."""
    return Array([x for part in parts for x in plain(part)])


def where(chosen: Array, yes: Any, no: Any) -> Array:
    """`yes` where chosen, else `no`."""
    size = len(chosen.values)
    left, right = (plain(x) if isinstance(x, Array) else [x] * size for x in (yes, no))
    return Array([a if keep else b for keep, a, b in zip(chosen.values, left, right, strict=True)], chosen.shape)


def clip(values: Any, low: Any, high: Any) -> Any:
    """Within bounds."""
    return minimum(maximum(values, low), high)


def cumsum(values: Any) -> Array:
    """Running total."""
    return Array(list(itertools.accumulate(plain(values))))


def diff(values: Any) -> Array:
    """Each value less the one before."""
    items = plain(values)
    return Array([b - a for a, b in itertools.pairwise(items)])


def dot(left: Any, right: Any) -> Any:
    """Sum of products."""
    return _total(list(map(operator.mul, plain(left), plain(right))))


def roll(values: Any, by: int) -> Array:
    """Turned around a circle."""
    items = plain(values)
    at = -by % len(items)
    return Array(items[at:] + items[:at])


def bincount(places: Any, weights: Any, minlength: int = 0) -> Array:
    """Weights added up by place."""
    at = plain(places)
    found = [0.0] * max(minlength, max(at) + 1)
    for place, weight in zip(at, plain(weights), strict=True):
        found[place] += weight
    return Array(found)


def searchsorted(values: Any, wanted: Any, side: str = "left") -> Array:
    """Where each value would go."""
    items, find = plain(values), bisect.bisect_right if side == "right" else bisect.bisect_left
    return Array([find(items, x) for x in plain(wanted)])


def flatnonzero(chosen: Any) -> Array:
    """Places of what is true."""
    return Array([at for at, keep in enumerate(plain(chosen)) if keep])


def nonzero(chosen: Array) -> tuple[Array, ...]:
    """Places of what is true, by dimension."""
    flat = flatnonzero(chosen)
    if len(chosen.shape) == 1:
        return (flat,)
    width = chosen.shape[1]
    return Array([at // width for at in flat.values]), Array([at % width for at in flat.values])


def argmax(values: Any) -> int:
    """Place of the first largest."""
    items = plain(values)
    return items.index(max(items))


def argmin(values: Any) -> int:
    """Place of the first smallest."""
    items = plain(values)
    return items.index(min(items))


def _each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(values: Any) -> Any:
        if isinstance(values, Array):
            return Array(list(map(function, values.values)), values.shape)
        return array([function(x) for x in values]) if isinstance(values, (list, tuple)) else function(values)

    return apply


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def _log1p(x: float) -> float:
    return math.log1p(x) if x > -1 else -math.inf if x == -1 else math.nan


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _floor(x: float) -> float:
    return float(math.floor(x)) if math.isfinite(x) else x


def _log_of_sum(a: float, b: float) -> float:
    high, low = (a, b) if a > b else (b, a)
    return high if low == -math.inf or high == math.inf else high + math.log1p(_exp(low - high))


exp, expm1, log, log1p, sqrt, floor, isinf = map(_each, (_exp, _expm1, _log, _log1p, _sqrt, _floor, math.isinf))


def logaddexp(left: Any, right: Any) -> Any:
    """log(e^a + e^b)."""
    if isinstance(left, Array):
        return left._with(right, _log_of_sum)
    return right._with(left, _log_of_sum) if isinstance(right, Array) else _log_of_sum(left, right)


def errstate(**_: str) -> AbstractContextManager[None]:
    """Nothing warns here."""
    return nullcontext()


class _Windows:
    """Every run of `width` neighbours; rows are cut when they are asked for."""

    def __init__(self, values: Array, width: int) -> None:
        self._values, self._width = values.values, width

    def __getitem__(self, rows: Array) -> Array:
        width = self._width
        cells = [x for at in rows.values for x in self._values[at : at + width]]
        return Array(cells, (len(rows.values), width))


lib = SimpleNamespace(stride_tricks=SimpleNamespace(sliding_window_view=_Windows))


def __getattr__(name: str) -> Any:
    """`max` and `min`, which would hide the builtins above."""
    if name not in ("max", "min"):
        raise AttributeError(f"this stand-in has no {name}")
    return lambda values, axis=None: getattr(array(values), name)(axis)


def _divide(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _total(values: Sequence[Any]) -> Any:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def _spread(left: Array, right: Array) -> tuple[list[Any], list[Any], tuple[int, ...]]:
    """Both in the shape that numpy would give them."""
    if len(left.shape) == len(right.shape) == 1:
        size = max(left.shape[0], right.shape[0])
        if {left.shape[0], right.shape[0]} != {1, size}:
            raise ValueError("the shapes do not fit")
        return *(x.values if len(x.values) == size else x.values * size for x in (left, right)), (size,)  # type: ignore[return-value]
    flat = [(x.values, (1, x.shape[0]) if len(x.shape) == 1 else x.shape) for x in (left, right)]
    rows, width = (max(flat[0][1][axis], flat[1][1][axis]) for axis in (0, 1))
    spread = []
    for values, (high, wide) in flat:
        if high not in (1, rows) or wide not in (1, width):
            raise ValueError("the shapes do not fit")
        across = values if wide == width else [x for x in values for _ in range(width)]
        spread.append(across if high == rows else across * rows)
    return spread[0], spread[1], (rows, width)
