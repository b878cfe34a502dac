"""Private evolution of texts: what a round costs, what noise hides, and how near the texts come to held-out real ones.

    python benchmarks/text_evolution.py --corpus cfpb sms --sources ngram domain --epsilons 1 4 16 exact --seeds 3
    python benchmarks/text_evolution.py --corpus cfpb --sources domain --set rounds=10 candidates=200 selection=rank

Private texts are the first words of complaints (`cfpb`) or messages (`sms`) of the shared folder; a tenth of them, at
most 400, are held out. Sources, none of which knows a private text:

    ngram   counts of the documentation on this machine: cannot say what a complaint says
    domain  counts of public text of the domain: complaints about other products; for messages, movie reviews
    pool    sentences of complaints about other products, movie reviews and speeches in equal parts; a variation
            exchanges the text for another one of the pool that is near it: a stand-in for a capable model
    NAME    any other model that `backends.load` knows, such as tiny

Printed: 1- and 2-gram Jensen-Shannon divergence (bits) and the Frechet distance of latent semantics to the held-out
texts, as mean and standard deviation over seeds, for the source alone (`public`), each epsilon, votes without noise
(epsilon `exact`, not private) and real texts (`real`); and CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import sys
import zipfile
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accounting.calibration import calibrate
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from attacks.text.embedding import LatentSemantic
from attacks.text.tokens import encode
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import silent
from dpsynth.quality.text.ngrams import divergence
from dpsynth.quality.text.sets import TextSet
from dpsynth.text.corpus import Corpus
from dpsynth.text.embeddings.lexical import Lexical
from dpsynth.text.evolution import Evolution
from dpsynth.text.protocol import Released, Task
from dpsynth.text.voting.model_source import ModelSource

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("DPSYNTH_SHARED", ROOT.parent / "shared")) / "data" / "text"
WORDS = 40
DELTA = Decimal("1e-5")
EXACT = 1e4


def cpu() -> float:
    """CPU seconds of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def narratives(name: str) -> list[str]:
    """Texts of a file of complaints."""
    csv.field_size_limit(10**7)
    with (SHARED / name).open(encoding="utf-8", newline="") as file:
        column = "Consumer complaint narrative"
        rows = [row.get(column) or row.get(column.replace(" ", "_").lower()) or "" for row in csv.DictReader(file)]
    return [" ".join(text.split()[:WORDS]) for text in rows if len(text.split()) >= 5]


def private(corpus: str) -> list[str]:
    """Private texts, their first words."""
    if corpus == "cfpb":
        return narratives("cfpb_payday_loan_complaints_2023.csv")
    lines = (SHARED / "SMSSpamCollection.tsv").read_text("utf-8").splitlines()
    return [" ".join(line.split("\t", 1)[1].split()[:WORDS]) for line in lines if "\t" in line]


@cache
def archive(name: str) -> tuple[str, ...]:
    """Passages of `WORDS` words of a zipped public corpus."""
    found = []
    with zipfile.ZipFile(SHARED / name) as file:
        for entry in sorted(file.namelist()):
            if entry.endswith(".txt") and "README" not in entry:
                words = file.read(entry).decode("utf-8", "replace").split()
                found += [" ".join(words[at : at + WORDS]) for at in range(0, len(words) - WORDS, WORDS)]
    return tuple(found)


