"""Triples of the target where noise is small: what pairs cannot show, and nothing where noise is large."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from accounting.event import DiscreteGaussian
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import SavedModel
from dpsynth.tabular.columns.merging import coarser
from dpsynth.tabular.gibbs import SHARES, Gibbs
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from dpsynth.tabular.triples import chosen_triples
from tests.conformance.tables import schema
from tests.statistical.replay import Tape, exceeded

ROWS = 6000


def xor_table() -> Table:
    """t is a xor b but for 5 % of the rows: every pair of columns is independent."""
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 2, ROWS) for name in "abcd"}
    columns["t"] = columns["a"] ^ columns["b"] ^ (rng.random(ROWS) < 0.05)
    return Table.from_arrow(pa.table({name: pa.array(codes.astype(bool)) for name, codes in columns.items()}))


def of_target(target: str | None = "t", names: str = "abcdt"):
    return schema(
        **{name: {"kind": "boolean"} | ({"role": "target"} if name == target else {}) for name in names},
    )


def fitted(share: float):
    generator = Gibbs(shares=replace(SHARES, triples=share))
    plan = generator.plan(of_target(), PrivacyUnit(), epsilon="8", delta="1e-6")
    noise = unsafe_SeededNoise(1)
    table = xor_table()
    domains, spent = derive(table, of_target(), plan.settings.derive, noise=noise)
    return plan, generator.fit(table, of_target(), domains, plan, noise=noise, spent=spent)


@pytest.mark.parametrize(("share", "kept"), [(SHARES.triples, True), (0.0, False)], ids=["triples", "without"])
def test_an_interaction_that_no_pair_shows_is_reproduced_with_triples_only(share, kept):
    """Rows with t = a xor b: 0.95 in the table, 0.5 by pairs."""
    _, model = fitted(share)
    for rows, given in ((ROWS, None), (150_000, None), (ROWS, {"c": True})):
        made = model.sample(rows, np.random.default_rng(0), given=given)
        a, b, t = (np.array(made.column(name)).astype(bool) for name in "abt")
        alike = float(np.mean((a ^ b) == t))
        assert alike > 0.9 if kept else abs(alike - 0.5) < 0.06


def test_merged_codes_are_few_and_keep_what_is_large():
    """A list keeps its largest codes apart, a grid its neighbours together; no more codes than asked for."""
    counts = np.random.default_rng(0).normal(50.0, 60.0, 40)
    for ordered in (True, False):
        merged = coarser(counts, ordered=ordered, most=8)
        assert set(merged) == set(range(merged.max() + 1))
        assert merged.max() < 8
    assert (np.diff(coarser(counts, ordered=True, most=8)) >= 0).all()
    largest = np.argsort(-counts)[:7]
    assert all(np.sum(merged == merged[at]) == 1 for at in largest)


def test_a_saved_model_keeps_its_triples():
    plan, model = fitted(SHARES.triples)
    assert len(model.triples) == plan.settings.triples.count == 6
    found = from_bytes(to_bytes(SavedModel(model=model, guarantee=plan.guarantee, schema_digest=of_target().digest())))
    drawn = [of.sample(500, np.random.default_rng(7)) for of in (model, found.model)]
    assert drawn[0].equals(drawn[1])
    assert found.model.triples == model.triples


def test_only_a_target_small_noise_and_three_other_columns_plan_triples():
    def triples(of, epsilon, k=1):
        unit = PrivacyUnit(kind="user", column="person", max_records=k) if k > 1 else PrivacyUnit()
        return Gibbs().plan(of, unit, epsilon=epsilon, delta="1e-9").settings.triples

    assert triples(of_target(), "10").count == 6
    assert triples(of_target(names="abcdefghijklmnopqrst"), "10").count == 40
    assert triples(of_target(), "0.3") is None
    assert triples(of_target(), "10", k=10) is None
    assert triples(of_target(None), "10") is None
    assert triples(of_target(names="abt"), "10") is None


def test_where_noise_is_large_the_plan_is_that_without_triples():
    of = of_target(names="abcdefghijklmnt")
    plans = [
        Gibbs(shares=shares).plan(of, PrivacyUnit(), epsilon="1", delta="1e-9")
        for shares in (SHARES, replace(SHARES, triples=0.0))
    ]
    assert plans[0] == plans[1]


def test_triples_are_an_event_of_the_plan_with_the_rows_of_the_unit():
    unit = PrivacyUnit(kind="user", column="person", max_records=2)
    plan = Gibbs().plan(of_target(), unit, epsilon="10", delta="1e-6")
    asked = plan.settings.triples
    assert plan.tree.events[-1] == DiscreteGaussian(sigma=asked.sigma, l2_sensitivity=2, count=asked.count)


@pytest.mark.parametrize("k", [1, 3])
def test_no_person_changes_the_triples_by_more_than_their_event_states(k):
    """Three rows of one cell move each of six tables by 3, and the bound is reached."""
    of, unit = of_target(), PrivacyUnit(kind="user", column="person", max_records=k) if k > 1 else PrivacyUnit()
    plan = Gibbs().plan(of, unit, epsilon="20", delta="1e-6")
    base = Table(xor_table().to_arrow().slice(0, 300))
    joined = base.concat(Table(base.to_arrow().take(pa.array([5] * k))))

    def fit_of(table: Table):
        def fit(noise):
            domains, spent = derive(table, of, plan.settings.derive, noise=noise)
            return Gibbs().fit(table, of, domains, plan, noise=noise, spent=spent)

        return fit

    without = Tape.record(fit_of(base))
    again = without.replay(fit_of(joined))
    assert exceeded(without, again) == []
    before, after = without.calls[-1], again.calls[-1]
    assert replace(before.event, noise="exact") == plan.tree.events[-1]
    assert np.linalg.norm(after.entered - before.entered) == pytest.approx(k * math.sqrt(plan.settings.triples.count))


def test_the_columns_that_say_most_about_the_target_are_chosen():
    distances = {("a", "t"): 5.0, ("b", "t"): 1.0, ("c", "t"): 9.0, ("t", "z"): 4.0, ("a", "b"): 100.0}
    found = chosen_triples(distances, ("a", "b", "c", "t", "z"), "t", 3)
    assert found == (("a", "c", "t"), ("c", "t", "z"), ("a", "t", "z"))
