"""The moves made ready before the first sweep, and said so: compiling them takes some seconds, once an installation.

Numba compiles a function when it is first called and keeps the result on disk. Two records are moved here, so that the
wait has a name instead of standing at 0 % of the fit. Later processes read the moves from disk in half a second, most
of it the import of Numba. Kernels for rare cases (columns of 256 codes and more) are left to their own first use.
Nothing private is involved.
"""

from __future__ import annotations

import functools

import numpy as np

from dpsynth.core.progress import Progress
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Marginal, Residuals

STAGE = "make the moves ready"
DETAIL = "compiled once: seconds"


def compile_moves(progress: Progress) -> None:
    """Call the kernels of every fit once; later calls in the same process only report."""
    progress(STAGE, 0, 1, DETAIL)
    _warm()
    progress(STAGE, 1, 1)


@functools.cache
def _warm() -> None:
    rng = np.random.default_rng(0)
    table = RecordTable((2, 2), [np.array([0.5, 0.5])] * 2, 2, rng)
    target = Marginal(columns=(0, 1), table=np.ones((2, 2)), sigma=1.0)
    together = JointProposal.of((0, 1), np.ones((2, 2)))
    table.anneal(Residuals(table.sizes, [target]), [1.0], rng, joint=[together])
    PairTables(table.sizes).add(table.records)
