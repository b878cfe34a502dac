"""Texts with topics, and what may go wrong with synthetic ones: each sabotage on its own, by name.

real              other real texts
words_shuffled    each text's words in random order
fifty_repeated    fifty real texts over and over
topic_dropped     no text of the second most frequent topic
rare_dropped      no text of any topic with less than 4 % of the texts
truncated         the first 40 % of each text's words
public            a word 2-gram model of public texts that knows no private one
bigrams           the same of the private texts: every pair of words is right, no sentence is
train_copied      the training texts themselves: quality is perfect, and the attacks' business
"""

from __future__ import annotations

import csv
import importlib.util
import os
import pydoc_data.topics
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.attacks.text.worlds import leaky

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("numpy", "scipy", "sklearn", "pandas")


@dataclass(frozen=True, kw_only=True)
class World:
    """Real texts with their topics in three parts, and public texts."""

    train: list[str]
    other: list[str]
    held: list[str]
    topics: tuple[list[str], list[str], list[str]]
    public: list[str]


@cache
def docstrings_by_topic() -> tuple[tuple[str, str], ...]:
    """Distinct paragraphs of 12 to 80 words from docstrings, with the subpackage they come from."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        root = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            where = path.relative_to(root).parts
            if "tests" in where or len(where) < 2:
                continue
            for block in re.findall(r'"""(.*?)"""', path.read_text("utf-8", "ignore"), re.DOTALL):
                for paragraph in re.split(r"\n\s*\n", block):
                    words = paragraph.split()
                    if 12 <= len(words) <= 80 and ">>>" not in paragraph and "---" not in paragraph:
                        found.setdefault(" ".join(words), f"{package}.{where[0]}")
    kept = {topic for topic, _ in Counter(found.values()).most_common(14)}
    return tuple((text, topic) for text, topic in found.items() if topic in kept)


def complaints_by_topic() -> tuple[tuple[str, str], ...]:
    """CFPB narratives with their issue, or a skip that says where they were looked for."""
    path = Path(os.environ.get("DPSYNTH_SHARED", REPOSITORY.parent / "shared"))
    path = path / "data" / "text" / "cfpb_payday_loan_complaints_2023.csv"
    if not path.is_file():
        pytest.skip(f"needs the CFPB narratives at {path} (set DPSYNTH_SHARED)")
    csv.field_size_limit(10**7)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = {row["Consumer complaint narrative"]: row["Issue"] for row in rows if row["Consumer complaint narrative"]}
    kept = {topic for topic, _ in Counter(texts.values()).most_common(14)}
    return tuple((text, topic) for text, topic in texts.items() if topic in kept)


def public_texts() -> list[str]:
    """Paragraphs of the language reference that Python ships."""
    joined = "\n\n".join(pydoc_data.topics.topics.values())
    return [" ".join(p.split()) for p in re.split(r"\n\s*\n", joined) if 12 <= len(p.split()) <= 120]


def world(texts: tuple[tuple[str, str], ...], count: int, seed: int) -> World:
    """Three disjoint random parts of `count` texts."""
    if len(texts) < 3 * count:
        pytest.skip(f"only {len(texts)} texts are installed")
    order = np.random.default_rng([seed, 11]).permutation(len(texts))[: 3 * count]
    train, other, held = ([texts[i] for i in part] for part in np.split(order, 3))
    return World(
        train=[t for t, _ in train],
        other=[t for t, _ in other],
        held=[t for t, _ in held],
        topics=([k for _, k in train], [k for _, k in other], [k for _, k in held]),
        public=public_texts(),
    )


Made = tuple[list[str], list[str]]


def _real(w: World, rng: np.random.Generator) -> Made:
    return w.other, w.topics[1]


def _shuffled(w: World, rng: np.random.Generator) -> Made:
    return [" ".join(rng.permutation(np.array(t.split(), dtype=object))) for t in w.other], w.topics[1]


def _repeated(w: World, rng: np.random.Generator) -> Made:
    rows = np.arange(len(w.other)) % 50
    return [w.other[i] for i in rows], [w.topics[1][i] for i in rows]


def _without(w: World, dropped: set[str], rng: np.random.Generator) -> Made:
    kept = [i for i, topic in enumerate(w.topics[1]) if topic not in dropped]
    return [w.other[i] for i in kept], [w.topics[1][i] for i in kept]


def _topic_dropped(w: World, rng: np.random.Generator) -> Made:
    return _without(w, {Counter(w.topics[0]).most_common(2)[1][0]}, rng)


def _rare_dropped(w: World, rng: np.random.Generator) -> Made:
    return _without(w, {k for k, n in Counter(w.topics[0]).items() if n < 0.04 * len(w.train)}, rng)


def _truncated(w: World, rng: np.random.Generator) -> Made:
    return [" ".join(t.split()[: max(1, 2 * len(t.split()) // 5)]) for t in w.other], w.topics[1]


def _public(w: World, rng: np.random.Generator) -> Made:
    texts = leaky(w.public, len(w.other), rng, 2)
    return texts, [w.topics[1][i] for i in rng.permutation(len(texts))]


def _bigrams(w: World, rng: np.random.Generator) -> Made:
    texts = leaky(w.train, len(w.other), rng, 2)
    return texts, [w.topics[1][i] for i in rng.permutation(len(texts))]


def _copied(w: World, rng: np.random.Generator) -> Made:
    return w.train, w.topics[0]


SABOTAGES: dict[str, Callable[[World, np.random.Generator], Made]] = {
    "real": _real,
    "words_shuffled": _shuffled,
    "fifty_repeated": _repeated,
    "topic_dropped": _topic_dropped,
    "rare_dropped": _rare_dropped,
    "truncated": _truncated,
    "public": _public,
    "bigrams": _bigrams,
    "train_copied": _copied,
}
