"""Text canaries: writings of nobody, planted by secret coins, whose echo in the release is free to publish.

A canary for attacks on synthetic text begins like ordinary text, so that the generator has a use for it, and goes on
with words that nobody would put in that order, so that its trace is its own: an in-distribution prefix and a
high-perplexity suffix (Meeus et al. 2025, The Canary's Echo, arXiv 2502.14921; the wholly odd canaries that serve
attacks on models leave little trace in what models write). Prefixes and words come from texts that are public by
declaration. A fair coin decides for each canary whether it joins the training texts.

The score is the 2-gram likelihood ratio of the canary, release against public texts; the prefix counts too, since a
generator can leave a canary half way, and prefixes walked at random have pairs of their own (on a 3-gram generator at
one repeat: AUC 0.95 with 20 + 10 words, 0.81 with a suffix alone; 4,000 texts, three seeds). Ten thousand *siblings*,
made by the same rule and never inserted, give it a scale: the exposure of a canary is log2(siblings + 1) - log2(its
rank among them) bits (Carlini et al. 2019). Exposures give an AUC with limit and controls and a one-run bound on
epsilon (`attacks.dp_audit.one_run`). No private text enters, so every figure is post-processing of the release and of
coins.

>>> public = ["the loan was paid late by the bank", "a bank may ask for a fee before the loan is paid"]
>>> canaries = make_text_canaries(public, 4, rng=np.random.default_rng(0), prefix_words=3, suffix_words=5)
>>> canaries
TextCanaries(m=4, coins=<secret>)

Not guaranteed: the public texts must not be the private ones; the coins must stay secret until the release is made;
canaries left in training cost utility in proportion to their number.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attacks.canary import ENDPOINT, CanaryEvidence
from attacks.controls import CAUGHT_SHARE, LADDER, PositiveControl
from attacks.dp_audit.one_run import one_run_bound
from attacks.dp_audit.one_run_fdp import one_run_gaussian_bound
from attacks.errors import AttackInputError, AttackParameterError
from attacks.evidence import MIN_GROUP
from attacks.limits import Limit
from attacks.statistics import Effect, FloatArray, auc_delong
from attacks.text.counts import counted
from attacks.text.ngram_membership import log_probability, pair_positions
from attacks.text.tokens import Hashes, Texts, encode, grams, joined, of_words, split
from attacks.verdict import FAMILY_ALPHA, Measurement

SIBLINGS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TextCanaries:
    """Canary texts, their coins, what they were made from, and the delta at which an epsilon is bounded.

    Attributes:
        texts: the canaries, inserted or not.
        included: the coins; secret until the release is made.
        public: the public texts that prefixes and words come from.
        prefix_words: words of each prefix.
        suffix_words: words of each suffix.
        delta: of the epsilon to be bounded.
    """

    texts: tuple[str, ...]
    included: NDArray[np.bool_]
    public: tuple[str, ...]
    prefix_words: int
    suffix_words: int
    delta: float = 1e-6

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.included):
            raise AttackInputError("Canary texts and coins differ in number.", "Pass one coin a canary.")

    def inserted(self, repeats: int = 1) -> list[str]:
        """The texts that join the training data, each that many times."""
        if repeats < 1:
            raise AttackParameterError(f"Expected at least one repeat, got {repeats}.")
        return [t for t, coin in zip(self.texts, self.included, strict=True) if coin for _ in range(repeats)]

    def __repr__(self) -> str:
        return f"TextCanaries(m={len(self.texts)}, coins=<secret>)"


def make_text_canaries(
    public: Sequence[str],
    count: int,
    *,
    rng: np.random.Generator,
    prefix_words: int = 20,
    suffix_words: int = 10,
    delta: float = 1e-6,
) -> TextCanaries:
    """Draws distinct canaries and tosses their coins.

    Args:
        public: texts that are public by declaration and resemble the private ones.
        count: number of canaries m; about half will be inserted.
        rng: must be seeded secretly: who knows it knows the coins.
        prefix_words: words of a walk over the word pairs of the public texts.
        suffix_words: words drawn from the public vocabulary, each equally likely.
        delta: of the epsilon to be bounded.

    Raises:
        AttackInputError: the public texts are too few to make that many canaries.
        AttackParameterError: a number is out of range.
    """
    if count < 2 or prefix_words < 0 or suffix_words < 2:
        raise AttackParameterError("Expected two canaries, no negative prefix and a suffix of two words at least.")
    words = _drawn([split(text) for text in public], count, prefix_words, suffix_words, rng)
    texts = tuple(" ".join(w) for w in words)
    if len(set(texts)) < count:
        raise AttackInputError(f"The public texts do not yield {count} distinct canaries.", "Pass more of them.")
    return TextCanaries(
        texts=texts,
        included=rng.random(count) < 0.5,
        public=tuple(public),
        prefix_words=prefix_words,
        suffix_words=suffix_words,
        delta=delta,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Trace of the canaries in a release: exposures in bits, shape (m,), and the most that the siblings allow."""

    exposure: FloatArray
    most: float


