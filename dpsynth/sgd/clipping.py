"""How much of each unit's gradient enters a sum: all of it up to a norm, none of it if it is not a number.

The claimed sensitivity is `clip`. Norms are computed in float32, so gradients are scaled to `clip * (1 - 2^-10)`:
rounding (below 1e-5 of a norm, a test holds it) cannot carry a unit past the claim. A unit that comes or goes also
moves the rounding of the float32 sums of all blocks after its own: by 1e-4 of the clip at 250,000 units in one sample
(measured on made-up rows), as the square root of their number; the margin has room for some ten millions.

A gradient whose norm is not finite gets the factor 0, and its owner replaces its entries by 0 before they are summed,
since 0 times NaN is NaN: what one unit adds then depends on that unit and the parameters alone.

>>> clip_factors(np.array([4.0, 0.5, np.nan], dtype=np.float32), 1.0).round(3).tolist()
[0.25, 1.0, 0.0]
"""

from __future__ import annotations

from typing import Any

import numpy as np

MARGIN = 2.0**-10


def clip_factors(norms: Any, clip: float) -> Any:
    """Factor in [0, 1] for each unit's gradient, of the same kind and shape as `norms` (float32, >= 0 or not a number).

    Args:
        norms: numpy array or torch tensor.
        clip: bound on a norm.
    """
    if isinstance(norms, np.ndarray):
        factors = np.minimum(clip * (1 - MARGIN) / np.maximum(norms, 1e-12), 1.0)
        return np.where(np.isfinite(norms), factors, 0.0).astype(np.float32)
    import torch

    scaled = torch.clamp(clip * (1 - MARGIN) / torch.clamp(norms, min=1e-12), max=1.0)
    return torch.where(torch.isfinite(norms), scaled, torch.zeros_like(norms))
