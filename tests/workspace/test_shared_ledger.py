"""Two workspaces on one ledger: one file is one data set with one budget, whoever spends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting.ledger.errors import KeyRefused, LedgerUnavailable
from dpsynth.cli.app import call
from dpsynth.core.errors import WorkspaceError
from dpsynth.workspace import Workspace
from tests.postgresql import Server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = "".join(f"{18 + i % 60},{'fm'[i % 2]}\n" for i in range(600))
    (tmp_path / "data.csv").write_text("age,sex\n" + rows)
    return tmp_path / "data.csv"


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = call([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_colleague_joins_and_both_spend_one_budget(
    postgresql: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, ann, bea = postgresql.fresh(), tmp_path / "ann", tmp_path / "bea's place"
    code, made = _run(capsys, "init", ann, "--ledger", url)
    assert (code, made["ledger"]) == (0, url)
    assert not (ann / "ledger.db").exists()
    assert _run(capsys, "init", bea, "--ledger", url)[0] == 1  # a ledger is not overwritten
    assert not bea.exists()
    assert _run(capsys, "init", bea, "--ledger", url, "--keys", ann / "keys")[0] == 0
    assert (bea / "keys" / "vault.key").stat().st_mode & 0o777 == 0o600
    granted = _run(capsys, "budget", "create", data, "--epsilon", "1.5", "--delta", "1e-5", "-w", ann)
    assert granted[0] == 0, granted
    again = _run(capsys, "budget", "create", data, "--epsilon", "1.5", "--delta", "1e-5", "-w", bea)
    assert "already" in again[1]["error"]["message"]  # the same file, known under the same commitment
    spend = ("synthesize", data, "--generator", "independent", "--epsilon", "1", "--delta", "1e-6", "--canaries", "0")
    code, first = _run(capsys, *spend, "-w", bea)
    assert code == 0, first
    code, second = _run(capsys, *spend, "-w", ann)
    assert code != 0
    assert "left" in second["error"]["message"]
    code, verified = _run(capsys, "ledger", "verify", "-w", ann)
    assert code == 0, verified
    with Workspace.open(ann).ledger() as ledger:
        assert sorted(key.role for key in ledger.keys().values()) == [
            "generate",
            "release",
            "release",
        ]  # each has a release key that the ledger vouches for
    postgresql.drop(url)


def test_what_cannot_be_joined_leaves_nothing(postgresql: Server, tmp_path: Path) -> None:
    url = postgresql.fresh()
    Workspace.init(tmp_path / "ann", ledger=url)
    Workspace.init(tmp_path / "other")
    with pytest.raises(KeyRefused, match="did not create"):
        Workspace.init(tmp_path / "bea", ledger=url, keys=tmp_path / "other" / "keys")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        Workspace.init(tmp_path / "bea", ledger=url, keys=tmp_path / "absent")
    assert not (tmp_path / "bea").exists()
    postgresql.drop(url)


@pytest.mark.parametrize(
    ("url", "keys", "match"),
    [
        ("postgresql://me:secret@host/db", None, "holds a password"),
        ("sqlite:////mnt/share/ledger.db", None, "lives in PostgreSQL"),
        ("/mnt/share/ledger.db", None, "lives in PostgreSQL"),
        ("postgresql://[host/db", None, "cannot be read"),
        (None, "keys", "nothing to join"),
    ],
)
def test_a_url_that_may_not_be_written_down_is_refused(
    tmp_path: Path, url: str | None, keys: str | None, match: str
) -> None:
    with pytest.raises(WorkspaceError, match=match) as refused:
        Workspace.init(tmp_path / "ws", ledger=url, keys=keys)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "ws").exists()


def test_a_server_that_cannot_be_reached_leaves_no_half_workspace(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install 'dpsynth-release[postgresql]'")
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        Workspace.init(folder, ledger="postgresql://127.0.0.1:1/db")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    Workspace.init(folder)  # and the next try starts afresh


def test_a_workspace_file_that_names_no_url_is_refused(tmp_path: Path) -> None:
    Workspace.init(tmp_path / "ws")
    (tmp_path / "ws" / "dpsynth.yaml").write_text("version: 1\nledger: 5\n")
    with pytest.raises(WorkspaceError, match="not text"):
        Workspace.open(tmp_path / "ws")
