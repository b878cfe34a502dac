"""Reading private tables, and handing out their counts and batches."""

from importlib import import_module
from typing import Any

_NAMES = {
    "DataWarning": "dpsynth.data.warning:DataWarning",
    "ReadOptions": "dpsynth.data.options:ReadOptions",
    "Table": "dpsynth.data.table:Table",
    "read": "dpsynth.data.read:read",
}
__all__ = ["DataWarning", "ReadOptions", "Table", "read"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _NAMES[name].split(":")
    return getattr(import_module(module), attribute)
