"""DP-SGD as a writer: the conformance suite on a small GPT-2, full and LoRA; what it spends, says and refuses."""

from __future__ import annotations

import copy
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest

import dpsynth.sgd.training as training_module
import dpsynth.text.dpsgd as dpsgd_module
from accounting.crosscheck import price
from accounting.event import EventTree
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.sgd.checkpoint import Memory
from dpsynth.sgd.schedule import Schedule
from dpsynth.text import TextGenerator
from dpsynth.text.backends import load
from dpsynth.text.backends.hugging_face import HFBackend
from dpsynth.text.dpsgd import DPSGD
from dpsynth.text.protocol import Released
from dpsynth.text.training.settings import SettledSteps
from tests.conformance.writer import RECORD, USER, WriterConformance, corpus_of, sentences, task_of, unmarked
from tests.text.small_models import network, tokenizer


@lru_cache(maxsize=8)
def small(family="gpt2", pad=True):
    special = None if pad else {"bos_token": "<bos>", "eos_token": "<eos>"}
    words = tokenizer(special=special)
    return HFBackend.of(network(family, vocabulary=len(words)), words, name=family, device="cpu")


def made(**settings):
    given = {"model": small(), "length": 20, "steps": 3, "probability": "0.5", "device": "cpu", "method": "full"}
    return DPSGD(**{**given, **settings})


class TestFull(WriterConformance):
    def make(self):
        return made()


class TestLora(WriterConformance):
    def make(self):
        return made(method="lora", rank=2)


def learnt(writer, corpus=None, *, budget=1.0, noise=None, topics=("",), progress=silent, unit=RECORD, **more):
    released = Released(total=30.0, topics=topics, shares=np.full(len(topics), 1 / len(topics)))
    corpus = corpus_of(sentences(30)) if corpus is None else corpus
    task = task_of(unit)
    return writer.learn(
        corpus,
        task,
        writer.settle(task, budget),
        released,
        noise=noise or unsafe_SeededNoise(1),
        progress=progress,
        **more,
    )


# --- what it spends --------------------------------------------------------------------------------------------------


def test_one_step_more_costs_more():
    def epsilon(steps):
        events = made(steps=steps).settle(task_of(), 1.0).events
        return price(EventTree(relation=task_of().relation, unit=RECORD, events=events), Decimal("1e-5")).epsilon

    found = [epsilon(steps) for steps in (3, 4, 5, 50)]
    assert found == sorted(set(found))


def test_steps_that_ran_are_the_events_and_divide_by_the_released_total(monkeypatch):
    ran, real = [], training_module.noisy_mean

    def listening(network, total, schedule, size, normals):
        ran.append((schedule, size))
        return real(network, total, schedule, size, normals)

    monkeypatch.setattr(training_module, "noisy_mean", listening)
    author = learnt(made(), corpus_of(sentences(41)))
    (event,) = author.events
    assert event.count == len(ran) == 3 and {size for _, size in ran} == {30.0}
    assert {(step.probability, step.sigma) for step, _ in ran} == {(event.probability, event.event.sigma)}


