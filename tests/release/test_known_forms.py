"""Forms of documents that others write and read: `known_forms.json` holds the JSON Schema of each, with its bounds.

A field that comes, goes or changes its bounds turns this red on purpose: older bundles and ledgers must still be read,
and receivers must know. `python -m tests.release.test_known_forms` writes the file anew; read the difference first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpsynth.core.errors import ParameterError
from dpsynth.release.card import read_card
from dpsynth.release.documents import Refusal, to_yaml
from dpsynth.release.evidence import DraftDocument
from dpsynth.release.fields import checked_licence
from dpsynth.release.figures import Figure
from dpsynth.release.marginals import MarginalsFigure
from dpsynth.release.policy import Policy, policy_json_schema
from dpsynth.release.statement import Statement

KNOWN = Path(__file__).with_name("known_forms.json")
MODELS = {model.__name__: model for model in (DraftDocument, Statement, Figure, MarginalsFigure, Policy)}


def _bare(schema: Any) -> Any:
    """Without words: they may be mended at any time."""
    if isinstance(schema, dict):
        return {name: _bare(part) for name, part in schema.items()
                if name not in {"description", "title"} or isinstance(part, dict)}  # fmt: skip
    return [_bare(part) for part in schema] if isinstance(schema, list) else schema


def forms() -> dict[str, Any]:
    """The schemas of today."""
    found = {name: model.model_json_schema(by_alias=True) for name, model in MODELS.items()}
    return {name: _bare(one) for name, one in {**found, "policy_json_schema": policy_json_schema()}.items()}


def test_the_forms_are_those_that_are_known() -> None:
    known = json.loads(KNOWN.read_text("utf-8"))
    for name, schema in json.loads(json.dumps(forms())).items():
        assert schema == known[name], f"{name}: see tests/release/test_known_forms.py"


@pytest.fixture(scope="module")
def card(released: Any) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((released[1] / "card.yaml").read_bytes())
    return body


WRONG: dict[str, Any] = {
    "kind": "dataset_card", "artificially_generated": False, "release": "", "draft": "x" * 201,
    "draft_digest": "AB" * 32, "rows": 0, "row_total": 0, "attempts": 0, "noise": "none", "decision": "maybe",
    "seeds": {"sample": "ab"}, "policy": {"name": "p"}, "columns": "age", "source_commitment": "0" * 63,
    "canaries": {"planted": -1, "share": "0"},
    "generator": {"name": "mst"}, "licence": "<b>", "prior_sha256": "0", "more": "1", "guarantee": [],
    "evals": {"more": []},
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_a_card_of_another_form_is_refused_by_the_field(card: dict[str, Any], field: str) -> None:
    assert read_card(to_yaml(card)).release == card["release"]
    with pytest.raises(Refusal) as refused:
        read_card(to_yaml({**card, field: WRONG[field]}))
    assert refused.value.code == "card_malformed" and f"card.yaml: {field}" in str(refused.value)


@pytest.mark.parametrize("version", ["dpsynth.card/2", "", None, 1])
def test_a_card_of_another_version_is_not_read(card: dict[str, Any], version: Any) -> None:
    for body in ({**card, "schema": version}, {name: part for name, part in card.items() if name != "schema"}):
        with pytest.raises(Refusal) as refused:
            read_card(to_yaml(body))
        assert refused.value.code == "unknown_schema_version"


@pytest.mark.parametrize("text", ["MIT", "(MIT OR Apache-2.0)", "LicenseRef-Ours", "not stated", "a" * 200])
def test_a_licence_has_the_form_of_an_expression(text: str) -> None:
    assert checked_licence(text) == text
    for wrong in ("", f" {text}", f"{text}\n", f"{text};", "a" * 201, "<b>", "-MIT"):
        with pytest.raises(ParameterError, match="SPDX"):
            checked_licence(wrong)


def main() -> int:
    KNOWN.write_text(json.dumps(forms(), indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
