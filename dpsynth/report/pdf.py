"""PDF/A for archives: the same view models, typeset by typst. No browser, no network, no fonts but those it brings.

    render_pdf(model)       one report, either edition    PDF/A-2b, the same bytes for the same evidence
    portfolio_pdf(model)    a whole workspace             likewise

The template reads one JSON document; texts are data there and cannot become commands, and `printable` leaves no
character without a shape, which PDF/A would refuse. The file's date is that of the evidence, never of the printing.

Needs the extra `pdf` (typst, Apache-2.0: one wheel without dependencies).

Not guaranteed: the same bytes from another version of typst.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from dpsynth.core.errors import ParameterError
from dpsynth.report.glyphs import printable
from dpsynth.report.model import PublicModel, ReportModel
from dpsynth.report.portfolio import PortfolioModel
from dpsynth.report.sheet_appendix import appendix_of
from dpsynth.report.sheet_portfolio import portfolio_sections
from dpsynth.report.sheets import front_of

STANDARD: Final = "a-2b"
UNDATED: Final = (1970, 1, 1)


def render_pdf(model: ReportModel | PublicModel) -> bytes:
    """The PDF of one report.

    Args:
        model: what `assemble` or `assemble_public` returned.

    Returns:
        a PDF/A-2b file.

    Raises:
        ParameterError: typst is not installed.
    """
    internal = model.edition == "internal"
    kind = "Internal report" if internal else "Public report"
    return typeset(
        {
            "internal": internal,
            "title": model.title,
            "eyebrow": f"{kind} \u00b7 differentially private synthetic data",
            "date": date_of(next((v for k, v in model.provenance if k == "Created"), "")),
            "front": front_of(model),
            "sections": appendix_of(model),
        }
    )


def portfolio_pdf(model: PortfolioModel) -> bytes:
    """The PDF of a workspace; errors as `render_pdf`."""
    return typeset(
        {
            "internal": True,
            "title": model.title,
            "eyebrow": f"Portfolio \u00b7 as of ledger entry {model.head}, {model.at} \u00b7 ledger {model.ledger_id}",
            "date": date_of(model.at),
            "sections": portfolio_sections(model),
        }
    )


def typeset(document: Mapping[str, Any]) -> bytes:
    """Draw a document of `sheets` with the template.

    Raises:
        ParameterError: typst is not installed.
    """
    try:
        import typst
    except ImportError as error:
        raise ParameterError(
            "PDF needs typst, which is not installed.", "pip install 'dpsynth-release[pdf]'"
        ) from error
    template = resources.files("dpsynth.report").joinpath("templates/report.typ").read_bytes()
    body = json.dumps(_shown(document), ensure_ascii=False, allow_nan=False)
    made = typst.compile(
        template, sys_inputs={"report": body}, format="pdf", pdf_standards=STANDARD, ignore_system_fonts=True
    )
    return bytes(made)


def date_of(text: str) -> tuple[int, int, int]:
    """Year, month and day of a time stamp, in UTC; the epoch for what is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return UNDATED
    at = at if at.tzinfo is None else at.astimezone(UTC)
    return at.year, at.month, at.day


def _shown(value: Any) -> Any:
    """The document with every text made printable; line ends inside of cells stay."""
    if isinstance(value, str):
        return "\n".join(printable(line) for line in value.split("\n"))
    if isinstance(value, Mapping):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value
