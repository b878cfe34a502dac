"""More rows from a draft's model: no new epsilon, a new attempt, a draft that has to pass by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpsynth as dp
from accounting.ledger.entry import Kind
from dpsynth.cli.app import call
from dpsynth.core.errors import ParameterError, SealError, WorkspaceError
from dpsynth.data.table import Table
from dpsynth.release.entries import attempts
from dpsynth.release.formats import encode_parquet
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.runs import resampling
from dpsynth.workspace.runs.resampling import matching, model_of
from dpsynth.workspace.runs.synthesis import CANARY_COIN

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
    workspace: Made, judged: Draft, tmp_path: Path
) -> None:
    """Evidence of another draft is none for this one; its card says how it was drawn; the ledger agrees.

    Of 100 canaries too few meet the condition; of 300 enough do.
    """
    ws, record = workspace
    first = ws.synthesize(record, epsilon=1, delta="1e-6", canaries=300)
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


def test_the_canary_attack_sees_no_canary_that_the_condition_rules_out(first: Draft) -> None:
    """A canary outside the condition can never be repeated: planted in the control, it proves nothing."""
    every = first._canaries()
    draft = first.workspace.sample(first, rows=500, given={"religious": 4})
    seen = draft._canaries()
    allowed = (every.rows.religious == 4).to_numpy()
    assert seen.rows.equals(every.rows[allowed].reset_index(drop=True)) and 0 < len(seen.rows) < len(every.rows)
    assert np.array_equal(seen.included, every.included[allowed])
    row = next(row for row in draft.attack().attacks if row.name == "canary")
    assert (row.n_targets, row.n_controls) == (seen.included.sum(), (~seen.included).sum())
    even = first.workspace.sample(first, rows=500, balance="religious")
    assert set(even._canaries().rows.religious.dropna()) <= set(even.rows().column("religious").to_pylist())


@pytest.mark.parametrize("left", [0, 1, 19])
def test_too_few_canaries_under_a_condition_are_no_pass(first: Draft, left: int) -> None:
    """With no canary left, one, or less than a group of each coin, nothing was shown."""
    every = first._canaries()
    religious = np.where(np.arange(len(every.rows)) < left, 4, 1)
    rows = Table.from_pandas(every.rows.assign(religious=religious)).to_arrow()
    draft = first.workspace.sample(first, rows=500, given={"religious": 4})
    for path in draft.workspace.layout.drafts.glob(f"{draft.name}-canaries.*"):
        path.unlink()
    sealed = encode_parquet(rows.append_column(CANARY_COIN, pa.array(every.included)))
    draft.workspace.vault.seal(f"{draft.name}-canaries", sealed, {"kind": "canaries"})
    report = draft.attack()
    row = next(row for row in report.attacks if row.name == "canary")
    assert row.verdict == "inconclusive" and row.reason.startswith("Too few") and row.ci_high is None
    assert row.n_targets + row.n_controls == left
    assert (report.epsilon_lower_bound is None) == (left < 2)
    assert draft.gate().decision == "regenerate"


def test_whether_any_real_row_meets_a_condition_cannot_be_asked_for_free(
    first: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None and few leave the same reports, recorded and inconclusive, and the same decision."""
    draft = first.workspace.sample(first, rows=300, given={"religious": 4})
    told = []
    for kept in (0, 1, 19):
        monkeypatch.setattr(resampling, "matching", lambda _, table, k=kept: table.take(np.arange(k)))
        report, quality = draft.attack(seed=1), draft.evaluate()
        people = [row for row in report.attacks if row.name != "canary"]
        assert {row.verdict for row in people} == {"inconclusive"} and not any(row.n_targets for row in people)
        assert all(row.reason.startswith("Too few people") for row in people)
        told.append(([row.model_dump() for row in people], quality.to_json(), str(draft.gate())))
    assert told[0] == told[1] == told[2]
    assert draft.gate().decision == "regenerate" and draft.status == "regenerate"
    with draft.workspace.ledger() as ledger:
        kinds = [one.kind for one in ledger.entries(draft.document.budget_id) if one.body.get("draft") == draft.name]
    assert kinds.count(Kind.ATTACK) == kinds.count(Kind.QUALITY) == 3


def test_a_condition_that_no_real_row_meets_leaves_ordinary_reports(first: Draft) -> None:
    """Also a class that no real row of the condition has."""
    rare = {"age": "42", "children": "4", "yrs_married": "0.5", "religious": 1}
    for asked in ({"given": rare}, {"given": rare, "balance": "rate_marriage"}):
        draft = first.workspace.sample(first, rows=200, **asked)
        assert matching(draft, draft._source.parts.train).unsafe_num_rows == 0
        assert draft.attack().verdict == "inconclusive"
        assert draft.evaluate().metrics == ()
        assert draft.gate().decision == "regenerate"


