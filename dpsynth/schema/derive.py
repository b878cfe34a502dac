"""Domains that the schema leaves open, derived with differential privacy and charged.

What the schema declares costs nothing. Every question that it leaves open is one event:

- categories: partition selection on the values that occur, and on the prefixes of hierarchical codes (`categories`);
  released values plus an outcome for all others;
- bounds of integers and floats: a noisy histogram over signed powers of two (`mechanisms.bounds`);
- bounds of dates and datetimes: a noisy histogram over calendar years 1800-2200, with one bin on either side;
- decimal places of floats: a noisy histogram over 0-12 places (`mechanisms.decimals`), also where bounds are public.

Noise and thresholds are fixed in advance, from the schema alone, so the plan is the same for every table. Missing
cells belong to no bin and are an outcome of every domain.

Margin: derived bounds are powers of two (or whole years), so up to twice too wide; rows beyond them, fewer than the
noise of a bin or two, are clamped into them. Not guaranteed: a good range where rows are few for the noise (`ranges`);
that a category held by few rows is found; it becomes "other".

>>> from dpsynth.schema.model import EXACT_FLOAT_TICKS, ColumnSpec, Schema
>>> plan_derive(Schema(columns={"age": ColumnSpec(kind="integer", min=0, max=110)}), None)
()
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian, Event
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.arrow_numpy import missing_of, values_of
from dpsynth.data.lazy_counts import LazyCounts
from dpsynth.data.recipe import DAY_MICROSECONDS, Places, Steps, thresholds
from dpsynth.data.table import Codec, CountTable
from dpsynth.mechanisms.bounds import BINS, FINEST, bin_edges, occupied_magnitudes, occupied_range, signed_log2_bin
from dpsynth.mechanisms.decimals import PLACE_BINS, decimal_places, occupied_places
from dpsynth.mechanisms.measured import once
from dpsynth.schema.categories import DeriveNoise, derive_categories, selection_event, selection_levels
from dpsynth.schema.domain import EPOCH, Domain, grid, known_domain, scale_of
from dpsynth.schema.model import EXACT_FLOAT_TICKS, ColumnSpec, Schema

FIRST_YEAR, LAST_YEAR = 1800, 2200
_YEAR_PRIOR = np.abs(np.arange(FIRST_YEAR - 1, LAST_YEAR + 2) - 2010) / 20.0
"""Before any data is seen, a range that ends in 2010 is likeliest; each 20 years from there cost 1 (log scale)."""
Question = Literal["categories", "bounds", "places"]


def unknown_columns(schema: Schema) -> tuple[str, ...]:
    """Modelled columns whose domain has to be derived, wholly or in part."""
    return tuple(name for name in schema.modelled if not schema.columns[name].known)


def open_questions(schema: Schema) -> tuple[tuple[str, Question], ...]:
    """(column, question) for each event of `derive`, in time order. A column of floats may have two."""
    return tuple((name, question) for name in unknown_columns(schema) for question in _questions(schema.columns[name]))


def plan_derive(schema: Schema, allotment: DeriveNoise | None) -> tuple[Event, ...]:
    """The events that `derive` will spend, one per open question, from public facts alone.

    Raises:
        ParameterError: a column is unknown and nothing was allotted.
    """
    questions = open_questions(schema)
    if questions and allotment is None:
        raise ParameterError(
            "The schema leaves domains open, and no budget was allotted to derive them.",
            "Declare the domains in the schema, or plan with a share for derivation.",
        )
    return tuple(_event(question, allotment) for _, question in questions if allotment is not None)


def derive(
    table: CountTable,
    schema: Schema,
    allotment: DeriveNoise | None,
    *,
    noise: NoiseSource,
    progress: Progress = silent,
) -> tuple[Mapping[str, Domain], tuple[Event, ...]]:
    """Domains of all modelled columns.

    Args:
        table: the private rows, at most `allotment.max_records` of each unit; asked once, for all columns.
        schema: what is public.
        allotment: noise for the open questions; None if there are none.
        noise: uniform words.
        progress: called once a column.

    Returns:
        Column -> domain in the schema's order, and the events spent: those of `plan_derive`.
    """
    domains: dict[str, Domain] = {}
    events: list[Event] = []
    unknown, done = unknown_columns(schema), 0
    plan_derive(schema, allotment)
    counted = LazyCounts(table, {name: _asked(schema.columns[name]) for name in unknown})
    for name in schema.modelled:
        spec = schema.columns[name]
        domain = known_domain(spec)
        if domain is None and allotment is not None:
            domain, spent = _derive_column(counted, name, spec, allotment, noise)
            events.extend(spent)
            done += 1
            progress("derive domains", done, len(unknown))
        if domain is not None:
            domains[name] = domain
    return domains, tuple(events)


def _questions(spec: ColumnSpec) -> tuple[Question, ...]:
    if spec.known:
        return ()
    if spec.kind == "categorical":
        categories: tuple[Question, ...] = ("categories",)
        return categories * selection_levels(spec)
    bounds: tuple[Question, ...] = ("bounds",) if spec.min is None else ()
    return (*bounds, "places") if spec.kind == "float" and spec.precision is None else bounds


def _event(question: Question, allotment: DeriveNoise) -> Event:
    if question == "categories":
        return selection_event(allotment)
    return DiscreteGaussian(sigma=allotment.sigma, l2_sensitivity=Decimal(allotment.max_records))


def _asked(spec: ColumnSpec) -> tuple[Codec | None, ...]:
    """What a column's values are counted by: themselves for categories, bins of bounds, decimal places."""
    questions = _questions(spec)
    if "categories" in questions:
        return (None,)
    bounds = (_bounds_codec(spec),) if "bounds" in questions else ()
    return (*bounds, _PlacesCodec()) if "places" in questions else bounds


