"""Many fits of a generator: over processes or a cluster, within a budget, and resumed where they were cut off.

Work goes through joblib (`backends`). Fits are numbered, and a number decides table and seed, so the same fits come out
of one process or many workers. Releases come back coded and small, in rounds; with a folder each is sealed there when
its round ends (`kept_fits`). A round whose workers died is made again, with the same numbers, up to `TRIES` times.

Not guaranteed: that a name which the caller gives a procedure changes when the procedure does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from attacks.errors import AttackInputError
from attacks.generators.backends import in_order
from attacks.generators.coded import Codebook, Coded
from attacks.generators.kept_fits import KeptFits
from attacks.generators.worlds import Worlds, rng_of

Fit = Callable[[pd.DataFrame, int], Any]
"""A procedure: from a table and a seed to synthetic rows. Noise that protects must not come from the seed."""
Progress = Callable[[str, int, int, str], None]
ROUND = 4
"""Fits a worker between two looks at the clock."""


def run_fits(
    fit: Fit,
    worlds: Worlds,
    book: Codebook,
    *,
    folder: Path | None,
    identity: str | None,
    jobs: int | None,
    progress: Progress,
) -> list[Coded]:
    """One release for each world.

    Args:
        fit: the procedure; with several processes it must survive pickling by cloudpickle.
        worlds: what is fitted.
        book: how releases are coded.
        folder: where finished fits are kept; None to keep nothing.
        identity: what the procedure is, in words that change with it; by default its attribute `identity`.
        jobs: processes; None for what `joblib.parallel_config` says, or one.
        progress: receives (name, done, total, time left).

    Raises:
        AttackParameterError: a folder, and no identity.
        AttackInputError: a fit returned something else than its columns, or no row at all.
    """
    kept = None
    if folder is not None:
        kept = KeptFits.of(folder, worlds, book, identity or getattr(fit, "identity", None))
    done, broken = ({}, 0) if kept is None else kept.found(len(worlds))
    left = [world for world in range(len(worlds)) if world not in done]
    found, start = len(done), time.perf_counter()
    told = "found in the folder" if found else "first fits"
    progress("shadow fits", found, len(worlds), f"{told}; {broken} damaged, made again" if broken else told)
    size = ROUND * joblib.effective_n_jobs(jobs)
    for at in range(0, len(left), size):
        batch = left[at : at + size]
        for world, release in zip(batch, _round(fit, worlds, book, batch, jobs), strict=True):
            done[world] = release
            if kept is not None:
                kept.keep(world, release)
        each = (time.perf_counter() - start) / (at + len(batch))
        seconds = each * (len(left) - at - len(batch))
        progress("shadow fits", found + at + len(batch), len(worlds), f"about {_duration(seconds)} left")
    return [done[world] for world in range(len(worlds))]


def _round(fit: Fit, worlds: Worlds, book: Codebook, batch: list[int], jobs: int | None) -> list[Coded]:
    """Releases in their order; tables are made as they are handed out."""
    return in_order(
        _one, lambda: ((fit, worlds.table(world), _seed(worlds.seed, world), book) for world in batch), jobs
    )


def _one(fit: Fit, table: pd.DataFrame, seed: int, book: Codebook) -> Coded:
    release = book.code(fit(table, seed))
    if not len(release):
        raise AttackInputError("The fit returned a table without rows.", "Let it return as many as it was given.")
    return release


def _seed(seed: int, world: int) -> int:
    return int(rng_of(seed, "fit", world).integers(2**31))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
