"""Filters of texts on real texts: how many each keeps, and microseconds a text; doubles against an exact count.

    python benchmarks/text_filters.py [--out FILE]

Texts are docstring paragraphs of the installed packages, and CFPB narratives and SMS where the shared data lies
(DPSYNTH_SHARED). They are real, so what a filter takes of them is mostly its error: a filter that drops a tenth of real
complaints will drop good synthetic ones too. Doubles go where the Jaccard similarity of word pairs reaches 0.7, once as
the filter estimates it and once exactly, against all kept before.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from attacks.text.tokens import split
from dpsynth.demo.texts import private_records
from dpsynth.text.filters import filters_from

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[1].parent / "shared")) / "data" / "text"
WORDS = (
    "length:min_words=3,max_words=400",
    "language:only=en",
    "repetition",
    "symbols",
    "pii",
    "pii:kinds=card+iban+email+phone",
    "near-duplicates",
)
MOST = 2_000


def corpora() -> Iterator[tuple[str, list[str]]]:
    """Real texts, at most `MOST` of each kind."""
    yield "docstrings", private_records().column("text").to_pylist()[:MOST]
    complaints = SHARED / "cfpb_payday_loan_complaints_2023.csv"
    if complaints.exists():
        with complaints.open(encoding="utf-8", newline="") as file:
            yield "complaints", [row["Consumer complaint narrative"] for row in csv.DictReader(file)][:MOST]
    messages = SHARED / "SMSSpamCollection.tsv"
    if messages.exists():
        yield "messages", [line.split("\t", 1)[1] for line in messages.read_text("utf-8").splitlines()][:MOST]


def doubles(texts: list[str], threshold: float) -> int:
    """How many texts go, taken in order, by the exact similarity with every text kept before."""
    kept: list[set[tuple[str, str]]] = []
    held: dict[tuple[str, str], list[int]] = {}
    gone = 0
    for text in texts:
        own = set(pairwise(split(text)))
        shared: dict[int, int] = {}
        for pair in own:
            for other in held.get(pair, ()):
                shared[other] = shared.get(other, 0) + 1
        if any(both / (len(own) + len(kept[at]) - both) >= threshold for at, both in shared.items()):
            gone += 1
            continue
        for pair in own:
            held.setdefault(pair, []).append(len(kept))
        kept.append(own)
    return gone


def main() -> None:
    """Print a row for each corpus and filter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    for name, texts in corpora():
        for word in WORDS:
            (step,) = filters_from([word])
            step.keep(texts[:20], ())
            start = time.process_time()
            kept = step.keep(texts, ())
            spent = time.process_time() - start
            row = {
                "texts": name,
                "count": len(texts),
                "filter": word,
                "kept_percent": round(100 * float(kept.mean()), 1),
            }
            row["us_per_text"] = round(1e6 * spent / len(texts))
            if word == "near-duplicates":
                row["gone"], row["gone_exactly"] = int((~kept).sum()), doubles(texts, step.threshold)
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
