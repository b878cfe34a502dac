"""`dpsynth budget`: planned from public facts, granted whole and in parts, shown, amended in the open, or refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dpsynth.cli.app import call

ROWS = "".join(f"{18 + (i * 7) % 60},{'fm'[i % 2]},{(i * 5) % 3 % 2}\n" for i in range(300))
SCHEMA = """version: 1
columns:
  age: {kind: integer, min: 0, max: 110}
  sex: {kind: categorical, values: [f, m]}
  y: {kind: integer, min: 0, max: 1, role: target}
"""
ZCDP = ("--filter", "zcdp", "--conversion-delta", "9e-6")
RUN = ("-g", "independent", "--canaries", "0")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "claims.csv").write_text("age,sex,y\n" + ROWS)
    (tmp_path / "claims-2025.csv").write_text("age,sex,y\n" + ROWS + "30,f,1\n")
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    assert call(["init", str(tmp_path / "vault")]) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPSYNTH_WORKSPACE", str(tmp_path / "vault"))
    return tmp_path


Run = Any


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command with `--json`; its exit code and its object."""

    def command(*words: object) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = call([*map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def grant(run: Run, *more: object, epsilon: object = 3) -> None:
    code, _ = run("budget", "create", "claims.csv", "-e", epsilon, "-d", "1e-5", "--schema", "schema.yaml", *more)
    assert code == 0


# --- plan --------------------------------------------------------------------------------------------------------


def test_a_plan_has_the_promised_fields_and_leaves_no_trace(run: Run, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "vault").rglob("*") if path.is_file()}
    code, found = run("budget", "plan", "claims.csv", "-e", "1", "--schema", "schema.yaml")
    assert code == 0
    assert set(found) == {
        "data", "generator", "guarantee", "runs", "granted", "quotes", "best", "room", "read", "advice"
    }  # fmt: skip
    assert [quote["filter"] for quote in found["quotes"]] == ["basic", "zcdp", "rdp"]
    assert set(found["quotes"][0]) >= {"charge", "epsilon", "epsilon_of_one", "delta", "fits", "stopped_by"}
    assert (found["room"], found["granted"]) == (None, {"epsilon": "5", "delta": "5e-6"})
    assert {path: path.stat().st_mtime_ns for path in (home / "vault").rglob("*") if path.is_file()} == before


def test_a_plan_is_the_same_for_other_rows_of_the_same_schema(run: Run, home: Path) -> None:
    (home / "other.csv").write_text("age,sex,y\n" + "91,m,0\n" * 7)
    words = ("-e", "1", "--schema", "schema.yaml")
    answers = [run("budget", "plan", name, *words)[1] for name in ("claims.csv", "other.csv")]
    for answer in answers:
        del answer["data"], answer["advice"]
    assert answers[0] == answers[1]


def test_with_a_schema_a_plan_reads_no_cell_at_all(run: Run, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the table was read")

    monkeypatch.setattr("dpsynth.data.read.read", opened)
    code, found = run("budget", "plan", "claims.csv", "-e", "1", "--schema", "schema.yaml")
    assert (code, found["read"]) == (0, "nothing (the schema says it all)")


def test_a_plan_needs_no_workspace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPSYNTH_WORKSPACE")
    code, found = run("budget", "plan", "claims.csv", "-e", "1", "--schema", "schema.yaml", "--runs", "1")
    assert code == 0 and found["advice"].startswith("dpsynth budget create claims.csv --epsilon 1 ")


def test_the_advised_command_holds_as_many_runs_as_the_plan_said_and_more_than_basic(run: Run) -> None:
    words = ("-e", "0.5", "-g", "independent", "--schema", "schema.yaml", "--runs", "3")
    _, found = run("budget", "plan", "claims.csv", *words)
    fits = {quote["filter"]: quote["fits"] for quote in found["quotes"]}
    assert found["best"] == "zcdp" and fits["zcdp"] > fits["basic"] == 3
    assert call(found["advice"].split()[1:]) == 0
    for number in range(fits["zcdp"]):
        _, now = run("budget", "plan", "claims", *words)
        assert now["room"]["runs"] == fits["zcdp"] - number
        if number < 4:  # more than basic holds; the rest would only be slow
            assert run("synthesize", "claims", "-e", "0.5", *RUN)[0] == 0
        else:
            break


def test_a_plan_says_which_limit_stops_the_next_run(run: Run) -> None:
    _, deltas = run("budget", "plan", "claims.csv", "-e", "0.01", "--schema", "schema.yaml", "--grant-epsilon", "3")
    assert deltas["quotes"][0]["stopped_by"] == "delta"
    _, losses = run("budget", "plan", "claims.csv", "-e", "1", "--schema", "schema.yaml", "--grant-delta", "1e-4")
    assert [quote["stopped_by"] for quote in losses["quotes"]] == ["epsilon", "rho", "divergence"]
    grant(run)
    assert run("budget", "create", "claims", "-e", "2.9", "-d", "9e-6", "--purpose", "large")[0] == 0
    assert run("synthesize", "claims", "-e", "1.5", *RUN)[0] == 0
    _, found = run("budget", "plan", "claims", "-e", "1", "-g", "independent", "--purpose", "large")
    assert found["room"]["runs"] == 1
    stop = found["room"]["stopped_by"]
    assert (stop["node"], stop["quantity"]) == ("claims", "epsilon"), "the whole lacks it before its part does"


def test_no_other_tenth_of_delta_holds_more_runs_of_a_plan_with_thresholds(run: Run) -> None:
    words = ("budget", "plan", "claims.csv", "-e", "1", "-g", "independent", "--filter", "zcdp")
    fits = [run(*words, "--conversion-delta", f"{tenth * 5}e-7")[1]["quotes"][0]["fits"] for tenth in range(1, 10)]
    assert run(*words)[1]["quotes"][0]["fits"] == max(fits) > min(fits)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--filter", "best"), "no filter 'best'"),
        (("--filter", "basic", "--order", "4"), "no other filter has any"),
        (("--filter", "rdp", "--order", "1"), "1 < order"),
        (("--purpose", "teaching"), "no budget yet"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(run: Run, words: tuple[str, ...], says: str) -> None:
    code, out = run("budget", "plan", "claims.csv", "-e", "1", "--schema", "schema.yaml", *words)
    assert code in (1, 6) and says in out["error"]["message"]


def test_one_filter_alone_can_be_asked_about(run: Run) -> None:
    words = ("-e", "1", "--schema", "schema.yaml", "--filter", "rdp", "--order", "8")
    _, found = run("budget", "plan", "claims.csv", *words)
    assert [(quote["filter"], quote["order"]) for quote in found["quotes"]] == [("rdp", "8")]
    assert "--filter rdp --order 8" in found["advice"]


# --- create and show ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "basic composition"),
        (ZCDP, "zcdp (conversion delta 9e-6)"),
        (("--filter", "rdp", "--order", "6"), "rdp of order 6 (conversion delta 5e-6)"),
    ],
)
def test_a_budget_shows_the_filter_that_it_was_granted_with(run: Run, words: tuple[str, ...], name: str) -> None:
    grant(run, *words)
    code, shown = run("budget", "show", "claims")
    assert code == 0 and shown["filter"] == name
    assert shown["epsilon"] == {"granted": "3", "spent": "0", "reserved": "0", "left": "3"}
    assert "chosen before" in shown["odometer"]["caveat"]


def test_a_share_of_a_filtered_budget_fits_into_it_without_further_words(run: Run) -> None:
    grant(run, *ZCDP)
    code, made = run("budget", "create", "claims", "-e", "2", "-d", "7e-6", "--purpose", "teaching")
    assert code == 0 and made["filter"] == "zcdp (conversion delta 6.3e-6)"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("claims", "-e", "9", "-d", "1e-6", "--purpose", "x"), 6, "cannot be larger than the whole"),
        (("claims", "-e", "1", "-d", "1e-6", "--purpose", "teaching"), 6, "share for 'teaching' already"),
        (("claims", "-e", "1", "-d", "1e-6", "--purpose", "x", "--recipient", "all"), 6, "Expected recipients"),
        (("claims", "-e", "1", "-d", "1e-6", "--recipient", "public"), 1, "needs a name"),
        (("claims", "-e", "1", "-d", "1e-6", "--purpose", "x", "--filter", "zcdp"), 6, "Use the filter of the root"),
        (("claims", "-e", "1", "-d", "1e-6", "--purpose", "x", "--parent", "none"), 6, "no share for 'none'"),
        (("claims", "-e", "1", "-d", "1e-6", "--parent", "claims"), 6, "has a budget already"),
        (("claims-2025.csv", "-e", "1", "-d", "1e-6", "--purpose", "x"), 6, "Nobody has granted"),
        (("claims-2025.csv", "-e", "1", "-d", "1e-6", "--parent", "budget-x"), 6, "No such budget"),
        (("claims-2025.csv", "-e", "1", "-d", "1e-6", "--parent", "claims", "--unit", "sex"), 6, "does not add up"),
    ],
)
def test_a_part_that_does_not_suit_is_refused(run: Run, words: tuple[str, ...], code: int, says: str) -> None:
    grant(run)
    assert run("budget", "create", "claims", "-e", "1", "-d", "1e-6", "--purpose", "teaching")[0] == 0
    _, before = run("ledger", "show")
    refused, out = run("budget", "create", *words)
    assert refused == code
    assert says in out["error"]["message"] + out["error"]["remedy"]
    assert run("ledger", "show")[1]["head"] == before["head"], "a refusal writes nothing"


