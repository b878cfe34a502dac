"""Autoregressive: the inherited checks, and what training adds."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.derive import derive
from dpsynth.tabular import SavedModel
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.tabular.conditions.given import Between
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.generator import GeneratorConformance, without_noise_kind
from tests.conformance.tables import MIXED, RECORD, mixed_table, schema


class TestAutoregressive(GeneratorConformance):
    """With fewer steps than by default: 200 fits of the audit take 100 s otherwise."""

    fits, seen = 60, 400

    def make(self):
        return Autoregressive(steps=40)


@pytest.mark.parametrize(
    ("network", "options"), [("made", {"width": 4}), ("transformer", {"width": 8, "layers": 1, "heads": 2})]
)
def test_a_fit_with_another_network_spends_its_plan_and_its_file_draws_the_same_rows(network, options):
    made = Autoregressive(network=network, options=options, steps=15)
    plan = made.plan(MIXED, RECORD, epsilon="3", delta="1e-6")
    noise = unsafe_SeededNoise(1)
    domains, spent = derive(mixed_table(600), MIXED, plan.settings.derive, noise=noise)
    model = made.fit(mixed_table(600), MIXED, domains, plan, noise=noise, spent=spent)
    assert without_noise_kind(model.events.events) == plan.tree.events
    saved = SavedModel(model=model, guarantee=plan.guarantee, schema_digest=MIXED.digest())
    again = from_bytes(to_bytes(saved)).model
    assert again.state.kind == network
    one, two = (of.sample(300, np.random.default_rng(2)) for of in (model, again))
    assert one.equals(two)


def test_a_device_that_is_not_there_is_refused_before_anything_is_planned(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="'cuda' was asked for"):
        Autoregressive(network="made", device="cuda").plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    with pytest.raises(ParameterError, match="trains on the CPU"):
        Autoregressive(device="cuda").plan(MIXED, RECORD, epsilon="1", delta="1e-6")


def linked(rows, seed=0):
    """b and c follow a; d is a number that follows b."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, rows)
    b = np.where(rng.random(rows) < 0.9, a, rng.integers(0, 3, rows))
    c = np.where(rng.random(rows) < 0.8, a, rng.integers(0, 3, rows))
    d = np.clip(20 * b + rng.integers(0, 25, rows), 0, 80)
    columns = {"a": a, "b": b, "c": c, "d": d, "person": np.arange(rows) // 2}
    return Table.from_arrow(pa.table({name: pa.array(cells, pa.int64()) for name, cells in columns.items()}))


LINKED = schema(
    **{name: {"kind": "categorical", "values": [0, 1, 2]} for name in "abc"},
    d={"kind": "integer", "min": 0, "max": 80},
    person={"kind": "integer", "role": "unit"},
)
PAIRS_OF_ROWS = PrivacyUnit(kind="user", column="person", max_records=2)


def fitted(table, *, unit=RECORD, epsilon="4", canaries=0, **settings):
    made = Autoregressive(**({"steps": 200} | settings))
    plan = made.plan(LINKED, unit, epsilon=epsilon, delta="1e-6")
    return fit_model(table, LINKED, made, plan, noise=SystemNoise(), canaries=canaries)


def distance(table, rows, pair):
    """Total variation over a pair, numbers in four equal parts."""
    ends = {name: (-0.5, 80.5, 4) if name == "d" else (-0.5, 2.5, 3) for name in pair}
    bins = [np.linspace(*ends[name][:2], ends[name][2] + 1) for name in pair]
    made = [np.histogram2d(*(np.array(of.column(name)) for name in pair), bins=bins)[0] for of in (table, rows)]
    return 0.5 * np.abs(made[0] / made[0].sum() - made[1] / made[1].sum()).sum()


@pytest.mark.parametrize("unit", [RECORD, PAIRS_OF_ROWS], ids=["record", "user"])
def test_dependence_is_learned(unit):
    table = linked(6000)
    model = fitted(table, unit=unit).model
    rows = model.sample(6000, np.random.default_rng(0))
    assert "person" not in rows.column_names
    for pair in (("a", "b"), ("b", "c"), ("b", "d")):
        assert distance(table.to_arrow(), rows, pair) < 0.15  # independent columns: 0.4 to 0.6


def test_canaries_of_a_user_level_fit_are_units_of_their_own():
    done = fitted(linked(2000), unit=PAIRS_OF_ROWS, canaries=40, steps=20)
    assert done.canaries.planted > 0 and done.model.rows > 0


def test_without_the_unit_column_nothing_is_measured():
    made = Autoregressive(steps=20)
    plan = made.plan(LINKED, PAIRS_OF_ROWS, epsilon="4", delta="1e-6")
    table, noise = linked(50).select(["a", "b", "c", "d"]), unsafe_SeededNoise(1)
    domains, _ = derive(table, LINKED, None, noise=noise)
    with pytest.raises(SchemaError, match="unit column 'person' is not in the table"):
        made.fit(table, LINKED, domains, plan, noise=noise)


def test_a_condition_on_the_last_column_is_met_by_the_models_own_law():
    model = fitted(linked(6000)).model
    rows = model.sample(4000, np.random.default_rng(0), given={"d": Between(45, 60)})
    free = model.sample(40_000, np.random.default_rng(1))
    d = np.array(free.column("d"))
    own = np.array(free.column("b"))[(d >= 45) & (d <= 60)]
    assert all(45 <= value <= 60 for value in rows.column("d").to_pylist())
    assert abs(np.mean(np.array(rows.column("b")) == 2) - np.mean(own == 2)) < 0.03


def test_what_the_model_says_holds_no_loss_no_norm_and_no_share_of_clipped_units():
    heard = []
    made = Autoregressive(steps=20)
    plan = made.plan(LINKED, RECORD, epsilon="4", delta="1e-6")
    noise, table = unsafe_SeededNoise(3), linked(500)
    domains, _ = derive(table, LINKED, None, noise=noise)
    model = made.fit(table, LINKED, domains, plan, noise=noise, progress=lambda *said: heard.append(said))
    names = {item.name for item in fields(model)} | {item.name for item in fields(model.state)}
    assert not re.search("loss|norm|clip|batch", json.dumps(model.describe()) + " ".join(sorted(names)))
    trained = [said for said in heard if said[0] == "train"]
    assert trained == [("train", step, 20) for step in range(1, 21)]
