"""The whole way on real data that ships inside a dependency: `dpsynth demo`.

load, write        the demo's tables: rows and schema, in memory or as files
private_records    real writing that stands in for private texts
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.demo.data import DATASETS, load, write
    from dpsynth.demo.texts import private_records

_WHERE = {"DATASETS": "data", "load": "data", "private_records": "texts", "write": "data"}
__all__ = ["DATASETS", "load", "private_records", "write"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.demo.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
