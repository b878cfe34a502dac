"""One logical sample, several processes: every process sums its share of the rows, noise is added once.

    def train_it(network):                       # runs on rank 0 alone, with a network that uses all processes
        return train(network, units, schedule, …)

    with joined(device("auto")):                 # every process: torchrun --nproc-per-node 2 program.py
        event = over_processes(network, train_it)    # the other ranks serve, and get None

Rank 0 has the data, draws the one Poisson sample, adds the one noise, keeps the optimiser and the event; nothing of
that is known elsewhere. For each physical block it sends every process the current parameters and a share of whole
units, and adds up their clipped sums. So sampler, noise and spend are those of a single process, to the letter; only
the order of float32 additions differs. Processes start with `torchrun`; gloo carries CPU tensors, nccl GPU tensors.

>>> shares([3, 1, 1, 1], 2)
[(0, 1), (1, 4)]

Not guaranteed: that the machines' links are private; rows travel between processes as they are. Keep them on one
machine or on a network that you trust.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, final

import numpy as np

from dpsynth.core.errors import DpsynthError, ParameterError
from dpsynth.sgd.network import Array, Network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")
STOP, SUM, SUM_UNITS = 0, 1, 2


class WorkerError(DpsynthError):
    """Another process of the group could not do its share."""


@contextmanager
def joined(device: torch.device) -> Iterator[int]:
    """Be in the group that `torchrun` describes in the environment; yields this process's rank.

    Raises:
        ParameterError: not started by torchrun.
    """
    import torch.distributed as dist

    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ParameterError(
            f"No group of processes to join: {missing[0]} is not set.", "Start with torchrun --nproc-per-node N."
        )
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()


def over_processes(network: Network, work: Callable[[Network], T]) -> T | None:
    """Run `work` on rank 0 with a network whose sums all processes of the group make; serve on the others.

    Args:
        network: the same architecture in every process; only rank 0's parameters matter.
        work: receives the network on rank 0.

    Returns:
        what `work` returned; None on other ranks.

    Raises:
        WorkerError: another process failed.
    """
    import torch.distributed as dist

    if dist.get_rank() > 0:
        _serve(network)
        return None
    parallel = _Parallel(network)
    try:
        return work(parallel)
    finally:
        parallel.stop()


def shares(sizes: list[int], processes: int) -> list[tuple[int, int]]:
    """Ranges of whole units with about the same number of rows for every process; a range may be empty."""
    total, ranges, at, done = sum(sizes), [], 0, 0
    for number in range(1, processes + 1):
        first = at
        while at < len(sizes) and (number == processes or done + sizes[at] / 2 <= total * number / processes):
            done += sizes[at]
            at += 1
        ranges.append((first, at))
    return ranges


@final
class _Parallel:
    """Rank 0's network: the same parameters, sums over all processes."""

    def __init__(self, network: Network) -> None:
        self._network, self._running = network, True
        self.parameters: Mapping[str, Array] = network.parameters
        self.live: Mapping[str, Array] = network.live

    def clipped_sum(self, rows: Array, units: Array | None, clip: float) -> tuple[dict[str, Array], Array]:
        """See `Network.clipped_sum`."""
        import torch
        import torch.distributed as dist

        arrays_in = isinstance(rows, np.ndarray)
        rows, units = _tensor(rows), None if units is None else _tensor(units)
        sizes = [1] * len(rows) if units is None else torch.bincount(units).tolist()
        ranges = shares(sizes, dist.get_world_size())
        ends = torch.cumsum(torch.tensor([0, *sizes]), 0).tolist()
        _header(rows.device, SUM if units is None else SUM_UNITS, rows.shape[1], clip)
        for rank, (first, last) in enumerate(ranges[1:], start=1):
            part = slice(ends[first], ends[last])
            dist.send(torch.tensor([ends[last] - ends[first], last - first], device=rows.device), rank)
            dist.send(rows[part].contiguous(), rank)
            if units is not None:
                dist.send((units[part] - first).contiguous(), rank)
        for parameter in self.parameters.values():
            dist.broadcast(_tensor(parameter), 0)
        own = slice(0, ends[ranges[0][1]])
        self._running = False  # the others leave if a share fails, and there is nobody to stop
        summed, norms = _agreed(self._network, rows[own], None if units is None else units[own], clip)
        self._running = True
        for part_sum in summed.values():
            dist.reduce(part_sum, 0)
        found = [norms]
        for rank, (first, last) in enumerate(ranges[1:], start=1):
            found.append(torch.empty(last - first, dtype=torch.float32, device=rows.device))
            dist.recv(found[-1], rank)
        if arrays_in:
            return {name: part_sum.numpy() for name, part_sum in summed.items()}, torch.cat(found).numpy()
        return summed, torch.cat(found)

    def stop(self) -> None:
        """Let the other processes go."""
        if self._running:
            self._running = False
            _header(_tensor(next(iter(self.parameters.values()))).device, STOP, 0, 0.0)


