"""The exact law of a toy against its claim: every sequence of tokens is enumerated through the engine itself."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.text.prediction import engine as engine_module
from dpsynth.text.prediction.drawing import Stream
from dpsynth.text.prediction.partition import Bin
from dpsynth.text.prediction.sparse_vector import UNIT, SparseTest
from dpsynth.text.private_prediction import PrivatePrediction
from dpsynth.text.protocol import Task
from tests.text.prediction.toy import Toy

ADD, ZERO, REPLACE = NeighboringRelation.ADD_REMOVE, NeighboringRelation.ZERO_OUT, NeighboringRelation.REPLACE_ONE
CLIP = 0.6
TOY = Toy(letters="ab", spread=30.0)  # differences of most letters are beyond the clip
PROMPTS = {"prompt": "{text}", "without": "", "length": 4}
WRITERS = {
    "copy": {"experts": "copy"},
    "context": {"experts": "context", **PROMPTS},
    "top-k+": {"experts": "context", "top_k": 2, **PROMPTS},
    "mean": {"experts": "context", "aggregator": "mean-clip", **PROMPTS},
    "sparse": {"experts": "context", "aggregator": "mean-clip", "sparse": (0.7, 2.0), **PROMPTS},
}
PAIRS = {
    ADD: [(("ab", "ba"), ("ab",)), (("aa",), ()), (("b", "bb", "abab"), ("b", "abab")), (("bbb",), ())],
    REPLACE: [(("ab", "ba"), ("ab", "bb")), (("aa",), ("bb",)), (("a", "bab"), ("bbab", "bab"))],
}
PAIRS[ZERO] = [(("ab", "ba"), ("ab", "")), (("aa",), ("",)), (("b", "bb", "abab"), ("b", "", "abab"))]


class Script:
    """Stands where tokens are drawn: takes the given ones and adds up the log-probability of what it takes."""

    def __init__(self, tokens):
        self.tokens, self.taken = tokens, []

    def __call__(self, scores, allowed, rate, noise):
        token = self.tokens[len(self.taken)]
        exponents = scores[allowed].astype(np.float64) * float(rate)
        exponents -= exponents.max()
        at = np.flatnonzero(allowed == token)
        chance = np.exp(exponents) / np.exp(exponents).sum()
        self.taken.append(math.log(chance[at[0]]) if len(at) and chance[at[0]] > 0 else -math.inf)
        return token


class Answers:
    """Stands where the test against the public model is asked: says what it is told, remembers the distances."""

    def __init__(self, says):
        self.says, self.runs, self.asked = says, [[]], 0

    def __call__(self, test, distance, noisy_threshold, noise):
        above = self.says[self.asked]
        self.asked += 1
        self.runs[-1].append((distance, above))
        if above:
            self.runs.append([])
        return above

    def log_probability(self, test):
        """Integral over each run's threshold noise."""
        scale = float(test.sigma) * test.batch_size * UNIT
        rho = np.linspace(-40, 40, 16001) * scale
        weight = np.exp(-np.abs(rho) / scale)
        weight /= weight.sum()
        total = 0.0
        for run in self.runs:
            chance = np.ones_like(rho)
            for distance, above in run:
                x = (float(test.threshold) * test.batch_size * UNIT + rho - distance) / (2 * scale)
                below = np.where(x < 0, 0.5 * np.exp(np.minimum(x, 0)), 1 - 0.5 * np.exp(-np.maximum(x, 0)))
                chance *= 1 - below if above else below
            total += math.log((weight * chance).sum())
        return total


def law(engine, rows, patch):
    """Log-probability of every sequence, and of each of its tokens given those before."""
    found = {}
    letters = range(engine.model.vocabulary)
    says = itertools.product((False, True), repeat=engine.tokens) if engine.sparse else [()]
    for answer, tokens in itertools.product(list(says), itertools.product(letters, repeat=engine.tokens)):
        script, told = Script(tokens), Answers(answer)
        patch.setattr(engine_module, "draw", script)
        patch.setattr(SparseTest, "above", lambda *asked, told=told: told(*asked))
        engine.write([Bin(topics=(0,), rows=tuple(rows))], ("",), np.ones(1), [Stream(unsafe_SeededNoise(0))])
        said = tokens[: len(script.taken)], answer[: told.asked]
        found[said] = sum(script.taken) + (told.log_probability(engine.sparse) if engine.sparse else 0.0), script.taken
    return found


def made(kind, relation, **change):
    """The engine and what it claims."""
    task = Task(unit=PrivacyUnit(), relation=relation, epsilon=Decimal(50), delta=Decimal("1e-3"))
    writer = PrivatePrediction(
        model=TOY, tokens=2 if kind == "sparse" else 3, batch_size=2, sequences=1, temperature=0.9, **WRITERS[kind]
    )
    settled = writer.settle(task, CLIP)
    tree = EventTree(relation=relation, unit=PrivacyUnit(), events=settled.events)
    return replace(writer._engine(settled, ("",)), **change), tree


