"""`ledger export | replay | checkpoint | verify --checkpoints | compare`: what an auditor runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from accounting.ledger import entry as ledger_entry
from accounting.ledger import writer as ledger_writer
from dpsynth.cli.app import call
from dpsynth.workspace import Workspace


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A workspace in which one run of a small table was charged."""
    rows = "".join(f"{18 + i % 60},{'fm'[i % 2]}\n" for i in range(600))
    (tmp_path / "data.csv").write_text("age,sex\n" + rows)
    ws = Workspace.init(tmp_path / "vault")
    data = ws.register(tmp_path / "data.csv")
    ws.create_budget(data, epsilon=3, delta="1e-5")
    ws.synthesize(data, "independent", epsilon=1, delta="1e-6", canaries=0)
    return tmp_path / "vault"


def run(capsys: pytest.CaptureFixture[str], vault: Path | None, *words: object) -> tuple[int, dict]:
    place = [] if vault is None else ["-w", str(vault)]
    capsys.readouterr()
    code = call(["ledger", *map(str, words), *place, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("accountant", ["pld", "rdp", "zcdp"])
def test_every_price_is_replayed(vault: Path, capsys: pytest.CaptureFixture[str], accountant: str) -> None:
    code, found = run(capsys, vault, "replay", "-a", accountant)
    assert (code, found["ok"]) == (0, True)
    assert [price["outcome"] for price in found["prices"]] == ["holds", "holds"]


def test_an_unknown_accountant_is_refused(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, vault, "replay", "-a", "oracle")
    assert code == 1
    assert "no accountant" in found["error"]["message"]


def test_a_restored_backup_does_not_run_through_the_checkpoints(
    vault: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept, backup = tmp_path / "kept.jsonl", tmp_path / "backup"
    shutil.copytree(vault, backup)
    Workspace.open(vault).synthesize("data", "independent", epsilon=1, delta="1e-6", canaries=0)
    assert run(capsys, vault, "checkpoint", "-o", kept)[0] == 0
    assert run(capsys, vault, "verify", "--checkpoints", kept)[0] == 0
    code, found = run(capsys, backup, "verify", "--checkpoints", kept)
    assert code != 0
    assert "restored from a backup" in found["error"]["message"]


def test_a_clock_that_was_set_back_is_a_warning(
    vault: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, vault, "verify")[1]["clock_set_back"] == []
    true = ledger_entry.stamp
    monkeypatch.setattr(ledger_writer, "stamp", lambda *a: true(*a) | {"time": "2001-01-01T00:00:00Z"})
    with Workspace.open(vault).ledger(write=True) as ledger:
        old = ledger.append("policy", {"digest": "0"})
    code, found = run(capsys, vault, "verify", "--all-signatures")
    assert (code, found["ok"]) == (0, True)
    assert [step["seq"] for step in found["clock_set_back"]] == [old.seq]


def test_a_file_that_is_no_slice_is_refused(vault: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"[" * 100_000)
    for name in ("bad.json", "nowhere.json"):
        code, found = run(capsys, None, "compare", tmp_path / name, tmp_path / name, "--key", "00" * 32)
        assert (code, found["error"]["message"][:11]) == (1, "[malformed]")


def test_two_bundles_show_a_fork(vault: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(vault, backup)
    slices = []
    for place in (vault, backup):
        Workspace.open(place).synthesize("data", "independent", epsilon=1, delta="1e-6", canaries=0)
        slices.append(tmp_path / f"{place.name}.json")
        assert run(capsys, place, "export", "data", "-o", slices[-1])[0] == 0
    key = json.loads(slices[0].read_text())["public_key"]
    code, found = run(capsys, None, "compare", *slices, "--key", key)
    assert (code, found["relationship"]) == (5, "fork")
    assert run(capsys, None, "compare", slices[0], slices[0], "--key", key)[1]["relationship"] == "same"
    (tmp_path / "no.json").write_text("[]")
    assert run(capsys, None, "compare", slices[0], tmp_path / "no.json", "--key", key)[0] == 1


def test_the_whole_chain_is_exported(vault: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from accounting.ledger.evidence.export import read_export

    code, _ = run(capsys, vault, "export", "-o", tmp_path / "chain.jsonl")
    lines = (tmp_path / "chain.jsonl").read_text().splitlines()
    with Workspace.open(vault).ledger() as ledger:
        assert read_export(lines, ledger_key=ledger.public_key).head == ledger.head()
    assert code == 0
