"""A public table, or a previous release, as what is believed before anything is measured. Post-processing throughout.

The rows must be public, or released under a guarantee of their own. They decide nothing about noise: plan,
sensitivities and events are those of a run without them. What they change is how released numbers are read:

- histograms are pulled towards the public ones by the positive-part estimator of James and Stein (1961):
  `P + a (y - P)`, a = max(0, 1 - (cells - 2) / sum((y - P)^2 / variance)). From three cells on its expected squared
  error is at most that of y alone, whatever P is: another population is noticed;
- fitted records start from public rows, and the first scores ask how far the private table is from the public one's
  pair tables (raked to the released columns) instead of from independence;
- if a pair's score is below half of its public table's distance from independence, the private table is nearer to the
  public one than to independence (triangle inequality). Then what is measured of the pair is pulled in the same way,
  and where nothing is, and the score says so beyond its noise, the public table stands in.

>>> guess = np.full(100, 50.0)
>>> estimate, share = towards(guess, guess + np.random.default_rng(0).normal(0.0, 9.0, 100), np.full(100, 81.0))
>>> bool(np.abs(estimate - guess).mean() < 3.0)
True

Not guaranteed: any statement about the private table. The bound on the squared error is for Gaussian noise and for all
cells together; single cells may become worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.data.options import ReadOptions
from dpsynth.data.read import conformed, read
from dpsynth.data.table import Table
from dpsynth.data.warning import listed
from dpsynth.schema.checks import column_options
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.oneway import OneWay
from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.records.pair_tables import PairTables

LEAST_SHARE = 0.05
"""Least part of their variance that pulled numbers keep, so that no public figure counts as exact."""
RAKING = 20
FLOOR = 1e-3
"""Part of independence in raked tables: without it a public zero would stay zero whatever the columns say."""


def public_rows(source: Table | Path, schema: Schema) -> Table:
    """The modelled columns of a public table, with the schema's types.

    Raises:
        SchemaError: a modelled column is not there.
        DataError: the file cannot be read, or has no rows.
    """
    options = {name: option for name, option in column_options(schema).items() if schema.columns[name].modelled}
    found = source if isinstance(source, Table) else _read(source, ReadOptions(columns=options))
    absent = [name for name in schema.modelled if name not in found.columns]
    if absent:
        raise SchemaError(
            f"The public prior has no column {listed(absent)}.",
            "Give it the modelled columns of the schema under the same names, or leave the prior out.",
        )
    rows = conformed(found.select(schema.modelled), ReadOptions(columns=options))
    if rows.unsafe_num_rows == 0:
        raise DataError("The public prior has no rows.", "Leave it out.")
    return rows


def _read(path: Path, options: ReadOptions) -> Table:
    try:
        return read(path, options=options)
    except DataError as error:
        raise DataError(f"The public prior cannot be used. {error.message}", error.remedy) from None


def towards(guess: Vector, noisy: Vector, variance: Vector) -> tuple[Vector, float]:
    """Noisy cells pulled towards a guess, and the share of their distance from it that is kept.

    Args:
        guess: public, any shape.
        noisy: released, same shape.
        variance: of the noise in each cell, same shape.
    """
    squares = float(((noisy - guess) ** 2 / variance).sum())
    share = max(0.0, 1.0 - max(noisy.size - 2, 0) / max(squares, 1e-300))
    return guess + share * (noisy - guess), share


def pulled_oneway(oneway: OneWay, column: pa.ChunkedArray, total: float) -> OneWay:
    """Released counts of a column, pulled towards those of its public values.

    Args:
        oneway: released.
        column: public values of the column; at least one.
        total: released number of rows.
    """
    cells = oneway.cells.size
    codes = oneway.cells.encode(column)
    counted = np.bincount(np.where(codes < 0, cells, codes), minlength=cells + 1)
    counts, share = towards(counted.astype(np.float64) * (total / len(codes)), oneway.counts, oneway.variance)
    return replace(oneway, counts=counts, variance=oneway.variance * max(share, LEAST_SHARE))


def public_codes(
    table: Table,
    binnings: Mapping[str, Binning],
    shapes: Mapping[str, int],
    shares: Mapping[str, Vector],
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Public rows as records, shape (rows, columns).

    A cell that the released codes do not know (outside the domain, or missing where missing has no code) is drawn from
    the column's released shares.
    """
    columns = []
    for name, binning in binnings.items():
        codes = binning.encode(table.column(name))
        codes = np.where(codes < 0, binning.size, codes)
        unknown = codes >= shapes[name]
        codes[unknown] = rng.choice(shapes[name], int(unknown.sum()), p=shares[name])
        columns.append(codes.astype(np.int16))
    return np.column_stack(columns)


def raked_tables(codes: NDArray[np.int16], shares: Mapping[str, Vector], total: float) -> PairTables:
    """Pair tables of public records, fitted to the released columns, for `total` rows."""
    margins = [*shares.values(), np.ones(1)]
    tables = PairTables([len(margin) for margin in margins])
    tables.add(np.column_stack([codes, np.zeros(len(codes), dtype=np.int16)]))
    for (a, b), table in tables.items():
        product = np.outer(margins[a], margins[b])
        raked = (1 - FLOOR) * table / max(len(codes), 1) + FLOOR * product
        for _ in range(RAKING):
            raked *= (margins[a] / np.maximum(raked.sum(axis=1), 1e-300))[:, None]
            raked *= margins[b] / np.maximum(raked.sum(axis=0), 1e-300)
        table[:] = total * raked
    return tables
