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
from importlib import import_module
from typing import Any, Final

from dpsynth.quality.report import QualityReport
from dpsynth.report.audit import AuditModel, assemble_audit
from dpsynth.report.cell_documents import LEDGER, RECORD, SCHEMA, document_of, schema_view
from dpsynth.report.comparison import assemble_comparison
from dpsynth.report.costs import PLAN, cost_view
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
    "accounting.ledger.ledger:Ledger",
    "accounting.ledger.records:BudgetRecord",
    "attacks.report:AttackReport",
    "dpsynth.quality.report:QualityReport",
    "dpsynth.release.gate:Decision",
    "dpsynth.release.verification:VerificationReport",
    "dpsynth.schema.model:Schema",
    "dpsynth.workspace.cost.plan:CostPlan",
    "dpsynth.workspace.registry.datasets:DatasetRecord",
)
_SCHEMAS: Final[Mapping[str, str]] = {
    "dpsynth.decision/1": "decision",
    "dpsynth.public_decision/1": "decision",
    "dpsynth.attacks/1": "attacks",
    "dpsynth.comparison/1": "comparison",
    "dpsynth.quality/1": "quality",
    "dpsynth.draft/1": "draft",
    "dpsynth.cell.release/1": "release",
    SCHEMA: "schema",
    LEDGER: "ledger",
    RECORD: "facts",
    PLAN: "plan",
}
_WRAPPED: Final = {"dpsynth.attack/1", "dpsynth.quality_of_draft/1"}  # a report and the draft it is bound to


def kind_of(document: Document) -> str:
    """Which cell draws this document: by its schema, else by its keys."""
    schema = document.get("schema")
    if isinstance(schema, str) and schema in _SCHEMAS:
        return _SCHEMAS[schema]
    if {"epsilon", "delta", "relation", "unit", "accountant"} <= set(document):
        return "guarantee"
    if {"ok", "checks", "guarantee", "warnings"} <= set(document):
        return "verification"
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
    document = obj if isinstance(obj, Mapping) else document_of(obj)
    if document.get("schema") in _WRAPPED and isinstance(document.get("report"), Mapping):
        document = document["report"]
    kind = kind_of(document)
    view = _VIEWS[kind](document) if kind in _VIEWS else _facts(document, type(obj).__name__)
    return environment().get_template("cell.html.j2").render(kind=kind, view=view)


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
            "state": clean(document.get("state") or "sealed"),
            "guarantee": guarantee_view(document["guarantee"]) if document.get("guarantee") else None,
            "facts": provenance(document),
        }


def _ledger(document: Document) -> dict[str, Any]:
    with reading("ledger"):
        head = document["head"]
        return {
            "head": f"{clean(head['seq'])}:{clean(head['hash'])[:16]}",
            "ledger_id": clean(document["ledger_id"]),
            "kinds": [(clean(kind), int(count)) for kind, count in document["kinds"].items()],
            "budgets": [
                (clean(row["dataset"]), clean(row["purpose"] or "the whole"), budget_view(row["balance"]))
                for row in document["budgets"]
            ],
        }


def _release(document: Document) -> dict[str, Any]:
    with reading("release"):
        return {
            "verdict": verdict_view(document["decision"]),
            "sentence": clean(document["guarantee_in_words"]),
            "facts": flatten({k: document[k] for k in ("Release", "Rows", "Bundle", "Verify with")}),
        }


def _verification(document: Document) -> dict[str, Any]:
    with reading("verification"):
        ok, privacy = document["ok"] is True, document.get("privacy")
        checks = [(clean(one["name"]), one["ok"] is True, clean(one["reason"])) for one in document["checks"]]
        failed = [reason for _, holds, reason in checks if not holds]
        told = f"All {len(checks)} checks hold." if ok else failed[0] if failed else "Nothing was checked."
        word, tone = ("Verified", "good") if ok else ("Not verified", "bad")
        ceiling = None if privacy is None else float(privacy["attacker"]["tpr_at_most"])
        return {
            "verdict": {"key": "verified" if ok else "refused", "word": word, "tone": tone, "sentence": told},
            "checks": checks,
            "guarantee": guarantee_view(document["guarantee"], ceiling) if ok and document["guarantee"] else None,
            "warnings": [clean(text) for text in document["warnings"]],
        }


def _facts(document: Document, title: str) -> dict[str, Any]:
    name = {"dict": "Document", "mappingproxy": "Document", "BudgetRecord": "Budget", "DatasetRecord": "Data set"}.get(
        title, title
    )
    shown = {key: value for key, value in document.items() if key != "schema" or value != RECORD}
    return {"title": clean(name), "facts": flatten(shown)}


_VIEWS: Final[Mapping[str, Any]] = {
    "guarantee": guarantee_view,
    "balance": budget_view,
    "decision": _decision,
    "attacks": _attacks,
    "comparison": _comparison,
    "quality": QualityReport.from_json,
    "draft": _draft,
    "schema": schema_view,
    "ledger": _ledger,
    "release": _release,
    "verification": _verification,
    "plan": cost_view,
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


def install_text(formatter: Any, names: tuple[str, ...] = CELLS) -> None:
    """Register short texts with IPython's plain formatter, beside the cells: for terminals, diffs and ears.

    Args:
        formatter: `get_ipython().display_formatter.formatters["text/plain"]`.
        names: as for `install`.
    """
    for name in names:
        module, _, attribute = name.partition(":")
        formatter.for_type_by_name(module, attribute, lambda obj, printer, _cycle: printer.text(plain(obj)))


def plain(obj: Any) -> str:
    """The object in a few lines of text: its own words, or its facts."""
    own = any("__str__" in vars(kind) for kind in type(obj).__mro__[:-1])
    if own and type(obj).__module__ != "dpsynth.schema.model":
        return clean_lines(str(obj))
    document = document_of(obj)
    if document.get("schema") == SCHEMA:
        view = schema_view(document)
        lines = [f"{name}: {kind}, {role}, {declared}" for name, kind, role, declared in view["columns"]]
        return clean_lines("\n".join([f"Schema of {len(lines)} columns", *lines]))
    return clean_lines("\n".join(f"{key}: {value}" for key, value in flatten(document) if key != "schema"))


def clean_lines(text: str) -> str:
    """Text without control characters, its lines kept."""
    return "\n".join(clean(line) for line in text.split("\n"))


def attach(*classes: type) -> None:
    """Give classes a `_repr_html_` that draws their document; call it where the class is handed to a person.

    Without a class, all that `CELLS` names, which imports them: for front ends that know no IPython.
    """
    for each in classes or tuple(_class(name) for name in CELLS):
        each._repr_html_ = cell  # type: ignore[attr-defined]


def _class(name: str) -> type:
    module, _, attribute = name.partition(":")
    found: type = getattr(import_module(module), attribute)
    return found


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext dpsynth.report.cells`."""
    install(ipython.display_formatter.formatters["text/html"])
    if "text/plain" in ipython.display_formatter.formatters:
        install_text(ipython.display_formatter.formatters["text/plain"])
