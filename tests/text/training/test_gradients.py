"""Norms and clipped sums of language models against a loop of autograd; models and losses that mix rows are refused."""

from __future__ import annotations

import copy
from functools import lru_cache

import numpy as np
import pytest
import torch
import transformers

from dpsynth.core.errors import ParameterError
from dpsynth.sgd import module_layers
from dpsynth.sgd.clipping import MARGIN
from dpsynth.sgd.opacus_network import OpacusNetwork
from dpsynth.sgd.taped_module import TapedModule
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.causal_network import engine_for, made_up
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.trainable import trainable
from tests.conformance.network import NetworkConformance
from tests.text.small_models import FAMILIES, network

SIZE, LENGTH, CPU = 61, 12, torch.device("cpu")
LAYOUT = Layout(length=LENGTH, vocabulary=SIZE, end=2)
UNITS = torch.tensor([0, 0, 1, 2, 2, 2, 2, 3, 4, 4])
PROMPTS = (np.array([1]), np.array([1, 5, 6, 7]))


def a_loss():
    return CausalLoss(PROMPTS, vocabulary=SIZE, end=2)


def some_rows(count, seed=0):
    rng = np.random.default_rng(seed)
    made = [LAYOUT.row(rng.integers(0, SIZE, rng.integers(0, LENGTH + 3)), at % 2) for at in range(count)]
    return torch.from_numpy(np.stack(made).astype(np.int64))


@lru_cache(maxsize=32)
def _module(family, method):
    base = network(family, vocabulary=SIZE, width=16, positions=32)
    with torch.no_grad():
        for parameter in base.parameters():  # scores in the tens lose digits in float32, whoever computes them
            parameter.mul_(0.5 if parameter.dim() > 1 else 1.0)
    made = trainable(base, method, rank=3, device=CPU)
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for name, parameter in made.named_parameters():  # neither zero nor one: every factor and shift takes part
            if "lora_B" in name or parameter.dim() == 1:
                parameter.add_(torch.from_numpy(rng.normal(0, 0.1, tuple(parameter.shape)).astype(np.float32)))
    return made


def module_of(family, method="full"):
    return copy.deepcopy(_module(family, method))


def loop(module, rows, units, clip):
    """Clipped sums and norms by autograd, one unit at a time, summed in float64."""
    module = copy.deepcopy(module)
    own = {name: p for name, p in module.named_parameters() if p.requires_grad}
    numbers = torch.arange(len(rows)) if units is None else units
    total, norms = {name: torch.zeros_like(p).double() for name, p in own.items()}, []
    for unit in range(int(numbers[-1]) + 1):
        found = torch.autograd.grad(a_loss()(module, rows[numbers == unit]).sum(), list(own.values()))
        norms.append(float(sum((part.double() ** 2).sum() for part in found)) ** 0.5)
        for name, part in zip(own, found, strict=True):
            total[name] += part * min(1.0, clip * (1 - MARGIN) / norms[-1])
    return total, torch.tensor(norms, dtype=torch.float64)


def errors(net, module, units, clip=0.5, rows=10):
    """Largest relative error of a norm, and of a sum for each unit's clip."""
    own = some_rows(rows)
    sums, norms = net.clipped_sum(own, units, clip)
    true, true_norms = loop(module, own, units, clip)
    assert set(sums) == set(true)
    of_sums = max(float((sums[name] - true[name]).abs().max()) for name in true) / (clip * len(true_norms))
    return float((norms / true_norms - 1).abs().max()), of_sums


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_norms_and_clipped_sums_are_those_of_a_loop_over_records_and_over_units(family, method):
    """GPT-2, Llama, Qwen3, three Gemmas, tied and untied: 1e-6 in float32, and exact where layers allow float64."""
    module = module_of(family, method)
    engine = engine_for(copy.deepcopy(module), a_loss(), LAYOUT)
    doubled = copy.deepcopy(module).double()
    exact = TapedModule(copy.deepcopy(doubled), a_loss(), example=made_up(LAYOUT, 2))
    assert engine.name == "book-keeping"
    assert max(errors(exact, doubled, None)) < 1e-8
    for units in (None, UNITS):
        assert max(errors(engine.network, module, units)) < 1e-6


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_hooks_of_opacus_find_the_same(family, method):
    module = module_of(family, method)
    engine = engine_for(copy.deepcopy(module), a_loss(), LAYOUT, engine="hooks")
    assert engine.name == "hooks"
    for units in (None, UNITS):
        assert max(errors(engine.network, module, units)) < 1e-6


