"""`dpsynth run`: what lies at `release` already is checked, never believed and never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError, VerificationError, WorkspaceError
from dpsynth.core.progress import silent
from dpsynth.schema.model import ColumnSpec, Schema
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


def test_a_licence_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    start = "{data: d, workspace: v, synthesize: {epsilon: 1, delta: 0}, licence: "
    (tmp_path / "run.yaml").write_text(start + "CC-BY-4.0}")
    assert RunConfig.from_yaml(tmp_path / "run.yaml").licence == "CC-BY-4.0"
    (tmp_path / "run.yaml").write_text(start + "'<b>'}")
    with pytest.raises(ParameterError, match="licence"):
        RunConfig.from_yaml(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("columns", "name"), [({"age": [18, 77]}, "independent"), ({"age": [18, 77], "score": [0, 9]}, "gibbs")]
)
def test_without_a_generator_the_draft_names_the_one_that_ran_and_the_ledger_who_chose_it(
    tmp_path: Path, columns: dict[str, list[int]], name: str
) -> None:
    rows = {column: [low + i % (high - low + 1) for i in range(400)] for column, (low, high) in columns.items()}
    facts = {column: ColumnSpec(kind="integer", min=low, max=high) for column, (low, high) in columns.items()}
    ws = Workspace.init(tmp_path / "vault")
    lines = [",".join(map(str, line)) for line in zip(*rows.values(), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join([",".join(rows), *lines]) + "\n")
    record = ws.register(tmp_path / "data.csv")
    ws.create_budget(record, epsilon="2", delta="1e-5")
    draft = ws.synthesize(record, epsilon="1", delta="1e-6", schema=Schema(columns=facts), canaries=0)
    assert draft.document.generator.name == name and not draft.document.generator.third_party
    model = json.loads((draft.folder / "model.json").read_text())
    assert (model["generator"], model["chosen_by"]) == (name, "auto")
    with ws.ledger() as ledger:
        (commit,) = [entry for entry in ledger.entries() if entry.body.get("facts")]
    assert commit.body["facts"]["generator"] == name and commit.body["facts"]["chosen_by"] == "auto"


def test_a_text_section_is_a_request_and_its_form_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        "data: notes.csv\nworkspace: vault\nsynthesize: {epsilon: 1, delta: 1e-6}\n"
        "text: {column: note, method: dpsgd, model: tiny, settings: {steps: 30}, json_schema: form.json}\n",
        "utf-8",
    )
    config = RunConfig.from_yaml(tmp_path / "run.yaml")
    assert config.text is not None and config.text.settings == {"steps": "30"}
    assert config.text.json_schema == tmp_path / "form.json"
    (tmp_path / "wrong.yaml").write_text(
        "data: notes.csv\nworkspace: vault\nsynthesize: {epsilon: 1, delta: 1e-6}\ntext: {colum: note}\n", "utf-8"
    )
    with pytest.raises(ParameterError, match=r"text\.colum: unknown key"):
        RunConfig.from_yaml(tmp_path / "wrong.yaml")
