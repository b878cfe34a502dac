"""Documents of one real run, made by `make_documents.py` from public data."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

DOCUMENTS = json.loads(Path(__file__).with_name("documents.json").read_text("utf-8"))


@pytest.fixture
def internal() -> dict[str, Any]:
    """Arguments of `assemble`."""
    return copy.deepcopy(DOCUMENTS["internal"])


@pytest.fixture
def public() -> dict[str, Any]:
    """Arguments of `assemble_public`."""
    return copy.deepcopy(DOCUMENTS["public"])
