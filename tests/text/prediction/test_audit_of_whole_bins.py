"""The exact law of whole bins: several texts, forms, and the test against the public model, path by path.

Every word of randomness the engine asks for is a choice here. A depth-first walk takes all of them, so that the law of
what a bin says is a finite table for each of two neighbours, and every path shows how often its records were asked.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.event import EventTree, PredictionTokens, SparseVector
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.text.prediction import engine as engine_module
from dpsynth.text.prediction.drawing import Stream
from dpsynth.text.prediction.partition import Bin
from dpsynth.text.prediction.sparse_vector import UNIT, SparseTest
from dpsynth.text.private_prediction import PrivatePrediction
from dpsynth.text.protocol import Task
from tests.text.prediction.test_audit import Answers
from tests.text.prediction.toy import Toy

ADD, ZERO, REPLACE = NeighboringRelation.ADD_REMOVE, NeighboringRelation.ZERO_OUT, NeighboringRelation.REPLACE_ONE
TOY = Toy(letters="ab", spread=30.0)
A, B, END = 0, 1, 2
BASE = {"tokens": 1, "sequences": 2, "batch_size": 2, "temperature": 0.9}
PROMPTED = {"experts": "context", "prompt": "{text}", "without": "", "length": 4}


class Alternating:
    """After a comes b; after b anything, or the end."""

    def __init__(self, last=B):
        self.last = last

    def begin(self, model):
        return Alternating()

    def allowed(self):
        return np.array([self.last == B, True, self.last == B])

    def advance(self, token):
        if not self.allowed()[token]:
            raise ValueError
        self.last = token

    def accepts(self, text):
        return not text.endswith("a")

    def describe(self):
        return {}


WRITERS = {
    "texts": {"tokens": 2},
    "a form": {"structure": Alternating(), "longest": 3},
    "a form of copies": {"structure": Alternating(), "longest": 3, "experts": "copy"},
    "a form, tested": {
        "structure": Alternating(),
        "longest": 2,
        "aggregator": "mean-clip",
        "sparse": (0.7, 2.0),
    },
    "tested": {"tokens": 2, "sequences": 1, "longest": 3, "aggregator": "mean-clip", "sparse": (0.7, 2.0)},
}
PAIRS = {
    ADD: [(("ab", "ba"), ("ab",)), (("bbb",), ()), (("b", "bb", "abab"), ("b", "abab"))],
    ZERO: [(("ab", "ba"), ("ab", "")), (("bbb",), ("",))],
    REPLACE: [(("ab", "ba"), ("ab", "bb")), (("a", "bab"), ("bbab", "bab"))],
}


class Choices:
    """A script that is followed as far as it goes, then the first of each choice; `later` are the others."""

    def __init__(self, script):
        self.script, self.made, self.later = script, [], []

    def take(self, options):
        at = len(self.made)
        if at < len(self.script):
            self.made.append(self.script[at])
        else:
            first, *others = options
            self.later += [[*self.made, other] for other in others]
            self.made.append(first)
        return self.made[-1]


@dataclass
class Path:
    """One way: its log-probability, the log of each token that heard records, and the tests, threshold by threshold."""

    chance: float
    heard: list[tuple[tuple, float]]
    runs: list[list[tuple[int, bool]]]


class Walk:
    """One run of the engine along some choices."""

    def __init__(self, engine, choices):
        self.engine, self.choices = engine, choices
        self.logged, self.heard, self.runs = 0.0, [], []

    def draw(self, scores, allowed, rate, noise):
        exponents = scores[allowed].astype(np.float64) * float(rate)
        chance = np.exp(exponents - exponents.max())
        before, token = tuple(self.choices.made), self.choices.take(allowed.tolist())
        logged = float(np.log(chance[allowed == token][0] / chance.sum()))
        self.logged += logged
        if rate == self.engine.rate:
            self.heard.append((before, logged))
        return token

    def threshold(self):
        """Its number stands for a threshold."""
        self.runs.append([])
        return len(self.runs) - 1

    def above(self, distance, threshold, noise):
        said = self.choices.take([False, True])
        self.runs[threshold].append((distance, said))
        return said

    def path(self):
        runs = [run for run in self.runs if run]
        tests = sum(log_probability(self.engine.sparse, tuple(run)) for run in runs)
        return Path(self.logged + tests, self.heard, runs)


@functools.cache
def log_probability(test, run):
    """Of the answers of one threshold."""
    told = Answers(())
    told.runs = [run]
    return told.log_probability(test)


def paths(engine, rows, patch):
    """What a bin says, every way: choices -> log-probability, records' tokens, and the log of each of them."""
    found, waiting = {}, [[]]
    while waiting:
        walk = Walk(engine, Choices(waiting.pop()))
        patch.setattr(engine_module, "draw", walk.draw)
        patch.setattr(SparseTest, "noisy_threshold", lambda test, noise, walk=walk: walk.threshold())
        patch.setattr(SparseTest, "above", lambda test, *asked, walk=walk: walk.above(*asked))
        engine.write([Bin(topics=(0,), rows=tuple(rows))], ("",), np.ones(1), [Stream(unsafe_SeededNoise(0))])
        found[tuple(walk.choices.made)] = walk.path()
        waiting += walk.choices.later
    return found


