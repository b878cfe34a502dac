"""Small networks to train: one in torch whose gradient is plain, the log-linear one, and its twin for autograd."""

from __future__ import annotations

import numpy as np
import torch

from dpsynth.sgd import arrays
from dpsynth.sgd.clipping import clip_factors
from dpsynth.tabular.networks.features import features
from dpsynth.tabular.networks.log_linear import LogLinear
from dpsynth.tabular.networks.protocol import Columns


class Means:
    """Loss of a row: half its squared distance from the parameter, so its gradient is `parameter - row`."""

    def __init__(self, columns: int, *, live: list[bool] | None = None) -> None:
        self.parameters = {"mean": torch.zeros(columns)}
        self.live = {} if live is None else {"mean": torch.tensor(live)}
        self.sums: list[int] = []

    def clipped_sum(self, rows, units, clip):
        self.sums.append(len(rows))
        gradients = self.parameters["mean"] - rows.float()
        for mask in self.live.values():
            gradients = gradients * mask
        if units is not None:
            gradients = torch.zeros(int(units[-1]) + 1, gradients.shape[1]).index_add_(0, units, gradients)
        norms = gradients.norm(dim=1)
        factors = clip_factors(norms, clip)
        gradients = torch.where(factors[:, None] > 0, gradients, torch.zeros_like(gradients))
        return {"mean": (gradients * factors[:, None]).sum(0)}, norms


SIZES = (2, 9, 3, 12)


def log_linear(seed: int = 0) -> LogLinear:
    """A log-linear network with weights that are not zero."""
    columns = Columns(
        sizes=SIZES,
        positions=tuple(np.linspace(0, 1, size if size > 6 else 0, dtype=np.float32) for size in SIZES),
        shares=tuple(np.full(size, 1 / size) for size in SIZES),
    )
    network = LogLinear(columns)
    drawn = np.random.default_rng(seed).normal(0, 0.3, network.parameters["weights"].shape)
    network.parameters["weights"][...] = drawn * network.live["weights"]
    return network


class Twin:
    """The log-linear network again, in torch and as the paper writes it, for autograd: dense one-hots, no shortcut."""

    def __init__(self, network: LogLinear) -> None:
        self.parameters = {name: torch.from_numpy(array.copy()) for name, array in network.parameters.items()}
        self._mask = torch.from_numpy(network.live["weights"])
        self._tables = [
            torch.from_numpy(features(size, np.linspace(0, 1, size if size > 6 else 0, dtype=np.float32)))
            for size in SIZES
        ]

    def loss(self, rows):
        inputs = torch.cat([table[rows[:, at]] for at, table in enumerate(self._tables)], dim=1)
        logits = inputs @ (self.parameters["weights"] * self._mask) + self.parameters["bias"]
        parts = torch.split(logits, list(SIZES), dim=1)
        losses = [torch.nn.functional.cross_entropy(own, rows[:, at], reduction="none") for at, own in enumerate(parts)]
        return torch.stack(losses).sum(0)


def rows_of(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, count) for size in SIZES], axis=1).astype(np.uint8)


def columns_of(sizes, *, seed: int = 0, numeric: int = 7) -> Columns:
    """Columns of these sizes with uneven shares; those of at least `numeric` codes are numbers."""
    rng = np.random.default_rng(seed)
    return Columns(
        sizes=tuple(sizes),
        positions=tuple(np.linspace(0, 1, size if size >= numeric else 0, dtype=np.float32) for size in sizes),
        shares=tuple(rng.dirichlet(np.ones(size)) for size in sizes),
    )


def shaken(network, seed: int = 0, deviation: float = 0.3):
    """The network with every live parameter moved, so that no gradient is zero by symmetry."""
    rng = np.random.default_rng(seed)
    for name, array in network.parameters.items():
        moved = rng.normal(0, deviation, tuple(array.shape)).astype(np.float32)
        live = network.live.get(name)
        arrays.put_back(array, arrays.on_cpu(array) + (moved if live is None else moved * arrays.on_cpu(live)))
    return network
