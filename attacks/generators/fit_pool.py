"""Many fits of a generator: over processes, within a budget, and resumed where they were cut off.

Work goes through joblib, so `joblib.parallel_config(backend=...)` decides where it runs: processes of this machine by
default, or a Dask or Ray cluster once its backend is registered. Releases come back coded and small, in rounds; with a
folder each is written when its round ends, and found there the next time under the digest of tables and procedure.

The folder holds releases of real rows, as many as there are fits: keep it where the real rows are, and delete it.

Not guaranteed: that a name which the caller gives a procedure changes when the procedure does.
"""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from attacks.errors import AttackInputError, AttackParameterError
from attacks.generators.coded import Codebook, Coded
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
    place = None if folder is None else _place(folder, worlds, book, identity or getattr(fit, "identity", None))
    done = {} if place is None else _kept(place, len(worlds))
    left = [world for world in range(len(worlds)) if world not in done]
    found, start = len(done), time.perf_counter()
    progress("shadow fits", found, len(worlds), "found in the folder" if found else "first fits")
    with joblib.Parallel(n_jobs=jobs) as pool:
        size = ROUND * joblib.effective_n_jobs(jobs)
        for at in range(0, len(left), size):
            batch = left[at : at + size]
            made = pool(
                joblib.delayed(_one)(fit, worlds.table(world), _seed(worlds.seed, world), book) for world in batch
            )
            for world, release in zip(batch, made, strict=True):
                done[world] = release
                if place is not None:
                    _keep(place, world, release)
            each = (time.perf_counter() - start) / (at + len(batch))
            seconds = each * (len(left) - at - len(batch))
            progress("shadow fits", found + at + len(batch), len(worlds), f"about {_duration(seconds)} left")
    return [done[world] for world in range(len(worlds))]


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


def _place(folder: Path, worlds: Worlds, book: Codebook, identity: str | None) -> Path:
    if not identity:
        raise AttackParameterError(
            "Fits are to be kept in a folder, but nothing says which procedure they are of.",
            "Pass identity=..., a text that changes whenever the procedure does.",
        )
    digest = hashlib.sha256(f"{identity}\0{worlds.digest()}\0{book.digest()}".encode()).hexdigest()
    place = folder / digest[:32]
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _kept(place: Path, worlds: int) -> dict[int, Coded]:
    found = {}
    for world in range(worlds):
        path = place / f"{world:06d}.npz"
        if not path.is_file():
            continue
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found[world] = Coded(numbers=arrays["numbers"], categories=arrays["categories"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink()  # cut off while it was written; it is fitted again
    return found


def _keep(place: Path, world: int, release: Coded) -> None:
    scratch = place / f".{world:06d}.npz"
    with scratch.open("wb") as out:
        scratch.chmod(0o600)
        np.savez_compressed(out, numbers=release.numbers, categories=release.categories)
    scratch.replace(place / f"{world:06d}.npz")
