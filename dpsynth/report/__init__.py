"""One HTML file that a lawyer reads in a minute and an auditor in an hour, and the same look in Jupyter.

`assemble` and `assemble_public` make view models from documents, `render_internal` and `render_public` make
pages of them, `cell` shows one object in a notebook. Names load lazily: Jinja2 and matplotlib come with the
first page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.report.cells import attach, cell, install
    from dpsynth.report.html import render_internal, render_public
    from dpsynth.report.model import PublicModel, ReportModel, assemble, assemble_public

_LAZY = {
    "PublicModel": "dpsynth.report.model:PublicModel",
    "ReportModel": "dpsynth.report.model:ReportModel",
    "assemble": "dpsynth.report.model:assemble",
    "assemble_public": "dpsynth.report.model:assemble_public",
    "attach": "dpsynth.report.cells:attach",
    "cell": "dpsynth.report.cells:cell",
    "install": "dpsynth.report.cells:install",
    "render_internal": "dpsynth.report.html:render_internal",
    "render_public": "dpsynth.report.html:render_public",
}
__all__ = [
    "PublicModel", "ReportModel", "assemble", "assemble_public", "attach", "cell", "install", "render_internal",
    "render_public",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
