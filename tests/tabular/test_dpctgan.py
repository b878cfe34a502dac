"""DP-CTGAN: the inherited checks, and every known fault of earlier private CTGANs, each a test named after it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import dpsynth.tabular.dpctgan as dpctgan_module
import dpsynth.tabular.gan.adversarial as adversarial_module
import dpsynth.tabular.gan.ctgan_networks as networks_module
from accounting.event import PoissonSampled
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError, SchemaError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.sgd.training import Units
from dpsynth.tabular.dpctgan import DPCTGAN
from dpsynth.tabular.gan.critic import Critic
from dpsynth.tabular.gan.ctgan_networks import ctgan_networks, folded
from dpsynth.tabular.gan.encoding import Layout, drawn_conditions
from dpsynth.tabular.gan.latent_rows import LatentRows
from dpsynth.tabular.saved.saving import SavedModel, from_bytes, to_bytes
from tests.conformance.generator import GeneratorConformance
from tests.conformance.tables import MIXED, USER, mixed_table, schema
from tests.sgd.record_by_record import errors, leaks

SIZES = (3, 2, 4)
TINY = DPCTGAN(steps=4, probability=Decimal("0.5"), noise_width=4, generator_layers=(8,), critic_layers=(8,))


PLANS: dict[object, object] = {}


@pytest.fixture(autouse=True)
def _plans_made_once(monkeypatch):
    """Pricing subsampled steps takes a second a plan; a plan is a function of public facts."""
    real = dpctgan_module.trained_plan

    def remembered(name, of, unit, **options):
        key = (of.digest(), unit, tuple((k, str(v)) for k, v in sorted(options.items())))
        if key not in PLANS:
            PLANS[key] = real(name, of, unit, **options)
        return PLANS[key]

    monkeypatch.setattr(dpctgan_module, "trained_plan", remembered)


@pytest.fixture(autouse=True)
def _little_raking(monkeypatch):
    """Less time: eight thousand noise vectors are for tables of fifteen columns."""
    monkeypatch.setattr(dpctgan_module, "RAKED_FROM", 500)


class TestDPCTGAN(GeneratorConformance):
    """With few steps of small networks: what is inherited is about events, types and refusals."""

    fits, seen = 50, 400

    def make(self):
        return TINY


def critic(seed: int = 0, *, dropout: bool = False) -> Critic:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, module = ctgan_networks(4, sum(SIZES), (8,), (16, 16))
    made = Critic(module, Layout(SIZES))
    for layer in module.seq if not dropout else ():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    return made


class Fixed:
    """A critic whose rows all have the condition of their first column, so that two passes see the same."""

    def __init__(self, made: Critic) -> None:
        self.made, layout = made, made._layout
        layout.own_condition = lambda codes: layout.one_hot(codes) * (torch.arange(layout.width) < SIZES[0])
        self.parameters, self.live = made.parameters, made.live
        self.clipped_sum = made.clipped_sum

    def loss(self, rows):
        x = torch.cat([self.made._layout.one_hot(rows), self.made._layout.own_condition(rows)], dim=1)
        names = list(self.parameters)
        for layer in self.made._chain:
            if isinstance(layer, torch.nn.Linear):
                x = torch.nn.functional.linear(x, self.parameters[names.pop(0)], self.parameters[names.pop(0)])
            else:
                x = layer(x)
        return torch.nn.functional.softplus(-x[:, 0])


def codes(rows: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([rng.integers(size, size=rows) for size in SIZES], axis=1))


def fitted(table, of=MIXED, *, made=TINY, unit=PrivacyUnit(), seed=1, noise=None):  # noqa: B008 - frozen
    plan = made.plan(of, unit, epsilon="4", delta="1e-6")
    noise = noise or unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    return plan, made.fit(table, of, domains, plan, noise=noise, spent=spent)


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [None, [0, 0, 0, 1, 2, 2, 3, 4, 4, 4], [0] * 10], ids=["rows", "units", "one unit"])
@pytest.mark.parametrize("clip", [0.1, 100.0])
def test_clipped_sums_are_those_of_a_loop_over_records(units, clip):
    made = Fixed(critic())
    of_norms, of_sums, _ = errors(made, made, codes(10).numpy(), None if units is None else np.array(units), clip)
    assert of_norms < 1e-5 and of_sums < 1e-6


def test_no_row_changes_what_another_adds():
    assert not leaks(Fixed(critic()), codes(12).numpy(), 0.5)


def test_no_unit_adds_more_than_the_clip_whatever_the_dropout():
    made, rows = critic(dropout=True), codes(6)
    with torch.no_grad():
        made.parameters["seq.0.weight"].mul_(1000.0)
    for row in rows.split(1):
        summed, _ = made.clipped_sum(row, None, 0.5)
        assert torch.sqrt(sum((part.double() ** 2).sum() for part in summed.values())) <= 0.5


def test_a_gradient_that_is_not_a_number_adds_nothing():
    made = critic()
    with torch.no_grad():
        made.parameters["seq.0.weight"][:, 0] = float("nan")
    summed, _ = made.clipped_sum(torch.tensor([[0, 1, 1]]), None, 1.0)
    assert all(bool((part == 0).all()) for part in summed.values())


# --- faults of earlier implementations ------------------------------------------------------------------------------


def test_fault_batch_norm_in_the_discriminator_is_refused():
    module = torch.nn.Module()
    module.seq = torch.nn.Sequential(torch.nn.Linear(18, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    with pytest.raises(ParameterError, match="cannot hold BatchNorm1d: it mixes rows"):
        Critic(module, Layout(SIZES))


def test_fault_groups_of_rows_are_refused():
    from ctgan.synthesizers.ctgan import Discriminator

    with pytest.raises(ParameterError, match="Expected pac = 1"):
        Critic(Discriminator(18, (4,), pac=2), Layout(SIZES))


def test_fault_uncounted_discriminator_steps():
    """Every look at private rows is one Poisson draw, and the event counts them; an empty sample is a step."""
    drawn, summed = [], []
    sampler, total = adversarial_module.PoissonSampler.draw, adversarial_module.training.clipped_total
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adversarial_module.PoissonSampler, "draw", lambda self: drawn.append(sampler(self)) or drawn[-1])
        patch.setattr(adversarial_module.training, "clipped_total", lambda *p: summed.append(p[2]) or total(*p))
        _, model = fitted(mixed_table(1))
    (event,) = [event for event in model.events.events if isinstance(event, PoissonSampled)]
    assert event.count == len(drawn) == len(summed) == 4
    assert all(one is other for one, other in zip(drawn, summed, strict=True)) and min(map(len, drawn)) == 0


def test_fault_private_rows_reach_nothing_but_clipped_sums(monkeypatch):
    """With the clipped sums put to zero two tables of equal 1-ways give the same model: no other way leads to rows."""

    def nothing(network, units, drawn, clip):
        return {name: np.zeros(tensor.shape) for name, tensor in network.parameters.items()}

    monkeypatch.setattr(adversarial_module.training, "clipped_total", nothing)
    values = {"kind": "categorical", "values": [0, 1]}
    of = schema(a=values, b=values)
    same, crossed = (
        fitted(Table.from_arrow(pa.table({"a": [0, 0, 1, 1] * 50, "b": b * 50})), of)[1].law
        for b in ([0, 0, 1, 1], [0, 1, 0, 1])
    )
    assert all(np.array_equal(same.arrays[name], crossed.arrays[name]) for name in same.arrays)


def test_fault_modes_and_conditions_come_from_paid_counts_alone(monkeypatch):
    """Codes and condition vectors are functions of noisy 1-ways: other noise, other shares; and rows are read once,
    as codes, after the 1-ways."""
    asked = []
    real = Table.codes
    monkeypatch.setattr(
        Table, "codes", lambda self, codecs, unit=None: asked.append(codecs) or real(self, codecs, unit)
    )
    table = mixed_table(300)
    first, again = fitted(table, seed=1)[1], fitted(table, seed=2)[1]
    assert len(asked) == 2 and all(asked[0][name] is first.binnings[name] for name in first.domains)
    assert not np.array_equal(first.law.shares[:4], again.law.shares[:4])


def test_fault_training_by_sampling_does_not_pick_private_rows_by_frequency(monkeypatch):
    """A step's rows are the Poisson sample, each once; a condition is the row's own cell in an evenly drawn column."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        rows = codes(1).repeat(30_000, 1)
        conditions = Layout(SIZES).own_condition(rows)
    assert bool((conditions.sum(1) == 1).all()) and bool((conditions <= Layout(SIZES).one_hot(rows)).all())
    shares = conditions.sum(0)[conditions.sum(0) > 0] / 30_000
    assert len(shares) == 3 and bool(((shares - 1 / 3).abs() < 5 * (2 / 9 / 30_000) ** 0.5).all())
    seen = []
    real = Critic.clipped_sum
    monkeypatch.setattr(Critic, "clipped_sum", lambda self, own, *rest: seen.append(own) or real(self, own, *rest))
    private = np.arange(40)[:, None] % np.array(SIZES)
    units = Units.of(private.astype(np.uint8))
    adversarial_module.training.clipped_total(critic(), units, np.array([3, 8, 21]), 1.0)
    assert np.array_equal(np.concatenate(seen), private[[3, 8, 21]])


