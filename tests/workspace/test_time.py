"""Rows of a later time are set aside by a public date, before anything is looked at, and nobody is on both sides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.cli.app import call
from dpsynth.core.errors import DataError, DpsynthError, ParameterError, SchemaError
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.demo.texts import private_records
from dpsynth.release.evidence import TimeFacts
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.private.room import open_source
from dpsynth.workspace.private.split import Split, split
from dpsynth.workspace.private.time import cut, later_rows
from dpsynth.workspace.run import RunConfig, execute
from tests.text.word_counts import WordCounts

KEY = bytes(range(32))
CUT = TimeFacts(column="day", since="2024-07-01")


def _since(since: str) -> TimeFacts:
    return TimeFacts(column="day", since=since)


def _column(*cells: Any) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells)])


COLUMNS: dict[str, tuple[Any, str]] = {
    "text": (_column("2024-06-30", None, "2024-07-01", "2024-12-31"), "2024-07-01"),
    "text with hours": (_column("2024-06-30T23:59:59", None, "2024-07-01T00:00", "2024-08-01"), "2024-07-01"),
    "dates": (_column(date(2024, 6, 30), None, date(2024, 7, 1), date(2025, 1, 1)), "2024-07-01"),
    "moments": (
        _column(datetime(2024, 7, 1, 11, 59), None, datetime(2024, 7, 1, 12), datetime(2024, 7, 2)),
        "2024-07-01T12:00",
    ),
    "years": (_column(2023, None, 2024, 2025), "2024"),
    "numbers": (_column(1.5, None, 2.5, 9.0), "2.5"),
}


@pytest.mark.parametrize(("cells", "since"), COLUMNS.values(), ids=COLUMNS.keys())
def test_a_row_is_later_from_the_moment_on_and_past_without_one(cells: Any, since: str) -> None:
    assert later_rows(cells, _since(since)).tolist() == [False, False, True, True]


@pytest.mark.parametrize("cell", ["soon", "31.12.2024", "2024-02-30", ""])
def test_what_is_no_date_is_refused_by_its_column_and_never_shown(cell: str) -> None:
    with pytest.raises(DataError, match="time column 'day' holds something that is no date") as refused:
        later_rows(pa.chunked_array([["2024-01-01", cell]]), CUT)
    said = f"{refused.value.message} {refused.value.remedy}"
    assert not cell or cell not in said
    assert "kind: date" in said


def test_truth_values_are_no_dates_and_a_date_cuts_no_numbers() -> None:
    with pytest.raises(DataError, match="no date"):
        later_rows(pa.chunked_array([[True, False]]), CUT)
    with pytest.raises(ParameterError, match="holds numbers"):
        later_rows(pa.chunked_array([[1, 2]]), CUT)
    with pytest.raises(ParameterError, match="holds dates"):
        later_rows(pa.chunked_array([["2024-01-01"]]), _since("12"))


def test_the_moment_is_given_by_a_person_and_never_found_in_the_rows() -> None:
    assert cut(None, None) is None
    assert cut("day", date(2024, 7, 1)) == CUT
    for column, since in (("day", None), (None, "2024-07-01")):
        with pytest.raises(ParameterError, match="one of the two is missing"):
            cut(column, since)
    with pytest.raises(ParameterError, match="neither a date nor a number"):
        cut("day", "last spring")


def _parts(units: list[int], late: list[bool]) -> Split:
    table = Table.from_arrow(pa.table({"who": pa.array(units, pa.int64()), "row": list(range(len(units)))}))
    return split(table, holdout_share=0.3, key=KEY, unit_column="who", later=np.array(late, dtype=bool))


_ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=80)


def _cells(part: Table | None, column: str) -> list[Any]:
    return [] if part is None else list(part.column(column).to_pylist())


@given(_ROWS)
def test_nobody_trained_on_is_elsewhere_and_no_later_row_is_trained_on(rows: list[tuple[int, bool]]) -> None:
    units, late = [u for u, _ in rows], [t for _, t in rows]
    parts = _parts(units, late)
    trained = set(_cells(parts.train, "who"))
    assert not trained & {*_cells(parts.holdout, "who"), *_cells(parts.later, "who")}
    assert not any(late[i] for i in (*_cells(parts.train, "row"), *_cells(parts.holdout, "row")))
    assert all(late[i] for i in _cells(parts.later, "row"))
    plain = split(
        Table.from_arrow(pa.table({"who": pa.array(units, pa.int64()), "row": list(range(len(units)))})),
        holdout_share=0.3, key=KEY, unit_column="who",
    )  # fmt: skip
    past = [i for i in _cells(plain.train, "row") if not late[i]]
    assert _cells(parts.train, "row") == past  # the coins are those of a split without time
    assert _cells(parts.later, "row") == [i for i in _cells(plain.holdout, "row") if late[i]]


@given(_ROWS, st.integers(0, 12))
def test_removing_a_person_moves_no_other_row(rows: list[tuple[int, bool]], gone: int) -> None:
    """The argument of the guarantee: what is trained on differs by that person's rows alone."""
    whole = _parts([u for u, _ in rows], [t for _, t in rows])
    kept = [(u, t) for u, t in rows if u != gone]
    left = _parts([u for u, _ in kept], [t for _, t in kept])
    for part in ("train", "holdout", "later"):
        before, after = getattr(whole, part), getattr(left, part)
        assert [u for u in _cells(before, "who") if u != gone] == _cells(after, "who")


