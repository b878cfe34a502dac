"""What a codec does to a raw cell, as data: so that a warehouse can do it where the cells are.

`Codec.encode` runs in this process. An engine cannot run it, but nearly every codec is one of three maps that each
engine has: a *look-up* of listed values, a *step function* of an ordered raw value, or *ticks* of a grid. `recipe`
gives that map. Raw values are what each engine holds exactly: text, 64-bit integers, doubles, truth values; days since
1970 for dates and microseconds since 1970 for datetimes.

Thresholds of step functions are not derived by algebra: they are found by bisection with the codec itself as the
oracle (`thresholds`), over all 2^64 raw values. So engine and memory cannot round differently; engines only compare.

>>> thresholds(lambda x: np.rint(np.clip(x, 0, 9) * 10), "float", np.array([1, 2])).tolist()   # half to even
[0.05000000000000001, 0.15]

Not guaranteed: that any codec has a recipe. One without is refused by name (`UnsupportedByEngine`), never approximated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Kind = Literal["string", "integer", "float", "boolean", "date", "datetime"]
DAY_MICROSECONDS = 86_400 * 10**6
_MOST = int(np.float64(np.finfo(np.float64).max).view(np.int64))


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """Listed values to codes.

    Attributes:
        kind: string, integer or boolean.
        values: the listed values, distinct.
        codes: their codes, int64, same length.
        prefixes: texts that begin with one and are not listed have its code; the longest that fits counts.
        prefix_codes: int64, one for each prefix.
        otherwise: code of any other cell that is not missing; -1 if there is none.
    """

    kind: Kind
    values: tuple[Any, ...]
    codes: NDArray[np.int64]
    prefixes: tuple[str, ...] = ()
    prefix_codes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    otherwise: int = -1


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """A step function of the raw value: `codes[number of thresholds <= value]`.

    Attributes:
        kind: of the raw value; any but string and boolean.
        thresholds: ascending, int64, or float64 where the kind is float.
        codes: int64, one more than thresholds; -1 is missing.
    """

    kind: Kind
    thresholds: NDArray[Any]
    codes: NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Ticks of a grid, rounded and clamped as `GridDomain.encode` does: `tick - low`.

    Attributes:
        kind: of the raw value.
        low: first tick.
        high: last tick.
        unit: raw integers a tick; 1 for floats.
        numerator: of a float's tick.
        denominator: of a float's tick.
        reach: floats only: raw values that are ticks `low` and `high`; all beyond are clamped to them first.
    """

    kind: Kind
    low: int
    high: int
    unit: int = 1
    numerator: int = 1
    denominator: int = 1
    reach: tuple[float, float] = (0.0, 0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Decimal places of a number, 0 to `most`, as `mechanisms.decimals.decimal_places` counts them."""

    most: int
    kind: Kind = "float"


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickPart:
    """A part of the tick (weekday, day, month, clock, round) where `counted` is 1, else missing.

    Attributes:
        part: which.
        ticks: the grid.
        counted: 1 where the row lies in an interval, -1 elsewhere.
        units: of `round`: ascending, each divides the next; the position of the largest that divides a tick.
        day: ticks a day, of calendar parts.
        second: ticks a second, of `clock`.
        minutes: of `clock`: class of roundness of each whole minute of an hour, shape (60,); 4 is a whole second and
            5 anything finer.
    """

    part: str
    ticks: Ticks
    counted: Steps
    units: tuple[int, ...] = ()
    day: int = 1
    second: int = 1
    minutes: tuple[int, ...] = ()

    @property
    def kind(self) -> Kind:
        """Of the raw value."""
        return self.ticks.kind


Recipe: TypeAlias = Lookup | Steps | Ticks | Places | TickPart


@runtime_checkable
class Pushable(Protocol):
    """A codec that an engine can run."""

    @property
    def size(self) -> int:
        """Number of codes, missing not counted."""

    def recipe(self) -> Recipe:
        """The map from raw cells to codes."""


@runtime_checkable
class Coarsening(Protocol):
    """A codec whose codes are those of another, merged: it can be run on that one's codes."""

    @property
    def size(self) -> int:
        """Number of codes, missing not counted."""

    @property
    def fine(self) -> Pushable:
        """The other codec."""

    @property
    def merged(self) -> NDArray[np.int64]:
        """Code of each of its codes, missing not counted."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnCodes:
    """What a coarsening does to the other's codes, whose missing is the last.

    Attributes:
        size: number of codes, missing not counted.
        merged: code of each fine code, int64.
    """

    size: int
    merged: NDArray[np.int64]

    def encode(self, values: Any) -> NDArray[np.int64]:
        """Of fine codes, shape (rows,)."""
        codes: NDArray[np.int64] = np.append(self.merged, -1)[np.asarray(values)]
        return codes

    def recipe(self) -> Steps:
        """A step at every fine code, and one at missing."""
        codes = np.append(self.merged, -1)
        changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        return Steps(kind="integer", thresholds=changes, codes=np.append(codes[:1], codes[changes]))


def renumbered(recipe: Lookup | Steps, code_of: NDArray[np.int64]) -> Lookup | Steps:
    """The recipe whose codes are `code_of[code]`."""
    table = np.append(code_of, -1)
    if isinstance(recipe, Lookup):
        return replace(
            recipe,
            codes=table[recipe.codes],
            prefix_codes=table[recipe.prefix_codes],
            otherwise=int(table[recipe.otherwise]),
        )
    codes = table[recipe.codes]
    changes = codes[1:] != codes[:-1]
    return Steps(
        kind=recipe.kind, thresholds=recipe.thresholds[changes], codes=np.append(codes[:1], codes[1:][changes])
    )


def thresholds(codes_of: Callable[[NDArray[Any]], NDArray[Any]], kind: Kind, cuts: NDArray[np.int64]) -> NDArray[Any]:
    """The smallest raw value whose code is at least each cut; cuts that no value reaches are left out.

    Args:
        codes_of: raw values (int64; float64 where the kind is float), shape (n,), to codes; never falling.
        kind: of the raw value.
        cuts: ascending codes, int64.

    Returns:
        int64 or float64, ascending, at most as many as cuts.
    """
    is_float = kind == "float"
    lowest, highest = (-_MOST, _MOST) if is_float else (-(2**63), 2**63 - 1)
    if kind == "date":
        lowest, highest = -(2**31), 2**31 - 1

    def raw(keys: NDArray[np.int64]) -> NDArray[Any]:
        return _double_of(keys) if is_float else keys

    reached = codes_of(raw(np.array([highest])))[0]
    cuts = cuts[cuts <= reached]
    below, at = np.full(len(cuts), lowest), np.full(len(cuts), highest)
    while (below < at).any():
        middle = (below & at) + ((below ^ at) >> 1)  # the mean, rounded down, without overflow
        enough = codes_of(raw(middle)) >= cuts
        at = np.where(enough, middle, at)
        below = np.where(enough, below, middle + (below < at))
    return raw(at)


def _double_of(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """The finite double at each place in their order: 0 at 0, the smallest above it at 1, its negative at -1."""
    size = np.abs(keys).view(np.float64)
    return np.where(keys < 0, -size, size)
