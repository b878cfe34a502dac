"""A report as a file is the one that the models make, by its ending; nothing else is written, nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth import demo
from dpsynth.core.errors import DataError, DpsynthError
from dpsynth.workspace.draft import Draft
from dpsynth.workspace.reporting import portfolio
from dpsynth.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    folder = tmp_path_factory.mktemp("reporting")
    table, schema = demo.write("fair", folder)
    ws = Workspace.init(folder / "vault")
    data = ws.register(table, schema=schema)
    ws.create_budget(data, epsilon=2, delta="1e-5")
    return ws.synthesize(data, "independent", epsilon=1, delta="1e-6", canaries=0)


def test_the_ending_says_which_and_the_internal_edition_says_that_it_stays(draft: Draft, tmp_path: Path) -> None:
    page = draft.report(tmp_path / "a.html").read_text("utf-8")
    assert "not for release" in page and "<script" not in page
    assert draft.report(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert portfolio(draft.workspace, tmp_path / "all.html").read_text("utf-8").count(draft.name) >= 1
    assert portfolio(draft.workspace, str(tmp_path / "all.pdf")).read_bytes().startswith(b"%PDF")


def test_a_draft_that_may_not_leave_has_no_public_report(draft: Draft, tmp_path: Path) -> None:
    with pytest.raises(DpsynthError):
        draft.report(tmp_path / "public.html", public=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.doc", "a", "nowhere/a.html"])
def test_other_endings_and_places_are_refused_before_anything_is_made(draft: Draft, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        draft.report(tmp_path / name)
    with pytest.raises(DataError):
        portfolio(draft.workspace, tmp_path / name)
