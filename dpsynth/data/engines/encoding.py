"""From recipes to ibis: what each codec does, in the engine's own words.

One rule for all: a code is a 64-bit integer, and missing is `size`, the last cell of a histogram. Look-ups are joins
with public tables (a hundred thousand categories are one join), step functions are balanced trees of comparisons, ticks
are integer arithmetic. Doubles are written as text and cast, since a literal such as 0.1 is a decimal in SQL.

>>> import ibis
>>> steps = Steps(kind="integer", thresholds=np.array([5, 9]), codes=np.array([0, 1, 2]))
>>> rows = ibis.table({"x": "int64"}, name="t")
>>> found = rows.select(code=coded(steps, Cell(value=rows.x, engine=None, size=3)))
>>> " ".join(str(ibis.to_sql(found, dialect="duckdb")).replace("CAST(", "").replace(" AS BIGINT)", "").split())
'SELECT CASE WHEN "t0"."x" < 5 THEN 0 ELSE CASE WHEN "t0"."x" < 9 THEN 1 ELSE 2 END END AS "code" FROM "t" AS "t0"'

Not guaranteed: speed on every engine; the numbers in docs/concepts/engines.md are DuckDB's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from types import MappingProxyType
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import array_of, literals
from dpsynth.data.engines.protocol import Engine, Field, UnsupportedByEngine
from dpsynth.data.recipe import DAY_MICROSECONDS, Kind, Lookup, Places, Pushable, Recipe, Steps, TickPart, Ticks
from dpsynth.data.table import Codec
from dpsynth.data.warning import shown

RAW: Mapping[Kind, str] = {
    "string": "string",
    "integer": "int64",
    "float": "float64",
    "boolean": "boolean",
    "date": "int64",
    "datetime": "int64",
}
"""Kind -> ibis type of its raw cells."""
FEW = 8
"""Look-ups of up to so many values are comparisons, of more a join."""
JOINS, NOT_MANY = 16, 64
"""Beyond so many joins in a statement, look-ups of up to so many values are comparisons too: DuckDB planned 98 joins
for 10 CPU s, whatever the rows; comparisons were a tenth slower on ten million rows of Adult."""
SMALLEST: Mapping[str, tuple[str, int]] = MappingProxyType({"duckdb": ("uint8", 2**8), "pyspark": ("int8", 2**7)})
"""Dialect -> type of one byte and the first number beyond it; SQL has no such type. 15 codes of DuckDB shrank from 34
to 19 bytes a row, and pairs of them were counted in a fifth less time."""
HIGHEST = 2**63


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a recipe is applied to.

    Attributes:
        value: ibis column of raw cells, of the recipe's kind.
        engine: for what ibis has no exact word for.
        size: the code of missing.
        found: joined columns: one for the listed values, then one for each length of prefix, longest first.
        stage: makes a column of an expression, so that what uses it twice does not spell it twice.
    """

    value: Any
    engine: Any
    size: int
    found: tuple[Any, ...] = field(default=())
    stage: Callable[[Any], Any] = field(default=lambda value: value)


def recipe_of(name: str, codec: Codec) -> Recipe:
    """The recipe of a column's codec.

    Raises:
        UnsupportedByEngine: the codec has none.
    """
    if not isinstance(codec, Pushable):
        raise UnsupportedByEngine(
            f"The codec {type(codec).__name__} of column {shown(name)} cannot be run by an engine.",
            "Use a generator that counts codes of its own binnings, or load the table into memory.",
        )
    return codec.recipe()


def relation_of(name: str, fields: Iterable[Field]) -> Any:
    """The ibis table of raw cells of that name."""
    import ibis

    return ibis.table({field.cell: RAW[field.kind] for field in fields}, name=name)


def encoded(
    engine: Engine, relation: Any, asked: Sequence[tuple[str, str, Field, Codec | None]]
) -> tuple[str, tuple[str, ...]]:
    """The query that gives codes, and the uploads that it joins.

    Args:
        engine: where the rows are.
        relation: ibis table of raw cells.
        asked: for each column of codes: the name it gets, the table's name for the column, where it is, the codec
            (None for the raw cells).
    """
    import ibis

    rows, uploads = relation, []
    joined: dict[str, list[str]] = {}
    recipes = [None if codec is None else recipe_of(name, codec) for _, name, _, codec in asked]
    few = FEW if sum(len(_mappings(own, FEW)) for own in recipes if isinstance(own, Lookup)) <= JOINS else NOT_MANY
    for recipe, (alias, name, where, codec) in zip(recipes, asked, strict=True):
        joined[alias] = []
        if codec is None or not isinstance(recipe, Lookup):
            continue
        for at, (cut, keys, codes) in enumerate(_mappings(recipe, few)):
            key, code = f"k{at}_{alias}", f"v{at}_{alias}"
            last = np.array(_last(codes, codec.size), dtype=np.int64)
            public = engine.upload(pa.table({key: keys, code: array_of(last, pa.int64())}))
            uploads.append(public)
            own_type = "string" if pa.types.is_string(keys.type) else "int64"
            other = ibis.table({key: own_type, code: "int64"}, name=public)
            own = _as(rows[where.cell], where.kind, recipe.kind, name, codec)
            rows = rows.left_join(other, (own if cut is None else own.left(cut)) == other[key])
            joined[alias].append(code)
    columns = {}
    numbers = itertools.count()

    def stage(value: Any) -> Any:
        nonlocal rows
        name = f"s{next(numbers)}"
        rows = rows.mutate(**{name: value})
        return rows[name]

    for recipe, (alias, name, where, codec) in zip(recipes, asked, strict=True):
        if codec is None or recipe is None:
            columns[alias] = rows[where.cell]
            continue
        cell = Cell(
            value=_as(rows[where.cell], where.kind, recipe.kind, name, codec),
            engine=engine,
            size=codec.size,
            found=tuple(rows[code] for code in joined[alias]),
            stage=stage,
        )
        columns[alias] = _present(cell, coded(recipe, cell)).cast(narrow(codec.size, engine.dialect))
    return str(ibis.to_sql(rows.select(**columns), dialect=engine.dialect)), tuple(uploads)


