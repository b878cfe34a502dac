"""The default generator: chosen by the schema alone, and named for what it is."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

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
        assert model.describe()["generator"] == model.generator == chosen(OPEN).name


@pytest.mark.parametrize(("of", "name"), [(ONE, "independent"), (MIXED, "gibbs"), (OPEN, "gibbs")])
def test_the_rule_reads_the_schema_and_every_name_is_that_of_its_choice(of, name):
    plan = Auto().plan(of, PrivacyUnit(), epsilon="1", delta="1e-6")
    assert chosen(of).name == plan.generator == name
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
    import inspect

    from dpsynth.cli.commands.data import synthesize
    from dpsynth.workspace.public import synthesize_public
    from dpsynth.workspace.run import SynthesizeSection
    from dpsynth.workspace.workspace import Workspace

    faces = [synthesize, synthesize_public, Workspace.synthesize]
    assert {inspect.signature(face).parameters["generator"].default for face in faces} == {"auto"}
    assert SynthesizeSection(epsilon="1", delta="1e-6").generator == "auto" and "auto" in GENERATORS
