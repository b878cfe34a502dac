"""Constraints of every kind over a table of nine columns, and models of random counts that know nothing of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dpsynth.core.errors import SchemaError
from dpsynth.schema.domain import known_domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.binning import bin_cells
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.oneway import OneWay
from dpsynth.tabular.constraints.enforcement import KINDS, Enforcement

COLUMNS: dict[str, dict[str, Any]] = {
    "u": {"kind": "categorical", "values": ["a", "b", "c", "d"]},
    "v": {"kind": "categorical", "values": [1, 2, 3]},
    "t": {"kind": "boolean"},
    "x": {"kind": "integer", "min": 0, "max": 20},
    "y": {"kind": "integer", "min": -5, "max": 3000},
    "z": {"kind": "float", "min": 0, "max": 40, "precision": 2},
    "w": {"kind": "float", "min": -10, "max": 2500, "precision": 1},
    "d": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
    "e": {"kind": "date", "min": "2015-01-01", "max": "2021-12-31"},
}
PICKS: dict[str, list[Any]] = {
    "u": ["a", "b", "c", "d"], "v": [1, 2, 3], "t": [False, True], "x": [0, 1, 7, 20], "y": [-5, 0, 97, 3000],
    "z": [0, 0.25, 40.0], "w": [-10.0, 0, 99.9], "d": ["2020-01-01", "2020-03-31"], "e": ["2020-02-02", "2021-12-31"],
}  # fmt: skip
LISTED = ["u", "v", "t", "x", "y", "d"]


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    if kind == "inequality":
        low, high = draw(st.sampled_from([*itertools.permutations("xyzw", 2), ("d", "e"), ("e", "d")]))
        return {"kind": kind, "low": low, "high": high, "strict": draw(st.booleans())}
    if kind == "sum":
        total, *parts = draw(st.permutations(["x", "y", "z", "w"]))[: draw(st.integers(3, 4))]
        return {"kind": kind, "total": total, "parts": parts}
    if kind in ("range", "not_applicable"):
        name, *others = draw(st.permutations([*"xyzwde"] if kind == "range" else list(COLUMNS)))
        others = [n for n in draw(st.permutations(LISTED)) if n != name][: draw(st.integers(1, 2))]
        cells = {n: draw(st.lists(st.sampled_from([*PICKS[n], None]), min_size=1, max_size=3)) for n in others}
        made = {"kind": kind, "column": name, "when": cells}
        if kind == "range":
            low, high = sorted([draw(st.sampled_from(PICKS[name])), draw(st.sampled_from(PICKS[name]))])
            return made | {"min": low, "max": high}
        return made | {"value": draw(st.sampled_from([*PICKS[name], None])), "iff": draw(st.booleans())}
    names = draw(st.permutations(LISTED))[: draw(st.integers(2, 3))]
    gaps = [None] if kind == "forbidden_combinations" else []
    rows = st.tuples(*(st.sampled_from(PICKS[name] + gaps) for name in names)).filter(lambda row: set(row) != {None})
    chosen = draw(st.lists(rows.map(list), min_size=1, max_size=10))
    if kind == "functional_dependency":
        mapping = list({tuple(row[:-1]): row for row in chosen}.values())
        return {"kind": kind, "determinant": names[:-1], "dependent": names[-1], "mapping": mapping}
    return {"kind": kind, "columns": list(names), "rows": chosen}


def schema(declared: list[dict[str, Any]]) -> Schema | None:
    try:
        return Schema.from_dict({"columns": COLUMNS, "constraints": declared})
    except SchemaError:
        return None


def random_model(of: Schema, rows: int, seed: int) -> tuple[Enforcement, dict[str, np.ndarray]]:
    """Binnings of random counts, and random codes: worse than any fit, which would avoid what is forbidden."""
    rng = np.random.default_rng(seed)
    binnings = {}
    for name, spec in of.columns.items():
        domain = known_domain(spec)
        spikes = np.unique(rng.integers(0, domain.size, 2)) if domain.size > 512 else np.zeros(0, np.int64)
        cells = Cells.of(domain, spikes)
        counts = np.append(rng.gamma(0.5, 200, cells.size), rng.choice([0.0, 300.0]))
        binnings[name] = bin_cells(OneWay(cells=cells, counts=counts, variance=np.full(len(counts), 9.0)), codes=12)
    shapes = {name: binning.size + 1 for name, binning in binnings.items()}
    codes = {name: rng.integers(0, binning.size + (rng.random() < 0.5), rows) for name, binning in binnings.items()}
    return Enforcement.of(of, binnings, shapes).fitted(codes, rng), codes
