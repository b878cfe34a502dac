"""Text quality: which metric notices which sabotage, which releases the gate's text limits let through, what it costs.

    python benchmarks/text_quality.py sabotages --texts 1000 --seeds 5
    python benchmarks/text_quality.py sabotages --corpus cfpb --texts 800 --seeds 5
    python benchmarks/text_quality.py gate --texts 2000 --seeds 20
    python benchmarks/text_quality.py cost --texts 5000 [--corpus cfpb] [--model tiny] [--profile]

`sabotages` prints, for each metric and sabotage, in how many seeds it is noticed and the median shortfall. `gate`
judges releases by the rules of attacks on the default policy's text limits, canaries left out: none are planted here.
Texts are docstring paragraphs of installed packages with their subpackage as topic, or the complaints of the shared
folder. `cost` measures a report on that many *different* texts a part (where the corpus has fewer, sentences of its
texts are joined anew, as long as its texts are), with cached points of a sentence encoder's size, and without.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import re
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import attacks
from dpsynth.quality.text import evaluate_text
from dpsynth.quality.text.embedding import Cached
from dpsynth.release.policy import default_policy
from tests.quality.text.sabotages import SABOTAGES, World, complaints_by_topic, docstrings_by_topic, world

CORPORA = {"docstrings": docstrings_by_topic, "cfpb": complaints_by_topic}


def cpu() -> float:
    """CPU seconds of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def sabotages(texts: tuple[tuple[str, str], ...], count: int, seeds: int) -> None:
    """The table of metrics by sabotages."""
    noticed: dict[str, Counter[str]] = {}
    shortfalls: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        of = world(texts, count, seed)
        for name, sabotage in SABOTAGES.items():
            made, labels = sabotage(of, np.random.default_rng([seed, 3]))
            report = evaluate_text(of.train, made, of.held, labels=(of.topics[0], labels, of.topics[2]), seed=seed)
            for metric in report.metrics:
                noticed.setdefault(metric.name, Counter())[name] += bool(metric.noticed)
                if metric.shortfall is not None:
                    shortfalls.setdefault(metric.name, {}).setdefault(name, []).append(metric.shortfall)
    print(f"{'metric':<24} " + " ".join(f"{name[:14]:>14}" for name in SABOTAGES))
    for metric_name in sorted(noticed):
        cells = []
        for name in SABOTAGES:
            values = shortfalls.get(metric_name, {}).get(name)
            median = f"{np.median(values):7.2f}" if values else "      -"
            cells.append(f"{noticed[metric_name][name]:>3}/{seeds:<2} {median:>7}")
        print(f"{metric_name:<24} " + " ".join(f"{cell:>14}" for cell in cells))


def releases(of: World) -> dict[str, list[str]]:
    """Harmless and leaky releases by name; each as large as the training set."""
    n = len(of.train)
    return {"real": of.other} | {
        f"copies of {100 * share:g} %": [*of.train[: int(share * n)], *of.other[int(share * n) :]]
        for share in (0.01, 0.1, 0.5)
    }


def judged(of: World, release: list[str], seed: int) -> str:
    """What the rules of attacks decide under the default limits."""
    limits = {name: float(value) for name, value in default_policy().text.limits.items()}  # type: ignore[union-attr]
    report = attacks.audit_text(of.train, release, of.held, limits=limits, seed=seed)
    if report.verdict == "fail":
        return "reject"
    within = all(row.ci_high is not None and row.ci_high <= limits[row.limit_id] for row in report.attacks)
    return "ship" if report.verdict == "pass" and within else "regenerate"


def gate(texts: tuple[tuple[str, str], ...], count: int, seeds: int) -> None:
    """Decisions by release over the seeds."""
    decisions: dict[str, Counter[str]] = {}
    for seed in range(seeds):
        of = world(texts, count, seed)
        for name, release in releases(of).items():
            decisions.setdefault(name, Counter())[judged(of, release, seed)] += 1
    for name, found in decisions.items():
        print(f"{name:<18} " + ", ".join(f"{what} {times}" for what, times in found.most_common()), flush=True)


def cost(texts: tuple[tuple[str, str], ...], count: int, model: str | None, profile: bool) -> None:
    """CPU seconds and memory of one report, with the fallback embedding, with cached points, and with a model."""
    rng = np.random.default_rng(0)
    whole = [text for text, _ in texts]
    if len(whole) < 3 * count:
        sentences = [part for text in whole for part in re.split(r"(?<=[.!?])\s+", text) if part]
        lengths = [len(re.split(r"(?<=[.!?])\s+", text)) for text in whole]
        picked = rng.choice(lengths, size=3 * count)
        whole = [" ".join(sentences[i] for i in rng.integers(len(sentences), size=n)) for n in picked]
    parts = [[whole[i] for i in part] for part in np.array_split(rng.permutation(len(whole))[: 3 * count], 3)]
    words = np.mean([len(text.split()) for text in parts[0]])
    print(f"{len(set(whole)):,} different texts, {count:,} of {words:.0f} words a part")
    with tempfile.TemporaryDirectory() as folder:
        points = {text: rng.standard_normal(384).astype(np.float32) for part in parts for text in part}
        cached = Cached(embedding=_Known(points), file=Path(folder) / "points.npz")
        evaluate_text(*(part[:50] for part in parts), embedding=cached)  # loads the libraries
        cached.encode([text for part in parts for text in part])
        ways: dict[str, dict[str, object]] = {"latent semantics": {}, "cached points": {"embedding": cached}}
        if model is not None:
            from dpsynth.text.backends import load
            from dpsynth.text.scoring import scorer_of

            ways[f"cached points, {model}"] = {"embedding": cached, "scorer": scorer_of(load(model))}
        for name, more in ways.items():
            watch = cProfile.Profile()
            start = cpu()
            if profile:
                watch.enable()
            evaluate_text(*parts, **more)
            watch.disable()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name:<24} {cpu() - start:6.1f} CPU s, at most {peak:.0f} MiB", flush=True)
            if profile:
                pstats.Stats(watch).sort_stats("tottime").print_stats(15)


class _Known:
    """An encoder whose points are known already."""

    name = "known points"

    def __init__(self, points: dict[str, np.ndarray]) -> None:
        self._points = points

    def encode(self, texts: list[str], /) -> np.ndarray:
        """Rows of 384 numbers."""
        return np.stack([self._points[text] for text in texts])


def main() -> None:
    """Runs what was asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("sabotages", "gate", "cost"))
    parser.add_argument("--corpus", choices=list(CORPORA), default="docstrings")
    parser.add_argument("--texts", type=int, default=1000, help="of each of the three parts")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", help="with cost: a public language model that measures perplexity")
    parser.add_argument("--profile", action="store_true", help="with cost: where the time goes")
    given = parser.parse_args()
    texts = CORPORA[given.corpus]()
    print(f"{given.part}: {given.corpus}, {given.texts} texts a part")
    if given.part == "sabotages":
        sabotages(texts, given.texts, given.seeds)
    elif given.part == "gate":
        gate(texts, given.texts, given.seeds)
    else:
        cost(texts, given.texts, given.model, given.profile)


if __name__ == "__main__":
    main()