def test_where_one_row_is_one_person_all_later_rows_are_compared_with() -> None:
    table = Table.from_arrow(pa.table({"row": list(range(1000))}))
    parts = split(table, holdout_share=0.3, key=KEY, later=np.arange(1000) >= 800)
    assert _cells(parts.later, "row") == list(range(800, 1000))
    assert sorted([*_cells(parts.train, "row"), *_cells(parts.holdout, "row")]) == list(range(800))


# --- a draft ----------------------------------------------------------------------------------------------------------


def _write(folder: Path, rows: int = 1600) -> Path:
    """A table whose dependence turns round in the second half of the year."""
    rng = np.random.default_rng(7)
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 366, rows), unit="D")
    age = rng.integers(18, 80, rows)
    ill = (rng.random(rows) < np.where((age > 50) == (days < "2024-07-01"), 0.8, 0.2)).astype(int)
    path = folder / "visits.csv"
    pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "age": age, "ill": np.where(ill, "yes", "no")}).to_csv(
        path, index=False
    )
    (folder / "schema.yaml").write_text(
        "version: 1\ncolumns:\n  day: {kind: date, min: 2024-01-01, max: 2024-12-31}\n"
        "  age: {kind: integer, min: 18, max: 80}\n  ill: {kind: categorical, values: ['yes', 'no'], role: target}\n"
    )
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Draft]]:
    folder = tmp_path_factory.mktemp("time")
    ws = Workspace.init(folder / "vault")
    data = ws.register(_write(folder), schema=folder / "schema.yaml", time="day", since="2024-07-01")
    ws.create_budget(data, epsilon=8, delta="1e-5")
    yield ws, ws.synthesize(data, "independent", epsilon=2, delta="1e-6", canaries=0)


def test_a_draft_says_from_when_on_rows_were_set_aside_and_is_trained_on_none_of_them(
    made: tuple[Workspace, Draft],
) -> None:
    _, draft = made
    assert draft.document.time == CUT
    assert "2024-07-01 or later were not trained on" in draft.document.time.words()
    parts = draft._source.parts
    assert max(parts.train.column("day").to_pylist()) < date(2024, 7, 1)
    assert max(parts.holdout.column("day").to_pylist()) < date(2024, 7, 1)
    assert parts.later is not None
    assert min(parts.later.column("day").to_pylist()) >= date(2024, 7, 1)
    days = draft.rows().column("day").to_pylist()  # a missing rate is released with noise, so one may be missing
    assert max(day for day in days if day is not None) <= date(2024, 12, 31)


def test_a_draft_keeps_its_cut_when_the_registry_moves_on(made: tuple[Workspace, Draft]) -> None:
    ws, draft = made
    before = draft._source.parts.train.unsafe_num_rows
    ws.register(draft.dataset.path or "", time="day", since="2024-10-01")
    assert ws.registry.get("visits").time == _since("2024-10-01")
    again = ws.draft(draft.name)
    assert again._source.parts.train.unsafe_num_rows == before
    assert ws.synthesize("visits", "independent", epsilon=1, delta="1e-6", canaries=0).document.time == _since(
        "2024-10-01"
    )


def test_every_figure_of_utility_is_given_twice(made: tuple[Workspace, Draft]) -> None:
    _, draft = made
    report = draft.evaluate()
    names = {metric.name for metric in report.metrics}
    assert {"tstr_auc", "tstr_auc_gap", "later_tstr_auc", "later_tstr_auc_gap", "later_tvd2_mean"} <= names
    assert report.rows.later
    assert all(metric.confidentiality == "internal" for metric in report.metrics if metric.group == "time")
    trained_on_the_past = report.metric("later_tstr_auc").reference
    assert trained_on_the_past is not None
    assert trained_on_the_past < 0.4  # the dependence turned round: no model of the past is of use
    with pytest.raises(ParameterError, match="set aside before the fit"):
        draft.evaluate(time_column="day")


