"""The facts that checks judge (`dpsynth.data.facts`), found inside an engine.

A look at the first rows disproves what most columns are not (all different, a copy of the target, one far outlier), so
that the scan of the table does only the dear work that is left; what it finds is exact whichever rows came first:

    look     5,000 rows, kept for a moment             what holds of all rows holds of them
    scan 1   all rows                                  all facts but those below; nearly always the last for numbers
    scan 2   only if scan 1 leaves columns open        letters beyond ASCII; words and repeats of long text; quantiles
    scan 3   only if one row may be one in twenty      how often it occurs

Each row is hashed to one of 64 buckets: where no bucket has one row in twenty, no row is one in twenty. One row of
truth values and a few numbers comes back from each statement; no cell, except order statistics of numbers that scan 2
asks for.

Not guaranteed: privacy. Every figure is exact, for the operator alone. What an engine has no function for is named in
`Facts.unchecked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

import pyarrow as pa

from dpsynth.data.engines.protocol import Engine, counted
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.facts import AGE, EXACT_INTEGER, FEW, HEAVY, MOST, OLDEST, TAIL, Asked, ColumnFacts, Facts, is_far
from dpsynth.data.free_text import LONG
from dpsynth.data.patterns import CONTACTS, CONTROL, FORMULA, WORDY, invisible, mixed
from dpsynth.data.warning import listed

LOOK = 5_000
"""Rows of the first look."""
GUARDS: Mapping[str, str] = MappingProxyType(
    {
        "e-mail addresses": "{0} LIKE '%@%'",
        "telephone numbers": "({0} LIKE '+%' OR {0} LIKE '00%')",
        "social security numbers": "LENGTH({0}) = 11",
    }
)
"""What a contact must look like before its pattern is worth a search."""
BUCKETS = 64
WORD = 30
"""Buckets that one number of an answer speaks of."""
MOST_OUTPUTS = 1_500
"""Columns of one answer; PostgreSQL has at most 1,664."""
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1
Bulk = tuple[Any, Any]


def engine_facts(table: EngineTable, asked: Asked) -> Facts:
    """The facts of a table in an engine, in one to three scans."""
    look = _look(table, asked)
    first = _first(table, asked, look)
    rows = first.number("rows")
    odd = [name for name in table.columns if first.holds(name, "odd")]
    long = [name for name in table.columns if first.holds(name, "long")]
    spread = [name for name, kind in table.types.items() if kind in _NUMBERS and not first.holds(name, "bounded")]
    second = _second(table, odd, long, spread)
    columns = {
        name: ColumnFacts(
            present=first.number(name, "present"),
            several=first.holds(name, "several"),
            unique=first.holds(name, "unique"),
            contacts=tuple(what for what in CONTACTS if first.holds(name, what)),
            free_text=second.holds(name, "prose"),
            control=first.holds(name, "control"),
            formula=first.holds(name, "formula"),
            look_alike=second.holds(name, "look_alike"),
            beyond_doubles=first.holds(name, "beyond"),
            implausible=first.holds(name, "aged") or _far(second, name, spread),
            outside=first.holds(name, "outside"),
            copies_target=first.holds(name, "copies"),
        )
        for name in table.columns
    }
    uncomposed = f"two Unicode forms of one text in column {listed(odd)}"
    return Facts(
        rows=rows,
        columns=columns,
        copies=_copies(table, [at for at in range(BUCKETS) if first.heavy(at)], rows),
        met=tuple(first.number("met", str(at)) for at in range(len(asked.conditions))),
        unchecked=(uncomposed,) if odd and table.engine.composed("") is None else (),
    )


@final
@dataclass(slots=True, kw_only=True)
class _Scan:
    """One statement's questions, and its answer: truth values of a column share one number."""

    numbers: dict[tuple[str, ...], str] = field(default_factory=dict)
    flags: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def ask(self, column: str, what: str, condition: str) -> None:
        """Ask for a truth value; `condition` is SQL of aggregates, and NULL is false."""
        self.flags.setdefault(column, {})[what] = condition

    def ask_number(self, sql: str, *key: str) -> None:
        """Ask for a number."""
        self.numbers[key] = sql

    def run(self, engine: Engine, source: str) -> _Scan:
        """Ask, in as many statements as the answer has room for."""
        asked = [*self.numbers.items()]
        asked += [((column, "flags"), _packed(list(flags.values()))) for column, flags in self.flags.items()]
        for start in range(0, len(asked), MOST_OUTPUTS):
            part = asked[start : start + MOST_OUTPUTS]
            shown = ", ".join(f'{sql} AS "v{at}"' for at, (_, sql) in enumerate(part))
            answer = engine.fetch(f"SELECT {shown} FROM {source}")  # noqa: S608 - our own names
            self.answers |= {key: column[0].as_py() for (key, _), column in zip(part, answer.columns, strict=True)}
        return self

    def number(self, *key: str) -> int:
        """An answer that is a count."""
        return int(self.answers[key])

    def holds(self, column: str, what: str) -> bool:
        """An answer that is a truth value; false if it was not asked."""
        flags = list(self.flags.get(column, ()))
        return what in flags and bool(int(self.answers[(column, "flags")]) >> flags.index(what) & 1)

    def heavy(self, bucket: int) -> bool:
        """Whether a bucket has one row in `HEAVY`."""
        return bool(self.number("buckets", str(bucket // WORD)) >> bucket % WORD & 1)


_NUMBERS = ("integer", "float")


def _look(table: EngineTable, asked: Asked) -> _Scan:
    """What the first rows say: nothing that is asked here holds of all rows unless it holds of them."""
    engine, scan = table.engine, _Scan()
    cells = ", ".join(f'"{held.cell}"' for held in table.fields.values())
    rows = engine.store(f'SELECT {cells} FROM "{table.relation}" LIMIT {LOOK}')  # noqa: S608 - our own names
    for name, held in table.fields.items():
        if held.kind in ("string", "integer"):
            scan.ask(name, "unique", _unique(held.cell))
        if asked.target is not None and name != asked.target:
            scan.ask(name, "copies", " AND ".join(_bijection(table, name, asked.target)))
        if held.kind in _NUMBERS:
            scan.ask_number(_quantile(held.cell, 2 * FEW), name, "few")
            scan.ask_number(_quantile(held.cell, 1 - 2 * FEW), name, "most")
    scan.ask_number("COUNT(*)", "rows")
    scan.run(engine, f'"{rows}"')
    engine.drop(rows)
    return scan


def _first(table: EngineTable, asked: Asked, look: _Scan) -> _Scan:
    engine, scan = table.engine, _Scan()
    scan.ask_number("COUNT(*)", "rows")
    for word in range(-(-BUCKETS // WORD)):
        held_by = (counted(f'"bucket" = {at}') for at in range(word * WORD, min(BUCKETS, word * WORD + WORD)))
        scan.ask_number(_packed([f"{HEAVY} * {count} >= COUNT(*)" for count in held_by]), "buckets", str(word))
    for at, condition in enumerate(asked.conditions):
        scan.ask_number(f"COALESCE({condition.met_sql(table)}, 0)", "met", str(at))
    for name, held in table.fields.items():
        cell = f'"{held.cell}"'
        scan.ask_number(f"COUNT({cell})", name, "present")
        for what, holds in _questions(engine, name, held.kind, cell, asked):
            scan.ask(name, what, holds)
        if look.holds(name, "unique"):
            scan.ask(name, "unique", _unique(held.cell))
        if look.holds(name, "copies"):
            scan.ask(
                name,
                "copies",
                " AND ".join((*_bijection(table, name, str(asked.target)), f"{_classes(name, table)} > 1")),
            )
        if held.kind in _NUMBERS:
            bounded = _bounded(cell, held.kind, (look.answers[(name, "few")], look.answers[(name, "most")]))
            if bounded is not None:
                scan.ask(name, "bounded", bounded)
    return scan.run(engine, _bucketed(table))


def _questions(engine: Engine, name: str, kind: str, cell: str, asked: Asked) -> Iterator[tuple[str, str]]:
    if name == asked.target:
        few, most = ("BOOL_AND", "BOOL_OR") if kind == "boolean" else ("MIN", "MAX")
        yield "several", f"{few}({cell}) <> {most}({cell})"
    if name in asked.closed:
        words = _constants(engine, asked.closed[name])
        yield "outside", f"BOOL_OR({cell} NOT IN ({', '.join(words)}))" if words else f"COUNT({cell}) > 0"
    if kind == "string":
        yield "control", f"BOOL_OR({engine.matches(cell, CONTROL)})"
        yield "formula", f"BOOL_OR(CASE WHEN {cell} < 'A' THEN {engine.matches(cell, FORMULA)} END)"
        yield "odd", f"BOOL_OR({engine.not_ascii(cell)})"
    if kind == "string" and name in asked.open:
        for what, pattern in CONTACTS.items():
            guard = GUARDS[what].format(cell)
            yield what, _half(f"CASE WHEN {guard} THEN {engine.matches(cell, pattern)} END", cell)
        yield "long", _half(f"LENGTH({cell}) >= {LONG}", cell)
    if kind in _NUMBERS and AGE.search(name):
        yield "aged", f"MIN({cell}) < 0 OR MAX({cell}) > {OLDEST}"
    if kind == "integer":
        yield "beyond", f"MIN({cell}) < {-EXACT_INTEGER} OR MAX({cell}) > {EXACT_INTEGER}"


def _second(table: EngineTable, odd: Sequence[str], long: Sequence[str], spread: Sequence[str]) -> _Scan:
    engine, scan = table.engine, _Scan()
    for name in odd:
        cell = f'"{table.fields[name].cell}"'
        unseen = " OR ".join(engine.matches(cell, pattern) for pattern in (invisible(), mixed()))
        said = [f"BOOL_OR(CASE WHEN {engine.not_ascii(cell)} THEN {unseen} END)"]
        composed = engine.composed(cell)
        if composed is not None:
            distinct = (f"COUNT(DISTINCT CASE WHEN {engine.not_ascii(cell)} THEN {of} END)" for of in (composed, cell))
            said.append(" < ".join(distinct))
        scan.ask(name, "look_alike", " OR ".join(said))
    for name in long:
        cell = f'"{table.fields[name].cell}"'
        wordy = _half(engine.matches(cell, WORDY), cell)
        scan.ask(name, "prose", f"{wordy} AND 2 * COUNT(DISTINCT {cell}) >= COUNT({cell})")
    for name in spread:
        cell = table.fields[name].cell
        scan.ask_number(f'MIN("{cell}")', name, "low")
        for what, share in (("few", FEW), ("median", 0.5), ("most", MOST)):
            scan.ask_number(_quantile(cell, share), name, what)
        scan.ask_number(f'MAX("{cell}")', name, "high")
    return scan.run(engine, f'"{table.relation}"')


def _far(scan: _Scan, name: str, spread: Sequence[str]) -> bool:
    if name not in spread or scan.answers[(name, "low")] is None:
        return False
    return is_far(*(scan.answers[(name, what)] for what in ("low", "few", "median", "most", "high")))


def _copies(table: EngineTable, buckets: Sequence[int], rows: int) -> int:
    """How often the most frequent row occurs, if it is in one of these buckets and one in `HEAVY`."""
    if not rows or not buckets:
        return 0
    cells = ", ".join(f'"{held.cell}"' for held in table.fields.values())
    where = f'"bucket" IN ({", ".join(map(str, buckets))})'
    groups = f'SELECT COUNT(*) AS "n" FROM {_bucketed(table)} WHERE {where} GROUP BY {cells}'  # noqa: S608 - our own names
    answer = table.engine.fetch(f'SELECT MAX("n") AS "n" FROM ({groups}) AS "g"')  # noqa: S608 - our own names
    most = int(answer.column(0)[0].as_py())
    return most if HEAVY * most >= rows else 0


def _bucketed(table: EngineTable) -> str:
    return table.engine.bucketed(table.relation, [_zero(table, name) for name in table.columns], BUCKETS)


def _packed(conditions: Sequence[str]) -> str:
    """SQL of a number whose bits are truth values."""
    return " + ".join(f"CASE WHEN {condition} THEN {1 << at} ELSE 0 END" for at, condition in enumerate(conditions))


def _half(condition: str, cell: str) -> str:
    return f"(COUNT({cell}) > 0 AND 2 * {counted(condition)} >= COUNT({cell}))"


def _unique(cell: str) -> str:
    return f'COUNT(DISTINCT "{cell}") = COUNT("{cell}")'


def _classes(name: str, table: EngineTable) -> str:
    """SQL: different cells of a column, missing being one."""
    cell = f'"{table.fields[name].cell}"'
    return f"COUNT(DISTINCT {cell}) + CASE WHEN COUNT(*) > COUNT({cell}) THEN 1 ELSE 0 END"


def _bijection(table: EngineTable, name: str, target: str) -> tuple[str, str]:
    """SQL: the cells of two columns say each other."""
    pair = ", ".join(_zero(table, column) for column in (name, target))
    pairs = f"COUNT(DISTINCT ({pair}))"
    return f"{pairs} = {_classes(name, table)}", f"{pairs} = {_classes(target, table)}"


def _zero(table: EngineTable, name: str) -> str:
    """SQL of a cell; -0.0 and 0.0 are one value."""
    held = table.fields[name]
    return f'("{held.cell}" + 0.0)' if held.kind == "float" else f'"{held.cell}"'


def _quantile(cell: str, share: float) -> str:
    """SQL: the smallest value that is not below this share of the present cells."""
    return f'percentile_disc({share}) WITHIN GROUP (ORDER BY "{cell}")'


def _bounded(cell: str, kind: str, bulk: Bulk) -> str | None:
    """SQL that proves that no extreme is far, given where the bulk seems to be; None if nothing can be proved so.

    At least one cell in 64 lies at or below `few`, and more than one in 64 at or above `most`: so the bulk is at least
    as wide as they are apart. Both extremes, and hence the median, lie within less than `TAIL` such widths.
    """
    few, most = bulk
    if few is None or most <= few:
        return None
    reach = (most - few) * (TAIL - 2) / 2 if kind == "float" else (most - few) * (TAIL - 2) // 2
    low, high = most - reach, few + reach
    if kind == "integer":
        low, high = max(low, LEAST_INTEGER), min(high, MOST_INTEGER)
    elif not low > -float("inf") or not high < float("inf"):
        return None
    shares = (counted(f"{cell} {sign} {_number(end)}") for sign, end in (("<=", few), (">=", most)))
    at_few, at_most = (f"{round(1 / FEW)} * {share}" for share in shares)
    return (
        f"MIN({cell}) >= {_number(low)} AND MAX({cell}) <= {_number(high)}"
        f" AND {at_few} >= COUNT({cell}) AND {at_most} > COUNT({cell})"
    )


def _number(value: Any) -> str:
    """SQL of a number; with an exponent it is a double everywhere."""
    return f"({value:.17e})" if isinstance(value, float) else f"({value})"


def _constants(engine: Engine, values: pa.Array) -> list[str]:
    """SQL of the values that the engine can hold."""
    found: list[Any] = values.to_pylist()
    words = (engine.literal(value) if isinstance(value, str) else str(value) for value in found)
    return [word for word in words if word != "NULL"]
