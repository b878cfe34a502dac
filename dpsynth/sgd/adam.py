"""Adam (Kingma and Ba 2015) on noisy gradients, with a cosine schedule and a running mean of the parameters.

Thirty lines instead of `torch.optim`, whose first step loads a compiler: 75 MiB and a second, measured. The state is
plain tensors, so a checkpoint can hold it. Everything here is a function of noisy sums: post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-8
LAST = 0.02
"""Part of the learning rate that is left at the end of the cosine."""


@final
class Adam:
    """Moves parameters in place.

    Args:
        parameters: name -> tensor.
        rate: learning rate at the first step.
        steps: over which the rate falls.
        decay: of the first and second moments, and of the mean of the parameters.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        rate: float,
        steps: int,
        decay: tuple[float, float, float] = (0.9, 0.98, 0.98),
    ) -> None:
        self._parameters, self._rate, self._steps, self._decay = parameters, rate, steps, decay
        self.state: dict[str, dict[str, Tensor]] = {
            name: {"first": tensor * 0, "second": tensor * 0, "mean": tensor.detach().clone()}
            for name, tensor in parameters.items()
        }

    def step(self, number: int, gradients: Mapping[str, Tensor]) -> None:
        """Step `number`, from 0, along minus `gradients`."""
        import torch

        first, second, mean = self._decay
        rate = self._rate * (0.5 * (1 + math.cos(math.pi * number / self._steps)) + LAST)
        kept = min(mean, (1 + number) / (10 + number))
        with torch.no_grad():
            for name, tensor in self._parameters.items():
                state, gradient = self.state[name], gradients[name]
                state["first"].mul_(first).add_(gradient, alpha=1 - first)
                state["second"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
                slope = state["first"] / (1 - first ** (number + 1))
                size = torch.sqrt(state["second"] / (1 - second ** (number + 1))) + TINY
                tensor.sub_(slope / size, alpha=rate)
                state["mean"].mul_(kept).add_(tensor, alpha=1 - kept)

    def average(self) -> None:
        """Put the running means in place of the parameters."""
        import torch

        with torch.no_grad():
            for name, tensor in self._parameters.items():
                tensor.copy_(self.state[name]["mean"])
