"""`synthesize --public`: data that is public anyway, without seal, gate or ledger.

How benchmarks and teaching run. The same mechanisms run with the same noise, and the price is stated, but nobody
granted a budget and nothing is recorded: every artefact says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import Progress, silent
from dpsynth.pipeline import AnyGenerator, fit_model
from dpsynth.schema.checks import prepare
from dpsynth.schema.draft import with_text
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator as generator_named
from dpsynth.tabular.saved.saving import SavedModel, load
from dpsynth.workspace.private.bounding import bounded
from dpsynth.workspace.registry.datasets import as_table, drafted

if TYPE_CHECKING:
    import pandas as pd

    from accounting.guarantee import Guarantee
    from dpsynth.data.table import Table
    from dpsynth.tabular.conditions.given import Given
    from dpsynth.tabular.streams.parts import Written


GROUP = 120_000
"""Rows that are written at a time."""


def ignore(text: str) -> None:
    """A warning that nobody listens to."""
    del text


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSample:
    """Synthetic rows of public data: drawn when they are asked for, the same each time.

    Attributes:
        number: how many rows.
        guarantee: what the same run would promise if the data were private.
        generator: name of the generator that ran.
        saved: the model, to draw more rows from.
        seed: of the draw.
        given: condition that all rows meet.
        balance: column whose values take equal shares.
        sigma: noise of one measured count of a pair of columns, in rows; None if no such counts were measured.
    """

    number: int
    guarantee: Guarantee
    generator: str
    saved: SavedModel
    seed: NDArray[np.uint64]
    given: Given | None = None
    balance: str | None = None
    sigma: float | None = None

    @property
    def rows(self) -> pa.Table:
        """The sample, whole."""
        rng = np.random.default_rng(self.seed)
        return self.saved.model.sample(self.number, rng, given=self.given, balance=self.balance)

    def to_pandas(self) -> pd.DataFrame:
        """The sample as a DataFrame."""
        frame: pd.DataFrame = self.rows.to_pandas()
        return frame

    @property
    def resolution(self) -> float | None:
        """Rows of the smallest cell of a measured pair that shows at all: 5 % false alarms, 80 % power."""
        from dpsynth.quality.tails import resolution_limit

        return None if self.sigma is None else resolution_limit(self.sigma)

    def more(self, number: int, *, given: Given | None = None, balance: str | None = None) -> PublicSample:
        """Other rows of the same model: free, for a model holds released numbers only.

        Args:
            number: how many.
            given: column -> value, values, `Between` or None (missing) that all rows have.
            balance: column whose values take equal shares.

        Raises:
            ParameterError: the model has no such column or value, or no rows were asked for.
        """
        if number < 1:
            raise ParameterError(f"Expected number={number} >= 1.", "Ask for at least one row.")
        return replace(self, number=number, seed=SystemNoise().uint64(4), given=given, balance=balance)

    def write(self, path: Path) -> None:
        """Write the sample as it is drawn, in memory that does not grow with the rows (but for equal shares)."""
        if self.balance is not None:
            write_rows([self.rows], path)
            return
        rng = np.random.default_rng(self.seed)
        write_rows(self.saved.model.batches(self.number, rng, given=self.given), path)


def synthesize_public(
    source: str | Path | Table | pd.DataFrame,
    generator: AnyGenerator | str = "auto",
    *,
    epsilon: str | float,
    delta: str | float,
    schema: Schema | str | Path | None = None,
    target: str | None = None,
    unit: PrivacyUnit | None = None,
    order: str | None = None,
    text: str | None = None,
    beside: Sequence[str] = (),
    rows: int | None = None,
    progress: Progress = silent,
    warn: Callable[[str], None] = ignore,
) -> PublicSample:
    """Fit and sample data that the caller declares public.

    Args:
        source: a file, a table or a DataFrame.
        generator: a generator, or the name of one with default settings.
        epsilon: add/remove one `unit`; at what price to add noise.
        delta: likewise.
        schema: what is known of the columns; default a draft from names and types.
        target: the column that models will predict.
        unit: default one record.
        order: the column that says which of a unit's rows comes first; whole units are made then.
        text: the column of prose, for a writer; other columns are left out unless a schema or `beside` keeps them.
        beside: columns that are made with the text.
        rows: how many rows to sample; default the noisy row total.
        progress: called as steps finish.
        warn: called with what the reader noticed.
    """
    if rows is not None and rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for the noisy row total.")
    of = unit or PrivacyUnit()
    made_by = generator_named(generator) if isinstance(generator, str) else generator
    declared = Schema.from_yaml(schema) if isinstance(schema, str | Path) else schema
    of_whom = Path(source) if isinstance(source, str | Path) else as_table(source)
    if text is not None:
        known = declared or drafted(of_whom, target=target, unit=of.column)
        declared = with_text(known, text, beside=beside, declared=declared is not None, unit=of.column)
    found = prepare(of_whom, declared, target=target, unit=of.column, order=order)
    for warning in found.warnings:
        warn(warning.message)
    plan = made_by.plan(found.schema, of, epsilon=epsilon, delta=delta)
    noise = SystemNoise()
    table = bounded(found.table, of, noise.uint64(4).tobytes(), found.schema.order)
    model = fit_model(table, found.schema, made_by, plan, noise=noise, progress=progress).model
    finest = plan.pair_sigma(model.describe())
    return PublicSample(
        number=rows or max(model.rows, 1),
        guarantee=plan.guarantee,
        generator=model.generator,
        saved=SavedModel(model=model, guarantee=plan.guarantee, schema_digest=found.schema.digest()),
        seed=noise.uint64(4),
        sigma=None if finest is None else float(finest),
    )


def sample_public(
    path: Path, *, rows: int | None = None, where: Sequence[str] = (), balance: str | None = None
) -> PublicSample:
    """Rows from a model file of data that the caller declares public.

    Args:
        path: what `synthesize --public --save-model` wrote.
        rows: how many; default the noisy row total.
        where: conditions as words, `column=value`.
        balance: column whose values take equal shares.
    """
    from dpsynth.tabular.conditions.given import where as read_where

    if rows is not None and rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for the noisy row total.")
    saved = load(path)
    return PublicSample(
        number=rows or max(saved.model.rows, 1),
        guarantee=saved.guarantee,
        generator=saved.model.generator,
        saved=saved,
        seed=SystemNoise().uint64(4),
        given=read_where(where, saved.model.domains),
        balance=balance,
    )


def write_public_parts(
    path: Path,
    folder: Path,
    *,
    rows: int | None = None,
    partitions: int | None = None,
    where: Sequence[str] = (),
    workers: int = 1,
    progress: Progress = silent,
) -> tuple[SavedModel, Written]:
    """Rows from a model file of data that the caller declares public, streamed into a folder of Parquet parts.

    Args:
        path: what `synthesize --public --save-model` wrote.
        folder: a new folder, or one that an earlier call began: then the parts that it lacks are written.
        rows: how many; default the noisy row total.
        partitions: how many parts; default one for each million rows begun.
        where: conditions as words, `column=value`.
        workers: processes.
        progress: called as parts finish.

    Raises:
        DataError: the folder holds something else.
    """
    from dpsynth.tabular.conditions.given import where as read_where
    from dpsynth.tabular.streams.parts import write_parts
    from dpsynth.tabular.streams.row_stream import RowStream

    saved = load(path)
    stream = RowStream.of(
        saved.model,
        max(saved.model.rows, 1) if rows is None else rows,
        partitions=partitions,
        given=read_where(where, saved.model.domains),
    )
    return saved, write_parts(saved, stream, folder, workers=workers, progress=progress)


def check_output(path: Path) -> None:
    """Refuse, before any work is done, a path that rows cannot be written to.

    Raises:
        DataError: another ending, the path is a link or a folder, or its folder does not exist.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"'{path.name}' ends neither in .csv nor in .parquet.", "Choose one of them.")
    check_place(path)


