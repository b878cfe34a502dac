"""What the checks before a run want to know of a table whose rows stay in an engine: counts, in one scan.

    facts = facts_of(table)                          # one statement, one row comes back
    facts.rows, facts.missing("age")

Not guaranteed: privacy. Every figure is exact, for the operator alone, as with `dpsynth.data.inspect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dpsynth.data.engines.warehouse import EngineTable


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Facts:
    """Exact figures about private rows.

    Attributes:
        rows: how many there are.
        present: column -> cells that are not missing.
    """

    rows: int
    present: Mapping[str, int]

    def missing(self, column: str) -> int:
        """Missing cells of a column."""
        return self.rows - self.present[column]


def facts_of(table: EngineTable) -> Facts:
    """The facts of a table, by one scan."""
    asked = ['COUNT(*) AS "n"', *(f'COUNT("{field.cell}") AS "{field.cell}"' for field in table.fields.values())]
    answer = table.engine.fetch(f'SELECT {", ".join(asked)} FROM "{table.relation}"')  # noqa: S608 - our own names
    rows, *present = (int(column[0].as_py()) for column in answer.columns)
    return Facts(rows=rows, present=dict(zip(table.columns, present, strict=True)))
