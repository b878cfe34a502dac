"""The default generator: chosen by schema and epsilon alone, by a measured table, and named for what it is."""

from __future__ import annotations

import ast
import inspect
import json
from decimal import Decimal
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from accounting.errors import AccountingError
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import GENERATORS, generator
from dpsynth.tabular.auto import Auto, chosen
from tests.conformance.generator import GeneratorConformance
from tests.conformance.tables import MIXED, OPEN, open_table, schema

ROOT = Path(__file__).resolve().parents[2]
ONE = schema(age={"kind": "integer", "min": 0, "max": 9}, person={"kind": "categorical", "role": "unit"})


class TestAuto(GeneratorConformance):
    rows = 2000
    test_one_row_more_or_less_is_hardly_seen = None
    """Eight hundred fits, held for `gibbs` itself: the model is that of the choice, as the tests below hold."""

    def make(self):
        return Auto()

    def test_description_is_json_without_values_of_rows(self):
        """As inherited, but the description names the generator that was chosen."""
        _, model = self.run(open_table(self.rows), OPEN)
        assert "OnlyMe" not in json.dumps(model.describe())
        assert model.describe()["generator"] == model.generator == chosen(OPEN, "1").name


@pytest.mark.parametrize(("of", "name"), [(ONE, "independent"), (MIXED, "gibbs"), (OPEN, "gibbs")])
def test_the_rule_reads_the_schema_and_every_name_is_that_of_its_choice(of, name):
    plan = Auto().plan(of, PrivacyUnit(), epsilon="1", delta="1e-6")
    assert chosen(of, "1").name == plan.generator == name
    assert plan.tree.digest() == generator(name).plan(of, PrivacyUnit(), epsilon="1", delta="1e-6").tree.digest()


def test_its_rows_are_those_of_the_generator_that_it_chose():
    table = Table.from_arrow(pa.table({"age": pa.array(np.arange(300) % 10)}))
    of = schema(age={"kind": "integer", "min": 0, "max": 9})
    made = []
    for by in (Auto(), generator("independent")):
        plan = by.plan(of, PrivacyUnit(), epsilon="1", delta="1e-6")
        noise = unsafe_SeededNoise(1)
        domains, spent = derive(table, of, plan.settings.derive, noise=noise)
        model = by.fit(table, of, domains, plan, noise=noise, progress=silent, spent=spent)
        made.append(model.sample(200, np.random.default_rng(1)))
    assert made[0].equals(made[1])


def test_a_plan_of_another_choice_is_refused():
    plan = generator("mst").plan(MIXED, PrivacyUnit(), epsilon="1", delta="1e-6")
    with pytest.raises(ParameterError, match="made by 'mst'"):
        Auto().fit(open_table(5), MIXED, dict.fromkeys(MIXED.modelled), plan, noise=unsafe_SeededNoise(1))


def test_auto_is_the_default_everywhere():
    from dpsynth.cli.commands.data import synthesize
    from dpsynth.workspace.run import SynthesizeSection
    from dpsynth.workspace.runs.public import synthesize_public
    from dpsynth.workspace.workspace import Workspace

    faces = [synthesize, synthesize_public, Workspace.synthesize]
    assert {inspect.signature(face).parameters["generator"].default for face in faces} == {"auto"}
    assert SynthesizeSection(epsilon="1", delta="1e-6").generator == "auto" and "auto" in GENERATORS


def wide(columns: int):
    return schema(**{f"c{i}": {"kind": "integer", "min": 0, "max": 9} for i in range(columns)})


def table() -> dict:
    return json.loads(resources.files("dpsynth.tabular").joinpath("auto_choice.json").read_text("utf-8"))


def test_the_choice_is_that_of_the_measured_table():
    for row in table()["table"]:
        assert chosen(wide(row["columns"]), row["epsilon"]).name == row["choice"]


def test_between_and_beyond_the_table_the_nearest_row_decides():
    rows = {(row["columns"], row["epsilon"]): row["choice"] for row in table()["table"]}
    assert chosen(wide(500), "1e-9").name == rows[30, "0.1"]
    assert chosen(wide(17), Decimal("11")).name == rows[16, "10"]
    assert chosen(wide(2), 1.2).name == rows[2, "1"]


def test_every_choice_follows_from_the_figures_beside_it():
    """The rule that the provenance states, from the figures that the table gives."""
    for row in table()["table"]:
        better = {
            name: held["ratio"]
            for name, held in row["against_default"].items()
            if held["ratio"] < 0.98 and binom.sf(held["wins"] - 1, held["tables"], 0.5) <= 0.01
        }
        assert row["choice"] == min(better, key=better.__getitem__, default="gibbs"), row
        assert row["choice"] in GENERATORS


def test_the_table_says_where_it_comes_from_and_names_no_private_data():
    provenance = table()["provenance"]
    assert provenance["made_by"] == "benchmarks/auto_choice.py"
    assert (ROOT / provenance["made_by"]).is_file()
    assert set(provenance["embedded"]) <= {"anes96", "fair", "randhie", "digits", "cancer"}
    assert all(name.startswith(("network", "mixture")) for name in provenance["populations"])


def test_the_choice_is_a_function_of_public_facts():
    """Neither a table nor a noise source can be handed to it, and fitting goes by the plan, whatever the rows are."""
    assert list(inspect.signature(chosen).parameters) == ["schema", "epsilon"]
    source = ast.parse((ROOT / "dpsynth/tabular/auto.py").read_text("utf-8"))
    fit = next(node for node in ast.walk(source) if isinstance(node, ast.FunctionDef) and node.name == "fit")
    read = [node for node in ast.walk(fit) if isinstance(node, ast.Name) and node.id == "table"]
    assert len(read) == 1  # handed on to the generator that the plan names, and not looked at


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf"])
def test_an_epsilon_out_of_range_is_refused_by_the_generator(epsilon):
    with pytest.raises((ParameterError, AccountingError)):
        Auto().plan(MIXED, PrivacyUnit(), epsilon=epsilon, delta="1e-6")
