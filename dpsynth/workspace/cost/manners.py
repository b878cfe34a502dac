"""What an engine does with a question: statements, scans of which relation, bytes; by the code that asks it.

Three relations may be scanned: `source`, the files or table themselves; `copy`, raw cells of our own inside the engine;
`codes`, small integers, written once for each set of codes. The numbers of statements come from
`data.engines.counting.batches`, which makes them; a test runs a fit on an engine that counts what it is sent.

>>> MANNERS["duckdb"].statements([("a", "b"), ("a", "c"), ("b", "c")]).number
1

Not guaranteed: bytes on disk. Engines compress, and text is supposed to be 16 bytes a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, final

import numpy as np

from dpsynth.data.engines import ENGINES
from dpsynth.data.engines.counting import MOST_COLUMNS, batches
from dpsynth.data.engines.encoding import FEW, narrow
from dpsynth.schema.domain import CategoryDomain, known_domain
from dpsynth.schema.model import ColumnSpec

EngineName = Literal["memory", "duckdb", "postgresql", "spark"]
RAW_BYTES: Mapping[str, int] = MappingProxyType(
    {"categorical": 16, "text": 16, "integer": 8, "float": 8, "boolean": 1, "date": 8, "datetime": 8}
)
"""Bytes of a raw cell inside an engine; of text supposed."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batched:
    """The statements of one call.

    Attributes:
        number: how many.
        columns: of all of them together: what columnar engines read.
        widest: most histograms of one.
    """

    number: int
    columns: int
    widest: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an engine answers.

    Attributes:
        name: of the engine, or `memory`.
        batch: most histograms of a statement; 0 in memory, where there are none.
        singles: most single columns of a statement.
        dialect: of its SQL, which decides how small its integers are.
        copies: whether the source is read once, into a copy, when it is opened.
        columnar: whether a statement reads only the columns that it names.
        row_bytes: what a row costs beside its cells.
        most_columns: of a relation; None if there is no such limit.
        shuffles: whether groups of one statement are gathered across machines.
    """

    name: EngineName
    batch: int
    singles: int
    dialect: str
    copies: bool
    columnar: bool = True
    row_bytes: int = 0
    most_columns: int | None = None
    shuffles: bool = False

    def code_bytes(self, size: int) -> int:
        """Bytes of a code of a column of so many outcomes, missing beside them, inside the engine."""
        return np.dtype(narrow(size, self.dialect)).itemsize

    def statements(self, cliques: Iterable[Sequence[str]]) -> Batched:
        """Of all these histograms, asked for together."""
        number = columns = widest = 0
        for batch in batches((tuple(clique) for clique in cliques), self.batch):
            number, widest = number + 1, max(widest, len(batch))
            columns += len({name for clique in batch for name in clique})
        return Batched(number=number, columns=columns, widest=widest)

    def statements_of_some(self, chosen: int, of: int, columns: int) -> Batched:
        """Of so many histograms of `of` columns each, whichever they are, among so many columns: at most.

        A statement ends when the next histogram would bring more columns than it may have.
        """
        fewest = self.batch if columns <= MOST_COLUMNS else min(self.batch, (MOST_COLUMNS - of) // of + 1)
        number = -(-chosen // fewest)
        return Batched(number=number, columns=number * min(columns, MOST_COLUMNS), widest=min(chosen, self.batch))


def _manner(name: EngineName, *, copies: bool, **more: Any) -> Manner:
    module, attribute = ENGINES[name].split(":")
    engine = getattr(import_module(module), attribute)
    return Manner(name=name, batch=engine.batch, singles=engine.singles, dialect=engine.dialect, copies=copies, **more)


MANNERS: Mapping[EngineName, Manner] = MappingProxyType(
    {
        "memory": Manner(name="memory", batch=0, singles=0, dialect="", copies=False),
        "duckdb": _manner("duckdb", copies=False),
        "postgresql": _manner("postgresql", copies=True, columnar=False, row_bytes=28, most_columns=1600),
        "spark": _manner("spark", copies=True, shuffles=True),
    }
)


def uploads(spec: ColumnSpec) -> int:
    """Public tables that an engine is handed to code a column: one for values beyond a few, one a length of prefix."""
    if spec.kind != "categorical":
        return 0
    domain = known_domain(spec)
    few = isinstance(domain, CategoryDomain) and domain.size <= FEW and not spec.hierarchy
    return 0 if few else 1 + len(spec.hierarchy)
