"""Draws from a trained transformer column by column, with keys and values of earlier columns kept.

Plain arrays, no torch: one slot a column goes through the blocks, and attends to what earlier slots left. Rows are
independent of each other.

Memory: `2 * layers * width` float32 for each row and column drawn so far (1 KiB at the default options).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.networks.protocol import NetworkState

EPSILON = np.float32(1e-5)
"""As torch's layer norm has it."""


@final
class TransformerSampler:
    """A trained transformer, its shapes already checked."""

    def __init__(self, state: NetworkState) -> None:
        self._state = state

    def begin(self, rows: int) -> TransformerPrefix:
        """See `Sampler.begin`."""
        return TransformerPrefix(self._state.arrays, self._state.sizes, self._state.options, rows)


@final
class TransformerPrefix:
    """Rows of which the first columns are drawn: keys and values of their slots, and the newest slot's logits."""

    def __init__(
        self, arrays: Mapping[str, NDArray[np.float32]], sizes: tuple[int, ...], options: Mapping[str, int], rows: int
    ) -> None:
        self._arrays, self._layers, self._heads = arrays, options["layers"], options["heads"]
        self._ends = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        shape = (self._layers, rows, self._heads, len(sizes), options["width"] // self._heads)
        self._keys, self._values = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        self._column = 0
        self._enter(np.tile(arrays["slots"][0], (rows, 1)))

    def logits(self) -> NDArray[np.float32]:
        """See `Prefix.logits`."""
        own = slice(self._ends[self._column], self._ends[self._column + 1])
        return np.asarray(self._top @ self._arrays["out"][:, own] + self._arrays["bias"][own])

    def append(self, codes: NDArray[np.integer[Any]]) -> None:
        """See `Prefix.append`."""
        start, end = self._ends[self._column], self._ends[self._column + 1]
        self._column += 1
        if self._column + 1 < len(self._ends):
            self._enter(self._arrays["vectors"][start:end][codes] + self._arrays["slots"][self._column])

    def _enter(self, x: NDArray[np.float32]) -> None:
        """The newest slot through all blocks; x: (rows, width)."""
        rows, width = x.shape
        for at in range(self._layers):
            split = self._dense(f"attend_{at}", _norm(x)).reshape(rows, 3, self._heads, -1)
            query = split[:, 0] * np.float32((width / self._heads) ** -0.5)
            self._keys[at][:, :, self._column], self._values[at][:, :, self._column] = split[:, 1], split[:, 2]
            known = slice(self._column + 1)
            weights = np.matmul(self._keys[at][:, :, known], query[..., None])[..., 0]
            weights = np.exp(weights - weights.max(axis=2, keepdims=True))
            weights /= weights.sum(axis=2, keepdims=True)
            mixed = np.matmul(weights[:, :, None], self._values[at][:, :, known]).reshape(rows, width)
            x = x + self._dense(f"mix_{at}", mixed)
            inner = np.maximum(self._dense(f"up_{at}", _norm(x)), 0.0)
            x = x + self._dense(f"down_{at}", inner)
        self._top = _norm(x)

    def _dense(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(x @ self._arrays[name] + self._arrays[f"{name}_bias"])


def _norm(x: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + EPSILON))
