"""The command line as a script sees it: exit codes, one JSON object, nothing else on standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpsynth.cli.app import call

CSV = "age,sex,y\n" + "".join(f"{18 + (i * 7) % 60},{'fm'[i % 2]},{(i * 5) % 3 % 2}\n" for i in range(600))
SCHEMA = """version: 1
columns:
  age: {kind: integer, min: 0, max: 110}
  sex: {kind: categorical, values: [f, m]}
  y: {kind: integer, min: 0, max: 1, role: target}
"""


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    assert call(["init", str(tmp_path / "vault")]) == 0
    return tmp_path / "vault"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = call([*map(str, arguments), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out)


def grant(vault: Path, epsilon: str = "3") -> int:
    data = vault.parent / "data.csv"
    return call(
        [
            "budget",
            "create",
            str(data),
            "-e",
            epsilon,
            "-d",
            "1e-5",
            "-w",
            str(vault),
            "--schema",
            str(vault.parent / "schema.yaml"),
        ]
    )


def test_every_command_explains_itself() -> None:
    for command in (
        [], ["demo"], ["init"], ["synthesize"], ["attack"], ["evaluate"], ["gate"], ["release"], ["report"], ["show"],
        ["run"], ["verify"], ["schema", "draft"], ["budget", "create"], ["budget", "show"], ["ledger", "show"],
        ["ledger", "verify"], ["ledger", "export"], ["ledger", "expire"], ["ledger", "replay"],
        ["ledger", "checkpoint"], ["ledger", "compare"], ["budget", "plan"], ["budget", "amend"], ["keys", "make"],
    ):  # fmt: skip
        assert call([*command, "--help"]) == 0


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["verify", "--nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_without_a_budget_the_exit_code_is_six_and_the_remedy_is_a_command(
    vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(capsys, "synthesize", vault.parent / "data.csv", "-e", "1", "-w", vault)
    assert code == 6
    assert out["error"]["type"] == "BudgetRefused"
    assert "dpsynth budget create" in out["error"]["remedy"]


def test_a_budget_that_is_short_refuses_with_six_and_the_four_numbers(
    vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grant(vault, "1")
    code, out = run(capsys, "synthesize", vault.parent / "data.csv", "-e", "2", "-w", vault)
    assert code == 6
    assert all(word in out["error"]["message"] for word in ("limit 1", "spent 0", "reserved 0"))


def test_the_way_to_a_decision_in_json(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grant(vault)
    code, made = run(capsys, "synthesize", "data", "-e", "1", "-w", vault, "--canaries", "20")
    assert code == 0
    assert set(made) == {"draft", "generator", "rows", "guarantee", "ledger_entry", "budget", "output"}
    assert set(made["guarantee"]) >= {"epsilon", "delta", "relation", "unit", "accountant"}
    code, attacked = run(capsys, "attack", made["draft"], "--suite", "quick", "-w", vault)
    assert attacked["verdict"] in {"pass", "fail", "inconclusive"}
    code, quality = run(capsys, "evaluate", made["draft"], "-w", vault)
    assert quality["metrics"]
    code, decision = run(capsys, "gate", made["draft"], "-w", vault)
    assert code == {"ship": 0, "regenerate": 3, "reject": 4}[decision["decision"]]
    assert all({"name", "value", "limit", "passed", "reason"} <= set(rule) for rule in decision["rules"])
    if decision["decision"] != "ship":
        code, _ = run(capsys, "release", made["draft"], "-o", vault.parent / "out", "-w", vault)
        assert code == {"regenerate": 3, "reject": 4}[decision["decision"]]
        assert not (vault.parent / "out").exists()
    code, balance = run(capsys, "budget", "show", "data", "-w", vault)
    assert set(balance["epsilon"]) == {"granted", "spent", "reserved", "left"}
    code, shown = run(capsys, "ledger", "verify", "--all-signatures", "-w", vault)
    assert shown["ok"]


def test_public_data_goes_straight_to_a_file_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    out = tmp_path / "out.csv"
    code, made = run(
        capsys,
        "synthesize",
        tmp_path / "data.csv",
        "-e",
        "1",
        "--schema",
        tmp_path / "schema.yaml",
        "--public",
        "-o",
        out,
    )
    assert code == 0
    assert made["draft"] is None
    assert made["ledger_entry"] is None
    assert made["output"] == str(out)
    assert len(out.read_text().splitlines()) == made["rows"] + 1


def test_a_public_prior_is_a_file_of_the_same_columns_and_no_generator_ignores_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "other.csv").write_text("colour\nred\n")
    given = ["synthesize", tmp_path / "data.csv", "-e", "1", "--schema", tmp_path / "schema.yaml", "--public"]
    for name in ("gibbs", "autoregressive"):
        code, made = run(capsys, *given, "-g", name, "--prior", tmp_path / "data.csv", "-o", tmp_path / "out.csv")
        assert code == 0 and made["generator"] == name
    code, refused = run(capsys, *given, "-g", "gibbs", "--prior", tmp_path / "other.csv", "-o", tmp_path / "b.csv")
    assert code == 1 and "The public prior cannot be used. The file has no column" in refused["error"]["message"]
    code, refused = run(capsys, *given, "-g", "mst", "--prior", tmp_path / "data.csv", "-o", tmp_path / "b.csv")
    assert code == 1 and "takes no public prior" in refused["error"]["message"]
    assert not (tmp_path / "b.csv").exists()


def test_private_rows_cannot_be_sent_to_a_file(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grant(vault)
    assert call(["synthesize", "data", "-e", "1", "-o", str(vault.parent / "rows.csv"), "-w", str(vault)]) == 2
    assert not (vault.parent / "rows.csv").exists()


def test_a_run_file_is_resumed_without_a_second_spend(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = vault.parent / "run.yaml"
    config.write_text(
        "data: data.csv\nworkspace: vault\nschema: schema.yaml\nbudget: {epsilon: 3, delta: 1e-5}\nsuite: quick\n"
        "synthesize: {generator: independent, epsilon: 1, delta: 1e-6, canaries: 10}\n"
    )
    first_code, first = run(capsys, "run", config)
    second_code, second = run(capsys, "run", config)
    assert first["draft"] == second["draft"] == "data-0001"
    assert first_code == second_code
    _, balance = run(capsys, "budget", "show", "data", "-w", vault)
    assert float(balance["epsilon"]["spent"]) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: x.csv\n", "Field required"),
        ("data: x.csv\nworkspace: v\nsynthesise: {}\n", "synthesise"),
        ("- 1\n", "run.yaml"),
        ("a: &a [*a]\n", "run.yaml"),
    ],
)
def test_a_run_file_that_cannot_be_used_says_where(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    code, out = run(capsys, "run", tmp_path / "run.yaml")
    assert code == 1
    assert message in out["error"]["message"] + out["error"]["remedy"]


def test_a_draft_schema_is_written_for_a_table_that_a_run_would_refuse_and_says_which_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = CSV.splitlines()
    head, rows = lines[0] + ",code,mail", lines[1:]
    body = [f"{row},P-{i:05d}x,a{i}@b.org" for i, row in enumerate(rows)]
    (tmp_path / "data.csv").write_text("\n".join([head, *body]) + "\n")
    out = tmp_path / "schema.yaml"
    assert call(["schema", "draft", str(tmp_path / "data.csv"), "-o", str(out)]) == 0
    said = capsys.readouterr().err
    assert "'code' holds another value in every row" in said and "'mail' holds e-mail" in said
    code, refused = run(
        capsys, "synthesize", tmp_path / "data.csv", "-e", 1, "--schema", out, "--public", "-o", tmp_path / "o.csv"
    )
    assert code == 1 and "'code'" in refused["error"]["message"]
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "rows.txt"], "neither in .csv nor in .parquet"),
        (["-o", "nowhere/rows.csv"], "There is no folder"),
        (["-o", "rows.csv", "--save-model", "nowhere/m.dpmodel"], "There is no folder"),
        (["-o", "folder.csv"], "is a folder; output is a file"),
        (["-o", "rows.csv", "--save-model", "folder.csv"], "is a folder; output is a file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_data_is_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    code, out = run(capsys, "synthesize", "not-there.csv", "-e", 1, "--public", *options)
    assert code == 1 and message in out["error"]["message"]


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "dpsynth", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "synthesize" in done.stdout


def test_a_draft_schema_never_overwrites_a_persons_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.csv").write_text(CSV)
    out = tmp_path / "schema.yaml"
    assert call(["schema", "draft", str(tmp_path / "data.csv"), "-o", str(out)]) == 0
    written = out.read_text()
    assert call(["schema", "draft", str(tmp_path / "data.csv"), "-o", str(out)]) == 1
    assert out.read_text() == written


def test_a_foreign_error_shows_its_type_and_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dpsynth.workspace import workspace

    def explode(folder: object, **terms: object) -> None:
        raise KeyError("a cell value")

    monkeypatch.setattr(workspace.Workspace, "init", explode)
    monkeypatch.delenv("DPSYNTH_DEBUG", raising=False)
    assert call(["init", "x"]) == 1
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert "a cell value" not in err


def test_ctrl_c_in_the_fit_leaves_a_reservation_and_says_so(vault: Path) -> None:
    """The child interrupts itself where a person would: after the reservation, inside the fit."""
    grant(vault)
    child = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time, dpsynth.pipeline as p\n"
            "import dpsynth.workspace.runs.synthesis as s\n"
            "def slow(*a, **k):\n    print('fitting', flush=True)\n    time.sleep(60)\n"
            "s.fit_model = slow\n"
            "from dpsynth.cli.app import call\n"
            "sys.exit(call(['synthesize', 'data', '-e', '1', '-w', sys.argv[1]]))\n",
            str(vault),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # Under nohup or in a job of a script SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "fitting"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "stands and counts as spent" in err
    assert "dpsynth ledger expire run-" in err
    assert call(["synthesize", "data", "-e", "1", "-w", str(vault), "-g", "independent", "--canaries", "0"]) == 0
    assert (vault / "drafts" / "data-0002").is_dir(), "the interrupted run keeps its number"


def test_a_usage_error_is_one_json_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "synthesize", "data.csv")
    assert code == 2
    assert out["error"]["type"] == "UsageError"
    assert "--epsilon" in out["error"]["message"]


def test_the_list_of_commands_says_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ([], ["ledger"]):
        assert call([*group, "--help"]) == 0
        assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--unit", "nobody", "no column 'nobody'"),
        ("--schema", "absent.yaml", "schema file does not exist"),
        ("--schema", "other.yaml", "wages"),
    ],
)
def test_a_misspelt_unit_or_schema_is_refused_before_a_budget_hangs_on_it(
    vault: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, says: str
) -> None:
    (vault.parent / "other.yaml").write_text(SCHEMA.replace("age:", "wages:"))
    value = str(vault.parent / value) if option == "--schema" else value
    data = vault.parent / "data.csv"
    code, out = run(capsys, "budget", "create", data, "-e", "3", "-d", "1e-5", option, value, "-w", vault)
    assert code == 1
    assert says in json.dumps(out)
    assert run(capsys, "budget", "show", data, "-w", vault)[0] == 6
    assert grant(vault) == 0


def test_a_second_budget_is_refused_with_a_command(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grant(vault) == 0
    assert grant(vault, "9") == 6
    assert "dpsynth budget show data" in capsys.readouterr().err


def test_a_moved_file_is_found_by_its_content(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grant(vault) == 0
    moved = (vault.parent / "data.csv").rename(vault.parent / "moved here.csv")
    code, made = run(capsys, "synthesize", moved, "-e", "1", "-w", vault, "--canaries", "0")
    assert (code, made["draft"]) == (0, "data-0001")
    assert run(capsys, "evaluate", "data-0001", "-w", vault)[0] == 0


def test_an_open_reservation_is_listed_with_the_command_that_closes_it(
    vault: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert grant(vault) == 0
    monkeypatch.setattr("dpsynth.workspace.runs.synthesis.fit_model", stopped)
    code, out = run(capsys, "synthesize", "data", "-e", "1", "-w", vault)
    assert code == 130
    assert call(["ledger", "show", "-w", str(vault)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    name = said.partition("dpsynth ledger expire ")[2].partition(" ")[0]
    assert name in out["error"]["message"]
    assert call(["ledger", "expire", name, "--reason", "stopped by hand", "-w", str(vault)]) == 0
    capsys.readouterr()
    assert call(["ledger", "show", "-w", str(vault)]) == 0
    assert "dpsynth ledger expire" not in capsys.readouterr().out


@pytest.mark.parametrize(("chosen", "used"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_arrow_takes_memory_from_the_system_unless_told_otherwise(chosen, used):
    """The allocator that comes with Arrow keeps 37 MiB more in a run on Adult."""
    probe = (
        "import atexit, sys; from dpsynth.cli.app import main\n"
        "show = lambda: print(__import__('pyarrow').default_memory_pool().backend_name)\n"
        "atexit.register(show); sys.argv = ['dpsynth', '--help']; main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if chosen:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment).stdout
    assert out.splitlines()[-1] == used
