"""How a command finds its workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.core.errors import WorkspaceError
from dpsynth.workspace.layout import find, read_json, write_json


def _workspace(folder: Path, text: str = "version: 1\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dpsynth.yaml").write_text(text)
    return folder


def test_the_nearest_workspace_upwards_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPSYNTH_WORKSPACE", raising=False)
    outer = _workspace(tmp_path / "outer")
    deep = outer / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find().root == outer


def test_explicit_beats_environment_beats_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near, env, named = (_workspace(tmp_path / name) for name in ("near", "env", "named"))
    monkeypatch.chdir(near)
    monkeypatch.setenv("DPSYNTH_WORKSPACE", str(env))
    assert find().root == env
    assert find(named).root == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2\n", "format 2"),
        ("version: [\n", "cannot be read"),
        ("- 1\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_workspace_that_this_version_cannot_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkspaceError, match=message):
        find(_workspace(tmp_path / "ws", text))


def test_no_workspace_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPSYNTH_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError, match="dpsynth init"):
        find()


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["step.json"]


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_damaged_document_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "step.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WorkspaceError, match=r"step\.json"):
        read_json(tmp_path / "step.json")
