"""How tight and how fast the accountants are, beside other libraries, each in a process of its own.

    python benchmarks/accountants.py [--plans 1000] [--python PATH] [--json FILE]

Ours and dp-accounting (a dependency) run in this interpreter; `--python` names another one that has opacus, which is
left out where it does not import. Wall and CPU seconds include imports; memory is the peak of the child. Epsilons at
delta 1e-5 unless said. A ratio below one is in our favour.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

DELTA = 1e-5
STEPS = (1_000, 10_000, 100_000)
GOALS = {
    "mixed": 1.951,
    "50 x 0.05": 0.635,
    "20 x 0.5": 4.92,
    "sgd 1000": 1.829,
    "sgd 10000": 6.19,
    "sgd 100000": 25.6,
}


def trees():
    """The workloads of the goals table, as event trees."""
    from accounting import EventTree, Exponential, Gaussian, Laplace, NeighboringRelation, PoissonSampled, PrivacyUnit

    def tree(*events):
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)

    step = Gaussian(sigma=1, l2_sensitivity=1)
    return {
        "mixed": tree(
            Laplace(scale=10, l1_sensitivity=1),
            Gaussian(sigma=10, l2_sensitivity=1, count=20),
            Exponential(bounded_range="0.05", count=50),
        ),
        "50 x 0.05": tree(Exponential(bounded_range="0.05", count=50)),
        "20 x 0.5": tree(Exponential(bounded_range="0.5", count=20)),
        **{f"sgd {t}": tree(PoissonSampled(probability="0.01", event=step, count=t)) for t in STEPS},
    }


def ours(name: str) -> float:
    """The cross-checked price, by all accountants that apply."""
    from accounting import price

    return float(price(trees()[name], "1e-5").epsilon)


def google(name: str, method: str) -> float:
    """dp-accounting, which has no bounded range: as pure epsilon (PLD) and as zCDP of epsilon^2 / 8 (RDP)."""
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant, common
    from dp_accounting.pld import privacy_loss_distribution as library
    from dp_accounting.rdp import RdpAccountant

    count, eta = {"mixed": (50, 0.05), "50 x 0.05": (50, 0.05), "20 x 0.5": (20, 0.5)}.get(name, (0, 0.0))
    if method == "pld" and count:
        losses = library.from_privacy_parameters(common.DifferentialPrivacyParameters(eta, 0)).self_compose(count)
        if name == "mixed":
            losses = losses.compose(library.from_laplace_mechanism(10.0))
            losses = losses.compose(library.from_gaussian_mechanism(10.0).self_compose(20))
        return float(losses.get_epsilon_for_delta(DELTA))
    found = PLDAccountant() if method == "pld" else RdpAccountant()
    if name == "mixed":
        found.compose(dp.LaplaceDpEvent(10.0))
        found.compose(dp.GaussianDpEvent(10.0), 20)
    for _ in range(count):
        found.compose(dp.ZCDpEvent(eta**2 / 8))
    if name.startswith("sgd"):
        found.compose(dp.PoissonSampledDpEvent(0.01, dp.GaussianDpEvent(1.0)), int(name.split()[1]))
    return float(found.get_epsilon(DELTA))


def opacus(name: str, method: str) -> float:
    """Opacus, DP-SGD only."""
    from opacus.accountants import PRVAccountant, RDPAccountant

    found = PRVAccountant() if method == "prv" else RDPAccountant()
    found.history = [(1.0, 0.01, int(name.split()[1]))]
    return float(found.get_epsilon(DELTA))


def replay(number: str) -> float:
    """CPU seconds for that many distinct plans of a marginal generator's shape by the loss distributions alone."""
    from accounting import DiscreteGaussian, EventTree, Exponential, NeighboringRelation, PrivacyUnit, decimal_up
    from accounting.crosscheck import PLD

    draw = random.Random(0)
    plans = []
    for _ in range(int(number)):
        columns, pairs, rho = draw.randint(6, 20), draw.randint(4, 20), 10 ** draw.uniform(-3, 0.3)
        ones, choices = draw.uniform(0.2, 0.5), draw.uniform(0.05, 0.15)
        noise = [
            decimal_up((count / (2 * rho * share)) ** 0.5, 6)
            for count, share in ((columns, ones), (pairs, 1 - ones - choices))
        ]
        events = (
            DiscreteGaussian(sigma=noise[0], l2_sensitivity=1, count=columns),
            Exponential(bounded_range=decimal_up((8 * choices * rho / pairs) ** 0.5, 9), count=pairs),
            DiscreteGaussian(sigma=noise[1], l2_sensitivity=1, count=pairs),
        )
        plans.append(EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events))
    PLD.opinion(trees()["20 x 0.5"], DELTA)  # imports
    start = time.process_time()
    for plan in plans:
        PLD.opinion(plan, 1e-9)
    return time.process_time() - start


