"""The public edition shows the allow-list and nothing else, whatever the documents hold beside it."""

import copy
import dataclasses
import re
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble, assemble_public, render_internal, render_public
from dpsynth.report.criteria import CriterionLine
from dpsynth.report.model import PublicModel
from dpsynth.report.statement import Statement
from tests.report.conftest import GOVERNANCE
from tests.report.pages import Page

ALLOWED = {  # document -> the paths whose values may appear; [] stands for every element
    "decision": {"decision", "draft", "policy_digest", "at", "rules[].name", "rules[].passed", "rules[].on_fail",
                 "rules[].value", "rules[].limit", "rules[].reason"},
    "evidence": {"epsilon_lower_bound.value", "epsilon_lower_bound.ceiling",
                 "attacks[].name", "attacks[].stratum", "attacks[].endpoint",
                 "attacks[].verdict", "attacks[].class", "attacks[].limit", "attacks[].positive_control.caught",
                 "attacks[].negative_control.passed", "quality[].name",
                 "quality[].class"},
    "guarantee": {"epsilon", "delta", "relation", "unit", "accountant", "all.*"},
    "privacy": {"deltas[].delta", "deltas[].epsilon", "deltas[].accountant", "rho", "mu", "failure",
                "attacker.tpr_at_most"},
    "budget": {"as_of", "odometer.epsilon", "odometer.delta", "odometer.caveat", "line[].dataset", "line[].purpose",
               "line[].recipient", "line[].filter",
               *(f"line[].{q}.{k}" for q in ("epsilon", "delta") for k in ("granted", "spent", "reserved", "left")),
               *(f"line[].original.{q}" for q in ("epsilon", "delta")),
               *(f"line[].amendments[].{k}" for k in ("seq", "time", "key_id", "reason")),
               *(f"line[].amendments[].{k}.{q}" for k in ("before", "after") for q in ("epsilon", "delta"))},
    "ledger": {"entry", "hash", "ledger_id"},
    "draft": {"dataset", "generator.name", "generator.version", "generator.third_party", "rows", "created",
              "draft_digest", "source_commitment", "schema_digest", "policy_digest", "events_digest"},
    "governance": {"state", "missing[]", "notes[]", "policy.name",
                   *(f"reviews[].{k}" for k in ("reviewer", "vote", "at", "counts")),
                   *(f"waivers[].{k}" for k in ("rule", "reason", "owner", "approved_by[]")),
                   *(f"policy_changes[].{k}" for k in ("path", "before", "after"))},
}  # fmt: skip


FIELDS = {  # of the public model; a new one is looked at here before any page may print it
    "edition", "title", "verdict", "guarantee", "profile", "budget", "family", "checks", "attacks", "attacks_verdict",
    "criteria", "proved", "resolution", "governance", "statement", "untested", "limits", "provenance", "verify",
    "events", "warnings", "grades", "bought", "sold",
}  # fmt: skip


def test_a_new_field_of_the_public_model_is_looked_at_first() -> None:
    assert {field.name for field in dataclasses.fields(PublicModel)} == FIELDS
    words = {"verdict", "count", "title", "asked", "why", "worst"}
    assert {f.name for f in dataclasses.fields(CriterionLine)} | {"count"} == words
    assert set(Statement.model_fields) == {
        "version", "trust_model", "raw_data_access", "attacker", "purpose", "recipients", "contract_limits",
        "legal_basis", "dpia_reference", "dpo_advice", "data_governance", "reevaluation", "responsible",
        "recall_contact",
    }  # fmt: skip


@pytest.fixture
def public(public: dict[str, Any]) -> dict[str, Any]:
    """With what people decided."""
    return {**public, "governance": copy.deepcopy(GOVERNANCE)}


def test_criteria_and_items_of_the_public_edition_hold_no_exact_figure(
    internal: dict[str, Any], public: dict[str, Any]
) -> None:
    model = assemble_public(**public)
    for line in model.criteria:
        shown = line.worst
        if shown is not None:
            assert (shown.estimate, shown.low, shown.high, shown.control, shown.targets, shown.controls) == (None,) * 6
    said = numbers(" ".join(value for item in model.items for _, value in item.rows))
    exact = {
        f"{row[k]:.{n}f}" for row in internal["attacks"]["attacks"] for k in ("estimate", "ci_high") for n in (3, 4)
    }
    assert said and not said & exact
    assert numbers(model.resolution.sentence) == set()  # "13.4 rows" follows from the events, which are public


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [x for k, v in value.items() for x in leaves(v, f"{path}.{k}" if path else k)]
    if isinstance(value, list):
        return [x for v in value for x in leaves(v, f"{path}[]")]
    return [(path, value)]


def allowed(document: str, path: str) -> bool:
    return path in ALLOWED[document] or f"{path.rpartition('.')[0]}.*" in ALLOWED[document]


