"""Does the attack suite tell leaks from harmless releases? Verdict counts over seeds, release by release.

    python benchmarks/attacks_ladder.py --data fair --seeds 20
    python benchmarks/attacks_ladder.py --data adult --rows 20000 --seeds 20 --json ladder.json

Each seed splits the table anew into members, holdout and spare rows that nobody trains on, builds the releases below
and runs the `standard` suite on each. What is expected: a leak fails (where the suite says that it can see it), a
harmless release never fails and passes where the table is large enough. `--no-power` plants nothing: the same releases
fail at a quarter of the cost, and none passes.

    null            the spare rows: real, never trained on
    independent     columns drawn independently from noisy histograms of the members (the DP baseline)
    tree            a noisy spanning tree of two-way histograms of the members (stand-in for MST at epsilon 1)
    mst             this project's MST at epsilon 1, delta 1e-9; the members' values and bounds count as public
    copy100 … 1     that share of the independent release replaced by exact copies of members
    tail2           copies of the 2 % most isolated members in an otherwise independent release
    noised          every member once, one numeric column shifted by a thousandth of its range
    shifted         every member once, every number shifted by a secret third of its range
    permuted        every member once, one column permuted over the rows
    quantised       every member once, numbers rounded to eighths of their range
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import attacks
from attacks.encoding import encode
from attacks.neighbours import nearest
from attacks.suite import SUITES, Suite

SENSITIVE = {"fair": ("affairs",), "randhie": ("disea",), "adult": ("income", "race")}
MISSING = "?"
Frame = pd.DataFrame


def load(name: str) -> Frame:
    """The table by name; Adult comes from the shared folder, the others ship with statsmodels."""
    if name in ("fair", "randhie"):
        import statsmodels.datasets as datasets

        return getattr(datasets, name).load_pandas().data
    root = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    return pd.read_csv(root / "data" / "tabular" / "adult" / "adult.csv.gz", na_values="?")


def noisy_shares(counts: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Histogram plus Laplace noise, clipped at zero, as probabilities."""
    noisy = np.maximum(counts + rng.laplace(0.0, scale, size=counts.shape), 0.0)
    return noisy / noisy.sum() if noisy.sum() > 0 else np.full(counts.shape, 1.0 / counts.size)


def independent(members: Frame, rows: int, rng: np.random.Generator, *, epsilon: float = 1.0) -> Frame:
    """Columns drawn one by one from noisy histograms of the members."""
    columns = {}
    for name in members:
        counts = members[name].value_counts(dropna=False)
        shares = noisy_shares(counts.to_numpy(float), len(members.columns) / epsilon, rng)
        columns[name] = counts.index.to_numpy()[rng.choice(len(counts), size=rows, p=shares)]
    return pd.DataFrame(columns)


