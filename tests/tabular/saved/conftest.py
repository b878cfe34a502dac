"""Small saved models for the tests of a module."""

from __future__ import annotations

import pytest

from dpsynth.tabular import SavedModel
from tests.tabular.saved.fits import SMALL, fitted, small_table


@pytest.fixture(scope="module")
def small() -> SavedModel:
    return fitted("mst", small_table(), SMALL)


@pytest.fixture(scope="module")
def records() -> SavedModel:
    return fitted("gibbs", small_table(), SMALL)
