"""Rows as networks see them: one-hots of codes that come from released 1-ways, side by side.

CTGAN's own encoder fits mixtures to the private column and counts its categories: both are data-derived and unpaid.
Here a column's codes are those of its `Binning`, merged from noisy counts, so a "mode" is a bin that was paid for, and
where a value stands inside it is drawn from the same noisy histogram. A condition vector is a one-hot of one column's
code: for a generated row from the released shares, for a private row from that row's own cells in a column drawn
without looking. CTGAN instead picks rows by the frequencies of their categories, which would be neither a Poisson
sample nor free.

>>> Layout((2, 3)).starts.tolist()
[0, 2]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.2
"""Of the Gumbel softmax; CTGAN's."""


@final
class Layout:
    """Where each column's codes stand in a row of one-hots.

    Args:
        sizes: number of codes of each column.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.width = sum(sizes)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)

    def one_hot(self, codes: Tensor) -> Tensor:
        """int64 codes, shape (rows, columns) -> float32, shape (rows, width)."""
        import torch

        index = codes + torch.from_numpy(self.starts).to(codes.device)
        rows = torch.zeros(len(codes), self.width, device=codes.device)
        return rows.scatter_(1, index, 1.0)

    def own_condition(self, codes: Tensor) -> Tensor:
        """Of each row a one-hot of its own cell in a column drawn evenly; shape (rows, width)."""
        import torch

        column = torch.randint(len(self.sizes), (len(codes), 1), device=codes.device)
        index = codes.gather(1, column) + torch.from_numpy(self.starts).to(codes.device)[column]
        rows = torch.zeros(len(codes), self.width, device=codes.device)
        return rows.scatter_(1, index, 1.0)

    def drawn(self, logits: Tensor) -> Tensor:
        """One-hots drawn from logits (rows, width), with the gradient of a Gumbel softmax (Jang et al. 2017)."""
        import torch

        parts = [
            torch.nn.functional.gumbel_softmax(own, tau=TEMPERATURE, hard=True)
            for own in torch.split(logits, list(self.sizes), dim=1)
        ]
        return torch.cat(parts, dim=1)

    def missed(self, logits: Tensor, condition: Tensor) -> Tensor:
        """Mean cross-entropy of the cells that conditions ask for: CTGAN's second loss of the generator."""
        import torch

        logs = [torch.log_softmax(own, dim=1) for own in torch.split(logits, list(self.sizes), dim=1)]
        return -(torch.cat(logs, dim=1) * condition).sum(1).mean()


def drawn_conditions(
    layout: Layout, shares: NDArray[np.float64], rows: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Condition vectors of rows to be generated: a column drawn evenly, its code by released shares.

    Args:
        layout: of the columns.
        shares: released share of each code, shape (width,), sums to 1 in each column.
        rows: how many.
        rng: random numbers for post-processing.

    Returns:
        One-hots, float32, shape (rows, width).
    """
    made = np.zeros((rows, layout.width), dtype=np.float32)
    column = rng.integers(len(layout.sizes), size=rows)
    upper = np.cumsum(shares)  # column j ends at j + 1
    last = layout.starts[column] + np.asarray(layout.sizes)[column] - 1
    index = np.searchsorted(upper, column + rng.random(rows), side="right")
    made[np.arange(rows), np.clip(index, layout.starts[column], last)] = 1.0
    return made
