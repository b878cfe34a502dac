"""What is public about a table: kinds, domains, bounds and roles of its columns."""

from importlib import import_module
from typing import Any

_NAMES = {
    "CategoryDomain": "dpsynth.schema.domain:CategoryDomain",
    "ColumnSpec": "dpsynth.schema.model:ColumnSpec",
    "Domain": "dpsynth.schema.domain:Domain",
    "GridDomain": "dpsynth.schema.domain:GridDomain",
    "Prepared": "dpsynth.schema.checks:Prepared",
    "Schema": "dpsynth.schema.model:Schema",
    "draft": "dpsynth.schema.draft:draft",
    "prepare": "dpsynth.schema.checks:prepare",
}
__all__ = ["CategoryDomain", "ColumnSpec", "Domain", "GridDomain", "Prepared", "Schema", "draft", "prepare"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _NAMES[name].split(":")
    return getattr(import_module(module), attribute)
