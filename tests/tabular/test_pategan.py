"""PATE-GAN: the inherited checks, and every known fault of earlier implementations, each a test named after it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import torch

import dpsynth.sgd.torch_present as torch_module
import dpsynth.tabular.gan.voting as voting_module
import dpsynth.tabular.pategan as pategan_module
from accounting.event import DiscreteGaussian
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError, SchemaError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.derive import derive
from dpsynth.tabular.gan.encoding import Layout
from dpsynth.tabular.gan.residual_generator import ResidualGenerator
from dpsynth.tabular.gan.teachers import Teachers, assigned
from dpsynth.tabular.gan.voting import believed, weights_of
from dpsynth.tabular.pategan import PACE, PATEGAN
from tests.conformance.generator import GeneratorConformance, with_units
from tests.conformance.tables import MIXED, RECORD, USER, mixed_table, schema

SIZES = (3, 2, 4)
LAYOUT = Layout(SIZES)
QUICK = replace(PACE, rounds=2, own=2, teacher_steps=2, student_steps=2, generator_steps=2)
TINY = PATEGAN(pace=QUICK, asked=41, teacher_hidden=2, noise_width=2, generator_layers=(4,))
LEARNING = replace(
    TINY,
    asked=1000,
    teacher_hidden=8,
    generator_layers=(16,),
    pace=replace(PACE, rounds=2, teacher_steps=30, student_steps=100, generator_steps=150),
)
BITS = schema(a={"kind": "categorical", "values": [0, 1]}, b={"kind": "categorical", "values": [0, 1]})


@pytest.fixture(autouse=True)
def _little_raking(monkeypatch):
    """Less time: eight thousand noise vectors are for tables of fifteen columns."""
    monkeypatch.setattr(pategan_module, "RAKED_FROM", 500)
    monkeypatch.setattr(voting_module, "POOL", 256)


class TestPATEGAN(GeneratorConformance):
    """With few rounds of small networks: what is inherited is about events, types and refusals."""

    fits, seen = 50, 400

    def make(self):
        return TINY


def fitted(table, of=MIXED, *, made=TINY, unit=RECORD, seed=1, epsilon="4"):
    plan = made.plan(of, unit, epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    return plan, made.fit(table, of, domains, plan, noise=noise, spent=spent)


def bits(crossed: bool, rows: int = 100) -> Table:
    return Table.from_arrow(
        pa.table({"a": [0, 0, 1, 1] * rows, "b": ([0, 1, 0, 1] if crossed else [0, 0, 1, 1]) * rows})
    )


def rows_at_random(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(size, size=rows) for size in SIZES], axis=1).astype(np.uint8)


def one_hots(rows: int, seed: int) -> torch.Tensor:
    return LAYOUT.one_hot(torch.from_numpy(rows_at_random(rows, seed).astype(np.int64)))


def taught(codes, of_row, *, count=6, steps=40) -> Teachers:
    """Teachers after some steps; all that is not their rows is the same at every call."""
    made = Teachers(
        codes, of_row, count=count, layout=LAYOUT, hidden=4, rate=0.05, steps=steps, rng=np.random.default_rng(7)
    )
    for step in range(steps):
        made.learn(one_hots(16, step), 4)
    return made


class Words:
    """A noise source whose words are known."""

    kind = "seeded"

    def __init__(self, words: np.ndarray) -> None:
        self.words = words

    def uint64(self, n: int) -> np.ndarray:
        assert n == len(self.words)
        return self.words


# --- one unit, one teacher, one vote --------------------------------------------------------------------------------


def world() -> tuple[np.ndarray, np.ndarray]:
    return rows_at_random(120, 0), np.random.default_rng(1).integers(6, size=120)


@pytest.mark.parametrize("own", [1, 60], ids=["one row", "sixty rows"])
def test_a_unit_changes_one_teacher_and_each_count_by_at_most_one(own):
    """Whatever the number of its rows, and wherever they stand; the others' weights stay the same to the last bit."""
    codes, of_row = world()
    place = np.sort(np.random.default_rng(2).integers(len(codes), size=own))
    more = np.insert(codes, place, np.array([2, 1, 3], dtype=np.uint8), axis=0)
    without, with_it = taught(codes, of_row), taught(more, np.insert(of_row, place, 4))
    for name, weights in without.weights.items():
        same = np.array([np.array_equal(one, other) for one, other in zip(weights, with_it.weights[name], strict=True)])
        assert same[[0, 1, 2, 3, 5]].all() and not same[4]
    asked = one_hots(400, 99)
    change = np.abs(without.votes(asked) - with_it.votes(asked))
    assert change.max() <= 1 and (own == 1 or change.max() == 1)


