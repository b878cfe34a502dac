"""How good a synthetic table is, each figure beside what real data itself would score.

`evaluate` compares a synthetic table with the real one; `QualityReport` is its JSON document. `ablate` asks how many
synthetic rows help a model, `monitor` whether a release still describes new rows, `simulate` and `follow` what becomes
of generators that are trained on what generators made. Names load lazily, so that `import dpsynth` needs neither pandas
nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.quality.ablation.study import ablate
    from dpsynth.quality.collapse import follow, simulate
    from dpsynth.quality.drift.monitoring import monitor
    from dpsynth.quality.drift.time import split_by_time
    from dpsynth.quality.evaluation import evaluate
    from dpsynth.quality.report import QualityReport

_LAZY = {
    "QualityReport": "dpsynth.quality.report:QualityReport",
    "ablate": "dpsynth.quality.ablation.study:ablate",
    "evaluate": "dpsynth.quality.evaluation:evaluate",
    "follow": "dpsynth.quality.collapse:follow",
    "monitor": "dpsynth.quality.drift.monitoring:monitor",
    "simulate": "dpsynth.quality.collapse:simulate",
    "split_by_time": "dpsynth.quality.drift.time:split_by_time",
}
__all__ = ["QualityReport", "ablate", "evaluate", "follow", "monitor", "simulate", "split_by_time"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