def _serve(network: Network) -> None:
    """Sum shares until rank 0 says stop."""
    import torch
    import torch.distributed as dist

    device = _tensor(next(iter(network.parameters.values()))).device
    while True:
        header = torch.empty(3, dtype=torch.int64, device=device)
        dist.broadcast(header, 0)
        kind, columns, bits = header.tolist()
        if kind == STOP:
            return
        counts = torch.empty(2, dtype=torch.int64, device=device)
        dist.recv(counts, 0)
        rows = torch.empty((int(counts[0]), columns), dtype=torch.int64, device=device)
        dist.recv(rows, 0)
        units = None
        if kind == SUM_UNITS:
            units = torch.empty(len(rows), dtype=torch.int64, device=device)
            dist.recv(units, 0)
        for parameter in network.parameters.values():
            dist.broadcast(_tensor(parameter), 0)
        clip = struct.unpack("<d", struct.pack("<q", bits))[0]
        summed, norms = _agreed(network, rows, units, clip)
        for part_sum in summed.values():
            dist.reduce(part_sum, 0)
        dist.send(norms.contiguous(), 0)


def _agreed(network: Network, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
    """This process's part, if every process has its own.

    Raises:
        WorkerError: another one has not.
    """
    import torch
    import torch.distributed as dist

    made = None
    try:
        made = _share(network, rows, units, clip)
    finally:
        missing = torch.tensor([int(made is None)], device=rows.device)
        dist.all_reduce(missing)
    if int(missing):
        raise WorkerError(
            "Another process of the group could not sum its share; the step did not take place.",
            "Read its own error; what was reserved stays spent until a person aborts it.",
        )
    return made


def _share(network: Network, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
    """This process's part; in the order of the parameters, zeros for no row."""
    import torch

    if not len(rows):
        zeros = {name: torch.zeros_like(_tensor(parameter)) for name, parameter in network.parameters.items()}
        return zeros, torch.zeros(0, dtype=torch.float32, device=rows.device)
    if isinstance(next(iter(network.parameters.values())), np.ndarray):
        summed, norms = network.clipped_sum(rows.numpy(), None if units is None else units.numpy(), clip)
    else:
        summed, norms = network.clipped_sum(rows, units, clip)
    made = {name: _tensor(summed[name]).contiguous() for name in network.parameters}
    return made, _tensor(norms).to(torch.float32)


def _tensor(value: Array) -> Tensor:
    """A tensor as it is, an array as a tensor on the same memory."""
    import torch

    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _header(device: torch.device, kind: int, columns: int, clip: float) -> None:
    import torch
    import torch.distributed as dist

    bits = struct.unpack("<q", struct.pack("<d", clip))[0]
    dist.broadcast(torch.tensor([kind, columns, bits], dtype=torch.int64, device=device), 0)
