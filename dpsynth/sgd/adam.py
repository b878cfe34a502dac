"""Adam (Kingma and Ba 2015) on noisy gradients, with a cosine schedule and a running mean of the parameters.

In numpy, like the noise; `torch.optim` would load a compiler at its first step (75 MiB and a second, measured). The
state is plain arrays, so a checkpoint can hold it. Everything here is a function of noisy sums: post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

TINY = 1e-8
LAST = 0.02
"""Part of the learning rate that is left at the end of the cosine."""

Arrays = dict[str, NDArray[Any]]


@final
class Adam:
    """Moves parameters in place.

    Args:
        parameters: name -> float32 array.
        rate: learning rate at the first step.
        steps: over which the rate falls.
        decay: of the first and second moments, and of the mean of the parameters.
    """

    def __init__(
        self, parameters: Arrays, *, rate: float, steps: int, decay: tuple[float, float, float] = (0.9, 0.98, 0.98)
    ) -> None:
        self.parameters, self._rate, self._steps, self._decay = parameters, rate, steps, decay
        self.state: dict[str, Arrays] = {
            name: {"first": np.zeros_like(array), "second": np.zeros_like(array), "mean": array.copy()}
            for name, array in parameters.items()
        }

    def step(self, number: int, gradients: Mapping[str, NDArray[Any]]) -> None:
        """Step `number`, from 0, along minus `gradients`."""
        first, second, mean = self._decay
        rate = self._rate * (0.5 * (1 + math.cos(math.pi * number / self._steps)) + LAST)
        kept = min(mean, (1 + number) / (10 + number))
        for name, array in self.parameters.items():
            state, gradient = self.state[name], gradients[name]
            state["first"] *= first
            state["first"] += (1 - first) * gradient
            state["second"] *= second
            state["second"] += (1 - second) * gradient**2
            size = np.sqrt(state["second"] / (1 - second ** (number + 1)))
            size += TINY
            array -= (rate / (1 - first ** (number + 1))) * state["first"] / size
            state["mean"] *= kept
            state["mean"] += (1 - kept) * array

    def average(self) -> None:
        """Put the running means in place of the parameters."""
        for name, array in self.parameters.items():
            array[...] = self.state[name]["mean"]