def _derive_column(
    counted: LazyCounts, name: str, spec: ColumnSpec, allotment: DeriveNoise, noise: NoiseSource
) -> tuple[Domain, list[Event]]:
    """The domain, from the answers to `_asked`."""
    questions, events = _questions(spec), list[Event]()
    if "categories" in questions:
        return derive_categories(lambda: counted.of(name)[0], name, spec, allotment, noise)
    low: Any = spec.min
    high: Any = spec.max
    places: int | None = None
    if "bounds" in questions:
        low, high, event = _bounds(counted, name, spec, allotment, noise)
        events.append(event)
    if "places" in questions:

        def measure() -> tuple[int | None, Event]:
            counts = counted.of(name)[-1].histogram(PLACE_BINS)
            return occupied_places(
                counts[:-1], sigma=allotment.sigma, noise=noise, l2_sensitivity=allotment.max_records
            )

        places, event = once(noise, f"decimal places of {name}", measure)
        events.append(event)
    return grid(spec, low, high, places), events


def _bounds_codec(spec: ColumnSpec) -> _YearCodec | _MagnitudeCodec:
    if spec.kind in ("date", "datetime"):
        return _YearCodec("date" if spec.kind == "date" else "datetime")
    return _MagnitudeCodec()


def _bounds(
    counted: LazyCounts, name: str, spec: ColumnSpec, allotment: DeriveNoise, noise: NoiseSource
) -> tuple[Any, Any, Event]:
    scale: dict[str, Any] = {"sigma": allotment.sigma, "noise": noise, "l2_sensitivity": allotment.max_records}
    codec = _bounds_codec(spec)

    def measure() -> tuple[tuple[int, int], Event]:
        counts = counted.of(name)[0].histogram(codec.size)
        if isinstance(codec, _YearCodec):
            return occupied_range(counts[:-1], prior=_YEAR_PRIOR, **scale)
        finest = 1.0 if spec.kind == "integer" else FINEST if spec.precision is None else 10.0**-spec.precision
        return occupied_magnitudes(counts[:-1], finest=finest, **scale)

    (first, last), event = once(noise, f"bounds of {name}", measure)
    return codec.edges(first, spec)[0], codec.edges(last, spec)[1], event


@final
class _MagnitudeCodec:
    """Numbers to signed powers of two."""

    size = BINS

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        numbers, missing = _numbers(values)
        return np.where(missing, -1, signed_log2_bin(numbers))

    def recipe(self) -> Steps:
        cuts = thresholds(signed_log2_bin, "float", np.arange(1, self.size))
        return Steps(kind="float", thresholds=cuts, codes=np.arange(len(cuts) + 1))

    def edges(self, at: int, spec: ColumnSpec) -> tuple[Any, ...]:
        low, high = bin_edges(at)
        if spec.kind == "integer":
            largest = 2**62 - 1  # so that the widest grid has fewer than 2^63 ticks
            return tuple(min(max(edge, -largest), largest) for edge in (math.floor(low), math.ceil(high)))
        limit = float(EXACT_FLOAT_TICKS * scale_of(spec)) if spec.precision is not None else 2.0**64
        return tuple(min(max(edge, -limit), limit) for edge in (low, high))


@final
class _PlacesCodec:
    """Numbers to the decimal places that they have."""

    size = PLACE_BINS

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        numbers, missing = _numbers(values)
        return np.where(missing, -1, decimal_places(numbers))

    def recipe(self) -> Places:
        return Places(most=self.size - 1)


@final
class _YearCodec:
    """Dates and datetimes to calendar years, everything earlier or later to one bin on either side."""

    size = LAST_YEAR - FIRST_YEAR + 3

    def __init__(self, kind: Literal["date", "datetime"]) -> None:
        self.kind = kind

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        years = values_of(pc.year(values)).astype(np.int64)
        return np.where(missing_of(values), -1, np.clip(years - FIRST_YEAR + 1, 0, self.size - 1))

    def recipe(self) -> Steps:
        days = np.array([(date(year, 1, 1) - EPOCH).days for year in range(FIRST_YEAR, LAST_YEAR + 2)], dtype=np.int64)
        cuts = days if self.kind == "date" else days * DAY_MICROSECONDS
        return Steps(kind=self.kind, thresholds=cuts, codes=np.arange(self.size))

    def edges(self, at: int, spec: ColumnSpec) -> tuple[Any, ...]:
        first = 1 if at == 0 else FIRST_YEAR + at - 1
        last = 9999 if at == self.size - 1 else FIRST_YEAR + at - 1
        if spec.kind == "date":
            return date(first, 1, 1), date(last, 12, 31)
        # A datetime column holds microseconds in 64 bits, which covers all years 1-9999.
        whole = Fraction(1, 10 ** (spec.precision or 0)) >= 1
        return datetime(first, 1, 1), datetime(last, 12, 31, 23, 59, 59, 0 if whole else 999_999)


def _numbers(values: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The cells as doubles, 0 where missing, and which are missing (null or NaN)."""
    cells = values.cast(pa.float64(), safe=False)
    numbers = values_of(cells)
    missing = missing_of(cells) | np.isnan(numbers)
    return np.where(missing, 0.0, numbers), missing
