"""What every writer of texts must hold: subclass, return one instance from `make`, inherit the checks.

class TestMine(WriterConformance):
    def make(self):
        return Mine(model=small_model())

Checks know nothing of how a writer learns: what it spends is what it settled, whatever the texts are; what it made
knows them through its events alone; nothing else of them gets out.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.text import METHODS, writer
from dpsynth.text.corpus import Corpus
from dpsynth.text.protocol import Released, Task, TopicAuthor

ROOT = Path(__file__).resolve().parents[2]
WORDS = tuple("fee bank charged late after payment nobody answered question about loan account".split())  # noqa: SIM905
RECORD = PrivacyUnit()
USER = PrivacyUnit(kind="user", column="who", max_records=4)
HARD = (
    "",
    "   \n\t ",
    "\x00\x07",
    "naïve 東京 🤦🏽‍♀️ \u202eright",
    "a" * 5000,
    "word " * 900,
    "<bos><eos>",
    "\ud800 lone",
)
"""Texts that files really hold: none, controls, other scripts, one long word, many words, special tokens, bad UTF-8."""


def sentences(count, seed=0, words=12):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, words + 1))) for _ in range(count)]


def corpus_of(texts, *, topics=None, units=None):
    """Private texts, each its own unit unless `units` numbers them."""
    rng = np.random.default_rng(len(texts))
    count = len(texts) if units is None else int(np.max(units, initial=-1)) + 1
    return Corpus(
        texts=tuple(texts),
        topics=np.zeros(len(texts), dtype=np.int64) if topics is None else np.asarray(topics, dtype=np.int64),
        units=None if units is None else np.asarray(units, dtype=np.int64),
        hashes=rng.integers(0, 2**64, count, dtype=np.uint64),
    )


def task_of(unit=RECORD, epsilon="4", delta="1e-5"):
    return Task(unit=unit, relation=NeighboringRelation.ADD_REMOVE, epsilon=Decimal(epsilon), delta=Decimal(delta))


def unmarked(value):
    """An event, or several, as if its noise had come from the operating system."""
    if isinstance(value, (tuple, list)):
        return tuple(unmarked(one) for one in value)
    if not is_dataclass(value):
        return value
    own = {field.name: unmarked(getattr(value, field.name)) for field in fields(value) if field.init}
    return replace(value, **{**own, **({"noise": "exact"} if "noise" in own else {})})


def noises(event):
    """Kinds of noise that an event and its parts are marked with."""
    text = json.dumps(event.to_json())
    return set(re.findall(r'"noise": "(\w+)"', text))


class WriterConformance:
    """The checks. `make` gives the instance; `budget` is one at which a small run is possible."""

    budget = 1.0
    topics = ("issue: fees", "issue: loans", "issue: nothing")
    shares = (0.75, 0.25, 0.0)
    texts = 40

    def make(self):
        raise NotImplementedError

    def corpus(self, count=None, seed=0):
        count = self.texts if count is None else count
        return corpus_of(sentences(count, seed), topics=np.arange(count) % 2)

    def released(self, total=40.0):
        return Released(total=total, topics=self.topics, shares=np.array(self.shares))

    def run(self, corpus=None, *, unit=RECORD, seed=1, noise=None, progress=silent, total=40.0, **more):
        made, task = self.make(), task_of(unit)
        settled = made.settle(task, self.budget)
        made.check(task, settled)
        author = made.learn(
            self.corpus() if corpus is None else corpus,
            task,
            settled,
            self.released(total),
            noise=noise or unsafe_SeededNoise(seed),
            progress=progress,
            **more,
        )
        return settled, author

    def asked(self, author, count=6):
        return count if author.most is None else min(count, author.most)

    # --- the name and the plan -----------------------------------------------------------------------------------

    def test_is_listed_under_its_name(self):
        made = self.make()
        assert METHODS[made.name] == f"{type(made).__module__}:{type(made).__name__}"
        assert type(writer(made.name)) is type(made)

    def test_import_loads_no_learning_library(self):
        probe = f"import {type(self.make()).__module__}, sys; print([m for m in ('torch', 'transformers', 'peft', "
        probe += "'opacus') if m in sys.modules])"
        command = [sys.executable, "-c", probe]
        assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == "[]"

    @pytest.mark.parametrize("unit", [RECORD, USER], ids=["record", "user"])
    def test_settling_is_a_function_of_public_facts(self, unit):
        made = self.make()
        first, again = made.settle(task_of(unit), self.budget), self.make().settle(task_of(unit), self.budget)
        assert first.events == again.events and first.events
        assert json.dumps(first.describe()) == json.dumps(again.describe())
        assert all(noises(event) <= {"exact"} for event in first.events)

    @pytest.mark.parametrize("unit", [RECORD, USER], ids=["record", "user"])
    def test_more_budget_never_costs_less(self, unit):
        made = self.make()
        low, high = made.bracket
        assert 0 < low < high
        prices = []
        for budget in (low, (low * high) ** 0.5, high):
            tree = EventTree(
                relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=made.settle(task_of(unit), budget).events
            )
            prices.append(price(tree, Decimal("1e-5")).epsilon)
        assert prices == sorted(prices) and prices[0] < prices[-1]

    def test_events_of_another_writer_are_refused(self):
        class Other:
            events = ()

            def describe(self):
                return {}

        with pytest.raises(ParameterError):
            self.make().learn(self.corpus(4), task_of(), Other(), self.released(), noise=SystemNoise(), progress=silent)

    # --- what is spent -------------------------------------------------------------------------------------------

    def test_what_is_spent_is_what_was_settled_whatever_the_texts(self):
        for texts in ([], ["late fee"], sentences(30, 3), list(HARD)):
            settled, author = self.run(corpus_of(texts))
            assert unmarked(author.events) == unmarked(settled.events), f"{len(texts)} texts"

    def test_one_text_more_spends_the_same(self):
        texts = sentences(20)
        _, one = self.run(corpus_of(texts))
        _, two = self.run(corpus_of([*texts, "a record that was not there"]))
        assert one.events == two.events

    def test_texts_of_units_spend_what_was_settled(self):
        settled, author = self.run(corpus_of(sentences(30), units=np.arange(30) // 4), unit=USER)
        assert unmarked(author.events) == unmarked(settled.events)

    def test_seeded_noise_is_marked_and_the_systems_is_exact(self):
        _, seeded = self.run(self.corpus(12))
        assert any("seeded" in noises(event) for event in seeded.events)
        settled, exact = self.run(self.corpus(12), noise=SystemNoise())
        assert exact.events == settled.events

    # --- what gets out -------------------------------------------------------------------------------------------

    def test_the_corpus_is_left_as_it_was(self):
        corpus = self.corpus()
        texts, topics, hashes = list(corpus.texts), corpus.topics.copy(), corpus.hashes.copy()
        self.run(corpus)
        assert list(corpus.texts) == texts
        assert np.array_equal(corpus.topics, topics) and np.array_equal(corpus.hashes, hashes)

    def test_an_author_holds_no_private_text(self):
        secret = "zqxj-7719 lives in Marburg"
        _, author = self.run(corpus_of([secret, *sentences(20)]))
        seen, stack = set(), [author]
        while stack:
            held = stack.pop()
            if id(held) in seen or isinstance(held, (type(sys), type)):
                continue
            seen.add(id(held))
            assert not isinstance(held, Corpus), "an author holds the corpus"
            assert not (isinstance(held, (str, bytes)) and str(secret) in str(held)), "an author holds a private text"
            stack += [] if callable(held) and not hasattr(held, "__dict__") else gc.get_referents(held)
            if len(seen) > 200_000:
                break

    def test_writing_leaves_the_author_as_it_was(self):
        _, author = self.run()
        before, count = author.describe(), self.asked(author, 4)
        if author.most is None:
            first, again = (author.write(count, np.random.default_rng(3)) for _ in range(2))
            assert first.texts == again.texts and np.array_equal(first.topics, again.topics)
        else:
            author.write(count, np.random.default_rng(3))
        assert json.dumps(author.describe()) == json.dumps(before)

    def test_texts_are_written_on_the_topics_asked_for_where_an_author_can(self):
        _, author = self.run()
        if not isinstance(author, TopicAuthor):
            assert not hasattr(author, "write_on")
            return
        for topics in (np.array([1, 0, 1], dtype=np.int64), np.zeros(0, dtype=np.int64)):
            written = author.write_on(topics, np.random.default_rng(4))
            assert len(written.texts) == len(topics)
            assert np.array_equal(written.topics, topics)

    def test_writes_as_many_as_asked_each_with_its_topic(self):
        _, author = self.run()
        count = self.asked(author, 6)
        written = author.write(count, np.random.default_rng(0))
        assert len(written.texts) == len(written.topics) == count
        assert all(isinstance(text, str) for text in written.texts)
        assert written.topics.dtype == np.int64 and set(written.topics.tolist()) <= {0, 1}
        assert len(author.write(0, np.random.default_rng(0)).texts) == 0

    def test_progress_says_the_same_of_other_texts(self, capsys):
        def told(corpus):
            said = []
            self.run(corpus, progress=lambda *step: said.append(step))
            return said

        few, many = told(corpus_of(["fee"] * 7)), told(corpus_of(sentences(61, 5), topics=np.arange(61) % 2))
        assert few and [step[:3] for step in few] == [step[:3] for step in many]
        words = " ".join(str(part) for step in few + many for part in step[3:])
        assert not re.search(r"loss|norm|clip|accura|votes? for|[a-z]ffs", words)
        assert capsys.readouterr() == ("", "")

    def test_descriptions_are_public_and_ready_for_json(self):
        settled, author = self.run(total=40.0)
        for told in (dict(self.make().describe()), settled.describe(), author.describe()):
            assert json.loads(json.dumps(told)) == told

    def test_public_texts_are_texts_and_need_no_private_one(self):
        first, again = (self.make().public_texts(3, np.random.default_rng(2)) for _ in range(2))
        assert first == again and len(first) == 3 and all(isinstance(text, str) for text in first)

    def test_global_randomness_is_not_touched(self):
        state = np.random.get_state()[1].copy()  # noqa: NPY002 - the very thing that must stay still
        torch = sys.modules.get("torch")
        kept = None if torch is None else torch.random.get_rng_state()
        _, author = self.run(self.corpus(10))
        author.write(self.asked(author, 2), np.random.default_rng(0))
        assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
        if torch is not None and kept is not None:
            assert torch.equal(kept, torch.random.get_rng_state())