def made(kind, relation, **change):
    task = Task(unit=PrivacyUnit(), relation=relation, epsilon=Decimal(50), delta=Decimal("1e-3"))
    writer = PrivatePrediction(model=TOY, **BASE | PROMPTED | WRITERS[kind])
    settled = writer.settle(task, 0.6)
    tree = EventTree(relation=relation, unit=PrivacyUnit(), events=settled.events)
    return replace(writer._engine(settled, ("",)), **change), tree


def excess(engine, tree, pair, patch):
    """By how much the worst of counts, ranges, distances and divergences is beyond the claim; <= 0 if none."""
    one, other = (paths(engine, rows, patch) for rows in pair)
    assert one.keys() == other.keys()
    for found in (one, other):
        assert sum(math.exp(path.chance) for path in found.values()) == pytest.approx(1, abs=1e-5)
    paid = next(event for event in tree.events if isinstance(event, PredictionTokens))
    test = next((event for event in tree.events if isinstance(event, SparseVector)), None)
    worst, moved = -math.inf, {}
    for key, path in one.items():
        worst = max(worst, float(len(path.heard) - paid.count))
        for (before, mine), (_, theirs) in zip(path.heard, other[key].heard, strict=True):
            moved.setdefault(before, []).append(mine - theirs)
        if test is not None:
            worst = max(worst, float(len(path.runs) - test.count))
            worst = max([worst, *(float(sum(said for _, said in run) - test.positives) for run in path.runs)])
            for run, same in zip(path.runs, other[key].runs, strict=True):
                far = max(abs(mine - theirs) for (mine, _), (theirs, _) in zip(run, same, strict=True))
                worst = max(worst, far / UNIT - float(test.sensitivity))
    worst = max([worst, *(max(loss) - min(loss) - float(paid.bounded_range) for loss in moved.values())])
    for first, second in ((one, other), (other, one)):
        for delta in ("0.01", "0.1"):
            epsilon = float(price(tree, delta).epsilon)
            beyond = sum(max(0.0, math.exp(p.chance) - math.exp(epsilon + second[k].chance)) for k, p in first.items())
            worst = max(worst, beyond - float(delta))
    return worst


@pytest.mark.parametrize("relation", [ADD, ZERO, REPLACE])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_whole_bin_keeps_its_claim(kind, relation, monkeypatch):
    engine, tree = made(kind, relation)
    for pair in PAIRS[relation]:
        assert excess(engine, tree, pair, monkeypatch) <= 1e-5


def test_the_texts_of_a_bin_are_paid_together(monkeypatch):
    """One text more than was paid is caught, with a form and without."""
    for kind in ("texts", "a form"):
        engine, tree = made(kind, ADD, sequences=3)
        assert excess(engine, tree, PAIRS[ADD][1], monkeypatch) >= 1


def test_a_threshold_that_is_kept_is_caught(monkeypatch):
    engine, tree = made("tested", ADD)
    kept = Walk.threshold
    monkeypatch.setattr(Walk, "threshold", lambda walk: 0 if walk.runs else kept(walk))
    assert max(excess(engine, tree, pair, monkeypatch) for pair in PAIRS[ADD]) >= 1


def test_rows_that_count_twice_in_the_distance_are_caught(monkeypatch):
    engine, tree = made("tested", ADD)
    once = SparseTest.contributions
    monkeypatch.setattr(SparseTest, "contributions", lambda self, rows: 2 * once(self, rows))
    assert max(excess(engine, tree, pair, monkeypatch) for pair in PAIRS[ADD]) > 0.5