def test_a_share_of_a_share_is_for_the_same_recipients_and_spends_from_both(run: Run) -> None:
    grant(run)
    shares = (("teaching", "2", "public"), ("course", "1", "public"))
    for (name, epsilon, whom), parent in zip(shares, ((), ("--parent", "teaching")), strict=True):
        words = ("-e", epsilon, "-d", "5e-6", "--purpose", name, "--recipient", whom, *parent)
        assert run("budget", "create", "claims", *words)[0] == 0
    code, made = run("synthesize", "claims", "-e", "0.5", "--purpose", "course", *RUN)
    assert code == 0 and made["budget"] | {"id": ""} == {"id": "", "purpose": "course", "recipient": "public"}
    nodes = run("budget", "show", "claims")[1]["nodes"]
    assert [(node["purpose"], node["depth"]) for node in nodes] == [(None, 0), ("teaching", 1), ("course", 2)]
    assert len({node["epsilon"]["spent"] for node in nodes}) == 1 and nodes[0]["epsilon"]["spent"] != "0"


def test_a_table_for_people_fits_eighty_columns(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(run, *ZCDP)
    assert run("budget", "create", "claims", "-e", "1", "-d", "5e-6", "--purpose", "teaching")[0] == 0
    assert run("synthesize", "claims", "-e", "0.7", "--purpose", "teaching", *RUN)[0] == 0
    monkeypatch.setattr("dpsynth.cli.terminal.WIDTH_OF_LOGS", 80)
    for words in (("show", "claims"), ("plan", "claims", "-e", "0.5")):
        capsys.readouterr()
        assert call(["budget", *words]) == 0
        said = capsys.readouterr().out
        table = [line for line in said.splitlines() if line[:1] in "┏┃┡│└"]
        assert table and max(map(len, table)) <= 80 and "…" not in said


# --- two purposes, a version, an amendment -----------------------------------------------------------------------


def test_two_purposes_cannot_spend_more_than_the_data_set_has_together(run: Run) -> None:
    grant(run)
    for purpose in ("teaching", "testing"):
        words = ("-e", "2", "-d", "5e-6", "--purpose", purpose)
        assert run("budget", "create", "claims", *words)[0] == 0, "grants of parts may add up to more than the whole"
    assert run("synthesize", "claims", "-e", "1.9", "--purpose", "teaching", *RUN)[0] == 0
    code, out = run("synthesize", "claims", "-e", "1.9", "--purpose", "testing", *RUN)
    assert code == 6 and "left of 'claims'" in out["error"]["message"]
    error = out["error"]
    assert {"budget_id", "quantity", "spent", "reserved", "asked", "limit", "left"} <= set(error)
    assert (error["quantity"], error["limit"]) == ("epsilon", "3")
    assert Decimal(error["left"]) == 3 - Decimal(error["spent"]) and Decimal(error["asked"]) > Decimal(error["left"])
    for action in ("dpsynth budget plan claims", "dpsynth sample DRAFT", "free", "dpsynth budget amend claims"):
        assert action in error["remedy"]
    assert run("synthesize", "claims", "-e", "1", "--purpose", "testing", *RUN)[1]["draft"] == "claims-0002"


def test_a_run_that_broke_off_keeps_its_number_whichever_share_paid(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError

    grant(run)
    assert run("budget", "create", "claims", "-e", "1", "-d", "5e-6", "--purpose", "teaching")[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr("dpsynth.workspace.runs.synthesis.fit_model", broken)
        assert run("synthesize", "claims", "-e", "0.5", "--purpose", "teaching", *RUN)[0] == 1
    assert run("synthesize", "claims", "-e", "0.5", *RUN)[1]["draft"] == "claims-0002"


def test_a_new_version_spends_from_what_it_is_a_version_of(run: Run) -> None:
    grant(run)
    words = ("-e", "2", "-d", "5e-6", "--parent", "claims", "--schema", "schema.yaml")
    assert run("budget", "create", "claims-2025.csv", *words)[0] == 0
    assert run("synthesize", "claims-2025", "-e", "1.9", *RUN)[0] == 0
    code, out = run("synthesize", "claims", "-e", "1.9", *RUN)
    assert code == 6 and "left of 'claims'" in out["error"]["message"]
    nodes = run("budget", "show", "claims-2025")[1]["nodes"]
    assert [node["dataset"] for node in nodes] == ["claims", "claims-2025"]


def test_a_purpose_that_nobody_granted_pays_for_nothing(run: Run) -> None:
    grant(run)
    code, out = run("synthesize", "claims", "-e", "1", "--purpose", "teaching", *RUN)
    assert code == 6 and "--purpose teaching" in out["error"]["remedy"]
    assert run("budget", "show", "claims")[1]["epsilon"]["spent"] == "0"


def test_public_data_draws_on_no_budget(run: Run) -> None:
    assert call(["synthesize", "claims.csv", "-e", "1", "--public", "-o", "o.csv", "--purpose", "x"]) == 2


def test_the_draft_and_the_ledger_say_which_share_paid_and_a_further_sample_follows(run: Run) -> None:
    grant(run)
    run("budget", "create", "claims", "-e", "2", "-d", "5e-6", "--purpose", "teaching", "--recipient", "public")
    _, made = run("synthesize", "claims", "-e", "1", "--purpose", "teaching", *RUN)
    own = run("budget", "show", "claims")[1]["nodes"][1]
    document = json.loads(Path("vault/drafts/claims-0001/draft.json").read_text())
    assert document["budget_id"] == made["budget"]["id"] == own["budget_id"]
    spent = own["epsilon"]["spent"]
    _, entries = run("ledger", "show")
    commit = next(entry["body"] for entry in entries["entries"] if entry["kind"] == "commit")
    assert commit["budget_id"] == own["budget_id"]
    assert (commit["facts"]["purpose"], commit["facts"]["recipient"]) == ("teaching", "public")
    code, refused = run("sample", "claims-0001", "--rows", "100000000")
    assert code == 1 and "more than a sealed draft holds" in refused["error"]["message"]
    code, again = run("sample", "claims-0001", "--rows", "50")
    assert code == 0 and again["budget"] == made["budget"] and again["draft"] == "claims-0002"
    after = run("budget", "show", "claims")[1]["nodes"][1]
    assert after["epsilon"]["spent"] == spent, "post-processing is free"
    listed = run("show")[1]["drafts"]
    assert [draft["purpose"] for draft in listed] == ["teaching", "teaching"]


def test_an_amendment_needs_a_second_persons_key_and_shows_the_original_ever_after(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    grant(run)
    assert run("keys", "make", "-o", "boss.key")[0] == 0
    wanted = ("budget", "amend", "claims", "-e", "4", "--reason", "a second year")
    for key in ("vault/keys/ledger.key", "boss.key"):  # the ledger's own, and one that nobody added
        code, out = run(*wanted, "--key", key)
        assert code == 6 and "dpsynth keys add FILE.pub --role budget" in out["error"]["remedy"]
    assert run("budget", "show", "claims")[1]["amendments"] == []
    code, added = run("keys", "add", "boss.pub", "--role", "budget")
    assert code == 0
    code, made = run(*wanted, "--key", "boss.key")
    assert code == 0 and made["epsilon"]["granted"] == "4"
    shown = run("budget", "show", "claims")[1]
    assert shown["original"] == {"epsilon": "3", "delta": "1e-5"}
    change = shown["amendments"][0]
    assert (change["key_id"], change["reason"]) == (added["key_id"], "a second year")
    assert change["after"] == {"epsilon": "4", "delta": "1e-5"}
    assert call(["budget", "show", "claims"]) == 0
    said = capsys.readouterr().out
    assert "Granted first: epsilon 3" in said and "a second year" in said and added["key_id"] in said
    assert run(*wanted, "--key", "absent.key")[0] == 1
    assert run("ledger", "verify", "--all-signatures")[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-e", "0.5"), "spent and reserved"),
        (("-e", "3"), "already"),
        ((), "already"),
        (("-e", "3", "--purpose", "teaching"), "cannot be larger than the whole"),
        (("-e", "3", "--purpose", "nothing"), "no share for 'nothing'"),
    ],
)
def test_an_amendment_that_does_not_hold_is_refused(run: Run, words: tuple[str, ...], says: str) -> None:
    grant(run, epsilon=2 if "teaching" in words else 3)
    run("budget", "create", "claims", "-e", "1", "-d", "5e-6", "--purpose", "teaching")
    run("keys", "make", "-o", "boss.key")
    run("keys", "add", "boss.pub", "--role", "budget")
    assert run("synthesize", "claims", "-e", "1", *RUN)[0] == 0
    code, out = run("budget", "amend", "claims", "--reason", "why", "--key", "boss.key", *words)
    assert code == 6 and says in out["error"]["message"]


def test_a_second_persons_key_is_not_made_inside_the_workspace_or_over_another(run: Run) -> None:
    code, out = run("keys", "make", "-o", "vault/keys/boss.key")
    assert code == 1 and "in a workspace" in out["error"]["message"]
    assert run("keys", "make", "-o", "boss.pub")[0] == 1
    assert run("keys", "make", "-o", "boss.key")[0] == 0
    assert Path("boss.key").stat().st_mode & 0o077 == 0
    key = Path("boss.key").read_bytes()
    assert run("keys", "make", "-o", "boss.key")[0] == 1 and Path("boss.key").read_bytes() == key


# --- run files ---------------------------------------------------------------------------------------------------


def test_a_run_file_grants_under_a_filter_and_draws_on_a_share(run: Run) -> None:
    head = "data: claims.csv\nworkspace: vault\nschema: schema.yaml\nsuite: quick\n"
    grants = "budget: {epsilon: 3, delta: 1e-5, filter: zcdp, conversion_delta: 9e-6}\n"
    share = "synthesize: {generator: independent, epsilon: 1, delta: 1e-6, canaries: 0, purpose: teaching}\n"
    Path("run.yaml").write_text(head + grants + share)
    code, out = run("run", "run.yaml")
    assert code == 6 and "no share for 'teaching'" in out["error"]["message"]
    assert run("budget", "create", "claims", "-e", "2", "-d", "5e-6", "--purpose", "teaching")[0] == 0
    assert run("run", "run.yaml")[1]["draft"] == "claims-0001"
    assert run("run", "run.yaml")[1]["draft"] == "claims-0001", "nothing is spent again"
    nodes = run("budget", "show", "claims")[1]["nodes"]
    assert [node["filter"].split()[0] for node in nodes] == ["zcdp", "zcdp"]
    assert nodes[1]["loss"]["spent"] == nodes[0]["loss"]["spent"] != "0"
