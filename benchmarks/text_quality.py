"""Text quality: which metric notices which sabotage, which releases the gate's text limits let through, what it costs.

    python benchmarks/text_quality.py sabotages --texts 1000 --seeds 5
    python benchmarks/text_quality.py sabotages --corpus cfpb --texts 800 --seeds 5
    python benchmarks/text_quality.py gate --texts 2000 --seeds 20
    python benchmarks/text_quality.py cost --texts 5000

`sabotages` prints, for each metric and sabotage, in how many seeds it is noticed and the median shortfall. `gate`
judges releases by the rules of attacks on the default policy's text limits, canaries left out: none are planted here.
Texts are docstring paragraphs of installed packages with their subpackage as topic, or the complaints of the shared
folder.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import attacks
from dpsynth.quality.text import evaluate_text
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


def cost(texts: tuple[tuple[str, str], ...], count: int) -> None:
    """CPU seconds and memory of one report; texts come again where there are too few."""
    rng = np.random.default_rng(0)
    parts = [[texts[i][0] for i in rng.permutation(len(texts))[:count]] for _ in range(3)]
    start = cpu()
    evaluate_text(*parts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    words = np.mean([len(text.split()) for text in parts[0]])
    print(f"{count} texts of {words:.0f} words a side: {cpu() - start:.1f} CPU s, at most {peak:.0f} MiB")


def main() -> None:
    """Runs what was asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("sabotages", "gate", "cost"))
    parser.add_argument("--corpus", choices=list(CORPORA), default="docstrings")
    parser.add_argument("--texts", type=int, default=1000, help="of each of the three parts")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    texts = CORPORA[given.corpus]()
    print(f"{given.part}: {given.corpus}, {given.texts} texts a part")
    if given.part == "sabotages":
        sabotages(texts, given.texts, given.seeds)
    elif given.part == "gate":
        gate(texts, given.texts, given.seeds)
    else:
        cost(texts, given.texts)


if __name__ == "__main__":
    main()
