"""How much synthetic data is best beside real data, and whether any helps at all.

ablate       scores over the synthetic share, for several learners, with intervals and a test
Ablation     the document it returns, a section of the quality report
advise       published ranges of the share by task, beside the measured one
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.quality.ablation.document import Ablation
    from dpsynth.quality.ablation.published import PUBLISHED, advise
    from dpsynth.quality.ablation.study import ablate

_WHERE = {"Ablation": "document", "PUBLISHED": "published", "ablate": "study", "advise": "published"}
__all__ = ["PUBLISHED", "Ablation", "ablate", "advise"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.quality.ablation.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
