"""Each figure against known answers: of the packages that are the field's reference, and worked out by hand.

The packages are no dependency. Values were computed once in a throw-away environment: nltk 3.10.4 (`sentence_bleu`,
`SmoothingFunction().method1`), prdc 0.2, vendi-score 0.0.3 (`score_dual`), mauve-text 0.4.0 with faiss-cpu (60 buckets,
scaling 5, 5 restarts, mean over seeds 0-19).
"""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest

from attacks.text.embedding import unit
from dpsynth.core.errors import DataError
from dpsynth.quality.neighbours import prdc, spread, vendi
from dpsynth.quality.text.labels import mean_recall
from dpsynth.quality.text.likelihood import shares_beyond, surprise
from dpsynth.quality.text.marks import shares
from dpsynth.quality.text.mauve import area, mauve, mauve_and_redraws, worst_group
from dpsynth.quality.text.measures import metric
from dpsynth.quality.text.ngrams import Spread, divergence, jensen_shannon, length_distance, tail
from dpsynth.quality.text.repetition import bleu_each, distinct, repeated, self_bleu
from dpsynth.quality.text.sets import TextSet, anchored, drawn_words

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def sayings() -> TextSet:
    rng = np.random.default_rng(7)
    return TextSet.of([" ".join(rng.choice(WORDS, rng.integers(2, 14), p=np.arange(1, 11) / 55)) for _ in range(40)])


def test_self_bleu_is_that_of_nltk() -> None:
    found = bleu_each(sayings())
    assert found.mean() == pytest.approx(0.33919765768036053, abs=1e-12)
    assert found[:5] == pytest.approx([0.218342, 0.546633, 0.316228, 0.316228, 0.240281], abs=1e-6)


def test_self_bleu_of_copies_is_one_and_of_strangers_zero() -> None:
    assert self_bleu(TextSet.of(["a b c d e"] * 4)).value == 1.0
    assert self_bleu(TextSet.of(["a b c d e", "f g h i j"])).value == 0.0
    assert self_bleu(TextSet.of(["alone"])).value == 0.0
    assert self_bleu(TextSet.of(["", "a b", "a b"])).value < 1.0


def test_precision_recall_density_and_coverage_are_those_of_prdc() -> None:
    real, made = (
        np.random.default_rng(1).normal(size=(300, 6)),
        np.random.default_rng(2).normal(size=(250, 6)) * 0.8 + 0.3,
    )
    found = prdc(real, made)
    assert (found.precision, found.recall, found.density) == pytest.approx((0.992, 0.78, 1.2392), abs=1e-12)
    assert found.coverage == pytest.approx(0.9166666666666666, abs=1e-12)
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0]
    assert prdc(real @ turned + 2, made @ turned + 2).coverage == pytest.approx(found.coverage, abs=0.01)


def test_memory_of_neighbours_does_not_grow_with_the_square() -> None:
    points = np.random.default_rng(0).normal(size=(2, 6_000, 4)).astype(np.float32)
    tracemalloc.start()
    prdc(points[0], points[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 220 << 20 < 6_000**2 * 8  # one matrix of distances would take 288 MB, and three are needed


def test_vendi_is_that_of_vendi_score_and_counts_modes() -> None:
    x = np.random.default_rng(1).normal(size=(300, 6))
    assert vendi(x / np.linalg.norm(x, axis=1, keepdims=True)) == pytest.approx(5.944019017817182, abs=1e-9)
    assert vendi(np.repeat(np.eye(7), 9, axis=0)) == pytest.approx(7.0)
    assert vendi(np.ones((5, 3)) / np.sqrt(3)) == pytest.approx(1.0)


def test_spread_of_twins_is_zero_and_of_opposites_one() -> None:
    assert spread(np.repeat(np.eye(3), 2, axis=0)) == 0.0
    assert spread(np.eye(3)) == pytest.approx(1.0) and spread(np.eye(3)[:1]) == 0.0


@pytest.mark.parametrize(("shift", "known"), [(0.0, 0.96667), (0.3, 0.72470), (1.0, 0.04598)])
def test_mauve_is_within_a_hundredth_of_mauve_text(shift: float, known: float) -> None:
    left = np.random.default_rng(3).normal(size=(600, 10))
    right = np.random.default_rng(4).normal(size=(600, 10)) + shift
    assert mauve(left, right, seeds=20).value == pytest.approx(known, abs=0.01)


def test_points_in_single_precision_score_as_in_double_and_copies_stay_copies() -> None:
    rng = np.random.default_rng(8)
    real, made = (unit(rng.normal(size=(300, 40)).astype(np.float32)) for _ in range(2))
    single, double = prdc(real, made), prdc(real.astype(float), made.astype(float))
    for figure in ("precision", "recall", "density", "coverage"):
        assert getattr(single, figure) == pytest.approx(getattr(double, figure), abs=0.01)
    copies = np.repeat(real[:30], 10, axis=0)
    assert (
        prdc(copies, copies[3:200:7]).density == 0.0 and spread(copies) == 0.0
    )  # at distance zero: on the edge, not within


def test_redraws_of_mauve_are_what_refits_give_and_do_not_follow_a_difference() -> None:
    """On one clustering against a new one each: the same law; sides that differ leave the redraws where they are."""
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(2, 400, 8))
    score, redraws = mauve_and_redraws(left, right, 40)
    fresh = [mauve(*rng.permutation(np.concatenate([left, right])).reshape(2, 400, 8)).value for _ in range(20)]
    assert score == mauve(left, right) and len(set(redraws)) > 30
    assert np.mean(redraws) == pytest.approx(np.mean(fresh), abs=0.006)
    assert 0.5 < np.std(redraws) / np.std(fresh) < 2.0
    apart, redraws = mauve_and_redraws(left, right + 1.0, 8)
    assert apart.value < 0.3 and min(redraws) > 0.9


def test_mauve_of_equal_histograms_is_one_and_of_disjoint_ones_zero() -> None:
    p = np.array([0.5, 0.3, 0.2, 0.0])
    assert area(p, p) == pytest.approx(1.0)
    assert area(p, np.array([0.0, 0.0, 0.0, 1.0])) < 0.01
    assert area(p, p[::-1]) == pytest.approx(area(p[::-1], p))


def test_the_group_that_is_lost_is_found() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 20)) * 4
    real, other = (centres[np.arange(800) % 8] + rng.normal(size=(800, 20)) for _ in range(2))
    assert worst_group(real, other) > 0.6
    assert worst_group(real, other[np.arange(800) % 8 != 5]) < 0.2


