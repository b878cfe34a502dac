"""A sweep on registered data: priced whole, then paid run by run.

1. plan every run from schema, unit, epsilon and delta; refuse unless the budget holds the sum (`price`)
2. each run: reserve, fit with noise from the operating system, commit, seal (`Workspace.synthesize`)
3. measure the draft against the workspace's own split, and record the report (`Draft.evaluate`)

Every run leaves a sealed draft like any other: counted as an attempt when it is attacked, released only through the
gate. Its figures are exact functions of private rows: they lie in the workspace, the page is marked internal, and tvd3
is left out, since the quality report has none. Runs go one after the other, because the ledger has one writer.

A run is written down as paid before it is measured, so a sweep that was stopped pays for no run twice; one that was
stopped inside a fit leaves its reservation, which counts as spent, and that run is paid for again.

Not guaranteed: anything about the choice that a person makes by these figures. Taking the best of several drafts by
private figures is a selection that the ledger does not price; only the drafts themselves are paid for.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dpsynth
from accounting.decimals import decimal_text
from accounting.errors import AccountingError
from dpsynth.comparison.folder import SweepFolder
from dpsynth.comparison.grid import Cell
from dpsynth.comparison.price import Bill, Plans, require, which
from dpsynth.comparison.result import Comparison
from dpsynth.core.errors import DpsynthError, ParameterError
from dpsynth.core.progress import Clock, Progress
from dpsynth.quality.report import QualityReport
from dpsynth.workspace.budgets import budget_of
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.private.room import open_source
from dpsynth.workspace.runs.synthesis import Interrupted

if TYPE_CHECKING:
    from dpsynth.schema.model import Schema
    from dpsynth.workspace import Draft, Workspace
    from dpsynth.workspace.registry.datasets import DatasetRecord

METRICS = {
    "tvd1": ("tvd1_mean",),
    "tvd2": ("tvd2_mean",),
    "tstr": ("tstr_auc", "tstr_r2"),
    "kept": ("tail_kept_10_99",),
    "invented": ("invented_mass",),
}
_FOREIGN = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


def sweep(
    workspace: Workspace,
    data: Any,
    cells: Sequence[Cell],
    *,
    delta: Decimal,
    budget: str | None,
    schema: Schema | str | Path | None,
    target: str | None,
    folder: Path | None,
    progress: Progress,
    warn: Callable[[str], None],
) -> Comparison:
    """See `entry.compare`."""
    free = [cell.contender.label for cell in cells if not cell.contender.private]
    if free:
        raise ParameterError(
            f"{free[0]!r} gives no guarantee, so no budget can pay for it and no private row may be shown to it.",
            "Compare it on public or simulated data.",
        )
    if folder is not None:
        raise ParameterError("Figures of private data stay in the workspace.", "Leave out the folder.")
    record = workspace.find(data)
    with workspace.ledger() as ledger:
        budget_of(ledger, record, budget)
    source = open_source(workspace, record, schema=schema, target=target)
    for warning in source.warnings:
        warn(warning.message)
    known = source.schema
    facts = {
        "data_commitment": record.commitment,
        "schema_sha256": known.digest(),
        "target": known.target,
        "unit": record.unit.to_json(),
        "delta": decimal_text(delta),
        **({} if record.time is None else {"time": record.time.model_dump(mode="json")}),
    }
    kept = SweepFolder(_room(workspace, facts), facts)
    keys = {cell.key(facts): cell for cell in cells}
    plans: dict[tuple[str, Decimal], Any] = {}
    for cell in cells:
        if which(cell) not in plans and cell.epsilon is not None:
            plans[which(cell)] = cell.contender.made.plan(known, record.unit, epsilon=cell.epsilon, delta=delta)
    unpaid = [cell for key, cell in keys.items() if kept.done(key) is None]
    paid = _pay(workspace, record, budget, unpaid, plans, delta)
    found = _run(workspace, record, kept, keys, delta, budget, known, progress)
    about = {
        **facts,
        "data": record.name,
        "simulated": None,
        "rows": None,
        "columns": len(known.modelled),
        "score": _score(found),
        "confidentiality": "internal",
        "version": dpsynth.__version__,
        "budget": None if paid is None else paid.to_json(),
        "split": None,
    }
    real = next((cell["reference"] for cell in found if cell.get("reference")), dict.fromkeys(METRICS))
    return Comparison(facts=about, reference=real, cells=[_without_reference(cell) for cell in found])


def _room(workspace: Workspace, facts: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return workspace.layout.runs / f"compare-{digest[:16]}"


def _pay(
    workspace: Workspace,
    record: DatasetRecord,
    budget: str | None,
    cells: Sequence[Cell],
    plans: Plans,
    delta: Decimal,
) -> Bill | None:
    """The bill of what has not run; None if all of it has."""
    if not cells:
        return None
    with workspace.ledger() as ledger:
        return require(ledger, budget_of(ledger, record, budget).budget_id, cells, plans, delta=delta)


def _run(
    workspace: Workspace,
    record: DatasetRecord,
    kept: SweepFolder,
    keys: Mapping[str, Cell],
    delta: Decimal,
    budget: str | None,
    schema: Schema,
    progress: Progress,
) -> list[dict[str, Any]]:
    left = [key for key in keys if (kept.done(key) or {}).get("status") != "done"]
    clock, finished, out = Clock(max(len(left), 1)), 0, []
    progress("runs", len(keys) - len(left), len(keys))
    for key, cell in keys.items():
        found = kept.done(key)
        if found is None or found["status"] != "done":
            try:
                found = _paid(workspace, record, kept, key, cell, delta, budget, schema, found)
            except Interrupted:
                raise
            except (DpsynthError, AccountingError) as error:
                found = _failed(key, cell, type(error).__name__, error.message)
            except _FOREIGN as error:  # its text may hold a cell value
                found = _failed(key, cell, type(error).__name__, "A defect of the generator; its text is not shown.")
            finished += 1
            done = len(keys) - len(left) + finished
            progress("runs", done, len(keys), clock.left(finished) if done < len(keys) else "")
        out.append(found)
    return out


def _paid(
    workspace: Workspace,
    record: DatasetRecord,
    kept: SweepFolder,
    key: str,
    cell: Cell,
    delta: Decimal,
    budget: str | None,
    schema: Schema,
    found: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """One run: synthesized unless it was, then measured."""
    if found is None:
        spent, began = time.process_time(), time.perf_counter()
        draft = workspace.synthesize(
            record, cell.contender.made, epsilon=cell.epsilon, delta=delta, budget=budget, schema=schema
        )
        found = {
            **_about(key, cell),
            "status": "paid",
            "draft": draft.name,
            "chosen": draft.document.generator.name,
            "cpu_s": round(time.process_time() - spent, 3),
            "wall_s": round(time.perf_counter() - began, 3),
            "peak_mib": None,
            "guarantee": draft.document.guarantee,
            "ledger_entry": draft.ledger_entry,
        }
        write_json(kept.cell(key), found)
    else:
        draft = workspace.draft(str(found["draft"]))
    figures, reference, score = _figures(draft)
    done = {**found, "status": "done", "figures": figures, "reference": reference, "score": score}
    write_json(kept.cell(key), done)
    return read_json(kept.cell(key))


def _figures(draft: Draft) -> tuple[dict[str, float | None], dict[str, float | None], str | None]:
    """Figures of a draft and of real rows, from its recorded report, and which score `tstr` is."""
    report = draft.evaluate()
    scored = {name: _metric(report, names) for name, names in METRICS.items()}
    nothing: dict[str, float | None] = {"tvd3": None}
    value = {name: None if one is None else one.value for name, one in scored.items()}
    reference = {name: None if one is None else one.reference for name, one in scored.items()}
    tstr = scored["tstr"]
    return value | nothing, reference | nothing, None if tstr is None else tstr.name.removeprefix("tstr_")


def _metric(report: QualityReport, names: Sequence[str]) -> Any:
    return next((metric for metric in report.metrics if metric.name in names), None)


def _about(key: str, cell: Cell) -> dict[str, Any]:
    epsilon = None if cell.epsilon is None else decimal_text(cell.epsilon)
    return {"key": key, "generator": cell.contender.label, "epsilon": epsilon, "seed": cell.seed}


def _failed(key: str, cell: Cell, kind: str, message: str) -> dict[str, Any]:
    return {**_about(key, cell), "status": "failed", "error": {"type": kind, "message": message}, "figures": None}


def _without_reference(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name not in ("reference", "score")}


def _score(cells: Sequence[Mapping[str, Any]]) -> str | None:
    """Which score `tstr` is: known from a report, since the classes of a private target are."""
    for cell in cells:
        if cell.get("score"):
            return str(cell["score"])
    return None