@singledispatch
def coded(recipe: Any, _: Cell) -> Any:
    """Ibis: the code of a cell that is not missing; what the result is for missing cells does not matter."""
    raise UnsupportedByEngine(f"A recipe of type {type(recipe).__name__} is unknown to the engines.")


@coded.register
def _lookup(recipe: Lookup, cell: Cell) -> Any:
    import ibis

    otherwise = _literal(recipe.otherwise if recipe.otherwise >= 0 else cell.size)
    if cell.found:
        return ibis.coalesce(*cell.found, otherwise)
    branches = [
        (cell.value == _literal(value, recipe.kind), _literal(code))
        for value, code in zip(recipe.values, _last(recipe.codes, cell.size), strict=True)
    ]
    return ibis.cases(*branches, else_=otherwise) if branches else otherwise


@coded.register
def _steps(recipe: Steps, cell: Cell) -> Any:
    import ibis

    codes = _last(recipe.codes, cell.size)
    cuts = recipe.thresholds.tolist()

    def tree(first: int, last: int) -> Any:
        if first == last:
            return _literal(codes[first])
        middle = (first + last + 1) // 2
        return ibis.ifelse(
            cell.value < _literal(cuts[middle - 1], recipe.kind), tree(first, middle - 1), tree(middle, last)
        )

    return tree(0, len(cuts))