def test_ngrams_that_are_merged_are_those_that_are_counted_one_by_one() -> None:
    left, right = sayings(), sayings().take(np.arange(7, 30))
    for n in (1, 2, 3):
        held: list[Counter[int]] = []
        for own in (left, right):
            hashes, owners = (part.tolist() for part in own.grams(n))
            held.append(Counter(hashes))
            assert dict(zip(*(part.tolist() for part in own.kinds(n)), strict=True)) == held[-1]
            texts = Counter(one for one, _ in set(zip(hashes, owners, strict=True)))
            assert own.holders(n).tolist() == [texts[one] for one in own.kinds(n)[0].tolist()]
        kinds = sorted(held[0] | held[1])
        p, q = (np.array([one[kind] for kind in kinds]) / one.total() for one in held)
        assert divergence(left, right, n).value == pytest.approx(jensen_shannon(p, q), abs=1e-12)
        assert divergence(left, right, n, interval=True).value == pytest.approx(jensen_shannon(p, q), abs=1e-12)
        assert tail(right, left, n).invented == pytest.approx(
            sum(times for kind, times in held[0].items() if kind not in held[1]) / held[0].total()
        )


def test_divergence_by_hand() -> None:
    left, right = TextSet.of(["a b"]), TextSet.of(["a c"])
    assert divergence(left, right, 1).value == pytest.approx(0.5)
    assert divergence(left, right, 2).value == 1.0 and divergence(left, right, 3).value == 1.0
    assert divergence(left, left, 2).value == 0.0


def test_the_interval_of_a_divergence_covers_what_other_texts_give() -> None:
    """Jackknife against the spread over fresh sets: neither a tenth of it nor ten times as wide."""
    rng = np.random.default_rng(1)

    def texts(count: int) -> TextSet:
        return TextSet.of([" ".join(rng.choice(WORDS, 8, p=np.arange(1, 11) / 55)) for _ in range(count)])

    real = texts(2000)
    found = [divergence(real, texts(200), 2, interval=True) for _ in range(30)]
    half = np.mean([(one.high - one.low) / 2 for one in found])
    spread_ = 1.96 * np.std([one.value for one in found], ddof=1)
    assert 0.5 < half / spread_ < 2.0


def test_tails_by_hand() -> None:
    real = TextSet.of(["rare word here"] * 2 + ["common thing"] * 12)
    found = tail(real, TextSet.of(["common thing made up"]), 1)
    assert found.kept == {(2, 9): 0.0, (10, 99): 1.0} and found.invented == 0.5
    assert tail(real, TextSet.of(["thing common"]), 2).invented == 1.0


def test_lengths_repeats_and_distinct_by_hand() -> None:
    short, long = TextSet.of(["a"] * 3), TextSet.of(["a b c"] * 3)
    assert length_distance(short, long) == 1.0 and length_distance(long, long) == 0.0
    assert repeated(long) == pytest.approx(2 / 3)
    assert repeated(TextSet.of(["A b!", "a B", "c"])) == pytest.approx(1 / 3)
    assert distinct(long, 1, 6) == 0.5 and distinct(long, 1, 3) == 1.0 and distinct(short, 2, 5) == 0.0


def test_marks_count_texts_and_check_digits() -> None:
    found = shares(["XXXX owes XX/XX/2023", "call [NAME]", "card 4111 1111 1111 1111", "card 4111 1111 1111 1112"])
    assert found["redaction"] == 0.5 and found["card"] == 0.25 and found["email"] == 0.0


