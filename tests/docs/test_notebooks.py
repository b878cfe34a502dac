"""Every notebook runs from top to bottom without a warning, and none is stored with output.

Output may be computed from private rows, so it is stripped in git and made again for the documentation.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.postgresql import VARIABLE, running

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
THEMES = {
    "01": "quickstart", "02": "choosing_epsilon", "03": "tails", "04": "attacks_on_a_leaky_release", "05": "text",
    "06": "budgets_over_many_releases", "07": "mixing_ablation_later_rows", "08": "collapse",
    "09": "auditing_anybodys_data", "10": "the_compliance_file", "11": "data_where_it_lives",
}  # fmt: skip
ENGINES = "11_data_where_it_lives"
SLOW = frozenset({"05_text"})  # more than a minute on one core: trains language models
PUBLIC = re.compile(r"^\s*(?:from|import)\s+dpsynth\.(?!report\b)", re.M)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_stored_without_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(
        not c.get("outputs") and c.get("execution_count") is None for c in notebook.cells if c.cell_type == "code"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_uses_what_an_analyst_has_and_sets_nothing_global(path: Path) -> None:
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    assert not PUBLIC.search(code), "a name from inside the package: export it"
    assert "import dpsynth as dp" in code
    assert not re.search(r"rcParams|pyplot|plt\.|filterwarnings|np\.random\.seed|_repr_html_", code)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [])
        for path in NOTEBOOKS
        if path.stem != ENGINES
    ],
    ids=lambda p: p.stem,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_runs_without_a_warning_and_its_objects_are_rich_cells(path: Path, tmp_path: Path) -> None:
    ran(path, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_release_is_the_same_from_a_server_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
    with ExitStack() as there:
        try:
            monkeypatch.setenv(VARIABLE, there.enter_context(running()).url)
        except pytest.skip.Exception as none:
            print(none)
        said = "".join(output.get("text", "") for output in ran(FOLDER / f"{ENGINES}.ipynb", tmp_path))
        served = VARIABLE in os.environ
    assert "releases: 1\n" in said
    assert ("Skipped: no PostgreSQL" in said) is not served


def ran(path: Path, tmp_path: Path) -> list[Any]:
    """Outputs of a notebook, none of them a warning, and some of them rich."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert sum("text/html" in output.get("data", {}) for output in outputs) >= 5
    return outputs


def test_the_eleven_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} == {f"{number}_{theme}" for number, theme in THEMES.items()}
