"""Precision, recall, density and coverage against the package prdc 0.2 (numpy 2.4.6), and their bounds of memory."""

import tracemalloc

import numpy as np
import pytest

from dpsynth.quality.neighbours import prdc

# points: default_rng(8), one case after the other: normal(size=(n, d)), shift + scale * normal(size=(m, d))
CASES = [(120, 80, 3, 0.0, 1.0), (60, 200, 10, 0.5, 1.3), (300, 300, 2, 1.0, 0.3), (50, 50, 40, 0.1, 1.0)]
RECORDED = {  # (case, k) -> precision, recall, density, coverage
    (0, 1): (0.75, 0.7, 1.075, 0.383333333333),
    (0, 5): (0.9875, 0.941666666667, 0.9525, 0.875),
    (1, 1): (0.245, 0.8, 0.275, 0.316666666667),
    (1, 5): (0.51, 1.0, 0.244, 0.8),
    (2, 1): (0.783333333333, 0.126666666667, 1.156666666667, 0.113333333333),
    (2, 5): (1.0, 0.223333333333, 1.177333333333, 0.183333333333),
    (3, 1): (0.46, 0.34, 1.26, 0.58),
    (3, 5): (0.78, 0.82, 0.896, 1.0),
}


def test_figures_are_those_of_the_package() -> None:
    rng = np.random.default_rng(8)
    for case, (n, m, d, shift, scale) in enumerate(CASES):
        real, synthetic = rng.normal(size=(n, d)), shift + scale * rng.normal(size=(m, d))
        for k in (1, 5):
            found = prdc(real, synthetic, nearest=k)
            ours = (found.precision, found.recall, found.density, found.coverage)
            assert ours == pytest.approx(RECORDED[case, k], abs=1e-11)


def test_memory_does_not_grow_with_the_square_of_the_points() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(2, 6000, 4))
    tracemalloc.start()
    prdc(real, synthetic)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20 < 6000 * 6000 * 8
