"""Reports as files: of one draft, or of all that a workspace answers for; a page or a PDF/A by the file's ending.

    report(draft, "report.pdf")                    internal: exact figures, not for release
    report(draft, "public.html", public=True)      what a bundle publishes, allow-listed fields only
    portfolio(workspace, "portfolio.html")         budgets, attempts, releases and recalls over time

The command `dpsynth report` writes the same documents.

Not guaranteed: that an internal report stays where it was written; it says on every page that it must.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.errors import DataError

if TYPE_CHECKING:
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.workspace import Workspace


def report(draft: Draft, path: str | Path, *, public: bool = False) -> Path:
    """Write a draft's report.

    Args:
        draft: whose evidence.
        path: a new or old file that ends in .html or .pdf; PDF needs the extra `pdf`.
        public: the edition that a bundle holds, only of a draft that may leave.

    Raises:
        DataError: another ending, or no folder there.
        GateRefused: `public`, and the draft may not leave.
    """
    from dpsynth.report import render_internal, render_public
    from dpsynth.report.pdf import render_pdf
    from dpsynth.workspace.releasing import internal_model, public_model

    where = _place(path)
    if public:
        shown = public_model(draft)
        return _write(where, render_pdf(shown) if where.suffix == ".pdf" else render_public(shown))
    model = internal_model(draft)
    return _write(where, render_pdf(model) if where.suffix == ".pdf" else render_internal(model))


def portfolio(workspace: Workspace, path: str | Path) -> Path:
    """Write the view of a whole workspace; internal.

    Raises:
        DataError: another ending than .html or .pdf, or no folder there.
    """
    from dpsynth.report import assemble_portfolio, render_portfolio
    from dpsynth.report.pdf import portfolio_pdf
    from dpsynth.workspace.portfolio import portfolio_document

    where, model = _place(path), assemble_portfolio(portfolio_document(workspace))
    return _write(where, portfolio_pdf(model) if where.suffix == ".pdf" else render_portfolio(model))


def _place(path: str | Path) -> Path:
    from dpsynth.workspace.runs.public import check_place

    where = Path(path)
    if where.suffix not in (".html", ".pdf"):
        raise DataError(f"'{where.name}' ends neither in .html nor in .pdf.", "Choose one of them.")
    check_place(where)
    return where


def _write(where: Path, made: str | bytes) -> Path:
    where.write_bytes(made.encode() if isinstance(made, str) else made)
    return where
