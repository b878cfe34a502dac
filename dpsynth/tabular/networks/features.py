"""What a network sees of a code: a one-hot, and for numbers also where they stand.

A numeric column's codes get `KNOTS` hat functions of their place between the smallest and the largest code (linear
splines), beside a one-hot of weight 0.7: neighbours share what is learned about them. Worth 0.003 mean pair error and
0.006 AUC on Adult at epsilon 1 in the prototype. Columns of at most `FEW` codes, and codes without a place (missing),
have the one-hot alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.networks.protocol import Columns

KNOTS = 5
FEW = 6
ONE_HOT = 0.7


def features(size: int, positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fixed features of one column's codes.

    Args:
        size: number of codes.
        positions: places between 0 and 1 of the first codes, shape (ordinal,).

    Returns:
        float32, shape (size, features).
    """
    one_hot = np.eye(size, dtype=np.float32)
    if len(positions) <= FEW:
        return one_hot
    hats = np.zeros((size, KNOTS), dtype=np.float32)
    knots = np.linspace(0.0, 1.0, KNOTS, dtype=np.float32)
    hats[: len(positions)] = np.maximum(1.0 - np.abs(positions[:, None] - knots) * (KNOTS - 1), 0.0)
    one_hot[: len(positions)] *= np.float32(ONE_HOT)
    return np.concatenate([one_hot, hats], axis=1)


def all_features(columns: Columns) -> tuple[NDArray[np.float32], ...]:
    """One table of features a column."""
    return tuple(features(size, places) for size, places in zip(columns.sizes, columns.positions, strict=True))
