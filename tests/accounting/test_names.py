"""A name of the package is what it says, whatever was imported before it."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import accounting


@pytest.mark.parametrize("package", ["accounting", "attacks"])
def test_no_module_stands_in_the_place_of_a_function(package: str) -> None:
    opened = import_module(package)
    modules = {found.name for found in pkgutil.iter_modules(opened.__path__)}
    assert not modules & set(opened.__all__)


def test_functions_stay_functions_after_their_modules_were_imported() -> None:
    import_module("accounting.privacy_report")
    import_module("accounting.calibration")
    assert callable(accounting.report) and callable(accounting.calibrate) and callable(accounting.price)
