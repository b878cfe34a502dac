"""No single metric decides: for each known sabotage, the metrics that must notice it, and real texts alarm none.

Noticed is `Metric.noticed`: worse than the real holdout by more than six standard deviations of what chance makes of
the holdout. What each metric says of each sabotage is printed by `benchmarks/text_quality.py sabotages`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dpsynth.quality.report import QualityReport
from dpsynth.quality.text import evaluate_text
from dpsynth.quality.text.names import HEADLINES
from dpsynth.release.policy import default_policy
from tests.quality.text.sabotages import SABOTAGES, complaints_by_topic, docstrings_by_topic, world
from tests.quality.trials import ENOUGH

MUST = {
    "words_shuffled": ("text_js2", "text_js3", "text_invented_pairs", "text_tail_pairs_2_9"),
    "fifty_repeated": ("text_self_bleu4", "text_coverage", "text_recall", "text_mauve", "text_repeated", "text_spread"),
    "topic_dropped": ("text_labels_kept",),
    "rare_dropped": ("text_labels_kept",),
    "truncated": ("text_length", "text_js2", "text_tail_pairs_2_9"),
    "public": ("text_js2", "text_coverage", "text_mauve", "text_tail_words_2_9"),
    "bigrams": ("text_self_bleu4",),
}
FRESH = range(240, 260)
"""On 200 to 239 two real sets in twenty were noticed, twice, and the comparison was mended."""
REFUSED = {"words_shuffled", "fifty_repeated"}
"""Beyond the default policy's limit on the headline metrics, on docstrings; public texts are too on complaints."""


@cache
def report(corpus: str, texts: int, name: str, seed: int) -> QualityReport:
    of = world(docstrings_by_topic() if corpus == "docstrings" else complaints_by_topic(), texts, seed)
    made, labels = SABOTAGES[name](of, np.random.default_rng([seed, 3]))
    return evaluate_text(of.train, made, of.held, labels=(of.topics[0], labels, of.topics[2]), seed=seed)


def refused(found: QualityReport) -> bool:
    limit = float(default_policy().text.max_text_shortfall)
    return any(found.metric(name).shortfall > limit for name in HEADLINES)


def check(corpus: str, texts: int, name: str, seed: int) -> None:
    found = report(corpus, texts, name, seed)
    for metric in MUST[name]:
        assert found.metric(metric).noticed, (name, metric, seed)
    assert refused(found) or name not in REFUSED, name


@pytest.mark.parametrize("name", MUST)
def test_each_sabotage_is_noticed_by_the_metrics_that_must(name: str) -> None:
    check("docstrings", 500, name, 0)


@pytest.mark.parametrize("name", ["real", "train_copied"])
def test_real_texts_alarm_no_metric(name: str) -> None:
    """Copies of training texts are perfect quality: the attacks find them, quality must not pretend to.

    Density alone may stir: a copy lies at distance zero, and ties are no neighbours.
    """
    found = report("docstrings", 500, name, 0)
    assert {m.name for m in found.metrics if m.noticed} <= {"text_density"} and not refused(found)


def test_order_and_diversity_are_seen_by_different_metrics() -> None:
    shuffled, repeated = (report("docstrings", 500, name, 0) for name in ("words_shuffled", "fifty_repeated"))
    for metric in ("text_js1", "text_coverage", "text_mauve", "text_self_bleu4", "text_vendi", "text_length"):
        assert not shuffled.metric(metric).noticed, metric
    assert not repeated.metric("text_invented_pairs").noticed
    assert not repeated.metric("text_length").noticed or repeated.metric("text_length").shortfall < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MUST, "real", "train_copied"])
@pytest.mark.parametrize(("corpus", "texts"), [("docstrings", 500), ("cfpb", 500)])
def test_nineteen_of_twenty_seeds(corpus: str, texts: int, name: str) -> None:
    """On the seeds that docs/concepts/text-quality.md reports; no choice was made on them."""
    short: dict[int, list[str]] = {}
    over = 0
    for seed in FRESH:
        found = report(corpus, texts, name, seed)
        noticed = {metric.name for metric in found.metrics if metric.noticed}
        missed = [metric for metric in MUST[name] if metric not in noticed] if name in MUST else sorted(noticed)
        if missed and not (name == "train_copied" and missed == ["text_density"]):
            short[seed] = missed
        over += refused(found)
    print(
        f"{corpus} {texts} {name}: {len(FRESH) - len(short)} of {len(FRESH)}, refused {over} {short or ''}", flush=True
    )
    assert len(short) <= len(FRESH) - ENOUGH, short
    if corpus == "docstrings":
        assert over >= ENOUGH if name in REFUSED else over <= len(FRESH) - ENOUGH or name in MUST
