"""The baseline: the inherited checks, and that nothing is dependent."""

from __future__ import annotations

import numpy as np

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.schema.derive import derive
from dpsynth.tabular.independent import Independent
from tests.conformance.generator import GeneratorConformance
from tests.tabular.test_mst import CHAIN, chain


class TestIndependent(GeneratorConformance):
    def make(self):
        return Independent()


def test_columns_are_independent_even_where_the_data_are_not():
    table = chain(8000)
    plan = Independent().plan(CHAIN, PrivacyUnit(), epsilon="2", delta="1e-6")
    domains, _ = derive(table, CHAIN, None, noise=unsafe_SeededNoise(1))
    model = Independent().fit(table, CHAIN, domains, plan, noise=unsafe_SeededNoise(1))
    rows = model.sample(8000, np.random.default_rng(0)).drop_null()
    assert abs(np.corrcoef(np.array(rows.column("a")), np.array(rows.column("b")))[0, 1]) < 0.06
    assert len(plan.tree.events) == 5
