"""What a run would ask of its data, for a notebook: the document of `dpsynth plan`, in words.

>>> number(None), number(0), number(1500)
('unknown', '', '1,500')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dpsynth.core.amounts import duration, size
from dpsynth.report.views import Document, GuaranteeView, clean, guarantee_view, reading

PLAN: Final = "dpsynth.plan/1"
SCANNED: Final[Mapping[str, str]] = {"source": "source", "copy": "copy", "codes": "codes"}
SHOWN: Final = 5  # limits
NEAR: Final = 0.1  # part of a limit from which it is worth a line


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One step in words: what is sent, scanned and read there, counted, held here, paid, and how it grows."""

    name: str
    statements: str
    scans: str
    read: str
    histograms: str
    cells: str
    here: str
    rho: str
    grows: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """A cost beside what it may be."""

    name: str
    part: str
    tone: str
    word: str
    says: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostView:
    """A plan, ready to print."""

    title: str
    of: str
    guarantee: GuaranteeView
    engine: bool
    lines: tuple[CostLine, ...]
    totals: str
    limits: tuple[LimitLine, ...]
    notes: tuple[str, ...]


def cost_view(document: Document) -> CostView:
    """The plan of `to_json()`.

    Raises:
        DataError: it cannot be read.
    """
    with reading("plan"):
        engine = document["engine"] != "memory"
        paid = sum(float(step["rho"] or 0) for step in document["steps"])
        given = document["rows"]
        rows = f"about {given:,} rows" if given else f"figures for {document['figures_for_rows']:,} rows"
        return CostView(
            title=f"Plan: {clean(document['generator'])}",
            of=f"{clean(document['source'])} ({clean(document['engine'])}): {document['columns']:,} columns, {rows}",
            guarantee=guarantee_view(document["guarantee"]),
            engine=engine,
            lines=tuple(_line(step, paid) for step in document["steps"]),
            totals=_totals(document) if engine else "",
            limits=tuple(_limit(limit) for limit in document["limits"] if limit["part"] >= NEAR)[:SHOWN]
            or tuple(_limit(limit) for limit in document["limits"][:1]),
            notes=_notes(document),
        )


def number(value: int | None) -> str:
    """With commas; nothing for none, and a word for what nobody said."""
    return "unknown" if value is None else f"{value:,}" if value else ""


def grows(step: Mapping[str, Any]) -> str:
    """What a step grows with."""
    columns = {0: [], 1: ["columns"], 2: ["columns²"]}[step["growth"]["columns"]]
    return " × ".join([*(["rows"] if step["growth"]["rows"] else []), *columns])


def _line(step: Mapping[str, Any], paid: float) -> CostLine:
    rho = "" if not step["events"] else "unknown" if step["rho"] is None else f"{float(step['rho']) / paid:.1%}"
    held = step["bytes"]
    return CostLine(
        name=clean(step["step"]),
        statements=number(step["statements"]),
        scans=" + ".join(f"{value:,} {word}" for of, word in SCANNED.items() if (value := step["scans"][of])),
        read=size(held["read"]) if held["read"] else "",
        histograms=number(step["histograms"]),
        cells=number(step["cells"]),
        here=size(held["here"]) if held["here"] else "",
        rho=rho,
        grows=grows(step),
        note=clean(step["note"] or ""),
    )


def _totals(document: Document) -> str:
    totals = document["totals"]
    whole = {**SCANNED, "copy": "engine's own copy"}
    scans = ", ".join(f"{value:,} of the {word}" for of, word in whole.items() if (value := totals["scans"][of]))
    shuffles = f"; {totals['shuffles']:,} shuffles" if totals["shuffles"] else ""
    written = size(totals["bytes"]["written"])
    asked = f"{totals['statements']:,} statements and {totals['uploads']:,} public tables"
    return f"{asked}; scans: {scans}; {written} written there{shuffles}"


def _limit(limit: Mapping[str, Any]) -> LimitLine:
    part = float(limit["part"])
    word, tone = ("breaks", "bad") if part >= 1 else ("near", "warn") if part >= NEAR else ("far", "good")
    words = {"name": clean(limit["name"]), "says": clean(limit["says"]), "advice": clean(limit["advice"])}
    return LimitLine(part=f"{part:.2g}", word=word, tone=tone, **words)


def _notes(document: Document) -> tuple[str, ...]:
    notes = [
        f"Of the rows to draw, {clean(step['note'])}."
        for step in document["steps"]
        if step["step"] == "draw rows" and step["note"]
    ]
    bought = document.get("publish_quality")
    if bought is not None:
        notes.append(
            f"Quality: epsilon {clean(bought['epsilon'])} more for {bought['marginals']:,} columns and pairs, with "
            f"noise of scale {clean(bought['scale'])} on each count."
        )
    if not document["known"]:
        notes.append("The generator does not say what it asks, so its questions are unknown.")
    if document["open_columns"]:
        notes.append(f"Open domains: {len(document['open_columns'])}; their figures are the worst that may come.")
    time = document["time"]
    if time is not None:
        engine = "" if time["engine"] == document["engine"] else f" if it counts as fast as {clean(time['engine'])}"
        far = f", for {time['beyond']:,.0f} times as many rows," if time["beyond"] > 1 else ""
        notes.append(
            f"Counting: about {duration(float(time['cpu_seconds']))} of CPU time{engine}; an estimate{far} from "
            f"{clean(time['measured'])}."
        )
    notes.append(f"Read of the data: {clean(document['read'])}. Nothing was counted, reserved or spent.")
    return tuple(notes)
