"""Where each column's codes, features and probabilities stand in the flat tensors of a network.

Outputs are the columns' codes one after the other (`sum(sizes)` of them); inputs are their features (`features`).

Not guaranteed: anything about masks: which column may see which is each network's own affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns

if TYPE_CHECKING:
    from torch import Tensor


@final
class Layout:
    """Offsets and lookups.

    Args:
        columns: sizes and places.
        device: where rows will be.

    Attributes:
        sizes, widths: codes and features of each column.
        outputs, inputs: their sums.
        of_output, of_input: int64, the column of each output and of each input.
        features: float32, shape (outputs, inputs), block by block.
        squares: squared norm of each code's features, shape (outputs,).
    """

    def __init__(self, columns: Columns, device: str) -> None:
        import torch

        tables = all_features(columns)
        self.sizes, self.widths = list(columns.sizes), [table.shape[1] for table in tables]
        self.outputs, self.inputs = sum(self.sizes), sum(self.widths)
        self.of_output = torch.repeat_interleave(torch.arange(len(tables)), torch.tensor(self.sizes)).to(device)
        self.of_input = torch.repeat_interleave(torch.arange(len(tables)), torch.tensor(self.widths)).to(device)
        every = np.zeros((self.outputs, self.inputs), dtype=np.float32)
        for table, row, at in zip(tables, np.cumsum(self.sizes), np.cumsum(self.widths), strict=True):
            every[row - table.shape[0] : row, at - table.shape[1] : at] = table
        self.features = torch.from_numpy(every).to(device)
        self.squares = (self.features**2).sum(1)
        self._offsets = torch.from_numpy(np.cumsum([0, *self.sizes[:-1]])).to(device)

    @property
    def count(self) -> int:
        """Number of columns."""
        return len(self.sizes)

    def index(self, rows: Tensor) -> Tensor:
        """Codes as places among all outputs, shape (rows, columns)."""
        return rows + self._offsets

    def seen(self, index: Tensor) -> Tensor:
        """All features of the rows, shape (rows, inputs)."""
        import torch

        return torch.nn.functional.embedding_bag(index, self.features, mode="sum")

    def by_output(self, values: Tensor) -> tuple[Tensor, ...]:
        """Views of (…, outputs) by column."""
        import torch

        views: tuple[Tensor, ...] = torch.split(values, self.sizes, dim=-1)
        return views

    def by_input(self, values: Tensor) -> tuple[Tensor, ...]:
        """Views of (…, inputs) by column."""
        import torch

        views: tuple[Tensor, ...] = torch.split(values, self.widths, dim=-1)
        return views

    def sums(self, values: Tensor) -> Tensor:
        """Sums of (rows, outputs) over each column's outputs, shape (rows, columns)."""
        import torch

        return torch.stack([own.sum(1) for own in self.by_output(values)], dim=1)

    def slopes(self, logits: Tensor, index: Tensor) -> Tensor:
        """Probabilities minus one-hots, in place of `logits`: the derivative of a row's loss in every logit."""
        import torch

        for own in self.by_output(logits):
            own.copy_(torch.softmax(own, dim=1))
        return logits.scatter_add_(1, index, logits.new_full(index.shape, -1.0))

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Sum over columns of -log p(code), shape (rows,): private; differentiable."""
        import torch

        parts = [
            torch.nn.functional.cross_entropy(own, rows[:, at], reduction="none")
            for at, own in enumerate(self.by_output(logits))
        ]
        return torch.stack(parts).sum(0)
