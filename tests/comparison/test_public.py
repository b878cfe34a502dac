"""A sweep on public rows: each run in a process of its own, reproducible, resumable, and one failure stops nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from broken_generators import Broken, Copier

from dpsynth.comparison import compare
from dpsynth.core.errors import DataError, DpsynthError, ParameterError, SchemaError, WorkspaceError
from dpsynth.simulation import network

DRAWN = network(columns=4, seed=1).draw(500, seed=0)
GENERATORS = ["independent", "mst", Broken(), Broken(how="kill"), Copier()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sweep") / "runs"
    told: list[tuple[int, int, str]] = []
    found = compare(
        GENERATORS, DRAWN, epsilon=[0.3, 10], seeds=1, folder=folder, workers=2,
        progress=lambda name, done, total, detail="": told.append((done, total, detail)),
    )  # fmt: skip
    return folder, found, told


def cell(found, generator: str, epsilon: str | None):
    (one,) = (c for c in found.cells if (c["generator"], c["epsilon"]) == (generator, epsilon))
    return one


def test_every_run_has_figures_time_memory_and_the_price_it_would_have(swept) -> None:
    _, found, _ = swept
    for generator in ("independent", "mst"):
        rough, fine = (cell(found, generator, epsilon) for epsilon in ("0.3", "10"))
        assert rough["status"] == fine["status"] == "done"
        assert fine["figures"]["tvd1"] < rough["figures"]["tvd1"]
        assert 0 < fine["cpu_s"] <= fine["wall_s"] + 0.5
        assert 50 < fine["peak_mib"] < 2000
        assert 9 < float(fine["guarantee"]["epsilon"]) <= 10
    assert cell(found, "mst", "10")["figures"]["tvd2"] < cell(found, "independent", "10")["figures"]["tvd2"]


def test_real_rows_and_baselines_stand_beside(swept) -> None:
    _, found, _ = swept
    copied = cell(found, "copier", None)
    assert copied["guarantee"] is None
    assert copied["figures"]["tvd2"] < found.reference["tvd2"]
    assert found.reference["tstr"] > 0.6
    assert found.best(10) == "mst"
    with pytest.raises(ParameterError, match="no figure"):
        found.best(10, "beauty")
    with pytest.raises(ParameterError, match="No run at epsilon 7"):
        found.best(7)


def test_a_figure_is_drawn_with_its_baselines_and_real_rows_as_levels(swept) -> None:
    _, found, _ = swept
    chart = found.chart("tstr")
    assert repr(chart) == "Chart('Use: train on synthetic, test on real', independent, mst, copier, real rows)"
    assert "ROC AUC on real rows" in chart.to_svg()
    with pytest.raises(ParameterError, match="no figure 'beauty'"):
        found.chart("beauty")


def test_a_run_that_fails_says_why_and_the_others_go_on(swept) -> None:
    _, found, _ = swept
    assert len(found.failed) == 4
    error = cell(found, "broken", "10")["error"]
    assert error == {"type": "ValueError", "message": "the cell '4711' is odd"}
    assert "SIGKILL" in cell(found, "broken (how=kill)", "0.3")["error"]["message"]
    assert sum(c["status"] == "done" for c in found.cells) == 5
    with pytest.raises(DpsynthError, match="4 of 9 runs failed"):
        found.raise_if_failed()


def test_progress_counts_all_runs_and_says_how_long(swept) -> None:
    _, _, told = swept
    assert told[0] == (0, 10, "")
    assert told[-1] == (10, 10, "")
    assert all("s left" in detail for _, _, detail in told[1:-1])


def test_what_was_run_is_not_run_again_and_what_failed_is(swept) -> None:
    folder, found, _ = swept
    documents = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    assert len(documents) == 6
    gone = folder / "cells" / f"{cell(found, 'mst', '10')['key']}.json"
    before = json.loads(gone.read_text())
    gone.unlink()
    told: list[int] = []
    again = compare(
        ["independent", "mst", Copier()], DRAWN, epsilon=[0.3, 10], seeds=1, folder=folder, workers=1,
        progress=lambda name, done, total, detail="": told.append(done),
    )  # fmt: skip
    assert told == [5, 6]
    assert not again.failed
    changed = {p for p, at in documents.items() if p.stat().st_mtime_ns != at}
    assert changed == {gone}
    timing = ("cpu_s", "wall_s", "peak_mib")
    after = json.loads(gone.read_text())
    assert {k: v for k, v in after.items() if k not in timing} == {k: v for k, v in before.items() if k not in timing}


def test_the_folder_of_another_sweep_is_refused(swept, tmp_path: Path) -> None:
    folder, _, _ = swept
    other = network(columns=4, seed=1).draw(500, seed=9)
    with pytest.raises(WorkspaceError, match="differs in: data_sha256"):
        compare(["mst"], other, epsilon=1, folder=folder)
    with pytest.raises(WorkspaceError, match="differs in: delta"):
        compare(["mst"], DRAWN, epsilon=1, delta="1e-7", folder=folder)
    with pytest.raises(WorkspaceError, match="differs in: data_sha256, split"):
        compare(["mst"], DRAWN, epsilon=1, split_seed=1, folder=folder)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(WorkspaceError, match="no sweep"):
        compare(["mst"], DRAWN, epsilon=1, folder=tmp_path)
    with pytest.raises(WorkspaceError, match="is a file"):
        compare(["mst"], DRAWN, epsilon=1, folder=tmp_path / "thesis.tex")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"holdout": 0.0}, ParameterError, "holdout_share=0.0"),
        ({"holdout": 0.95}, DataError, "rows to fit"),
        ({"holdout": 0.01}, DataError, "to measure on"),
        ({"target": "nobody"}, SchemaError, "nobody"),
        ({"workers": 0}, ParameterError, "workers=0"),
        ({"split_seed": -1}, ParameterError, "split_seed=-1"),
        ({"budget": "x"}, ParameterError, "no budget"),
        ({"delta": 2}, Exception, "delta"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        compare(["mst"], DRAWN, epsilon=1, **options)


def test_rows_that_nobody_declared_public_are_refused() -> None:
    with pytest.raises(ParameterError, match="not declared public"):
        compare(["mst"], DRAWN.table, epsilon=1)


def test_a_target_of_one_class_on_a_side_is_refused() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": range(400), "y": [0] * 399 + [1]})
    with pytest.raises(DataError, match=r"'y' has one value among the rows that are (fitted|held out)"):
        compare(["mst"], frame, epsilon=1, target="y", public=True)


@pytest.mark.slow
def test_a_baseline_of_another_library_is_named_like_a_generator() -> None:
    pytest.importorskip("sdv")
    found = compare(["sdv-gaussian-copula", "mst"], DRAWN, epsilon=[1, 3], seeds=1, workers=1)
    assert not found.failed
    assert [(c["generator"], c["epsilon"]) for c in found.cells] == [
        ("sdv-gaussian-copula", None), ("mst", "1"), ("mst", "3"),
    ]  # fmt: skip


SCRIPT = """
import dpsynth as dp
from dpsynth.simulation import network
from broken_generators import Broken
drawn = network(columns=4, seed=1).draw(500, seed=0)
dp.compare(["independent", Broken(how="wait")], drawn, epsilon=1, seeds=1, folder={folder!r}, workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_sweep_that_is_stopped_keeps_what_it_has(how: int, tmp_path: Path) -> None:
    """From a script without a guard: the runs' processes must not import it."""
    folder, script = tmp_path / "runs", tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(folder)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(folder.glob("cells/[!.]*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(how)
    assert running.wait(20) != 0
    found = compare(["independent"], DRAWN, epsilon=1, seeds=1, folder=folder, workers=1, progress=no_runs)
    assert not found.failed


def no_runs(name: str, done: int, total: int, detail: str = "") -> None:
    """All runs were there."""
    assert done == total == 2
