"""The writer: settles a clip, refuses what would not be heard, and keeps bins apart to the last byte."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from accounting.event import PredictionTokens, SparseVector
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.sgd.checkpoint import Memory
from dpsynth.text.backends.ngram import NgramBackend
from dpsynth.text.corpus import Corpus
from dpsynth.text.prediction.aggregators.difference_clip import DifferenceClip
from dpsynth.text.prediction.aggregators.protocol import GRID
from dpsynth.text.prediction.copy_experts import CopyExperts
from dpsynth.text.prediction.drawing import Stream
from dpsynth.text.prediction.partition import Bin, partition
from dpsynth.text.private_prediction import PrivatePrediction
from dpsynth.text.protocol import Released, Task
from tests.conformance.writer import WriterConformance
from tests.text.prediction.toy import Toy

KEY = bytes(range(32))
TASK = Task(unit=PrivacyUnit(), relation=NeighboringRelation.ADD_REMOVE, epsilon=Decimal(3), delta=Decimal("1e-6"))
PHRASE = "late fee bank high nobody could explain why charged twice this month my account"
WORDS = PHRASE.split()


def sentences(count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 12)) for _ in range(count)]


def corpus(texts, *, people=None, topics=None):
    columns = {"note": texts} | ({} if people is None else {"who": people})
    unit = None if people is None else "who"
    codes = None if topics is None else np.array(topics, dtype=np.int64)
    return Corpus.of(Table.from_arrow(pa.table(columns)), "note", unit=unit, key=KEY, topics=codes)


def released(total, topics=("",), shares=(1.0,)):
    return Released(total=float(total), topics=topics, shares=np.array(shares))


def spoken(writer, private, facts, *, clip=3.0, seed=1, checkpoints=None, task=TASK):
    """Texts in the order of bins."""
    settled = writer.settle(task, clip)
    author = writer.learn(
        private, task, settled, facts, noise=unsafe_SeededNoise(seed), progress=silent, checkpoints=checkpoints
    )
    return list(zip(author._texts, author._topics.tolist(), strict=True))


def ngram():
    return NgramBackend.of([*sentences(200, seed=9), "Call 0 1 2 3 4 5 6 7 8 9."], pieces=60)


def small_transformer(tmp_path):
    from dpsynth.text.backends.hugging_face import HFBackend
    from tests.text.small_models import save

    return HFBackend.load(str(save(tmp_path / "model")), device="cpu")


COUNTS = ngram()
CONTEXT = {"experts": "context", "prompt": "{text} ", "without": ""}
SETTINGS = {
    "copy": {"experts": "copy", "length": 60},
    "context": {**CONTEXT, "length": 60},
    "mean": {**CONTEXT, "length": 60, "aggregator": "mean-clip", "top_k": 20},
    "sparse": {**CONTEXT, "length": 60, "aggregator": "mean-clip", "sparse": (0.7, 3.0), "longest": 14},
}


def neighbours(texts):
    """Changes of one record."""
    return {
        "insert": [*texts[:5], "an unusual note of a new person", *texts[5:]],
        "delete": texts[:7] + texts[8:],
        "empty": [*texts[:7], "", *texts[8:]],
        "lengthen": [*texts[:7], texts[7] + " " + " ".join(WORDS * 30), *texts[8:]],
    }


def assert_isolated(writer, texts, per_bin, *, touched=2):
    """Only bins that hold the changed record's old or new content may say something else."""
    facts = released(len(texts))
    before = spoken(writer, corpus(texts), facts)
    changed_at_all = 0
    for change, after_texts in neighbours(texts).items():
        after = spoken(writer, corpus(after_texts), facts)
        old, new = (
            [sorted(bin_.rows) for bin_ in writer._bins(corpus(each), facts, writer.batch_size)]
            for each in (texts, after_texts)
        )
        held = [k for k, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert 1 <= len(held) <= touched, change
        differ = {k // per_bin for k, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
        assert differ <= set(held), change
        changed_at_all += len(differ)
    assert changed_at_all > 0  # the records are heard: the test can fail


class TestCopies(WriterConformance):
    """Caches over counts."""

    def make(self):
        return PrivatePrediction(model=COUNTS, tokens=6, batch_size=5, sequences=1, experts="copy")


class TestPrompts(WriterConformance):
    """Records in prompts, with topics, and the test against the public model."""

    budget = 2.0

    def make(self):
        return PrivatePrediction(
            model=COUNTS,
            tokens=6,
            batch_size=20,
            experts="context",
            length=30,
            aggregator="mean-clip",
            sparse=(0.7, 3.0),
            longest=9,
            top_k=40,
        )


@pytest.mark.parametrize("kind", SETTINGS)
def test_one_record_leaves_every_other_bin_byte_identical(kind):
    writer = PrivatePrediction(
        model=Toy(letters="abcdefghijklmnopqrstuvwxyz "), tokens=8, batch_size=6, sequences=2, **SETTINGS[kind]
    )
    assert_isolated(writer, sentences(120), 2)


@pytest.mark.parametrize("kind", ["copy", "context"])
def test_isolation_holds_for_counts(kind):
    writer = PrivatePrediction(model=ngram(), tokens=12, batch_size=6, sequences=2, **SETTINGS[kind])
    assert_isolated(writer, sentences(60), 2)


def test_isolation_holds_for_a_transformer(tmp_path):
    writer = PrivatePrediction(model=small_transformer(tmp_path), tokens=5, batch_size=8, **SETTINGS["context"])
    assert_isolated(writer, sentences(32), 1)


def test_the_order_of_the_file_changes_nothing():
    texts = sentences(60)
    people = [f"p{i % 25}" for i in range(60)]
    topics = [i % 2 for i in range(60)]
    facts = released(25, ("a", "b"), (0.5, 0.5))
    order = np.random.default_rng(0).permutation(60)
    for kind in ("copy", "context"):
        writer = PrivatePrediction(
            model=Toy(letters="abcdefghijklmnopqrstuvwxyz "), tokens=8, batch_size=5, **SETTINGS[kind]
        )
        given = spoken(writer, corpus(texts, people=people, topics=topics), facts)
        mixed = spoken(
            writer,
            corpus([texts[i] for i in order], people=[people[i] for i in order], topics=[topics[i] for i in order]),
            facts,
        )
        assert given == mixed


def test_a_person_is_one_row_whatever_the_number_of_texts():
    texts = sentences(40)
    people = ["one"] * 20 + [f"p{i}" for i in range(20)]
    writer = PrivatePrediction(model=Toy(), tokens=5, batch_size=3, experts="copy")
    bins = writer._bins(corpus(texts, people=people), released(21), 3)
    assert sum(len(bin_.rows) for bin_ in bins) == 21
    assert max(len(row) for bin_ in bins for row in bin_.rows) > 15 * len(texts[0]) // 2
    event = writer.settle(TASK, 1.0).events[0]
    assert event.rows_per_unit == 1


def test_a_person_whose_texts_are_blanked_is_an_empty_row():
    """Zero-out: the blank row must add nothing, and the blank lines between blank texts are something."""
    rows = [
        row for bin_ in partition(corpus(["", "", "late"], people=["a", "a", "b"]), _one_bin(), 0) for row in bin_.rows
    ]
    assert sorted(rows) == ["", "late"]


def test_a_record_that_the_model_breaks_on_adds_nothing_and_stops_nothing(tmp_path):
    """An abort would tell of one record; what is said without it and with it is the same."""
    import torch

    from dpsynth.text.backends.hugging_face import HFBackend
    from tests.text.small_models import save

    model = HFBackend.load(str(save(tmp_path / "model", "llama")), device="cpu")
    (broken,) = model.tokens("#")
    with torch.no_grad():
        model.module.get_input_embeddings().weight[broken] = torch.inf
    texts = sentences(6)
    for kind in ("context", "mean"):
        writer = PrivatePrediction(model=model, tokens=1, batch_size=2, bins=1, **SETTINGS[kind] | {"length": 30})
        said = [spoken(writer, corpus(given), released(6)) for given in (texts, [*texts, "#"], [*texts, "pay # now"])]
        assert said[0] == said[1] == said[2]


def test_every_bin_writes_and_an_empty_one_writes_public_text():
    model = Toy(never_ends=True)
    writer = PrivatePrediction(model=model, tokens=6, batch_size=1, sequences=1, experts="copy", bins=400)
    said = spoken(writer, corpus(["aaaaaaaaaa"] * 3), released(3), clip=8.0)
    assert len(said) == 400
    public = Counter(text for text in writer.public_texts(400, np.random.default_rng(3)))
    assert all(len(text) == 6 for text, _ in said)
    # First letters of bins without a row follow the public law: a test of homogeneity with itself.
    ours = Counter(text[0] for text, _ in said)
    theirs = Counter(text[0] for text in public.elements())
    assert sum(abs(ours[c] - theirs[c]) for c in model.letters) < 150


def test_small_topics_are_pooled_and_texts_keep_their_topics():
    facts = released(100, ("big", "small", "tiny"), (0.96, 0.03, 0.01))
    texts, topics = sentences(100), [0] * 96 + [1] * 3 + [2]
    writer = PrivatePrediction(model=Toy(), tokens=5, batch_size=8, experts="copy")
    bins = writer._bins(corpus(texts, topics=topics), facts, 8)
    assert Counter(bin_.topics for bin_ in bins) == {(0,): 12}
    small = PrivatePrediction(model=Toy(), tokens=5, batch_size=80, experts="copy")
    pooled = small._bins(corpus(texts, topics=topics), released(30, ("a", "b", "c"), (0.4, 0.3, 0.3)), 80)
    assert [bin_.topics for bin_ in pooled] == [(0, 1, 2)]
    assert len(pooled[0].rows) == 100
    assert {topic for _, topic in spoken(small, corpus(texts, topics=topics), facts)} <= {0, 1, 2}


def test_a_batch_larger_than_the_data_makes_one_bin_and_says_so():
    writer = PrivatePrediction(model=Toy(), tokens=5, batch_size=500, sequences=2, experts="copy")
    settled = writer.settle(TASK, 2.0)
    author = writer.learn(corpus(sentences(30)), TASK, settled, released(30), noise=SystemNoise(), progress=silent)
    assert (author.most, author.describe()["bins"], author.describe()["released_units_per_bin"]) == (2, 1, 30.0)


def test_events_are_what_was_settled_and_grow_with_the_budget():
    writer = PrivatePrediction(model=Toy(), tokens=7, sequences=3, batch_size=9, temperature=1.1, experts="copy")
    event = writer.settle(TASK, 2.0).events[0]
    assert isinstance(event, PredictionTokens)
    assert (event.count, event.clip, event.batch_size, event.temperature) == (21, Decimal(2), 9, Decimal("1.1"))
    clips = [writer.settle(TASK, budget).clip for budget in np.geomspace(0.01, 100, 30)]
    assert clips == sorted(clips)
    author = writer.learn(
        corpus(sentences(20)), TASK, writer.settle(TASK, 2.0), released(20), noise=SystemNoise(), progress=silent
    )
    assert author.events == writer.settle(TASK, 2.0).events
    assert author.most == 6
    got = [author.write(4, np.random.default_rng(0)), author.write(4, np.random.default_rng(0))]
    assert [len(written.texts) for written in got] == [4, 2]


def test_a_sparse_run_states_both_events():
    writer = PrivatePrediction(
        model=Toy(),
        tokens=7,
        batch_size=200,
        sequences=1,
        aggregator="mean-clip",
        sparse=(0.7, 0.3),
        longest=30,
        experts="copy",
    )
    test, tokens = writer.settle(TASK, 2.0).events
    assert isinstance(test, SparseVector)
    assert isinstance(tokens, PredictionTokens)
    assert test.count == tokens.count == 7
    assert float(test.epsilon) == pytest.approx(2 / (200 * 0.3))
    replaced = writer.settle(replace(TASK, relation=NeighboringRelation.REPLACE_ONE), 2.0).events[0]
    assert float(replaced.epsilon) == pytest.approx(4 / (200 * 0.3))


def test_what_is_not_heard_is_refused_with_what_would_do():
    writer = PrivatePrediction(model=Toy(), tokens=500, batch_size=7, sequences=1, experts="copy")
    with pytest.raises(ParameterError, match=r"Use a batch size of 34, or texts of 22 tokens"):
        writer.check(TASK, writer.settle(TASK, 0.01))
    writer.check(TASK, writer.settle(TASK, 0.05))


def test_an_unaffordable_test_is_refused_with_the_batch_that_would_do():
    writer = PrivatePrediction(
        model=Toy(), tokens=100, batch_size=64, sequences=1, aggregator="mean-clip", sparse=(0.7, 0.3), experts="copy"
    )
    with pytest.raises(ParameterError, match="batch size of 110 at least"):
        writer.settle(TASK, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": 0}, "less than one text"),
        ({"sequences": 0}, "less than one text"),
        ({"batch_size": 0}, "batch_size=0 >= 1"),
        ({"temperature": 0.0}, "temperature"),
        ({"aggregator": "median"}, "Unknown aggregator"),
        ({"sparse": (0.7, 0.3)}, "goes with mean-clip"),
        ({"longest": 50}, "under `sparse`"),
    ],
)
def test_settings_out_of_range_are_refused_when_they_are_made(settings, message):
    with pytest.raises(ParameterError, match=message):
        PrivatePrediction(model=Toy(), **settings)


def test_a_prompt_that_exceeds_the_context_is_refused():
    writer = PrivatePrediction(model=Toy(context=100), tokens=60, length=60, **CONTEXT)
    with pytest.raises(ParameterError, match="exceed the model's 100"):
        writer.check(TASK, writer.settle(TASK, 1.0))


def test_a_prompt_without_the_record_is_refused():
    writer = PrivatePrediction(model=Toy(), tokens=6, length=6, experts="context", prompt="no record")
    with pytest.raises(ParameterError, match="shows the record once"):
        writer.check(TASK, writer.settle(TASK, 1.0))


def test_replace_one_needs_a_public_number_of_bins():
    writer = PrivatePrediction(model=Toy(), tokens=6, experts="copy", batch_size=9)
    task = replace(TASK, relation=NeighboringRelation.REPLACE_ONE)
    with pytest.raises(ParameterError, match="Set `bins`"):
        writer.check(task, writer.settle(task, 2.0))
    replace(writer, bins=4).check(task, writer.settle(task, 2.0))


class Interrupted(Exception):
    pass


class Stopping(Memory):
    """Dies after its first save."""

    def __init__(self):
        super().__init__()
        self.saves = 0

    def save(self, state):
        super().save(state)
        self.saves += 1
        if self.saves == 1:
            raise Interrupted


def test_an_interrupted_run_keeps_finished_bins_and_draws_the_others():
    texts = sentences(200)
    writer = PrivatePrediction(model=Toy(letters="abcdefghijklmnopqrstuvwxyz "), tokens=6, batch_size=2, experts="copy")
    whole = spoken(writer, corpus(texts), released(200))
    store = Stopping()
    with pytest.raises(Interrupted):
        spoken(writer, corpus(texts), released(200), checkpoints=store)
    assert spoken(writer, corpus(texts), released(200), checkpoints=store) == whole
    other = spoken(writer, corpus(texts), released(200), checkpoints=_copy(store), seed=2)
    assert other == whole  # all were finished: nothing is drawn twice
    with pytest.raises(ModelError, match="another run"):
        spoken(writer, corpus(texts[:-1]), released(200), checkpoints=_copy(store))


def test_a_state_of_another_partition_is_refused():
    """As many bins in all, but others of each topic: a record of a finished bin would be heard by a second one."""
    texts, topics = sentences(200), [i % 2 for i in range(200)]
    writer = PrivatePrediction(model=Toy(), tokens=2, batch_size=2, experts="copy", sequences=1)
    store = Stopping()
    with pytest.raises(Interrupted):
        spoken(writer, corpus(texts, topics=topics), released(200, ("a", "b"), (0.5, 0.5)), checkpoints=store)
    moved = (
        (topics, released(200, ("a", "b"), (0.9, 0.1))),
        ([1 - topic for topic in topics], released(200, ("a", "b"), (0.5, 0.5))),
    )
    for other, facts in moved:
        with pytest.raises(ModelError, match="another run"):
            spoken(writer, corpus(texts, topics=other), facts, checkpoints=_copy(store))


def _copy(store):
    made = Memory()
    made.save(store.load())
    return made


def test_a_canary_is_not_repeated_at_a_small_epsilon():
    """One record is not repeated by its bin; where all agree they are, so that the measure sees copies."""
    model = Toy(letters="abcdefghijklmnopqrstuvwxyz", spread=1.0, never_ends=True)
    rng = np.random.default_rng(4)
    canary = "".join(rng.permutation(list(model.letters)))  # each letter has one follower
    others = ["".join(rng.choice(list(model.letters), 26)) for _ in range(19)]
    grams = {canary[i : i + 4] for i in range(len(canary) - 3)}
    writer = PrivatePrediction(model=model, tokens=26, batch_size=20, sequences=40, experts="copy")
    experts = CopyExperts(vocabulary=model.vocabulary, share=0.9, bigrams=1.0, gain=1.0, top=0.99, power=1.0)

    def copied(clip, rows):
        engine = replace(
            writer._engine(writer.settle(TASK, clip), ("",)),
            experts=experts,
            aggregator=DifferenceClip(units=int(clip * GRID), batch_size=20, one_sided=True, ceiling=experts.ceiling),
        )
        bin_ = Bin(topics=(0,), rows=tuple(rows))
        (texts,) = engine.write([bin_], ("",), np.ones(1), [Stream(unsafe_SeededNoise(1))])
        said = [model.text(text.tokens) for text in texts]
        return sum(text[i : i + 4] in grams for text in said for i in range(len(text) - 3))

    assert copied(0.5, [canary, *others]) <= 3
    assert copied(0.5, [canary]) <= 3
    assert copied(20.0, [canary] * 20) > 50


def test_progress_tells_texts_and_speed_alone():
    told = []
    writer = PrivatePrediction(model=Toy(), tokens=4, batch_size=4, sequences=1, experts="copy")
    writer.learn(
        corpus(sentences(80)),
        TASK,
        writer.settle(TASK, 2.0),
        released(400),
        noise=unsafe_SeededNoise(1),
        progress=lambda name, done, total, detail="": told.append((name, done, total, detail)),
    )
    assert [(name, done, total) for name, done, total, _ in told] == [
        ("texts", 64, 100),
        ("texts", 100, 100),
    ]
    assert all(detail.endswith("tokens/s") for *_, detail in told)


def test_private_things_do_not_show_in_reprs():
    private = corpus(["secret words"])
    bins = partition(private, PrivatePrediction(model=Toy(), bins=1) and _one_bin(), 0)
    assert "secret" not in repr(bins) + repr(private)


def _one_bin():
    from dpsynth.text.prediction.partition import Bins

    return Bins(counts=(1,))
