"""A generator of residual layers in plain PyTorch: what `LatentRows` can hold, without batch norm, without an extra.

It starts as independent columns: the last bias is the logarithm of the released shares, the last weights are small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.gan.encoding import Layout

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 0.1
"""Standard deviation of the last layer's first weights, times the square root of what goes in."""


@final
class ResidualGenerator:
    """`x -> [relu(x W + b), x]` a layer, then a linear map to logits.

    Args:
        noise: width of what goes in.
        layers: widths of hidden layers.
        log_shares: of all codes, shape (width,).
        rng: random numbers for first weights.
    """

    def __init__(
        self, noise: int, layers: tuple[int, ...], log_shares: NDArray[np.float32], rng: np.random.Generator
    ) -> None:
        import torch

        self.noise = noise
        self.arrays: dict[str, NDArray[np.float32]] = {}
        into = noise
        for at, width in enumerate(layers):
            self.arrays[f"weight{at}"] = (rng.standard_normal((into, width)) * (2 / into) ** 0.5).astype(np.float32)
            self.arrays[f"bias{at}"] = np.zeros(width, dtype=np.float32)
            into += width
        last = rng.standard_normal((into, len(log_shares))) * SMALL / into**0.5
        self.arrays[f"weight{len(layers)}"] = last.astype(np.float32)
        self.arrays[f"bias{len(layers)}"] = np.array(log_shares, dtype=np.float32)
        self._layers = len(layers)
        self.tensors = {name: torch.from_numpy(array).requires_grad_() for name, array in self.arrays.items()}

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of noise, shape (rows, width)."""
        import torch

        for at in range(self._layers):
            x = torch.cat([(x @ self.tensors[f"weight{at}"] + self.tensors[f"bias{at}"]).relu(), x], dim=1)
        return x @ self.tensors[f"weight{self._layers}"] + self.tensors[f"bias{self._layers}"]

    def likelihood_slope(
        self, rows: Tensor, layout: Layout, pool: int, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Gradient of minus the mean log-likelihood of generated rows, `p(x) = mean over z of prod_j p_j(x_j | z)`.

        Args:
            rows: one-hots, shape (rows, width).
            layout: of the columns.
            pool: fresh noise vectors z that stand for all.
            rng: random numbers that need not be secret.
        """
        import torch

        logits = self(torch.from_numpy(rng.standard_normal((pool, self.noise), dtype=np.float32)))
        logs = torch.cat([torch.log_softmax(own, 1) for own in torch.split(logits, list(layout.sizes), 1)], 1)
        loss = -torch.logsumexp(rows @ logs.T, dim=1).mean()
        slopes = torch.autograd.grad(loss, list(self.tensors.values()))
        return {name: slope.numpy() for name, slope in zip(self.tensors, slopes, strict=True)}
