"""What a baseline is: a fit that reads the rows themselves, and a model that may repeat them.

    model = baseline.fit(table, schema, seed=1)      # no plan, no noise source: nothing is protected
    rows  = model.sample(1000, seed=2)

Not guaranteed: anything. Rows of such a model are as private as the rows that it was fitted to.
"""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from dpsynth.core.progress import Progress
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema


class BaselineModel(Protocol):
    """A fitted model that protects nobody."""

    def sample(self, rows: int, *, seed: int) -> pa.Table:
        """`rows` rows with the columns and canonical types of the fitted table; equal seeds give equal rows."""


class Baseline(Protocol):
    """Makes models without a guarantee."""

    @property
    def name(self) -> str:
        """Its key in `BASELINES`."""

    @property
    def version(self) -> str:
        """The library and its version, such as "sdv 2.0.0"; raises `ParameterError` if it is not installed."""

    def fit(self, table: Table, schema: Schema, *, seed: int, progress: Progress) -> BaselineModel:
        """Fit the modelled columns of `table`. Equal tables and seeds give equal models on one machine."""