def test_a_condition_on_the_target_skips_utility_and_does_not_fail(first: Draft) -> None:
    draft = first.workspace.sample(first, rows=500, given={"rate_marriage": 5})
    source = replace(draft._source, schema=draft._source.schema.model_copy(update={"target": "rate_marriage"}))
    draft.__dict__["_source"] = source
    assert draft.evaluate().utility is None


def test_a_swapped_model_is_not_sampled_under_the_facts_of_another(first: Draft, workspace: Made) -> None:
    """draft.json is plain text: pointed to a model that cost more, it would release rows at the smaller price."""
    dearer = first.workspace.synthesize(workspace[1], epsilon=2, delta="1e-6")
    draft = first.workspace.sample(first, rows=100)
    path = draft.folder / "draft.json"
    body = json.loads(path.read_text())
    body["sampling"]["of"] = dearer.name
    path.write_text(json.dumps(body))
    swapped = first.workspace.draft(draft.name)
    for use in (model_of, first.workspace.sample):
        with pytest.raises(WorkspaceError, match="not of the fit"):
            use(swapped)


@pytest.mark.parametrize("fact", ["events_digest", "schema_digest", "guarantee"])
def test_each_fact_of_a_model_is_held_against_the_document(first: Draft, fact: str) -> None:
    other = {**first.document.guarantee, "epsilon": "0.5"} if fact == "guarantee" else "0" * 64
    with pytest.raises(WorkspaceError, match="not of the fit"):
        model_of(Draft(first.workspace, first.document.model_copy(update={fact: other})))


def test_constraints_are_those_that_the_new_rows_keep(first: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first rows kept says nothing of the next ones."""
    monkeypatch.setattr(resampling, "kept_constraints", lambda schema, rows: (f"range(age) of {rows.num_rows}",))
    draft = first.workspace.sample(first, rows=77)
    assert draft.document.constraints == ("range(age) of 77",)
    assert first.workspace.sample(draft, rows=78).document.constraints == ("range(age) of 78",)


def test_the_ledger_holds_a_digest_of_what_was_asked_that_cannot_be_guessed(first: Draft) -> None:
    draft = first.workspace.sample(first, rows=300, given={"age": "22"})
    with draft.workspace.ledger() as ledger:
        entries = [entry.body for entry in ledger.entries(draft.document.budget_id) if entry.kind is Kind.ATTEMPT]
    assert "sampling" not in next(body for body in entries if body["draft"] == first.name)
    asked = next(body for body in entries if body["draft"] == draft.name)["sampling"]
    from dpsynth.release.documents import digest

    assert asked == digest(draft.document.sampling.model_dump(mode="json")) == draft.document.sampling.commitment()
    open_facts = draft.document.sampling.model_dump(mode="json", exclude={"salt"})
    assert asked != digest({"of": first.name, "given": {"age": ["22.."]}, "balance": None}) != digest(open_facts)
    assert asked != digest(open_facts), "whoever guesses the condition would see it confirmed"
    again = first.workspace.sample(first, rows=300, given={"age": "22"}).document.sampling
    assert again.given == draft.document.sampling.given and again.commitment() != asked


def test_facts_of_a_draft_that_was_made_before_there_were_salts_keep_their_digest() -> None:
    from dpsynth.release.documents import digest
    from dpsynth.release.evidence import SamplingFacts

    old = {"of": "fair-0001", "given": {"age": ["22"]}, "balance": None}
    assert SamplingFacts.model_validate(old).commitment() == digest(old)


def test_a_list_of_drafts_says_which_rows_are_no_picture_of_the_whole(
    first: Draft, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = first.workspace.sample(first, rows=100, given={"religious": 4})
    assert (first.condition, draft.condition) == (None, "only rows with religious = 4")
    assert first.workspace.sample(first, rows=50).condition is None
    assert call(["show", "-w", str(first.workspace.layout.root), "--json"]) == 0
    told = {row["draft"]: row["condition"] for row in json.loads(capsys.readouterr().out)["drafts"]}
    assert told[draft.name] == draft.condition and told[first.name] is None


def test_a_draft_whose_schema_file_was_changed_is_not_judged_by_it(first: Draft) -> None:
    """Another role for a column would change which secrets the attacks guess."""
    path = first.folder / "schema.yaml"
    path.write_text(first.schema.with_columns(age={"role": "sensitive"}).to_yaml(), "utf-8")
    changed = first.workspace.draft(first.name)
    for step in (changed.attack, changed.evaluate, lambda: first.workspace.sample(changed, rows=50)):
        with pytest.raises(WorkspaceError, match=r"schema.yaml of 'fair-0001' is not the one"):
            step()


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
