"""Objects in a notebook, drawn with the partials of the report, light and dark.

`cell` knows documents, not classes: whatever has a `to_json()` is recognised by its schema or its shape, so this
module imports nothing of what it draws, and nothing that it draws imports this module. Two ways to switch it on:

    install(formatter)   IPython only: registers by dotted name, so no class is imported before it is used
    attach(*classes)     sets `_repr_html_` on classes, for every front end that looks for it

`load_ipython_extension` makes `%load_ext dpsynth.report.cells` do the former. Neither runs on import.

>>> "left <b>2</b>" in cell({"epsilon": {"granted": "3", "spent": "1", "reserved": "0", "left": "2"},
...                          "delta": {"granted": "1e-6", "spent": "0", "reserved": "0", "left": "1e-6"}})
True

Not guaranteed: privacy. A cell shows exact figures; a notebook with output is an internal document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dpsynth.core.errors import DataError
from dpsynth.quality.report import QualityReport
from dpsynth.report.audit import AuditModel, assemble_audit
from dpsynth.report.comparison import assemble_comparison
from dpsynth.report.html import comparison_charts, environment
from dpsynth.report.model import provenance
from dpsynth.report.spending import budget_view
from dpsynth.report.views import (
    Document,
    checks_view,
    clean,
    flatten,
    guarantee_view,
    reading,
    verdict_view,
)

CELLS: Final[tuple[str, ...]] = (  # classes that people meet in a notebook, by the name IPython knows them by
    "accounting.guarantee:Guarantee",
    "accounting.ledger.balance:Balance",
    "attacks.report:AttackReport",
    "dpsynth.quality.report:QualityReport",
    "dpsynth.release.gate:Decision",
)
_SCHEMAS: Final[Mapping[str, str]] = {
    "dpsynth.decision/1": "decision",
    "dpsynth.public_decision/1": "decision",
    "dpsynth.attacks/1": "attacks",
    "dpsynth.comparison/1": "comparison",
    "dpsynth.quality/1": "quality",
    "dpsynth.draft/1": "draft",
}
_WRAPPED: Final = {"dpsynth.attack/1", "dpsynth.quality_of_draft/1"}  # a report and the draft it is bound to


def kind_of(document: Document) -> str:
    """Which cell draws this document: by its schema, else by its keys."""
    schema = document.get("schema")
    if isinstance(schema, str) and schema in _SCHEMAS:
        return _SCHEMAS[schema]
    if {"epsilon", "delta", "relation", "unit", "accountant"} <= set(document):
        return "guarantee"
    epsilon = document.get("epsilon")
    if isinstance(epsilon, Mapping) and {"granted", "spent", "reserved", "left"} <= set(epsilon):
        return "balance"
    return "facts"


def cell(obj: Any) -> str:
    """HTML for one object: a document, or anything whose `to_json()` returns one.

    Args:
        obj: Guarantee, Balance, AttackReport, QualityReport, Decision, Draft, Release, or their JSON.

    Raises:
        DataError: the object has no JSON form, or its document cannot be read.
    """
    document = obj if isinstance(obj, Mapping) else _json_of(obj)
    if document.get("schema") in _WRAPPED and isinstance(document.get("report"), Mapping):
        document = document["report"]
    kind = kind_of(document)
    view = _VIEWS[kind](document) if kind in _VIEWS else _facts(document, type(obj).__name__)
    return environment().get_template("cell.html.j2").render(kind=kind, view=view)


def _json_of(obj: Any) -> Document:
    to_json = getattr(obj, "to_json", None)
    document = to_json() if callable(to_json) else None
    if not isinstance(document, Mapping):
        raise DataError(
            f"{type(obj).__name__} has no JSON form that a cell could show.", "Print it, or show its parts."
        )
    return document


def _decision(document: Document) -> dict[str, Any]:
    return {"verdict": verdict_view(document), "checks": checks_view(document)}


def _attacks(document: Document) -> AuditModel:
    return assemble_audit(document)


def _comparison(document: Document) -> dict[str, Any]:
    model = assemble_comparison(document)
    return {"model": model, "charts": comparison_charts(model)}


def _draft(document: Document) -> dict[str, Any]:
    with reading("draft"):
        return {
            "name": clean(document["draft"]),
            "guarantee": guarantee_view(document["guarantee"]) if document.get("guarantee") else None,
            "facts": provenance(document),
        }


def _facts(document: Document, title: str) -> dict[str, Any]:
    name = "Document" if title in {"dict", "mappingproxy"} else title
    return {"title": clean(name), "facts": flatten(document)}


_VIEWS: Final[Mapping[str, Any]] = {
    "guarantee": guarantee_view,
    "balance": budget_view,
    "decision": _decision,
    "attacks": _attacks,
    "comparison": _comparison,
    "quality": QualityReport.from_json,
    "draft": _draft,
}


def install(formatter: Any, names: tuple[str, ...] = CELLS) -> None:
    """Register cells with IPython's HTML formatter, without importing the classes.

    Args:
        formatter: `get_ipython().display_formatter.formatters["text/html"]`.
        names: "module:Class"; the lead of a package adds its own, such as Draft and Release.
    """
    for name in names:
        module, _, attribute = name.partition(":")
        formatter.for_type_by_name(module, attribute, cell)


def attach(*classes: type) -> None:
    """Give classes a `_repr_html_` that draws their document; call it where the class is handed to a person."""
    for each in classes:
        each._repr_html_ = cell  # type: ignore[attr-defined]


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext dpsynth.report.cells`."""
    install(ipython.display_formatter.formatters["text/html"])
