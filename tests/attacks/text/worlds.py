"""Real texts and generators of known leak for the tests of text attacks."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("numpy", "scipy", "sklearn", "pandas")


@cache
def docstrings() -> tuple[str, ...]:
    """Distinct sentences of 10 to 60 words from docstrings of installed packages, in a fixed random order."""
    found: dict[str, None] = {}
    for package in PACKAGES:
        root = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            if "tests" in path.parts:
                continue
            for block in re.findall(r'"""(.*?)"""', path.read_text("utf-8", "ignore"), re.DOTALL):
                for sentence in re.split(r"(?<=[.!?])\s+|\n\s*\n", block):
                    words = sentence.split()
                    if 10 <= len(words) <= 60 and ">>>" not in sentence and "---" not in sentence:
                        found.setdefault(" ".join(words), None)
    texts = list(found)
    return tuple(texts[i] for i in np.random.default_rng(2026).permutation(len(texts)))


def parts(*sizes: int, seed: int = 0) -> list[list[str]]:
    """Disjoint random parts of the docstrings."""
    texts = docstrings()
    order = np.random.default_rng([seed, 1]).permutation(len(texts))
    assert sum(sizes) <= len(texts), f"only {len(texts)} sentences are installed"
    cuts = np.cumsum(sizes)
    return [[texts[i] for i in part] for part in np.split(order[: cuts[-1]], cuts[:-1])]


def messages() -> list[str]:
    """The SMS Spam Collection from the shared folder, or a skip that says where it was looked for."""
    root = Path(os.environ.get("DPSYNTH_SHARED", REPOSITORY.parent / "shared"))
    path = root / "data" / "text" / "SMSSpamCollection.tsv"
    if not path.is_file():
        pytest.skip(f"needs the SMS Spam Collection at {path} (set DPSYNTH_SHARED)")
    return [line.rstrip("\r\n").split("\t", 1)[1] for line in path.read_text("utf-8").splitlines() if "\t" in line]


def complaints() -> list[str]:
    """CFPB narratives from the shared folder, or a skip that says where it was looked for."""
    root = Path(os.environ.get("DPSYNTH_SHARED", REPOSITORY.parent / "shared"))
    path = root / "data" / "text" / "cfpb_payday_loan_complaints_2023.csv"
    if not path.is_file():
        pytest.skip(f"needs the CFPB narratives at {path} (set DPSYNTH_SHARED)")
    csv.field_size_limit(10**7)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = max(rows[0], key=lambda c: sum(len(r[c] or "") for r in rows[:50]))
    return [r[column] for r in rows if r[column]]


def leaky(texts: list[str], count: int, rng: np.random.Generator, order: int = 3) -> list[str]:
    """Samples of a word n-gram model of the texts without noise: the leaky generator."""
    begin, end = "<s>", "</s>"
    following: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text in texts:
        words = [begin] * (order - 1) + text.split() + [end]
        for at in range(order - 1, len(words)):
            following[tuple(words[at - order + 1 : at])].append(words[at])
    made = []
    for _ in range(count):
        state, out = [begin] * (order - 1), []
        while len(out) < 60:
            options = following[tuple(state)]
            word = options[int(rng.integers(len(options)))]
            if word == end:
                break
            out.append(word)
            state = [*state[1:], word]
        made.append(" ".join(out))
    return made


def private_bigrams(
    texts: list[str], vocabulary: list[str], count: int, epsilon: float, rng: np.random.Generator, clip: int = 20
) -> list[str]:
    """Samples of a 2-gram model with Laplace noise on every count of a public vocabulary: epsilon-DP for one text.

    Each text gives at most `clip` pairs, so that adding or removing it moves the counts by at most `clip` in L1; noise
    of scale clip / epsilon is added to all counts, seen or not. Words outside the vocabulary are one symbol, dropped on
    the way out.
    """
    index = {word: i + 1 for i, word in enumerate(vocabulary)}
    size = len(vocabulary) + 1  # 0: beginning, end and unknown
    pairs: Counter[tuple[int, int]] = Counter()
    for text in texts:
        codes = [0] + [index.get(word, 0) for word in text.split()] + [0]
        pairs.update(list(pairwise(codes))[:clip])
    counts = np.zeros((size, size))
    for (a, b), n in pairs.items():
        counts[a, b] = n
    noisy = np.maximum(counts + rng.laplace(0.0, clip / epsilon, counts.shape) - 3.0 * clip / epsilon, 0.0)
    totals = noisy.sum(axis=1)
    noisy[totals == 0.0] = noisy.sum(axis=0) + 1.0
    steps = np.cumsum(noisy, axis=1)
    made = []
    for _ in range(count):
        at, out = 0, []
        while len(out) < 40:
            at = int(np.searchsorted(steps[at], rng.random() * steps[at, -1], side="right"))
            at = min(at, size - 1)
            if at == 0:
                if len(out) >= 8:
                    break
                continue
            out.append(vocabulary[at - 1])
        made.append(" ".join(out))
    return made