class OnAModel(NetworkConformance):
    """Every check of networks on a language model; a row in a group of 700 is as it is alone."""

    family, method, engine = "gpt2", "full", "book-keeping"

    def make(self):
        return engine_for(module_of(self.family, self.method), a_loss(), LAYOUT, engine=self.engine).network

    def rows(self, count=20, seed=0):
        return some_rows(count, seed)


class TestTiedGpt2(OnAModel):
    pass


class TestLlamaByLora(OnAModel):
    family, method = "llama", "lora"


@pytest.mark.slow
class TestHooks(OnAModel):
    engine = "hooks"


def test_an_eos_only_record_has_a_gradient_and_padding_has_none():
    net = engine_for(module_of("gpt2"), a_loss(), LAYOUT).network
    empty = torch.from_numpy(LAYOUT.row(np.zeros(0, dtype=np.int64), 0).astype(np.int64))[None]
    summed, norms = net.clipped_sum(empty, None, 1e6)
    assert float(norms[0]) > 0
    assert int((summed["transformer.wpe.weight"].abs().sum(1) > 0).sum()) == 1


# --- mutants ---------------------------------------------------------------------------------------------------------


class TokenMean(CausalLoss):
    """Mean over the tokens of the batch: a record weighs its share of them, and depends on its neighbours."""

    def laid_out(self, rows):
        ids, targets, weights = super().laid_out(rows)
        own = (weights > 0).float()
        return ids, targets, own / own.sum() * len(rows)


