"""DP-SGD fine-tuning of a small language model: held-out perplexity by epsilon, speed against plain training, memory.

python benchmarks/text_dpsgd.py base --reviews movie_reviews.zip --model FOLDER      train the public model, once
python benchmarks/text_dpsgd.py perplexity --complaints cfpb.csv --model FOLDER [--epsilon 8 3 1] [--runs 3]
python benchmarks/text_dpsgd.py speed --model FOLDER                                 tokens per CPU second, in pairs
python benchmarks/text_dpsgd.py memory --model FOLDER                                one process each

Complaints are split by date: the first 2,398 train, the last 424 are held out; texts are cut to 96 tokens and put in
lower case, as the reviews are (a model that never saw a capital finds each one a surprise). Perplexity is of a token of
the model's vocabulary, the end included, so that figures of one model compare. Nothing was tuned on these complaints:
settings are those of `dpsynth.text.training.settings`, which says what they were tried on.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from accounting.calibration import calibrate
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import silent
from dpsynth.text.backends import load
from dpsynth.text.backends.pretraining import TINY, pretrain
from dpsynth.text.backends.protocol import Trainable
from dpsynth.text.corpus import Corpus
from dpsynth.text.dpsgd import DPSGD
from dpsynth.text.protocol import Released, Task
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.causal_network import ENGINES, engine_for
from dpsynth.text.training.prompts import as_seen, prompts
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.settings import RATES, SettledSteps
from dpsynth.text.training.trainable import trainable

LENGTH, TRAIN, HELD_OUT, DELTA = 96, 2398, 424, "1e-5"
METHODS = ("full", "lora")


def cpu() -> float:
    """Seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def reviews(path: Path) -> list[str]:
    """Public documents."""
    with zipfile.ZipFile(path) as held:
        return [held.read(name).decode("latin-1") for name in sorted(held.namelist()) if name.endswith(".txt")]


def complaints(path: Path) -> tuple[list[str], list[str]]:
    """Texts to train on and later ones."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = next(name for name in rows[0] if "narrative" in name.lower())
    date = next(name for name in rows[0] if "received" in name.lower())
    rows.sort(key=lambda row: row[date])
    texts = [row[text].lower() for row in rows]
    return texts[:TRAIN], texts[-HELD_OUT:]


def corpus_of(texts: list[str]) -> Corpus:
    """Each text a record of its own, without a topic."""
    return Corpus(
        texts=tuple(texts),
        topics=np.zeros(len(texts), dtype=np.int64),
        units=None,
        hashes=np.arange(len(texts), dtype=np.uint64),
    )


def loss_of(model: Trainable, length: int) -> tuple[Layout, CausalLoss]:
    """Rows of this model, and their loss."""
    layout = Layout(length=length, vocabulary=model.vocabulary, end=model.end)
    seen = as_seen(model, prompts(model, ("",))[0])
    return layout, CausalLoss([seen], vocabulary=model.vocabulary, end=model.end)


def perplexity(model: Trainable, texts: list[str], length: int = LENGTH) -> float:
    """Of a held-out token."""
    import torch

    layout, loss = loss_of(model, length)
    rows = layout.rows(texts, np.zeros(len(texts), dtype=np.int64), model.tokens).astype(np.int64)
    own = (rows[:, 1:] < model.vocabulary).sum(1)
    with torch.no_grad():
        parts = [loss(model.module, torch.from_numpy(rows[at : at + 32])) for at in range(0, len(rows), 32)]
    return float(math.exp((torch.cat(parts).double().numpy() * own).sum() / own.sum()))


def settled_at(writer: DPSGD, epsilon: str) -> tuple[Task, SettledSteps, float]:
    """The writer's steps at a price of all of epsilon, and what they cost."""
    task = Task(
        unit=PrivacyUnit(),
        relation=NeighboringRelation.ADD_REMOVE,
        epsilon=Decimal(epsilon),
        delta=Decimal(DELTA),
    )

    def build(budget: float) -> EventTree:
        return EventTree(relation=task.relation, unit=task.unit, events=writer.settle(task, budget).events)

    budget, guarantee = calibrate(build, epsilon=task.epsilon, delta=task.delta, bracket=writer.bracket)
    return task, writer.settle(task, budget), float(guarantee.epsilon)


def tuned(base: Trainable, texts: list[str], epsilon: str, **settings: object) -> tuple[Trainable, dict[str, object]]:
    """One run."""
    writer = DPSGD(**{"model": base, "length": LENGTH, "device": "cpu", **settings})  # type: ignore[arg-type]
    task, settled, spent = settled_at(writer, epsilon)
    began = cpu()
    author = writer.learn(
        corpus_of(texts),
        task,
        settled,
        Released(total=float(len(texts)), topics=("",), shares=np.ones(1)),
        noise=SystemNoise(),
        progress=silent,
    )
    return author.model, {"epsilon": spent, "cpu_s": round(cpu() - began), **author.describe()}


