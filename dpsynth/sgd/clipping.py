"""How much of each unit's gradient enters a sum: all of it up to a norm, none of it if it is not a number.

The claimed sensitivity is `clip`. Norms are computed in float32, so gradients are scaled to `clip * (1 - 2^-10)`:
rounding (below 1e-5 of a norm, a test holds it) cannot carry a unit past the claim. A gradient whose norm is not finite
gets the factor 0, and its owner replaces its entries by 0 before they are summed, since 0 times NaN is NaN: what one
unit adds then depends on that unit and the parameters alone.

>>> import torch
>>> clip_factors(torch.tensor([4.0, 0.5, float("nan")]), 1.0).round(decimals=3).tolist()
[0.25, 1.0, 0.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 2.0**-10


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """Factor in [0, 1] for each unit's gradient, same shape as `norms` (float32, >= 0 or not a number)."""
    import torch

    factors = torch.clamp(clip * (1 - MARGIN) / torch.clamp(norms, min=1e-12), max=1.0)
    return torch.where(torch.isfinite(norms), factors, torch.zeros_like(norms))
