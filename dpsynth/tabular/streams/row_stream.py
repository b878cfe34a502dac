"""Rows of a model in partitions: each drawn from random numbers of its own, so that it can be drawn alone, and again.

    stream = RowStream.of(model, 100_000_000, partitions=100)
    for block in stream.batches(7): ...          # tables of partition 7; the same each time, in any order, anywhere

Partition p takes its random numbers from `SeedSequence(seed, spawn_key=(p,))` through PCG64DXSM: a function of seed and
number alone, so neither the order of partitions nor who draws them changes a row. Blocks of a partition follow one
another in that one sequence.

What is held at a time is a block:

- forests (`mst`, `independent`) without constraints: `forest_columns`, 131,072 rows;
- forests with constraints, or under a condition: the same number of rows through `conditional`;
- record tables (`gibbs`, `aim`) and networks: their own blocks (`Model.batches`);
- whole people: their own blocks; a person is within one partition and named `synthetic-PARTITION-NUMBER`.

Law: a row of a stream is distributed as a row of `Model.sample`. What differs is rounding: `sample` evens counts out
over all rows (or its blocks), a stream over each block. Declared constraints hold in each row, and learned functional
dependencies are the model's, hence the same in all partitions. Equal shares of a class are not streamed.

Post-processing of released numbers: free of epsilon. The seed is no secret: who has it and the rows learns nothing that
the model does not say. Not guaranteed: equal bytes under other versions of numpy, numba or Arrow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import pyarrow as pa

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.conditions.given import Given
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.sequences.people_model import NAME, PeopleModel
from dpsynth.tabular.streams.forest_columns import BLOCK, ForestColumns

if TYPE_CHECKING:
    from dpsynth.tabular.protocol import Model

ROWS_A_PARTITION = 1_000_000
"""Of a stream whose number of partitions is left open."""
MOST_PARTITIONS = 100_000


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowStream:
    """A sample that is drawn where and when it is asked for.

    Attributes:
        model: what is sampled.
        rows: in all partitions together.
        partitions: how many.
        seed: 64 hexadecimal digits.
        given: condition that all rows meet.
        block: most rows of a forest that are held at a time; others are drawn with another.
    """

    model: Model
    rows: int
    partitions: int
    seed: str
    given: Given | None = None
    block: int = BLOCK

    @classmethod
    def of(
        cls,
        model: Model,
        rows: int,
        *,
        partitions: int | None = None,
        seed: str | None = None,
        given: Given | None = None,
    ) -> RowStream:
        """A stream with a new seed, unless one is given.

        Args:
            model: a fitted or loaded model.
            rows: how many, at least 1.
            partitions: default one for each million rows begun; none is empty.
            seed: 64 hexadecimal digits; that of an earlier stream gives its rows again.
            given: as for `Model.sample`.

        Raises:
            ParameterError: a number or the seed is out of range.
        """
        number = -(-rows // ROWS_A_PARTITION) if partitions is None else partitions
        if rows < 1 or not 1 <= number <= min(rows, MOST_PARTITIONS):
            raise ParameterError(
                f"Expected rows={rows} >= 1 in at least 1 and at most {MOST_PARTITIONS:,} partitions, none of them "
                f"empty; got {number}.",
                "Ask for fewer partitions, or more rows.",
            )
        chosen = os.urandom(32).hex() if seed is None else seed
        if not re.fullmatch("[0-9a-f]{64}", chosen):
            raise ParameterError("The seed of a stream is 64 hexadecimal digits.", "Leave it out for a new one.")
        return cls(model=model, rows=rows, partitions=number, seed=chosen, given=given)

    def rows_of(self, partition: int) -> int:
        """Rows of a partition; partitions differ by one at most, the longer ones first.

        Raises:
            ParameterError: there is no such partition.
        """
        if not 0 <= partition < self.partitions:
            raise ParameterError(f"There is no partition {partition} of {self.partitions}.", "They count from 0.")
        return self.rows // self.partitions + (partition < self.rows % self.partitions)

    def generator(self, partition: int) -> np.random.Generator:
        """The random numbers of a partition, from their beginning."""
        seeds = np.random.SeedSequence(int(self.seed, 16), spawn_key=(partition,))
        return np.random.Generator(np.random.PCG64DXSM(seeds))

    def batches(self, partition: int) -> Iterator[pa.Table]:
        """The rows of a partition, block by block, with the columns and types of `Model.sample`."""
        for block in self.encoded_batches(partition):
            yield _plain(block)

    def encoded_batches(self, partition: int) -> Iterator[pa.Table]:
        """As `batches`, but text may be in dictionaries, the same in all blocks: what a writer of Parquet wants."""
        rows, rng = self.rows_of(partition), self.generator(partition)
        if not isinstance(self.model, ForestModel):
            for block in self.model.batches(rows, rng, given=self.given):
                if len(block):
                    yield self._named(block, partition)
            return
        sizes = [min(self.block, rows - start) for start in range(0, rows, self.block)]
        if self.given or self.model.enforcement().rules:
            for size in sizes:
                yield self.model.sample(size, rng, given=self.given)
            return
        columns = ForestColumns.of(self.model)
        for size in sizes:
            yield columns.draw(size, rng)

    def _named(self, block: pa.Table, partition: int) -> pa.Table:
        """People of different partitions have different names."""
        if not isinstance(self.model, PeopleModel):
            return block
        import pyarrow.compute as pc

        at = block.column_names.index(self.model.unit)
        names = pc.replace_substring(block.column(at), NAME, f"{NAME}{partition}-", max_replacements=1)
        return block.set_column(at, self.model.unit, names)


def _plain(block: pa.Table) -> pa.Table:
    schema = pa.schema(
        [
            pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
            for field in block.schema
        ]
    )
    return block.cast(schema)
