"""What a person holds: a workspace, its drafts, its releases. One code path for Python and for the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpsynth.workspace.draft import Draft, Release
    from dpsynth.workspace.workspace import Workspace

_WHERE = {
    "Draft": "dpsynth.workspace.draft",
    "Release": "dpsynth.workspace.draft",
    "Workspace": "dpsynth.workspace.workspace",
}
__all__ = ["Draft", "Release", "Workspace"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