def tree(members: Frame, rows: int, rng: np.random.Generator, *, epsilon: float = 1.0) -> Frame:
    """Chain of two-way Laplace histograms over 32 bins a column, decoded by a draw from noisy in-bin histograms."""
    names = list(members.columns)
    bins, inside = {}, {}
    for name in names:
        codes, levels = pd.factorize(members[name], sort=True, use_na_sentinel=False)
        order = np.minimum(codes * 32 // max(len(levels), 32), 31) if len(levels) > 32 else codes
        bins[name] = order
        fine = np.bincount(codes, minlength=len(levels)).astype(float)
        of_level = (
            np.minimum(np.arange(len(levels)) * 32 // max(len(levels), 32), 31)
            if len(levels) > 32
            else np.arange(len(levels))
        )
        inside[name] = (levels, of_level, fine + rng.laplace(0, 2 * len(names) / epsilon, size=len(fine)))
    out: dict[str, np.ndarray] = {}
    for at, name in enumerate(names):
        width = int(bins[name].max()) + 1
        if at == 0:
            shares = noisy_shares(np.bincount(bins[name], minlength=width).astype(float), 2 * len(names) / epsilon, rng)
            out[name] = rng.choice(width, size=rows, p=shares)
            continue
        parent = names[at - 1]
        deep = int(bins[parent].max()) + 1
        table = (
            np.bincount(bins[parent] * width + bins[name], minlength=deep * width).reshape(deep, width).astype(float)
        )
        draws = np.empty(rows, dtype=np.int64)
        for value in range(deep):
            mask = out[parent] == value
            draws[mask] = rng.choice(
                width, size=int(mask.sum()), p=noisy_shares(table[value], 2 * len(names) / epsilon, rng)
            )
        out[name] = draws
    return pd.DataFrame({name: _inside(out[name], *inside[name], rng) for name in names})


def _inside(
    drawn: np.ndarray, levels: np.ndarray, of_level: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    result = np.empty(len(drawn), dtype=np.int64)
    for value in np.unique(drawn):
        choices = np.flatnonzero(of_level == value)
        mask = drawn == value
        shares = np.maximum(weights[choices], 0.0)
        shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(choices), 1.0 / len(choices))
        result[mask] = choices[rng.choice(len(choices), size=int(mask.sum()), p=shares)]
    return np.asarray(levels)[result]


def with_copies(clean: Frame, members: Frame, share: float, rng: np.random.Generator) -> Frame:
    """The clean release with that share of its rows replaced by copies of random members."""
    count = round(share * len(members))
    return pd.concat([members.iloc[rng.permutation(len(members))[:count]], clean.iloc[count:]], ignore_index=True)


def with_tail(clean: Frame, members: Frame, share: float) -> Frame:
    """The clean release with copies of the most isolated members in the place of as many rows."""
    points = encode({"members": members.reset_index(drop=True)}, scale_on="members")[0]["members"].points
    isolation = nearest(points, points, k=6)[0][:, 1:].mean(axis=1)
    rows = np.argsort(-isolation)[: round(share * len(members))]
    return pd.concat([members.iloc[rows], clean.iloc[len(rows) :]], ignore_index=True)


def mst(members: Frame) -> Frame:
    """What `--generator mst` makes of the members at epsilon 1, as many rows."""
    import pyarrow as pa

    from accounting.relation import PrivacyUnit
    from dpsynth.core.noise import SystemNoise
    from dpsynth.data.table import Table
    from dpsynth.pipeline import fit_model
    from dpsynth.schema.checks import prepare
    from dpsynth.schema.model import Schema
    from dpsynth.tabular import generator

    columns = {}
    for name in members:
        values = members[name]
        if not pd.api.types.is_numeric_dtype(values):
            columns[name] = {"kind": "categorical", "values": sorted({*values.fillna(MISSING)})}
        elif (values == values.round()).all():
            columns[name] = {"kind": "integer", "min": int(values.min()), "max": int(values.max())}
        else:
            bounds = {"min": float(values.min()), "max": float(values.max())}
            columns[name] = {"kind": "float", **bounds, "precision": 4}
    schema = Schema.model_validate({"version": 1, "columns": columns})
    text = [name for name, column in columns.items() if column["kind"] == "categorical"]
    whole = [name for name, column in columns.items() if column["kind"] == "integer"]
    filled = members.assign(**{c: members[c].fillna(MISSING) for c in text}).astype(dict.fromkeys(whole, "int64"))
    fitted = prepare(Table(pa.Table.from_pandas(filled, preserve_index=False)), schema).table.select(schema.modelled)
    made = generator("mst")
    plan = made.plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    model = fit_model(fitted, schema, made, plan, noise=SystemNoise()).model
    rows = model.sample(len(members), np.random.default_rng()).to_pandas()[list(members.columns)]
    rows = rows.assign(**{c: rows[c].astype(object).mask(rows[c] == MISSING) for c in text})
    return rows.astype({c: members[c].dtype for c in members if c not in text})


def noised(members: Frame) -> Frame:
    """Every member, one numeric column shifted by a thousandth of its range."""
    name = next(
        c for c in members.columns[::-1] if pd.api.types.is_numeric_dtype(members[c]) and members[c].nunique() > 2
    )
    span = float(members[name].max() - members[name].min())
    return members.assign(**{name: members[name] + span / 1000.0})


def numbers(table: Frame) -> list[str]:
    """Columns of numbers with more than two values."""
    return [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c]) and table[c].nunique() > 2]


def shifted(members: Frame) -> Frame:
    """Every member, every number moved by a third of its column's range."""
    spans = {c: float(members[c].max() - members[c].min()) for c in numbers(members)}
    return members.assign(**{c: members[c] + span / 3.0 for c, span in spans.items()})


def permuted(members: Frame, rng: np.random.Generator) -> Frame:
    """Every member, the column with the most values permuted over the rows."""
    name = max(numbers(members), key=lambda c: members[c].nunique())
    return members.assign(**{name: rng.permutation(members[name].to_numpy())})


def quantised(members: Frame) -> Frame:
    """Every member, numbers rounded to eighths of their range."""
    steps = {c: float(members[c].max() - members[c].min()) / 8.0 for c in numbers(members)}
    return members.assign(**{c: (members[c] / step).round() * step for c, step in steps.items()})


