"""Records as rows: cut at a public length, ended if they end, padded off the vocabulary, never joined; their loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.trainable import method_for, trainable, with_arrays
from tests.text.small_models import network

LAYOUT = Layout(length=6, vocabulary=50, end=2)
PROMPTS = (np.array([2]), np.array([2, 30, 31]))


def row(tokens, topic=0):
    return LAYOUT.row(np.array(tokens, dtype=np.int64), topic)


def test_a_text_ends_in_its_end_unless_it_was_cut():
    assert row([7, 8]).tolist() == [0, 7, 8, 2, 50, 50, 50]
    assert row([]).tolist() == [0, 2, 50, 50, 50, 50, 50]
    assert row(range(3, 8)).tolist() == [0, 3, 4, 5, 6, 7, 2]
    assert row(range(3, 9), 1).tolist() == [1, 3, 4, 5, 6, 7, 8]
    assert row(range(3, 40)).tolist() == [0, 3, 4, 5, 6, 7, 8]


def test_codes_are_as_narrow_as_the_vocabulary_allows():
    assert row([]).dtype == np.uint16
    assert Layout(length=2, vocabulary=2**16 - 1, end=0).dtype is np.uint16
    assert Layout(length=2, vocabulary=2**16, end=0).dtype is np.uint32


@given(texts=st.lists(st.text(max_size=20), max_size=6))
def test_a_row_depends_on_its_own_text_alone(texts):
    def tokens(text):
        return np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8).astype(np.int64) % 50

    together = LAYOUT.rows(texts, np.zeros(len(texts), dtype=np.int64), tokens)
    for at, text in enumerate(texts):
        assert np.array_equal(together[at], LAYOUT.rows([text], np.zeros(1, dtype=np.int64), tokens)[0])


def laid_out(*rows):
    loss = CausalLoss(PROMPTS, vocabulary=50, end=2)
    return loss.laid_out(torch.from_numpy(np.stack(rows).astype(np.int64)))


def test_topics_stand_before_texts_and_are_not_learnt():
    ids, targets, weights = laid_out(row([7, 8], 1), row([9]))
    assert ids.tolist() == [[2, 30, 31, 7, 8], [2, 9, 2, 2, 2]]
    third = pytest.approx(1 / 3)
    assert weights.tolist() == [[0, 0, third, third, third], [0.5, 0.5, 0, 0, 0]]
    assert targets[0, 2:].tolist() == [7, 8, 2] and targets[1, :2].tolist() == [9, 2]


def test_every_record_weighs_the_same_however_long():
    _, _, weights = laid_out(row([]), row([4]), row(range(3, 40)), row([5, 6, 7], 1))
    assert torch.allclose(weights.sum(1), torch.ones(4))


def test_a_loss_is_the_mean_of_a_records_own_tokens():
    module, loss = network("gpt2", vocabulary=50, positions=32), CausalLoss(PROMPTS, vocabulary=50, end=2)
    with torch.no_grad():
        found = loss(module, torch.from_numpy(np.stack([row([7, 8], 1), row(range(3, 40))]).astype(np.int64)))
        logits = module(input_ids=torch.tensor([[2, 30, 31, 7, 8]])).logits.log_softmax(-1)[0]
    expected = -(logits[2, 7] + logits[3, 8] + logits[4, 2]) / 3
    assert float(found[0]) == pytest.approx(float(expected), rel=1e-5)


def test_the_public_model_is_left_as_it_is():
    base = network("gpt2", vocabulary=50, positions=32)
    before = {name: p.clone() for name, p in base.named_parameters()}
    for method in ("full", "lora"):
        made = trainable(base, method, rank=2, device=torch.device("cpu"))
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(1.0)
    assert {name: p.shape for name, p in base.named_parameters()} == {name: p.shape for name, p in before.items()}
    assert all(torch.equal(p, before[name]) for name, p in base.named_parameters())


def test_lora_starts_from_the_public_model_and_from_the_same_factors_every_time():
    base, ids = network("llama", vocabulary=50, positions=32), torch.tensor([[2, 7, 8]])
    one, two = (trainable(base, "lora", rank=2, device=torch.device("cpu")) for _ in range(2))
    assert torch.allclose(one(input_ids=ids).logits, base(input_ids=ids).logits, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    trained = [name for name, p in one.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 7 and all("lora_" in name for name in trained)


def test_trained_factors_are_added_to_the_weights():
    base, ids = network("gpt2", vocabulary=50, positions=32), torch.tensor([[2, 7, 8]])
    made = trainable(base, "lora", rank=2, device=torch.device("cpu"))
    rng = np.random.default_rng(0)
    found = {
        name: rng.normal(0, 0.1, tuple(p.shape)).astype(np.float32)
        for name, p in made.named_parameters()
        if p.requires_grad
    }
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name in found:
                parameter.copy_(torch.from_numpy(found[name]))
        merged = with_arrays(base, "lora", found, rank=2, device=torch.device("cpu"))
        assert torch.allclose(merged(input_ids=ids).logits, made(input_ids=ids).logits, atol=1e-4)
    with pytest.raises(ModelError, match="do not fit"):
        with_arrays(base, "full", found, rank=2, device=torch.device("cpu"))


def test_small_models_are_trained_whole_and_large_ones_by_lora(monkeypatch):
    base = network("gpt2", vocabulary=50, positions=32)
    assert method_for(base, "auto") == "full"
    monkeypatch.setattr("dpsynth.text.training.trainable.FULL", 100)
    assert method_for(base, "auto") == "lora"
    with pytest.raises(ParameterError, match="Unknown method"):
        method_for(base, "qlora")
