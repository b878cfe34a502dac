"""Random rows that obey the declared constraints which one row can break: what canaries are.

Rows are drawn uniformly from the domains, then brought through the public rules: a row of `fixed_combinations` or of a
dependency's `mapping` that is not listed becomes a listed one, a dependent follows its determinants, a total is set to
the sum of its parts, what does not apply is set so. Whatever still breaks a constraint is drawn again, and at last left
out: no sample could repeat it, so it would show nothing. Only the schema and the domains are used, no row of any table.

>>> from dpsynth.schema.domain import known_domain
>>> small, large = ({"kind": "integer", "min": 0, "max": high} for high in (10_000, 20_000))
>>> rule = {"kind": "sum", "total": "c", "parts": ["a", "b"]}
>>> schema = Schema.from_dict({"columns": {"a": small, "b": small, "c": large}, "constraints": [rule]})
>>> domains = {name: known_domain(spec) for name, spec in schema.columns.items()}
>>> obeying_rows(domains, 50, schema, np.random.default_rng(0)).num_rows
50

Not guaranteed: as many rows as were asked for; that rows agree on a dependency whose values are learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import literals
from dpsynth.schema.constraints import Cell, Constraint, FixedCombinations, FunctionalDependency, NotApplicable, Sum
from dpsynth.schema.domain import CategoryDomain, Domain
from dpsynth.schema.model import Schema
from dpsynth.schema.violations import meets, storable, violations

REDRAWS = 300
"""Rounds in which rows that break a constraint are drawn again."""
PASSES = 4
"""How often all rules are applied in a round: one may undo another, and dependencies form chains."""

Codes = dict[str, NDArray[np.int64]]


def obeying_rows(
    domains: Mapping[str, Domain], count: int, schema: Schema, rng: np.random.Generator, *, redraws: int = REDRAWS
) -> pa.Table:
    """At most `count` random rows, none of which breaks a constraint that one row can break.

    Args:
        domains: column -> domain; the columns of the rows.
        count: how many are tried.
        schema: declared constraints. Of functional dependencies the public `mapping` is meant; what is learned from
            counts is left out.
        rng: the source of rows.
        redraws: rounds after the first.
    """
    rules = [_of_one_row(c) for c in schema.constraints if not isinstance(c, FunctionalDependency) or c.mapping]
    repairs = [
        repair for c in schema.constraints if (repair := _repair(c, schema, domains, rng)) is not None
    ]  # as declared: a dependency keeps its determinants
    codes = {name: np.full(count, -1, dtype=np.int64) for name in domains}
    again = np.arange(count)
    for _ in range(1 + redraws):
        fresh = {name: _uniform(domain, len(again), rng) for name, domain in domains.items()}
        for _ in range(PASSES if repairs else 0):
            for repair in repairs:
                repair(fresh)
        for name, column in fresh.items():
            codes[name][again] = column
        drawn = _decoded(fresh, domains)
        broken = (violations(rule, drawn, schema.columns) for rule in rules)
        again = again[reduce(np.logical_or, broken, np.zeros(len(again), dtype=bool))]
        if not len(again):
            break
    return _decoded({name: np.delete(column, again) for name, column in codes.items()}, domains)


def _uniform(domain: Domain, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if not domain.size or (isinstance(domain, CategoryDomain) and not domain.values):
        return np.full(rows, -1, dtype=np.int64)
    return rng.integers(0, domain.size, size=rows)


def _decoded(codes: Codes, domains: Mapping[str, Domain]) -> pa.Table:
    return pa.table({name: domain.decode(codes[name]) for name, domain in domains.items()})


def _of_one_row(constraint: Constraint) -> Constraint:
    """The constraint as one row can break it: a public mapping lists the combinations that are known to be possible."""
    if isinstance(constraint, FunctionalDependency):
        return FixedCombinations(kind="fixed_combinations", columns=constraint.columns, rows=constraint.mapping)
    return constraint


def _repair(
    constraint: Constraint, schema: Schema, domains: Mapping[str, Domain], rng: np.random.Generator
) -> Callable[[Codes], None] | None:
    """What sets cells of drawn rows so that they obey, in place; None if rows are only drawn again."""
    match constraint:
        case FixedCombinations(columns=names, rows=rows):
            return _listed(names, len(names), _codes_of(names, rows, schema, domains), rng)
        case FunctionalDependency(mapping=rows) if rows:
            listed = _codes_of(constraint.columns, rows, schema, domains)
            return _listed(constraint.columns, len(constraint.determinant), listed, rng)
        case Sum():
            return lambda codes: _set_total(constraint, codes, schema, domains)
        case NotApplicable():
            return lambda codes: _set_value(constraint, codes, schema, domains)
        case _:
            return None


def _listed(
    names: Sequence[str], kept: int, rows: NDArray[np.int64], rng: np.random.Generator
) -> Callable[[Codes], None]:
    """Rows whose first `kept` cells are listed take the rest from there; others become a listed row, each as likely."""
    known = {tuple(row[:kept]): at for at, row in enumerate(rows.tolist())}

    def repair(codes: Codes) -> None:
        if not len(rows):
            return
        held = np.stack([codes[name] for name in names[:kept]], axis=1)
        places = np.array([known.get(tuple(row), -1) for row in held.tolist()], dtype=np.int64)
        places = np.where(places < 0, rng.integers(0, len(rows), size=len(places)), places)
        for at, name in enumerate(names):
            codes[name] = rows[places, at]

    return repair


def _codes_of(
    names: Sequence[str], rows: Sequence[Sequence[Cell]], schema: Schema, domains: Mapping[str, Domain]
) -> NDArray[np.int64]:
    """Listed rows as codes, shape (rows, columns), without those that the domains cannot write exactly."""
    columns = []
    for at, name in enumerate(names):
        cells = list(dict.fromkeys(row[at] for row in rows))
        codes = {cell: _code_of(cell, name, schema, domains[name]) for cell in cells}
        columns.append([codes[row[at]] for row in rows])
    table = np.array(columns, dtype=np.int64).T
    return np.asarray(table[(table >= 0).all(axis=1)])


def _code_of(cell: Cell, name: str, schema: Schema, domain: Domain) -> int:
    """The code that is written as `cell`; -1 for missing, and where there is none."""
    empty = pa.chunked_array([], domain.arrow_type)
    known = storable(empty, schema.columns[name], [] if cell is None else [cell])
    if not known:
        return -1
    wanted = pa.chunked_array([literals([known[0][1]], domain.arrow_type)])
    code = domain.encode(wanted)
    return int(code[0]) if domain.decode(code).equals(wanted.chunk(0)) else -1


def _set_total(rule: Sum, codes: Codes, schema: Schema, domains: Mapping[str, Domain]) -> None:
    """The total becomes the sum of its parts; clamped into its domain it breaks the rule and the row is drawn again."""
    places = max(schema.columns[name].precision or 0 for name in rule.columns)
    present = reduce(np.logical_and, (codes[name] >= 0 for name in rule.columns))
    parts = (np.asarray(domains[part].decode(codes[part][present]), dtype=np.float64) for part in rule.parts)
    total = reduce(np.add, (np.rint(part * 10.0**places) for part in parts)) / 10.0**places
    domain = domains[rule.total]
    if domain.arrow_type == pa.int64():
        total = np.rint(total).astype(np.int64)
    codes[rule.total][present] = domain.encode(pa.chunked_array([pa.array(total, domain.arrow_type)]))


def _set_value(rule: NotApplicable, codes: Codes, schema: Schema, domains: Mapping[str, Domain]) -> None:
    applies, _ = meets(rule.when, _decoded(codes, domains), schema.columns)
    codes[rule.column][applies] = _code_of(rule.value, rule.column, schema, domains[rule.column])
