"""A share for a purpose pays for a release, and whoever receives the bundle sees the whole family."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.release.verify import verify
from dpsynth.workspace import Workspace
from tests.e2e.conftest import lenient


@pytest.mark.slow
def test_a_bundle_paid_by_a_share_verifies_and_its_slice_names_the_purpose(
    tmp_path: Path, fair: tuple[Path, Path]
) -> None:
    ws = Workspace.init(tmp_path / "vault")
    ws.layout.policy.write_text(lenient(ws.layout.policy.read_text("utf-8")), "utf-8")
    record = ws.register(fair[0], schema=fair[1])
    ws.create_budget(record, epsilon=3, delta="1e-5", filter="zcdp", conversion_delta="9e-6")
    ws.create_budget(record, epsilon=3, delta="9e-6", purpose="teaching", recipient="public")
    for _ in range(3):  # the default limits now and then ask for another draft
        draft = ws.synthesize(record, "mst", epsilon=1, delta="1e-6", budget="teaching")
        draft.attack()
        draft.evaluate()
        if draft.gate().decision == "ship":
            break
    release = draft.release(tmp_path / "out")
    assert verify(release.bundle, release.public_key).failure is None
    bodies = [entry["body"] for entry in release.document("ledger.json")["entries"] if "body" in entry]
    child = next(body for body in bodies if body["kind"] == "budget.child")
    assert (child["purpose"], child["recipient"], child["budget_id"]) == ("teaching", "public", draft.budget.budget_id)
    assert any(body["kind"] == "budget.create" for body in bodies), "the grant above is in sight too"