def test_all_texts_of_a_unit_join_and_are_clipped_together(monkeypatch):
    seen, real = [], training_module.clipped_total

    def summed(network, units, *rest):
        seen.append(units)
        return real(network, units, *rest)

    monkeypatch.setattr(training_module, "clipped_total", summed)
    learnt(made(), corpus_of(sentences(40), units=np.arange(40) // 4), unit=USER)
    assert [units.count for units in seen] == [10, 10, 10]


def test_resumed_training_spends_what_was_settled_and_goes_on_from_its_last_steps():
    memory, stopped = Memory(), []

    class Lost(Exception):
        pass

    def stop(name, done, total, detail=""):
        stopped.append(done)
        if done == 5:
            raise Lost

    writer = made(steps=8, every=2)
    with pytest.raises(Lost):
        learnt(writer, checkpoints=memory, progress=stop)
    stopped.clear()
    author = learnt(writer, checkpoints=memory, progress=lambda *step: stopped.append(step[1]))
    assert stopped == [5, 6, 7, 8]
    assert unmarked(author.events) == writer.settle(task_of(), 1.0).events


def test_a_checkpoint_of_other_noise_is_refused():
    memory = Memory()
    learnt(made(steps=4, every=2), checkpoints=memory)
    with pytest.raises(ModelError, match="belongs to another run"):
        learnt(made(steps=4, every=2), budget=2.0, checkpoints=memory)


def test_a_checkpoint_of_another_released_total_or_other_topics_is_refused():
    """Its steps were divided by a count that this run's events do not pay for."""
    memory, writer = Memory(), made(steps=4, every=2)
    learnt(writer, checkpoints=memory)
    for total, topics in ((31.0, ("",)), (30.0, ("a", "b"))):
        shares = np.full(len(topics), 1 / len(topics))
        released = Released(total=total, topics=topics, shares=shares)
        corpus, settled = corpus_of(sentences(30)), writer.settle(task_of(), 1.0)
        with pytest.raises(ModelError, match="belongs to another run"):
            writer.learn(
                corpus,
                task_of(),
                settled,
                released,
                noise=unsafe_SeededNoise(1),
                progress=silent,
                checkpoints=memory,
            )


# --- what it learns --------------------------------------------------------------------------------------------------


def test_without_much_noise_texts_follow_their_topics():
    """Two topics, two sentences: an author that was taught them by hundreds of texts says them."""
    lines = ("late fee", "my question")
    texts = [lines[at % 2] for at in range(200)]
    writer = made(steps=60, rate=0.02, probability="0.5", temperature=0.0, length=8)
    released = Released(total=200.0, topics=("a", "b"), shares=np.array([0.5, 0.5]))
    task = task_of()
    settled = SettledSteps(
        schedule=Schedule(probability="0.5", steps=60, sigma="0.01", clip="1"), length=8
    )  # public texts: nothing is protected here
    author = writer.learn(
        corpus_of(texts, topics=np.arange(200) % 2), task, settled, released, noise=SystemNoise(), progress=silent
    )
    written = author.write(6, np.random.default_rng(0))
    assert [lines[topic] for topic in written.topics.tolist()] == list(written.texts)


def test_public_texts_are_those_of_the_model_before_training():
    writer = made()
    before = writer.public_texts(2, np.random.default_rng(0))
    learnt(writer)
    assert writer.public_texts(2, np.random.default_rng(0)) == before


def test_a_tensor_that_stood_still_is_an_error(monkeypatch):
    real = training_module.noisy_mean

    def frozen(*asked):
        moved = real(*asked)
        moved["transformer.ln_f.bias"][:] = 0
        return moved

    monkeypatch.setattr(training_module, "noisy_mean", frozen)
    with pytest.raises(ModelError, match=r"did not move in training, such as 'transformer\.ln_f\.bias'"):
        learnt(made())


def test_trained_tensors_that_change_nothing_are_an_error():
    """Opacus issue 820: LoRA that looks trained, and is not in the model that writes."""
    author = learnt(made(method="lora", rank=2))
    author.trained = {name: np.zeros_like(array) for name, array in author.trained.items()}
    with pytest.raises(ModelError, match="change nothing that the model says"):
        author.write(1, np.random.default_rng(0))
    other = learnt(made())
    other.trained = {name: array[:1] for name, array in other.trained.items()}
    with pytest.raises(ModelError, match="do not fit"):
        other.write(1, np.random.default_rng(0))


def test_describe_says_model_method_engine_and_schedule():
    told = learnt(made(method="lora", rank=2)).describe()
    assert told["model"] == "gpt2" and told["fingerprint"] == small().fingerprint
    assert (told["method"], told["rank"], told["engine"]) == ("lora", 2, "book-keeping")
    assert (told["steps"], told["sigma"], told["probability"], told["clip"]) == (3, "1", "0.5", "1")
    assert told["trained_parameters"] == 2 * (2 * (32 + 96) + 2 * (32 + 32) + 2 * (32 + 128) * 2)
    assert learnt(made(engine="hooks")).describe()["engine"] == "hooks"


# --- bad input -------------------------------------------------------------------------------------------------------


def refused(match, **settings):
    writer = made(**settings)
    with pytest.raises(ParameterError, match=match):
        writer.check(task_of(), writer.settle(task_of(), 1.0))


def test_settings_out_of_range_are_refused_before_anything_is_read(monkeypatch):
    refused("would use every unit more than once", probability="1.5")
    refused("steps=0", steps=0)
    refused("length=0", length=0)
    refused("clip=0", clip=0)
    refused("rate=0", rate=0.0)
    refused("temperature", temperature=-1.0)
    refused("Unknown method 'all'", method="all")
    refused("reads 127 tokens", length=100)
    refused("torch finds", device="cuda:7")
    with pytest.raises(ParameterError, match="teaches nothing"):
        made().check(task_of(), made().settle(task_of(), 1e-7))
    with pytest.raises(ParameterError, match="Unknown engine"):
        learnt(made(engine="fast"))


def test_a_model_that_cannot_be_trained_privately_is_refused_before_anything_is_paid_for():
    base = small()
    module = copy.deepcopy(base.module)
    module.transformer.h[1].attn = module.transformer.h[0].attn
    writer = made(model=base.with_module(module, name="shared"), engine="book-keeping")
    with pytest.raises(ParameterError, match="runs more than once"):
        writer.check(task_of(), writer.settle(task_of(), 1.0))


def test_models_without_weights_and_machines_without_torch_are_refused(monkeypatch):
    refused("no weights that could be fine-tuned", model=load("ngram"))
    monkeypatch.setattr("dpsynth.sgd.torch_present.find_spec", lambda name: None)
    refused("needs PyTorch")
    monkeypatch.undo()
    monkeypatch.setattr(dpsgd_module, "find_spec", lambda name: None)
    refused("needs peft", method="lora")


def test_a_model_without_a_pad_token_is_trained_all_the_same():
    author = learnt(made(model=small(pad=False)), topics=("x", "a topic of more words"))
    assert len(author.write(3, np.random.default_rng(0)).texts) == 3


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_other_families_write(family):
    author = learnt(made(model=small(family), method="lora", rank=2), topics=("x",))
    assert len(author.write(2, np.random.default_rng(0)).texts) == 2


def test_a_sample_larger_than_the_data_is_a_sample(monkeypatch):
    """Every unit in every step, and a released total far above the texts: no batch is filled up with repeats."""
    sizes, real = [], training_module.clipped_total
    monkeypatch.setattr(
        training_module,
        "clipped_total",
        lambda network, units, drawn, *rest: sizes.append(len(drawn)) or real(network, units, drawn, *rest),
    )
    learnt(made(probability="1"), corpus_of(sentences(5)))
    assert sizes == [5, 5, 5]


# --- beside columns --------------------------------------------------------------------------------------------------


def test_a_text_and_its_columns_are_planned_priced_and_written_together():
    rng = np.random.default_rng(0)
    kinds = rng.choice(["fees", "calls"], 80)
    table = Table.from_arrow(pa.table({"kind": kinds, "note": sentences(80)}))
    of = Schema.from_dict(
        {
            "columns": {
                "kind": {"kind": "categorical", "values": ["fees", "calls"], "role": "target"},
                "note": {"kind": "text"},
            }
        }
    )
    generator = TextGenerator(writer=made())
    plan = generator.plan(of, RECORD, epsilon="6", delta="1e-5")
    assert Decimal("5.99") <= plan.guarantee.epsilon <= 6
    model = fit_model(table, of, generator, plan, noise=ReplayedNoise(bytes(32))).model
    assert model.events == plan.tree
    written = model.sample(5, np.random.default_rng(0))
    assert written.column_names == ["kind", "note"] and written.num_rows == 5
    assert set(written.column("kind").to_pylist()) <= {"fees", "calls", None}
