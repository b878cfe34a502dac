"""Rows on request: under a condition, in equal shares of a class, or around cells that are known already.

    model.sample(1000, rng, given={"sex": "f", "income": Between(50_000, None)})
    model.sample(1000, rng, balance="died")            # as many rows of every value of a column
    model.complete(table_with_gaps, rng)               # known cells stay, the others are drawn given them

All of it reads the model alone, so it is post-processing and costs no budget, whatever is asked and however often. The
law is the model's own: exact on forests (`conditional_forest`), by the same sampler on record tables
(`conditional_records`). A model is noisy, so the rows of a rare condition are mostly noise: `share` says how many rows
of the model's own size would meet it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.arrow_numpy import array_of
from dpsynth.schema.domain import Domain
from dpsynth.tabular.columns.decoding import draw_values
from dpsynth.tabular.conditions.evidence import draw_allowed, shares_of_codes
from dpsynth.tabular.conditions.given import Allowed, Given, allowed_words, conditions
from dpsynth.tabular.constraints.allowed import Allowed as RowSets
from dpsynth.tabular.constraints.allowed import Lists
from dpsynth.tabular.forests.tree import Vector

if TYPE_CHECKING:
    from dpsynth.tabular.columns.binning import Binning
    from dpsynth.tabular.constraints.enforcement import Enforcement

Codes = Mapping[str, NDArray[np.integer[Any]]]
MOST_CLASSES = 100
MOST_LISTED = 20_000
ROUNDS = 10
"""Times that rows are drawn again in place of those that constraints took away."""
MORE, MOST_MORE = 1.3, 10
"""Rows of such a round for each row that is still lacking, by the share that held so far; at most that many times the
rows asked for, and if none of as many held there is no further round. A round learns the condition anew, so that one
with some rows too many is cheaper than two."""
STANDS_OUT = 2.0
"""Sigma of its released count that a value must have to take part in balancing."""


class CodedColumns(Protocol):
    """Columns with codes, missing last."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """Column -> domain."""

    @property
    def binnings(self) -> Mapping[str, Binning]:
        """Column -> codes."""


class CodeModel(CodedColumns, Protocol):
    """What a model offers below the level of values; codes are those of its binnings, missing last."""

    def draw_codes(self, rows: int, evidence: Mapping[str, Vector], rng: np.random.Generator) -> Iterator[Codes]:
        """Codes of rows that agree with evidence (column -> weight of each code), block by block."""

    def fill_codes(self, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> Codes:
        """Codes of rows of which some are known, -1 where they are to be drawn."""

    def probability(self, evidence: Mapping[str, Vector]) -> float:
        """Share of all rows that agree with evidence."""

    def enforcement(self) -> Enforcement:
        """The rules that every row obeys."""


def sample(model: CodeModel, rows: int, rng: np.random.Generator, given: Given | None, balance: str | None) -> pa.Table:
    """`rows` rows that meet a condition, in equal shares of the values of a column if that is named.

    Raises:
        ParameterError: rows is negative; a column or value that the model does not have; nothing can meet the
            condition.
    """
    if rows < 0:
        raise ParameterError(f"Expected rows={rows} >= 0.")
    allowed = conditions(given, model.domains)
    if balance is None:
        return _under(model, rows, rng, allowed)
    classes = balanced_classes(model, balance, allowed.pop(balance, None))
    counts = [rows // len(classes) + (number < rows % len(classes)) for number in range(len(classes))]
    parts = [_under(model, count, rng, {**allowed, balance: one}) for one, count in zip(classes, counts, strict=True)]
    return pa.concat_tables(parts).take(array_of(rng.permutation(rows), pa.int64()))


def batches(model: CodeModel, rows: int, rng: np.random.Generator, given: Given | None) -> Iterator[pa.Table]:
    """The rows that `sample` gives for the same random numbers, block by block; the first block is empty.

    Raises:
        ParameterError: as `sample`.
    """
    if rows < 0:
        raise ParameterError(f"Expected rows={rows} >= 0.")
    yield from _blocks(model, rows, rng, conditions(given, model.domains))


def share(model: CodeModel, given: Given | None) -> float:
    """Share of the model's rows that meet a condition: times `model.rows`, how many its table would have."""
    return model.probability(_evidence(model, conditions(given, model.domains)))


