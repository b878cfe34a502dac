"""Every privacy claim names a proof that exists; every limitation stays in the README."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLAIMS: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs/assurance/claims.yaml").read_text("utf-8"))["claims"]


def _tests_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c["id"])
def test_the_proof_of_a_claim_exists(claim: dict[str, Any]) -> None:
    assert claim["status"] in {"supported", "partial", "limitation"}
    assert (claim["status"] == "partial") == ("missing" in claim)
    assert (claim["status"] == "limitation") == ("proof" not in claim)
    for proof in claim.get("proof", ()):
        file, _, name = proof.partition("::")
        assert name in _tests_of(ROOT / file), proof


def test_ids_are_unique() -> None:
    assert len({claim["id"] for claim in CLAIMS}) == len(CLAIMS)
