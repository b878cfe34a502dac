"""How good synthetic texts are, each figure beside what real texts score: words, order, meaning, diversity, use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.quality.text.evaluation import evaluate_text, together

_LAZY = {
    "evaluate_text": "dpsynth.quality.text.evaluation:evaluate_text",
    "together": "dpsynth.quality.text.evaluation:together",
}
__all__ = ["evaluate_text", "together"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
