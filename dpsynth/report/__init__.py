"""One HTML file that a lawyer reads in a minute and an auditor in an hour, and the same look in Jupyter.

`assemble` and `assemble_public` make view models from documents, `render_internal` and `render_public` make
pages of them; `assemble_audit` and `render_audit` do so for the attack suite on anybody's files. `cell` shows one
object in a notebook. Names load lazily: Jinja2 and matplotlib come with the first page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.report.audit import AuditModel, assemble_audit
    from dpsynth.report.cells import attach, cell, install
    from dpsynth.report.comparison import ComparisonModel, assemble_comparison
    from dpsynth.report.html import (
        render_audit,
        render_comparison,
        render_internal,
        render_portfolio,
        render_public,
    )
    from dpsynth.report.model import PublicModel, ReportModel, assemble, assemble_public
    from dpsynth.report.pdf import portfolio_pdf, render_pdf
    from dpsynth.report.portfolio import PortfolioModel, assemble_portfolio

_LAZY = {
    "AuditModel": "dpsynth.report.audit:AuditModel",
    "PublicModel": "dpsynth.report.model:PublicModel",
    "ReportModel": "dpsynth.report.model:ReportModel",
    "assemble": "dpsynth.report.model:assemble",
    "ComparisonModel": "dpsynth.report.comparison:ComparisonModel",
    "assemble_comparison": "dpsynth.report.comparison:assemble_comparison",
    "render_comparison": "dpsynth.report.html:render_comparison",
    "PortfolioModel": "dpsynth.report.portfolio:PortfolioModel",
    "assemble_portfolio": "dpsynth.report.portfolio:assemble_portfolio",
    "portfolio_pdf": "dpsynth.report.pdf:portfolio_pdf",
    "render_pdf": "dpsynth.report.pdf:render_pdf",
    "render_portfolio": "dpsynth.report.html:render_portfolio",
    "assemble_audit": "dpsynth.report.audit:assemble_audit",
    "assemble_public": "dpsynth.report.model:assemble_public",
    "attach": "dpsynth.report.cells:attach",
    "cell": "dpsynth.report.cells:cell",
    "install": "dpsynth.report.cells:install",
    "render_audit": "dpsynth.report.html:render_audit",
    "render_internal": "dpsynth.report.html:render_internal",
    "render_public": "dpsynth.report.html:render_public",
}
__all__ = [
    "AuditModel",
    "ComparisonModel",
    "PortfolioModel",
    "PublicModel",
    "ReportModel",
    "assemble",
    "assemble_audit",
    "assemble_comparison",
    "assemble_portfolio",
    "assemble_public",
    "attach",
    "cell",
    "install",
    "portfolio_pdf",
    "render_audit",
    "render_comparison",
    "render_internal",
    "render_pdf",
    "render_portfolio",
    "render_public",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