def test_fault_gradient_penalty_between_private_and_generated_rows_is_not_used():
    from ctgan.synthesizers.ctgan import Discriminator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Discriminator, "calc_gradient_penalty", lambda *_, **__: pytest.fail("a penalty was asked for"))
        fitted(mixed_table(50))


def test_fault_no_private_loss_is_looked_at(monkeypatch):
    """Norms and losses of private rows are made inside a clipped sum and dropped: no stopping, no best epoch."""
    heard = []
    table = mixed_table(200)
    plan = TINY.plan(MIXED, PrivacyUnit(), epsilon="4", delta="1e-6")
    noise = unsafe_SeededNoise(1)
    domains, _ = derive(table, MIXED, None, noise=noise)
    TINY.fit(
        table, MIXED, domains, plan, noise=noise,
        progress=lambda name, done, total, detail="": heard.append((name, done, total, detail)),
    )  # fmt: skip
    assert [entry for entry in heard if entry[0] == "train"] == [("train", at, 4, "") for at in range(1, 5)]


# --- units, refusals, imports ---------------------------------------------------------------------------------------


def test_rows_of_one_unit_are_clipped_together():
    rows = codes(1).repeat(200, 1)
    together, _ = Fixed(critic()).clipped_sum(rows, torch.zeros(200, dtype=torch.long), 0.5)
    apart, _ = Fixed(critic()).clipped_sum(rows, None, 0.5)
    size = [float(torch.sqrt(sum((part**2).sum() for part in made.values()))) for made in (together, apart)]
    assert size[0] <= 0.5 < size[1]