RELEASES: dict[str, Callable[[Frame, Frame, np.random.Generator], Frame]] = {
    "null": lambda _members, spare, _rng: spare,
    "independent": lambda members, _spare, rng: independent(members, len(members), rng),
    "mst": lambda members, _spare, _rng: mst(members),
    "tree": lambda members, _spare, rng: tree(members, len(members), rng),
    "copy100": lambda members, _spare, rng: members.sample(frac=1.0, random_state=rng.integers(2**31)),
    **{
        f"copy{percent}": (
            lambda members, _spare, rng, p=percent: with_copies(
                independent(members, len(members), rng), members, p / 100, rng
            )
        )
        for percent in (50, 10, 5, 2, 1)
    },
    "tail2": lambda members, _spare, rng: with_tail(independent(members, len(members), rng), members, 0.02),
    "noised": lambda members, _spare, _rng: noised(members),
    "shifted": lambda members, _spare, _rng: shifted(members),
    "permuted": lambda members, _spare, rng: permuted(members, rng),
    "quantised": lambda members, _spare, _rng: quantised(members),
}


def split(table: Frame, name: str, seed: int) -> tuple[Frame, Frame, Frame]:
    """Members, holdout, spare. The null needs spare rows (50/25/25); every other release gets 70/30 as in the demo."""
    order = np.random.default_rng([seed, 1]).permutation(len(table))
    a, b = (0.5, 0.75) if name == "null" else (0.7, 1.0)
    cut = [int(a * len(table)), int(b * len(table))]
    parts = np.split(order, cut)
    return tuple(table.iloc[part].reset_index(drop=True) for part in parts)  # type: ignore[return-value]


def ladder(
    table: Frame, releases: list[str], seeds: range, sensitive: tuple[str, ...], suite: str | Suite = "standard"
) -> dict:
    """Verdict counts by release, and which endpoints decided."""
    found = {}
    for name in releases:
        verdicts, endpoints, seconds, reasons, power = Counter(), Counter(), [], Counter(), []
        for seed in seeds:
            members, holdout, spare = split(table, name, seed)
            release = RELEASES[name](members, spare, np.random.default_rng([seed, 2]))
            start = time.perf_counter()
            report = attacks.audit(members, release, holdout, sensitive=sensitive, suite=suite, seed=seed)
            seconds.append(time.perf_counter() - start)
            verdicts[report.verdict] += 1
            for row in report.attacks:
                if row.verdict != "pass":
                    endpoints[f"{row.name}/{row.stratum}/{row.endpoint}:{row.verdict}"] += 1
                if row.verdict == "inconclusive":
                    reasons[row.reason[:90]] += 1
            power.append(min((r.detectable for r in report.attacks if r.detectable is not None), default=1.0))
        found[name] = {
            "verdicts": dict(verdicts),
            "endpoints": dict(endpoints),
            "inconclusive_reasons": dict(reasons),
            "smallest_detectable_share": [min(power), max(power)],
            "seconds_mean": float(np.mean(seconds)),
        }
        v = found[name]["verdicts"]
        print(
            f"{name:<12} "
            + "  ".join(f"{verdict} {v.get(verdict, 0):>3}" for verdict in ("fail", "inconclusive", "pass"))
            + f"   {np.mean(seconds):6.1f} s   detectable {min(power):.1%} .. {max(power):.1%}",
            flush=True,
        )
        for key, count in endpoints.most_common(6):
            print(f"    {count:>3} x {key}", flush=True)
    return found


def main() -> None:
    """Run the ladder and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(SENSITIVE), default="fair")
    parser.add_argument("--rows", type=int, default=None, help="use the first rows of a random order")
    parser.add_argument("--drop", nargs="*", default=[], help="columns to leave out")
    parser.add_argument("--releases", nargs="*", default=list(RELEASES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--suite", default="standard")
    parser.add_argument("--no-power", action="store_true", help="plant no leaks: what fails, fails; nothing can pass")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = load(given.data).drop(columns=given.drop)
    if given.rows:
        table = table.sample(given.rows, random_state=0).reset_index(drop=True)
    print(f"{given.data}: {len(table)} rows x {len(table.columns)} columns, {given.seeds} seeds, suite {given.suite}")
    suite = replace(SUITES[given.suite], trials=0) if given.no_power else given.suite
    found = ladder(table, given.releases, range(given.seeds), SENSITIVE[given.data], suite)
    if given.json:
        given.json.write_text(json.dumps({"data": given.data, "rows": len(table), "releases": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
