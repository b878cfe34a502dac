"""Documents for cells of objects whose own, if any, is for machines: a schema, a ledger, a budget's record, a data set.

Each is made of public or internal facts that the reports show too: declared columns, amounts, kinds of entries, never a
body of an entry and never a row. Classes are recognised by their name, so nothing is imported for them.

>>> sorted(name.partition(":")[2] for name in DOCUMENTS)
['BudgetRecord', 'DatasetRecord', 'Ledger', 'Schema']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from accounting.decimals import decimal_text
from dpsynth.core.errors import DataError
from dpsynth.report.views import Document, clean, reading

SCHEMA, LEDGER, RECORD = "dpsynth.cell.schema/1", "dpsynth.cell.ledger/1", "dpsynth.cell.budget/1"
SHOWN: Final = 8  # declared values of a column


def schema_document(schema: Any) -> dict[str, Any]:
    """What is public about the columns."""
    return {
        "schema": SCHEMA,
        "columns": [
            {"name": name, **{k: v for k, v in spec.model_dump(mode="json").items() if _is_said(k, v)}}
            for name, spec in schema.columns.items()
        ],
        "constraints": [str(rule) for rule in schema.constraints],
    }


def _is_said(name: str, value: Any) -> bool:
    if name == "nullable":
        return value is False
    return value is not None and value is not False and value != []


def ledger_document(ledger: Any) -> dict[str, Any]:
    """How long the chain is, what is in it, and where every budget stands."""
    head = ledger.head()
    return {
        "schema": LEDGER,
        "ledger_id": ledger.ledger_id,
        "head": {"seq": head.seq, "hash": head.hash},
        "kinds": dict(Counter(entry.kind.value for entry in ledger.entries())),
        "budgets": [
            {"dataset": own.dataset, "purpose": own.purpose, "balance": ledger.balance(own.budget_id).to_json()}
            for own in ledger.budgets()
        ],
    }


def record_document(record: Any) -> dict[str, Any]:
    """What a budget was granted, to whom and for what."""
    return {
        "schema": RECORD,
        "Data set": record.dataset,
        "Purpose": record.purpose or "the whole",
        "Recipients": record.recipient.value,
        "Granted": f"epsilon {record.granted.epsilon:f}, delta {decimal_text(record.granted.delta)}",
        "Granted first": f"epsilon {record.original.epsilon:f}, delta {decimal_text(record.original.delta)}",
        "Amended": f"{len(record.amendments)} times" if record.amendments else "never",
        "Relation and unit": f"{record.relation}, {record.unit}",
        "Ledger entry": record.seq,
    }


def dataset_document(record: Any) -> dict[str, Any]:
    """What a person asks of a data set: where its rows are, whose they are, what was declared; no credential."""
    place = record.place
    told = {
        "Name": record.name,
        "Rows": (record.path or "in memory") if place is None else place.shown,
        "Engine": None if place is None else place.source.kind,
        "Unit": str(record.unit),
        "Row key": None if place is None else place.row_key,
        "Schema": record.schema,
        "Later rows": None if record.time is None else f"{record.time.column} from {record.time.since} on",
        "Parents": None if record.lineage is None else record.lineage.model_dump(mode="json"),
        "Commitment": record.commitment,
    }
    return {"schema": RECORD, **{label: value for label, value in told.items() if value is not None}}


DOCUMENTS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "dpsynth.schema.model:Schema": schema_document,
    "accounting.ledger.ledger:Ledger": ledger_document,
    "accounting.ledger.records:BudgetRecord": record_document,
    "dpsynth.workspace.registry.datasets:DatasetRecord": dataset_document,
}


def document_of(obj: Any) -> Document:
    """The JSON form of an object: its own, or one of these.

    Raises:
        DataError: it has none.
    """
    made = DOCUMENTS.get(f"{type(obj).__module__}:{type(obj).__qualname__}")
    if made is not None:
        return made(obj)
    to_json = getattr(obj, "to_json", None)
    document = to_json() if callable(to_json) else None
    if not isinstance(document, Mapping):
        raise DataError(
            f"{type(obj).__name__} has no JSON form that a cell could show.", "Print it, or show its parts."
        )
    return document


def schema_view(document: Document) -> dict[str, Any]:
    """Columns as a table prints them: name, kind, role, what was declared."""
    with reading("schema"):
        return {
            "columns": [
                (clean(c["name"]), clean(c["kind"]), clean(c.get("role") or "\u2013"), _declared(c))
                for c in document["columns"]
            ],
            "constraints": [clean(rule) for rule in document["constraints"]],
        }


def _declared(column: Document) -> str:
    said = []
    if column.get("drop"):
        said.append("left out")
    if values := column.get("values"):
        more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
        said.append(f"{len(values)} values: " + ", ".join(clean(v) for v in values[:SHOWN]) + more)
    if "min" in column or "max" in column:
        said.append(f"from {column.get('min', 'unknown')} to {column.get('max', 'unknown')}")
    said += [f"{name} {clean(column[name])}" for name in ("precision", "format") if name in column]
    said += [word for word in ("other", "constant") if column.get(word)]
    for name, word in (("hierarchy", "hierarchy by the first"), ("missing", "missing is also")):
        said += [f"{word} {', '.join(clean(str(one)) for one in column[name])}"] if column.get(name) else []
    said += [] if column.get("nullable", True) else ["no cell is missing"]
    return "; ".join(said) or "nothing beyond its kind"
