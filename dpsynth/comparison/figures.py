"""What a synthetic table scores, in six figures; a real table can stand in its place.

    tvd1, tvd2, tvd3   mean total variation distance to the fitted rows, of single columns, of pairs, of triples
    tstr               a model trained on it, tested on the real holdout: ROC AUC of classes, R2 of numbers
    kept               share of two-way cells of 10 to 99 fitted rows that it has at all
    invented           share of its rows in two-way cells that no fitted row has, mean over pairs

`ceiling` is the same for real rows: the holdout in place of the synthetic table, a model trained on the fitted rows.
The holdout has fewer rows than a sample, and a distance shrinks with rows: a good sample may lie below its distances.

Triples are at most 100, drawn by a fixed seed. All are exact functions of the rows: figures of public tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.marginals import joints, one_way, total_variation
from dpsynth.quality.tails import BANDS, TailTally
from dpsynth.quality.utility import score_trained_on

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.schema.model import Schema

FIGURES = ("tvd1", "tvd2", "tvd3", "tstr", "kept", "invented")
MOST_TRIPLES = 100
RARE = BANDS.index((10, 99))
SCORES = ("auc", "r2")


def measure(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame, *, schema: Schema, target: str | None
) -> dict[str, float | None]:
    """Figures of a synthetic table; None where there is nothing to measure.

    Args:
        real: the rows that were fitted.
        synthetic: rows of the same columns.
        holdout: real rows that were not fitted.
        schema: kinds of the columns.
        target: column of `tstr`; None leaves it out.
    """
    kinds = {name: str(spec.kind) for name, spec in schema.columns.items()}
    coded = code_tables({"real": real, "synthetic": synthetic}, declared=kinds)
    frames = {"real": real, "synthetic": synthetic, "holdout": holdout}
    return {**_distances(coded), "tstr": _score(coded, frames, "synthetic", target)}


def ceiling(
    real: pd.DataFrame, holdout: pd.DataFrame, *, schema: Schema, target: str | None
) -> dict[str, float | None]:
    """What real rows score: the holdout against the fitted rows, and a model trained on those."""
    kinds = {name: str(spec.kind) for name, spec in schema.columns.items()}
    coded = code_tables({"real": real, "synthetic": holdout}, declared=kinds)
    return {**_distances(coded), "tstr": _score(coded, {"real": real, "holdout": holdout}, "real", target)}


def score_name(schema: Schema, real: pd.DataFrame) -> str | None:
    """Which score `tstr` is: auc, r2, or None without a target."""
    from dpsynth.quality.targets import MAX_CLASSES

    if schema.target is None:
        return None
    few = real[schema.target].dropna().astype(object).nunique() <= MAX_CLASSES
    classes = schema.columns[schema.target].kind in ("categorical", "boolean")
    return "auc" if few or classes else "r2"


def _distances(coded: Coded) -> dict[str, float | None]:
    alone = [
        total_variation(left, right)
        for left, right in zip(one_way(coded, "real"), one_way(coded, "synthetic"), strict=True)
    ]
    tails = TailTally(real="real", other="synthetic")
    pairs = []
    for joint in joints(coded):
        pairs.append(total_variation(joint.counts["real"], joint.counts["synthetic"]))
        tails.add(joint)
    kept = tails.score()[RARE].kept
    return {
        "tvd1": float(np.mean(alone)),
        "tvd2": float(np.mean(pairs)),
        "tvd3": _triples(coded),
        "kept": None if kept is None else float(kept),
        "invented": tails.invented(),
    }


def _triples(coded: Coded) -> float | None:
    every = list(combinations(range(len(coded.columns)), 3))
    if not every:
        return None
    if len(every) > MOST_TRIPLES:
        order = np.random.default_rng(0).permutation(len(every))[:MOST_TRIPLES]
        every = [every[int(place)] for place in order]
    out = []
    for triple in every:
        keys = {}
        for table, codes in coded.tables.items():
            key = np.zeros(codes.shape[1], dtype=np.int64)
            for column in triple:
                key = key * coded.sizes[column] + codes[column]
            keys[table] = key
        present, inverse = np.unique(np.concatenate([keys["real"], keys["synthetic"]]), return_inverse=True)
        left, right = np.split(inverse, [keys["real"].size])
        out.append(
            total_variation(np.bincount(left, minlength=present.size), np.bincount(right, minlength=present.size))
        )
    return float(np.mean(out))


def _score(coded: Coded, frames: Mapping[str, pd.DataFrame], teacher: str, target: str | None) -> float | None:
    if target is None:
        return None
    kinds = dict(zip(coded.columns, coded.kinds, strict=True))
    ordered = {name: frame[list(coded.columns)] for name, frame in frames.items()}
    scores = score_trained_on(teacher, ordered, kinds=kinds, target=target)
    return next(scores[name] for name in SCORES if name in scores)
