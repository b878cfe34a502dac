"""Private tables in, synthetic tables out: with a budget, an attack report and a signature.

    import dpsynth as dp
    ws    = dp.Workspace.open("vault")
    data  = ws.register("patients", dp.read("patients.parquet"), unit="patient_id", max_per_unit=4)
    draft = ws.synthesize(data, dp.tabular.MST(), epsilon=1.0, delta=1e-9)   # charged, sealed
    draft.attack(); draft.evaluate()                                         # rich cells
    draft.gate()                                                             # ship | regenerate | reject
    release = draft.release("out/");  release.to_pandas()
    dp.verify("out/", key="release.pub")

Names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpsynth import simulation, tabular, text
    from dpsynth.comparison import Comparison, compare
    from dpsynth.data.read import read
    from dpsynth.quality import evaluate
    from dpsynth.release.verify import verify
    from dpsynth.schema.model import Schema
    from dpsynth.workspace import Draft, Release, Workspace

__version__ = "0.1.0"

_WHERE = {
    "Comparison": "dpsynth.comparison.result",
    "Draft": "dpsynth.workspace.draft",
    "Release": "dpsynth.workspace.draft",
    "Schema": "dpsynth.schema.model",
    "Workspace": "dpsynth.workspace.workspace",
    "compare": "dpsynth.comparison.entry",
    "evaluate": "dpsynth.quality",
    "read": "dpsynth.data.read",
    "verify": "dpsynth.release.verify",
}
__all__ = [
    "Comparison", "Draft", "Release", "Schema", "Workspace", "__version__", "compare", "evaluate", "read", "simulation",
    "tabular", "text", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("simulation", "tabular", "text"):
        return import_module(f"dpsynth.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