REFUSED: dict[str, tuple[dict[str, Any], type[DpsynthError], str]] = {
    "no such column": ({"time": "when", "since": "2024-07-01"}, DataError, "no column 'when'"),
    "nothing later": ({"time": "day", "since": "2031-01-01"}, DataError, "on or after 2031-01-01"),
    "nothing before": ({"time": "day", "since": "1999-01-01"}, DataError, "before 1999-01-01"),
    "text": ({"time": "ill", "since": "2024-07-01"}, DataError, "'ill' holds something that is no date"),
}


@pytest.mark.parametrize(("asked", "error", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_cut_that_does_not_fit_is_refused_before_anything_is_spent(
    tmp_path: Path, asked: dict[str, Any], error: type[DpsynthError], said: str
) -> None:
    ws = Workspace.init(tmp_path / "vault")
    data = ws.register(_write(tmp_path, 900))
    ws.create_budget(data, epsilon=1, delta="1e-5")
    with pytest.raises(error, match=said):
        record = ws.register(tmp_path / "visits.csv", **asked)
        ws.synthesize(record, "independent", epsilon=1, delta="1e-6")
    assert ws.balance(data).epsilon.left == ws.balance(data).epsilon.granted


def test_a_dropped_time_column_is_refused_with_the_role_that_would_do(tmp_path: Path) -> None:
    ws = Workspace.init(tmp_path / "vault")
    data = ws.register(_write(tmp_path, 900), time="day", since="2024-07-01")
    schema = tmp_path / "dropped.yaml"
    text = (tmp_path / "schema.yaml").read_text()
    schema.write_text(
        text.replace("day: {kind: date, min: 2024-01-01, max: 2024-12-31}", "day: {kind: date, drop: true}")
    )
    with pytest.raises(SchemaError, match="drops the time column 'day'") as refused:
        open_source(ws, data, schema=schema)
    assert "role: identifier" in refused.value.remedy
    schema.write_text(schema.read_text().replace("drop: true", "role: identifier"))
    assert "day" not in open_source(ws, data, schema=schema).schema.modelled


def test_the_command_line_and_run_files_set_rows_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, vault = _write(tmp_path, 900), tmp_path / "vault"
    asked = f"time: {{column: day, since: '2024-07-01'}}, unit: null, data: {data.name}, schema: schema.yaml"
    (tmp_path / "run.yaml").write_text(
        f"{{{asked}, workspace: vault, synthesize: {{epsilon: 1, delta: 1e-6, canaries: 0, generator: independent}}}}"
    )
    config = RunConfig.from_yaml(tmp_path / "run.yaml")
    assert config.time is not None and (config.time.column, config.time.since) == ("day", "2024-07-01")
    ws = Workspace.init(vault)
    ws.create_budget(ws.register(data), epsilon=9, delta="1e-5")
    words = ["synthesize", str(data), "-e", "1", "-g", "independent", "--canaries", "0", "-w", str(vault)]
    assert call([*words, "--time", "day"]) == 1
    assert "--since 2024-07-01" in capsys.readouterr().err
    schema = ["--schema", str(tmp_path / "schema.yaml")]
    assert call([*words, *schema, "--time", "day", "--since", "2024-07-01"]) == 0
    assert ws.draft("visits-0001").document.time == CUT
    assert call([*words, "--time", "day", "--since", "2024-07-01", "--public", "-o", str(tmp_path / "o.csv")]) == 2
    outcome = execute(config, say=lambda _: None, progress=silent, warn=lambda _: None)
    assert outcome.draft.document.time == CUT and outcome.draft.name == "visits-0002"
    quality = json.loads((outcome.draft.folder / "quality.json").read_text())["report"]
    assert any(metric["name"] == "later_tvd2_mean" for metric in quality["metrics"])


@pytest.mark.slow
def test_texts_are_cut_too_and_their_figures_given_twice(tmp_path: Path) -> None:
    records = private_records(("scipy", "sympy"))
    rng = np.random.default_rng(3)
    days = (pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 366, len(records)), unit="D")).date
    pyarrow.csv.write_csv(records.append_column("day", pa.array(days)), tmp_path / "notes.csv")
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(tmp_path / "notes.csv", time="day", since="2024-07-01")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(
        record, WordCounts(length=20), epsilon=3, delta="1e-6", text="text", target="topic", canaries=0
    )
    assert set(draft.document.columns) == {"topic", "text"} and draft.document.time == CUT
    parts = draft._source.parts
    assert max(parts.train.column("day").to_pylist()) < date(2024, 7, 1)
    report = draft.evaluate()
    names = {metric.name for metric in report.metrics}
    assert {"text_js2_later", "text_coverage_later", "text_tstr_linear_later", "text_tstr_bayes_later"} <= names
    shown = {metric.name: metric.confidentiality for metric in report.metrics}
    assert {shown[name] for name in names if name.endswith("_later")} == {"internal"}
