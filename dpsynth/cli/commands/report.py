"""`report`: one draft, or a whole workspace, as a page and as a PDF for archives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import AsJson, WorkspaceDir


def report(
    draft: Annotated[str | None, typer.Argument(help="a draft; leave out for all data sets of the workspace")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="page to write; default report.html beside the draft, or portfolio.html"),
    ] = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", help="PDF/A to write as well; needs the extra pdf")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="the edition that a bundle holds; only of a draft that may leave")
    ] = False,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a draft, or of the whole workspace; internal unless --public."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.report.pdf import render_pdf
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.releasing import internal_model, public_model

    terminal = Terminal(as_json=as_json)
    opened = Workspace.open(workspace)
    if public and (draft is None or (output is None and pdf is None)):
        raise typer.BadParameter(
            "name a draft and say where to: --output FILE, --pdf FILE or both", param_hint="--public"
        )
    written: dict[str, str] = {}
    if draft is None:
        from dpsynth.report import assemble_portfolio, render_portfolio
        from dpsynth.report.pdf import portfolio_pdf
        from dpsynth.workspace.portfolio import portfolio_document

        portfolio = assemble_portfolio(portfolio_document(opened))
        page, archive = render_portfolio(portfolio), None if pdf is None else portfolio_pdf(portfolio)
        path = output or opened.layout.root / "portfolio.html"
    else:
        from dpsynth.report import render_internal, render_public

        made = opened.draft(draft)
        path = output or (made.folder / "report.html" if not public else Path())
        if public:
            shown = public_model(made)
            page, archive = render_public(shown), None if pdf is None else render_pdf(shown)
        else:
            model = internal_model(made)
            page, archive = render_internal(model), None if pdf is None else render_pdf(model)
    if output is not None or not public:
        path.write_text(page, "utf-8")
        written["report"] = str(path)
    if pdf is not None and archive is not None:
        pdf.write_bytes(archive)
        written["pdf"] = str(pdf)
    whose = "public: what a bundle publishes" if public else "internal: computed from private rows"
    terminal.say(f"Wrote {' and '.join(written.values())} ({whose})")
    terminal.result({**written, "edition": "public" if public else "internal"})


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(report)
