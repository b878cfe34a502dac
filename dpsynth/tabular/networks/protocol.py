"""What a network of columns is: trained in numpy or torch, saved as arrays, sampled one column after another.

    network = LogLinear.fresh(columns, rng)          # an untrained network, parameters on one device
    train(network, …)                                # dpsynth.sgd
    state   = network.state()                        # arrays and options: what a model file holds
    prefix  = sampler(state).begin(rows)             # no torch for those that need none
    for column in range(len(columns.sizes)):
        codes = draw(prefix.logits())                # (rows, sizes[column])
        prefix.append(codes)                         # state is kept across columns

A network is one file in this folder and one line in `NETWORKS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.network import Network
from dpsynth.sgd.torch_present import require_torch

NETWORKS: Mapping[str, str] = {
    "log_linear": "dpsynth.tabular.networks.log_linear:LogLinear",
    "made": "dpsynth.tabular.networks.made:Made",
    "transformer": "dpsynth.tabular.networks.transformer:Transformer",
}
"""Name -> module:class; strings keep torch out until a network is made."""
RATES: Mapping[str, float] = {"log_linear": 0.02, "made": 0.01, "transformer": 0.005}
"""Learning rate at the first step. log_linear and made: the prototype, Adult."""
NUMPY = ("log_linear",)
"""Those that need no PyTorch."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What a network knows of its columns, in its own order: released or public.

    Attributes:
        sizes: number of codes of each, missing included where it has a code.
        positions: of a numeric column where each code but missing stands, by rank, between 0 and 1, float32, shape
            (codes,); of any other column empty.
        shares: released share of each code, float64, shape (size,), sums to 1.
    """

    sizes: tuple[int, ...]
    positions: tuple[NDArray[np.float32], ...]
    shares: tuple[NDArray[np.float64], ...]

    @property
    def log_shares(self) -> NDArray[np.float32]:
        """Logarithm of all shares, floored at 1e-4, one column after the other."""
        return np.log(np.maximum(np.concatenate(self.shares), 1e-4)).astype(np.float32)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkState:
    """A trained network as plain parts.

    Attributes:
        kind: its name in `NETWORKS`.
        sizes: number of codes of each column, in the network's order.
        options: whole numbers that shape it (widths, layers).
        arrays: parameters and fixed features.
    """

    kind: str
    sizes: tuple[int, ...]
    options: Mapping[str, int] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class Prefix(Protocol):
    """Rows of which the first columns are drawn."""

    def logits(self) -> NDArray[np.float32]:
        """Unnormalised log probabilities of the next column, shape (rows, size); may be overwritten by the caller."""

    def append(self, codes: NDArray[np.integer[Any]]) -> None:
        """The next column's codes, shape (rows,)."""


class Sampler(Protocol):
    """A trained network, ready to draw."""

    def begin(self, rows: int) -> Prefix:
        """Rows without any column yet."""


class ColumnNetwork(Network, Protocol):
    """A `Network` whose loss is the sum over columns of -log p(column | columns before)."""

    kind: ClassVar[str]

    @classmethod
    def fresh(cls, columns: Columns, rng: np.random.Generator, *, device: str = "cpu", **options: int) -> Self:
        """An untrained network. `rng`: for initial weights, which are public. `device`: as `sgd.device` knows it."""

    def state(self) -> NetworkState:
        """Its parts as they are now."""

    @classmethod
    def sampler(cls, state: NetworkState) -> Sampler:
        """Ready to draw.

        Raises:
            ParameterError: arrays of other shapes than sizes and options prescribe.
        """


def network(kind: str) -> type[ColumnNetwork]:
    """The class of that name.

    Raises:
        ParameterError: unknown name, or it needs PyTorch, which is not installed.
    """
    if kind in NETWORKS and kind not in NUMPY:
        require_torch()
    return _named(kind)


def sampler(state: NetworkState) -> Sampler:
    """Ready to draw; needs no PyTorch, whatever trained it.

    Raises:
        ParameterError: unknown kind, or arrays of other shapes than sizes and options prescribe.
    """
    return _named(state.kind).sampler(state)


def _named(kind: str) -> type[ColumnNetwork]:
    if kind not in NETWORKS:
        raise ParameterError(f"Unknown network {kind!r}.", f"Use one of {', '.join(sorted(NETWORKS))}.")
    module, attribute = NETWORKS[kind].split(":")
    return cast("type[ColumnNetwork]", getattr(import_module(module), attribute))