def perplexities(model: str, path: Path, epsilons: list[str], runs: int, methods: list[str]) -> list[dict[str, object]]:
    """Held-out perplexity of the public model and of each run."""
    base, (train, later) = load(model, device="cpu"), complaints(path)
    found: list[dict[str, object]] = [{"method": "public model", "perplexity": perplexity(base, later)}]
    print(f"public model: {found[0]['perplexity']:.1f}", flush=True)
    for epsilon in epsilons:
        for method in methods:
            for run in range(runs):
                made, told = tuned(base, train, epsilon, method=method)
                found.append({"perplexity": perplexity(made, later), "run": run, **told})
                print(
                    f"epsilon {epsilon} {method} run {run}: perplexity {found[-1]['perplexity']:.1f} "
                    f"(sigma {told['sigma']}, {told['steps']} steps, {told['cpu_s']} CPU s)",
                    flush=True,
                )
    return found


def one_pass(model: str, method: str, engine: str, rows: int) -> Callable[[], None]:
    """Private sums of made-up full rows by an engine, or a plain pass and step of AdamW in batches of 8."""
    import torch

    base = load(model, device="cpu")
    layout, loss = loss_of(base, LENGTH)
    rng = np.random.default_rng(0)
    made = np.stack([layout.row(rng.integers(0, base.vocabulary, LENGTH), 0) for _ in range(rows)])
    codes = torch.from_numpy(made.astype(np.int64))
    module = trainable(base.module, method, rank=8, device=torch.device("cpu"))
    if engine != "plain":
        network = engine_for(module, loss, layout, engine=engine).network
        return lambda: network.clipped_sum(codes, None, 1.0) and None
    module.set_attn_implementation("sdpa")
    moved = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-5)

    def plain() -> None:
        for start in range(0, rows, 8):
            moved.zero_grad()
            loss(module, codes[start : start + 8]).mean().backward()
            moved.step()

    return plain


def speeds(model: str, rows: int = 64, pairs: int = 7) -> list[dict[str, object]]:
    """Tokens per CPU second; engines take turns in one process, medians over the turns."""
    found = []
    for method in METHODS:
        passes = {name: one_pass(model, method, name, rows) for name in ("plain", *ENGINES[1:])}
        took: dict[str, list[float]] = {name: [] for name in passes}
        for _ in range(pairs):
            for name, work in passes.items():
                began = time.process_time()
                work()
                took[name].append(time.process_time() - began)
        for name, seconds in took.items():
            ratios = np.array(took["plain"][1:]) / np.array(seconds[1:])
            row = {
                "method": method,
                "engine": name,
                "tokens_per_cpu_s": round(rows * LENGTH / float(np.median(seconds[1:]))),
                "of_plain": round(float(np.median(ratios)), 3),
            }
            found.append(row)
            print(row, flush=True)
    return found


def memories(model: str, rows: int = 64) -> list[dict[str, object]]:
    """Peak resident memory of one process each, imports included."""
    found = []
    for method in METHODS:
        for engine in ("plain", *ENGINES[1:]):
            command = [sys.executable, __file__, "peak", "--model", model, "--method", method, "--engine", engine]
            told = subprocess.run([*command, "--rows", str(rows)], capture_output=True, text=True, check=True).stdout
            found.append({"method": method, "engine": engine, "peak_mib": int(told.split()[-1])})
            print(found[-1], flush=True)
    return found


def main() -> None:
    """Read the command line, measure, print and write text_dpsgd.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("base", "perplexity", "speed", "memory", "peak"))
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--reviews", type=Path)
    parser.add_argument("--complaints", type=Path)
    parser.add_argument("--epsilon", nargs="+", default=["8", "3", "1"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--method", default="full", choices=METHODS)
    parser.add_argument("--engine", default="book-keeping", choices=("plain", *ENGINES[1:]))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("text_dpsgd.json"))
    asked = parser.parse_args()
    if asked.what == "base":
        made = pretrain(reviews(asked.reviews), TINY, Path(asked.model))
        print(made)
        return
    if asked.what == "peak":
        one_pass(asked.model, asked.method, asked.engine, asked.rows)()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    if asked.what == "perplexity":
        found = perplexities(asked.model, asked.complaints, asked.epsilon, asked.runs, asked.methods)
    else:
        found = speeds(asked.model, asked.rows) if asked.what == "speed" else memories(asked.model, asked.rows)
    asked.out.write_text(json.dumps({"settings": {"rates": RATES, "length": LENGTH}, asked.what: found}, indent=2))


if __name__ == "__main__":
    main()
