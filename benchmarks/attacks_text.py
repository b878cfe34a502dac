"""Text attacks: power on leaky generators, silence on harmless ones, recall on plants, speed and memory.

    python benchmarks/attacks_text.py --texts 2000 --seeds 5
    python benchmarks/attacks_text.py --corpus cfpb --seeds 5 --json text.json

Texts are distinct sentences from the docstrings of installed packages, or a corpus of the shared folder (`sms`,
`cfpb`). Each seed splits anew into members, holdout and public texts and prints medians over the seeds of

    gram3, gram2    word n-gram samplers of members and 400 inserted canaries (one repeat): the leaky generators
    dp              2-gram sampler with Laplace noise on all counts of a public vocabulary, epsilon 1 for one text
    null            the public texts as release: real, never trained on
    copy10, copy1   the null with copies of that share (per cent) of the members
    reworded10      the null with rule-based paraphrases of a tenth of the members
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import attacks
from attacks.text.contamination import recall_on_paraphrases
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import encode, grams
from tests.attacks.text.worlds import complaints, docstrings, leaky, messages, private_bigrams

CORPORA = {"docstrings": docstrings, "sms": messages, "cfpb": complaints}
CANARIES = 400


def cpu() -> float:
    """CPU seconds of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def releases(members: list[str], public: list[str], planted: list[str], rng: np.random.Generator) -> dict[str, list]:
    """Releases by name, as the module says."""
    n, train = len(members), [*members, *planted]
    vocabulary = [w for w, _ in Counter(w for t in public for w in t.split()).most_common(1000)]
    return {
        "gram3": leaky(train, n, rng, 3),
        "gram2": leaky(train, n, rng, 2),
        "dp": private_bigrams(train, vocabulary, n, 1.0, rng),
        "null": public,
        "copy10": members[: n // 10] + public,
        "copy1": members[: n // 100] + public,
        "reworded10": [paraphrase(t, rng) for t in members[: n // 10]] + public,
    }


def main() -> None:
    """Runs what was asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", choices=list(CORPORA), default="docstrings")
    parser.add_argument("--texts", type=int, default=2000, help="members; as many holdout and public texts")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    texts = list(CORPORA[given.corpus]())
    n = min(given.texts, len(texts) // 3)
    rows: dict[str, list[dict]] = {}
    for seed in range(given.seeds):
        rng = np.random.default_rng([seed, 5])
        order = rng.permutation(len(texts))[: 3 * n]
        members, holdout, public = ([texts[i] for i in part] for part in np.split(order, 3))
        canaries = attacks.make_text_canaries(public, CANARIES, rng=rng)
        for name, release in releases(members, public, canaries.inserted(), rng).items():
            start = cpu()
            with_canaries = canaries if name in ("gram3", "gram2", "dp") else None
            report = attacks.audit_text(members, release, holdout, canaries=with_canaries, seed=seed)
            found = {(r.name, r.endpoint): r for r in report.attacks}
            rows.setdefault(name, []).append(
                {
                    "verdict": report.verdict,
                    "ngram_auc": found["text_ngram", "auc"].estimate,
                    "overlap_auc": found["text_overlap", "auc"].estimate,
                    "gram8_excess": found["text_verbatim", "gram8_excess"].estimate,
                    "gram13_excess": found["text_verbatim", "gram13_excess"].estimate,
                    "near_tpr_excess": found["text_near_duplicate", "tpr_excess@fpr=0.05"].estimate,
                    "canary_auc": found["canary", "auc"].estimate if with_canaries else None,
                    "epsilon": report.epsilon_lower_bound.value if report.epsilon_lower_bound else None,
                    "failed_by": sorted({r.name for r in report.attacks if r.verdict == "fail"}),
                    "cpu_s": cpu() - start,
                }
            )
    print(f"{given.corpus}: {n} members, {n} holdout, {n} public texts, {given.seeds} seeds")
    figures = [key for key in rows["null"][0] if key not in ("verdict", "failed_by")]
    print(f"{'release':<11} {'verdicts':<28} " + " ".join(f"{key:>15}" for key in figures))
    for name, found in rows.items():
        verdicts = ", ".join(f"{v} {k}" for v, k in Counter(r["verdict"] for r in found).most_common())
        cells = [[r[key] for r in found if r[key] is not None] for key in figures]
        print(f"{name:<11} {verdicts:<28} " + " ".join(f"{np.median(c):15.3f}" if c else f"{'-':>15}" for c in cells))
    items, others = texts[:n], texts[n : 2 * n]
    recall = recall_on_paraphrases(items, others, rng=np.random.default_rng(1))
    print("recall on planted paraphrases:", ", ".join(f"{k} {v:.3f}" for k, v in recall.items()))
    speed(texts)
    if given.json:
        given.json.write_text(
            json.dumps({"corpus": given.corpus, "texts": n, "releases": rows, "recall": recall}) + "\n"
        )


def speed(texts: list[str]) -> None:
    """Prints what encoding and an 8-gram index cost on all texts."""
    start = cpu()
    encoded = encode(texts)
    encoding = cpu() - start
    start = cpu()
    hashes, _ = grams(encoded, 8)
    hashing = cpu() - start
    tracemalloc.start()
    grams(encoded, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(
        f"{len(texts)} texts, {len(encoded.words)} words: encode with MinHash {encoding:.2f} CPU s, "
        f"8-grams {hashing:.3f} CPU s, {hashes.nbytes / len(hashes):.0f} B a gram kept, "
        f"peak {peak / len(hashes):.0f} B a gram while hashing; process peak "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