def smuggle(value: Any, mark: str) -> Any:
    """The document with an unknown field in every object."""
    if isinstance(value, dict):
        return {**{k: smuggle(v, mark) for k, v in value.items()}, "smuggled": mark}
    return [smuggle(v, mark) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("document", sorted(ALLOWED))
def test_no_field_outside_the_allow_list_appears(public: dict[str, Any], document: str) -> None:
    strict = {"guarantee"}  # parsed by its own package, which refuses other fields itself
    body = public[document] if document in strict else smuggle(public[document], "zz-smuggled-zz")
    for path in {
        p for p, v in leaves(public[document]) if not allowed(document, p) and isinstance(v, str | int | float)
    }:
        if path != "schema":
            body = mark(body, path.split("."), "zz-leak-zz")
    html = render_public(assemble_public(**{**public, document: body}))
    assert "zz-smuggled" not in html
    assert "zz-leak" not in html


def mark(value: Any, path: list[str], text: str) -> Any:
    """Replace the text at `path` by a mark; numbers and yes/no stay, so that the document can still be read."""
    key, *rest = path
    name = key.removesuffix("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    if inner is None:
        return value
    if key.endswith("[]"):
        changed = [mark(v, rest, text) if rest else (text if isinstance(v, str) else v) for v in inner]
    elif rest:
        changed = mark(inner, rest, text)
    else:
        changed = text if isinstance(inner, str) else inner
    return {**value, name: changed}


def numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d+\.\d{2,}(?![\w])", text))


def test_no_exact_figure_of_real_rows_is_on_the_public_page(internal: dict[str, Any], public: dict[str, Any]) -> None:
    page = Page(render_public(assemble_public(**public))).text
    published = numbers(" ".join(str(v) for name in public for _, v in leaves(public[name])))
    limits = {f"{row['limit']:.3f}" for row in public["evidence"]["attacks"]}
    known = published | limits | {"1.83", "164.514"}  # the ceiling follows from the events; a paragraph of the CFR
    shares = {f"{e.rho:.5f}" for e in assemble_public(**public).events if e.rho is not None}
    budget = {amount for _, amount, _ in assemble_public(**public).budget.parts}
    assert numbers(page) <= known | shares | budget
    exact = Page(render_internal(assemble(**internal))).text
    assert len(numbers(exact) - numbers(page)) > 100  # the check can see figures where there are some


def test_a_figure_slipped_into_a_row_of_real_people_does_not_show(public: dict[str, Any]) -> None:
    for row in public["evidence"]["attacks"]:
        row |= {
            "estimate": 0.123456,
            "ci_high": 0.123456,
            "detectable": 0.123456,
            "n_targets": 123456,
            "reason": "zz-why",
        }
    model = assemble_public(**public)
    assert {(a.estimate, a.high, a.detectable, a.targets, a.reason) for a in model.attacks} == {(None,) * 4 + ("",)}
    html = render_public(model)
    assert "0.123" not in html
    assert "123,456" not in html
    assert "zz-why" not in html


def test_figures_of_canaries_do_show(public: dict[str, Any]) -> None:
    public["evidence"]["attacks"].append({
        **public["evidence"]["attacks"][0], "name": "canary", "stratum": "canaries", "endpoint": "auc",
        "limit_id": "canary.auc",
        "confidentiality": "canary_only", "estimate": 0.512, "ci_high": 0.617, "detectable": 0.05, "limit": 0.7,
    })  # fmt: skip
    bound = {"value": 0.11, "ceiling": 3.05, "delta": 1e-6, "m": 98765, "method": "zz-method"}
    public["evidence"]["epsilon_lower_bound"] = bound
    page = Page(render_public(assemble_public(**public))).text
    assert "0.617" in page
    assert "The canaries prove epsilon ≥ 0.11 ; claimed is 0.9" in page
    assert "these canaries could prove at most 3.05" in page
    assert "zz-method" not in page
    assert "98765" not in page


def test_exact_documents_are_refused(internal: dict[str, Any], public: dict[str, Any]) -> None:
    with pytest.raises(
        DataError, match=r"made from a dpsynth\.public_decision/1 document; this decision is another one"
    ):
        assemble_public(**{**public, "decision": internal["decision"]})
    with pytest.raises(
        DataError, match=r"made from a dpsynth\.public_evidence/1 document; this evidence is another one"
    ):
        assemble_public(**{**public, "evidence": internal["attacks"]})


def test_public_edition_says_what_its_verdicts_are(public: dict[str, Any]) -> None:
    page = Page(render_public(assemble_public(**public))).text
    assert "come from private rows without noise and are outside of epsilon" in page
    assert "bundle that verifies against a ledger kept elsewhere" in page