def users(rows: str) -> float:
    """Noise a row, sigma / k, that calibration finds for 15 one-way and 14 pair tables at (1, 1e-9)."""
    from accounting import DiscreteGaussian, EventTree, NeighboringRelation, PrivacyUnit, calibrate, decimal_up

    k = int(rows)
    unit = PrivacyUnit() if k == 1 else PrivacyUnit(kind="user", column="person", max_records=k)

    def build(rho: float) -> EventTree:
        ones, pairs = (decimal_up(k * (share / (2 * rho)) ** 0.5, 6) for share in (15 / 0.4, 14 / 0.6))
        events = (
            DiscreteGaussian(sigma=ones, l2_sensitivity=k, count=15),
            DiscreteGaussian(sigma=pairs, l2_sensitivity=k, count=14),
        )
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=events)

    rho, _ = calibrate(build, epsilon="1", delta="1e-9", bracket=(1e-3, 1.0))
    return float(build(rho).events[0].sigma) / k


TASKS = {"ours": ours, "google": google, "opacus": opacus, "replay": replay, "users": users}


def child(python: str, *task: str) -> dict[str, float] | None:
    """One task in a fresh process: its value, wall and CPU seconds, peak megabytes; None if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    # -P: this file bears the package's name, and must not be found in its place.
    done = subprocess.run([python, "-P", __file__, "--task", *task], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return None
    value, peak = json.loads(done.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"value": value, "wall_s": wall, "cpu_s": cpu, "peak_mb": peak}


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plans", type=int, default=1000)
    parser.add_argument("--python", help="another interpreter, with opacus")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        value = TASKS[options.task[0]](*options.task[1:])
        print(json.dumps([value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    rows = {}
    print(
        f"{'workload':<14}{'accountant':<16}{'epsilon':>10}{'goal':>8}{'of ours':>9}{'wall s':>8}{'cpu s':>8}{'MB':>7}"
    )
    for name in GOALS:
        asked = [("ours", sys.executable, ("ours", name))]
        asked += [(f"google {m}", sys.executable, ("google", name, m)) for m in ("pld", "rdp")]
        if options.python and name.startswith("sgd"):
            asked += [(f"opacus {m}", options.python, ("opacus", name, m)) for m in ("prv", "rdp")]
        for label, python, task in asked:
            found = child(python, *task)
            if found is None:
                print(f"{name:<14}{label:<16}{'failed':>10}")
                continue
            rows[f"{name}/{label}"] = found
            ratio = found["value"] / rows[f"{name}/ours"]["value"]
            goal = GOALS[name] if label == "ours" else ""
            print(
                f"{name:<14}{label:<16}{found['value']:>10.4f}{goal:>8}{ratio:>9.3f}{found['wall_s']:>8.2f}"
                f"{found['cpu_s']:>8.2f}{found['peak_mb']:>7.0f}"
            )
    for k in ("1", "10", "20", "50"):
        rows[f"users/{k}"] = found = child(sys.executable, "users", k)
        print(
            f"{k} rows a user: sigma / k = {found['value']:.4f}, calibrated in {found['cpu_s']:.2f} CPU s with imports"
        )
    rows["replay"] = found = child(sys.executable, "replay", str(options.plans))
    print(f"{options.plans} distinct plans by pld: {found['value']:.2f} CPU s, {found['peak_mb']:.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
