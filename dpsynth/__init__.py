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
    from dpsynth import demo, quality, simulation, tabular, text
    from dpsynth.comparison import Comparison, compare
    from dpsynth.core.errors import BudgetRefused, DpsynthError, GateRefused, ReviewRefused
    from dpsynth.data.read import read
    from dpsynth.data.table import Table
    from dpsynth.quality import evaluate
    from dpsynth.release.verify import verify
    from dpsynth.report.plots import Chart
    from dpsynth.schema.model import Schema
    from dpsynth.tabular.conditions.given import Between
    from dpsynth.workspace import Draft, Release, Workspace, governance, keys, reporting
    from dpsynth.workspace.cost.plan import plan_cost
    from dpsynth.workspace.planning import plan_budget
    from dpsynth.workspace.runs.public import synthesize_public

__version__ = "0.1.0"

_WHERE = {
    "BudgetRefused": "dpsynth.core.errors",
    "DpsynthError": "dpsynth.core.errors",
    "GateRefused": "dpsynth.core.errors",
    "ReviewRefused": "dpsynth.core.errors",
    "Between": "dpsynth.tabular.conditions.given",
    "Chart": "dpsynth.report.plots",
    "Comparison": "dpsynth.comparison.result",
    "Draft": "dpsynth.workspace.draft",
    "Release": "dpsynth.workspace.draft",
    "Schema": "dpsynth.schema.model",
    "Table": "dpsynth.data.table",
    "Workspace": "dpsynth.workspace.workspace",
    "compare": "dpsynth.comparison.entry",
    "evaluate": "dpsynth.quality",
    "plan_budget": "dpsynth.workspace.planning",
    "plan_cost": "dpsynth.workspace.cost.plan",
    "read": "dpsynth.data.read",
    "synthesize_public": "dpsynth.workspace.runs.public",
    "verify": "dpsynth.release.verify",
}
_MODULES = {
    "demo": "dpsynth.demo",
    "governance": "dpsynth.workspace.governance",
    "keys": "dpsynth.workspace.keys",
    "quality": "dpsynth.quality",
    "reporting": "dpsynth.workspace.reporting",
    "simulation": "dpsynth.simulation",
    "tabular": "dpsynth.tabular",
    "text": "dpsynth.text",
}
__all__ = [
    "Between", "BudgetRefused", "Chart", "Comparison", "DpsynthError", "Draft", "GateRefused", "Release",
    "ReviewRefused", "Schema", "Table", "Workspace", "__version__", "compare", "demo", "evaluate", "governance",
    "keys", "plan_budget", "plan_cost", "quality", "read", "reporting", "simulation", "synthesize_public", "tabular",
    "text", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext dpsynth`: what people meet in a notebook is drawn as rich cells, also before a workspace is open."""
    import_module("dpsynth.report.cells").load_ipython_extension(ipython)


def __dir__() -> list[str]:
    return sorted(__all__)
