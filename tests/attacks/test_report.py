"""A report survives its JSON form exactly, and nothing looser does."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest

import attacks
from attacks.errors import AttackReportError
from attacks.report import AttackReport
from tests.attacks.worlds import independent, people, split


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    members, holdout = split(people(1000, rng), rng, (0.6, 0.4))
    canaries = attacks.make_canaries(lambda n, r: people(n, r), 60, rng=rng)
    return attacks.audit(
        members, independent(members, 600, rng), holdout, suite="standard", sensitive=["job"], canaries=canaries
    )


def test_round_trip_is_exact(report):
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert AttackReport.from_json(document) == report
    assert document["schema"] == "dpsynth.attacks/1"


def test_rows_have_the_fields_of_the_contract(report):
    row = report.to_json()["attacks"][0]
    expected = """name version threat stratum endpoint estimate ci_low ci_high ci_method alpha limit limit_id verdict
        reason n_targets n_controls detectable positive_control negative_control confidentiality seconds"""
    assert list(row) == expected.split()


def mutations(document):
    for key in list(document):
        if key not in ("epsilon_lower_bound", "not_applicable", "figures"):
            yield f"without {key}", {k: v for k, v in document.items() if k != key}
    yield "extra", {**document, "note": 1}
    yield "schema", {**document, "schema": "dpsynth.attacks/2"}
    for field, value in [
        ("estimate", "0.5"), ("verdict", "ok"), ("n_targets", 1.5), ("n_targets", -1), ("confidentiality", "public"),
        ("stratum", "everyone"), ("alpha", 0.0), ("name", None), ("seconds", True), ("threat", 3),
    ]:  # fmt: skip
        changed = copy.deepcopy(document)
        changed["attacks"][0][field] = value
        yield f"{field}={value}", changed
    changed = copy.deepcopy(document)
    changed["attacks"][0]["secret"] = 1
    yield "extra in row", changed
    changed = copy.deepcopy(document)
    changed["attacks"][0]["estimate"] = math.nan
    yield "nan", changed
    changed = copy.deepcopy(document)
    changed["attacks"][0]["verdict"] = "fail"
    changed["verdict"] = "pass"
    yield "verdict better than the worst row", changed
    yield "no rows but a pass", {**document, "attacks": [], "verdict": "pass"}


def test_every_looser_document_is_refused(report):
    checked = 0
    for name, document in mutations(report.to_json()):
        with pytest.raises(AttackReportError, match=r"does not follow dpsynth\.attacks/1"):
            AttackReport.from_json(document)
            pytest.fail(name)
        checked += 1
    assert checked >= 18


def test_only_canary_rows_are_public(report):
    for row in report.attacks:
        assert (row.confidentiality == "canary_only") == (row.name == "canary")
    assert report.epsilon_lower_bound.confidentiality == "canary_only"


def test_table_and_html_show_the_worst_first_and_escape(report):
    rank = {"fail": 0, "inconclusive": 1, "pass": 2}
    order = [rank[r.verdict] for r in report.worst_first]
    assert order == sorted(order)
    assert str(report).startswith("attack report: ")
    odd = report.attacks[0].model_copy(update={"name": "<script>"})
    changed = report.model_copy(update={"attacks": (odd, *report.attacks[1:])})
    assert "<script>" not in changed._repr_html_()


def test_an_attack_with_nothing_to_attack_is_listed_and_not_passed():
    rng = np.random.default_rng(1)
    members, holdout = split(people(400, rng), rng, (0.5, 0.5))
    bare = attacks.audit(members, independent(members, 200, rng), holdout, suite="standard")
    absent = {item.name: item.reason for item in bare.not_applicable}
    assert "No sensitive column" in absent["attribute_inference"]
    assert "No canaries" in absent["canary"]
    assert not any(r.name.startswith("attribute") for r in bare.attacks)
    assert bare.epsilon_lower_bound is None
