"""A conditioned forest is the exact conditional, and gaps are filled from each row's own."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.tabular.conditions.conditional_forest import condition_forest, fill_forest
from dpsynth.tabular.forests.tree import Forest


def random_forest(rng: np.random.Generator) -> Forest:
    """A random forest with some zeros, codes 1-3 a column."""
    columns = int(rng.integers(1, 5))
    sizes = {f"c{i}": int(rng.integers(1, 4)) for i in range(columns)}
    order, given_, oneway = [], {}, {}
    for i, (name, size) in enumerate(sizes.items()):
        parent = f"c{rng.integers(i)}" if i and rng.random() < 0.8 else None
        order.append((name, parent))
        oneway[name] = rng.random(size) * 10 + 0.1
        if parent is not None:
            given_[name] = rng.random((sizes[parent], size)) * (rng.random((sizes[parent], size)) < 0.8)
    return Forest(order=tuple(order), oneway=oneway, given=given_)


def joint(forest: Forest) -> dict[tuple[int, ...], float]:
    """Every row's probability by the definition."""
    names = [name for name, _ in forest.order]
    out = {}
    for codes in itertools.product(*(range(len(forest.oneway[name])) for name in names)):
        row, p = dict(zip(names, codes, strict=True)), 1.0
        for name, parent in forest.order:
            law = forest.oneway[name] if parent is None else forest.given[name][row[parent]]
            p *= law[row[name]] / law.sum() if law.sum() else 1 / len(law)
        out[codes] = p
    return out


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_a_conditioned_forest_is_the_exact_conditional(seed):
    rng = np.random.default_rng(seed)
    forest = random_forest(rng)
    evidence = {
        name: rng.random(len(counts)) * (rng.random(len(counts)) < 0.7)
        for name, counts in forest.oneway.items()
        if rng.random() < 0.6
    }
    names = [name for name, _ in forest.order]
    weighted = {
        codes: p * np.prod([evidence[n][c] for n, c in zip(names, codes, strict=True) if n in evidence])
        for codes, p in joint(forest).items()
    }
    found, probability = condition_forest(forest, evidence)
    assert probability == pytest.approx(sum(weighted.values()), abs=1e-12)
    if probability > 1e-9:
        for codes, p in joint(found).items():
            assert p == pytest.approx(weighted[codes] / probability, abs=1e-9)


def test_gaps_of_a_forest_follow_the_exact_conditional_of_each_row():
    """20,000 copies of each pattern of known codes; largest distance of any pattern within the noise of as many."""
    rng = np.random.default_rng(3)
    forest = Forest(
        order=(("a", None), ("b", "a"), ("c", "b"), ("d", None)),
        oneway={"a": rng.random(3), "b": rng.random(4), "c": rng.random(3), "d": rng.random(2)},
        given={"b": rng.random((3, 4)) ** 3, "c": rng.random((4, 3)) ** 3},
    )
    law = joint(forest)
    for pattern in ((1, -1, -1, -1), (-1, -1, 0, -1), (0, -1, 1, -1), (-1, 2, -1, 0), (-1, -1, -1, -1)):
        copies = {name: np.full(20_000, code) for name, code in zip("abcd", pattern, strict=True)}
        filled = fill_forest(forest, copies, rng)
        # a gap is never filled with the last code, which is missing
        fits = {
            codes: p
            for codes, p in law.items()
            if all((k == c) if k >= 0 else c < len(forest.oneway[n]) - 1
                   for n, k, c in zip("abcd", pattern, codes, strict=True))
        }  # fmt: skip
        total = sum(fits.values())
        counts = Counter(zip(*(filled[name].tolist() for name in "abcd"), strict=True))
        assert set(counts) <= set(fits)
        assert sum(abs(counts[codes] / 20_000 - p / total) for codes, p in fits.items()) / 2 < 0.02
