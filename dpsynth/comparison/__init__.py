"""Generators side by side: one split, every generator at every epsilon and seed, each run in a process of its own.

`compare` is the one entry. Data that is public, or simulated, costs nothing; registered private data are compared only
through the ledger, which must hold the price of the whole sweep before the first run.

    entry        what is asked for, checked; public or private
    settings     a generator as plain data: class and settings that differ from the defaults
    grid         the cells of a sweep, and the digest that names each
    source       public rows, read, checked and split
    figures      what a synthetic table scores, and what a real one would
    cell         one run: fit, sample, measure
    server       a small process that forks one child a run; `workers` keeps as many as were asked for
    folder       one JSON a cell, so that a sweep that was stopped goes on
    price        what a sweep costs under the budget's own filter, and what would fit
    private      the sweep through the ledger
    result       what comes of it: table, document, page
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.comparison.entry import compare
    from dpsynth.comparison.result import Comparison

_WHERE = {"Comparison": "dpsynth.comparison.result", "compare": "dpsynth.comparison.entry"}
__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
