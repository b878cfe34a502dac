"""Columns of an engine in the type that a schema declares: what `dpsynth.data.declared` does in memory.

A view over the raw cells converts them where the engine gives the same cells as the reader in memory: words for missing
become NULL, integers become text, text that is a whole number, a number, a truth value or an ISO date becomes one. What
memory refuses is refused in the same words, by a count in the scan that finds the other facts. What engines would write
or read in ways of their own (doubles and times as text, declared formats, offsets, numbers of hundreds of digits) is
refused: cast it in a view of your own.

    table, doubts = conformed(table, options)     # each doubt is a condition, and refuses if a row meets it

Not guaranteed: speed. The view converts each time that it is asked; a column that is stored in its type costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.declared import LOOSE_FLOAT, NO, SENSELESS, WHOLE, WORDS, YES, not_of, unreadable, what_of
from dpsynth.data.distinct import beyond_64_bits
from dpsynth.data.engines.protocol import Engine, Field, UnsupportedByEngine, counted
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.names import require_names
from dpsynth.data.options import ColumnOptions, ReadOptions
from dpsynth.data.recipe import DAY_MICROSECONDS, Kind
from dpsynth.data.table import Table
from dpsynth.data.warning import shown

PLAIN_FLOAT = r"^[+-]?[0-9]{0,100}(?:\.[0-9]{0,100})?(?:[eE][+-]?[0-9]{1,2})?$"
"""Of numbers those that are neither too large nor too small for a double, which engines refuse or round to zero."""
DAYS = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
DATE = f"(?:[0-9]{{4}}-(?:{DAYS})|{LEAP})"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
ISO = {"date": f"^{DATE}$", "datetime": f"^{DATE}[T ]{CLOCK}$"}
ZONED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
YEAR_ZERO = "^0000"
AROUND = "[\t-\r\x1c-\x1f \x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
"""The blanks that a truth value may stand between."""
FARTHEST_DAY = 106_751_991
MOST, LEAST = "9223372036854775807", "9223372036854775808"
Refusal = Callable[[int], DataError]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Cells of a column that cannot be converted: a `dpsynth.data.facts.Condition`.

    Attributes:
        cell: the column of the view that is true for such a cell.
        refusal: what is said of so many.
    """

    cell: str
    refusal: Refusal

    def met(self, table: Table) -> int:
        """Tables in memory are converted by `dpsynth.data.declared`."""
        raise TypeError(f"A {type(table).__name__} is not in an engine.")

    def met_sql(self, table: EngineTable) -> str:
        """SQL of the number of such cells."""
        del table
        return counted(f'"{self.cell}"')


def conformed(table: EngineTable, options: ReadOptions) -> tuple[EngineTable, tuple[Doubt, ...]]:
    """The table with the columns that `options` speak of in their declared type, and what would forbid it.

    Raises:
        DataError: the declared type makes no sense of the column's.
        UnsupportedByEngine: the conversion is not the engine's to make.
        ParameterError: rows in memory were added already.
    """
    if table.extra is not None:
        raise ParameterError("Rows in memory were added to the engine's before these were checked.", "Check, then add.")
    require_names(table.columns, options)
    fields: dict[str, Field] = {}
    cells: list[str] = []
    doubts: list[Doubt] = []
    for name, held in table.fields.items():
        wanted = options.of(name)
        if wanted.type is None and not wanted.missing:
            sql, kind = f'"{held.cell}"', held.kind
            odd: list[tuple[str, Refusal]] = []
        else:
            sql, kind, odd = _conversion(table.engine, name, held, wanted)
        fields[name] = replace(held, kind=kind)
        cells.append(f'{sql} AS "{held.cell}"')
        for at, (condition, refusal) in enumerate(odd):
            doubts.append(Doubt(cell=f"odd_{held.cell}_{at}", refusal=refusal))
            cells.append(f'COALESCE({condition}, false) AS "{doubts[-1].cell}"')
    if cells == [f'"{held.cell}" AS "{held.cell}"' for held in table.fields.values()]:
        return table, ()
    if table.row is not None:
        cells.append(f'"{table.row.cell}"')
    view = table.engine.view(f'SELECT {", ".join(cells)} FROM "{table.relation}"')  # noqa: S608 - our own names
    return EngineTable(table.engine, view, fields, row=table.row), tuple(doubts)


def _conversion(
    engine: Engine, name: str, held: Field, options: ColumnOptions
) -> tuple[str, Kind, list[tuple[str, Refusal]]]:
    """SQL of the cell, what it is then, and what must not be: SQL of a condition, and the refusal."""
    have, cell = held.kind, f'"{held.cell}"'
    want: Kind = options.type if options.type not in (None, "category") else have  # type: ignore[assignment]
    if options.type == "category":
        want = "integer" if have in ("integer", "float") else "string"
    if have == "string":
        words = ", ".join(word for word in map(engine.literal, ("", *options.missing)) if word != "NULL")
        return _of_text(engine, name, f"CASE WHEN {cell} IN ({words}) THEN NULL ELSE {cell} END", want, options.format)
    if want == have:
        return cell, have, []
    refused = unreadable(name, have, want)
    if (have, want) in SENSELESS or (want == "boolean" and have != "integer"):
        raise refused
    sql, odd = _of_number(engine, name, cell, have, want)
    return sql, want, [] if odd is None else [(odd, lambda _: refused)]


