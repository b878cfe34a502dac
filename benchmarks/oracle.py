"""Is the record table's fit that of maximum entropy? Ours against `mbi` (PyPI) on the same noisy marginals.

    python -m venv /tmp/mbi && /tmp/mbi/bin/pip install mbi
    python benchmarks/oracle.py --python /tmp/mbi/bin/python [--problems 5] [--json FILE]

`mbi` minimises the squared residuals over the marginal polytope and returns the distribution of most entropy that
attains the minimum (McKenna, Sheldon and Miklau 2019). The record table's density trades the same residuals, times its
strength, against the entropy of records under independent columns, so the two should meet as the strength grows. For
each problem and strength a row gives mean TVD over all pairs, of ours from mbi, and of each from the truth.

Problems: random mixtures of five columns of 2 to 6 codes with overlapping pairs (loops included), and six columns of
Adult where the shared data lie beside the checkout. Noise is seeded: all data are made up or public.

Found: at strength 100 the two differ by 0.002 to 0.003, while noise leaves 0.016 to 0.048 between each and the truth.

Not guaranteed: that mbi has converged; it runs 4,000 steps of mirror descent, and its residuals are printed beside ours
(on Adult ours fall below them at strength 10,000).
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Marginal, Residuals

STRENGTHS = (1.0, 100.0, 10_000.0)
SWEEPS, AVERAGED = 60, 60
STEPS = 4000
ADULT = ("education", "marital-status", "occupation", "relationship", "sex", "income")
Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Codes, shape (rows, columns), and what is measured of them."""

    name: str
    sizes: tuple[int, ...]
    codes: NDArray[np.int64]
    marginals: tuple[Marginal, ...]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.codes)