@coded.register
def _ticks(recipe: Ticks, cell: Cell) -> Any:
    import ibis

    span = recipe.high - recipe.low
    if not span:
        return _literal(0)
    if recipe.kind == "float":
        low, high = (_literal(end, "float") for end in recipe.reach)
        held = ibis.ifelse(cell.value < low, low, ibis.ifelse(cell.value > high, high, cell.value))
        scaled = held * _literal(float(recipe.denominator), "float") / _literal(float(recipe.numerator), "float")
        steps = cell.engine.nearest(scaled).cast("int64")
        return _clamped(steps, recipe.low, recipe.high) - recipe.low
    unit = recipe.unit
    if (span + 1) * unit >= HIGHEST:
        raise UnsupportedByEngine("A grid of wide ticks covers more than 64 bits.", "Use narrower bounds.")
    offset = _clamped(cell.value, recipe.low * unit, recipe.high * unit) - recipe.low * unit
    if unit == 1:
        return offset
    up = ibis.ifelse(offset % unit >= (unit + 1) // 2, _literal(1), _literal(0))
    rounded = cell.engine.quotient(offset, unit) + up
    return ibis.ifelse(rounded > span, _literal(span), rounded)


@coded.register
def _places(recipe: Places, cell: Cell) -> Any:
    import ibis

    branches = []
    for places in range(recipe.most):
        power = _literal(10.0**places, "float")
        whole = cell.engine.nearest(cell.value * power)
        branches.append((whole / power == cell.value, _literal(places)))
    huge = cell.value.abs() >= _literal(2.0**53, "float")  # whole; and a product beyond the doubles is an error in SQL
    return ibis.cases((huge, _literal(0)), *branches, else_=_literal(recipe.most))


@coded.register
def _tick_part(recipe: TickPart, cell: Cell) -> Any:
    import ibis

    tick = cell.stage(coded(recipe.ticks, cell) + recipe.ticks.low)
    if recipe.part == "round":
        units = list(enumerate(recipe.units))
        part = ibis.cases(*((tick % unit == 0, _literal(at)) for at, unit in reversed(units)), else_=_literal(0))
    elif recipe.part == "clock":
        part = _clock(recipe, tick, cell.engine)
    else:
        part = _calendar(recipe.part, cell.stage(_floor(tick, recipe.day, recipe.ticks, cell.engine)), cell)
    return ibis.ifelse(coded(recipe.counted, cell) == 1, part, _literal(cell.size))


def _clock(recipe: TickPart, tick: Any, engine: Engine) -> Any:
    import ibis

    minute, hour = 60 * recipe.second, 3600 * recipe.second
    day = 24 * hour
    of_day = (tick % day + day) % day
    at = engine.quotient(of_day % hour, minute)
    classes = np.array(recipe.minutes)
    by_minute = ibis.cases(
        *(
            (at.isin([int(m) for m in np.flatnonzero(classes == which)]), _literal(int(which)))
            for which in np.unique(classes)
        ),
        else_=_literal(5),
    )
    finer = ibis.ifelse(of_day % recipe.second == 0, _literal(4), _literal(5)) if recipe.second > 1 else _literal(4)
    return engine.quotient(of_day, hour) * 6 + ibis.ifelse(of_day % minute == 0, by_minute, finer)


def _calendar(part: str, days: Any, cell: Cell) -> Any:
    """Weekday, day or month of days since 1970, by whole numbers alone.

    The year begins on 1 March here, so that leap days come last (Hinnant, chrono-compatible date algorithms, 2013).
    """
    import ibis

    engine, stage = cell.engine, cell.stage
    if part == "weekday":
        return ((days + 3) % 7 + 7) % 7
    of_era = stage(((days + 719_468) % 146_097 + 146_097) % 146_097)
    year = engine.quotient(
        of_era - engine.quotient(of_era, 1_460) + engine.quotient(of_era, 36_524) - engine.quotient(of_era, 146_096),
        365,
    )
    year = stage(year)
    of_year = stage(of_era - (365 * year + engine.quotient(year, 4) - engine.quotient(year, 100)))
    from_march = stage(engine.quotient(5 * of_year + 2, 153))
    month = ibis.ifelse(from_march < 10, from_march + 2, from_march - 10)
    if part == "month":
        return month
    day = of_year - engine.quotient(153 * from_march + 2, 5)
    return ibis.ifelse((day == 0) & (month == 0), _literal(31), day)


def _floor(tick: Any, unit: int, ticks: Ticks, engine: Engine) -> Any:
    """Ticks of `unit` each, rounded down; ticks before 1970 are lifted above zero first."""
    if unit == 1:
        return tick
    lift = -(-max(-ticks.low, 0) // unit)
    return engine.quotient(tick + lift * unit, unit) - lift


def _mappings(recipe: Lookup, few: int) -> list[tuple[int | None, pa.Array, NDArray[np.int64]]]:
    """(None or length of the prefix, keys, codes) of each join; none where comparisons do, as of few values."""
    if (len(recipe.values) <= few and not recipe.prefixes) or recipe.kind == "boolean":
        return []
    kind = pa.string() if recipe.kind == "string" else pa.int64()
    found: list[tuple[int | None, pa.Array, NDArray[np.int64]]] = [
        (None, literals(list(recipe.values), kind), recipe.codes)
    ]
    for length in sorted({len(prefix) for prefix in recipe.prefixes}, reverse=True):
        first = {prefix: at for at, prefix in reversed(list(enumerate(recipe.prefixes))) if len(prefix) == length}
        own = list(first.values())  # each once: a join may never repeat a row
        found.append((length, literals([recipe.prefixes[at] for at in own], kind), recipe.prefix_codes[own]))
    return found


def _as(value: Any, kind: Kind, wanted: Kind, name: str, codec: Codec) -> Any:
    """A raw cell as another kind, where every engine agrees what that is."""
    if kind == wanted:
        return value
    if (kind, wanted) in {("integer", "float"), ("integer", "string"), ("boolean", "string")}:
        return value.cast(RAW[wanted])
    if (kind, wanted) == ("date", "datetime"):
        return value * DAY_MICROSECONDS
    raise UnsupportedByEngine(
        f"The codec {type(codec).__name__} reads {wanted} cells, and column {shown(name)} holds {kind} cells.",
        "Declare the column in the schema as what the engine holds, or cast it in a view.",
    )


def _present(cell: Cell, code: Any) -> Any:
    import ibis

    return ibis.ifelse(cell.value.isnull(), _literal(cell.size), code)


def _clamped(value: Any, low: int, high: int) -> Any:
    import ibis

    return ibis.ifelse(value < low, _literal(low), ibis.ifelse(value > high, _literal(high), value))


def _last(codes: NDArray[np.int64], size: int) -> list[int]:
    """Codes with missing as `size`."""
    return np.where(codes < 0, size, codes).tolist()  # type: ignore[no-any-return]


def _literal(value: Any, kind: Kind = "integer") -> Any:
    import ibis

    if kind == "float":
        return ibis.literal(repr(float(value))).cast("float64")
    return ibis.literal(value, type=RAW[kind])


def narrow(size: int, dialect: str) -> str:
    """The smallest type that the engine has for 0 … size."""
    smallest, below = SMALLEST.get(dialect, ("int16", 2**15))
    return smallest if size < below else "int16" if size < 2**15 else "int32" if size < 2**31 else "int64"
