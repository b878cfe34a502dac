"""The suite beside anonymeter and SDMetrics on releases of known kind: what is caught, false alarms, time and memory.

    python benchmarks/attack_suites.py --python RIVALS/bin/python --rows 10000      Adult, 5,000 members, one seed
    python benchmarks/attack_suites.py --rows 48842 --tools ours:standard           ours alone, in full

RIVALS is an environment of its own with anonymeter 1.1.0 and sdmetrics 0.32.0. Every tool runs on the same three files
in a process of its own, one thread; CPU seconds and peak memory are the child's, imports included.

Ours gives a verdict. The rivals give figures and no limit, so two rules are applied. `alarm`: anonymeter's 95 %
interval of a risk lies above zero; SDMetrics has no interval and gets none. `caught`: some figure is worse than on
every harmless release of the same seed, the best limit that anybody could have chosen after the fact. That is a gift:
nobody who audits one release has harmless ones beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SENSITIVE = ("income", "race")
HARMLESS = ("null", "independent", "tree")
LEAKS = ("copy50", "copy10", "copy1", "tail2", "shifted", "permuted", "quantised")
TOOLS = ("ours:quick", "ours:standard", "ours:full", "anonymeter", "sdmetrics")
TARGETS = 500


def write_files(folder: Path, rows: int, seed: int, releases: list[str]) -> None:
    """Members, holdout and every release as CSV; missing categories are a word, as the rivals need it."""
    from attacks_ladder import RELEASES, load, split

    table = load("adult")
    if rows < len(table):
        table = table.sample(rows, random_state=seed).reset_index(drop=True)
    text = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    table[text] = table[text].fillna("missing")
    members, holdout, spare = split(table, "null", seed)  # one split for all: half, a quarter, a quarter
    members.to_csv(folder / "members.csv", index=False)
    holdout.to_csv(folder / "holdout.csv", index=False)
    for name in releases:
        RELEASES[name](members, spare, np.random.default_rng([seed, 2])).to_csv(folder / f"{name}.csv", index=False)


def run_ours(real: pd.DataFrame, release: pd.DataFrame, holdout: pd.DataFrame, suite: str) -> dict:
    """Verdict of the suite, and the smallest planted leak that it caught."""
    import attacks

    report = attacks.audit(real, release, holdout, sensitive=list(SENSITIVE), suite=suite)
    seen = [row.detectable for row in report.attacks if row.detectable is not None]
    return {"verdict": report.verdict, "figures": {"smallest leak": min(seen, default=None)}}


def run_anonymeter(real: pd.DataFrame, release: pd.DataFrame, holdout: pd.DataFrame, _suite: str) -> dict:
    """Risks with 95 % intervals: singling out, linkability of two halves, inference of each sensitive column."""
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    columns = list(real.columns)
    attacks = {
        f"singling out {mode}": (SinglingOutEvaluator(real, release, n_attacks=TARGETS, control=holdout, seed=0), mode)
        for mode in ("univariate", "multivariate")
    }
    halves = (columns[::2], columns[1::2])
    attacks["linkability"] = (LinkabilityEvaluator(real, release, halves, TARGETS, 1, holdout), None)
    for secret in SENSITIVE:
        known = [c for c in columns if c != secret]
        evaluator = InferenceEvaluator(real, release, known, secret, n_attacks=TARGETS, control=holdout)
        attacks[f"inference {secret}"] = (evaluator, None)
    figures, alarm = {}, False
    for name, (evaluator, mode) in attacks.items():
        try:
            risk = (evaluator.evaluate(mode) if mode else evaluator.evaluate()).risk(confidence_level=0.95)
        except (RuntimeError, ValueError, ZeroDivisionError) as error:  # its own refusals: copies, no query found
            figures[name] = None
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        figures[name] = float(risk.value)
        alarm |= risk.ci[0] > 0.0
    return {"verdict": "alarm" if alarm else "silent", "figures": figures}


def run_sdmetrics(real: pd.DataFrame, release: pd.DataFrame, holdout: pd.DataFrame, _suite: str) -> dict:
    """One minus each score, so that larger is worse; subsampled beyond 5,000 rows, as its documentation advises."""
    from sdmetrics.single_table import DCRBaselineProtection, DCROverfittingProtection

    kinds = {c: "numerical" if pd.api.types.is_numeric_dtype(real[c]) else "categorical" for c in real}
    metadata = {"tables": {"people": {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}}}
    size = None if len(real) <= 5000 else 2000
    about = {"metadata": metadata, "table_name": "people", "num_rows_subsample": size}
    over = DCROverfittingProtection.compute_breakdown(real, release, holdout, **about)
    base = DCRBaselineProtection.compute_breakdown(real, release, **about)
    return {"verdict": "-", "figures": {"overfitting": 1.0 - over["score"], "baseline": 1.0 - base["score"]}}


CHILDREN: dict[str, Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame, str], dict]] = {
    "ours": run_ours,
    "anonymeter": run_anonymeter,
    "sdmetrics": run_sdmetrics,
}


def child(tool: str, folder: Path, release: str) -> None:
    """One tool on one release; prints one JSON object."""
    start, (name, _, suite) = time.perf_counter(), tool.partition(":")
    frames = [pd.read_csv(folder / f"{part}.csv") for part in ("members", release, "holdout")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(0)  # noqa: NPY002 - the rivals draw from the global state
        found = CHILDREN[name](*frames, suite)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"wall": time.perf_counter() - start, "cpu": spent.ru_utime + spent.ru_stime}
    print(json.dumps(found | {"mib": spent.ru_maxrss / 1024}))


def ask(python: str, tool: str, folder: Path, release: str, limit: float) -> dict:
    """The child's answer, or that it took longer than `limit` seconds or broke."""
    command = [python, __file__, "--child", tool, "--folder", str(folder), "--releases", release]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"verdict": "too slow", "figures": {}, "cpu": limit, "mib": float("nan")}
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return {"verdict": "broke", "figures": {}, "cpu": float("nan"), "mib": float("nan")}
    return json.loads(done.stdout.splitlines()[-1])