def test_both_tails_of_surprise_are_seen() -> None:
    rng = np.random.default_rng(0)
    tokens = np.full(400, 10.0)

    def said(nats: float) -> object:
        return surprise(lambda texts: (-tokens * (nats + rng.normal(size=400) / 10), tokens), ["x"] * 400)

    real = said(3.0)
    assert shares_beyond(real, said(3.0)) == pytest.approx((0.05, 0.05), abs=0.04)
    assert shares_beyond(real, said(2.0))[0] > 0.95 and shares_beyond(real, said(4.0))[1] > 0.95
    with pytest.raises(DataError):
        surprise(lambda texts: (np.full(2, np.nan), np.ones(2)), ["a", "b"])


def test_redraws_of_one_pool_vary_less_than_fresh_texts_and_by_how_much_is_known() -> None:
    """Of a figure of one set: fresh holdouts against redraws of it, corrected, over 60 worlds; both by brute force."""
    rng = np.random.default_rng(1)

    def texts(count: int) -> list[str]:
        return ["w " * n + "end" for n in rng.poisson(20, count)]

    def mean(one: TextSet) -> float:
        return float(one.encoded.lengths.mean())

    varied, plain, fresh = [], [], []
    for _ in range(60):
        sets = anchored(texts(60), texts(60), texts(60), rng)
        plain.append(np.var([mean(held) for _, held in sets.redraws], ddof=1))
        varied.append(plain[-1] * sets.few().beyond_redraws ** 2)
        fresh += [mean(sets.held), mean(sets.synthetic)]
    assert sets.beyond_redraws == pytest.approx(np.sqrt(2))
    assert np.mean(varied) == pytest.approx(np.var(fresh, ddof=1), rel=0.3)
    assert np.mean(plain) < 0.7 * np.var(fresh, ddof=1)


def test_anchors_have_the_sizes_that_they_are_compared_at() -> None:
    rng = np.random.default_rng(0)
    sets = anchored([f"w{i} x" for i in range(40)], [f"y{i}" for i in range(30)], ["a b c"] * 10, rng)
    sizes = {name: len(getattr(sets, name)) for name in sets.__dataclass_fields__ if name not in ("redraws", "pool")}
    assert sizes == {"real": 40, "synthetic": 30, "held": 10, "matched": 10, "half": 20, "other_half": 10, "drawn": 10}
    assert {(len(real), len(held)) for real, held in sets.redraws} == {(40, 10)}
    few = sets.few()
    assert {len(few.real), len(few.synthetic), len(few.held), len(few.half)} == {10}
    drawn = drawn_words(["a b", "c"], 500, rng)
    assert {len(text.split()) for text in drawn} == {1, 2}
    assert {word for text in drawn for word in text.split()} == {"a", "b", "c"}


def test_redraws_that_agree_by_luck_do_not_make_one_word_news() -> None:
    same = {f"redraw{number}": 1.0 for number in range(8)}
    kept = {"value": 0.99, "reference": 1.0, **same}
    assert metric("m", "high", kept).noticed and not metric("m", "high", kept, least=0.01).noticed
    known = Spread(value=0.5, low=0.5 - 1.96 * 0.02, high=0.5 + 1.96 * 0.02)
    found = metric("m", "low", {"value": 0.6, "reference": known, **dict.fromkeys(same, 0.5)})
    assert found.spread == pytest.approx(0.02, rel=1e-3) and not found.noticed
    assert metric("m", "low", {"value": 0.63, "reference": known, **dict.fromkeys(same, 0.5)}).noticed
    lucky = {"value": 0.595, "reference": 0.5, **{f"redraw{number}": 0.58 + 0.001 * number for number in range(8)}}
    assert not metric("m", "low", lucky).noticed  # the holdout was near by luck


def test_of_each_band_it_is_known_how_many_words_it_holds() -> None:
    real = TextSet.of(["a b"] * 5 + ["a c"] * 5 + ["d"])
    assert tail(real, real, 1).kinds == {(2, 9): 2, (10, 99): 1}


@pytest.mark.parametrize("sizes", [(400, 400), (300, 6, 6, 6), (800, 20, 3)])
def test_the_interval_of_a_mean_over_labels_is_that_of_its_rarest_ones(sizes: tuple[int, ...]) -> None:
    """At least 90 % of 1,000 draws, for an interval of 95 % of few texts; that of as many texts alone has a half."""
    rng, chance = np.random.default_rng(41), np.linspace(0.9, 0.6, len(sizes))
    found = [mean_recall([rng.random(size) < p for size, p in zip(sizes, chance, strict=True)]) for _ in range(1000)]
    truth = float(chance.mean())
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.9
    by_texts = 0.98 / np.sqrt(sum(sizes))  # the widest of one share
    assert (np.mean([abs(one.value - truth) <= by_texts for one in found]) < 0.75) == (min(sizes) < 100)