def check_place(path: Path) -> None:
    """Refuse a path that is a link or a folder, or lies in a folder that does not exist; raises `DataError`."""
    if path.is_symlink():
        raise DataError(f"'{path.name}' is a link; output is never written through one.", "Choose another name.")
    if path.is_dir():
        raise DataError(f"'{path.name}' is a folder; output is a file.", "Choose another name.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder '{path.parent}' to write '{path.name}' to.", "Make it, or choose another.")


def write_rows(blocks: Iterable[pa.Table], path: Path) -> None:
    """Write CSV or Parquet by the path's ending; nothing is left behind if writing fails.

    Args:
        blocks: one or more tables of the same columns and types, written one after the other.
        path: where to.

    Raises:
        DataError: another ending, the path is a link or a folder, or its folder does not exist.
    """
    import pyarrow.csv
    import pyarrow.parquet

    check_output(path)
    scratch = path.with_name(f".{path.name}.part")
    left = iter(blocks)
    first = next(left).replace_schema_metadata(None)
    make = pyarrow.csv.CSVWriter if path.suffix == ".csv" else pyarrow.parquet.ParquetWriter
    try:
        with make(scratch, first.schema) as writer:
            for group in _groups(itertools.chain([first], left)):
                writer.write_table(group)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _groups(blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Blocks joined to groups of at least `GROUP` rows, so that a Parquet file has few row groups."""
    held: list[pa.Table] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