@cache
def passages() -> tuple[str, ...]:
    """Complaints about other products, in passages."""
    csv.field_size_limit(10**7)
    with (SHARED / "cfpb_mixed_products_2023_small.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["Consumer complaint narrative"] or "" for row in csv.DictReader(file)]
    words = [text.split() for text in rows]
    return tuple(" ".join(w[at : at + WORDS]) for w in words for at in range(0, max(len(w) - 5, 0), WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Public texts; a variation is one of the `1 + 40 degree` nearest of the pool."""

    texts: tuple[str, ...]
    points: np.ndarray[Any, Any]
    name: str = "pool"

    @classmethod
    def of(cls, texts: list[str]) -> Pool:
        """With their latent semantics."""
        return cls(texts=tuple(texts), points=Lexical(dimensions=100).fitted(texts).encode(texts))

    def random(self, topics: list[str], rng: np.random.Generator) -> list[str]:
        """Any of the pool."""
        return [self.texts[i] for i in rng.integers(len(self.texts), size=len(topics))]

    def vary(
        self,
        texts: list[str],
        topics: list[str],  # noqa: ARG002
        degree: float,
        rng: np.random.Generator,
    ) -> list[str]:
        """A near one."""
        place = {text: i for i, text in enumerate(self.texts)}
        near = 2 + int(40 * degree)
        at = np.array([place[text] for text in texts])
        found = np.argpartition(-(self.points[at] @ self.points.T), near, axis=1)[:, :near]
        return [self.texts[row[rng.integers(near)]] for row in found]

    def describe(self) -> dict[str, Any]:
        """Its name."""
        return {"source": self.name}


def source_of(name: str, corpus: str, seed: int) -> Any:
    """A source by name; `seed` draws the pool."""
    from dpsynth.text.backends import load
    from dpsynth.text.backends.ngram import NgramBackend

    if name == "pool":
        rng = np.random.default_rng(seed)
        parts = [list(passages()), list(archive("movie_reviews.zip")), list(archive("state_union.zip"))]
        least = min(len(part) for part in parts)
        texts = [part[i] for part in parts for i in rng.permutation(len(part))[:least]]
        return Pool.of(list(dict.fromkeys(texts)))
    if name == "domain":
        texts = list(passages()) if corpus == "cfpb" else list(archive("movie_reviews.zip"))[:8000]
        return ModelSource(model=NgramBackend.of(texts, name="domain"))
    return ModelSource(model=load(name))


def frechet(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Squared Frechet distance of two clouds of points, as Gaussians."""
    from scipy.linalg import sqrtm

    a, b = np.cov(left.T), np.cov(right.T)
    root = np.real(sqrtm(a @ b))
    return float(((left.mean(axis=0) - right.mean(axis=0)) ** 2).sum() + np.trace(a + b - 2 * root))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Distances to held-out texts, in a space of real texts that are neither private nor held out here."""

    held: TextSet
    space: LatentSemantic

    def told(self, texts: list[str]) -> dict[str, float]:
        """Smaller is better."""
        made = TextSet.of(texts)
        return {
            "js1": divergence(self.held, made, 1).value,
            "js2": divergence(self.held, made, 2).value,
            "frechet": frechet(self.space.points(self.held.encoded), self.space.points(made.encoded)),
        }


def rho_for(writer: Evolution, task: Task) -> float:
    """The budget of the writer alone: the total is taken as known."""

    def build(budget: float) -> EventTree:
        return EventTree(relation=task.relation, unit=task.unit, events=writer.settle(task, budget).events)

    return calibrate(build, epsilon=task.epsilon, delta=task.delta, bracket=writer.bracket)[0]


def measured(corpus: str, name: str, epsilons: list[str], seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """One seed: a split, a source, and each epsilon."""
    rng = np.random.default_rng(seed)
    texts = private(corpus)
    texts = [texts[i] for i in rng.permutation(len(texts))]
    count = min(len(texts) // 10, 400)
    held, real, members = texts[:count], texts[count : 2 * count], texts[2 * count :]
    judge = Judge(held=TextSet.of(held), space=LatentSemantic.fitted(encode(texts[: 2 * count]), 30))
    source = source_of(name, corpus, seed)
    records = Corpus(
        texts=tuple(members),
        topics=np.zeros(len(members), dtype=np.int64),
        units=None,
        hashes=np.zeros(len(members), dtype=np.uint64),
    )
    facts = Released(total=float(len(members)), topics=("",), shares=np.ones(1))
    told: dict[str, Any] = {"real": judge.told(real), "public": judge.told(source.random([""] * count, rng))}
    for epsilon in epsilons:
        writer = Evolution(source=source, **settings)
        exact = epsilon == "exact"
        task = Task(
            unit=PrivacyUnit(),
            relation=NeighboringRelation.ADD_REMOVE,
            epsilon=Decimal("1" if exact else epsilon),
            delta=DELTA,
        )
        settled = writer.settle(task, EXACT if exact else rho_for(writer, task))
        began = cpu()
        author = writer.learn(records, task, settled, facts, noise=SystemNoise(), progress=silent)
        spent = cpu() - began
        written = author.write(count, rng).texts
        (tail,) = author.describe()["tail"]
        told[epsilon] = judge.told(list(written)) | {
            "sigma": settled.sigma_in_votes,
            "candidates": tail["candidates"],
            "votes": tail["votes"],
            "survivors": author.describe()["survivors"],
            "distinct": len(set(written)) / count,
            "learn_cpu_s": spent,
        }
    return told


def setting(text: str) -> tuple[str, Any]:
    """name=value of `Evolution`."""
    key, value = text.split("=")
    if re.fullmatch(r"\d+", value):
        return key, int(value)
    if "," in value:
        return key, tuple(float(part) for part in value.split(","))
    return key, float(value) if re.fullmatch(r"[\d.]+", value) else value


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", default=["cfpb"], choices=["cfpb", "sms"])
    parser.add_argument("--sources", nargs="+", default=["domain"])
    parser.add_argument("--epsilons", nargs="*", default=["1", "4", "16", "exact"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", type=setting, default=[], dest="settings")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {}
    for corpus in args.corpus:
        for name in args.sources:
            runs = [measured(corpus, name, args.epsilons, seed, dict(args.settings)) for seed in range(args.seeds)]
            found[f"{corpus}/{name}"] = runs
            print(f"{corpus}, source {name}, {args.seeds} seeds")
            for row in runs[0]:
                cells = []
                for key in runs[0][row]:
                    values = [run[row][key] for run in runs]
                    cells.append(
                        f"{key} {np.mean(values):.3f}" + (f"±{np.std(values):.3f}" if key[:2] in "jsfr" else "")
                    )
                print(f"  {row:>7}  " + "  ".join(cells), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