def caught(figures: dict, harmless: list[dict]) -> bool | None:
    """Whether some figure is worse than on all harmless releases; None where there is nothing to compare with."""
    known = {k: v for k, v in figures.items() if v is not None and k != "smallest leak"}
    if not known or not harmless:
        return None
    return any(v > max((h.get(k) or 0.0) for h in harmless) + 1e-9 for k, v in known.items())


def main() -> None:
    """Run all tools on all releases and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="interpreter of the environment with the rivals; without it ours runs alone")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--releases", nargs="*", default=[*HARMLESS, *LEAKS])
    parser.add_argument("--tools", nargs="*", default=list(TOOLS))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one tool on one release")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.folder, given.releases[0])
        return
    tools = [t for t in given.tools if t.startswith("ours") or given.python]
    found: dict[str, dict[str, list[dict]]] = {tool: {r: [] for r in given.releases} for tool in tools}
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_files(folder, given.rows, seed, given.releases)
            for tool in tools:
                python = sys.executable if tool.startswith("ours") else given.python
                for release in given.releases:
                    answer = ask(python, tool, folder, release, given.limit)
                    harmless = [found[tool][r][seed]["figures"] for r in HARMLESS if len(found[tool].get(r, ())) > seed]
                    if release not in HARMLESS:
                        answer["caught"] = caught(answer["figures"], harmless)
                    found[tool][release].append(answer)
                    figures = "  ".join(f"{k} {v:.3f}" for k, v in answer["figures"].items() if v is not None)
                    told = {True: "caught", False: "not caught", None: ""}[answer.get("caught")]
                    print(
                        f"{seed} {tool:<14} {release:<12} {answer['verdict']:<13} {told:<11} "
                        f"{answer['cpu']:6.1f} CPU s {answer['mib']:6.0f} MiB   {figures}",
                        flush=True,
                    )
    if given.json:
        given.json.write_text(json.dumps({"rows": given.rows, "found": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
