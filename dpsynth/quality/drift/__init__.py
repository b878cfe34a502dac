"""Time: what later real rows say of synthetic ones, and when a release no longer describes the present.

split_by_time     past and later rows, by a column of dates or numbers
LaterDistances    synthetic rows and real past, each against the real future: figures of the quality report
monitor           a release against new rows: keep or regenerate
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.quality.drift.later import LaterDistances
    from dpsynth.quality.drift.monitoring import Drift, monitor
    from dpsynth.quality.drift.time import TimeSplit, split_by_time

_WHERE = {
    "Drift": "monitoring",
    "LaterDistances": "later",
    "TimeSplit": "time",
    "monitor": "monitoring",
    "split_by_time": "time",
}
__all__ = ["Drift", "LaterDistances", "TimeSplit", "monitor", "split_by_time"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.quality.drift.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