class Packed(CausalLoss):
    """Two records in one sequence: the second one is read in the light of the first."""

    def __call__(self, module, rows):
        if len(rows) % 2:
            return super().__call__(module, rows)
        ids, targets, weights = self.laid_out(rows)
        ids, targets = ids.view(len(ids) // 2, -1), targets.view(len(targets) // 2, -1)
        logits = module(input_ids=ids, use_cache=False).logits
        each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return (each.view(weights.shape) * weights).sum(1)


@pytest.mark.parametrize("mutant", [TokenMean, Packed])
def test_fault_losses_that_mix_records_are_refused_by_both_engines(mutant):
    wrong = mutant(PROMPTS, vocabulary=SIZE, end=2)
    example = some_rows(4)
    with pytest.raises(ParameterError, match="depends on the rows beside it"):
        TapedModule(module_of("gpt2"), wrong, example=example)

    class Losses(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = module_of("gpt2")

        def forward(self, rows):
            return wrong(self.model, rows)

    with pytest.raises(ParameterError, match="depends on the rows beside it"):
        OpacusNetwork(Losses(), lambda losses, _: losses, example=example)


def test_fault_token_means_weigh_records_by_their_length():
    module, rows = module_of("llama"), some_rows(6)
    wrong = TokenMean(PROMPTS, vocabulary=SIZE, end=2)
    assert not torch.allclose(wrong(module, rows), a_loss()(module, rows), rtol=0.05)
    alone = torch.cat([wrong(module, row[None]) for row in rows])
    assert torch.allclose(alone, a_loss()(module, rows), rtol=1e-4)


def test_fault_the_cross_term_of_tied_embeddings_left_out_is_found(monkeypatch):
    """What ghost clipping computes for a tied model: two norms, not the norm of the sum."""
    real, module = torch.gather, module_of("gpt2")
    net = TapedModule(copy.deepcopy(module), a_loss(), example=made_up(LAYOUT, 2))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "gather", lambda *asked: torch.zeros_like(real(*asked)))
        assert errors(net, module, None)[0] > 1e-3
        with pytest.raises(ParameterError, match="norm in closed form"):
            TapedModule(copy.deepcopy(module), a_loss(), example=made_up(LAYOUT, 2))
        assert engine_for(copy.deepcopy(module), a_loss(), LAYOUT).name == "hooks"
    assert errors(net, module, None)[0] < 1e-6


@pytest.mark.parametrize("kind", ["Dense", "Scale", "Lookup", "Tied"])
def test_fault_a_wrong_sum_of_any_kind_of_layer_is_found(kind, monkeypatch):
    own = getattr(module_layers, kind)
    real = own.weighted_sum
    monkeypatch.setattr(
        own, "weighted_sum", lambda self, factors: {n: 1.1 * part for n, part in real(self, factors).items()}
    )
    with pytest.raises(ParameterError, match="is not its gradient"):
        TapedModule(module_of("gpt2"), a_loss(), example=made_up(LAYOUT, 2))


def test_a_unit_whose_gradient_is_no_number_adds_nothing():
    net = engine_for(module_of("llama"), a_loss(), LAYOUT).network
    rows = some_rows(8)
    with torch.no_grad():
        net.parameters["model.embed_tokens.weight"][int(rows[3, 1])] = float("nan")
    hit = (rows[:, 1:] == rows[3, 1]).any(1)
    summed, norms = net.clipped_sum(rows, None, 1.0)
    assert not norms[hit].isfinite().any() and all(part.isfinite().all() for part in summed.values())


def test_layers_without_a_closed_form_are_trained_by_hooks_or_refused():
    module = module_of("gpt2")
    head = module.lm_head
    module.lm_head = torch.nn.Sequential(torch.nn.PReLU(), torch.nn.Linear(16, SIZE, bias=False))
    made = engine_for(copy.deepcopy(module), a_loss(), LAYOUT)
    assert made.name == "hooks" and "PReLU" in str(made.reason)
    with pytest.raises(ParameterError, match="no closed form here"):
        engine_for(module, a_loss(), LAYOUT, engine="book-keeping")
    module.lm_head = head
    module.transformer.h[1].attn = module.transformer.h[0].attn
    with pytest.raises(ParameterError, match="runs more than once"):
        engine_for(module, a_loss(), LAYOUT, engine="book-keeping")
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ParameterError, match="no parameter to train"):
        engine_for(module, a_loss(), LAYOUT)


def test_a_trained_layer_that_does_not_run_is_a_typed_error():
    module = module_of("gpt2")
    module.spare = torch.nn.Linear(4, 4)
    with pytest.raises(ParameterError, match="'spare' is trained and does not run"):
        engine_for(module, a_loss(), LAYOUT, engine="book-keeping")


def test_fault_positions_that_change_with_the_width_of_a_block_are_refused_for_the_longest_prompt_too():
    """Beyond 16 tokens all rows of a block get other positions: without the longest prompt nothing made up shows it."""
    config = transformers.Phi3Config(
        vocab_size=SIZE,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        original_max_position_embeddings=16,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope",
            "short_factor": [1.0] * 4,
            "long_factor": [9.0] * 4,
            "rope_theta": 1e4,
            "factor": 4.0,
        },
    )
    torch.manual_seed(1)
    module = transformers.Phi3ForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    short = [np.array([1]), np.array([1, 5]), np.array([1, 7])]
    layout = Layout(length=14, vocabulary=SIZE, end=2)
    assert engine_for(copy.deepcopy(module), CausalLoss(short, vocabulary=SIZE, end=2), layout).name == "book-keeping"
    loss = CausalLoss([*short, np.arange(1, 8)], vocabulary=SIZE, end=2)
    with pytest.raises(ParameterError, match="depends on the rows beside it"):
        engine_for(module, loss, layout)
