"""More rows from a draft's model: no new epsilon, a new attempt, a draft that has to pass by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import dpsynth as dp
from accounting.ledger.entry import Kind
from dpsynth.cli.app import call
from dpsynth.core.errors import ParameterError, SealError, WorkspaceError
from dpsynth.release.entries import attempts
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.resampling import matching, model_of

Made = tuple[Workspace, object]


def counted(ws: Workspace, draft: Draft) -> int:
    with ws.ledger() as ledger:
        return attempts(ledger.entries(draft.document.budget_id))[0]


@pytest.fixture
def first(workspace: Made) -> Draft:
    ws, record = workspace
    return ws.synthesize(record, epsilon=1, delta="1e-6")


def test_another_sample_costs_no_epsilon_and_counts_as_an_attempt(first: Draft) -> None:
    ws = first.workspace
    before = ws.balance("fair")
    assert counted(ws, first) == 1
    second = ws.sample(first, rows=500)
    third = ws.sample(second.name, given={"religious": 4})
    assert ws.balance("fair") == before
    assert counted(ws, first) == 3
    assert (second.name, third.name) == ("fair-0002", "fair-0003")
    assert second.document.rows == 500 and third.document.rows == 500
    assert second.document.sampling.of == third.document.sampling.of == first.name
    assert set(third.rows().column("religious").to_pylist()) == {4}
    for draft in (second, third):
        assert draft.guarantee == first.guarantee and draft.ledger_entry == first.ledger_entry
        assert draft.document.events_digest == first.document.events_digest
        assert draft.document.row_total == first.document.row_total
    assert not second.rows().slice(0, 50).equals(first.rows().slice(0, 50))


def test_the_next_fit_takes_the_next_number(first: Draft, workspace: Made) -> None:
    first.workspace.sample(first)
    assert first.workspace.synthesize(workspace[1], epsilon=1, delta="1e-6").name == "fair-0003"


def test_the_model_is_sealed_like_rows(first: Draft) -> None:
    """On disk there is ciphertext, readable by the key's owner alone; altered, it is refused."""
    content = next(first.workspace.layout.drafts.glob(f"{first.name}-model.*.sealed"))
    assert b"dpsmodel" not in content.read_bytes() and content.stat().st_mode & 0o777 == 0o400
    saved = model_of(first)
    assert saved.guarantee == first.guarantee and saved.schema_digest == first.document.schema_digest
    content.chmod(0o600)
    content.write_bytes(content.read_bytes()[:-1] + b"x")
    with pytest.raises(SealError, match="was altered"):
        first.workspace.sample(first)


def test_a_draft_whose_model_was_not_kept_says_so(first: Draft) -> None:
    for path in first.workspace.layout.drafts.glob(f"{first.name}-model.*"):
        path.unlink()
    with pytest.raises(WorkspaceError, match="was not kept"):
        first.workspace.sample(first)


def test_what_the_model_does_not_know_leaves_no_draft_and_no_attempt(first: Draft) -> None:
    for asked in ({"given": {"religious": 9}}, {"balance": "nobody"}, {"rows": 0}):
        with pytest.raises(ParameterError):
            first.workspace.sample(first, **asked)
    assert counted(first.workspace, first) == 1
    assert [draft.name for draft in first.workspace.drafts()] == [first.name]


def test_a_second_draft_is_released_on_its_own_evidence_and_a_stranger_verifies_it(
    first: Draft, judged: Draft, tmp_path: Path
) -> None:
    """Evidence of another draft is none for this one; its card says how it was drawn; the ledger agrees."""
    ws = first.workspace
    for _ in range(3):
        draft = ws.sample(first, rows=2000, given={"rate_marriage": [4, 5]})
        for kind in ("attack", "quality"):
            (draft.folder / f"{kind}.json").write_bytes((judged.folder / f"{kind}.json").read_bytes())
        assert "documents_bound" in {found.name for found in draft.gate().failed}
        draft.attack()
        draft.evaluate()
        decision = draft.gate()
        if decision.decision == "ship":
            break
    assert decision.decision in ("ship", "regenerate", "reject")
    if decision.decision != "ship":
        pytest.skip(f"the gate asks for another draft: {decision}")
    release = draft.release(tmp_path / "bundle")
    assert dp.verify(release.bundle, key=release.public_key).ok
    card = " ".join((release.bundle / "card.yaml").read_text().split())
    assert (
        "No picture of the whole table: only rows with rate_marriage = 4 or 5." in card and f"of: {judged.name}" in card
    )
    assert set(release.to_pandas()["rate_marriage"]) <= {4, 5}


def test_attacks_and_quality_compare_with_real_rows_of_the_same_kind(first: Draft) -> None:
    draft = first.workspace.sample(first, rows=800, given={"age": ["22", "27"]}, balance="religious")
    real = matching(draft, draft._source.parts.train).to_pandas()
    assert set(real.age) == {"22", "27"} and 0 < len(real) < len(draft._source.parts.train.to_arrow())
    counts = real.religious.value_counts()
    assert counts.nunique() == 1
    whole = first.workspace.sample(first)
    assert matching(whole, whole._source.parts.train) is whole._source.parts.train


def test_a_rare_condition_leaves_the_attacks_no_power_and_does_not_pass(first: Draft) -> None:
    draft = first.workspace.sample(first, rows=1000, given={"age": "42", "children": "4"})
    assert draft.attack().verdict == "inconclusive"
    draft.evaluate()
    assert draft.gate().decision == "regenerate"


def test_the_ledger_holds_a_digest_of_what_was_asked(first: Draft) -> None:
    draft = first.workspace.sample(first, rows=300, given={"age": "22"})
    with draft.workspace.ledger() as ledger:
        entries = [entry.body for entry in ledger.entries(draft.document.budget_id) if entry.kind is Kind.ATTEMPT]
    assert "sampling" not in next(body for body in entries if body["draft"] == first.name)
    asked = next(body for body in entries if body["draft"] == draft.name)["sampling"]
    from dpsynth.release.documents import digest

    assert asked == digest(draft.document.sampling.model_dump(mode="json"))
    assert asked != digest({"of": first.name, "given": {}, "balance": None})


def test_the_command_line_samples_a_draft_and_a_public_model(
    first: Draft, fair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(first.workspace.layout.root)
    assert call(["sample", first.name, "--rows", "100", "--where", "age=22", "-w", root, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["draft"] == "fair-0002" and told["rows"] == 100 and told["of"] == first.name
    assert first.workspace.draft(told["draft"]).attempt == first.attempt >= 2
    assert call(["sample", first.name, "--where", "yrs_married=nine", "-w", root]) == 1
    assert "The condition on column 'yrs_married'" in capsys.readouterr().err
    model, rows = str(tmp_path / "m.dpmodel"), str(tmp_path / "rows.parquet")
    made = ["synthesize", str(fair[0]), "--schema", str(fair[1]), "-e", "1", "--public", "-o", rows]
    assert call([*made, "--save-model", model]) == 0
    assert call(["sample", model, "--public", "-o", rows, "--rows", "60", "--balance", "religious", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"] == 60
    assert pq.read_table(rows).num_rows == 60
    assert call(["sample", model, "--public"]) == 2
    assert call([*made[:-3], "--save-model", model, "-w", root]) == 2