def excess(engine, tree, pair, patch):
    """By how much the range of a token's loss, or the hockey-stick divergence, is beyond the claim; <= 0 if not."""
    one, other = (law(engine, rows, patch) for rows in pair)
    assert one.keys() == other.keys()
    for found in (one, other):
        assert sum(math.exp(whole) for whole, _ in found.values()) == pytest.approx(1, abs=1e-6)
    eta = float(tree.events[-1].bounded_range)
    losses = {}
    for key, (_, taken) in one.items():
        before = key[0][: len(taken) - 1], key[1]
        both = taken[-1], other[key][1][-1]
        losses.setdefault(before, []).append(0.0 if both[0] == both[1] else both[0] - both[1])
    worst = max(max(loss) - min(loss) for loss in losses.values()) - eta
    for first, second in ((one, other), (other, one)):
        for delta in ("0.01", "0.1"):
            epsilon = float(price(tree, delta).epsilon)
            found = sum(max(0.0, math.exp(p) - math.exp(epsilon + second[k][0])) for k, (p, _) in first.items())
            worst = max(worst, found - float(delta))
    return worst


@pytest.mark.parametrize("relation", [ADD, ZERO, REPLACE])
@pytest.mark.parametrize("kind", WRITERS)
def test_the_exact_law_keeps_its_claim(kind, relation, monkeypatch):
    engine, tree = made(kind, relation)
    for pair in PAIRS[relation]:
        assert excess(engine, tree, pair, monkeypatch) <= 1e-5


@pytest.mark.parametrize("kind", ["context", "mean", "copy"])
def test_the_claim_is_nearly_reached(kind, monkeypatch):
    """Some token's loss has the whole range, so that an audit of these pairs has power."""
    engine, tree = made(kind, ADD)
    worst = max(excess(engine, tree, pair, monkeypatch) for pair in PAIRS[ADD])
    assert worst > -0.05 * float(tree.events[-1].bounded_range)


@pytest.mark.parametrize("kind", ["copy", "context", "mean"])
def test_half_the_divisor_is_caught(kind, monkeypatch):
    engine, tree = made(kind, ADD)
    halved = replace(engine, batch_size=1)
    if kind != "mean":
        halved = replace(halved, aggregator=replace(engine.aggregator, batch_size=1))
    worst = max(excess(halved, tree, pair, monkeypatch) for pair in PAIRS[ADD])
    assert worst > 0.5 * float(tree.events[-1].bounded_range)


def test_a_truncated_bin_priced_as_summed_is_caught(monkeypatch):
    """One slot: a new row displaces another, which is a replacement and has twice the range."""
    engine, tree = made("context", ADD)
    worst = max(excess(engine, tree, (pair[0][:1], pair[1][:1]), monkeypatch) for pair in PAIRS[REPLACE])
    assert worst > 0.4 * float(tree.events[-1].bounded_range)


def test_replacement_priced_as_removal_is_caught(monkeypatch):
    engine, _ = made("context", REPLACE)
    tree = made("context", ADD)[1]
    assert max(excess(engine, tree, pair, monkeypatch) for pair in PAIRS[REPLACE]) > 0.1


def test_candidates_chosen_from_private_rows_are_caught(monkeypatch):
    engine, tree = made("context", ADD)
    rows = []

    def private(public, top_k, margin):
        return np.arange(len(public)) if len(rows) < 2 else np.array([0, 2])

    monkeypatch.setattr(engine_module, "candidates", private)
    open_bins = type(engine.experts).open
    monkeypatch.setattr(
        type(engine.experts), "open", lambda self, bins: rows.__setitem__(slice(None), bins[0]) or open_bins(self, bins)
    )
    assert max(excess(engine, tree, pair, monkeypatch) for pair in PAIRS[ADD]) == math.inf


def test_a_test_with_half_the_noise_is_caught(monkeypatch):
    """The test against the public model alone, on a bin and threshold where its loss is near its bound."""
    engine, _ = made("sparse", ADD)
    test = replace(engine.sparse, sigma=Decimal("0.5"))
    bound = float(test.event(ADD, 1).epsilon)

    def worst(sigma):
        run = replace(test, sigma=Decimal(sigma))
        losses = []
        for moved, says in itertools.product((-UNIT, UNIT), itertools.product((False, True), repeat=2)):
            chances = []
            for distance in (0, moved):
                answers = Answers(says)
                for _ in range(2):
                    answers(run, 2 * UNIT + distance, 0, None)
                    if answers.runs[-1] == []:
                        break
                chances.append(answers.log_probability(run))
            losses.append(abs(chances[0] - chances[1]))
        return max(losses)

    assert worst("0.5") <= bound
    assert worst("0.125") > bound