def complete(model: CodeModel, table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """A table without gaps: known cells as they are, null cells drawn given the row's known ones.

    A drawn cell is never missing, but where a declared constraint leaves no value beside the known ones. Columns that
    the model lacks stay as they are; columns that the table lacks are drawn whole and come last.

    Raises:
        DataError: a column is of another type, or holds a value outside its closed domain.
    """
    columns = {name: table.column(name) for name in table.column_names}
    known, codes = {}, {}
    for name, domain in model.domains.items():
        if name in columns:
            columns[name] = _typed(name, domain, columns[name])
            known[name] = _known(name, domain, columns[name])
            cells = model.binnings[name].oneway.cells.of_codes(known[name])
            codes[name] = np.append(model.binnings[name].code_of, -1)[cells]
        else:
            known[name] = codes[name] = np.full(len(table), -1, dtype=np.int64)
    drawn = _values_around(model, model.fill_codes(codes, rng), known, rng)
    for name, domain in model.domains.items():
        made = pa.chunked_array([domain.decode(drawn[name])])
        columns[name] = pc.coalesce(columns[name], made) if name in columns else made
    return pa.table(columns)


def nothing_meets(names: Iterable[str]) -> ParameterError:
    """What to say when a model rules a condition out."""
    return ParameterError(
        f"The model knows no row that meets the condition on {', '.join(map(repr, names))}: its probability is zero.",
        "Ask for a wider range or other values; of a column without released missing cells, not for missing ones.",
    )


def cells_of(model: CodeModel, codes: Codes, rng: np.random.Generator, allowed: Mapping[str, Allowed]) -> pa.Table:
    """Cells of codes, inside conditions (column -> what all rows may hold), breaking no constraint."""
    rules = model.enforcement()
    if rules.rules and not allowed:
        return rules.decode(codes, rng)

    def narrow(name: str, numbers: NDArray[np.int64], sets: RowSets) -> None:
        del numbers
        if name in allowed:
            _narrow(allowed[name], sets)

    held = rules.constrained(codes, rng, narrow, first=allowed) if rules.rules else {}
    for name, binning in model.binnings.items():
        if name in held:
            continue
        if name in allowed:
            held[name] = draw_allowed(binning, codes[name], allowed[name], rng)
        else:
            held[name] = draw_values(binning, codes[name], rng)
    return pa.table({name: domain.decode(held[name]) for name, domain in model.domains.items()})


def _values_around(
    model: CodeModel, codes: Codes, known: Mapping[str, NDArray[np.int64]], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Domain codes of rows that hold some already (-1: open), -1 where no value obeys the constraints beside those.

    Rows that know the same constrained columns are decoded together, those columns first.
    """
    rules, rows = model.enforcement(), len(next(iter(known.values())))
    held = {name: draw_values(binning, codes[name], rng) for name, binning in model.binnings.items()}
    patterns = np.stack([known[name] >= 0 for name in rules.order], axis=1) if rules.rules else np.zeros((rows, 0))
    for pattern in np.unique(patterns, axis=0) if rules.rules else ():
        at = np.flatnonzero((patterns == pattern).all(axis=1))
        own = {name: known[name][at] for name in rules.order}

        def narrow(name: str, numbers: NDArray[np.int64], sets: RowSets, own: Codes = own) -> None:
            wanted = own[name][numbers].astype(np.int64)
            sets.exactly(wanted, wanted >= 0)

        first = [name for name, is_known in zip(rules.order, pattern, strict=True) if is_known]
        made = rules.constrained({name: codes[name][at] for name in rules.order}, rng, narrow, first)
        for group in rules.groups:  # what is unsolvable in one group leaves the others alone
            names = {name for number in group for name in rules.rules[number].columns}
            unsolved = np.zeros(len(at), dtype=bool)
            for name in names.intersection(first):
                unsolved |= made[name] != own[name]
            for name in names:
                held[name][at] = np.where(unsolved, -1, made[name])
    return held


def _narrow(allowed: Allowed, sets: RowSets) -> None:
    """What all rows may hold, as constraints see it: the runs' hull, and their values where they can be listed."""
    everyone = np.ones(len(sets.low), dtype=bool)
    if allowed.missing and not len(allowed.runs):
        sets.missing |= everyone
        return
    if not allowed.missing:
        sets.present |= everyone
    sets.at_least(np.full(len(everyone), allowed.runs[0, 0]), everyone)
    sets.at_most(np.full(len(everyone), allowed.runs[-1, 1]), everyone)
    size = int((allowed.runs[:, 1] - allowed.runs[:, 0] + 1).sum())
    if len(allowed.runs) > 1 and size <= MOST_LISTED:
        one = np.zeros(size, dtype=np.int64)
        sets.among(np.zeros(len(everyone), dtype=np.int64), Lists.of(one, allowed.numbered(np.arange(size)), 1))


def balanced_classes(model: CodedColumns, name: str, within: Allowed | None) -> list[Allowed]:
    """The values of a column that take equal shares: those asked for, else all that stand out of the noise.

    Raises:
        ParameterError: no such column, or too many values.
    """
    if name not in model.domains:
        raise ParameterError(
            f"There is no column {name!r} to balance.", f"The model has {', '.join(map(repr, model.domains))}."
        )
    domain, oneway = model.domains[name], model.binnings[name].oneway
    asked = np.arange(min(domain.size, MOST_CLASSES + 1))
    if within is not None:
        size = int(within.below(np.array([domain.size]))[0])
        asked = within.numbered(np.arange(min(size, MOST_CLASSES + 1)))
    elif oneway.cells.single:
        stands = oneway.counts[: domain.size] >= STANDS_OUT * np.sqrt(oneway.variance[: domain.size])
        asked = np.flatnonzero(stands)
    if not 0 < len(asked) <= MOST_CLASSES:
        raise ParameterError(
            f"Column {name!r} has {'no values that stand out' if not len(asked) else 'too many values'} to balance.",
            f"Name the values: given={{{name!r}: [...]}}. {allowed_words(name, domain)}",
        )
    return [Allowed(runs=np.array([[code, code]], dtype=np.int64), missing=False) for code in asked.tolist()]


def _under(model: CodeModel, rows: int, rng: np.random.Generator, allowed: Mapping[str, Allowed]) -> pa.Table:
    return pa.concat_tables(_blocks(model, rows, rng, allowed))


def _blocks(
    model: CodeModel, rows: int, rng: np.random.Generator, allowed: Mapping[str, Allowed]
) -> Iterator[pa.Table]:
    """Rows that meet conditions; where constraints had to give way to none, rows are drawn again."""
    evidence = _evidence(model, allowed)
    nobody = {name: np.zeros(0, dtype=np.int64) for name in model.domains}
    yield cells_of(model, nobody, rng, allowed)
    left, wanted, drawn = rows, rows, 0
    for _ in range(ROUNDS):
        for codes in model.draw_codes(wanted, evidence, rng) if left else ():
            made = cells_of(model, codes, rng, allowed)
            meets = np.ones(len(made), dtype=bool)
            for name, one in allowed.items():
                meets &= one.matches(made.column(name), model.domains[name])
            kept = (made if meets.all() else made.filter(array_of(meets, pa.bool_()))).slice(0, left)
            drawn, left = drawn + len(made), left - len(kept)
            yield kept
            if not left:
                return
        most = MOST_MORE * max(rows, MOST_CLASSES)
        if left == rows and drawn >= most:
            break
        wanted = min(math.ceil(MORE * left * drawn / max(rows - left, 1)), most)
    if left:
        raise nothing_meets(allowed)


def _evidence(model: CodeModel, allowed: Mapping[str, Allowed]) -> dict[str, Vector]:
    return {name: shares_of_codes(model.binnings[name], one) for name, one in allowed.items()}


def _typed(name: str, domain: Domain, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in its domain's type; NaN is a gap."""
    try:
        cells = column.cast(domain.arrow_type)
    except pa.ArrowException:
        raise DataError(
            f"Column {name!r} cannot be read as {domain.arrow_type}.", "Give it the type that the model samples."
        ) from None
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), pa.nulls(1, cells.type)[0], cells)
    return cells


def _known(name: str, domain: Domain, cells: pa.ChunkedArray) -> NDArray[np.int64]:
    """Domain code of each known cell, -1 for gaps."""
    codes = domain.encode(cells)
    if int((codes < 0).sum()) != cells.null_count:
        raise DataError(f"Column {name!r} holds a value outside its domain.", allowed_words(name, domain))
    return codes
