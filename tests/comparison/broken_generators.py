"""Generators that fail in the ways that generators do, in a module that another process can import."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

from dpsynth.tabular.independent import Independent


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Plans like `independent`, and fails in its fit."""

    name: ClassVar[str] = "broken"
    how: str = "error"

    def plan(self, schema, unit, *, epsilon, delta):
        return Independent().plan(schema, unit, epsilon=epsilon, delta=delta)

    def fit(self, table, schema, domains, plan, **options):
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "wait":
            signal.pause()
        raise ValueError("the cell '4711' is odd")


@dataclass(frozen=True, kw_only=True)
class Copier:
    """A baseline without a guarantee: it returns the rows."""

    name: str = "copier"
    version: str = "1"

    def fit(self, table, schema, *, seed, progress):
        return Copies(table)


class Copies:
    def __init__(self, table):
        self.table = table

    def sample(self, rows, *, seed):
        import numpy as np

        return self.table.take(np.random.default_rng(seed).integers(0, self.table.unsafe_num_rows, rows)).to_arrow()
