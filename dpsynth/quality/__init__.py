"""How good a synthetic table is, each figure beside what real data itself would score.

`evaluate` compares a synthetic table with the real one; `QualityReport` is its JSON document. Names load
lazily, so that `import dpsynth` needs neither pandas nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.quality.evaluation import evaluate
    from dpsynth.quality.report import QualityReport

_LAZY = {
    "evaluate": "dpsynth.quality.evaluation:evaluate",
    "QualityReport": "dpsynth.quality.report:QualityReport",
}
__all__ = ["QualityReport", "evaluate"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
