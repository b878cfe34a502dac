"""What shadow models and likelihoods see of a generator at a price, and what it costs.

    python benchmarks/attacks_shadow.py --fits 400 --jobs 2
    python benchmarks/attacks_shadow.py --attack likelihood --seeds 6

Adult, 10,000 rows (12,000 for likelihoods) drawn at random. `bootstrap` is no generator of ours: it resamples its rows.
Shadow: worlds of 1,000 rows, limits of tier `public`; CPU seconds of one fit are those of the second, on 1,000 rows.
Likelihood: 4,000 members; four references on bootstraps of half of the other rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from attacks_ladder import load

import attacks
from dpsynth.data.table import Table
from dpsynth.schema.draft import draft
from dpsynth.workspace.runs.procedure import Procedure

PRICES = ("1", "10", "1000")
GENERATORS = ("mst", "independent")


class Bootstrap:
    """Resamples the rows that it is given."""

    identity = "bootstrap 1"

    def __call__(self, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        """As many rows, drawn with replacement."""
        return rows.sample(len(rows), replace=True, random_state=seed)


def procedures(people: pd.DataFrame) -> dict[str, Callable[..., Any]]:
    """What is attacked, by name."""
    schema = draft(Table.from_pandas(people))
    made: dict[str, Callable[..., Any]] = {"bootstrap": Bootstrap()}
    for generator in GENERATORS:
        for price in PRICES:
            made[f"{generator} {price}"] = Procedure(schema=schema, generator=generator, epsilon=price, delta="1e-6")
    return made


def shadow(settings: argparse.Namespace) -> None:
    """One line an audit."""
    people = load("adult").sample(10_000, random_state=1).reset_index(drop=True)
    for name, fit in procedures(people).items():
        fit(people[:1000], 0)
        start = time.process_time()
        fit(people[1000:2000], 1)
        each = time.process_time() - start
        found = attacks.audit_generator(
            fit,
            people,
            knowledge=settings.knowledge,
            fits=settings.fits,
            jobs=settings.jobs,
            trials=settings.trials,
            folder=settings.folder,
        )
        aucs = "  ".join(f"{r.stratum} {r.estimate:.2f}" for r in found.report.attacks if r.endpoint == "auc")
        print(
            f"{name:<18} {found.verdict:<12} AUC {aucs}  epsilon >= {found.epsilon.value:.2f}  {each:.2f} CPU s a fit"
        )


def likelihood(settings: argparse.Namespace) -> None:
    """One line an audit."""
    for seed in range(settings.seeds):
        people = load("adult").sample(12_000, random_state=seed).reset_index(drop=True)
        for name, fit in procedures(people).items():
            if not isinstance(fit, Procedure):
                continue
            start = time.process_time()
            model = fit.likelihood(people[:4000], 0)
            found = attacks.audit_likelihood(model, fit.likelihood, people[:4000], people[4000:], seed=seed)
            told = "  ".join(f"{r.stratum} {r.endpoint} {r.estimate:.3f}" for r in found.attacks)
            print(f"{seed} {name:<18} {found.verdict:<12} {told}  {time.process_time() - start:.1f} CPU s")


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attack", choices=("shadow", "likelihood"), default="shadow")
    parser.add_argument("--knowledge", choices=("auxiliary", "release"), default="auxiliary")
    parser.add_argument("--fits", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    settings = parser.parse_args()
    (shadow if settings.attack == "shadow" else likelihood)(settings)


if __name__ == "__main__":
    main()