def test_a_batch_of_all_teachers_is_each_teacher_by_itself():
    codes, of_row = world()
    together, asked = taught(codes, of_row), one_hots(300, 98)
    alone = [taught(codes[of_row == at], np.full((of_row == at).sum(), at)).votes(asked) for at in range(6)]
    assert np.array_equal(together.votes(asked), np.sum(alone, axis=0))


def test_a_teacher_without_rows_votes_all_the_same_and_looks_at_nobody():
    codes, of_row = world()
    kept = of_row != 3
    first, again = taught(codes[kept], of_row[kept]), taught(codes[kept][::-1] * 0, of_row[kept])
    assert all(np.array_equal(first.weights[name][3], again.weights[name][3]) for name in first.weights)
    empty = taught(codes[:0], of_row[:0])
    assert np.array_equal(empty.votes(one_hots(50, 3)), np.zeros(50))


def test_assignment_is_uniform():
    counts = np.bincount(assigned(100_000, 16, unsafe_SeededNoise(1)), minlength=16)
    assert ((counts - 6250) ** 2 / 6250).sum() < 60.0  # chi-square with 15 degrees of freedom: 3e-7
    assert len(counts) == 16


# --- faults of earlier implementations ------------------------------------------------------------------------------


def test_fault_teachers_cut_by_row_order():
    """Slices of the table move many rows when one is added in front; a word for each unit moves none."""
    words = np.random.default_rng(0).integers(0, 2**64, size=1000, dtype=np.uint64)
    before = assigned(1000, 10, Words(words))
    after = assigned(1001, 10, Words(np.insert(words, 0, np.uint64(5))))
    assert np.array_equal(after[1:], before)
    slices = [
        np.concatenate([np.full(len(part), at) for at, part in enumerate(np.array_split(np.arange(rows), 10))])
        for rows in (1009, 1010)
    ]
    assert (slices[1][1:] != slices[0]).sum() >= 5


def test_fault_teachers_cut_by_row_and_not_by_unit(monkeypatch):
    """All rows of a unit go to one teacher, however scattered; through the pipeline, which keeps the column."""
    seen = []
    real = pategan_module.Teachers

    def spy(codes, of_row, **options):
        seen.append(of_row)
        return real(codes, of_row, **options)

    monkeypatch.setattr(pategan_module, "Teachers", spy)
    table = with_units(mixed_table(300), USER).take(np.random.default_rng(0).permutation(300))
    plan = TINY.plan(MIXED, USER, epsilon="4", delta="1e-6")
    fit_model(table, MIXED, TINY, replace_noise(plan), noise=unsafe_SeededNoise(1))
    people = np.array(table.to_arrow().column("person"))
    teachers_of = {name: set(seen[0][people == name]) for name in set(people)}
    assert all(len(own) == 1 for own in teachers_of.values()) and len(set.union(*teachers_of.values())) > 5


def replace_noise(plan):
    """The plan as seeded noise will mark it, for the pipeline's comparison."""
    events = tuple(replace(event, noise="seeded") for event in plan.tree.events)
    return replace(plan, tree=replace(plan.tree, events=events))


def test_fault_votes_that_nobody_counts(monkeypatch):
    """Every row that teachers vote on gets noise once and is in the event, in every round."""
    counted, noised = [], []
    votes, mechanism = Teachers.votes, voting_module.discrete_gaussian
    monkeypatch.setattr(Teachers, "votes", lambda self, rows: counted.append(votes(self, rows)) or counted[-1])

    def spy(values, **options):
        noised.append((values, options["sigma"], options["l2_sensitivity"], options["count"]))
        return mechanism(values, **options)

    monkeypatch.setattr(voting_module, "discrete_gaussian", spy)
    plan, model = fitted(mixed_table(100))
    event = model.events.events[-1]
    assert len(counted) == len(noised) == QUICK.rounds
    assert all(one is values for one, (values, *_) in zip(counted, noised, strict=True))
    assert event.count == sum(map(len, counted)) == TINY.asked
    assert {facts[1:3] for facts in noised} == {(event.sigma, 1)}
    assert all(len(values) == count for values, _, _, count in noised)
    assert replace(event, noise="exact") == plan.settings.votes.event()


