"""Where fits run: processes of this machine, or an existing Dask or Ray cluster, through joblib.

joblib distributes; this file opens what it distributes to and closes what it opened. The fits, their tables and their
seeds are numbered before any of them starts, so results do not depend on the backend, on the number of workers or on
which of them was lost.

    loky        processes of this machine (default)          sequential, threading    for procedures that cannot travel
    dask        a scheduler at `address`, or workers here    extra `dask`
    ray         a cluster at `address`, or workers here      extra `ray`

>>> BACKENDS
('loky', 'threading', 'sequential', 'dask', 'ray')

Not guaranteed: confidentiality of a cluster. Real rows travel to its workers; those that are started here are told not
to spill memory to disk, but Ray's store takes files of its temporary folder when shared memory is full; somebody else's
cluster does what it was set up to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import joblib

from attacks.errors import AttackParameterError

Made = TypeVar("Made")
TRIES = 3
BACKENDS = ("loky", "threading", "sequential", "dask", "ray")
_LOST = {
    "distributed.scheduler": ("KilledWorker",),
    "distributed.client": ("FutureCancelledError",),
    "ray.exceptions": ("RayActorError", "WorkerCrashedError", "NodeDiedError"),
}
_NO_SPILL = {f"distributed.worker.memory.{name}": False for name in ("target", "spill", "pause")}


@contextmanager
def running_on(backend: str | None, *, jobs: int | None = None, address: str | None = None) -> Iterator[None]:
    """Joblib works there inside the block.

    Args:
        backend: one of `BACKENDS`; None for what `joblib.parallel_config` says already.
        jobs: workers to start here; None for one a core, or all of a cluster that is given.
        address: of a running cluster, for `dask` (tcp://host:8786) and `ray` (auto, or host:6379).

    Raises:
        AttackParameterError: no such backend, an address for one that has none, or an extra that is not installed.
    """
    if backend is not None and backend not in BACKENDS:
        raise AttackParameterError(f"There is no backend {backend!r}.", f"Use one of {', '.join(BACKENDS)}.")
    if address is not None and backend not in ("dask", "ray"):
        raise AttackParameterError("An address is of a Dask or Ray cluster.", "Name that backend too.")
    if backend is None:
        yield
    elif backend == "dask":
        with _dask(jobs, address), joblib.parallel_config(backend="dask"):
            yield
    elif backend == "ray":
        with _ray(jobs, address), joblib.parallel_config(backend="ray"):
            yield
    else:
        with joblib.parallel_config(backend=backend, n_jobs=jobs or -1):
            yield


def lost_workers() -> tuple[type[BaseException], ...]:
    """What is raised if whoever did the work is gone, and not because of the work."""
    held = [(sys.modules.get(module), names) for module, names in _LOST.items()]
    return BrokenExecutor, *(getattr(module, name) for module, names in held for name in names if hasattr(module, name))


def in_order(
    work: Callable[..., Made], calls: Callable[[], Iterable[tuple[Any, ...]]], jobs: int | None = None
) -> list[Made]:
    """`work(*call)` for each of `calls()`, in their order, whoever dies meanwhile.

    If a worker dies all calls are made again, `TRIES` times at most.
    """
    tried = 0
    while True:
        tried += 1
        try:
            # no memory maps: joblib would write the rows of large tables to a temporary folder
            made: list[Made] = joblib.Parallel(n_jobs=jobs, max_nbytes=None)(
                joblib.delayed(work)(*call) for call in calls()
            )
        except lost_workers():
            if tried == TRIES:
                raise
        else:
            return made


@contextmanager
def _dask(jobs: int | None, address: str | None) -> Iterator[None]:
    try:
        dask, distributed = import_module("dask"), import_module("distributed")
    except ImportError as error:
        raise _missing("dask") from error
    if address is not None:
        with distributed.Client(address):
            yield
        return
    here = {"n_workers": jobs or joblib.cpu_count(), "threads_per_worker": 1, "memory_limit": 0}
    with (
        dask.config.set(_NO_SPILL),
        distributed.LocalCluster(**here, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster),
    ):
        yield


@contextmanager
def _ray(jobs: int | None, address: str | None) -> Iterator[None]:
    try:
        ray, registered = import_module("ray"), import_module("ray.util.joblib")
    except ImportError as error:
        raise _missing("ray") from error
    registered.register_ray()
    if ray.is_initialized():
        yield
        return
    here: dict[str, Any] = {
        "num_cpus": jobs or joblib.cpu_count(),
        "include_dashboard": False,
        "_system_config": {"automatic_object_spilling_enabled": False},
    }
    ray.init(log_to_driver=False, **({"address": address} if address is not None else here))
    try:
        yield
    finally:
        ray.shutdown()


def _missing(extra: str) -> AttackParameterError:
    return AttackParameterError(
        f"The backend {extra!r} is not installed.", f"Install it: pip install 'dpsynth-release[{extra}]'."
    )