def main() -> int:
    """Print a table; `--json` also writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="an interpreter that imports mbi")
    parser.add_argument("--problems", type=int, default=5, help="random problems")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    problems = [random_problem(seed) for seed in range(arguments.problems)]
    problems += adult_problems()
    print(f"{'problem':<34}{'strength':>9}{'ours-mbi':>10}{'ours-truth':>12}{'mbi-truth':>11}{'chi2':>7}{'of mbi':>8}")
    rows = []
    for problem in problems:
        truth = counted(problem.codes, problem.sizes)
        oracle = fit_mbi(problem, arguments.python)
        for strength in STRENGTHS:
            start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            ours = fit_records(problem, strength)
            row: dict[str, Any] = {
                "problem": problem.name,
                "strength": strength,
                "ours_mbi": distance(ours, oracle),
                "ours_truth": distance(ours, truth),
                "mbi_truth": distance(oracle, truth),
                "chi2": chi2(problem, ours),
                "chi2_mbi": chi2(problem, oracle),
                "cpu_s": resource.getrusage(resource.RUSAGE_SELF).ru_utime - start,
            }
            rows.append(row)
            print(
                f"{problem.name:<34}{strength:9.0f}{row['ours_mbi']:10.4f}{row['ours_truth']:12.4f}"
                f"{row['mbi_truth']:11.4f}{row['chi2']:7.3f}{row['chi2_mbi']:8.3f}",
                flush=True,
            )
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def random_problem(seed: int) -> Problem:
    """A mixture of three products; a ring of pairs and one chord are measured, with noise of 20 rows."""
    rng = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in rng.integers(2, 7, 5))
    classes = rng.integers(0, 3, 5000)
    shares = [rng.dirichlet(np.full(size, 0.7), 3) for size in sizes]
    codes = np.column_stack(
        [(rng.random((5000, 1)) > np.cumsum(share, axis=1)[classes]).sum(axis=1) for share in shares]
    )
    codes = np.minimum(codes, np.array(sizes) - 1)
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 3)]
    return measured(f"random {seed}: {sizes}, 6 of 10 pairs", sizes, codes, pairs, 20.0, rng)


def adult_problems() -> list[Problem]:
    """Six columns of Adult; all pairs, and the eight of most dependence."""
    from tables import SHARED, load

    if not (SHARED / "data" / "tabular" / "adult").exists():
        print(f"(no Adult: {SHARED.name}/data is not beside the checkout)")
        return []
    import pandas as pd

    frame = pd.read_csv(load("adult").train, usecols=list(ADULT), dtype=str)[list(ADULT)]
    columns = [np.unique(frame[name].fillna("?").to_numpy().astype(str), return_inverse=True) for name in ADULT]
    sizes = tuple(len(values) for values, _ in columns)
    codes = np.column_stack([found for _, found in columns])
    tables = counted(codes, sizes)
    total = len(codes)
    dependence = {
        pair: np.abs(table - np.outer(table.sum(axis=1), table.sum(axis=0)) / total).sum()
        for pair, table in tables.items()
    }
    top = sorted(dependence, key=lambda pair: -dependence[pair])[:8]
    return [
        measured("adult, 6 columns, 8 of 15 pairs", sizes, codes, sorted(top), 40.0, np.random.default_rng(1)),
        measured("adult, 6 columns, 15 of 15 pairs", sizes, codes, sorted(tables), 40.0, np.random.default_rng(2)),
    ]


def measured(
    name: str,
    sizes: tuple[int, ...],
    codes: NDArray[np.int64],
    pairs: list[tuple[int, int]],
    sigma: float,
    rng: np.random.Generator,
) -> Problem:
    """1-ways with a third of the noise, and these pairs."""
    tables = counted(codes, sizes)
    marginals = []
    for column, size in enumerate(sizes):
        exact = np.bincount(codes[:, column], minlength=size)
        noisy = exact + rng.normal(0, sigma / 3, size)
        marginals.append(Marginal(columns=(column,), table=noisy, sigma=sigma / 3))
    for pair in pairs:
        noisy = tables[pair] + rng.normal(0, sigma, tables[pair].shape)
        marginals.append(Marginal(columns=pair, table=noisy, sigma=sigma))
    return Problem(name=name, sizes=sizes, codes=codes, marginals=tuple(marginals))


def counted(codes: NDArray[np.int64], sizes: tuple[int, ...]) -> dict[Columns, Table]:
    """Every pair table."""
    return {
        (a, b): np.bincount(codes[:, a] * sizes[b] + codes[:, b], minlength=sizes[a] * sizes[b])
        .reshape(sizes[a], sizes[b])
        .astype(np.float64)
        for a, b in itertools.combinations(range(len(sizes)), 2)
    }


def fit_records(problem: Problem, strength: float) -> dict[Columns, Table]:
    """Mean pair tables of the last sweeps of a record table with as many records as rows."""
    rng = np.random.default_rng(0)
    floor = 1.0 / problem.rows
    shares = [np.maximum(m.table / m.table.sum(), floor) for m in problem.marginals if len(m.columns) == 1]
    table = RecordTable(problem.sizes, shares, problem.rows, rng, shares)
    joint = [JointProposal.of(m.columns, np.maximum(m.table, 0.0)) for m in problem.marginals if len(m.columns) == 2]
    pairs = list(itertools.combinations(range(len(problem.sizes)), 2))
    sums: dict[Columns, Table] = {pair: np.zeros((problem.sizes[pair[0]], problem.sizes[pair[1]])) for pair in pairs}

    def each() -> None:
        for pair, counts in table.tables(pairs).items():
            sums[pair] += counts / AVERAGED

    residuals = Residuals(table.sizes, problem.marginals)
    table.anneal(residuals, np.geomspace(min(0.3, strength), strength, SWEEPS), rng, joint=joint)
    table.anneal(residuals, np.full(AVERAGED, strength), rng, joint=joint, each=each)
    return sums


def fit_mbi(problem: Problem, python: str) -> dict[Columns, Table]:
    """The maximum-entropy fit, by mbi in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.npz"), Path(folder, "answered.npz")
        arrays = {"_".join(map(str, m.columns)): m.table for m in problem.marginals}
        sigmas = np.array([m.sigma for m in problem.marginals])
        np.savez(asked, sizes=problem.sizes, total=problem.rows, sigmas=sigmas, steps=STEPS, **arrays)
        worker = Path(__file__).with_name("oracle_mbi.py")
        subprocess.run([python, str(worker), str(asked), str(answered)], check=True)
        with np.load(answered) as found:
            return {tuple(int(part) for part in name.split("_")): found[name] for name in found.files}


def distance(first: dict[Columns, Table], second: dict[Columns, Table]) -> float:
    """Mean total variation distance over all pairs."""
    return float(
        np.mean(
            [0.5 * np.abs(first[pair] / first[pair].sum() - second[pair] / second[pair].sum()).sum() for pair in first]
        )
    )


def chi2(problem: Problem, tables: dict[Columns, Table]) -> float:
    """Mean squared residual of the measured pairs, in variances of the noise."""
    pairs = [marginal for marginal in problem.marginals if len(marginal.columns) == 2]
    return float(np.mean(np.concatenate([((tables[m.columns] - m.table) / m.sigma).ravel() ** 2 for m in pairs])))


if __name__ == "__main__":
    raise SystemExit(main())
