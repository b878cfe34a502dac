"""From a private table to a release that anybody can verify."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import dpsynth as dp
from dpsynth.core.errors import BudgetRefused, DataError, GateRefused, ParameterError, WorkspaceError
from dpsynth.report.model import provenance
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.budgets import BudgetExceeded
from dpsynth.workspace.registry.datasets import DatasetRecord

Made = tuple[Workspace, DatasetRecord]


def test_a_judged_draft_is_released_and_a_stranger_verifies_it(judged: Draft, tmp_path: Path) -> None:
    release = judged.release(tmp_path / "bundle")
    report = dp.verify(release.bundle, key=release.public_key)
    assert report.ok, report.checks
    assert report.guarantee is not None
    assert Decimal("0.999") < report.guarantee.epsilon <= 1
    rows = release.to_pandas()
    assert list(rows.columns) == list(judged.document.columns)
    assert len(rows) == judged.document.rows
    assert judged.status == "released"


def test_a_zip_is_a_bundle_too(judged: Draft, tmp_path: Path) -> None:
    release = judged.release(tmp_path / "bundle.zip")
    assert release.verify().ok
    assert len(release.to_pandas()) == judged.document.rows


def test_the_values_of_a_release_are_public_or_released_ones(judged: Draft, fair: tuple[Path, Path]) -> None:
    schema = dp.Schema.from_yaml(fair[1])
    rows = judged.rows().to_pydict()
    for name, spec in schema.columns.items():
        if spec.values is not None:
            assert {v for v in rows[name] if v is not None} <= set(spec.values)


def test_nothing_leaves_without_evidence(workspace: Made, tmp_path: Path) -> None:
    ws, record = workspace
    draft = ws.synthesize(record, epsilon=1, delta="1e-6", canaries=0)
    assert draft.status == "sealed"
    with pytest.raises(GateRefused, match="missing"):
        draft.release(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_report_of_another_draft_is_not_evidence(workspace: Made, judged: Draft, tmp_path: Path) -> None:
    ws, record = workspace
    draft = ws.synthesize(record, epsilon=1, delta="1e-6")
    for kind in ("attack", "quality"):
        (draft.folder / f"{kind}.json").write_bytes((judged.folder / f"{kind}.json").read_bytes())
    assert draft.gate().decision != "ship"


def test_an_edited_report_is_not_evidence(workspace: Made) -> None:
    ws, record = workspace
    draft = ws.synthesize(record, epsilon=1, delta="1e-6")
    draft.attack("quick")
    path = draft.folder / "attack.json"
    body = json.loads(path.read_text())
    body["report"]["attacks"][0]["estimate"] = 0.0
    path.write_text(json.dumps(body))
    failed = {found.name for found in draft.gate().failed}
    assert "documents_bound" in failed


def test_data_without_a_budget_is_refused_with_the_command_that_grants_one(
    tmp_path: Path, fair: tuple[Path, Path]
) -> None:
    ws = Workspace.init(tmp_path / "vault")
    with pytest.raises(BudgetRefused, match="dpsynth budget create"):
        ws.synthesize(fair[0], epsilon=1, delta="1e-6")


def test_the_third_run_that_does_not_fit_is_refused_and_spends_nothing(workspace: Made) -> None:
    ws, record = workspace
    ws.synthesize(record, "independent", epsilon=2, delta="1e-6", canaries=0)
    before = ws.balance(record)
    with pytest.raises(BudgetExceeded, match="to fit into the"):
        ws.synthesize(record, "independent", epsilon=2, delta="1e-6", canaries=0)
    assert ws.balance(record) == before
    assert [d.name for d in ws.drafts()] == ["fair-0001"]


def test_a_file_that_changed_is_another_data_set(tmp_path: Path, fair: tuple[Path, Path]) -> None:
    table = tmp_path / "fair.csv"
    table.write_bytes(fair[0].read_bytes())
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(table, schema=fair[1])
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "independent", epsilon=1, delta="1e-6", canaries=0)
    table.write_text(table.read_text() + "3,32,9,3,3,17,2,5,0.1\n")
    with pytest.raises(DataError, match="has changed since it was registered"):
        draft.attack("quick")
    with pytest.raises(BudgetRefused, match="Nobody has granted"):
        ws.synthesize(table, epsilon=1, delta="1e-6")


def test_a_copy_under_another_name_draws_on_the_same_budget(
    workspace: Made, fair: tuple[Path, Path], tmp_path: Path
) -> None:
    ws, record = workspace
    copy = tmp_path / "other-name.csv"
    copy.write_bytes(fair[0].read_bytes())
    assert ws.find(copy).commitment == record.commitment
    with pytest.raises(Exception, match="has a budget already"):
        ws.create_budget(copy, epsilon=3, delta="1e-5")


def test_bad_input_spends_nothing(workspace: Made) -> None:
    ws, record = workspace
    before = ws.balance(record)
    bad = dp.Schema.from_dict({"version": 1, "columns": {"no_such_column": {"kind": "integer"}}})
    with pytest.raises(dp_errors(), match="no_such_column"):
        ws.synthesize(record, epsilon=1, delta="1e-6", schema=bad)
    with pytest.raises(ParameterError, match="rows=0"):
        ws.synthesize(record, epsilon=1, delta="1e-6", rows=0)
    with pytest.raises(ParameterError, match="Unknown generator"):
        ws.synthesize(record, "no-such", epsilon=1, delta="1e-6")
    assert ws.balance(record) == before


def dp_errors() -> type[Exception]:
    from dpsynth.core.errors import DpsynthError

    return DpsynthError


def test_a_dataframe_in_memory_goes_the_same_way(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [20 + i % 50 for i in range(600)], "sex": ["f", "m"] * 300})
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register("people", frame)
    ws.create_budget(record, epsilon=3, delta="1e-5")
    schema = dp.Schema.from_dict(
        {
            "version": 1,
            "columns": {
                "age": {"kind": "integer", "min": 0, "max": 110},
                "sex": {"kind": "categorical", "values": ["f", "m"]},
            },
        }
    )
    draft = ws.synthesize(record, dp.tabular.Independent(), epsilon=1, delta="1e-6", schema=schema, canaries=10)
    assert draft.rows().schema.field("age").type == pa.int64()
    draft.evaluate()
    elsewhere = Workspace.open(tmp_path / "vault").draft(draft.name)
    with pytest.raises(DataError, match="handed over in memory"):
        elsewhere.attack("quick")


def test_constraints_hold_in_the_sealed_rows_and_are_named_by_draft_and_reports(tmp_path: Path) -> None:
    columns = {name: {"kind": "integer", "min": 0, "max": 110} for name in ("entered", "left")}
    rule = {"kind": "inequality", "low": "entered", "high": "left"}
    schema = dp.Schema.from_dict({"columns": columns, "constraints": [rule]})
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(
        "jobs", pd.DataFrame({"entered": [i % 60 for i in range(600)], "left": [60 + i % 7 for i in range(600)]})
    )
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, dp.tabular.Independent(), epsilon=1, delta="1e-6", schema=schema)
    rows = draft.rows().to_pandas().dropna()
    assert len(rows) and (rows["entered"] <= rows["left"]).all()
    assert draft.document.constraints == ("inequality(entered, left)",)
    metric = draft.evaluate().metric("constraint_violations")
    assert (metric.value, metric.reference) == (0.0, 0.0)
    facts = dict(provenance(draft.document.to_json()))
    assert facts["Constraints that every row obeys"] == "inequality(entered, left)"


def test_a_public_prior_stands_in_ledger_draft_and_card_and_private_files_are_none(tmp_path: Path) -> None:
    def written(name: str, step: int) -> Path:
        path = tmp_path / name
        path.write_text("sex,ward\n" + "".join(f"{'fm'[i * step % 2]},{'abc'[i % 3]}\n" for i in range(600)))
        return path

    data, public, other = written("data.csv", 1), written("public.csv", 2), written("other.csv", 4)
    copy = tmp_path / "last-year.csv"
    copy.write_bytes(data.read_bytes())
    columns = {"sex": ["f", "m"], "ward": ["a", "b", "c"]}
    schema = dp.Schema.from_dict({"columns": {n: {"kind": "categorical", "values": v} for n, v in columns.items()}})
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(data)
    ws.create_budget(record, epsilon=3, delta="1e-5")
    memory = ws.register("memory", pd.DataFrame({"sex": ["f", "m"], "ward": ["a", "b"]}))
    held = dp.data.Table.from_pandas(pd.DataFrame({"sex": ["f", "m"], "ward": ["a", "b"]}))
    for private, name in ((copy, record.name), (dp.read(data), record.name), (held, memory.name)):
        with pytest.raises(DataError, match=f"registered data set '{name}', which is private"):
            ws.synthesize(record, dp.tabular.Gibbs(prior=private), epsilon=1, delta="1e-6", schema=schema)
    with ws.ledger() as ledger:
        assert not ledger.reservations(ws.budget_id(ledger, record))
    draft = ws.synthesize(record, dp.tabular.Gibbs(prior=public), epsilon=1, delta="1e-6", schema=schema)
    digest = hashlib.sha256(public.read_bytes()).hexdigest()
    with ws.ledger() as ledger:
        commit = next(entry for entry in ledger.entries() if entry.kind == "commit")
    assert commit.body["facts"]["prior_sha256"] == draft.document.to_json()["prior_sha256"] == digest
    assert dict(provenance(draft.document.to_json()))["Public prior (SHA-256)"] == digest
    assert ws.sample(draft).document.prior_sha256 == digest
    without = ws.synthesize(record, dp.tabular.Gibbs(), epsilon=1, delta="1e-6", schema=schema)
    assert "prior_sha256" not in without.document.to_json()
    with_it = ws.synthesize(record, dp.tabular.Gibbs(prior=dp.read(other)), epsilon="0.5", delta="1e-6", schema=schema)
    assert with_it.document.prior_sha256 == hashlib.sha256(other.read_bytes()).hexdigest()


def test_a_person_with_many_rows_gets_more_noise_and_a_guarantee_of_her_own(tmp_path: Path) -> None:
    csv = tmp_path / "visits.csv"
    csv.write_text("who,ward\n" + "".join(f"p{i // 3},{'abc'[i % 3]}\n" for i in range(1200)))
    schema = tmp_path / "visits.schema.yaml"
    schema.write_text(
        "version: 1\ncolumns:\n  who: {kind: categorical, role: unit}\n  ward: {kind: categorical, values: [a, b, c]}\n"
    )
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(csv, unit="who", max_per_unit=2, schema=schema)
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "independent", epsilon=1, delta="1e-6", canaries=0)
    assert "user" in draft.guarantee.sentence()
    assert draft.guarantee.unit.max_records == 2
    assert list(draft.rows().column_names) == ["ward"]


def test_a_draft_has_no_way_to_write_its_rows(judged: Draft) -> None:
    assert not any(hasattr(judged, name) for name in ("to_csv", "to_parquet", "to_pandas", "save"))
    assert re.search("rows are sealed", repr(judged))


def test_an_unknown_draft_lists_the_known_ones(judged: Draft) -> None:
    with pytest.raises(WorkspaceError, match=r"No draft 'x' here\. Drafts: fair-0001"):
        judged.workspace.draft("x")


def test_a_person_with_many_rows_is_attacked_once(tmp_path: Path) -> None:
    """Rows of one person are not independent targets, and rows beyond the bound were never fitted."""
    csv = tmp_path / "visits.csv"
    csv.write_text("who,ward,age\n" + "".join(f"p{i // 3},{'abc'[i % 3]},{20 + i // 3 % 60}\n" for i in range(3000)))
    schema = tmp_path / "visits.schema.yaml"
    schema.write_text(
        "version: 1\ncolumns:\n  who: {kind: categorical, role: unit}\n"
        "  ward: {kind: categorical, values: [a, b, c]}\n  age: {kind: integer, min: 0, max: 110}\n"
    )
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(csv, unit="who", max_per_unit=2, schema=schema)
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "independent", epsilon=1, delta="1e-6", canaries=0)
    people = draft._people(draft._fitted_rows())
    assert people.groupby("who").size().max() == 2
    report = draft.attack("quick")
    assert max(row.n_targets for row in report.attacks) <= people["who"].nunique()


def test_a_file_read_in_python_and_named_on_the_command_line_is_one_data_set(
    tmp_path: Path, fair: tuple[Path, Path]
) -> None:
    """Two commitments for one table would be two budgets."""
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register("affairs", dp.read(fair[0]), schema=fair[1])
    ws.create_budget(record, epsilon=3, delta="1e-5")
    assert ws.find(fair[0]) == record
    assert ws.balance(fair[0]).epsilon.granted == 3
    part = dp.read(fair[0]).select(["age", "affairs"])
    assert part.origin is None, "a part of a file is not the file"