def test_fault_student_that_sees_private_rows(monkeypatch):
    """With all counts of votes at zero two tables of equal 1-ways give the same model: no other way leads to rows."""
    same, crossed = (fitted(bits(crossed), BITS, made=LEARNING, epsilon="300")[1].law for crossed in (False, True))
    assert not all(np.array_equal(same.arrays[name], crossed.arrays[name]) for name in same.arrays)
    monkeypatch.setattr(Teachers, "votes", lambda self, rows: np.zeros(len(rows), dtype=np.int64))
    same, crossed = (fitted(bits(crossed), BITS, made=LEARNING, epsilon="300")[1].law for crossed in (False, True))
    assert all(np.array_equal(same.arrays[name], crossed.arrays[name]) for name in same.arrays)


def test_fault_student_is_told_of_exact_votes(monkeypatch):
    """What it learns, and what decides how far it is believed, are rows that were asked and their noisy counts."""
    asked, released, told, checked = [], [], [], []
    votes, mechanism, learn, belief = (
        Teachers.votes,
        voting_module.discrete_gaussian,
        voting_module.Student.learn,
        voting_module.believed,
    )

    def noised(values, **options):
        released.append(mechanism(values, **options)[0])
        return released[-1], mechanism(values * 0, **options)[1]

    monkeypatch.setattr(Teachers, "votes", lambda self, rows: asked.append((rows, self.count)) or votes(self, rows))
    monkeypatch.setattr(voting_module, "discrete_gaussian", noised)
    monkeypatch.setattr(voting_module.Student, "learn", lambda *own: told.append(own[1:3]) or learn(*own))
    monkeypatch.setattr(voting_module, "believed", lambda *own: checked.append(own[1]) or belief(*own))
    fitted(mixed_table(100))
    for (rows, count), noisy, (few, shares), others in zip(asked, released, told, checked, strict=True):
        assert torch.equal(few, rows[: len(few)]) and 0 < len(few) < len(rows)
        assert np.array_equal(np.concatenate([shares, others]), noisy / count)


def test_fault_scaling_read_from_the_private_table(monkeypatch):
    """Codes are those of the noisy 1-ways: rows are read once, by the model's own codecs, which the noise decides."""
    codecs = []
    real = Table.codes
    monkeypatch.setattr(Table, "codes", lambda self, own, unit=None: codecs.append(own) or real(self, own, unit))
    first, again = (fitted(mixed_table(300), seed=seed)[1] for seed in (1, 2))
    assert len(codecs) == 2 and all(codecs[0][name] is first.binnings[name] for name in first.domains)
    assert not np.array_equal(first.law.shares[:4], again.law.shares[:4])


def test_fault_replace_one_sensitivity_in_an_add_remove_proof():
    """Replacing a unit may change two teachers, a count by 2: the price of sensitivity 1 is for add/remove alone."""
    codes, of_row = world()
    plan = TINY.plan(MIXED, USER, epsilon="4", delta="1e-6")
    assert plan.tree.relation is NeighboringRelation.ADD_REMOVE
    assert plan.settings.votes.event() == DiscreteGaussian(
        sigma=plan.settings.votes.sigma, l2_sensitivity=Decimal(1), count=TINY.asked
    )
    asked = one_hots(2000, 99)
    one = np.insert(codes, [0] * 60, np.array([2, 1, 3], dtype=np.uint8), axis=0)
    places = [taught(one, np.insert(of_row, [0] * 60, at)).votes(asked) for at in (4, 5)]
    alone = taught(codes, of_row).votes(asked)
    assert all(np.abs(place - alone).max() == 1 for place in places)
    assert np.abs(places[0] - places[1]).max() <= 2


