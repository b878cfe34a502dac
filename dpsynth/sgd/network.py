"""What a network must offer to be trained privately: a clipped sum of gradients, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Array: TypeAlias = Any
"""A numpy array, or a torch tensor on any device; all of one network's are of one kind."""


class Network(Protocol):
    """Parameters, and clipped sums of their gradients.

    A unit's gradient is the gradient of the sum of its rows' losses, over all parameters together; its L2 norm is
    bounded by `clip`. No row of one unit may change what another unit adds (no batch statistics, no batch-shaped mask).
    """

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Name -> trainable array, float32, on one device; trained in place."""

    @property
    def live(self) -> Mapping[str, Array]:
        """Name -> boolean mask of the coordinates that take part, for parameters where some do not; those stay 0."""

    def clipped_sum(self, rows: Array, units: Array | None, clip: float) -> tuple[dict[str, Array], Array]:
        """Sum over units of their clipped gradients, and each unit's norm before clipping.

        Args:
            rows: int64 codes, shape (rows, columns); at least one row.
            units: int64 number of each row's unit, 0 … m-1, ascending, shape (rows,); None if every row is a unit.
            clip: bound on a unit's L2 norm.

        Returns:
            name -> summed clipped gradient, shaped as the parameter, zero off `live`; and norms, shape (m,), private.
        """
