"""Baselines on data that the caller declares public: another library's rows, written straight to a file.

No price is stated, because there is none: nothing was added to protect anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import Progress, silent
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema
from dpsynth.tabular import baseline as baseline_named
from dpsynth.workspace.runs.public import ignore, write_rows

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.tabular.baselines.protocol import Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSample:
    """Rows of a baseline; they may repeat the rows that it was fitted to.

    Attributes:
        rows: the sample.
        generator: name of the baseline.
        seed: of fit and sample; the same file and seed give the same rows on one machine.
    """

    rows: pa.Table
    generator: str
    seed: int

    def write(self, path: Path) -> None:
        """Write the rows as CSV or Parquet."""
        write_rows([self.rows], path)


def baseline_public(
    source: Path | Table,
    baseline: Baseline | str,
    *,
    schema: Schema | Path | None = None,
    target: str | None = None,
    rows: int | None = None,
    seed: int | None = None,
    progress: Progress = silent,
    warn: Callable[[str], None] = ignore,
) -> BaselineSample:
    """Fit a baseline to data that is declared public, and sample it.

    Args:
        source: a file or a table.
        baseline: a baseline, or the name of one with its library's defaults.
        schema: kinds of the columns; default a draft from names and types.
        target: the column that models will predict.
        rows: how many to sample; default as many as the table has, which is public too.
        seed: of fit and sample, below 2^32; default from the operating system.
        progress: called as steps finish.
        warn: called with what the reader noticed.

    Raises:
        ParameterError: a number out of range, an unknown baseline, or its library is not installed.
    """
    check_numbers(rows, seed)
    made_by = baseline_named(baseline) if isinstance(baseline, str) else baseline
    declared = Schema.from_yaml(schema) if isinstance(schema, Path) else schema
    found = prepare(source, declared, target=target)
    for warning in found.warnings:
        warn(warning.message)
    chosen = fresh_seed() if seed is None else seed
    model = made_by.fit(found.table, found.schema, seed=chosen, progress=progress)
    number = found.table.unsafe_num_rows if rows is None else rows
    return BaselineSample(rows=model.sample(number, seed=chosen), generator=made_by.name, seed=chosen)


def check_numbers(rows: int | None, seed: int | None) -> None:
    """Refuse a number of rows or a seed that no library takes; raises `ParameterError`."""
    if rows is not None and rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for as many as the table has.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ParameterError("Expected a seed from 0 to 2^32 - 1.", "Leave it out for one from the system.")


def fresh_seed() -> int:
    """32 bits of the operating system: what the libraries' own generators take."""
    return int(SystemNoise().uint64(1)[0] >> 32)