@pytest.mark.parametrize("votes", ["unanimous", "split"])
def test_fault_moments_bound_that_depends_on_the_votes(monkeypatch, votes):
    """The price is the plan's, whether teachers agree or not; nothing on the way to it has seen a vote."""

    def cast(self, rows):
        return np.full(len(rows), self.count if votes == "unanimous" else self.count // 2, dtype=np.int64)

    monkeypatch.setattr(Teachers, "votes", cast)
    plan, model = fitted(mixed_table(100))
    assert tuple(replace(event, noise="exact") for event in model.events.events) == plan.tree.events


# --- what is free ---------------------------------------------------------------------------------------------------


def test_a_student_of_noise_is_not_believed_and_one_of_votes_is():
    rng = np.random.default_rng(0)
    judged = rng.normal(size=2000).astype(np.float32)
    assert believed(judged, judged + rng.normal(size=2000)) > 0.9
    assert np.mean([believed(judged, rng.normal(size=2000)) for _ in range(200)]) < 0.01
    assert believed(judged * 0, judged.astype(float)) == believed(judged[:2], judged[:2].astype(float)) == 0.0


def test_weighed_rows_keep_the_released_shares():
    rows, shares = one_hots(4000, 0).numpy(), np.array([0.5, 0.3, 0.2, 0.6, 0.4, 0.1, 0.2, 0.3, 0.4])
    weights = weights_of(rows, rows @ np.arange(9.0) / 4, LAYOUT, shares)
    assert np.abs(weights @ rows / weights.sum() - shares).max() < 0.01
    apart = weights_of(rows, 2.0 * rows[:, 0] * rows[:, 3], LAYOUT, shares)
    both = float(apart @ (rows[:, 0] * rows[:, 3]) / apart.sum())
    assert both > 0.5 * 0.6 + 0.05


def test_a_generator_starts_as_the_law_that_its_arrays_say():
    shares = np.concatenate([np.full(size, 1 / size) for size in SIZES]).astype(np.float32)
    made = ResidualGenerator(3, (5, 4), np.log(shares), np.random.default_rng(0))
    law = pategan_module.LatentRows(
        sizes=SIZES,
        noise=3,
        conditional=False,
        shares=shares.astype(np.float64),
        factors=np.ones(9),
        arrays=made.arrays,
    )
    x = np.random.default_rng(5).standard_normal((20, 3), dtype=np.float32)
    with torch.no_grad():
        parts = torch.split(made(torch.from_numpy(x)), list(SIZES), dim=1)
    expected = torch.cat([torch.softmax(own, dim=1) for own in parts], dim=1).numpy()
    assert np.allclose(law.laws(20, np.random.default_rng(5)), expected, atol=1e-5)


def test_dependence_is_learned_where_noise_is_small_and_not_invented_where_it_is_large():
    """By how much more often the columns agree than they would by themselves; in the table, 0.5."""

    def more(epsilon: str) -> float:
        rows = fitted(bits(False, 300), BITS, made=LEARNING, epsilon=epsilon)[1].all_codes(
            4000, np.random.default_rng(0)
        )
        a, b = (float(np.mean(rows[name])) for name in "ab")
        return float(np.mean(rows["a"] == rows["b"])) - a * b - (1 - a) * (1 - b)

    assert more("300") > 0.25
    assert abs(more("0.05")) < 0.1


# --- refusals, imports ----------------------------------------------------------------------------------------------


def test_a_unit_column_that_is_not_there_is_refused():
    with pytest.raises(SchemaError, match="unit column 'person' is not in the table"):
        fitted(mixed_table(20), unit=USER)


def test_missing_pytorch_is_refused_before_anything_is_spent(monkeypatch):
    monkeypatch.setattr(torch_module, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="needs PyTorch, which is not installed"):
        TINY.plan(MIXED, PrivacyUnit(), epsilon="1", delta="1e-6")


def test_parameters_that_left_the_finite_numbers_are_no_model():
    with pytest.raises(ModelError, match="left the finite numbers"):
        fitted(mixed_table(50), made=replace(TINY, pace=replace(QUICK, rates=(1e-3, float("inf")))))


def test_one_column_needs_no_teachers():
    of = schema(sex={"kind": "categorical", "values": ["f", "m"]})
    plan, model = fitted(Table.from_arrow(pa.table({"sex": ["f", "m"] * 50})), of)
    assert plan.settings.votes is None and not plan.settings.reads_rows and model.rows > 0


def test_nothing_heavy_is_imported_before_a_fit():
    probe = (
        "import sys, dpsynth.tabular.pategan\n"
        "print([name for name in ('ctgan', 'torch', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout == "[]\n"
