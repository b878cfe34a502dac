"""A data set that stays in an engine, played once: console, portfolio, reports, bundle; no credential."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from accounting import PrivacyUnit
from dpsynth.demo.data import write
from dpsynth.release.standalone.build import NAME, verifier
from dpsynth.release.verify import verify
from dpsynth.web.access import Secrets
from dpsynth.web.app import make_app
from dpsynth.workspace import Workspace
from dpsynth.workspace.portfolio import portfolio_document
from dpsynth.workspace.private.targets import SAMPLED
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.registry.places import kept, located
from dpsynth.workspace.reporting import portfolio, report
from tests.e2e.conftest import lenient
from tests.report.pages import Page

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")

PASSWORD = "hunter2-secret"
URL = f"postgresql://ann:{PASSWORD}@db.example/claims?sslpassword={PASSWORD}"


def shown(workspace: Workspace, page: str) -> str:
    secrets = Secrets()
    client = TestClient(make_app(workspace, keys={}, secrets=secrets), base_url="http://127.0.0.1")
    client.get("/login", params={"token": secrets.token})
    answer = client.get(page)
    assert answer.status_code == 200
    return answer.text


def words(page: str) -> str:
    """What a page says; places may break in lines."""
    return Page(page.replace("<wbr>", "")).text


def test_a_folder_of_parquet_through_console_portfolio_and_bundle(tmp_path: Path) -> None:
    table, schema = write("fair", tmp_path)
    rows, folder = pa.Table.from_pandas(pd.read_csv(table, dtype=str), preserve_index=False), tmp_path / "affairs"
    folder.mkdir()
    half = rows.num_rows // 2
    pq.write_table(rows.slice(0, half), folder / "1.parquet")
    pq.write_table(rows.slice(half), folder / "2.parquet")
    workspace = Workspace.init(tmp_path / "vault")
    policy = workspace.layout.policy
    policy.write_text(lenient(policy.read_text("utf-8")), "utf-8")
    record = workspace.register(str(folder), schema=schema)
    assert record.place is not None
    workspace.create_budget(record, epsilon=3, delta="1e-5")
    workspace.create_budget(record, epsilon=1, delta="1e-6", parent=record.name, purpose="teaching")
    server = kept(located(URL, "health.visits"), "id", PrivacyUnit())
    workspace.registry.add(DatasetRecord(name="visits", commitment="0" * 64, unit=PrivacyUnit(), place=server))
    for _ in range(3):
        draft = workspace.synthesize(record, epsilon="0.9", delta="1e-6")
        draft.attack()
        draft.evaluate()
        if draft.gate().decision == "ship":
            break

    budgets = words(shown(workspace, "/budgets"))
    assert f"Rows stay in {record.place.shown}" in budgets and f"Rows stay in {server.shown}" in budgets
    nodes = [node for family in portfolio_document(workspace)["families"] for node in family]
    assert [node.get("place") for node in nodes] == [record.place.shown, None]  # a share is where its whole is
    pages = [words(portfolio(workspace, tmp_path / "portfolio.html").read_text("utf-8")), budgets]
    assert f"Rows stay in {record.place.shown}" in pages[0]
    assert portfolio(workspace, tmp_path / "portfolio.pdf").read_bytes().startswith(b"%PDF")
    internal = shown(workspace, f"/drafts/{draft.name}/report")
    pages += [internal, shown(workspace, f"/drafts/{draft.name}"), shown(workspace, "/ledger")]
    assert not any(PASSWORD in page or "ann" in page.split() for page in pages)
    assert internal.count(SAMPLED) == 1
    page = words(pages[-2])
    assert f"stay in {record.place.shown}" in page and page.count(SAMPLED) == 1

    assert draft.gate().decision == "ship"
    release = draft.release(tmp_path / "bundle")
    assert verify(release.bundle, release.public_key).ok
    (tmp_path / NAME).write_bytes(verifier())
    alone = [sys.executable, "-I", str(tmp_path / NAME), str(release.bundle), "--key", str(release.public_key)]
    assert subprocess.run(alone, capture_output=True, check=False).returncode == 0
    page = (release.bundle / "report.html").read_text("utf-8")
    assert page.count(SAMPLED) == 1 and str(folder) not in page
    assert SAMPLED in report(draft, tmp_path / "public.html", public=True).read_text("utf-8")