def exposures(canaries: TextCanaries, release: Sequence[str], *, rng: np.random.Generator) -> Echo:
    """Exposure of every canary by its rank among siblings that were never inserted.

    Args:
        canaries: texts and what they were made from; the coins are not looked at.
        release: synthetic texts.
        rng: draws the siblings.
    """
    return _Listener.on(canaries, encode(release), rng).echo(None)


def attack_text_canaries(
    canaries: TextCanaries, release: Texts, *, limit: Limit, family: int, trials: int, rng: np.random.Generator
) -> CanaryEvidence:
    """Exposures with both controls, and the one-run bound.

    Args:
        canaries: texts and coins.
        release: synthetic texts.
        limit: of the AUC.
        family: number of endpoints that share the family-wise level.
        trials: plantings a share in the positive control.
        rng: draws siblings, breaks ties, draws fresh coins and plants.
    """
    start = time.perf_counter()
    coins = np.asarray(canaries.included, dtype=bool)
    listener = _Listener.on(canaries, release, rng)
    scores = listener.echo(None).exposure
    effect = _auc(scores, coins)
    positive = None
    if effect is not None:
        positive = _planted(listener, coins, limit, FAMILY_ALPHA / family, trials, rng)
    measurement = Measurement(
        endpoint=ENDPOINT,
        limit=limit,
        members=int(coins.sum()),
        nonmembers=int((~coins).sum()),
        effect=effect,
        control=_auc(scores, rng.permutation(coins)),
        positive=positive,
    )
    bound = one_run_bound(scores, coins, delta=canaries.delta, rng=rng)
    gaussian = one_run_gaussian_bound(scores, coins, rng=rng)
    return CanaryEvidence(measurement=measurement, bound=bound, gaussian=gaussian, seconds=time.perf_counter() - start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    """Pairs of canaries and siblings, and their counts in the release; prepared once for all plantings."""

    canaries: Texts
    words: Hashes
    wanted: Hashes
    owner: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    vocabulary: int
    pair: NDArray[np.int64]
    single: NDArray[np.int64]
    total: int
    reference: FloatArray

    @classmethod
    def on(cls, canaries: TextCanaries, release: Texts, rng: np.random.Generator) -> _Listener:
        public = [split(text) for text in canaries.public]
        siblings = _drawn(public, SIBLINGS, canaries.prefix_words, canaries.suffix_words, rng)
        own = of_words((split(text) for text in canaries.texts), signed=False)
        everyone, known = joined(own, of_words(siblings, signed=False)), of_words(public, signed=False)
        wanted, owner = grams(everyone, 2)
        first, second = pair_positions(everyone)
        listener = cls(
            canaries=own,
            words=everyone.words,
            wanted=wanted,
            owner=owner,
            first=first,
            second=second,
            vocabulary=len(np.unique(everyone.words)) + 1,
            pair=counted(grams(release, 2)[0]).of(wanted),
            single=counted(release.words).of(everyone.words),
            total=len(release.words),
            reference=np.zeros(0),
        )
        pair, single = counted(grams(known, 2)[0]).of(wanted), counted(known.words).of(everyone.words)
        return replace(listener, reference=listener.model(pair, single, len(known.words)))

    def model(self, pair: NDArray[np.int64], single: NDArray[np.int64], total: int) -> FloatArray:
        """Log p(w | v) of every pair of canaries and siblings under counts of pairs and words."""
        return log_probability(pair, single[self.first], single[self.second], total, self.vocabulary)

    def echo(self, planted: Texts | None) -> Echo:
        """Exposure of every canary: its rank by the ratio."""
        pair, single, total = self.pair, self.single, self.total
        if planted is not None:
            pair = pair + counted(grams(planted, 2)[0]).of(self.wanted)
            single = single + counted(planted.words).of(self.words)
            total += len(planted.words)
        ratio = self.model(pair, single, total) - self.reference
        m = len(self.canaries)
        scores = np.bincount(self.owner, weights=ratio) / np.bincount(self.owner)
        siblings = np.sort(scores[m:])
        rank = 1 + len(siblings) - np.searchsorted(siblings, scores[:m], side="left")
        most = float(np.log2(len(siblings) + 1))
        # Canaries above all siblings share the best rank; a vanishing share of the score keeps them in order.
        spread = 1e-6 * (scores[:m] - siblings[-1])
        return Echo(exposure=most - np.log2(rank) + spread, most=most)


def _drawn(
    public: Sequence[Sequence[str]], count: int, prefix: int, suffix: int, rng: np.random.Generator
) -> list[list[str]]:
    """Canaries as words: a walk over the pairs of the public texts, then words of their vocabulary, equally likely."""
    vocabulary = sorted({word for words in public for word in words})
    if len(vocabulary) < suffix:
        raise AttackInputError(
            f"The public texts hold fewer than {suffix} different words.",
            "Pass more public texts, or ask for shorter canaries.",
        )
    following: dict[str, list[str]] = {}
    for words in public:
        for first, second in pairwise(words):
            following.setdefault(first, []).append(second)
    beginnings = [words[0] for words in public if len(words) > 1]
    canaries = []
    for tail in rng.integers(len(vocabulary), size=(count, suffix)).tolist():
        walk: list[str] = []
        while len(walk) < prefix and beginnings:
            options = following.get(walk[-1], beginnings) if walk else beginnings
            walk.append(options[int(rng.integers(len(options)))])
        canaries.append(walk + [vocabulary[w] for w in tail])
    return canaries


def _auc(scores: FloatArray, coins: NDArray[np.bool_]) -> Effect | None:
    if min(int(coins.sum()), int((~coins).sum())) < MIN_GROUP:
        return None
    return auc_delong(scores[coins], scores[~coins])


def _planted(
    listener: _Listener,
    coins: NDArray[np.bool_],
    limit: Limit,
    strict: float,
    trials: int,
    rng: np.random.Generator,
) -> PositiveControl:
    """Adds a share of the inserted canaries to the release until the AUC fails."""
    inserted = np.flatnonzero(coins)
    result = PositiveControl(kind="canaries", fraction=LADDER[0], detected=0, trials=trials)
    for fraction in (f for f in LADDER if f >= ENDPOINT.share_to_reach(limit.value)):
        count = round(fraction * len(inserted))
        detected = 0
        for trial in range(trials):
            planted = listener.canaries.take(rng.permutation(inserted)[:count])
            effect = _auc(listener.echo(planted).exposure, coins)
            detected += effect is not None and effect.lower(strict) > limit.value
            if trial + 1 - detected > (1.0 - CAUGHT_SHARE) * trials:
                break
        result = PositiveControl(kind="canaries", fraction=fraction, detected=detected, trials=trials)
        if result.caught:
            break
    return result
