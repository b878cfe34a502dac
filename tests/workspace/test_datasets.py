"""Same content, same budget: a data set is known by its content, not by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import WorkspaceError
from dpsynth.workspace.registry.datasets import DatasetRecord, Registry, slug

A, B = "a" * 64, "b" * 64


def test_the_same_content_under_another_name_is_the_same_data_set(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "datasets.json")
    first = registry.add(DatasetRecord(name="Claims.csv", commitment=A, unit=PrivacyUnit()))
    again = registry.add(DatasetRecord(name="copy-of-claims.csv", commitment=A, unit=PrivacyUnit()))
    assert again.name == first.name == "claims"


def test_other_content_under_the_same_name_is_another_data_set(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "datasets.json")
    registry.add(DatasetRecord(name="claims.csv", commitment=A, unit=PrivacyUnit()))
    assert registry.add(DatasetRecord(name="claims.csv", commitment=B, unit=PrivacyUnit())).name == "claims-2"


def test_one_content_has_one_unit(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "datasets.json")
    registry.add(DatasetRecord(name="claims", commitment=A, unit=PrivacyUnit()))
    with pytest.raises(WorkspaceError, match="registered as 'claims' with the unit one record"):
        registry.add(
            DatasetRecord(name="claims", commitment=A, unit=PrivacyUnit(kind="user", column="who", max_records=2))
        )


def test_until_a_budget_counts_it_the_unit_can_be_corrected(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "datasets.json")
    unit = PrivacyUnit(kind="user", column="who", max_records=2)
    registry.add(DatasetRecord(name="claims", commitment=A, unit=PrivacyUnit()))
    corrected = registry.add(DatasetRecord(name="claims", commitment=A, unit=unit), unit_is_fixed=False)
    assert corrected.unit == Registry(tmp_path / "datasets.json").get("claims").unit == unit


def test_the_registry_survives_the_process(tmp_path: Path) -> None:
    unit = PrivacyUnit(kind="user", column="who", max_records=3)
    kept = Registry(tmp_path / "datasets.json").add(DatasetRecord(name="x", commitment=A, unit=unit, path="/d/x.csv"))
    assert Registry(tmp_path / "datasets.json").get("x") == kept


def test_an_unknown_name_lists_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no data set 'x' is registered here\..* Registered: none yet"):
        Registry(tmp_path / "datasets.json").get("x")


@pytest.mark.parametrize(
    ("name", "expected"), [("../../etc", "etc"), ("Größe.csv", "gr-e"), ("…", "data"), ("a" * 99, "a" * 40)]
)
def test_names_are_safe_for_folders(name: str, expected: str) -> None:
    assert slug(name) == expected
