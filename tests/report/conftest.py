"""Documents of one real run, made by `make_documents.py` from public data."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

DOCUMENTS = json.loads(Path(__file__).with_name("documents.json").read_text("utf-8"))
GOVERNANCE: dict[str, Any] = {
    "state": "reviewed",
    "missing": ["one more approval"],
    "policy": {"name": "public release", "digest": "ab" * 32},
    "reviews": [
        {"reviewer": "key 7c7c7c7c7c7c", "vote": "approve", "reason": "zz-inside", "at": "2026-11-23T08:00:00Z"},
        {"reviewer": "key 8d8d8d8d8d8d", "vote": "approve", "reason": "late", "at": "2026-01-01T08:00:00Z",
         "counts": False},
    ],
    "waivers": [
        {"rule": "tails", "reason": "Teaching data; nobody studies tails.", "owner": "key 11aa22bb33cc",
         "approved_by": ["key 7c7c7c7c7c7c"]},
    ],
    "policy_changes": [{"path": "guarantee.max_epsilon_per_release", "before": 3, "after": 2}],
}  # fmt: skip


@pytest.fixture
def internal() -> dict[str, Any]:
    """Arguments of `assemble`."""
    return copy.deepcopy(DOCUMENTS["internal"])


@pytest.fixture
def public() -> dict[str, Any]:
    """Arguments of `assemble_public`."""
    return copy.deepcopy(DOCUMENTS["public"])
