"""`audit-generator` on anybody's table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from attacks.generators import bench as shadow_bench
from attacks.generators import membership_classifier
from attacks.shadow.count_queries import CountQueries
from dpsynth.cli.app import call

SCHEMA = """columns:
  age: {kind: integer, min: 18, max: 90}
  city: {kind: categorical, values: [Aach, Bern, Cork]}
  job: {kind: categorical, values: [clerk, nurse, smith, judge]}
"""
PRICE = ["--epsilon", "1", "--delta", "1e-6", "--generator", "independent"]


@pytest.fixture(autouse=True)
def small_attack(monkeypatch):
    """One rung of planted leaks and few trees: what is tested here is the command."""
    monkeypatch.setattr(shadow_bench, "LADDER", (1.0,))
    monkeypatch.setattr(membership_classifier, "TREES", 30)
    monkeypatch.setattr(CountQueries.__init__, "__kwdefaults__", {"queries": 40})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    rng = np.random.default_rng(5)
    people = pd.DataFrame(
        {
            "age": rng.integers(18, 90, 1200),
            "city": rng.choice(["Aach", "Bern", "Cork"], 1200),
            "job": rng.choice(["clerk", "nurse", "smith", "judge"], 1200, p=[0.5, 0.3, 0.19, 0.01]),
        }
    )
    folder = tmp_path_factory.mktemp("files")
    people.to_csv(folder / "people.csv", index=False)
    people.assign(person=rng.integers(0, 500, 1200)).to_csv(folder / "visits.csv", index=False)
    (folder / "schema.yaml").write_text(SCHEMA, "utf-8")
    return folder


def run(capsys, *words):
    capsys.readouterr()
    code = call(["audit-generator", *map(str, words), "--json"])
    out = capsys.readouterr()
    return code, json.loads(out.out), out.err


def test_shadow_models_find_nothing_in_a_private_generator_and_the_price_stands_beside(files, capsys):
    small = ["--fits", "60", "--rows", "120", "--targets", "1", "--folder", files / "fits"]
    words = [files / "people.csv", *PRICE, "--schema", files / "schema.yaml", *small]
    code, document, said = run(capsys, *words)
    assert (code, document["verdict"]) in {(3, "inconclusive"), (0, "pass")}
    assert document["epsilon"]["value"] <= document["charged"]["epsilon"] <= 1.0
    assert "60 fits: 30 train the attack" in said and "internal" in said
    assert {row["name"] for row in document["attacks"]} == {"shadow_models"}
    kept = sorted((files / "fits").glob("*.fit"))
    again = run(capsys, *words)[1]
    assert len(kept) == 60 and kept == sorted((files / "fits").glob("*.fit"))
    assert [row["estimate"] for row in again["attacks"]] == [row["estimate"] for row in document["attacks"]]


def test_likelihoods_are_attacked_where_the_generator_has_them(files, capsys):
    words = [files / "people.csv", *PRICE, "--schema", files / "schema.yaml", "--attack", "likelihood"]
    code, document, _ = run(capsys, *words)
    assert code in (0, 3) and {row["name"] for row in document["attacks"]} == {"rmia"}


def test_more_shown_than_charged_is_a_failure(files, capsys, monkeypatch):
    """A generator whose fits copy: the price is a claim that the audit refutes."""
    import dpsynth.workspace.runs.procedure as module

    def copies(_self, rows, _seed):
        return rows

    monkeypatch.setattr(module.Procedure, "__call__", copies)
    words = [*PRICE[:1], "0.2", *PRICE[2:], "--fits", "120", "--rows", "60", "--targets", "2"]
    code, document, said = run(capsys, files / "people.csv", *words, "--schema", files / "schema.yaml")
    assert (code, document["verdict"]) == (4, "fail")
    assert document["epsilon"]["value"] > document["charged"]["epsilon"]
    assert "the claim is false" in said


def test_one_row_a_person_is_taken(files, capsys):
    schema = files / "visits.yaml"
    schema.write_text(SCHEMA + "  person: {kind: integer, role: unit}\n", "utf-8")
    code, _, said = run(
        capsys, files / "visits.csv", *PRICE, "--schema", schema, "--fits", "40", "--rows", "60", "--targets", "1"
    )
    assert code in (0, 3) and "One random row of each person" in said


def test_a_budget_of_three_fits_is_refused_before_the_first(files, capsys):
    code, document, _ = run(capsys, files / "people.csv", *PRICE, "--fits", "3")
    assert code == 1 and "Expected 40 fits" in document["error"]["message"]
