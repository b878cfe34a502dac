"""L2 norms of gradients, unit by unit, without ever building a unit's gradient.

A dense layer `y = x W + b` whose unit saw the inputs a_1 … a_p (rows, slots of a sequence, or both) and whose loss has
the derivatives g_1 … g_p at the outputs has the gradient sum_t a_t (x) g_t, so

    |sum_t a_t (x) g_t|^2 = sum_{t,u} <a_t, a_u> <g_t, g_u>                            (Gram matrices, p by p)

(Goodfellow 2015 for p = 1; Li et al. 2022, ghost clipping; Bu et al. 2023, book-keeping and the choice between the Gram
form and the small sum itself). Everything here takes `(units, positions, width)` tensors: a unit of several rows is
a longer sequence and nothing else.

>>> import torch
>>> a, g = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0]]])
>>> dense(a, g).item(), bias(g).item()
(45.0, 9.0)

Not guaranteed: more digits than the tensors have. The Gram form loses relative accuracy where a unit's positions cancel
each other; `bookkeeping` bounds how many rows may meet in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def dense(a: Tensor, g: Tensor) -> Tensor:
    """Squared norm of a dense layer's weight gradient.

    Args:
        a: inputs, shape (units, positions, n).
        g: derivatives of the loss at the outputs, shape (units, positions, k).

    Returns:
        shape (units,), >= 0.
    """
    import torch

    positions, n, k = a.shape[1], a.shape[2], g.shape[2]
    if positions == 1:
        return (a * a).sum((1, 2)) * (g * g).sum((1, 2))
    if positions * (n + k) <= 2 * n * k:
        return (gram(a) * gram(g)).sum((1, 2)).clamp_min(0.0)
    return torch.bmm(a.transpose(1, 2), g).square().sum((1, 2))


def dense_with_bias(a: Tensor, g: Tensor) -> Tensor:
    """`dense` and `bias` together: the Gram matrix of `(a, 1)` is that of `a` plus one. Shape (units,)."""
    positions, n, k = a.shape[1], a.shape[2], g.shape[2]
    if positions == 1 or positions * (n + k) > 2 * n * k:
        return dense(a, g) + bias(g)
    return (gram(a).add_(1.0) * gram(g)).sum((1, 2)).clamp_min(0.0)


def bias(g: Tensor) -> Tensor:
    """Squared norm of the gradient of what is added at every position; g: (units, positions, k). Shape (units,)."""
    return g.sum(1).square().sum(1)


def gram(x: Tensor) -> Tensor:
    """Inner products of a unit's positions with each other; (units, positions, n) -> (units, positions, positions).

    Layers whose weights are blocks of columns (masked layers, an own head or an own table of vectors for every column)
    add up products of these over the pairs of blocks that take part; a lookup is a block with a one-hot input.
    """
    import torch

    return torch.bmm(x, x.transpose(1, 2))
