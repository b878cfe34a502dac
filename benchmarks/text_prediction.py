"""Private prediction: held-out perplexity by epsilon, speed and its exponents, and a look at what is written.

    python benchmarks/text_prediction.py perplexity --corpus cfpb --model FOLDER --seeds 3
    python benchmarks/text_prediction.py speed --model FOLDER
    python benchmarks/text_prediction.py texts --corpus cfpb --model FOLDER --epsilon 10

FOLDER is a causal model of transformers; `dpsynth text pretrain` makes one of public text. Corpora are those of the
shared folder (DPSYNTH_SHARED, or ../shared). Complaints are split by date (2,398 earlier, the rest later), the others
at random. All are lower-cased, because the public reviews on which the model was trained are.

`perplexity` is teacher-forced: the law from which the next token would be drawn, at the tokens of a held-out text, with
a bin of s private records that were drawn at random. `before` is the method as the literature has it: both sides of the
difference clipped to [-C, C], C by zCDP, lambda 0.3. Neither says how a text reads; `texts` shows that.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import resource
import sys
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accounting.calibration import calibrate
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.text.backends import load
from dpsynth.text.corpus import Corpus
from dpsynth.text.prediction.aggregators.difference_clip import DifferenceClip
from dpsynth.text.prediction.aggregators.protocol import GRID, log_softmax
from dpsynth.text.prediction.copy_experts import CopyExperts
from dpsynth.text.prediction.planner import clip_for, zcdp_of
from dpsynth.text.private_prediction import PrivatePrediction
from dpsynth.text.protocol import Released, Task

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data" / "text"
EPSILONS = (1, 3, 10)
DELTA = "1e-5"


def cpu() -> float:
    """CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def texts_of(name: str) -> tuple[list[str], list[str]]:
    """Private and held-out texts."""
    if name == "cfpb":
        with (SHARED / "cfpb_payday_loan_complaints_2023.csv").open(encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["Date received"])
        told = [row["Consumer complaint narrative"].lower() for row in rows if row["Consumer complaint narrative"]]
        return told[:2398], told[2398:]
    if name == "sms":
        told = [line.split("\t", 1)[1] for line in (SHARED / "SMSSpamCollection.tsv").read_text("utf-8").splitlines()]
    else:
        with (SHARED / "womens_clothing_reviews_sample.csv").open(encoding="utf-8") as file:
            told = [row["Review Text"] for row in csv.DictReader(file) if row.get("Review Text")]
    order = np.random.default_rng(0).permutation(len(told))
    mixed = [told[i].strip().lower() for i in order]
    return mixed[len(mixed) // 6 :], mixed[: len(mixed) // 6]


def task(epsilon: float) -> Task:
    """Add or remove one record."""
    return Task(
        unit=PrivacyUnit(),
        relation=NeighboringRelation.ADD_REMOVE,
        epsilon=Decimal(str(epsilon)),
        delta=Decimal(DELTA),
    )


def planned(writer: PrivatePrediction, epsilon: float):
    """What the accountant affords, the whole budget on tokens."""
    goal = task(epsilon)

    def build(clip: float) -> EventTree:
        return EventTree(relation=goal.relation, unit=goal.unit, events=writer.settle(goal, clip).events)

    clip, _ = calibrate(build, epsilon=goal.epsilon, delta=goal.delta, bracket=writer.bracket)
    return writer.settle(goal, clip)


def perplexities(model, private, held, *, size, tokens, records, rng):
    """Of each law at the held-out tokens: {(label, epsilon): perplexity}."""
    cut = [model.tokens(text)[:tokens] for text in held]
    bins = [[model.tokens(private[i])[:records] for i in rng.choice(len(private), size, replace=False)] for _ in cut]
    now, before = (
        CopyExperts(vocabulary=model.vocabulary),
        CopyExperts(vocabulary=model.vocabulary, share=0.3, bigrams=0.5, gain=1.0, power=1.0),
    )
    laws = {}
    for epsilon in EPSILONS:
        clip = planned(PrivatePrediction(model=model, tokens=tokens, batch_size=size, sequences=1), epsilon).clip
        own = DifferenceClip(units=int(clip * GRID), batch_size=size, one_sided=True, ceiling=now.ceiling)
        laws["ours", epsilon] = now, own, 0.0
        old = clip_for(zcdp_of(epsilon, float(DELTA)), batch_size=size, tokens=tokens, temperature=1.0)
        plain = DifferenceClip(units=int(old * GRID), batch_size=size, one_sided=False)
        laws["before", epsilon] = before, plain, math.log(1 - before.share)
    groups = {id(experts): experts.open(bins) for experts in (now, before)}
    started = model.start([cut_[:0] for cut_ in cut], width=1, room=tokens)
    lost, seen, public_lost = Counter(), 0, 0.0
    for at in range(tokens):
        logits = started.logits()
        for lane, text in enumerate(cut):
            if at >= len(text):
                continue
            seen += 1
            public_lost -= log_softmax(logits[lane])[text[at]]
            for experts in (now, before):
                public = log_softmax(logits[lane] * experts.public_power)
                blocks = list(groups[id(experts)].rows(lane, public))
                for key, (whose, aggregator, shift) in laws.items():
                    if whose is not experts:
                        continue
                    score = aggregator.public_part(public)
                    for rows in blocks:
                        score = score + aggregator.contributions(rows + shift, public)
                    law = log_softmax(aggregator.final(score, public) / (size * GRID))
                    lost[key] -= law[text[at]]
        step = np.array([text[at] if at < len(text) else model.end for text in cut])
        started.append(step)
        for group in groups.values():
            group.append(step, np.ones(len(cut), dtype=bool))
    return {("public", 0): math.exp(public_lost / seen)} | {k: math.exp(v / seen) for k, v in lost.items()}


def perplexity(args: argparse.Namespace) -> None:
    """A table by s and epsilon: mean over seeds, and their standard deviation."""
    model = load(args.model, device="cpu")
    private, held = texts_of(args.corpus)
    for size in args.sizes:
        found = [
            perplexities(
                model,
                private,
                [held[i] for i in np.random.default_rng(seed).choice(len(held), args.held, replace=False)],
                size=size,
                tokens=args.tokens,
                records=args.records,
                rng=np.random.default_rng(100 + seed),
            )
            for seed in range(args.seeds)
        ]
        line = [f"s {size:4d}"]
        for key in found[0]:
            values = np.array([one[key] for one in found])
            line.append(f"{key[0]} {key[1] or ''}: {values.mean():.0f} +- {values.std():.0f}")
        print("   ".join(line), flush=True)


def repeated(texts: list[str], bins: int, size: int) -> Corpus:
    """As many records as there are places."""
    used = [texts[i % len(texts)] for i in range(bins * size)]
    table = Table.from_arrow(pa.table({"text": used, "row": list(range(len(used)))}))
    return Corpus.of(table, "text", unit=None, key=os.urandom(32))


def seconds(writer: PrivatePrediction, private: list[str], bins: int) -> float:
    """CPU seconds that a run takes."""
    size = writer.batch_size or 1
    settled = writer.settle(task(10), 0.2 * size)
    facts = Released(total=float(bins * size), topics=("",), shares=np.ones(1))
    corpus = repeated(private, bins, size)
    began = cpu()
    writer.learn(corpus, task(10), settled, facts, noise=SystemNoise(), progress=silent)
    return cpu() - began


def exponent(xs: list[int], ys: list[float]) -> float:
    """Slope of log y over log x."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def speed(args: argparse.Namespace) -> None:
    """500 texts of 100 tokens at s = 7, and how time grows."""
    model = load(args.model, device="cpu")
    private, _ = texts_of(args.corpus)
    common = {"model": model, "sequences": 1}
    for kind, length in (("copy", 128), ("context", 64)):
        made = PrivatePrediction(**common, experts=kind, batch_size=7, tokens=100, length=length)
        print(
            f"500 x 100 tokens, s 7, {kind}, records of {length}: {seconds(made, private, 500):.0f} CPU s", flush=True
        )
    base = PrivatePrediction(**common, experts="copy", batch_size=64, tokens=60)
    lengths = [25, 50, 100, 200]
    by_tokens = [seconds(replace(base, tokens=n), private, 64) for n in lengths]
    sizes = [64, 128, 256, 512]
    by_size = [seconds(replace(base, batch_size=s), private, 64) for s in sizes]
    print("CPU s by tokens", dict(zip(lengths, np.round(by_tokens, 1), strict=True)))
    print("CPU s by s", dict(zip(sizes, np.round(by_size, 1), strict=True)))
    print(f"exponents: tokens {exponent(lengths, by_tokens):.2f}, s {exponent(sizes, by_size):.2f}")


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """Word n-grams."""
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def distinct(texts: list[str], n: int) -> float:
    """Share of n-grams that are different, over equal numbers of words."""
    all_grams = [gram for text in texts for gram in grams(text, n)][:3000]
    return len(set(all_grams)) / max(len(all_grams), 1)


def texts(args: argparse.Namespace) -> None:
    """Samples, diversity, and how many word 4-grams come from private and from held-out texts."""
    model = load(args.model, device="cpu")
    private, held = texts_of(args.corpus)
    canaries = [f"zq{i}x vault {i} {i}7{i} marmot" for i in range(20)]
    planted = [f"{text} {canaries[i % 20]}" if i < 20 else text for i, text in enumerate(private)]
    settings = {} if args.temperature is None else {"temperature": args.temperature}
    writer = PrivatePrediction(model=model, experts="copy", tokens=args.tokens, length=args.records, **settings)
    settled = planned(writer, args.epsilon)
    table = Table.from_arrow(pa.table({"text": planted, "row": list(range(len(planted)))}))
    corpus = Corpus.of(table, "text", unit=None, key=os.urandom(32))
    facts = Released(total=float(len(planted)), topics=("",), shares=np.ones(1))
    author = writer.learn(corpus, task(args.epsilon), settled, facts, noise=SystemNoise(), progress=silent)
    rng = np.random.default_rng()
    made = list(author.write(author.most or 0, rng).texts)
    for text in made[:3]:
        print(">>", text.replace("\n", " "))
    print(author.describe())
    own, later = ({gram for text in some for gram in grams(text, 3)} for some in (private[: len(held)], held))
    for name, some in (("written", made), ("public", writer.public_texts(len(made), rng)), ("real", held[: len(made)])):
        rows = [gram for text in some for gram in grams(text, 3)]
        hits = [sum(gram in known for gram in rows) / max(len(rows), 1) for known in (own, later)]
        kinds = " ".join(f"{distinct(some, n):.2f}" for n in (1, 2, 3))
        print(f"{name}: distinct-1..3 {kinds}; 3-grams of private {hits[0]:.4f}, of as many held-out {hits[1]:.4f}")
    print("canary words written:", sum(any(word in text for word in ("zq", "marmot")) for text in made))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("perplexity", "speed", "texts"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpus", default="cfpb", choices=("cfpb", "sms", "clothing"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[7, 15, 63, 127, 255])
    parser.add_argument("--held", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epsilon", type=float, default=10.0)
    parser.add_argument("--temperature", type=float)
    args = parser.parse_args()
    {"perplexity": perplexity, "speed": speed, "texts": texts}[args.question](args)


if __name__ == "__main__":
    main()
