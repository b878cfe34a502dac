"""`dpsynth run`: what lies at `release` already is checked, never believed and never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError, VerificationError, WorkspaceError
from dpsynth.core.progress import silent
from dpsynth.workspace import Workspace
from dpsynth.workspace.draft import Draft
from dpsynth.workspace.run import RunConfig, _check_released, execute


def test_a_bundle_that_is_there_already_is_verified_again(judged: Draft, tmp_path: Path) -> None:
    judged.release(tmp_path / "out")
    _check_released(tmp_path / "out", judged)
    card = tmp_path / "out" / "card.yaml"
    card.write_bytes(card.read_bytes() + b"\n")
    with pytest.raises(VerificationError, match=r"card\.yaml is not the file that was signed"):
        _check_released(tmp_path / "out", judged)


def test_a_folder_that_is_no_bundle_is_not_called_one(judged: Draft, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="no bundle of this workspace"):
        _check_released(tmp_path, judged)


def test_nothing_is_spent_if_the_bundle_could_not_be_written(tmp_path: Path) -> None:
    rows = "".join(f"{18 + i % 60},{'fm'[i % 2]}\n" for i in range(300))
    (tmp_path / "data.csv").write_text("age,sex\n" + rows)
    (tmp_path / "out").mkdir()
    (tmp_path / "run.yaml").write_text(
        "{data: data.csv, workspace: vault, release: out, budget: {epsilon: 1, delta: 1e-5}, "
        "synthesize: {epsilon: 1, delta: 1e-6}}"
    )
    with pytest.raises(WorkspaceError, match="nothing was spent"):
        execute(RunConfig.from_yaml(tmp_path / "run.yaml"), say=print, progress=silent, warn=print)
    left = Workspace.open(tmp_path / "vault").balance("data").epsilon
    assert left.left == left.granted


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("{data: d, workspace: v, synthesise: {}, synthesize: {epsilon: 1, delta: 0}}")
    with pytest.raises(ParameterError, match="synthesise: unknown key"):
        RunConfig.from_yaml(tmp_path / "run.yaml")
