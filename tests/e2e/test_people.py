"""People on the whole way: registered by person, made, attacked, measured, judged, released, verified, drawn again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from dpsynth.cli.app import call
from dpsynth.core.errors import ParameterError
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.workspace import Draft, Workspace
from tests.conformance.tables import schema
from tests.e2e.conftest import lenient
from tests.tabular.sequences.panel import PANEL, panel


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """A draft of people with all its evidence; another one is drawn if the gate asks for it."""
    folder = tmp_path_factory.mktemp("people")
    rows, columns = panel(6000).to_arrow(), dict(PANEL.model_dump(mode="json")["columns"])
    rng = np.random.default_rng(1)
    for name in ("cost", "weight", "minutes", "distance"):  # wide enough for a neighbour to be somebody
        cells = np.minimum(rng.gamma(2.0, 900.0, len(rows)).astype(np.int64), 20_000)
        rows = rows.append_column(name, pa.array(cells))
        columns[name] = {"kind": "integer", "min": 0, "max": 20_000}
    pyarrow.csv.write_csv(rows, folder / "visits.csv")
    (folder / "visits.yaml").write_text(schema(**columns).to_yaml(), "utf-8")
    ws = Workspace.init(folder / "vault")
    ws.layout.policy.write_text(lenient(ws.layout.policy.read_text("utf-8")), "utf-8")
    record = ws.register(folder / "visits.csv", schema=folder / "visits.yaml", unit="who", max_per_unit=4)
    ws.create_budget(record, epsilon=9, delta="1e-5")
    for _ in range(3):
        draft = ws.synthesize(record, Autoregressive(steps=200), epsilon=3, delta="1e-6")
        draft.attack()
        draft.evaluate()
        if draft.gate().decision == "ship":
            break
    return draft


def test_the_report_has_figures_of_people(made: Draft) -> None:
    metrics = {row["name"]: row for row in json.loads((made.folder / "quality.json").read_text())["report"]["metrics"]}
    assert metrics["rows_per_person_tvd"]["value"] < 0.1
    assert metrics["transition_tvd_mean"]["value"] < metrics["transition_tvd_mean"]["shuffle"]
    assert metrics["constant_kept"]["value"] == 1.0


def test_people_are_released_and_verify(made: Draft, tmp_path: Path) -> None:
    assert made.gate().decision == "ship"
    release = made.release(tmp_path / "bundle")
    assert release.verify().ok
    rows = release.to_pandas()
    assert rows["who"].str.startswith("synthetic-").all()
    assert rows.groupby("who")["day"].max().max() <= 4
    assert made.guarantee is not None and made.guarantee.unit.max_records == 4


def test_people_are_drawn_again_under_a_condition_on_people_alone(made: Draft) -> None:
    ws = made.workspace
    women = ws.sample(made, rows=300, given={"sex": "f"})
    assert women.document.rows == 300 and set(women.rows().column("sex").to_pylist()) == {"f"}
    women.attack()
    women.evaluate()
    with pytest.raises(ParameterError, match="may differ between the rows of a person"):
        ws.sample(made, given={"stage": 1})


def test_the_command_makes_people_of_public_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow.csv.write_csv(panel(300).to_arrow(), tmp_path / "visits.csv")
    out = tmp_path / "out.csv"
    words = ["synthesize", str(tmp_path / "visits.csv"), "--public", "-o", str(out), "-g", "autoregressive", "-e", "8"]
    people = ["--unit", "who", "--order", "day"]
    assert call([*words, *people]) != 0
    assert "--max-per-unit" in capsys.readouterr().err
    assert call([*words, *people, "--max-per-unit", "3"]) == 0
    header, first, *_ = out.read_text().replace('"', "").splitlines()
    assert header.split(",")[:2] == ["who", "day"] and first.split(",")[:2] == ["synthetic-1", "1"]
