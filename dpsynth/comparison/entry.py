"""`dp.compare`: generators by epsilons by seeds on one split.

    dp.compare(["gibbs", "mst"], "adult.csv", epsilon=[0.1, 0.3, 1, 3, 10], target="income", public=True)
    dp.compare(["gibbs", "mst"], dp.simulation.network(seed=1).draw(3000, seed=0), epsilon=[0.3, 3])
    dp.compare(["gibbs", "mst"], "patients", epsilon=[0.1, 0.3], workspace=ws)

Public and simulated data cost nothing: noise is seeded, runs go in parallel, each in a process of its own. Registered
data are compared only through the ledger (`private`): the whole sweep is priced before the first run, noise comes
from the operating system, and every run is a reservation, a commit and a sealed draft.

Not guaranteed: that seeds show how much another sample of rows would differ. They repeat noise and sampling alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dpsynth
from accounting.decimals import decimal_text
from accounting.ledger.amounts import parse_delta
from accounting.relation import PrivacyUnit
from dpsynth.comparison.cell import REFERENCE
from dpsynth.comparison.folder import SweepFolder, at
from dpsynth.comparison.grid import Cell, cells_of, contenders_of, epsilons_of, seeds_of
from dpsynth.comparison.result import Comparison
from dpsynth.comparison.source import PublicSource, open_public, table_bytes
from dpsynth.comparison.workers import answers
from dpsynth.core.errors import DpsynthError, ParameterError
from dpsynth.core.progress import Clock, Progress, silent
from dpsynth.simulation.population import Drawn
from dpsynth.workspace.layout import read_json
from dpsynth.workspace.runs.public import ignore

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.data.table import Table
    from dpsynth.schema.model import Schema
    from dpsynth.tabular.protocol import Generator
    from dpsynth.workspace import Workspace

STEP = "runs"
Number = Decimal | float | int | str


def compare(
    generators: Sequence[Generator | str] | Mapping[str, Generator | str],
    data: str | Path | Table | pd.DataFrame | Drawn,
    *,
    epsilon: Sequence[Number] | Number,
    delta: Number = "1e-6",
    seeds: int | Sequence[int] = 3,
    public: bool = False,
    workspace: Workspace | None = None,
    budget: str | None = None,
    schema: Schema | str | Path | None = None,
    target: str | None = None,
    unit: PrivacyUnit | None = None,
    holdout: float = 0.3,
    split_seed: int = 0,
    folder: str | Path | None = None,
    workers: int | None = None,
    name: str | None = None,
    progress: Progress = silent,
    warn: Callable[[str], None] = ignore,
) -> Comparison:
    """Run every generator at every epsilon, as often as there are seeds, on one split.

    Args:
        generators: names, or generators with settings; a mapping gives them labels.
        data: public: a file, a table, a DataFrame or rows drawn from a population; else a registered data set.
        epsilon: add/remove one unit; one or several.
        delta: of every run.
        seeds: how many repetitions, or their seeds; on private data their number counts alone, noise has no seed.
        public: the caller declares the data public; drawn rows always are.
        workspace: where private data are registered and paid for.
        budget: on private data: purpose of the share that pays, or a budget's id.
        schema: what is public of the columns.
        target: column of train-on-synthetic-test-on-real; None is the schema's.
        unit: on public data: whose rows belong together; default one record.
        holdout: share of rows (units) that no generator sees; on private data the workspace's own split.
        split_seed: of the split, on public data.
        folder: where runs are kept, to go on after a stop; None keeps nothing.
        workers: runs at a time, on public data; default one for each core.
        name: what the page calls the data.
        progress: called as runs finish, with the time left.
        warn: called with what the reader noticed.

    Returns:
        the sweep; runs that failed are in it with their reason.

    Raises:
        ParameterError: an unknown generator, an empty, negative or repeated epsilon, or contradicting arguments.
        DataError, SchemaError: the data cannot be compared on.
        WorkspaceError: the folder holds another sweep.
        BudgetRefused: the budget does not hold the whole sweep; nothing has run.
    """
    cells = cells_of(contenders_of(generators), epsilons_of(epsilon), seeds_of(seeds))
    each = parse_delta(str(delta))
    kept = None if folder is None else Path(folder)
    if workspace is not None and (public or isinstance(data, Drawn)):
        raise ParameterError("Public data need no workspace.", "Leave out one of the two.")
    if workspace is not None:
        from dpsynth.comparison.private import sweep

        if unit is not None:
            raise ParameterError("A registered data set has its own unit.", "Leave out `unit`.")
        return sweep(
            workspace, data, cells, delta=each, budget=budget, schema=schema, target=target, folder=kept,
            progress=progress, warn=warn,
        )  # fmt: skip
    if not public and not isinstance(data, Drawn):
        raise ParameterError(
            "These data were not declared public, and no workspace was named whose budget would pay.",
            "Add public=True (--public) if anybody may see the rows; else pass workspace= (--workspace).",
        )
    if budget is not None:
        raise ParameterError("Public data draw on no budget.", "Leave out `budget`.")
    source = open_public(
        data, schema=schema, target=target, unit=unit or PrivacyUnit(), holdout_share=holdout, split_seed=split_seed,
        name=name, warn=warn,
    )  # fmt: skip
    of = workers if workers is not None else _cores()
    if of < 1:
        raise ParameterError(f"Expected workers={of} >= 1.", "Leave it out for one a core.")
    split = {"holdout": holdout, "seed": split_seed}
    return _public_sweep(source, cells, delta=each, split=split, folder=kept, workers=of, progress=progress)


def _public_sweep(
    source: PublicSource,
    cells: Sequence[Cell],
    *,
    delta: Decimal,
    split: Mapping[str, Any],
    folder: Path | None,
    workers: int,
    progress: Progress,
) -> Comparison:
    facts: dict[str, Any] = {
        "data_sha256": source.digest,
        "schema_sha256": source.schema.digest(),
        "split": dict(split),
        "target": source.schema.target,
        "unit": source.unit.to_json(),
        "delta": decimal_text(delta),
    }
    with at(folder) as root, contextlib.ExitStack() as stack:
        kept = SweepFolder(root, facts)
        rows = stack.enter_context(at(None))
        for part, table in (("train", source.train), ("holdout", source.holdout)):
            (rows / f"{part}.arrow").write_bytes(table_bytes(table))
        common = {
            "rows": str(rows),
            "schema": source.schema.model_dump(mode="json"),
            "unit": source.unit.to_json(),
            "delta": decimal_text(delta),
        }
        keys = [cell.key(facts) for cell in cells]
        jobs = [
            {
                **common,
                "key": key,
                "out": str(kept.cell(key)),
                "log": str(kept.logs / f"{key}.txt"),
                "generator": cell.contender.about,
                "epsilon": None if cell.epsilon is None else decimal_text(cell.epsilon),
                "cell": {**_about(cell), "key": key, "status": "done"},
            }
            for cell, key in zip(cells, keys, strict=True)
            if kept.done(key) is None
        ]
        reference = f"{REFERENCE}-{dpsynth.__version__}"
        if kept.done(reference) is None:
            out, log = str(kept.cell(reference)), str(kept.logs / f"{reference}.txt")
            jobs.insert(0, {**common, "out": out, "log": log, "generator": None, "cell": {"key": reference}})
        errors = _run(jobs, workers, progress, done=len(cells) + 1 - len(jobs), total=len(cells) + 1)
        if reference in errors:
            raise DpsynthError(f"The real rows could not be measured: {errors[reference]}", "See the reason.")
        real = read_json(kept.cell(reference))["figures"]
        found = [_document(kept, cell, key, errors) for cell, key in zip(cells, keys, strict=True)]
    facts |= {
        "data": source.name,
        "simulated": source.simulated,
        "rows": {"train": source.train.unsafe_num_rows, "holdout": source.holdout.unsafe_num_rows},
        "columns": len(source.schema.modelled),
        "score": _score(source),
        "confidentiality": "public",
        "version": dpsynth.__version__,
        "budget": None,
    }
    return Comparison(facts=facts, reference=real, cells=found)


def _run(jobs: Sequence[dict[str, Any]], workers: int, progress: Progress, *, done: int, total: int) -> dict[str, str]:
    """Run what is missing; returns key -> reason of the runs that failed."""
    progress(STEP, done, total)
    if not jobs:
        return {}
    clock, errors = Clock(len(jobs)), {}
    for finished, (job, error) in enumerate(answers(jobs, workers=workers), start=1):
        key = str(job["cell"]["key"])
        if error is not None:
            errors[key] = error
        progress(STEP, done + finished, total, clock.left(finished) if done + finished < total else "")
    return errors


def _about(cell: Cell) -> dict[str, Any]:
    """What a run's document repeats of the request."""
    return {
        "generator": cell.contender.label,
        "epsilon": None if cell.epsilon is None else decimal_text(cell.epsilon),
        "seed": cell.seed,
    }


def _document(kept: SweepFolder, cell: Cell, key: str, errors: Mapping[str, str]) -> dict[str, Any]:
    found = kept.done(key)
    if found is not None and key not in errors:
        return {**found, **_about(cell)}  # a label may have changed since
    kind, _, message = errors[key].partition(": ")
    error = {"type": kind, "message": message} if message and " " not in kind else {"type": "", "message": errors[key]}
    return {**_about(cell), "key": key, "status": "failed", "error": error, "figures": None}


def _score(source: PublicSource) -> str | None:
    from dpsynth.comparison.figures import score_name

    return score_name(source.schema, source.train.to_pandas())


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
