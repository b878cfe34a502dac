"""Contamination: does the release hold items of a benchmark that somebody will test a model on?

Three methods look at each item: `gram13`, thirteen of its words in a row (the usual decontamination rule); `contained`,
at least half of its rarer word triples in one release text; `minhash`, a near-copy of the whole item. An item is found
if any method finds it.

The items are all there are, so what was found is a count and not a sample. What is uncertain is what was *missed*:
paraphrases of all items (`attacks.text.paraphrase`) are planted and the recall on them bounds the misses. With x found
and recall at least r, the number of items in the release is at most the largest K with P[Bin(K, r) <= x] > alpha.
Recall below 0.8 gives no pass. Negative control: decoys, each made of the halves of two items that were not found,
which no honest method may find.

>>> round(Census(found=0, items=200, caught=190, planted=200).upper(0.05), 3)
0.005

Not guaranteed: free rewording, translations, or items of fewer than four words found by more than their whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from attacks.controls import PositiveControl
from attacks.errors import AttackParameterError
from attacks.limits import Limit
from attacks.protocol import Endpoint, ThreatModel
from attacks.rows import Asked
from attacks.statistics import clopper_pearson_lower
from attacks.text.minhash import similarity
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import Texts, encode, grams, joined, of_words, split
from attacks.verdict import Measurement

LIMIT_ID = "text.contamination"
ENDPOINT = Endpoint(
    name="items_found", score="found", statistic="rate_excess", stratum="all", limit_id=LIMIT_ID, planted="paraphrases"
)
THREAT = ThreatModel(access="no_box", knowledge="the release and the benchmark's items")
SIMILAR = 0.5
CONTAINED = 0.5
MOST_TEXTS = 64
"""A triple that stands in more release texts than this is common wording and is left out."""
METHODS = ("gram13", "contained", "minhash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Share of all items that stand in the release: found for certain, and at most, given recall on plants."""

    found: int
    items: int
    caught: int
    planted: int
    method: str = "census_with_recall"

    @property
    def estimate(self) -> float:
        """Share found."""
        return self.found / self.items

    def lower(self, alpha: float) -> float:
        """What was found is there: no chance enters. The level must still be one."""
        if not 0.0 < alpha < 1.0:
            raise AttackParameterError(f"Expected a level alpha in (0, 1), got {alpha}.")
        return self.estimate

    def upper(self, alpha: float) -> float:
        """Largest share that leaves as few finds a chance of alpha / 2, with recall bounded at alpha / 2."""
        recall = clopper_pearson_lower(self.caught, self.planted, alpha=alpha / 2.0)
        possible = np.arange(self.found, self.items + 1)
        chance = bdtr(self.found, possible, recall)
        return float(possible[chance > alpha / 2.0].max(initial=self.found)) / self.items

    def p_exceeds(self, limit: float) -> float:
        """0 if more than the limit was found, else 1."""
        return 0.0 if self.estimate > limit else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """The scan, as the report names it."""

    name: str = "contamination"
    version: str = "1"
    threat: ThreatModel = THREAT


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scan:
    """Which items each method found, bool (items,) by method."""

    found: Mapping[str, NDArray[np.bool_]]

    @property
    def any(self) -> NDArray[np.bool_]:
        """Items that some method found."""
        return np.asarray(np.stack(list(self.found.values())).any(axis=0))


def scan(items: Texts, release: Texts) -> Scan:
    """Looks for each item in the release by each method."""
    return Scan(
        found={
            "gram13": _shares_gram(items, release, 13),
            "contained": contained(items, release) >= CONTAINED,
            "minhash": similarity(items.signatures, release.signatures) >= SIMILAR,
        }
    )


def recall_on_paraphrases(
    items: Sequence[str], release: Sequence[str], *, rng: np.random.Generator
) -> dict[str, float]:
    """Share of planted paraphrases that each method finds when they are added to the release.

    Args:
        items: the benchmark.
        release: synthetic texts.
        rng: draws the edits.
    """
    encoded = encode(items)
    planted = joined(encode(release), encode(paraphrase(item, rng) for item in items))
    found = scan(encoded, planted)
    return {name: float(hits.mean()) for name, hits in found.found.items()} | {"any": float(found.any.mean())}


def contained(items: Texts, release: Texts) -> NDArray[np.float64]:
    """Largest share of an item's distinct, not common, word triples that stand in one release text; 0 without any."""
    wanted, owner = _distinct(*grams(items, 3))
    held, texts = _distinct(*grams(release, 3))
    order = np.argsort(held, kind="stable")
    held, texts = held[order], texts[order]
    low = np.searchsorted(held, wanted, side="left")
    count = np.searchsorted(held, wanted, side="right") - low
    kept = count <= MOST_TEXTS
    rare = np.bincount(owner[kept], minlength=len(items))
    low, count, owner = low[kept & (count > 0)], count[kept & (count > 0)], owner[kept & (count > 0)]
    result = np.zeros(len(items))
    if not len(count):
        return result
    at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    pair, hits = np.unique(np.repeat(owner, count) * np.int64(len(release)) + texts[at], return_counts=True)
    item = pair // len(release)
    np.maximum.at(result, item, hits / rare[item])
    return result


def attack_contamination(
    items: Sequence[str], release: Texts, *, limit: Limit, rng: np.random.Generator
) -> tuple[Asked, dict[str, float]]:
    """The scan with both controls, and the recall of each method on the plants.

    Args:
        items: the benchmark's items.
        release: the synthetic texts.
        limit: largest tolerated share of items.
        rng: draws paraphrases and decoys.
    """
    start = time.perf_counter()
    encoded = encode(items)
    found = scan(encoded, release).any
    plants = scan(encoded, encode(paraphrase(item, rng) for item in items))
    caught, recall = int(plants.any.sum()), {name: float(hits.mean()) for name, hits in plants.found.items()}
    decoys = _decoys([item for item, seen in zip(items, found, strict=True) if not seen], rng)
    alarms = int(scan(decoys, release).any.sum())
    measurement = Measurement(
        endpoint=ENDPOINT,
        limit=limit,
        members=len(items),
        nonmembers=len(decoys),
        effect=Census(found=int(found.sum()), items=len(items), caught=caught, planted=len(items)),
        control=Census(found=alarms, items=len(decoys), caught=1, planted=1) if len(decoys) else None,
        positive=PositiveControl(kind="paraphrases", fraction=1.0, detected=caught, trials=len(items)),
    )
    row = Asked(attack=Contamination(), measurement=measurement, seconds=time.perf_counter() - start, negative="decoys")
    return row, recall | {"any": caught / len(items)}


def _decoys(items: Sequence[str], rng: np.random.Generator) -> Texts:
    """The first half of each item's words and the second half of another's."""
    words = [split(item) for item in items]
    other = rng.permutation(len(words))
    return of_words(a[: len(a) // 2] + words[b][len(words[b]) // 2 :] for a, b in zip(words, other, strict=True))


def _shares_gram(items: Texts, release: Texts, n: int) -> NDArray[np.bool_]:
    wanted, owner = grams(items, n)
    hit = np.isin(wanted, grams(release, n)[0])
    return np.bincount(owner[hit], minlength=len(items)) > 0


def _distinct(hashes: NDArray[np.uint64], owner: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[first], owner[first]