def _of_number(engine: Engine, name: str, cell: str, have: str, want: str) -> tuple[str, str | None]:
    """SQL of a cell that has a type in another, and of what cannot be one."""
    match have, want:
        case "integer", "string":
            return engine.text(cell), None
        case "boolean", "string":
            return f"CASE WHEN {cell} THEN 'true' WHEN NOT {cell} THEN 'false' END", None
        case "integer", "float":
            return engine.parsed(cell, "float"), None
        case "boolean", ("integer" | "float"):
            whole = f"CASE WHEN {cell} THEN 1 WHEN NOT {cell} THEN 0 END"
            return engine.parsed(whole, want), None
        case "integer", "boolean":
            return f"CASE {cell} WHEN 1 THEN TRUE WHEN 0 THEN FALSE END", f"{cell} NOT IN (0, 1)"
        case "float", "integer":
            within = f"{cell} >= -9.223372036854775808e18 AND {cell} < 9.223372036854775808e18"
            fits = (
                f"CASE WHEN {within} THEN {cell} = FLOOR({cell}) ELSE {cell} IS NULL END"  # FLOOR may be 64 bits wide
            )
            return f"CASE WHEN {fits} THEN {engine.parsed(cell, 'integer')} END", f"NOT ({fits})"
        case "date", "datetime":
            fits = f"{cell} BETWEEN {-FARTHEST_DAY} AND {FARTHEST_DAY}"
            return f"CASE WHEN {fits} THEN {cell} * {DAY_MICROSECONDS} END", f"NOT ({fits})"
    raise _not_here(name, have, want)


def _of_text(
    engine: Engine, name: str, cell: str, want: Kind, layout: str | None
) -> tuple[str, Kind, list[tuple[str, Refusal]]]:
    if want == "string":
        return cell, want, []
    if want in ("date", "datetime") and layout is not None:
        raise _not_here(name, "text of a declared format", want)
    fits = _fits(engine, cell, want)
    what = WORDS.get(want) or what_of(want, None)
    odd: list[tuple[str, Refusal]] = [(f"NOT ({fits})", lambda cells: not_of(name, cells, what))]
    if want == "boolean":
        yes = engine.matches(cell, _caseless(YES))
        return f"CASE WHEN {fits} THEN {yes} END", want, odd
    part = cell
    if want == "integer":
        part = f"SPLIT_PART({cell}, '.', 1)"
        small = _within_64_bits(engine, cell, part)
        odd.append((f"{fits} AND NOT ({small})", lambda _: beyond_64_bits(name)))
        fits = f"{fits} AND {small}"
    elif want == "float":
        plain = engine.matches(cell, PLAIN_FLOAT)
        odd.append((f"{fits} AND NOT {plain}", lambda _: _not_here(name, "text of very long numbers", want)))
        fits = f"{fits} AND {plain}"
    elif want == "datetime":
        odd.insert(0, (engine.matches(cell, ZONED), lambda _: _not_here(name, "text with offsets", want)))
    return f"CASE WHEN {fits} THEN {engine.parsed(part, want)} END", want, odd


def _fits(engine: Engine, cell: str, want: str) -> str:
    """SQL: whether a text is what was declared."""
    if want == "boolean":
        return engine.matches(cell, _caseless(YES | NO))
    if want in ISO:
        return f"({engine.matches(cell, ISO[want])} AND NOT {engine.matches(cell, YEAR_ZERO)})"
    return engine.matches(cell, WHOLE if want == "integer" else LOOSE_FLOAT)


def _within_64_bits(engine: Engine, cell: str, digits: str) -> str:
    """SQL: whether a text of digits is a 64-bit integer."""
    bare = f"TRIM(LEADING '+-0' FROM {digits})"
    least = f"({engine.matches(cell, '^-')} AND {bare} = '{LEAST}')"
    return f"(LENGTH({bare}) < {len(MOST)} OR (LENGTH({bare}) = {len(MOST)} AND ({bare} <= '{MOST}' OR {least})))"


def _caseless(words: Sequence[str] | frozenset[str]) -> str:
    """A pattern of one of these words in ASCII letters of either case, blanks around aside."""
    spelled = ("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in sorted(words))
    return f"^{AROUND}(?:{'|'.join(spelled)}){AROUND}$"


def _not_here(name: str, have: str, want: str) -> UnsupportedByEngine:
    return UnsupportedByEngine(
        f"Column {shown(name)} is {have} and declared {want}, and engines would convert it in ways of their own.",
        "Declare it as it is, or cast the column in a view and name the view.",
    )
