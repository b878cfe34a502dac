"""A population whose law is known: a body of ordinary rows, rare modes planted in it, and names for the columns.

    p = (1 - sum s_m) body + sum s_m mode_m

A **rare mode** fixes some columns to codes that the body hardly ever has together, with a share s_m of all rows; its
other columns follow the body's own one-way shares, independently. Whether a generator keeps it is a question with an
answer: its exact share is `share_of(mode)`.

`marginal` is exact (no sampling), so total variation to the truth needs no holdout, and a mode's share no count.

Not guaranteed: that real tables look like this. What is learnt here is about the generator, under this law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.arrow_numpy import array_of, values_of
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.simulation.bayesian_network import inverse

if TYPE_CHECKING:
    import pandas as pd

MOST_PLANTED = 0.5


class Density(Protocol):
    """A law of rows of codes with exact marginals."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each column."""

    def draw(self, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Independent rows, shape (rows, columns)."""

    def marginal(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Exact shares of the cells of these columns."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: codes 0 to size - 1 as whole numbers, or as categories `name_0` and so on."""

    name: str
    size: int
    kind: Literal["categorical", "integer"] = "categorical"

    @property
    def values(self) -> list[str]:
        """Names of the codes of a categorical column."""
        width = len(str(self.size - 1))
        return [f"{self.name}_{code:0{width}d}" for code in range(self.size)]

    def spec(self, target: str | None) -> dict[str, Any]:
        """What a schema says of it."""
        role = {"role": "target"} if self.name == target else {}
        if self.kind == "integer":
            return {"kind": "integer", "min": 0, "max": self.size - 1, **role}
        return {"kind": "categorical", "values": self.values, **role}

    def cells(self, codes: NDArray[np.int64]) -> pa.Array:
        """Codes as the cells of a table."""
        if self.kind == "integer":
            return array_of(codes, pa.int64())
        return pa.array(self.values).take(array_of(codes, pa.int64()))

    def codes(self, cells: pa.ChunkedArray) -> NDArray[np.int64]:
        """Cells as codes; -1 for what the population cannot have."""
        if self.kind == "integer":
            found = values_of(cells.fill_null(-1).combine_chunks()).astype(np.int64)
            return np.where((found < 0) | (found >= self.size), -1, found)
        import pyarrow.compute as pc

        at = pc.index_in(cells, value_set=pa.array(self.values)).fill_null(-1)
        return values_of(at.combine_chunks() if isinstance(at, pa.ChunkedArray) else at).astype(np.int64)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RareMode:
    """A small group of rows with a combination of its own.

    Attributes:
        fixed: column name -> code.
        share: of all rows that the mode makes; the body may add a few.
    """

    fixed: Mapping[str, int]
    share: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A table drawn from a population.

    Attributes:
        table: the rows.
        schema: what is public of them: kinds, categories, bounds, target.
        truth: the population, with its exact marginals and rare modes.
    """

    table: Table
    schema: Schema
    truth: Population


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Population:
    """The law of a table's rows.

    Args:
        name: of the population.
        columns: names, sizes and kinds, in the order of the body's codes.
        body: the ordinary rows.
        modes: what is planted; together at most half of all rows.
        target: the column to predict.
    """

    name: str
    columns: tuple[Column, ...]
    body: Density
    modes: tuple[RareMode, ...] = ()
    target: str | None = None

    def __post_init__(self) -> None:
        if tuple(column.size for column in self.columns) != self.body.sizes:
            raise ParameterError("The columns' sizes are not those of the body.", "Name every column of the body.")
        if not 0 <= self.planted <= MOST_PLANTED:
            raise ParameterError(f"Rare modes have {self.planted:g} of all rows.", "Plant at most half.")
        known = {column.name: column.size for column in self.columns}
        for mode in self.modes:
            if any(not 0 <= code < known.get(name, 0) for name, code in mode.fixed.items()) or not mode.fixed:
                raise ParameterError("A rare mode names a column or a code that is not there.", "Correct it.")

    def __repr__(self) -> str:
        return f"Population({self.name!r}, {len(self.columns)} columns, {len(self.modes)} rare modes)"

    @property
    def planted(self) -> float:
        """Share of all rows that the modes make."""
        return sum(mode.share for mode in self.modes)

    @property
    def schema(self) -> Schema:
        """What is public of any table of it."""
        return Schema.from_dict({"columns": {column.name: column.spec(self.target) for column in self.columns}})

    def draw(self, rows: int, *, seed: int) -> Drawn:
        """Independent rows.

        Args:
            rows: how many, at least 1.
            seed: the same rows for the same seed.
        """
        if rows < 1:
            raise ParameterError(f"Expected rows={rows} >= 1.")
        rng = np.random.default_rng(seed)
        codes = self.body.draw(rows, rng)
        of = inverse(np.array([1 - self.planted, *(mode.share for mode in self.modes)]), rng.random(rows))
        for number, mode in enumerate(self.modes, start=1):
            at = np.flatnonzero(of == number)
            for position, shares in enumerate(self._within(mode)):
                codes[at, position] = inverse(shares, rng.random(at.size))
        cells = {column.name: column.cells(codes[:, place]) for place, column in enumerate(self.columns)}
        return Drawn(table=Table.from_arrow(pa.table(cells)), schema=self.schema, truth=self)

    def codes(self, table: Table) -> NDArray[np.int64]:
        """A table's cells as codes, shape (rows, columns); -1 for what the population cannot have."""
        return np.stack([column.codes(table.column(column.name)) for column in self.columns], axis=1)

    def marginal(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Exact shares of all cells of these columns, in this order, shape (their sizes).

        Raises:
            ParameterError: no such column, or one twice.
        """
        places = self._places(names)
        out = (1 - self.planted) * self.body.marginal(places)
        for mode in self.modes:
            within = self._within(mode)
            product = np.array(mode.share)
            for place in places:
                product = np.multiply.outer(product, within[place])
            out = out + product
        return out

    def share_of(self, mode: RareMode) -> float:
        """Exact share of rows that have the mode's combination, whoever made them."""
        cell: NDArray[np.float64] = self.marginal(tuple(mode.fixed))
        return float(cell[tuple(mode.fixed.values())])

    def holds(self, mode: RareMode, rows: Table | pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows have a mode's combination, shape (rows,)."""
        table = rows if isinstance(rows, Table) else Table.from_pandas(rows)
        columns = {column.name: column for column in self.columns}
        found = [columns[name].codes(table.column(name)) == code for name, code in mode.fixed.items()]
        held: NDArray[np.bool_] = np.all(found, axis=0)
        return held

    def _places(self, names: Sequence[str]) -> list[int]:
        known = {column.name: place for place, column in enumerate(self.columns)}
        absent = [name for name in names if name not in known]
        if absent:
            raise ParameterError(f"The population has no column {absent[0]!r}.", f"It has {', '.join(known)}.")
        return [known[name] for name in names]

    def _within(self, mode: RareMode) -> list[NDArray[np.float64]]:
        """Shares of each column inside a mode: all on the fixed code, or the body's own."""
        return [
            np.eye(column.size)[mode.fixed[column.name]] if column.name in mode.fixed else self.body.marginal((place,))
            for place, column in enumerate(self.columns)
        ]