def test_a_unit_column_that_is_not_there_is_refused():
    with pytest.raises(SchemaError, match="unit column 'person' is not in the table"):
        fitted(mixed_table(20), unit=USER)


def test_a_missing_extra_is_refused_before_anything_is_spent(monkeypatch):
    monkeypatch.setattr(networks_module, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"not installed.*pip install 'dpsynth-release\[baselines\]'"):
        TINY.plan(MIXED, PrivacyUnit(), epsilon="1", delta="1e-6")


def test_ctgan_is_imported_by_one_file_and_only_when_a_network_is_made():
    package = Path(networks_module.__file__).parents[2]
    hits = [path.name for path in package.rglob("*.py") if "ctgan.synthesizers" in path.read_text()]
    assert "ctgan_networks.py" in hits and set(hits) <= {"ctgan_networks.py", "sdv_ctgan.py", "ctgan.py"}
    probe = (
        "import sys, dpsynth.tabular.dpctgan, dpsynth.tabular.gan.latent_model\n"
        "print([name for name in ('ctgan', 'torch', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout == "[]\n"


def test_parameters_that_left_the_finite_numbers_are_no_model():
    with pytest.raises(ModelError, match="left the finite numbers"):
        fitted(mixed_table(50), made=replace(TINY, rates=(1e38, 1e38)), noise=SystemNoise())


# --- the law --------------------------------------------------------------------------------------------------------


def test_folded_arrays_give_what_the_network_gives():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, _ = ctgan_networks(4, 9, (8, 6), (8,))
        for _ in range(5):
            generator(torch.randn(50, 13))
    generator.eval()
    shares = np.concatenate([np.full(size, 1 / size) for size in SIZES])
    law = LatentRows(
        sizes=SIZES, noise=4, conditional=True, shares=shares, factors=np.ones(9), arrays=folded(generator)
    )
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((20, 4), dtype=np.float32)
    x = np.concatenate([noise, drawn_conditions(Layout(SIZES), shares, 20, rng)], axis=1)
    with torch.no_grad():
        logits = torch.split(generator(torch.from_numpy(x)), list(SIZES), dim=1)
    expected = torch.cat([torch.softmax(own, dim=1) for own in logits], dim=1).numpy()
    assert np.allclose(law.laws(20, np.random.default_rng(5)), expected, atol=1e-5)


def mixture(seed: int = 0) -> LatentRows:
    """A law with strong dependence: large weights on a two-dimensional z."""
    rng = np.random.default_rng(seed)
    arrays = {"weight0": rng.normal(0, 2, (2, 9)).astype(np.float32), "bias0": np.zeros(9, dtype=np.float32)}
    shares = np.concatenate([rng.dirichlet(np.full(size, 3.0)) for size in SIZES])
    return LatentRows(sizes=SIZES, noise=2, conditional=False, shares=shares, factors=np.ones(9), arrays=arrays)


def table_of(rows: np.ndarray) -> np.ndarray:
    return np.bincount(rows @ np.array([8, 4, 1]), minlength=24) / len(rows)


def test_raking_leads_the_law_to_the_released_shares():
    law = mixture().raked(20_000, np.random.default_rng(0))
    rows = law.draw(40_000, law.factors, 80_000, np.random.default_rng(1))
    made = np.concatenate([np.bincount(rows[:, at], minlength=size) / 40_000 for at, size in enumerate(SIZES)])
    unraked = mixture().laws(20_000, np.random.default_rng(0)).mean(0)
    assert np.abs(made - law.shares).max() < 0.015 < np.abs(unraked - law.shares).max()


def test_a_condition_gives_the_law_s_own_conditional():
    """Against rejection: rows of the free law that meet it. Independent columns would be 0.1 or more off."""
    law = mixture()
    free = law.draw(200_000, law.factors, 200_000, np.random.default_rng(1))
    expected = table_of(free[free[:, 0] == 1])
    asked = law.factors.copy()
    asked[[0, 2]] = 0.0
    rows = law.draw(50_000, asked, 100_000, np.random.default_rng(2))
    assert set(rows[:, 0]) == {1}
    assert 0.5 * np.abs(table_of(rows) - expected).sum() < 0.02
    apart = np.ones(1)
    for at, size in enumerate(SIZES):
        apart = np.outer(apart, np.bincount(rows[:, at] if not at else free[:, at], minlength=size)).ravel()
    assert 0.5 * np.abs(apart / apart.sum() - expected).sum() > 0.1


@pytest.mark.parametrize("part", ["weight0", "bias1", "factors"])
def test_a_saved_model_with_arrays_that_do_not_fit_is_refused(part):
    plan, model = fitted(mixed_table(50))
    if part == "factors":
        law = replace(model.law, factors=model.law.factors * 0)
    else:
        law = model.law
        law.arrays[part] = law.arrays[part][..., 1:]
    raw = to_bytes(SavedModel(model=replace(model, law=law), guarantee=plan.guarantee, schema_digest=MIXED.digest()))
    with pytest.raises(ModelError, match=r"do not fit its columns|impossible factors|cannot be used"):
        from_bytes(raw)
